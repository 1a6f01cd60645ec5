"""Copies that root makes of what others wrote."""

from __future__ import annotations

import inspect
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.asgi.host.plugins.module_utils import _trees
from ansible_collections.asgi.host.plugins.module_utils._release import bench, copies, requirements, tree


def take(source: Path, target: Path) -> None:
    with _trees.opened(source) as folder:
        copies.take(folder, target)


def test_copy_is_a_copy_with_modes_of_its_own(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "bin").mkdir(parents=True, mode=0o700)
    secret = tmp_path / "secret"
    secret.write_text("s")
    (source / "link").symlink_to(secret)
    (source / "cached").write_text("code")
    os.link(source / "cached", tmp_path / "in-the-cache")
    (source / "bin" / "run").write_text("x")
    (source / "bin" / "run").chmod(0o6777)
    (source / "closed").write_text("c")
    (source / "closed").chmod(0o600)
    os.utime(source / "closed", ns=(1_000_000_007, 1_000_000_007))
    take(source, target)
    assert os.readlink(target / "link") == str(secret)
    assert not (target / "cached").samefile(source / "cached")
    assert (target / "cached").stat().st_nlink == 1
    modes = {name: (target / name).stat().st_mode & 0o7777 for name in ("bin", "bin/run", "closed", "cached")}
    assert modes == {"bin": 0o755, "bin/run": 0o755, "closed": 0o644, "cached": 0o644}
    assert (target / "closed").stat().st_mtime_ns == 1_000_000_007


def pipe(path: Path) -> None:
    os.mkfifo(path)


def deep(path: Path) -> None:
    for _level in range(_trees.DEPTH_MAX + 2):
        path = path / "d"
    path.mkdir(parents=True)


@pytest.mark.parametrize("make", [pipe, deep])
def test_what_no_release_may_have_is_named(tmp_path: Path, make: Callable[[Path], None]) -> None:
    (tmp_path / "source").mkdir()
    make(tmp_path / "source" / "odd")
    with pytest.raises(_trees.TreeError, match="odd"):
        take(tmp_path / "source", tmp_path / "target")


@pytest.mark.parametrize("swapped", ["work", "work/venv"])
def test_way_to_a_scratch_folder_has_no_link(tmp_path: Path, swapped: str) -> None:
    (tmp_path / "etc" / "venv").mkdir(parents=True)
    (tmp_path / "shop" / "work").mkdir(parents=True)
    (tmp_path / "shop" / "work").rmdir() if swapped == "work" else None
    (tmp_path / "shop" / swapped).symlink_to(tmp_path / "etc")
    with pytest.raises(OSError, match=r"work|venv"), _trees.opened(tmp_path, "shop", "work", "venv"):
        pass


def test_bytecode_goes_to_its_sources_alone(tmp_path: Path) -> None:
    made, source, outside = tmp_path / "made", tmp_path / "source", tmp_path / "outside"
    for folder in (source / "pkg", outside):
        folder.mkdir(parents=True)
    (source / "away").symlink_to(outside)
    for name in ("pkg", "away", "nowhere"):
        (made / name / "__pycache__").mkdir(parents=True)
        (made / name / "__pycache__" / "m.cpython-311.pyc").write_text("b")
        (made / name / "__pycache__" / "m.py").write_text("no bytecode")
    with _trees.opened(made) as handle:
        copies.take_bytecode(handle, source)
    assert [path.name for path in source.rglob("m*")] == ["m.cpython-311.pyc"]
    assert list(outside.iterdir()) == []


def archive(path: Path, *members: tuple[str, bytes, str]) -> Path:
    """A tar of these names, kinds and contents or targets."""
    with tarfile.open(path, "w:gz") as tar:
        for name, kind, content in members:
            member = tarfile.TarInfo(name)
            member.type, member.mode = kind, 0o4770
            if kind == tarfile.REGTYPE:
                member.size = len(content)
            else:
                member.linkname = content
            tar.addfile(member, io.BytesIO(content.encode()))
    return path


def test_source_is_unpacked_with_modes_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    members = [
        ("pkg/m.py", tarfile.REGTYPE, "code"),
        ("./pkg/same.py", tarfile.LNKTYPE, "pkg/m.py"),
        ("empty", tarfile.DIRTYPE, ""),
        ("link", tarfile.SYMTYPE, "pkg/m.py"),
    ]
    copies.unpack(archive(tmp_path / "a", *members), tmp_path / "src")
    assert (
        (tmp_path / "src" / "link").read_text()
        == (tmp_path / "src" / "pkg" / "same.py").read_text()
        == "code"
    )
    assert (tmp_path / "src" / "pkg" / "m.py").stat().st_mode & 0o7777 == 0o755
    assert (tmp_path / "src" / "empty").stat().st_mode & 0o7777 == 0o755


@pytest.mark.parametrize(
    "members",
    [
        [("../out", tarfile.REGTYPE, "x")],
        [("/out", tarfile.REGTYPE, "x")],
        [("away", tarfile.SYMTYPE, ".."), ("away/out", tarfile.REGTYPE, "x")],
        [("out", tarfile.SYMTYPE, "../out"), ("out", tarfile.REGTYPE, "x")],
        [("out", tarfile.FIFOTYPE, "")],
        [("out", tarfile.CHRTYPE, "")],
    ],
)
def test_archive_writes_nothing_outside(tmp_path: Path, members: list[tuple[str, bytes, str]]) -> None:
    (tmp_path / "src").mkdir()
    with pytest.raises(OSError, match=r"out|away"):
        copies.unpack(archive(tmp_path / "a", *members), tmp_path / "src")
    assert not (tmp_path / "out").exists()


def test_damaged_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "a").write_bytes(
        archive(tmp_path / "b", ("m", tarfile.REGTYPE, "x" * 9999)).read_bytes()[:60]
    )
    with pytest.raises(_trees.TreeError, match="archive"):
        copies.unpack(tmp_path / "a", tmp_path / "src")


def test_requirement_file_that_leads_out_of_the_source_is_not_read(tmp_path: Path) -> None:
    source, secret = tmp_path / "src", tmp_path / "secret"
    source.mkdir()
    secret.write_text("-----BEGIN PRIVATE KEY-----\n")
    (source / "requirements.txt").symlink_to(secret)
    (source / "base.txt").write_text("-r ../secret\n")
    for name in ("requirements.txt", "base.txt"):
        with pytest.raises(requirements.UnreadableError, match="out of the source"):
            requirements.read([source / name], [source])


def test_copy_of_a_live_folder_leaves_out_what_is_no_source(tmp_path: Path) -> None:
    source = tmp_path / "live"
    for name in (".venv", "pkg/__pycache__"):
        (source / name).mkdir(parents=True)
    (source / "pkg" / "m.py").touch()
    (source / "pkg" / "logo.png").touch()
    os.mkfifo(source / "pipe")
    order = {"from": str(source), "to": str(tmp_path / "copy"), "live": True}
    bench.copy(order)
    assert sorted(path.name for path in (tmp_path / "copy").rglob("*")) == ["logo.png", "m.py", "pkg"]


def test_what_the_compiler_warns_of_is_no_answer(tmp_path: Path) -> None:
    """Its warnings go where the answers go: the controller took a module with one for the end of the sandbox."""
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "one.py").write_text("print(1 is 1)\n")
    order = {
        "do": "compile",
        "from": f"{tmp_path}/from",
        "to": f"{tmp_path}/to",
        "as": "/srv",
        "strict": True,
    }
    program = [sys.executable, "-I", "-S", "-c", inspect.getsource(bench)]
    done = subprocess.run(
        program,
        input=f"{json.dumps(order)}\n",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {"status": 0, "output": ""}


@pytest.mark.parametrize("count", [1, 2 * bench.MODULES_EACH])
def test_bytecode_is_of_where_the_modules_will_be(tmp_path: Path, count: int) -> None:
    source = tmp_path / "src"
    source.mkdir()
    for number in range(count):
        (source / f"m{number}.py").write_text("def where():\n    pass\n")
    order = {"from": str(source), "to": str(tmp_path / "to"), "as": "/srv/asgi/shop", "strict": True}
    assert bench.compile_modules(order) == {"status": 0, "output": ""}
    written = list((tmp_path / "to" / "__pycache__").iterdir())
    assert len(written) == count
    assert all(b"/srv/asgi/shop/m" in path.read_bytes() for path in written)
    assert not (source / "__pycache__").exists()
    (source / "m0.py").write_text("def:")
    answer = bench.compile_modules(order)
    assert answer["status"] == 1
    assert "m0.py" in answer["output"]
    assert bench.compile_modules({**order, "strict": False})["status"] == 0


@pytest.mark.parametrize(("mode", "whole"), [(0o644, True), (0o640, False), (0o600, False)])
def test_tree_that_the_app_cannot_read_is_none(tmp_path: Path, mode: int, whole: bool) -> None:
    (tmp_path / "m.py").touch()
    (tmp_path / "m.py").chmod(mode)
    tmp_path.chmod(0o755)
    if os.geteuid() == 0:
        assert bool(tree.stamp(tmp_path)) is whole


def test_what_does_not_fit_is_not_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hole costs a build nothing; root's copy of it went on to the last block that the file system keeps for root."""
    source = tmp_path / "source"
    source.mkdir()
    disk = os.statvfs(tmp_path)
    with (source / "hole").open("wb") as stream:
        stream.truncate(disk.f_bavail * disk.f_frsize + 10_000_000_000)
    with pytest.raises(_trees.TreeError, match="hole: No space left on device"):
        take(source, tmp_path / "target")
    member = tarfile.TarInfo("hole")
    member.size = 1 << 50
    with pytest.raises(_trees.TreeError, match="hole: No space left on device"):
        _trees.unpack(io.BytesIO(member.tobuf()), source)
    (source / "hole").write_text("short")
    monkeypatch.setattr(copies, "must_fit", lambda *_: (source / "hole").write_text("it grows meanwhile"))
    take(source, tmp_path / "grown")
    assert (tmp_path / "grown" / "hole").read_text() == "it gr"


def test_warnings_about_a_module_are_no_answer(tmp_path: Path) -> None:
    """The unit's standard error is the line that its answers go by: Python 3.12 and newer warn of many a package."""
    (tmp_path / "from").mkdir()
    (tmp_path / "from" / "a.py").write_text("x = 1 is 1\n")
    order = {name: str(tmp_path / name) for name in ("from", "to", "as")}
    orders = json.dumps({"do": "compile", **order, "strict": True}) + "\n"
    argv = [sys.executable, "-I", "-S", "-c", inspect.getsource(bench)]
    done = subprocess.run(
        argv, input=orders, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
    )
    assert json.loads(done.stdout) == {"status": 0, "output": ""}
    assert list((tmp_path / "to").rglob("*.pyc"))
