"""A repository as a source, with real git on a local one."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
from ansible_collections.asgi.host.plugins.plugin_utils import _git, _origins
from ansible_collections.asgi.host.plugins.plugin_utils._sources import (
    SourceError,
    UnfitError,
    UnreachableError,
)


def git(folder: Path, *argv: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
    return subprocess.run(
        ["git", "-C", str(folder), *identity, *argv], check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    run = tmp_path / "run"
    run.mkdir()
    monkeypatch.setattr(_git, "run_folder", lambda: run)
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "-q")
    for number in (1, 2):
        (folder / "version").write_text(str(number))
        (folder / "venv").mkdir(exist_ok=True)
        (folder / "venv" / "kept").write_text("x")
        git(folder, "add", "-A")
        git(folder, "commit", "-q", "-m", str(number))
        git(folder, "tag", "-a", f"v{number}", "-m", "x")
    git(folder, "branch", "old", "HEAD~1")
    return folder


def source(repository: Path, version: str | None = None) -> _git.Repository:
    return _git.Repository({"repo": str(repository), "version": version}, ["."], Path.read_bytes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("version", "revision"), [(None, "HEAD"), ("main", "main"), ("old", "HEAD~1"), ("v1", "v1^{commit}")]
)
def test_branch_and_tag_are_commits(repository: Path, version: str | None, revision: str) -> None:
    commit = git(repository, "rev-parse", revision)
    assert source(repository, version).commit() == commit
    tree = source(repository, version).checkout(commit)
    assert (tree / "version").read_text() == git(repository, "show", f"{commit}:version")
    assert (tree / "venv" / "kept").exists()


def test_commit_in_full_and_in_short(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD~1")
    assert source(repository, commit).commit() == commit
    assert source(repository, commit[:9]).commit() == commit
    assert (source(repository, commit).checkout(commit) / "version").read_text() == "1"


def test_full_commit_asks_nobody(repository: Path) -> None:
    gone = {"repo": "https://name:hush@127.0.0.1:9/x.git", "version": "a" * 40}
    assert _git.Repository(gone, ["."], Path.read_bytes).commit() == "a" * 40  # type: ignore[arg-type]


def test_one_run_sees_one_commit_of_a_branch_that_moves(repository: Path) -> None:
    first = source(repository, "main").commit()
    (repository / "version").write_text("3")
    git(repository, "commit", "-q", "-a", "-m", "3")
    assert source(repository, "main").commit() == first


def test_unknown_version_names_those_that_are_there(repository: Path) -> None:
    with pytest.raises(SourceError, match=r"has no version nonsense; .*there are: main, old, v1, v2"):
        source(repository, "nonsense").commit()
    with pytest.raises(SourceError, match="has no commit"):
        source(repository, "b" * 40).checkout("b" * 40)


def test_server_that_is_down_is_said_without_its_password(repository: Path) -> None:
    down = {"repo": "https://name:hu@sh@127.0.0.1:9/x.git", "version": "main"}
    with pytest.raises(UnreachableError) as caught:
        _git.Repository(down, ["."], Path.read_bytes).commit()  # type: ignore[arg-type]
    assert "sh@" not in str(caught.value)
    assert "https://127.0.0.1:9/x.git" in str(caught.value)


def test_key_is_copied_for_ssh_alone(repository: Path, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(b"line\r\nlast")
    key.chmod(0o644)
    made = _git.Repository(
        {"repo": str(repository), "key_file": str(key)}, ["."], lambda path: Path(path).read_bytes()
    )
    copy = made._folder.with_suffix(".key")
    assert copy.read_bytes() == b"line\nlast\n"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert f"-i {copy}" in made._env["GIT_SSH_COMMAND"]


@pytest.fixture
def with_submodule(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The repository with a neighbour as a submodule, by a relative address."""
    # git fetches submodules from no folder unless it is told to.
    (tmp_path / ".gitconfig").write_text('[protocol "file"]\n    allow = always\n')
    monkeypatch.setenv("HOME", str(tmp_path))
    neighbour = tmp_path / "lib"
    neighbour.mkdir()
    git(neighbour, "init", "-q")
    (neighbour / "lib.py").write_text("")
    git(neighbour, "add", "-A")
    git(neighbour, "commit", "-q", "-m", "x")
    git(repository, "submodule", "--quiet", "add", str(neighbour), "lib")
    git(repository, "config", "--file", ".gitmodules", "submodule.lib.url", "../lib")
    git(repository, "commit", "-q", "-a", "-m", "submodule")
    return repository


def test_relative_submodule_is_found_beside_the_repository(with_submodule: Path) -> None:
    commit = git(with_submodule, "rev-parse", "HEAD")
    assert (source(with_submodule).checkout(commit) / "lib" / "lib.py").is_file()


def test_checkout_that_failed_half_way_can_be_tried_again(with_submodule: Path, tmp_path: Path) -> None:
    commit = git(with_submodule, "rev-parse", "HEAD")
    (tmp_path / "lib").rename(tmp_path / "elsewhere")
    for _turn in range(2):
        with pytest.raises(UnreachableError, match="lib"):
            source(with_submodule).checkout(commit)
    (tmp_path / "elsewhere").rename(tmp_path / "lib")
    assert (source(with_submodule).checkout(commit) / "lib" / "lib.py").is_file()


@pytest.mark.parametrize(
    ("version", "ref"),
    [(None, "main"), ("main", "main"), ("v1", "v1"), ("refs/heads/old", "old"), ("HEAD~1", ""), ("full", "")],
)
def test_branch_or_tag_stands_beside_the_commit(repository: Path, version: str | None, ref: str) -> None:
    if version == "HEAD~1":
        version = git(repository, "rev-parse", version)[:9]
    elif version == "full":
        version = git(repository, "rev-parse", "HEAD")
    given = source(repository, version)
    assert given.ref() == ref
    assert given.ref() == source(repository, version).ref()
    assert _origins.Checkout(given).describe()["ref"] == ref


def packed(origin: _origins.Checkout, scratch: Path) -> list[str]:
    scratch.mkdir(exist_ok=True)
    with tarfile.open(origin.parcel(scratch)) as tar:
        return tar.getnames()


def test_folder_of_a_repository_is_the_source(repository: Path, tmp_path: Path) -> None:
    (repository / "backend" / "docs").mkdir(parents=True)
    (repository / "backend" / "main.py").write_text("")
    (repository / "backend" / "docs" / "x.md").write_text("")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "backend")
    whole = _origins.Checkout(source(repository))
    part = _origins.Checkout(source(repository), "backend", ["docs/"])
    assert packed(part, tmp_path / "a") == ["main.py"]
    assert packed(whole, tmp_path / "b") == ["version", "backend/main.py", "backend/docs/x.md", "venv/kept"]
    assert len({each.describe()["digest"] for each in (whole, part)}) == 2
    with pytest.raises(UnfitError, match=r"source\.git\.folder: .* has no folder api at"):
        packed(_origins.Checkout(source(repository), "api"), tmp_path / "c")


def test_digest_of_a_whole_commit_is_that_of_earlier_versions(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    digest = _origins.Checkout(source(repository)).describe()["digest"]
    assert digest == hashlib.sha256(f"git {commit}".encode()).hexdigest()


def test_folder_that_leads_out_of_the_repository_is_refused(repository: Path, tmp_path: Path) -> None:
    (repository / "out").symlink_to("/etc")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "x")
    with pytest.raises(UnfitError, match="has no folder out"):
        packed(_origins.Checkout(source(repository), "out"), tmp_path / "a")


def test_submodule_of_the_same_server_is_fetched_by_the_deploy_key(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its address is by HTTPS, where nobody has a password."""
    lib = tmp_path / "lib"
    git(tmp_path, "clone", "-q", str(repository), str(lib))
    git(repository, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(lib), "lib")
    address = f"https://git.example.com{lib}"
    git(repository, "config", "--file", ".gitmodules", "submodule.lib.url", address)
    git(repository, "commit", "-q", "-a", "-m", "submodule")
    # ssh to this server, which needs the key: its last word is the command.
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\nfor last; do :; done\nexec sh -c "$last"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(ssh))
    (tmp_path / "key").write_text("key\n")
    given = {"repo": f"ssh://git@git.example.com{repository}", "key_file": str(tmp_path / "key")}
    made = _git.Repository(given, ["."], lambda path: Path(path).read_bytes())
    assert (made.checkout(made.commit()) / "lib" / "version").is_file()
    asked = (tmp_path / "asked").read_text().splitlines()
    assert len([line for line in asked if str(lib) in line]) >= 1
    assert all(".key -o IdentitiesOnly=yes" in line and "git@git.example.com" in line for line in asked)


@pytest.mark.parametrize(
    ("repo", "url"),
    [
        (
            "git@git.example.com:shop/shop.git",
            {"url.git@git.example.com:.insteadOf": "https://git.example.com/"},
        ),
        (
            "ssh://git@git.example.com:2222/shop.git",
            {"url.ssh://git@git.example.com:2222/.insteadOf": "https://git.example.com/"},
        ),
        ("https://git.example.com/shop.git", {}),
    ],
)
def test_addresses_of_the_same_server(
    repository: Path, tmp_path: Path, repo: str, url: dict[str, str]
) -> None:
    (tmp_path / "key").write_text("key\n")
    made = _git.Repository({"repo": repo, "key_file": str(tmp_path / "key")}, ["."], lambda _path: b"")
    assert {key: value for key, value in made._guards().items() if key.startswith("url.")} == url
    without = _git.Repository({"repo": repo}, ["."], lambda _path: b"")
    assert not [key for key in without._guards() if key.startswith("url.")]


POINTER = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'a' * 64}\nsize 12345\n"


def test_pointer_of_large_files_is_refused_where_nothing_resolves_it(
    repository: Path, tmp_path: Path
) -> None:
    (repository / "model.bin").write_text(POINTER)
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "x")
    with pytest.raises(
        SourceError, match=r"(?s)model\.bin is a pointer of Git LFS.*install git-lfs|git could not read"
    ):
        packed(_origins.Checkout(source(repository)), tmp_path / "a")
    assert "model.bin" not in packed(_origins.Checkout(source(repository), None, ["*.bin"]), tmp_path / "b")


@pytest.mark.skipif(shutil.which("git-lfs") is None, reason="the controller has no git-lfs")
def test_large_files_are_resolved_where_git_lfs_is(repository: Path, tmp_path: Path) -> None:
    git(repository, "lfs", "install", "--local")
    git(repository, "lfs", "track", "*.bin")
    (repository / "model.bin").write_bytes(b"weights" * 1000)
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "x")
    assert git(repository, "show", "HEAD:model.bin").startswith("version https://git-lfs")
    (tmp_path / "a").mkdir()
    with tarfile.open(_origins.Checkout(source(repository)).parcel(tmp_path / "a")) as tar:
        content = tar.extractfile("model.bin")
        assert content
        assert content.read() == b"weights" * 1000
