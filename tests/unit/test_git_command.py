"""git on folders of others: what they configure is not run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from ansible_collections.asgi.host.plugins.plugin_utils import _git, _origins
from ansible_collections.asgi.host.plugins.plugin_utils._git_command import command
from ansible_collections.asgi.host.plugins.plugin_utils._sources import UnreachableError, version


def git(folder: Path, *argv: str, env: dict[str, str] | None = None) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"]
    return subprocess.run(
        ["git", "-C", str(folder), *identity, *argv],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **(env or {})},
    ).stdout.strip()


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    """What a program of a source would write."""
    return tmp_path / "ran"


@pytest.fixture
def program(tmp_path: Path, ran: Path) -> Path:
    """The program itself, that passes on what it gets."""
    path = tmp_path / "program"
    path.write_text(f"#!/bin/sh\necho ran >> {ran}\ntimeout 2 cat\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "main.py").write_text("app = 1\n")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "x")
    git(folder, "tag", "1.4")
    return folder


def touch(folder: Path) -> None:
    """Other times and as many bytes, so that git must look at the content."""
    for path in folder.glob("*.py"):
        os.utime(path, (1, 1))


def test_version_is_as_git_describes_it(project: Path) -> None:
    assert version(project) == "1.4"
    touch(project)
    assert version(project) == "1.4"
    (project / "new.py").write_text("")
    assert version(project) == "1.4"
    (project / "main.py").write_text("app = 2\n")
    assert version(project) == "1.4-dirty"
    git(project, "commit", "-q", "-a", "-m", "y")
    assert version(project) == git(project, "describe", "--always", "--tags")


def test_no_version_outside_a_checkout(tmp_path: Path) -> None:
    assert version(tmp_path) == ""


def test_git_of_a_hook_is_not_asked(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A play that a hook of another repository starts."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    assert version(project) == "1.4"


def bare_inside(project: Path, program: Path) -> Path:
    """A folder of the project with the files of a bare repository, whose work tree is the project's."""
    folder = project / "assets"
    folder.mkdir()
    for name in ("HEAD", "objects", "refs"):
        there = project / ".git" / name
        subprocess.run(["cp", "-r", str(there), str(folder / name)], check=True)
    (folder / "config").write_text(
        f'[core]\n  repositoryFormatVersion = 0\n  bare = false\n  worktree = ".."\n  fsmonitor = {program}\n  hooksPath = .\n'
    )
    return folder


def test_bare_repository_among_the_files_is_not_one(project: Path, program: Path, ran: Path) -> None:
    folder = bare_inside(project, program)
    # The attack works where git is asked as it comes.
    subprocess.run(["git", "-C", str(folder), "describe", "--always", "--dirty"], check=False)
    assert ran.exists()
    ran.unlink()
    inner = folder / "app"
    inner.mkdir()
    (inner / "main.py").write_text("")
    for source in (folder, inner):
        assert _origins.Folder(str(source), ["."]).describe()["version"] == ""
    assert not ran.exists()


@pytest.mark.parametrize("name", ["x", "a=b.c"])
def test_configuration_of_an_unpacked_checkout_starts_nothing(
    project: Path, program: Path, ran: Path, name: str
) -> None:
    """Its ``.git`` came with it: monitor, filters and hooks."""
    (project / ".gitattributes").write_text(f"*.py filter={name}\n")
    with (project / ".git" / "config").open("a") as stream:
        stream.write(
            f'[core]\n  fsmonitor = {program}\n[filter "{name}"]\n  clean = {program}\n  required = true\n'
        )
    (project / ".git" / "info" / "attributes").write_text(f"*.py filter={name}\n")
    touch(project)
    assert version(project) == "1.4"
    source = _origins.Folder(str(project), ["."], include=["*.log"])
    assert [name for name, _path in source.entries()] == [".gitattributes", "main.py"]
    assert source.not_sent() == ""
    assert not ran.exists()
    subprocess.run(["git", "-C", str(project), "status"], check=True, capture_output=True)
    assert ran.exists()


def test_objects_that_lack_are_not_fetched(project: Path, program: Path, ran: Path) -> None:
    for setting in (
        ("extensions.partialClone", "origin"),
        ("core.repositoryFormatVersion", "1"),
        ("remote.origin.promisor", "true"),
        ("remote.origin.url", f"ext::{program} x"),
        ("protocol.ext.allow", "always"),
    ):
        git(project, "config", *setting)
    tree = git(project, "rev-parse", "HEAD^{tree}")
    (project / ".git" / "objects" / tree[:2] / tree[2:]).unlink()
    version(project)
    assert _origins.Folder(str(project), ["."]).entries()
    assert not ran.exists()


def test_files_are_those_of_the_folder_whatever_it_configures(project: Path, tmp_path: Path) -> None:
    git(project, "config", "core.worktree", str(tmp_path))
    (tmp_path / "secret").write_text("x")
    assert [name for name, _path in _origins.Folder(str(project), ["."]).entries()] == ["main.py"]


def test_further_worktree_of_a_repository_is_a_checkout(project: Path, tmp_path: Path) -> None:
    (project / ".git" / "info" / "exclude").write_text("*.log\n")
    git(project, "worktree", "add", "-q", str(tmp_path / "second"))
    (tmp_path / "second" / "x.log").write_text("x")
    assert [name for name, _path in _origins.Folder(str(tmp_path / "second"), ["."]).entries()] == ["main.py"]


def submodule(repository: Path, url: str) -> None:
    """Commit a submodule that is fetched from ``url``."""
    head = git(repository, "rev-parse", "HEAD")
    (repository / ".gitmodules").write_text(f'[submodule "lib"]\n  path = lib\n  url = {url}\n')
    git(repository, "update-index", "--add", "--cacheinfo", f"160000,{head},lib")
    git(repository, "add", ".gitmodules")
    git(repository, "commit", "-q", "-m", "submodule")


@pytest.mark.parametrize("kind", ["ext", "file", "other"])
def test_submodule_names_no_program_and_no_folder(
    project: Path, program: Path, ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    (tmp_path / ".gitconfig").write_text('[protocol "ext"]\n  allow = always\n')
    helper = tmp_path / "git-remote-other"
    helper.symlink_to(program)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    run = tmp_path / "run"
    run.mkdir()
    monkeypatch.setattr(_git, "run_folder", lambda: run)
    submodule(project, {"ext": f"ext::{program} x", "file": f"file://{project}", "other": "other::x"}[kind])
    source = _git.Repository({"repo": str(project)}, ["."], lambda path: Path(path).read_bytes())
    with pytest.raises(UnreachableError, match="not allowed"):
        source.checkout(source.commit())
    assert not ran.exists()


def test_hooks_of_a_template_do_not_run(
    project: Path, program: Path, ran: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    run.mkdir()
    monkeypatch.setattr(_git, "run_folder", lambda: run)
    hooks = tmp_path / "template" / "hooks"
    hooks.mkdir(parents=True)
    (hooks / "post-checkout").symlink_to(program)
    (tmp_path / ".gitconfig").write_text(f"[init]\n  templateDir = {hooks.parent}\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    source = _git.Repository({"repo": str(project)}, ["."], lambda path: Path(path).read_bytes())
    assert (source.checkout(source.commit()) / "main.py").is_file()
    assert not ran.exists()


def test_every_call_has_the_guards() -> None:
    said = command(["ls-remote", "x"], ["--git-dir=y"])
    for guard in ("safe.bareRepository=explicit", "core.fsmonitor=false", "core.hooksPath=/dev/null"):
        assert said[said.index(guard) - 1] == "-c"
