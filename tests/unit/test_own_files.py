"""An app's own files: read on the controller, written on the host, the secret ones for the app alone."""

from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import lookup_loader
from ansible.template import Templar
from ansible_collections.asgi.host.plugins.module_utils import _apps
from ansible_collections.asgi.host.plugins.module_utils._private import mask, of_an_app
from ansible_collections.asgi.host.plugins.module_utils._release import own_files
from ansible_collections.asgi.host.plugins.plugin_utils import _own_files, _specs
from ansible_collections.asgi.host.plugins.plugin_utils._sources import SourceError


@pytest.fixture(autouse=True)
def _without_collections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outside of a play Ansible finds its own plugins by their short names alone."""
    find: Any = lookup_loader.get
    monkeypatch.setattr(
        lookup_loader, "get", lambda name, **more: find(name.removeprefix("ansible.builtin."), **more)
    )


TOKENS = {"{data}": "/var/lib/asgi/shop"}
SETTINGS = """# {data} and {other}
import os
DATABASES = {'default': {'PASSWORD': "hunter2hunter2", 'HOST': 'db'}}
token: t0ken-of-the-shop
"""


def app(folder: Path, *files: dict[str, Any]) -> dict[str, Any]:
    given = {"name": "shop", "app": "shop:app", "source": {"path": str(folder)}, "files": list(files)}
    return _apps.normalize([given])[0]


def contents(folder: Path, **variables: Any) -> _own_files.Contents:
    loader = DataLoader()
    action = SimpleNamespace(_loader=loader, _templar=Templar(loader, variables=variables))
    return _own_files.Contents(action, variables, [str(folder)])


def text(found: dict[str, Any], path: str) -> str:
    return base64.b64decode(found[path]["content"]).decode()


def test_another_domain_is_another_content(tmp_path: Path) -> None:
    given = app(tmp_path, {"path": "site.py", "content": "HOST = '{domain}'\n"})
    found = [
        text(contents(tmp_path).of({**given, "domains": domains}), "site.py")
        for domains in (["shop.test", "www.shop.test"], ["new.test"], [])
    ]
    assert found == ["HOST = 'shop.test'\n", "HOST = 'new.test'\n", "HOST = 'localhost'\n"]


def test_content_template_and_file(tmp_path: Path) -> None:
    (tmp_path / "a.j2").write_text("{% include 'b.j2' %}: {{ color }} {data}\n")
    (tmp_path / "b.j2").write_text("color")
    (tmp_path / "logo").write_bytes(b"\xff\0{data}")
    given = app(
        tmp_path,
        {"path": "a", "content": "plain {data}"},
        {"path": "x/./b", "template": "a.j2", "mode": "755"},
        {"path": "c", "file": "logo", "secret": "yes"},
    )
    found = contents(tmp_path, color="red").of(given)
    assert text(found, "a") == "plain {data}"
    assert text(found, "x/b") == "color: red {data}\n"
    assert base64.b64decode(found["c"]["content"]) == b"\xff\0{data}"
    assert [(each["mode"], each["secret"], each["raw"]) for each in found.values()] == [
        (0o644, False, False), (0o755, False, False), (0o640, True, True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        ("template", "undefined.j2", r"files\[0\]\.template: .*'color' is undefined"),
        ("template", "broken.j2", r"files\[0\]\.template: "),
        ("template", "gone.j2", r"files\[0\]\.template: gone\.j2 is not on the controller"),
        ("file", "large", r"files\[0\]: a has 262145 bytes, and 262144 are the most"),
    ],
)
def test_what_cannot_be_had_is_named_by_its_key(tmp_path: Path, kind: str, name: str, words: str) -> None:
    (tmp_path / "undefined.j2").write_text("{{ color }}")
    (tmp_path / "broken.j2").write_text("{% if %}")
    (tmp_path / "large").write_bytes(b"x" * (256 * 1024 + 1))
    given = app(tmp_path, {"path": "a", kind: name})
    with pytest.raises(SourceError, match=words):
        contents(tmp_path).of(given)
    assert len(contents(tmp_path).problems([given, {"name": "old", "state": "absent"}])) == 1


def test_app_without_files_is_told_as_before(tmp_path: Path) -> None:
    """Or each of them would get a new release by an update of the collection."""
    (tmp_path / "shop.py").write_text("")
    assert "files" not in _specs.private(app(tmp_path), [])


def test_values_of_a_secret_file_are_in_no_message(tmp_path: Path) -> None:
    given = app(
        tmp_path,
        {"path": "a", "content": SETTINGS, "secret": True},
        {"path": "b", "content": "x = 'openopen'"},
    )
    found = contents(tmp_path).of(given)
    said = "line 3: DATABASES = {'default': {'PASSWORD': \"hunter2hunter2\", 'HOST': 'db'}}\nno hunter2hunter2, t0ken-of-the-shop"
    masked = mask(f"{said} import os openopen", of_an_app({"files": found}))
    assert "hunter2" not in masked
    assert "t0ken" not in masked
    assert "import os openopen" in masked
    assert "hunter2" not in json.dumps({**found, "a": {**found["a"], "hidden": []}})


def secret(content: str) -> Any:
    return {
        "content": base64.b64encode(content.encode()).decode(),
        "mode": 0o640,
        "secret": True,
        "raw": False,
        "hidden": [],
    }


def plain(content: str, *, raw: bool = False) -> Any:
    return {**secret(content), "mode": 0o755, "secret": False, "raw": raw}


def test_files_are_put_into_the_source(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("of the source")
    (tmp_path / "link").symlink_to("/etc/hostname")
    own_files.put(
        tmp_path,
        {"a.py": secret("{data} {other}"), "new/er/b": plain("{data}", raw=True), "link": plain("x")},
        TOKENS,
        os.getgid(),
    )
    assert (tmp_path / "a.py").read_text() == "/var/lib/asgi/shop {other}"
    assert stat.S_IMODE((tmp_path / "a.py").stat().st_mode) == 0o640
    assert (tmp_path / "new/er/b").read_text() == "{data}"
    assert stat.S_IMODE((tmp_path / "new/er/b").stat().st_mode) == 0o755
    assert not (tmp_path / "link").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.py", "link", "new"]


@pytest.mark.parametrize("path", ["out/x", "file/x", "folder"])
def test_what_is_in_the_way_is_said(tmp_path: Path, path: str) -> None:
    source, elsewhere = tmp_path / "src", tmp_path / "elsewhere"
    (source / "folder").mkdir(parents=True)
    elsewhere.mkdir()
    (source / "out").symlink_to(elsewhere)
    (source / "file").write_text("")
    with pytest.raises(own_files.PlaceError, match=rf"files: the way to {path}"):
        own_files.put(source, {path: plain("x")}, TOKENS, os.getgid())
    assert not list(elsewhere.iterdir())


def test_secret_is_taken_out_with_its_bytecode(tmp_path: Path) -> None:
    cache = tmp_path / "conf" / "__pycache__"
    cache.mkdir(parents=True)
    for name in ("local.cpython-313.pyc", "local.cpython-313.opt-1.pyc", "other.cpython-313.pyc"):
        (cache / name).write_text("")
    (tmp_path / "conf" / "local.py").write_text("")
    own_files.take_out(tmp_path, {"conf/local.py": secret(""), "gone/x.py": secret("")})
    assert [path.name for path in cache.iterdir()] == ["other.cpython-313.pyc"]
    assert not (tmp_path / "conf" / "local.py").exists()
