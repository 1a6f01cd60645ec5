"""The program that gets certificates by ACME, with stand-ins for lego, nginx and systemctl."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils import _acme
from ansible_collections.asgi.host.plugins.module_utils._acme import Places, Site, lego_words, main, why_due

DIRECTORY = "https://authority.example.com/directory"
DAY = 86400
# lego's command line is written down; it then does what the test has put into the file `act`.
LEGO = """#!/bin/sh
if [ "$1" = --version ]; then cat {folder}/version; exit; fi
echo "$@" >> {folder}/orders
for word in "$@"; do case $word in --path=*) path=${{word#--path=}};; --domains=*) names="$names,DNS:${{word#--domains=}}";; esac; done
first=$(echo "$names" | cut -d: -f2 | cut -d, -f1 | tr '*' _)
mkdir -p "$path/certificates" "$path/accounts/authority.example.com"
. {folder}/act
"""
ISSUE = """openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 90 -subj /CN=x \\
  -addext "subjectAltName=${names#,}" -keyout "$path/certificates/$first.key" -out "$path/certificates/$first.crt" 2>/dev/null
touch "$path/certificates/$first.issuer.crt"
"""
DOWN = f"""echo '2026/11/24 22:11:58 [INFO] something'
echo "2026/11/24 22:11:58 Could not create client: get directory at '{DIRECTORY}': connection refused"
exit 1
"""


class Stage:
    """A host in a folder, with one site for each name."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.places = Places(folder / "entries", folder / "state")
        for path in (folder / "bin", self.places.state, folder / "tls"):
            path.mkdir()
        self.program("lego", LEGO.format(folder=folder))
        self.program(
            "nginx", f"#!/bin/sh\nif [ -e {folder}/broken ]; then echo '[emerg] broken'; exit 1; fi\n"
        )
        self.program("systemd-run", '#!/bin/sh\nwhile [ "${1#--}" != "$1" ]; do shift; done\nexec "$@"\n')
        self.program("systemctl", f'#!/bin/sh\necho "$@" >> {folder}/calls\n')
        monkeypatch.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
        self.act(ISSUE)
        self.version("4.9.1")

    def version(self, number: str) -> None:
        (self.folder / "version").write_text(f"lego version {number} linux/amd64\n")

    def program(self, name: str, text: str) -> None:
        path = self.folder / "bin" / name
        path.write_text(text)
        path.chmod(0o755)

    def act(self, text: str) -> None:
        (self.folder / "act").write_text(text)

    def site(self, name: str = "shop", **keys: Any) -> Site:
        folder = self.folder / "tls" / name
        first = folder / "first"
        if not (folder / "serving").is_symlink():
            first.mkdir(parents=True)
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                 "-subj", "/CN=first", "-keyout", first / "key.pem", "-out", first / "certificate.pem"],
                check=True, capture_output=True,
            )  # fmt: skip
            (folder / "serving").symlink_to("first")
        entry = {
            "name": name, "domains": [f"{name}.example.com", f"www.{name}.example.com"], "email": "ops@example.com",
            "directory": DIRECTORY, "dns": None, "dns_env": {}, "dns_check": True, "folder": str(folder), **keys,
        }  # fmt: skip
        path = self.places.entries / name / "acme.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(entry))
        return Site.from_json(path.read_text())

    def run(self, *argv: str) -> int:
        return main(argv or ["run"], self.places)

    def serving(self, name: str = "shop") -> str:
        return os.readlink(self.folder / "tls" / name / "serving")

    def lines(self, name: str) -> list[str]:
        path = self.folder / name
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(tmp_path, monkeypatch)


def test_first_certificate_is_got_and_nginx_told_once(stage: Stage) -> None:
    stage.site()
    stage.site("blog")
    assert stage.run("due") == 1
    assert stage.run() == 0
    assert stage.lines("calls") == ["try-reload-or-restart nginx"]
    folder = stage.folder / "tls" / "shop"
    assert sorted(path.name for path in folder.iterdir()) == sorted(["serving", stage.serving()])
    assert {path.stat().st_mode & 0o777 for path in (folder / "serving").iterdir()} == {0o600}
    assert (folder / "serving").resolve().stat().st_mode & 0o777 == 0o700
    # The key lies in one place, and the order said all that it must.
    assert not list(stage.places.client.glob("certificates/*"))
    order = stage.lines("orders")[1]
    for word in (
        "--accept-tos",
        f"--server={DIRECTORY}",
        "--email=ops@example.com",
        "--domains=www.shop.example.com",
        "--http",
    ):
        assert word in order.split()
    assert order.endswith(" run")


def test_nothing_is_done_when_nothing_is_due(stage: Stage) -> None:
    stage.site()
    stage.run()
    before = stage.serving(), stage.lines("calls"), stage.lines("orders")
    assert stage.run("due") == 0
    assert stage.run() == 0
    assert (stage.serving(), stage.lines("calls"), stage.lines("orders")) == before


@pytest.mark.parametrize(
    ("days", "due"), [(0, False), (59, False), (60.1, True), (89, True), (91, True)]
)  # fmt: skip
def test_due_at_a_third_of_the_life(stage: Stage, days: float, due: bool) -> None:
    site = stage.site()
    stage.run()
    assert bool(why_due(site, time.time() + days * DAY)) is due


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"domains": ["shop.example.com"]}, "is for shop.example.com, www.shop.example.com"),
        (
            {"domains": ["shop.example.com", "www.shop.example.com", "new.example.com"]},
            "is for shop.example.com",
        ),
        ({"directory": "https://other.example.com/dir"}, f"is from {DIRECTORY}"),
        ({"email": "other@example.com"}, ""),
    ],
)
def test_due_when_something_else_is_wanted(stage: Stage, change: dict[str, Any], words: str) -> None:
    stage.site()
    stage.run()
    reason = why_due(stage.site(**change), time.time())
    assert words in (reason or "")
    assert bool(reason) is bool(words)


@pytest.mark.parametrize("name", ["issued.json", "certificate.pem"])
def test_damaged_files_are_got_again(stage: Stage, name: str) -> None:
    site = stage.site()
    stage.run()
    (site.serving / name).write_text("garbage")
    assert "damaged" in (why_due(site, time.time()) or "")
    assert stage.run() == 0
    assert why_due(site, time.time()) is None


def test_authority_that_is_down_is_said_once_for_each_site(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.site()
    stage.site("blog")
    stage.act(DOWN)
    assert stage.run() == 1
    said = capsys.readouterr().err
    assert said.count("connection refused") == 2
    assert "shop: tls.acme: " + DIRECTORY in said
    assert "[INFO]" not in said
    assert "2026/11/24" not in said
    # It was asked once, and nginx was not told anything.
    assert len(stage.lines("orders")) == 1
    assert stage.lines("calls") == []
    assert stage.serving() == "first"
    assert set(json.loads(stage.places.failures.read_text())) == {"shop", "blog"}
    stage.act(ISSUE)
    assert stage.run() == 0
    assert stage.places.failures.read_text() == "{}"


def test_other_sites_go_on_when_one_is_refused(stage: Stage) -> None:
    stage.site("blog")
    stage.site()
    stage.act(
        f'if [ "$first" = blog.example.com ]; then echo "Could not obtain certificates: no"; exit 1; fi\n{ISSUE}'
    )
    assert stage.run() == 1
    assert stage.serving("blog") == "first"
    assert stage.serving() != "first"
    assert stage.lines("calls") == ["try-reload-or-restart nginx"]


@pytest.mark.parametrize(
    ("act", "words"),
    [
        ("names=,DNS:shop.example.com\n" + ISSUE, "not for www.shop.example.com"),
        (
            ISSUE
            + 'openssl ecparam -genkey -name prime256v1 -out "$path/certificates/$first.key" 2>/dev/null\n',
            "does not belong",
        ),
        ("exit 0\n", "left none"),
        (ISSUE + "touch {folder}/broken\n", "nginx does not accept"),
    ],
)
def test_what_cannot_serve_is_not_installed(
    stage: Stage, act: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.site()
    stage.act(act.replace("{folder}", str(stage.folder)))
    assert stage.run() == 1
    assert words in capsys.readouterr().err
    assert stage.serving() == "first"
    assert (stage.folder / "tls" / "shop" / "first" / "key.pem").exists()


def test_nothing_is_ordered_while_nginx_is_broken(stage: Stage, capsys: pytest.CaptureFixture[str]) -> None:
    """Authorities count orders; one whose certificate cannot be used is wasted."""
    stage.site()
    (stage.folder / "broken").touch()
    assert stage.run() == 1
    assert "[emerg] broken" in capsys.readouterr().err
    assert stage.lines("orders") == []


def test_reload_that_was_cut_off_is_made_up_for(stage: Stage) -> None:
    stage.site()
    stage.run()
    stage.places.reload.touch()
    assert stage.run("due") == 1
    assert stage.run() == 0
    assert len(stage.lines("calls")) == 2
    assert stage.run("due") == 0


def test_account_that_the_authority_does_not_know_is_made_anew(stage: Stage) -> None:
    stage.site()
    account = stage.places.client / "accounts" / "authority.example.com" / "ops"
    account.parent.mkdir(parents=True)
    account.touch()
    (stage.places.client / "accounts" / "other.example.com").mkdir()
    stage.act(
        f'if [ -e {account} ]; then echo "Could not obtain: {_acme.UNKNOWN_ACCOUNT} :: gone"; exit 1; fi\n{ISSUE}'
    )
    assert stage.run() == 0
    assert (stage.places.client / "accounts" / "other.example.com").exists()


def test_provider_s_secrets_reach_lego_and_no_message(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.site(
        dns="cloudflare",
        dns_env={"CF_DNS_API_TOKEN": "hunter2 $x"},
        dns_check=False,
        domains=["*.shop.example.com"],
    )
    stage.act('echo "Could not: token $CF_DNS_API_TOKEN is bad"; exit 1\n')
    assert stage.run() == 1
    said = capsys.readouterr()
    assert "token (secret) is bad" in said.err
    assert "hunter2" not in said.err + said.out + stage.places.failures.read_text() + repr(stage.site())
    assert {"--dns=cloudflare", "--dns.disable-cp"} <= set(stage.lines("orders")[0].split())
    assert "--http" not in stage.lines("orders")[0]
    assert "hunter2" not in stage.lines("orders")[0]


def test_forced_one_is_got_and_an_unknown_name_refused(stage: Stage) -> None:
    stage.site()
    stage.site("blog")
    stage.run()
    before = stage.serving(), stage.serving("blog")
    assert stage.run("run", "--force", "shop") == 0
    assert (stage.serving() == before[0], stage.serving("blog") == before[1]) == (False, True)
    assert stage.run("run", "--force", "shoop") == 2


def test_converge_repeats_what_the_service_could_not_do(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.site()
    program = f"import sys; sys.path.insert(0, {str(Path(_acme.__file__).parent)!r}); import _acme; from pathlib import Path; "
    program += f"_acme.main(['run'], _acme.Places(Path({str(stage.places.entries)!r}), Path({str(stage.places.state)!r})))"
    (stage.folder / "service.py").write_text(program)
    stage.program(
        "systemctl",
        f"#!/bin/sh\n[ $1 = start ] && exec python3 {stage.folder}/service.py 2>/dev/null >&2\nexit 0\n",
    )
    stage.act(DOWN)
    assert stage.run("start") == 1
    assert "shop: tls.acme: " + DIRECTORY in capsys.readouterr().out
    stage.act(ISSUE)
    assert stage.run("start") == 0


def test_words_of_lego() -> None:
    output = (
        "2026/11/24 22:00:00 [INFO] acme: Registering account\n"
        "2026/11/24 22:00:01 [INFO] [a.test] acme: use http-01 solver\n"
        "2026/11/24 22:00:05 Could not obtain certificates:\n"
        "\terror: one or more domains had a problem:\n"
        "[a.test] acme: error: 403 :: unauthorized :: not this host\n"
    )
    assert lego_words(output).splitlines()[0] == "Could not obtain certificates:"
    assert lego_words(output).endswith("not this host")
    assert lego_words("2026/11/24 22:00:00 [INFO] x\npanic: y\n") == "panic: y"
    assert lego_words("") == ""


@pytest.mark.parametrize(
    ("said", "major"),
    [
        ("lego version 4.9.1 linux/amd64", 4),
        ("lego version 4.35.2 linux/amd64", 4),
        ("lego version v5.3.1+dev-detach linux/amd64", 5),
        ("lego version 5.0.0 linux/amd64", 5),
        ("lego version dev linux/amd64", 4),
    ],
)
def test_major_version(stage: Stage, said: str, major: int) -> None:
    (stage.folder / "version").write_text(said)
    assert _acme.lego_major() == major


def test_lego_5_is_asked_in_its_own_way(stage: Stage) -> None:
    """Options after the command; an account of its own, for it refuses those of lego 4."""
    stage.version("5.3.1")
    stage.site()
    stage.site("star", domains=["*.star.example.com"], dns="exec", dns_check=False)
    assert stage.run() == 0
    plain, star = stage.lines("orders")
    assert plain.startswith("--log.format=json run --accept-tos --path=")
    assert f"--path={stage.places.state}/lego-5 " in plain
    assert "--http --http.webroot=" in plain
    assert "--dns=exec --dns.propagation.disable-ans --dns.propagation.disable-rns" in star
    assert "--dns.disable-cp" not in star
    assert stage.serving() != "first"
    assert not list(stage.places.state.glob("lego-5/certificates/*"))


def test_words_of_lego_5() -> None:
    down = f"get directory at '{DIRECTORY}': connection refused"
    output = (
        '{"time":"2026-11-30T10:00:00Z","level":"INFO","msg":"No key found for account"}\n'
        f'{{"time":"2026-11-30T10:00:01Z","level":"ERROR","msg":"Error","error":"set up client: {down}"}}\n'
    )
    assert lego_words(output) == f"Could not get it: set up client: {down}"


def test_lego_5_that_reaches_no_authority_is_asked_once(stage: Stage) -> None:
    stage.version("5.3.1")
    stage.act(
        f"""echo '{{"level":"ERROR","msg":"Error","error":"get directory at {DIRECTORY}: refused"}}'; exit 1\n"""
    )
    stage.site()
    stage.site("blog")
    assert stage.run() == 1
    assert len(stage.lines("orders")) == 1
