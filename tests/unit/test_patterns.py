"""Patterns as in .gitignore: git itself says what they match."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.asgi.host.plugins.plugin_utils._patterns import Patterns

PATHS = (
    "a", "b.py", "docs/a", "docs/deep/er/b.py", "src/docs/c.md", "src/app/a.py", "src/app/[x].py", "src/a b.txt",
    "dist/index.html", "web/dist/index.html", "web/dist/assets/app.js", "x/y/z/a", "README.md", "src/README.md",
    ".env", "src/.env.local", "#note", "!loud", "a*b", "logs/x.log", "logs/keep/x.log", "foo/bar/baz", "foobar", "[a", "é.txt",
)  # fmt: skip
LISTS = [
    ["*"], ["*.py"], ["/*.py"], ["docs"], ["docs/"], ["/docs/"], ["src/docs"], ["**/docs"], ["docs/**"], ["**"],
    ["a/**/b"], ["x/**/a"], ["foo/**/baz"], ["foo*"], ["/foo/*"], ["f?o*"], ["[a-c].py"], ["[!a-c]*"], ["[^R]*.md"],
    ["\\#note"], ["\\!loud"], ["a\\*b"], ["src/a b.txt"], ["src/a b.txt  "], ["*.md", "!README.md"],
    ["logs/", "!logs/keep/"], ["logs/*", "!logs/keep/"], ["!a", "a"], ["web/dist/"], ["dist/"], ["**/dist/**"],
    [".env*"], ["*/a"], ["*/*/a"], ["src/*/a.py"], ["[]a]*"], ["[a"], ["\\[a"], ["src/app/\\[x].py"], ["é.txt"], ["/"],
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top: Path = tmp_path_factory.mktemp("patterns")
    subprocess.run(["git", "init", "-q", str(top)], check=True)
    for name in PATHS:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text("")
    return top


@pytest.mark.parametrize("lines", LISTS, ids=" ".join)
def test_same_files_as_git_takes(folder: Path, lines: list[str]) -> None:
    (folder / ".git" / "info" / "exclude").write_text("".join(f"{line}\n" for line in lines))
    argv = ["git", "-C", str(folder), "ls-files", "-z", "--others", "--ignored", "--exclude-standard"]
    listed = subprocess.run(argv, check=True, capture_output=True, encoding="utf-8").stdout
    patterns = Patterns(lines)
    assert sorted(name for name in PATHS if patterns.match(name)) == sorted(filter(None, listed.split("\0")))


@pytest.mark.parametrize(
    ("line", "named"),
    [
        (".env", True),
        ("*.sqlite3", True),
        ("data/db.sqlite3", True),
        ("data/", False),
        ("*", False),
        ("data/**", False),
    ],
)
def test_file_is_named_by_more_than_wildcards(line: str, named: bool) -> None:
    assert any(Patterns([line]).name(name) for name in (".env", "data/db.sqlite3")) is named
