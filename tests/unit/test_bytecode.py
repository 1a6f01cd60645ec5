"""The bytecode that is kept on a host: the same modules as from what was sent, compiled once."""

from __future__ import annotations

import importlib
import inspect
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from ansible_collections.asgi.host.plugins.module_utils import _bytecode

PACKAGE = "sent_by_a_test"
SOURCES = {
    "__init__": "",
    "one": "VALUE = 1\n",
    "below/__init__": "",
    "below/two": "def value():\n    return 2\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The cache folder, as the role makes it."""
    path = tmp_path / "cache"
    path.mkdir(mode=0o700)
    monkeypatch.setattr(_bytecode, "FOLDER", path)
    known, paths = set(sys.path_importer_cache), list(sys.path)
    yield path
    forget()
    sys.path[:] = paths
    for each in set(sys.path_importer_cache) - known:
        del sys.path_importer_cache[each]


def forget() -> None:
    """As in a new process."""
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def called(tmp_path: Path, **changed: str) -> tuple[ModuleType, ModuleType]:
    """The modules as one call imports them, whose archive lies in a folder of its own."""
    forget()
    archive = tmp_path / f"call-{len(list(tmp_path.iterdir()))}" / "payload.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as sent:
        for name, text in {**SOURCES, **changed}.items():
            sent.writestr(f"{PACKAGE}/{name}.py", text)
    sys.path.insert(0, str(archive))
    importlib.import_module(PACKAGE)
    _bytecode.use(PACKAGE)
    one, two = importlib.import_module(f"{PACKAGE}.one"), importlib.import_module(f"{PACKAGE}.below.two")
    assert (one.__file__, two.__file__) == (
        f"{archive}/{PACKAGE}/one.py",
        f"{archive}/{PACKAGE}/below/two.py",
    )
    assert inspect.getsource(two) == SOURCES["below/two"]
    return one, two


def kept(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something was compiled")

    monkeypatch.setattr(_bytecode, "compile", refuse, raising=False)
    monkeypatch.setattr(
        "zipimport._compile_source",
        lambda path, source: refuse() if source.strip() else compile("", path, "exec"),
    )


def test_second_call_compiles_nothing(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called(tmp_path)
    assert len(kept(folder)) == 1
    compiles_nothing(monkeypatch)
    one, two = called(tmp_path)
    assert (one.VALUE, two.value()) == (1, 2)
    assert len(kept(folder)) == 1


def test_changed_source_is_another(tmp_path: Path, folder: Path) -> None:
    """Of the same length, as a corrected number is."""
    called(tmp_path)
    one, _two = called(tmp_path, one="VALUE = 7\n")
    assert one.VALUE == 7
    assert len(kept(folder)) == 2


def test_others_are_kept_but_not_all(tmp_path: Path, folder: Path) -> None:
    for number in range(_bytecode.OTHERS + 4):
        called(tmp_path, one=f"VALUE = {number}\n")
    assert len(kept(folder)) == _bytecode.OTHERS + 1


@pytest.mark.parametrize("content", [b"", b"\0" * 4096, None], ids=["empty", "zeros", "cut off"])
def test_what_a_power_cut_left_is_written_anew(tmp_path: Path, folder: Path, content: bytes | None) -> None:
    called(tmp_path)
    (path,) = kept(folder)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] if content is None else content)
    one, two = called(tmp_path)
    assert (one.VALUE, two.value()) == (1, 2)
    assert path.read_bytes() == whole


@pytest.mark.parametrize("mode", [None, 0o755, 0o770], ids=["no folder", "readable", "writable"])
def test_without_a_folder_of_roots_alone_nothing_is_kept(
    tmp_path: Path, folder: Path, mode: int | None
) -> None:
    """As on a host that the role has not been on, which a run with --check leaves as it is."""
    if mode is None:
        folder.rmdir()
    else:
        folder.chmod(mode)
    one, two = called(tmp_path)
    assert (one.VALUE, two.value()) == (1, 2)
    assert mode is None or not kept(folder)
    assert folder.is_dir() == (mode is not None)


def test_link_in_the_place_of_the_folder_is_not_followed(tmp_path: Path, folder: Path) -> None:
    folder.rmdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    folder.symlink_to(elsewhere)
    called(tmp_path)
    assert not kept(elsewhere)


def test_modules_that_are_files_are_left_to_python(folder: Path) -> None:
    _bytecode.use("ansible_collections.asgi.host.plugins.module_utils")
    assert not kept(folder)
