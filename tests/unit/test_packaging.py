# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tarball that `ansible-galaxy collection build` makes: its version, and the links of its pages."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
GALAXY = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
LINK = re.compile(r"\]\(([^)\s]+)\)")
ELSEWHERE = re.compile(r"[a-z]+:")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
CODE = re.compile(r"^(```.*?^```)$|`[^`\n]*`", re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is in the tarball."""
    folder = tmp_path_factory.mktemp("tarball")
    galaxy = str(Path(sys.executable).with_name("ansible-galaxy"))
    command = [galaxy, "collection", "build", "--output-path", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (tarball,) = folder.glob("*.tar.gz")
    with tarfile.open(tarball) as tar:
        tar.extractall(folder / "unpacked", filter="data")
    return folder / "unpacked"


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as forges make them."""
    headings = HEADING.findall(
        CODE.sub(lambda found: found[0] if not found[1] else "", page.read_text("utf-8"))
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def dead_links(folder: Path) -> Iterator[str]:
    """The links between pages that lead nowhere."""
    for page in sorted(folder.rglob("*.md")):
        for link in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
            if ELSEWHERE.match(link):
                continue
            path, _sign, anchor = link.partition("#")
            target = page.parent / path if path else page
            if not target.exists() or (anchor and anchor not in anchors(target)):
                yield f"{page.relative_to(folder)}: {link}"


def test_version_is_the_newest_of_the_changelog() -> None:
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == GALAXY["version"]


def test_readme_installs_this_version() -> None:
    named = re.findall(r"asgi-host-(\d[\w.]*)\.tar\.gz", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert set(named) == {GALAXY["version"]}


def test_no_link_of_the_tarball_is_dead(unpacked: Path) -> None:
    assert len(list(unpacked.rglob("*.md"))) > 10
    assert list(dead_links(unpacked)) == []


def test_dead_links_are_seen(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(
        "# One, two\n[x](b.md) [y](#one-two) [z](c.md)\n`[w](d.md)`\n", encoding="utf-8"
    )
    (tmp_path / "b.md").write_text(
        "```\n# not a heading\n```\n[x](a.md#one-two) [y](a.md#three) [z](#not-a-heading)\n", encoding="utf-8"
    )
    assert list(dead_links(tmp_path)) == ["a.md: c.md", "b.md: a.md#three", "b.md: #not-a-heading"]


def test_tarball_holds_inventories_to_copy_and_no_file_of_a_test(unpacked: Path) -> None:
    assert (unpacked / "inventories" / "example" / "hosts.yml").is_file()
    assert (
        unpacked / "inventories" / "example" / "group_vars" / "asgi_hosts" / "vault.yml.example"
    ).is_file()
    assert not {"molecule", "tests", "tools", "bench"} & {path.name for path in unpacked.iterdir()}
    assert not (unpacked / "inventories" / "demo").exists()


def test_each_sanity_lock_has_ignores_with_reasons() -> None:
    """ansible-test reads those of its own version alone, and one version must not be let off more than another."""
    ignored = {
        path.stem.removeprefix("ignore-"): path for path in (ROOT / "tests" / "sanity").glob("ignore-*.txt")
    }
    locks = {path.stem.removeprefix("sanity-") for path in (ROOT / "requirements").glob("sanity-*.txt")}
    assert set(ignored) == locks
    assert len({path.read_text(encoding="utf-8") for path in ignored.values()}) == 1
    for path in ignored.values():
        for line in path.read_text(encoding="utf-8").splitlines():
            assert re.fullmatch(r"\S+ [\w:-]+ # \S.+", line), line
