"""Which files of a folder are sent, with real git."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from ansible_collections.asgi.host.plugins.plugin_utils import _git_command, _origins, _sent, _sources
from ansible_collections.asgi.host.plugins.plugin_utils._sent import Selection

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n-----END OPENSSH PRIVATE KEY-----\n"
BUNDLE = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\nx\n"
POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12345\n"
OUTSIDE = {
    "app.py",
    ".gitignore",
    "data/db.sqlite3",
    "dist/app.js",
    "notes.log",
    ".env.example",
    "public.pem",
}


def git(folder: Path, *argv: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "protocol.file.allow=always"]
    subprocess.run(["git", "-C", str(folder), *identity, *argv], check=True, capture_output=True)


def names(folder: Path, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> set[str]:
    return {name for name, _path in Selection(folder, include, exclude).entries}


def fill(folder: Path) -> Path:
    files = {
        "app.py": 'KEY = """\n-----BEGIN PRIVATE KEY-----\n"""\n',
        ".gitignore": "dist/\n*.log\ndata/\n.env\n",
        "data/db.sqlite3": "SQLite format 3\0",
        "dist/app.js": "1",
        "notes.log": "x",
        ".env": "SECRET_KEY=x\n",
        ".env.example": "SECRET_KEY=\n",
        "conf/.env.production": "SECRET_KEY=x\n",
        "certs/server.key": BUNDLE,
        "id_ed25519": KEY,
        "public.pem": "-----BEGIN CERTIFICATE-----\n",
        "__pycache__/app.pyc": "x",
        "venv/bin/python": "x",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    return fill(tmp_path / "plain")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = fill(tmp_path / "checkout")
    git(folder, "init", "-q")
    git(folder, "add", "app.py", ".gitignore")
    git(folder, "commit", "-q", "-m", "x")
    return folder


def test_outside_of_git_all_goes_but_what_is_of_one_machine(plain: Path) -> None:
    assert names(plain) == OUTSIDE


def test_of_a_checkout_goes_what_git_would_commit(checkout: Path) -> None:
    assert names(checkout) == OUTSIDE - {"data/db.sqlite3", "dist/app.js", "notes.log"}


def test_what_is_tracked_goes_though_it_is_ignored_or_a_key(checkout: Path) -> None:
    git(checkout, "add", "--force", "dist/app.js", "certs/server.key", "venv/bin/python", ".env")
    found = names(checkout)
    assert {"dist/app.js", "certs/server.key", "venv/bin/python"} <= found
    assert ".env" not in found
    (checkout / "dist" / "app.js").unlink()
    assert "dist/app.js" not in names(checkout)


def test_folder_below_the_top_has_its_own_names(checkout: Path) -> None:
    backend = checkout / "back[e]nd"
    backend.mkdir()
    (backend / "main.py").write_text("x")
    (backend / "x.log").write_text("x")
    assert names(backend) == {"main.py"}
    assert _sent.Selection(backend).left_out() == ["x.log"]


def test_folder_that_is_ignored_as_a_whole_is_no_checkout(checkout: Path) -> None:
    assert names(checkout / "dist") == {"app.js"}


def test_included_wins(checkout: Path) -> None:
    usual = names(checkout)
    assert names(checkout, ["dist/"], ["dist/", "app.py"]) == usual - {"app.py"} | {"dist/app.js"}
    assert names(checkout, ["*.log"]) == usual | {"notes.log"}


@pytest.mark.parametrize("which", ["plain", "checkout"])
def test_what_is_of_one_machine_goes_by_its_name_alone(which: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(which)
    secret = {".env", "conf/.env.production", "certs/server.key", "id_ed25519"}
    assert not secret & names(folder, ["*", "conf/", "/certs/**"])
    assert secret <= names(folder, [".env*", "certs/server.key", "id_ed25519"])


def test_database_that_git_ignores_goes_by_its_name_alone(checkout: Path) -> None:
    (checkout / "data" / "seed.json").write_text("[]")
    assert {"data/seed.json"} == {name for name in names(checkout, ["data/"]) if name.startswith("data/")}
    assert "data/db.sqlite3" in names(checkout, ["data/*.sqlite3"])


def test_what_tools_leave_goes_where_a_pattern_spells_it_out(plain: Path) -> None:
    assert "venv/bin/python" not in names(plain, ["*"])
    assert "venv/bin/python" in names(plain, ["venv/"])
    (plain / ".git").mkdir()
    (plain / ".git" / "config").write_text("")
    git(plain, "init", "-q")
    assert not [name for name in names(plain, [".git/", "*"]) if name.startswith(".git/")]


def test_pattern_that_brings_nothing_is_named(checkout: Path) -> None:
    patterns = ["dist/", "web/dist/", "!x", "data/", "/app.py"]
    assert Selection(checkout, patterns).unmatched() == [1, 3]
    found = _origins.Folder(str(checkout), ["."], include=patterns).problems()
    assert [line.partition(":")[0] for line in found] == ["source.include[1]", "source.include[3]"]


def test_submodule_and_nested_checkout_go_along(checkout: Path, tmp_path: Path) -> None:
    lib = tmp_path / "lib"
    lib.mkdir()
    git(lib, "init", "-q")
    (lib / "lib.py").write_text("x")
    (lib / ".gitignore").write_text("*.so\n")
    git(lib, "add", "-A")
    git(lib, "commit", "-q", "-m", "x")
    git(checkout, "submodule", "--quiet", "add", str(lib), "lib")
    git(tmp_path, "clone", "-q", str(lib), str(checkout / "other"))
    for folder in ("lib", "other"):
        (checkout / folder / "x.so").write_text("x")
        (checkout / folder / "new.py").write_text("x")
    found = names(checkout)
    assert {
        f"{folder}/{name}" for folder in ("lib", "other") for name in ("lib.py", "new.py", ".gitignore")
    } <= found
    assert not {"lib/x.so", "other/x.so", "lib/.git", "other/.git/HEAD"} & found


def test_no_index_reaches_behind_a_link(checkout: Path, tmp_path: Path) -> None:
    """A folder that somebody hands over brings its own index, which may name what the folder does not hold."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "credentials").write_text("of the controller")
    (checkout / "conf.d").mkdir()
    (checkout / "conf.d" / "credentials").write_text("x")
    git(checkout, "add", "conf.d")
    (checkout / "conf.d" / "credentials").unlink()
    (checkout / "conf.d").rmdir()
    (checkout / "conf.d").symlink_to(home)
    with (checkout / ".gitignore").open("a") as stream:
        stream.write("/conf.d\n")
    assert "conf.d/credentials" in _git_command.Checkout(checkout).files().tracked  # type: ignore[union-attr]
    assert "conf.d/credentials" not in names(checkout)


def test_what_is_left_out_is_said_in_few_words(checkout: Path) -> None:
    left = Selection(checkout, exclude=["*.log"]).left_out()
    assert left == [".env", "certs/server.key", "conf/.env.production", "id_ed25519", "data/", "dist/"]
    words = _sent.in_words([*left, "more"], checkout)
    assert words.startswith("not sent of checkout: .env, certs/server.key, ")
    assert "more" not in words.split(" and ", maxsplit=1)[0]
    assert words.endswith(" and 1 more (source.include sends what it names)")
    assert _sent.in_words([], checkout) == ""


def test_digest_of_a_checkout_is_that_of_the_same_files_elsewhere(tmp_path: Path) -> None:
    """A release that is there must not be made again because a folder came into git."""
    folder = tmp_path / "shop"
    for name in ("b/a.py", "a.py", "b.py", "a/z", "a-b/x", "B", "a/b/c"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "link").symlink_to("a")
    before = _sources.digest(_sources.entries(folder))
    assert _sources.digest(Selection(folder).entries) == before
    git(folder, "init", "-q")
    git(folder, "add", "a.py", "b")
    assert _sources.digest(Selection(folder).entries) == before


def test_checkout_that_git_cannot_read_is_refused(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (checkout / ".git" / "index").write_bytes(b"x" * 100)
    with pytest.raises(_sources.UnfitError, match=r"(?s)is a checkout, and git cannot say .*put that right"):
        names(checkout)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(_sources.UnfitError, match="install git"):
        names(checkout)


def test_checkout_of_somebody_else_is_read(checkout: Path) -> None:
    if os.geteuid():
        pytest.skip("only root gives files away")
    for base, folders, files in os.walk(checkout):
        for name in (*folders, *files, "."):
            os.chown(f"{base}/{name}", 1234, 1234)
    assert "app.py" in names(checkout)


def test_pipe_and_link_are_not_waited_for(checkout: Path) -> None:
    os.mkfifo(checkout / "pipe")
    (checkout / "link").symlink_to("app.py")
    (checkout / "dist" / "out").symlink_to("/etc/hostname")
    assert {"pipe", "link"} & names(checkout, ["x/"]) == {"link"}
    with pytest.raises(_sources.UnfitError, match="dist/out leads out"):
        names(checkout, ["dist/"])


def test_pointer_of_large_files_is_refused_with_the_fix(checkout: Path) -> None:
    (checkout / "model.bin").write_text(POINTER)
    with pytest.raises(_sources.UnfitError, match=r"model\.bin is a pointer of Git LFS, .*git lfs pull"):
        _origins.Folder(str(checkout), ["."]).describe()
    assert _origins.Folder(str(checkout), ["."], exclude=["*.bin"]).describe()["digest"]


def test_folder_of_a_dockerfile_is_sent_as_a_whole(checkout: Path) -> None:
    assert ".env" in dict(_origins.Context(str(checkout), ["."]).entries())
