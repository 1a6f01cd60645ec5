"""Requirement files with all that they include."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.asgi.host.plugins.module_utils._release import requirements


def source(folder: Path, **files: str) -> Path:
    """Write files, named with ``__`` for a slash and ``_`` for a dot; returns the first."""
    paths = [folder / name.replace("__", "/").replace("_", ".") for name in files]
    for path, text in zip(paths, files.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return paths[0]


def test_includes_are_followed_from_where_they_stand(tmp_path: Path) -> None:
    top = source(
        tmp_path,
        requirements__prod_txt="-r base.txt\n--constraint=../limits.txt  # ours\nshop-client\n",
        requirements__base_txt="-rcommon/web.txt\nHttpx\n",
        requirements__common__web_txt="FastAPI[all]>=0.1\n-r ../base.txt\n",
        limits_txt="idna<4\n",
    )
    found = requirements.read([top])
    assert found.names == {"shop-client", "httpx", "fastapi"}
    assert len(found.texts) == 4
    assert not found.local


def test_hashes_of_included_files_and_of_constraints_count(tmp_path: Path) -> None:
    top = source(
        tmp_path,
        a_txt="-r b.txt\n-c c.txt\nplain==1\n",
        b_txt="h11==0.14.0 ; python_version > '3' \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n",
        c_txt="idna==3.10 --hash=sha256:cc\n",
    )
    hashed = [" ".join(line.split()) for line in requirements.read([top]).hashed]
    assert hashed == [
        "h11==0.14.0 ; python_version > '3' --hash=sha256:aa --hash=sha256:bb",
        "idna==3.10 --hash=sha256:cc",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "-e .", "-e./x", "--editable=./libs/x", "./libs/x", "libs/x", ".", "x @ ./libs/x", "x @ file:///srv/x",
        "file:./x", "dist/x-1-py3-none-any.whl", "--find-links ./wheels", "-f file:///srv/wheels", "x.tar.gz",
    ],
)  # fmt: skip
def test_what_is_built_from_the_source(tmp_path: Path, line: str) -> None:
    assert requirements.read([source(tmp_path, a_txt=f"{line}\n")]).local


@pytest.mark.parametrize(
    "line",
    [
        "fastapi", "x @ https://example.com/x.whl", "x @ git+https://example.com/x.git@v1", "--index-url https://x/y",
        "--find-links https://example.com/x", "a==1 ; platform_version == './x'", "# ./x", "-r https://example.com/r",
    ],
)  # fmt: skip
def test_what_is_not(tmp_path: Path, line: str) -> None:
    assert not requirements.read([source(tmp_path, a_txt=f"{line}\n")]).local


def test_options_are_kept_and_folders_are_meant_from_their_file(tmp_path: Path) -> None:
    text = "--extra-index-url=https://example.com/simple\n--find-links ../wheels\n--require-hashes\n"
    top = source(tmp_path, requirements__a_txt=text)
    assert requirements.read([top]).options == [
        "--extra-index-url=https://example.com/simple",
        f"--find-links {tmp_path}/wheels",
    ]


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ('[project]\ndependencies = ["fastapi"]', False),
        ('[project]\ndependencies = ["fastapi", "x @ file:///srv/x"]', True),
        ('[project]\ndynamic = ["version"]\ndependencies = ["fastapi"]', False),
        ('[project]\ndynamic = ["dependencies"]', True),
        ('[project]\ndependencies = ["fastapi"]\n[tool.uv.sources]\nx = {workspace = true}', True),
        ('[project]\ndependencies = ["fastapi"]\n[tool.uv.sources]\nx = [{path = "x", marker = "y"}]', True),
        ('[project]\ndependencies = ["fastapi"]\n[tool.uv.sources]\nx = {git = "https://x"}', False),
    ],
)
def test_project(tmp_path: Path, text: str, local: bool) -> None:
    assert requirements.read([source(tmp_path, pyproject_toml=text)]).local is local


def test_include_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        requirements.UnreadableError, match=r"a\.txt includes base\.txt, .*add it to the source"
    ):
        requirements.read([source(tmp_path, a_txt="-r base.txt\n")])


def test_text_that_powershell_wrote_is_read_and_another_is_named(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_bytes("fastapi\r\n".encode("utf-16"))
    assert requirements.read([path]).names == {"fastapi"}
    path.write_bytes("fastapi  # für alle\n".encode("latin-1"))
    with pytest.raises(
        requirements.UnreadableError, match=r"requirements\.txt is no text .*save it as UTF-8"
    ):
        requirements.read([path])


def test_marks_of_a_merge_are_named(tmp_path: Path) -> None:
    path = source(tmp_path, pyproject_toml="<<<<<<< HEAD\n[project]\n=======\n>>>>>>> other\n")
    with pytest.raises(requirements.UnreadableError, match=r"pyproject\.toml is no valid TOML .*merge"):
        requirements.table_of(path)
