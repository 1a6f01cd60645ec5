"""Trees that somebody else changes: removed, copied, given away, and no link followed."""

from __future__ import annotations

import io
import os
import socket
import tarfile
import threading
from pathlib import Path

import pytest
from ansible_collections.asgi.host.plugins.module_utils import _trees
from ansible_collections.asgi.host.plugins.module_utils._process import CommandError


def deep(top: Path, levels: int) -> None:
    """Make folders as no path could name them."""
    back = os.open(".", os.O_RDONLY)
    try:
        os.chdir(top)
        for _level in range(levels):
            os.mkdir("deep")
            os.chdir("deep")
    finally:
        os.fchdir(back)
        os.close(back)


def test_what_is_removed_is_as_deep_as_it_likes(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "wide").mkdir(parents=True)
    deep(tree, 3000)
    deep(tree / "wide", 1500)
    _trees.remove(tree)
    assert list(tmp_path.iterdir()) == []


def test_removal_follows_no_link(tmp_path: Path) -> None:
    kept, tree = tmp_path / "kept", tmp_path / "tree"
    kept.mkdir()
    (kept / "one").touch()
    tree.mkdir()
    (tree / "link").symlink_to(kept)
    os.link(kept / "one", tree / "same")
    (tmp_path / "link").symlink_to(kept)
    _trees.remove(tree)
    _trees.remove(tmp_path / "link")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (kept / "one").exists()
    with pytest.raises(FileNotFoundError):
        _trees.remove(tree)


def test_folder_swapped_for_a_link_meanwhile_is_not_entered(tmp_path: Path) -> None:
    kept, tree = tmp_path / "kept", tmp_path / "tree"
    kept.mkdir()
    for number in range(50):
        (kept / str(number)).touch()
    for number in range(300):
        (tree / str(number) / "inner").mkdir(parents=True)
    done = threading.Event()
    handle = os.open(tree, os.O_RDONLY)

    def swap() -> None:
        number = 0
        while not done.is_set():
            number = (number + 1) % 300
            try:
                os.rename(str(number), "aside", src_dir_fd=handle, dst_dir_fd=handle)
                os.symlink(kept, str(number), dir_fd=handle)
                os.unlink(str(number), dir_fd=handle)
                os.rename("aside", str(number), src_dir_fd=handle, dst_dir_fd=handle)
            except OSError:
                continue

    racer = threading.Thread(target=swap)
    racer.start()
    try:
        _trees.remove(tree)
    finally:
        done.set()
        racer.join()
        os.close(handle)
    assert len(list(kept.iterdir())) == 50


def test_copy_has_new_files_and_drops_what_it_must_not_have(tmp_path: Path) -> None:
    tree, copy = tmp_path / "tree", tmp_path / "copy"
    (tree / "inner").mkdir(parents=True)
    (tree / "inner" / "file").write_text("x")
    (tree / "inner" / "file").chmod(0o6777)
    os.link(tree / "inner" / "file", tree / "same")
    os.utime(tree / "inner" / "file", (1_600_000_000, 1_600_000_000))
    (tree / os.fsdecode(b"caf\xe9")).touch()
    (tree / "link").symlink_to("inner/file")
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tree / "door"))
        _trees.copy(tree, copy)
    made = (copy / "inner" / "file").stat()
    assert (made.st_mode & 0o7777, made.st_mtime, made.st_nlink) == (0o755, 1_600_000_000, 1)
    assert sorted(map(os.fsencode, os.listdir(copy))) == [b"caf\xe9", b"inner", b"link", b"same"]
    assert os.readlink(copy / "link") == "inner/file"


def test_copy_refuses_pipes_depth_and_what_cannot_be_read(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    os.mkfifo(tree / "pipe")
    with pytest.raises(_trees.TreeError, match="pipe"):
        _trees.copy(tree, tmp_path / "one")
    (tree / "pipe").unlink()
    deep(tree, 200)
    with pytest.raises(_trees.TreeError, match="nested"):
        _trees.copy(tree, tmp_path / "two")
    _trees.remove(tree)
    tree.mkdir()
    with pytest.raises(CommandError):
        _trees.copy(tree, tmp_path / "three", ["false"])


@pytest.mark.parametrize("name", ["../out", "link/out", "/etc/../../out"])
def test_nothing_is_unpacked_outside(tmp_path: Path, name: str) -> None:
    target = tmp_path / "target"
    target.mkdir()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, ".."
        tar.addfile(link)
        tar.addfile(tarfile.TarInfo(name))
    stream.seek(0)
    with pytest.raises(OSError, match=r"leads out|Too many|Not a directory"):
        _trees.unpack(stream, target)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("target", "out"),
    [
        ("inner/file", False),
        ("inner/missing", False),
        ("/etc/shadow", True),
        ("../other", True),
        ("inner/../../other", True),
        # By way of a link that itself stays within.
        ("up/..", True),
        ("TOP/inner", False),
        ("DATA/media", False),
        ("DATA/media/../../../etc", True),
        ("loop", True),
    ],
)
def test_links_that_lead_out(tmp_path: Path, target: str, out: bool) -> None:
    top, data = tmp_path / "top", tmp_path / "data"
    (top / "inner").mkdir(parents=True)
    (top / "inner" / "up").symlink_to("..")
    (top / "up").symlink_to("inner/up")
    link = top / "loop"
    link.symlink_to(target.replace("TOP", str(top)).replace("DATA", str(data)))
    assert ("loop" in dict(_trees.links_that_lead_out(top, [data]))) is out
    assert "up" not in dict(_trees.links_that_lead_out(top, [data]))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_given_tree_is_its_new_owners_and_nobody_elses_is(tmp_path: Path) -> None:
    tree, kept = tmp_path / "tree", tmp_path / "kept"
    (tree / "inner").mkdir(parents=True)
    (tree / "inner" / "file").touch()
    kept.touch()
    (tree / "link").symlink_to(kept)
    os.link(kept, tree / "same")
    _trees.give(tree, 12345, 12346)
    for path in (tree, tree / "inner", tree / "inner" / "file", tree / "link"):
        assert (path.lstat().st_uid, path.lstat().st_gid) == (12345, 12346)
    assert kept.stat().st_uid == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_owner_is_seen_by_the_folder_and_what_is_right_in_it(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "inner").mkdir(parents=True)
    (tree / "lost+found").mkdir()
    _trees.give(tree, 12345, 12346)
    assert _trees.belongs(tree, 12345)
    # A group that somebody has chosen stays.
    os.chown(tree / "inner", 12345, 33)
    _trees.give(tree, 12345, 12346)
    assert (tree / "inner").stat().st_gid == 33
    assert (tree / "lost+found").stat().st_uid == 0
    os.chown(tree / "inner", 4242, 4242)
    assert not _trees.belongs(tree, 12345)
    _trees.give(tree, 12345, 12346)
    os.chown(tree, 4242, 4242)
    assert not _trees.belongs(tree, 12345)
