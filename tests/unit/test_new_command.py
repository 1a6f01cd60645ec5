# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The inventory that asgi.host.new writes or adds to, what it refuses, and that a project cannot reach through it."""

from __future__ import annotations

import random
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.asgi.host.plugins.module_utils import _apps
from ansible_collections.asgi.host.plugins.plugin_utils._new import command, plan
from ansible_collections.asgi.host.plugins.plugin_utils._new.lines import NewError
from new_projects import Loader, lay, make

ROOT = Path(__file__).resolve().parents[2]
APP = {
    "main.py": (
        "import os\nfrom fastapi import FastAPI\napp = FastAPI()\n@app.get('/')\ndef home(): ...\nKEY "
        "= os.environ['SECRET_KEY']\nURL = os.environ['DATABASE_URL']\n"
    ),
    "requirements.txt": "fastapi\n",
}
GIVEN = {"project": "shop", "host": "203.0.113.5", "domain": "shop.example.com"}


def new(folder: Path, **given: str) -> command.Written:
    lay(folder / "shop", APP)
    written = command.prepare({**GIVEN, **given}, folder)
    command.put(written)
    return written


def test_a_new_inventory(tmp_path: Path) -> None:
    written = new(tmp_path)
    inventory = tmp_path / "inventories" / "shop"
    assert yaml.safe_load((inventory / "hosts.yml").read_text()) == {
        "asgi_hosts": {"hosts": {"203.0.113.5": None}}
    }
    variables = yaml.safe_load((inventory / "group_vars/asgi_hosts/main.yml").read_text())
    (app,) = variables["asgi_host_apps"]
    assert (app["name"], app["app"], app["domains"]) == ("shop", "main:app", ["shop.example.com"])
    # The role takes it from the inventory's folder.
    assert (inventory / app["source"]["path"]).resolve() == tmp_path / "shop"
    vault = inventory / "group_vars/asgi_hosts/vault.yml"
    assert stat.S_IMODE(vault.stat().st_mode) == 0o600
    assert set(yaml.safe_load(vault.read_text())) == {"vault_shop_secret_key", "vault_shop_database_url"}
    text = command.words(written, tmp_path, "asgi.host.site")
    assert text.splitlines() == [
        "Wrote inventories/shop/hosts.yml, inventories/shop/group_vars/asgi_hosts/main.yml, inventories/shop/group_vars/asgi_hosts/vault.yml",
        "1 line is marked with CHANGE_ME; nothing is deployed before you give the value:",
        "  vault_shop_database_url in the vault",
        "Next:",
        "  ansible-vault encrypt inventories/shop/group_vars/asgi_hosts/vault.yml",
        "  ansible-playbook asgi.host.site -i inventories/shop --ask-vault-pass",
    ]


def test_ansible_reads_the_inventory_and_the_role_names_the_marked_line(tmp_path: Path) -> None:
    new(tmp_path)
    ansible = [
        str(Path(sys.executable).with_name("ansible-inventory")),
        "-i",
        "inventories/shop",
        "--host",
        "203.0.113.5",
    ]
    done = subprocess.run(ansible, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    apps = yaml.safe_load(done.stdout)["asgi_host_apps"]
    # Ansible puts the value of the vault there when the role asks for it.
    apps[0]["secrets"] = {"SECRET_KEY": "x", "DATABASE_URL": "CHANGE_ME: the address, with a login"}
    assert _apps.problems(apps) == [
        (
            "asgi_host_apps[0] (shop): secrets.DATABASE_URL: is still marked with CHANGE_ME; give the value,"
            " where the inventory or its vault has the mark"
        )
    ]


def test_a_mark_hides_what_its_check_would_say() -> None:
    app = {
        "name": "shop",
        "app": "CHANGE_ME",
        "source": {"path": "x"},
        "domains": ["CHANGE_ME"],
        "workers": 0,
        "env": {"A": "postgresql://u:CHANGE_ME@db/x", "B": "DO_CHANGE_ME_NOT"},
    }
    found = _apps.problems([app], {"env": {"C": "CHANGE_ME"}})
    assert [each.partition("; ")[0] for each in found] == [
        "asgi_host_app_defaults: env.C: is still marked with CHANGE_ME",
        "asgi_host_apps[0] (shop): app: is still marked with CHANGE_ME",
        "asgi_host_apps[0] (shop): domains[0]: is still marked with CHANGE_ME",
        "asgi_host_apps[0] (shop): env.A: is still marked with CHANGE_ME",
        "asgi_host_apps[0] (shop): workers: 0 is not a number of workers",
    ]
    assert "postgresql" not in str(found)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"project": ""}, "project: is missing; give the project's folder, with -e project=../shop"),
        ({"project": "gone"}, "gone is not there; give the folder of the project"),
        ({"project": "shop/main.py"}, "main.py is a file; give the folder of the project"),
        ({"app": "Shop"}, "app: 'Shop' is not a name; give 1 to 31 lower-case letters"),
        (
            {"host": ""},
            "host: '' is no host; give the name or address that ssh reaches, with -e host=203.0.113.5",
        ),
        ({"host": "a b"}, "host: 'a b' is no host"),
        ({"domain": "https://x"}, "domain: 'https://x' holds a scheme; give a host name in lower case"),
        ({"email": "me"}, "email: 'me' is not an address of mail; give one, with -e email=ops@example.com"),
        ({"inventory": "shop/main.py"}, "main.py is a file; give the folder of an inventory"),
        (
            {"inventory": "shop"},
            "no file of it has the list asgi_host_apps; add asgi_host_apps: \\[\\] to its group_vars",
        ),
        (
            {"entry": "gone:app"},
            "entry: 'gone:app' names no module of the project; give module:attribute such as shop.main:app",
        ),
    ],
)
def test_what_it_refuses(tmp_path: Path, given: dict[str, str], words: str) -> None:
    lay(tmp_path / "shop", APP)
    with pytest.raises(NewError, match=words):
        command.prepare({**GIVEN, **given}, tmp_path)
    assert not (tmp_path / "inventories").exists()


def test_without_a_domain_the_line_is_marked(tmp_path: Path) -> None:
    assert "domains" in new(tmp_path, domain="").marked


EXISTING = """\
---
# Ours.
asgi_host_app_defaults: {workers: 2}   # few

asgi_host_apps:
  - name: wiki   # the first
    app: wiki:app
    source: {path: ../wiki}
    env:
      TEXT: |
        one

        two

# After it.
other: [1, 2]
"""


def test_an_app_is_added_and_nothing_else_changes(tmp_path: Path) -> None:
    inventory = lay(
        tmp_path / "mine",
        {"hosts.yml": "asgi_hosts: {hosts: {web1: }}\n", "group_vars/asgi_hosts/main.yml": EXISTING},
    )
    written = new(tmp_path, inventory="mine", host="")
    main = inventory / "group_vars/asgi_hosts/main.yml"
    assert sorted(written.files) == [str(main), str(main.with_name("vault_shop.yml"))]
    text = main.read_text()
    before, after = text.split("  - name: shop")[0], text.split("\n# After it.")[1]
    assert EXISTING.startswith(before.rstrip("\n"))
    assert EXISTING.endswith(after)
    apps = yaml.safe_load(text)["asgi_host_apps"]
    assert [app["name"] for app in apps] == ["wiki", "shop"]
    assert apps[0] == yaml.safe_load(EXISTING)["asgi_host_apps"][0]
    with pytest.raises(
        NewError,
        match=r"has an app shop already .group_vars/asgi_hosts/main.yml.; give another name with -e app=NAME",
    ):
        command.prepare({**GIVEN, "inventory": "mine"}, tmp_path)
    # A second one of the same project has secrets of its own.
    command.put(
        command.prepare({**GIVEN, "inventory": "mine", "app": "shop2", "domain": "two.example.com"}, tmp_path)
    )
    assert (main.with_name("vault_shop2.yml")).exists()
    assert not _apps.problems(
        [{**app, "secrets": {}} for app in yaml.safe_load(main.read_text())["asgi_host_apps"]]
    )


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("asgi_host_apps: []\n", 1),
        ("asgi_host_apps: []  # none yet\nx: 1\n", 1),
        ("asgi_host_apps:\n- name: wiki\n  app: a:b", 2),
        ("asgi_host_apps:\n    - name: wiki\n      env: {A: 1}\n\n\nx:\n  y: 1\n", 2),
        ("asgi_host_apps:\n  - {name: wiki}\n  # a remark\n", 2),
        (
            "asgi_host_apps:\n  - name: wiki\n    secrets:\n      A: !vault |\n        $ANSIBLE_VAULT;1.1;AES256\n        6162\n",
            2,
        ),
        ("all:\n  vars:\n    asgi_host_apps:\n      - name: wiki\n    x: 1\n", 2),
    ],
)
def test_forms_of_the_list(tmp_path: Path, text: str, count: int) -> None:
    lay(tmp_path / "mine", {})
    path = tmp_path / "mine/group_vars/asgi_hosts/main.yml"
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    new(tmp_path, inventory="mine")
    tree: Any = yaml.load(path.read_text(), Loader=Loader)
    tree = tree["all"]["vars"] if "all" in tree else tree
    assert [app["name"] for app in tree["asgi_host_apps"]][-1] == "shop"
    assert len(tree["asgi_host_apps"]) == count


def test_a_list_in_brackets_is_refused_and_left(tmp_path: Path) -> None:
    lay(tmp_path / "mine", {"group_vars/asgi_hosts.yml": "asgi_host_apps: [{name: wiki}]\n"})
    with pytest.raises(NewError, match="is a list in brackets; write it with one app below the other"):
        new(tmp_path, inventory="mine")
    assert (tmp_path / "mine/group_vars/asgi_hosts.yml").read_text() == "asgi_host_apps: [{name: wiki}]\n"


def test_secrets_beside_a_file_of_the_group(tmp_path: Path) -> None:
    inventory = lay(tmp_path / "mine", {"group_vars/asgi_hosts.yml": "asgi_host_apps: []\n"})
    new(tmp_path, inventory="mine")
    # Ansible reads either group_vars/asgi_hosts.yml or a folder of that name.
    assert (inventory / "group_vars/all/vault_shop.yml").exists()
    inventory = lay(
        tmp_path / "two",
        {"group_vars/asgi_hosts.yml": "asgi_host_apps: []\n", "group_vars/all.yml": "x: 1\n"},
    )
    with pytest.raises(
        NewError,
        match=r"mkdir group_vars/asgi_hosts && mv group_vars/asgi_hosts.yml group_vars/asgi_hosts/main.yml",
    ):
        new(tmp_path, inventory="two")


EVIL = "{{ lookup('ansible.builtin.pipe', 'touch /tmp/owned') }}"


def test_nothing_of_a_project_is_a_template(tmp_path: Path) -> None:
    made = make(
        tmp_path,
        {
            **APP,
            "compose.yml": (
                f'services: {{web: {{build: ., command: "uvicorn main:app", environment: {{THEME: "{EVIL}", '
                f'X: "{{% raw %}}", Y: "{{{{ vault_shop_other }}}}"}}}}, job: {{build: ., command: "echo {EVIL}"}}}}\n'
            ),
            "fly.toml": f'[deploy]\nrelease_command = "python {EVIL}"\n',
            "static {{ x }}/a.css": "",
        },
    )
    # As Ansible reads it: marked as no template, or not there.
    tree = yaml.compose(made.text)
    assert tree is not None
    for node in tree.value[0].value:
        for each in _scalars(node[1]):
            assert (
                "{{" not in each.value
                or each.tag == "!unsafe"
                or each.value in ("{{ vault_shop_secret_key }}", "{{ vault_shop_database_url }}")
            ), each
    assert "!unsafe" in made.text


INNER = "x|default(lookup('ansible.builtin.pipe', 'touch /tmp/owned'))"
LINES = 'A: \\"{{ now() }}\\"\\n      B'


@pytest.mark.parametrize(
    "files",
    [
        {"config/deploy.yml": f'env:\n  secret:\n    - "{INNER}"\n    - "{LINES}"\n'},
        {"config/deploy.yml": f'env:\n  clear:\n    "{INNER}": a\n    "{LINES}": b\n'},
        {
            "main.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'settings')\n"
            "from django.core.asgi import get_asgi_application\napp = get_asgi_application()\n",
            "manage.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'settings')\n",
            "settings.py": f'import os\nSTATIC_ROOT = os.environ.get("{LINES}", other())\n'
            f'DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ.get("{LINES}C", "/a/b.db")}}}}\n',
        },
    ],
)
def test_names_of_variables_are_names(tmp_path: Path, files: dict[str, str]) -> None:
    """A name becomes a key, and of a secret a part of a template that Ansible runs on the controller."""
    made = make(tmp_path, {**APP, **files})
    names = [*made.app.get("env", {}), *made.app.get("secrets", {}), *made.vault]
    assert all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) for name in names), names
    assert "lookup" not in made.text
    assert "now()" not in made.text
    assert not {"A", "B"} & set(names)


def _scalars(node: yaml.Node) -> list[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        return [node]
    parts = [each for pair in node.value for each in (pair if isinstance(pair, tuple) else (pair,))]
    return [each for part in parts for each in _scalars(part)]


def test_words_of_a_project_end_no_line_and_steer_no_terminal(tmp_path: Path) -> None:
    name = "a\nasgi_host_root: /x\x1b[2J.py"
    made = make(tmp_path, {**APP, name: "import os\nX = os.environ['ODD_NAME']\n"})
    assert "\x1b" not in made.text
    assert made.app["env"] == {"ODD_NAME": "CHANGE_ME: ODD_NAME"}


def test_no_link_is_followed_and_nothing_is_run(tmp_path: Path) -> None:
    lay(tmp_path / "shop", {**APP, "evil.py": "open('/tmp/new-was-run', 'w')\nraise SystemExit\n"})
    (tmp_path / "secret.env.example").write_text("DATABASE_URL=sqlite:///x\nODD=found\n")
    (tmp_path / "shop" / ".env.example").symlink_to(tmp_path / "secret.env.example")
    (tmp_path / "shop" / "outside").symlink_to(tmp_path)
    found = plan.make(tmp_path / "shop", name="shop", domain="", email="", shown_path=".")
    assert "found" not in str(found)
    assert not Path("/tmp/new-was-run").exists()


def test_garbage_breaks_nothing(tmp_path: Path) -> None:
    pieces = [
        "services:",
        "web",
        "build",
        "command",
        "[",
        "]",
        "{",
        "}",
        ":",
        "\n",
        "  ",
        "- ",
        "FROM",
        "RUN apt-get install",
        "\\\n",
        "$",
        "${",
        "`",
        "'",
        '"',
        "CMD [",
        "env(",
        "import os",
        "class S(BaseSettings):",
        "\0",
        "é",
        "<<EOF",
        "*a",
        "&a",
        "app = FastAPI()",
        "environ[",
        "path(",
    ]
    for seed in range(60):
        chance = random.Random(seed)
        folder = tmp_path / str(seed)
        for name in (
            "compose.yml",
            "Dockerfile",
            "Procfile",
            "fly.toml",
            "config/deploy.yml",
            "pyproject.toml",
            "settings.py",
            "alembic.ini",
            ".env.example",
            "start.sh",
        ):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(chance.choices(pieces, k=chance.randrange(60))), encoding="utf-8")
        make(folder, APP)
