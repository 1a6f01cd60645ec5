"""Further indexes of a project: which are asked, what comes from them, and their logins."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils._release import indexes, inputs, own_version
from ansible_collections.asgi.host.plugins.module_utils._release.indexes import Index
from ansible_collections.asgi.host.plugins.module_utils._release.paths import App, Release
from ansible_collections.asgi.host.plugins.module_utils._toml import Table, UnreadableError
from ansible_collections.asgi.host.plugins.plugin_utils import _logins

TORCH = Index("torch", "https://torch.test/whl/cpu", explicit=True)
OURS = Index("ours", "https://ours.test/simple")
PROJECT = """
[project]
name = "shop"
dependencies = ["torch", "privlib"]
[[tool.uv.index]]
name = "torch"
url = "https://torch.test/whl/cpu/"
explicit = true
[[tool.uv.index]]
name = "ours"
url = "https://ours.test/simple"
"""


def of(text: str) -> list[Index]:
    return indexes.of(Table("pyproject.toml", tomllib.loads(text)))


def test_indexes_of_the_tools() -> None:
    assert of(PROJECT) == [TORCH, OURS]
    poetry = '[[tool.poetry.source]]\nname = "ours"\nurl = "https://ours.test/simple"\npriority = "{}"\n'
    assert of(poetry.format("explicit"))[0].explicit
    assert of(poetry.format("supplemental")) == [OURS]
    # Poetry's name for the usual index.
    assert of('[[tool.poetry.source]]\nname = "PyPI"\npriority = "primary"\n') == []
    assert of('[[tool.pdm.source]]\nname = "ours"\nurl = "https://ours.test/simple"\n') == [OURS]
    with pytest.raises(UnreadableError, match=r"tool\.uv\.index is not a list of tables"):
        of('[tool.uv]\nindex = "https://x"\n')


def test_explicit_index_is_asked_where_a_lock_says_so() -> None:
    assert indexes.asked([TORCH, OURS], locked=False) == ["--index=ours=https://ours.test/simple"]
    assert "--index=torch=https://torch.test/whl/cpu" in indexes.asked([TORCH], locked=True)
    assert indexes.asked([], locked=True) == []
    words = indexes.words([TORCH, OURS], locked=False)
    assert "the usual one: ours (https://ours.test/simple)." in words
    assert "torch (https://torch.test/whl/cpu) is explicit" in words


def test_notes_of_indexes_are_taken_out_of_a_lock() -> None:
    text = (
        "anyio==4\n    # from https://usual.test/simple\n"
        "torch==2+cpu\n    # from https://name:word@torch.test/whl/cpu\n"
    )
    assert indexes.split(text, [TORCH]) == ("anyio==4\ntorch==2+cpu\n", {"torch": TORCH.url})


def test_lock_of_uv_says_where_each_is_from() -> None:
    text = (
        '[[package]]\nname = "torch"\nsource = {registry = "https://torch.test/whl/cpu"}\n'
        '[[package]]\nname = "anyio"\nsource = {registry = "https://usual.test/simple"}\n'
    )
    assert indexes.pinned_by_uv(Table("uv.lock", tomllib.loads(text)), [TORCH]) == {"torch": TORCH.url}


def test_project_that_pins_packages_to_indexes() -> None:
    pinned = {"torch": TORCH.url, "unused": OURS.url}
    text = indexes.project(pinned, [TORCH, OURS], ["anyio", "torch"])
    table = tomllib.loads(text)
    assert table["project"]["dependencies"] == ["torch"]
    assert table["tool"]["uv"]["sources"] == {"torch": {"index": "torch"}}
    assert table["tool"]["uv"]["index"] == [{"name": "torch", "url": TORCH.url, "explicit": True}]
    assert indexes.project(pinned, [TORCH, OURS], ["anyio"]) == ""


def test_logins() -> None:
    logins = {
        "second-index": {"username": "deploy", "password": "a/b@c"},
        "git.example.com": {"username": "x", "password": "y"},
    }
    options = ["--extra-index-url=https://git.example.com/simple", "--index-url https://usual.test/simple"]
    found = indexes.environment(logins, indexes.addresses(options))
    assert found["UV_INDEX_SECOND_INDEX_USERNAME"] == "deploy"
    assert found["UV_INDEX_SECOND_INDEX_PASSWORD"] == "a/b@c"
    assert found["UV_INDEX"] == "https://x:y@git.example.com/simple"
    pairs = {
        found[f"GIT_CONFIG_KEY_{n}"]: found[f"GIT_CONFIG_VALUE_{n}"]
        for n in range(int(found["GIT_CONFIG_COUNT"]))
    }
    assert pairs["url.https://x:y@git.example.com/.insteadOf"] in (
        "https://git.example.com/",
        "ssh://git@git.example.com/",
    )
    assert {found[f"GIT_CONFIG_VALUE_{n}"] for n in range(3)} >= {
        "https://git.example.com/",
        "ssh://git@git.example.com/",
    }
    assert indexes.environment({}, []) == {}
    assert indexes.with_login("https://old@h.test:8443/s", {"username": "a b", "password": "p@/"}) == (
        "https://a%20b:p%40%2F@h.test:8443/s"
    )


def test_login_of_a_host_is_none_of_an_index_that_a_project_calls_so() -> None:
    """uv sends what UV_INDEX_PYPI_EXAMPLE_COM_PASSWORD holds to wherever an index pypi-example-com is."""
    logins = {"pypi.example.com": {"username": "deploy", "password": "secret"}}
    found = indexes.environment(logins, [])
    assert not [name for name in found if name.startswith("UV_INDEX_")]
    assert found["GIT_CONFIG_KEY_0"] == "url.https://deploy:secret@pypi.example.com/.insteadOf"


def test_builds_get_the_logins_that_they_need() -> None:
    login = {"username": "x", "password": "y"}
    logins = dict.fromkeys(["torch", "ours.test", "git.test", "other", "other.test"], login)
    texts = ["a @ git+https://git.test/a.git", "--extra-index-url https://ours.test/simple"]
    assert list(indexes.needed(logins, [TORCH], texts)) == ["torch", "ours.test", "git.test"]


@pytest.mark.parametrize(
    "value",
    [
        "x",
        {"a": "b"},
        {"a": {"username": "x"}},
        {"a": {"username": "x", "password": 7}},
        {"a": {"username": "x", "password": ""}},
    ],
)
def test_login_that_is_none(value: object) -> None:
    (problem,) = _logins.problems(value)
    assert problem.startswith("asgi_host_package_index_logins")
    assert _logins.problems({"a": {"username": "x", "password": "y"}}) == []


def test_version_that_a_build_is_told() -> None:
    told = {"name": "shop.api", "version": "1.4"}
    assert own_version.variables(told, alone=False) == {"SETUPTOOLS_SCM_PRETEND_VERSION_FOR_SHOP_API": "1.4"}
    assert own_version.variables(told, alone=True)["PDM_BUILD_SCM_VERSION"] == "1.4"
    assert own_version.variables({}, alone=True) == {}


# What the resolver is given


def found_in(folder: Path, files: dict[str, str], **source: Any) -> tuple[inputs.Inputs, Release]:
    release = App(folder, "shop", "asgi-shop").release("20260101T000000-aaaaaa")
    for name, text in files.items():
        (release.source / name).parent.mkdir(parents=True, exist_ok=True)
        (release.source / name).write_text(text)
    spec = {
        "source": {"kind": "tree", **source},
        "requirements": [],
        "python": {"version": "3.13.5", "path": "/usr/bin/python3"},
    }
    return inputs.find(
        release, spec, lambda project, options: f"# {project.name} {' '.join(options)}\n"
    ), release


BUILT = '[build-system]\nrequires = ["x"]\n'


@pytest.mark.parametrize(
    ("files", "source", "built"),
    [
        ({"pyproject.toml": f'{BUILT}[project]\nname = "a"\n'}, {}, True),
        ({"pyproject.toml": f'{BUILT}[project]\nname = "a"\n'}, {"install": False}, False),
        ({"pyproject.toml": f"{BUILT}[tool.poetry]\npackage-mode = false\n"}, {}, False),
        ({"pyproject.toml": f"{BUILT}[tool.pdm]\ndistribution = false\n"}, {}, False),
        ({"pyproject.toml": f"{BUILT}[tool.uv]\npackage = false\n"}, {}, False),
        ({"pyproject.toml": '[project]\nname = "a"\n'}, {}, False),
        ({"setup.py": ""}, {}, True),
        ({"setup.py": "", "requirements.txt": ""}, {}, False),
    ],
)
def test_which_projects_are_built(
    tmp_path: Path, files: dict[str, str], source: dict[str, Any], built: bool
) -> None:
    assert found_in(tmp_path, files, **source)[0].project is built


def test_foreign_lock_becomes_requirements_with_constraints(tmp_path: Path) -> None:
    files = {
        "poetry.lock": '[[package]]\nname = "a"\nversion = "1"\nfiles = [{hash = "sha256:aa"}]\n',
        "pyproject.toml": '[tool.poetry.dependencies]\na = "*"\n',
        "requirements.txt": "a==2\n",
    }
    found, release = found_in(tmp_path, files)
    assert (release.folder / inputs.WANTED).read_text() == f"-c {inputs.VERSIONS}\na\n"
    assert found.read().hashed == ["a==1 --hash=sha256:aa"]
    assert found.names() == {"a"}
    plain, _release = found_in(tmp_path / "x", files, requirements="requirements.txt")
    assert [path.name for path in plain.files] == ["requirements.txt"]


def test_lock_in_a_folder_makes_it_the_project(tmp_path: Path) -> None:
    files = {"backend/uv.lock": "", "backend/pyproject.toml": BUILT, "pyproject.toml": ""}
    found, release = found_in(tmp_path, files, requirements="backend/uv.lock", extras=["x"])
    assert (found.place, found.project) == ("backend", True)
    assert (release.folder / "uv-lock.txt").read_text() == "# backend --extra=x\n"


def test_member_of_a_workspace(tmp_path: Path) -> None:
    package = '[[package]]\nname = "api"\nsource = {editable = "packages/api"}\n'
    files = {"uv.lock": package, "packages/api/pyproject.toml": BUILT, "pyproject.toml": ""}
    found, release = found_in(tmp_path, files, member="API")
    assert (found.built, found.project) == ("packages/api", True)
    assert "--package=API" in (release.folder / "uv-lock.txt").read_text()
    with pytest.raises(inputs.BuildError, match=r"no member web; name one that it has \(api\)"):
        found_in(tmp_path, files, member="web")


def test_what_an_app_does_not_choose_is_no_part_of_its_release() -> None:
    source: dict[str, Any] = {"member": None, "install": True}
    assert inputs.choices({"source": source, "own_version": {"name": "a", "version": "1"}}) == []
    assert inputs.choices({"source": {}}) == []
    for spec in (
        {"source": {"member": "a"}},
        {"source": {"install": False}},
        {"source": {}, "build_env": {"A": "1"}},
    ):
        assert inputs.choices(spec)
