"""An app in a container image: what is asked of it, who it is to the host, and how podman is told."""

from __future__ import annotations

import io
import itertools
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils import _apps
from ansible_collections.asgi.host.plugins.module_utils._apps.table import IMAGE_CHECKS
from ansible_collections.asgi.host.plugins.module_utils._process import CommandError
from ansible_collections.asgi.host.plugins.module_utils._release import build, gate, ledger, units
from ansible_collections.asgi.host.plugins.module_utils._release.images import cleanup as image_cleanup
from ansible_collections.asgi.host.plugins.module_utils._release.images import container, inspection
from ansible_collections.asgi.host.plugins.module_utils._release.images import gate as image_gate
from ansible_collections.asgi.host.plugins.module_utils._release.images import source as image_source
from ansible_collections.asgi.host.plugins.module_utils._release.paths import App, Release
from ansible_collections.asgi.host.plugins.plugin_utils import _origins, _specs
from ansible_collections.asgi.host.plugins.plugin_utils._plan import system

PASSWD = "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1001::/home/web:/bin/sh\ntoor:x:0:0::/:/bin/sh\n"
GROUP = "root:x:0:\nweb:x:1001:\nstaff:x:50:\n"
HOST: dict[str, Any] = {
    "cores": 2,
    "memory_mb": 4000,
    "python": {"path": "/usr/bin/python3", "version": "3.13.5"},
}


def complete(**keys: Any) -> dict[str, Any]:
    """A normalized app in an image."""
    app = {"name": "shop", "source": {"image": {"name": "registry.example.com/shop:1.4"}}, **keys}
    return _apps.normalize([app])[0]


def described(app: dict[str, Any]) -> Any:
    """What the module is told of it."""
    common = {"root": "/srv/asgi", "host": HOST, "server_pins": ["gunicorn==27.0.1"]}
    return _specs.describe(app, common, _origins.origin(app, ["."]), by="a@b")


def secret(app: dict[str, Any]) -> Any:
    """What must not be shown of it."""
    return _specs.private(app, ["."])


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Release:
    """A release on disk whose image is known."""
    monkeypatch.setattr(App, "secrets", property(lambda self: tmp_path / "etc" / self.name))
    monkeypatch.setattr(container, "uid_of", lambda name: 995)
    monkeypatch.setattr(container, "gid_of", lambda name: 994)
    made = App(tmp_path, "shop", "asgi-shop").release("20261125T010203-abcdef")
    made.source.mkdir(parents=True)
    ledger.write(made, {"image": {"id": "1234", "uid": 10001, "gid": 0, "sets": ["PYTHONUNBUFFERED"]}})
    return made


@pytest.mark.parametrize(
    ("user", "wanted"),
    [
        ("10001", (10001, 0)),
        ("1000", (1000, 1001)),
        ("web", (1000, 1001)),
        ("web:staff", (1000, 50)),
        ("10001:10002", (10001, 10002)),
        ("10001:staff", (10001, 50)),
    ],
)
def test_user_of_an_image(user: str, wanted: tuple[int, int]) -> None:
    assert inspection.user_of(user, PASSWD, GROUP) == wanted


@pytest.mark.parametrize(
    ("user", "words"),
    [
        ("", "has no USER"),
        ("root", "is root"),
        ("0:10001", "is root"),
        ("toor", "is root"),
        ("shopkeeper", "not in /etc/passwd"),
        ("web:nobody", "not in /etc/group"),
        (":web", "has no USER"),
    ],
)
def test_an_image_of_root_is_refused_with_the_fix(user: str, words: str) -> None:
    with pytest.raises(build.BuildError, match=words) as caught:
        inspection.user_of(user, PASSWD, GROUP)
    assert "USER 10001" in str(caught.value)


@pytest.mark.parametrize("inside", [0, 1, 10001, 65535, 65536, 1_000_840_000])
def test_the_app_is_its_own_user_and_all_others_are_nobody(inside: int) -> None:
    ranges = [tuple(map(int, each.split(":"))) for each in container.mapping(inside, 995, 1 << 30)]
    known = {
        start + step: there + step
        for start, there, count in ranges
        for step in ({0, 1, count - 1} if count > 1 else {0})
    }
    assert known[inside] == 995
    assert all(there >= 1 << 30 for number, there in known.items() if number != inside)
    covered = sorted((start, start + count) for start, _host, count in ranges)
    assert all(left[1] <= right[0] for left, right in itertools.pairwise(covered))
    assert sum(count for _id, _id, count in ranges) == container.IDS + (inside >= container.IDS)


def test_numbers_of_two_apps_differ_and_are_none_of_peoples() -> None:
    one, other = container.first_id("shop"), container.first_id("blog")
    assert abs(one - other) >= container.IDS
    assert all(600_100_000 + container.IDS < each < 1_878_982_656 for each in (one, other))


@pytest.mark.parametrize(
    ("word", "wanted"),
    [
        ("--read-only", "--read-only"),
        ("localhost/asgi-shop:20261125T010203-abcdef", "localhost/asgi-shop:20261125T010203-abcdef"),
        ("", '""'),
        ("a b", '"a b"'),
        ('50% "$HOME" \\', '"50%% \\"$$HOME\\" \\\\"'),
        ("two\nlines", '"two\\nlines"'),
        (";", '";"'),
    ],
)
def test_words_reach_the_program_as_they_are(word: str, wanted: str) -> None:
    assert container.quoted(word) == wanted


def test_variables_and_secrets(release: Release) -> None:
    app = complete(
        workers=3,
        env={"DATA": "{data}/x", "GUNICORN_CMD_ARGS": "--threads=4", "PATHLIKE": "$HOME 'x' #"},
        secrets={"KEY": "one\ntwo"},
        credentials={"token": "sesame"},
    )
    files = container.secret_files(release, described(app), secret(app))
    assert set(files) == {"environment", "container.env", "credentials/token"}
    lines = files["container.env"].splitlines()
    assert "DATA=/var/lib/asgi/shop/x" in lines
    assert "PATHLIKE=$HOME 'x' #" in lines, "podman takes a value as it stands"
    assert "WEB_CONCURRENCY=3" in lines
    assert "FORWARDED_ALLOW_IPS=*" in lines
    assert "UVICORN_TIMEOUT_KEEP_ALIVE=75" in lines
    assert "CREDENTIALS_DIRECTORY=/run/credentials" in lines
    assert "GUNICORN_CMD_ARGS=--threads=4" in lines, "what the app says goes before what is proposed"
    assert not [line for line in lines if line.startswith("PYTHONUNBUFFERED")], "the image sets it itself"
    assert not [line for line in lines if "one" in line or line.startswith("KEY")]
    assert files["environment"] == 'KEY="one\ntwo"\n'


def test_unit_of_an_image(release: Release) -> None:
    app = complete(
        secrets={"KEY": "hush\nhush"}, command=["gunicorn", "--bind=$X", "a b"], sandbox={"network": "none"}
    )
    text = container.unit_text(release, described(app), secret(app))
    assert "hush" not in text
    start = next(line for line in text.splitlines() if line.startswith("ExecStart=/"))
    for wanted in (
        " --uidmap=10001:995:1 ", " --gidmap=0:994:1 ", " --read-only ", " --cap-drop=all ", " --network=none ",
        " --security-opt=no-new-privileges ", " --pull=never ", " --env=KEY ", " --sdnotify=conmon ",
    ):  # fmt: skip
        assert wanted in start
    assert start.endswith('localhost/asgi-shop:20261125T010203-abcdef gunicorn "--bind=$$X" "a b"')
    settings = described(app)["texts"]["release.conf"]
    assert "ExecStart" not in settings
    assert "User=root" in settings


def test_image_is_its_own_server() -> None:
    app = complete()
    assert app["server"] == "image"
    spec = described(app)
    assert (spec["files"], spec["server_pins"], spec["python"]) == ({}, [], None)
    assert system.packages([app], [], proxy=False) == [
        "ca-certificates", "crun", "openssl", "podman", "python3", "python3-venv", "skopeo",
    ]  # fmt: skip
    plain = _apps.normalize([{"name": "a", "app": "a:b", "source": {"path": "x"}}])
    assert "podman" not in system.packages(plain, [], proxy=False)


def test_defaults_of_all_apps_do_not_reach_an_image() -> None:
    defaults = {
        "python": ">=3.12",
        "server": "uvicorn",
        "shared": [{"path": "up"}],
        "packages": ["libpq5"],
        "app": "a:b",
    }
    app = {"name": "shop", "source": {"image": {"path": "../shop"}}}
    assert _apps.problems([app], defaults) == []
    full = _apps.normalize([app], defaults)[0]
    assert (full["server"], full["python"], full["shared"], full["packages"]) == ("image", None, [], [])


@pytest.mark.parametrize(
    "name",
    [
        "registry.example.com/shop:1.4",
        "docker://registry.example.com:5000/team/shop:latest",
        "localhost:5000/shop:1",
        "localhost/shop@sha256:" + "0" * 64,
        "r.example/a-b/c_d/e__f:v1@sha256:" + "a" * 64,
        "oci:/srv/images/shop:1.4",
    ],
)
def test_names_of_images(name: str) -> None:
    assert _apps.problems([{"name": "shop", "source": {"image": {"name": name}}}]) == []


def test_login_is_in_no_message_and_in_no_digest() -> None:
    app = {
        "name": "shop",
        "source": {"image": {"name": "r.example/shop:1", "auth": {"username": "bob", "pass": "hu5h"}}},
    }
    found = _apps.problems([app])
    assert found
    assert "hu5h" not in "".join(found)
    full = complete(
        source={"image": {"name": "r.example/shop:1", "auth": {"username": "bob", "password": "hu5h"}}}
    )
    assert "hu5h" not in str(described(full))
    assert _specs.private(full, ["."])["registry"] == {"username": "bob", "password": "hu5h"}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("r.example:5000/shop:1", "docker://r.example:5000/shop:1"),
        ("docker://r.example/shop:1", "docker://r.example/shop:1"),
        ("r.example:5000/shop:1@sha256:ab", "docker://r.example:5000/shop@sha256:ab"),
        ("oci:/srv/shop:1", "oci:/srv/shop:1"),
    ],
)
def test_skopeo_takes_no_tag_beside_a_digest(name: str, wanted: str) -> None:
    assert image_source.transport(name) == wanted


def test_registry_that_is_down_leaves_what_is_known(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(argv: list[str], **_: Any) -> str:
        raise CommandError(argv, "exit status 1", "no route to host")

    spec = described(complete())
    monkeypatch.setattr(image_source, "run", lambda argv, **_: "sha256:new\n")
    assert image_source.resolved_digest(spec, None, release) == "sha256:new"
    monkeypatch.setattr(image_source, "run", down)
    ledger.update(release, image={"asked": "sha256:old"})
    assert image_source.resolved_digest(spec, None, release) == "sha256:old"
    assert image_source.resolved_digest(spec, None, None) == ""
    pinned = described(complete(source={"image": {"name": "r.example/shop@sha256:" + "0" * 64}}))
    monkeypatch.setattr(image_source, "run", lambda *_, **__: pytest.fail("a digest is asked for"))
    assert image_source.resolved_digest(pinned, None, release) == ""


def test_archives(tmp_path: Path) -> None:
    def written(name: str, *members: str) -> Path:
        path = tmp_path / name
        with tarfile.open(path, "w:gz") as tar:
            for member in members:
                tar.addfile(tarfile.TarInfo(member), io.BytesIO())
        return path

    assert image_source.kind_of(written("a.tar", "0a/layer.tar", "manifest.json")) == "docker-archive"
    assert image_source.kind_of(written("b.tar", "./oci-layout", "./index.json")) == "oci-archive"
    with pytest.raises(build.BuildError, match="holds no image"):
        image_source.kind_of(written("c.tar", "shop/main.py"))
    broken = tmp_path / "d.tar"
    broken.write_bytes(b"\x1f\x8b nothing")
    with pytest.raises(build.BuildError, match="no tar"):
        image_source.kind_of(broken)


def test_origins(tmp_path: Path) -> None:
    given: dict[str, Any] = dict.fromkeys(IMAGE_CHECKS)
    folder = {**given, "path": str(tmp_path), "build_args": {}}
    with pytest.raises(_origins.SourceError, match="no file Dockerfile or Containerfile"):
        _origins.image(folder, ["."]).describe()
    (tmp_path / "Containerfile").write_text("FROM x\n")
    first = _origins.image(folder, ["."]).describe()
    assert first["image"]["dockerfile"] == "Containerfile"
    digests = {
        first["digest"],
        _origins.image({**folder, "target": "web"}, ["."]).describe()["digest"],
        _origins.image({**folder, "build_args": {"A": "1"}}, ["."]).describe()["digest"],
    }
    assert len(digests) == 3
    archive = tmp_path / "shop-1.4.tar.gz"
    archive.write_bytes(b"x")
    found = _origins.image({**given, "archive": str(archive)}, ["."]).describe()
    assert found["version"] == "shop-1.4"
    with pytest.raises(_origins.SourceError, match=f"has the digest {found['digest']}, not 0000"):
        _origins.image({**given, "archive": str(archive), "sha256": "0" * 64}, ["."]).describe()


def test_gate_says_where_the_program_listens(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "states", lambda names: {})
    monkeypatch.setattr(gate.Gate, "passes", _refuse)
    own = image_gate.ContainerGate([], "localhost", "")
    assert own.entry() == gate.Gate([], "localhost", "").entry()
    monkeypatch.setattr(image_gate, "wrong_port", lambda release: 8000)
    with pytest.raises(gate.GateError, match=r"no answer\nThe program listens on port 8000.*--fd 3"):
        own.passes(release)
    monkeypatch.setattr(image_gate, "wrong_port", lambda release: None)
    with pytest.raises(gate.GateError, match=r"no answer$"):
        own.passes(release)


def _refuse(*_: object) -> None:
    raise gate.GateError("no answer")


def test_images_of_others_are_not_touched(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = [
        f"localhost/asgi-shop:{release.id}", "localhost/asgi-shop:20200101T000000-aaaaaa", "localhost/asgi-shop-two:x",
        "docker.example/python:3",
    ]  # fmt: skip
    monkeypatch.setattr(image_cleanup, "PODMAN", "/bin/sh")
    monkeypatch.setattr(image_cleanup, "run", lambda argv, **_: "\n".join(listed))
    assert image_cleanup.left_behind(release.app) == ["localhost/asgi-shop:20200101T000000-aaaaaa"]


def test_link_that_leads_out_of_what_was_copied(tmp_path: Path) -> None:
    (tmp_path / "static").mkdir()
    (tmp_path / "static" / "a").symlink_to("b")
    inspection.check_links_inside(tmp_path)
    (tmp_path / "static" / "shadow").symlink_to("/etc/shadow")
    with pytest.raises(build.BuildError, match="static/shadow in the image is a link"):
        inspection.check_links_inside(tmp_path)


def test_only_what_a_killed_build_of_the_app_left_is_cleared_away() -> None:
    since, begin = "2026-11-25T03:42:28Z", 1795578148
    named = [
        ("first of ours", ["buildah"], "base", begin + 1),
        ("ours", ["buildah"], "layer", begin + 2),
        ("ours later", ["buildah"], "layer2", begin + 9),
        ("somebody's", ["buildah"], "base", begin - 60),
        ("somebody's later", ["buildah"], "base", begin + 5),
        ("serves", ["gunicorn"], "layer", begin - 900),
    ]
    found = [dict(zip(("Id", "Command", "ImageID", "Created"), each, strict=True)) for each in named]
    layers = {"layer", "layer2"}
    assert sorted(image_cleanup.abandoned(found, layers, since)) == ["first of ours", "ours", "ours later"]
    assert image_cleanup.abandoned(found, layers, "") == ["ours", "ours later"]
    assert image_cleanup.abandoned(found, set(), since) == []
