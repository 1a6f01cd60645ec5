"""Archives as sources: what is taken, and what is refused."""

from __future__ import annotations

import hashlib
import io
import os
import random
import tarfile
import zipfile
from pathlib import Path

import pytest
from ansible_collections.asgi.host.plugins.plugin_utils import _archives, _origins
from ansible_collections.asgi.host.plugins.plugin_utils._sources import SourceError


def tar(path: Path, names: list[str], *, link: str | None = None) -> Path:
    with tarfile.open(path, "w:gz") as packed:
        for name in names:
            member = tarfile.TarInfo(name)
            if link is not None:
                member.type, member.linkname = tarfile.SYMTYPE, link
            packed.addfile(member, io.BytesIO(b""))
    return path


def zipped(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as packed:
        for name in names:
            packed.writestr(name, "")
    return path


def unpacked(path: Path, module: str = "shop", app_dir: str = "") -> list[str]:
    into = path.parent / "into"
    into.mkdir()
    root = _archives.unpack(path, into, module=module, app_dir=app_dir)
    return sorted(str(each.relative_to(root)) for each in root.rglob("*") if each.is_file())


@pytest.mark.parametrize(
    ("names", "app_dir", "expected"),
    [
        (["shop-1.0/shop/main.py", "shop-1.0/pyproject.toml"], "", ["pyproject.toml", "shop/main.py"]),
        (["shop/main.py"], "", ["shop/main.py"]),
        (["shop/shop/main.py"], "", ["shop/main.py"]),
        (["shop/shop.py"], "", ["shop.py"]),
        (["top/src/shop/main.py"], "src", ["src/shop/main.py"]),
        (["src/shop/main.py"], "src", ["src/shop/main.py"]),
        (["shop/main.py", "README"], "", ["README", "shop/main.py"]),
    ],
)
def test_folder_at_the_top(tmp_path: Path, names: list[str], app_dir: str, expected: list[str]) -> None:
    assert unpacked(tar(tmp_path / "a.tar.gz", names), app_dir=app_dir) == expected


def test_zip_is_taken_too(tmp_path: Path) -> None:
    assert unpacked(zipped(tmp_path / "a.zip", "x/shop/main.py", "x/setup.py")) == [
        "setup.py",
        "shop/main.py",
    ]


@pytest.mark.parametrize("name", ["../evil.py", "a/../../evil.py", "/etc/evil"])
def test_member_that_leads_out_is_named(tmp_path: Path, name: str) -> None:
    for path in (tar(tmp_path / "a.tar.gz", ["good.py", name]), zipped(tmp_path / "a.zip", "good.py", name)):
        into = tmp_path / path.name.replace(".", "")
        into.mkdir()
        with pytest.raises(SourceError, match="leads out"):
            _archives.unpack(path, into, module="shop", app_dir="")
    assert not (tmp_path / "evil.py").exists()


def test_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="is not unpacked"):
        unpacked(tar(tmp_path / "a.tar.gz", ["inside"], link="../../etc/passwd"))


@pytest.mark.parametrize("known", [True, False], ids=["this Python looks too", "it does not"])
@pytest.mark.parametrize(
    ("kind", "name", "target"),
    [
        (tarfile.SYMTYPE, "x", "/etc"),
        (tarfile.SYMTYPE, "a/x", "../../etc"),
        (tarfile.LNKTYPE, "x", "../secret"),
        (tarfile.LNKTYPE, "x", "/etc/passwd"),
        (tarfile.FIFOTYPE, "x", ""),
        (tarfile.CHRTYPE, "x", ""),
        (tarfile.REGTYPE, "deep/../../x", ""),
        # By way of two links, each of which is harmless where its text is read alone.
        (tarfile.SYMTYPE, "deep/inner/x", "../up/../.."),
    ],
)
def test_no_member_gets_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: bytes, name: str, target: str, known: bool
) -> None:
    if not known:
        for each in ("data_filter", "FilterError"):
            monkeypatch.delattr(tarfile, each, raising=False)
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as packed:
        for folder in ("a", "deep", "deep/inner"):
            member = tarfile.TarInfo(folder)
            member.type = tarfile.DIRTYPE
            packed.addfile(member)
        up = tarfile.TarInfo("deep/up")
        up.type, up.linkname = tarfile.SYMTYPE, ".."
        packed.addfile(up)
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, target
        packed.addfile(member)
    with pytest.raises(SourceError, match="is not unpacked"):
        unpacked(tmp_path / "a.tar.gz")


@pytest.mark.parametrize("known", [True, False], ids=["this Python looks too", "it does not"])
def test_links_that_stay_inside_are_kept_and_modes_made_plain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    if not known:
        monkeypatch.delattr(tarfile, "data_filter", raising=False)
    with tarfile.open(tmp_path / "a.tar", "w") as packed:
        for name, kind, mode, target in (
            ("shop", tarfile.DIRTYPE, 0o000, ""),
            ("shop/run", tarfile.REGTYPE, 0o4777, ""),
            ("shop/data", tarfile.REGTYPE, 0o000, ""),
            ("shop/again", tarfile.SYMTYPE, 0o777, "data"),
            ("shop/same", tarfile.LNKTYPE, 0o644, "shop/data"),
        ):
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.linkname = kind, mode, target
            packed.addfile(member)
    into = tmp_path / "into"
    into.mkdir()
    _archives.unpack(tmp_path / "a.tar", into, module="shop", app_dir="")
    shop = into / "shop"
    assert (shop / "again").readlink() == Path("data")
    assert (shop / "same").samefile(shop / "data")
    modes = [(shop / name).stat().st_mode & 0o7777 for name in ("run", "data", ".")]
    assert modes == [0o755, 0o644, 0o755]


def test_page_in_place_of_an_archive(tmp_path: Path) -> None:
    page = tmp_path / "a.tar.gz"
    page.write_text("<!doctype html><title>Not found</title>")
    with pytest.raises(SourceError, match="no archive that can be read"):
        unpacked(page)


def test_cut_off_archive(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar.gz", ["shop/main.py"] * 50)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SourceError, match="no archive that can be read"):
        unpacked(path)


def filled(path: Path, mode: str) -> Path:
    """A tar of three files that do not compress."""
    with tarfile.open(path, mode) as packed:  # type: ignore[call-overload]
        for number in range(3):
            content = random.Random(number).randbytes(3000)
            member = tarfile.TarInfo(f"shop/{number}.py")
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    return path


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz", "w"])
def test_whole_archive_is_taken(tmp_path: Path, mode: str) -> None:
    assert len(unpacked(filled(tmp_path / "a.tar", mode))) == 3


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("at", [0.3, 0.6, 0.9, 0.99])
def test_damage_anywhere_in_an_archive_is_seen(tmp_path: Path, mode: str, at: float) -> None:
    path = filled(tmp_path / "a.tar", mode)
    content = bytearray(path.read_bytes())
    content[int(len(content) * at)] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(SourceError, match="no archive that can be read"):
        unpacked(path)


def test_checksum_at_the_end_is_read(tmp_path: Path) -> None:
    path = filled(tmp_path / "a.tar.gz", "w:gz")
    content = bytearray(path.read_bytes())
    content[-8] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(SourceError, match="CRC check failed"):
        unpacked(path)


@pytest.mark.parametrize("size", [512 + 3072, 2 * (512 + 3072) + 100])
def test_plain_tar_that_ends_too_early(tmp_path: Path, size: int) -> None:
    path = filled(tmp_path / "a.tar", "w")
    os.truncate(path, size)
    with pytest.raises(SourceError, match="ends too early"):
        unpacked(path)


def test_damaged_header_is_not_taken_for_the_end(tmp_path: Path) -> None:
    path = filled(tmp_path / "a.tar", "w")
    content = bytearray(path.read_bytes())
    content[512 + 3072] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(SourceError, match="it is damaged"):
        unpacked(path)


@pytest.mark.parametrize(("offset", "value", "words"), [(8, 1, "encrypted"), (10, 97, "compression")])
def test_zip_with_a_password_or_of_an_unknown_kind(
    tmp_path: Path, offset: int, value: int, words: str
) -> None:
    path = zipped(tmp_path / "a.zip", "shop/main.py")
    content = bytearray(path.read_bytes())
    # The same field of the local header and of the directory, which has two bytes more before it.
    for start in (content.index(b"PK\3\4") - 2, content.index(b"PK\1\2")):
        content[start + offset] = value
    path.write_bytes(content)
    with pytest.raises(SourceError, match=rf"no archive that can be read .*{words}.*without a password"):
        unpacked(path)


def test_digest_is_enforced(tmp_path: Path) -> None:
    path = tar(tmp_path / "a.tar.gz", ["shop/main.py"])
    right = hashlib.sha256(path.read_bytes()).hexdigest()
    assert _archives.fetch({"path": str(path), "sha256": right.upper()}, ["."]) == path
    with pytest.raises(SourceError, match=f"has the SHA-256 {right}, not 0000"):
        _archives.fetch({"path": str(path), "sha256": "0" * 64}, ["."])


def test_wheel_is_known_by_its_name(tmp_path: Path) -> None:
    def described(name: str) -> dict[str, object]:
        path = tmp_path / name
        path.write_bytes(b"")
        return _origins.Archive({"path": str(path)}, ["."], module="shop", app_dir="").describe()

    found = described("my_shop-1.4.2-py3-none-any.whl")
    assert (found["kind"], found["project"], found["version"]) == ("wheel", "my_shop", "1.4.2")
    assert described("shop-2.0.tar.gz")["version"] == "shop-2.0"
    with pytest.raises(SourceError, match="not the name of a wheel"):
        described("shop.whl")


def test_password_of_a_package_is_not_in_what_everyone_may_read() -> None:
    described = _origins.Packages(["shop @ https://user:hu@sh@example.com/shop.whl"]).describe()
    assert described["describe"] == "package shop @ https://example.com/shop.whl"
    assert "hu@sh" in described["package"][0], "the host needs it"
