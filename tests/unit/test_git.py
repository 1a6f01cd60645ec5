"""A repository as a source, with real git on a local one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.asgi.host.plugins.plugin_utils import _git
from ansible_collections.asgi.host.plugins.plugin_utils._sources import SourceError, UnreachableError


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
