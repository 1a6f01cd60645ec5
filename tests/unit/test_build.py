"""Which server an app gets, and when a virtualenv serves again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils._process import CommandError
from ansible_collections.asgi.host.plugins.module_utils._release import build, ledger, requirements, tree
from ansible_collections.asgi.host.plugins.module_utils._release.paths import App, Release
from ansible_collections.asgi.host.plugins.module_utils._release.uv import Tools
from near_workshop import NearWorkshop

PINS = ["gunicorn==27.0.1", "uvicorn[standard]==0.54.0", "uvicorn-worker==0.4.0"]


def test_pins_come_first_and_give_way_last() -> None:
    choices = build.server_choices(PINS, None, set())
    assert choices[0] == PINS
    assert choices[-1] == list(build.OLDEST_SERVER.values())


def test_a_package_that_the_app_names_loses_its_pin_alone() -> None:
    second = build.server_choices(PINS, None, {"gunicorn"})[1]
    assert second == [build.OLDEST_SERVER["gunicorn"], *PINS[1:]]


def test_server_requirements_replace_what_they_name_and_never_give_way() -> None:
    for choice in build.server_choices(PINS, ["gunicorn<27"], {"gunicorn"}):
        assert choice[0] == "gunicorn<27"
        assert sum(line.startswith("gunicorn") for line in choice) == 1
    assert build.server_choices(PINS, ["gunicorn<27"], set())[0] == ["gunicorn<27", *PINS[1:]]


def test_names_of_all_kinds_of_lines() -> None:
    lines = ["Django_Ninja[x]>=1 ; python_version > '3'", "a.b @ https://example.com/x.whl", "# no", ""]
    assert requirements.named(lines) == {"django-ninja", "a-b"}


def test_inputs_know_files_and_digest(tmp_path: Path) -> None:
    path = tmp_path / "requirements.txt"
    path.write_text("--index-url x\nfastapi==1\n# comment\nUvicorn\n")
    inputs = build.Inputs([path], ["httpx"], [], project=False)
    assert inputs.names() == {"fastapi", "uvicorn", "httpx"}
    before = inputs.digest("3.11")
    assert before != inputs.digest("3.13")
    path.write_text("fastapi==2\n")
    assert before != inputs.digest("3.11")


@dataclass(frozen=True)
class Flapping(Tools):
    """An index of several servers: it resolves to a version that it then does not have, as often as told."""

    lacks: int = 1
    asked: list[tuple[str, bool]] = field(default_factory=list)
    given: list[dict[str, str]] = field(default_factory=list)
    folders: set[str] = field(default_factory=set)
    calls: list[tuple[str, ...]] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    locked: str = "pyyaml==6.0.4\n"

    def run(self, *argv: str, **_: bool) -> str:
        """Note what was asked, and whether anew."""
        self.asked.append((" ".join(argv[:2]), self.refresh))
        self.calls.append(argv)
        self.folders.update(option[12:] for option in argv if option.startswith("--directory="))
        installs = [each for each in self.asked if each[0] == "pip install"]
        if argv[1] == "install" and len(installs) <= self.lacks:
            words = "Because there is no version of pyyaml==6.0.4 and you require pyyaml==6.0.4, …"
            raise CommandError(argv, "exit status 1", words)
        if argv[0] == "venv":
            (Path(argv[-1]) / "bin").mkdir(parents=True, exist_ok=True)
            (Path(argv[-1]) / "bin" / "python").touch()
        for option in argv:
            if option.startswith("--output-file="):
                Path(option.partition("=")[2]).write_text(self.locked)
        if argv[1] == "install":
            self.given.append({name: Path(path).read_text() for name, path in named_files(argv)})
        return self.locked

    def forget(self, app: App) -> None:
        """Note it."""
        self.forgotten.append(app.name)


def named_files(argv: Sequence[str]) -> list[tuple[str, str]]:
    """The files of options in a command line, by the option and the file's own name."""
    pairs = [option.partition("=")[::2] for option in argv]
    return [(Path(path).name, path) for name, path in pairs if name in ("--requirement", "--constraint")]


def make(
    folder: Path,
    tools: Tools,
    *,
    number: int = 0,
    others: Sequence[Release] = (),
    digest: str = "d",
    files: Mapping[str, str] | None = None,
    named: str | None = None,
) -> str:
    """Make a release whose source has these files, a requirement in requirements.txt by default."""
    release = App(folder, "shop", "asgi-shop").release(f"2026010{number}T000000-aaaaaa")
    release.source.mkdir(parents=True)
    for name, text in (files or {"requirements.txt": "pyyaml\n"}).items():
        (release.source / name).parent.mkdir(parents=True, exist_ok=True)
        (release.source / name).write_text(text)
    python = {"path": "/usr/bin/python3", "version": "3.11.2"}
    source = {"kind": "tree", "digest": digest, "requirements": named}
    spec = {
        "source": source,
        "requirements": [],
        "server_pins": ["gunicorn==23"],
        "server": "gunicorn",
        "server_requirements": None,
        "python": python,
    }
    with NearWorkshop(release, folder / "build") as shop:
        return build.make(release, spec, replace(tools, shop=shop), python, others)


def test_version_that_one_server_of_the_index_lacks_is_asked_for_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "PAUSE", 0.0)
    tools = Flapping(uv="uv", index=None)
    assert make(tmp_path, tools)
    assert [anew for what, anew in tools.asked if what == "pip install"] == [False, True]


def test_version_that_the_index_lacks_is_said_in_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "PAUSE", 0.0)
    with pytest.raises(build.BuildError, match="no version of pyyaml"):
        make(tmp_path, Flapping(uv="uv", index=None, lacks=9))


def test_change_of_an_included_file_is_another_virtualenv(tmp_path: Path) -> None:
    tools = Flapping(uv="uv", index=None, lacks=0)
    top = {"requirements.txt": "-r base.txt\n"}
    digests = [
        make(tmp_path, tools, number=number, files={**top, "base.txt": text})
        for number, text in enumerate(("pyyaml==6.0.3\n", "pyyaml==6.0.4\n", "pyyaml==6.0.3\n"))
    ]
    assert digests[0] != digests[1]
    assert digests[0] == digests[2]


def test_lock_of_a_sub_folder_makes_it_the_project(tmp_path: Path) -> None:
    """With its own pyproject.toml, while the rest of the source is there for what it has by path."""
    tools = Flapping(uv="uv", index=None, lacks=0)
    project = '[project]\nname = "api"\nversion = "1"\n[build-system]\nrequires = []\n'
    files = {
        "backend/pyproject.toml": project,
        "backend/uv.lock": 'version = 1\nrequires-python = ">=3.11"\n',
        "common/x.py": "",
    }
    assert make(tmp_path, tools, files=files, named="backend/uv.lock")
    (exported,) = [argv for argv in tools.calls if argv[0] == "export"]
    assert any(word.endswith("/src/backend") and word.startswith("--project=") for word in exported)
    assert [Path(folder).name for folder in tools.folders] == ["backend"]
    assert tools.calls[-1][-1].endswith("/project/backend")


def test_requirements_of_a_sub_folder_are_meant_from_the_top(tmp_path: Path) -> None:
    tools = Flapping(uv="uv", index=None, lacks=0)
    files = {"requirements/prod.txt": "./libs/x\n", "libs/x/pyproject.toml": ""}
    assert make(tmp_path, tools, files=files, named="requirements/prod.txt")
    assert [Path(folder).name for folder in tools.folders] == ["project"]


@dataclass(frozen=True)
class Resolver(Flapping):
    """An index by which the app alone would get one version of pyyaml, and beside the server's pin perhaps another."""

    lacks: int = 0
    beside: str = "6.0.4"
    caches: bool = True
    conflicts: int = 0
    words: str = "No solution found when resolving dependencies"
    questions: list[str] = field(default_factory=list)

    def run(self, *argv: str, **_: bool) -> str:
        """Resolve by what was given."""
        if argv[:2] != ("pip", "compile"):
            return super().run(*argv)
        kept = [each for each in argv if each.startswith("--constraints=")]
        asks = "together" if any(each.endswith("server.in") for each in argv) else "alone"
        self.questions.append(f"{asks}{', kept' * bool(kept)}{', offline' * ('--offline' in argv)}")
        if "--offline" in argv and not self.caches:
            raise CommandError(argv, "exit status 1", "No solution found … because network was disabled")
        if (
            asks == "together"
            and len([each for each in self.questions if "together" in each]) <= self.conflicts
        ):
            raise CommandError(argv, "exit status 1", self.words)
        if asks == "alone":
            return "pyyaml==6.0.4\n"
        version = "6.0.4" if kept else self.beside
        (output,) = (option.partition("=")[2] for option in argv if option.startswith("--output-file="))
        Path(output).write_text(f"gunicorn==23\npyyaml=={version}\n")
        return ""


@pytest.mark.parametrize(
    ("tools", "asked"),
    [
        (Resolver("uv", None), ["together", "alone, offline"]),
        (Resolver("uv", None, beside="3"), ["together", "alone, offline", "alone", "together, kept"]),
        (Resolver("uv", None, caches=False), ["together", "alone, offline", "alone", "together, kept"]),
        # The app pins its server: the next choice has another one.
        (Resolver("uv", None, conflicts=1), ["together", "alone", "together, kept"]),
        # The index did not answer, once.
        (Resolver("uv", None, conflicts=1, words="timed out"), ["together", "alone", "together, kept"]),
    ],
)
def test_app_gets_what_it_would_get_alone_by_as_few_questions_as_may_be(
    tmp_path: Path, tools: Resolver, asked: list[str]
) -> None:
    make(tmp_path, tools)
    release = App(tmp_path, "shop", "asgi-shop").all_releases()[0]
    assert (release.folder / build.LOCK).read_text() == "gunicorn==23\npyyaml==6.0.4\n"
    assert tools.questions == asked


@pytest.mark.parametrize(("line", "same"), [("pyyaml", True), ("./libs/x", False), ("-e .", False)])
def test_change_of_the_source_counts_where_something_is_built_from_it(
    tmp_path: Path, line: str, same: bool
) -> None:
    tools = Flapping(uv="uv", index=None, lacks=0)
    given = {"requirements.txt": f"{line}\n"}
    first, second = (
        make(tmp_path, tools, number=number, digest=str(number), files=given) for number in range(2)
    )
    assert (first == second) is same


def test_what_is_built_from_the_source_is_built_from_a_copy_and_not_editable(tmp_path: Path) -> None:
    tools = Flapping(uv="uv", index=None, lacks=0, locked="-e ./libs/x\npyyaml==6.0.4\n")
    make(tmp_path, tools, files={"requirements.txt": "-e ./libs/x\n"})
    release = App(tmp_path, "shop", "asgi-shop").all_releases()[0]
    assert (release.folder / build.LOCK).read_text() == "./libs/x\npyyaml==6.0.4\n"
    assert str(release.source) not in tools.folders
    assert len(tools.folders) == 1


def test_hashes_and_options_of_included_files_go_with_the_installation(tmp_path: Path) -> None:
    tools = Flapping(uv="uv", index=None, lacks=0)
    base = "--extra-index-url https://example.com/simple\npyyaml==6.0.4 --hash=sha256:aa\n"
    make(tmp_path, tools, files={"requirements.txt": "-r base.txt\n", "base.txt": base})
    (given,) = tools.given
    assert given["hashed.txt"] == "pyyaml==6.0.4 --hash=sha256:aa\n"
    assert given["options.txt"] == "--extra-index-url https://example.com/simple\n"


@pytest.mark.parametrize(
    ("locked", "mode"),
    [("pyyaml==6.0.4\n", 0o644), ("x @ https://user:p@ss@host/x-1-py3-none-any.whl\n", 0o600)],
)
def test_lock_with_a_password_is_not_for_everyone(tmp_path: Path, locked: str, mode: int) -> None:
    tools = Flapping(uv="uv", index=None, lacks=0, locked=locked)
    before = completed(tmp_path, tools)
    assert (before.folder / build.LOCK).read_text() == locked
    make(tmp_path, tools, number=1, others=[before])
    for release in before.app.all_releases():
        assert (release.folder / build.LOCK).stat().st_mode & 0o777 == mode


def test_digest_of_a_lock_is_the_same_on_each_host(tmp_path: Path) -> None:
    app = App(tmp_path, "shop", "asgi-shop")
    digests = []
    for identity, version in (("one", "1"), ("two", "1"), ("three", "2")):
        release = app.release(identity)
        release.folder.mkdir(parents=True)
        assert build.lock_digest(release) == ""
        wheel = build.wheel_path(release, {"wheel": "shop-1-py3-none-any.whl"})
        (release.folder / build.LOCK).write_text(f"idna=={version}\nshop @ {wheel.as_uri()}\n")
        digests.append(build.lock_digest(release))
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("uv.lock", b"<<<<<<< HEAD\n"),
        ("pyproject.toml", b"<<<<<<< HEAD\n"),
        ("requirements.txt", "-r über.txt".encode("latin-1")),
    ],
)
def test_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    release = App(tmp_path, "shop", "asgi-shop").release("20260101T000000-aaaaaa")
    release.source.mkdir(parents=True)
    (release.source / name).write_bytes(content)
    spec: dict[str, Any] = {
        "source": {"kind": "tree"},
        "requirements": [],
        "server_pins": [],
        "server": "gunicorn",
        "server_requirements": None,
    }
    tools = Flapping(uv="uv", index=None, shop=NearWorkshop(release, tmp_path / "build"))
    with pytest.raises(build.BuildError, match=rf"{name} is no .*"):
        build.make(release, spec, tools, {"path": "p", "version": "3.11.2"}, [])


def completed(folder: Path, tools: Tools) -> Release:
    """A release with a virtualenv of its own, complete as far as that goes."""
    make(folder, tools)
    release = App(folder, "shop", "asgi-shop").all_releases()[0]
    (release.venv / "lib").mkdir()
    (release.venv / "lib" / "yaml.py").write_text("whole")
    ledger.write(release, {"venv_stamp": tree.stamp(release.venv)})
    return release


def test_whole_virtualenv_serves_again_by_hard_links(tmp_path: Path) -> None:
    tools = Flapping(uv="uv", index=None, lacks=0)
    before = completed(tmp_path, tools)
    asked = len(tools.asked)
    make(tmp_path, tools, number=1, others=[before])
    after = App(tmp_path, "shop", "asgi-shop").all_releases()[1]
    assert (after.venv / "lib" / "yaml.py").samefile(before.venv / "lib" / "yaml.py")
    assert (len(tools.asked), tools.forgotten) == (asked, [])


def gone(venv: Path) -> None:
    shutil.rmtree(venv)


def without_python(venv: Path) -> None:
    (venv / "bin" / "python").unlink()


def with_dead_python(venv: Path) -> None:
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").symlink_to("/no/such/python3")


def with_an_empty_file(venv: Path) -> None:
    os.truncate(venv / "lib" / "yaml.py", 0)


@pytest.mark.parametrize("harm", [gone, without_python, with_dead_python, with_an_empty_file])
def test_damaged_virtualenv_is_no_base_for_its_replacement(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    tools = Flapping(uv="uv", index=None, lacks=0)
    before = completed(tmp_path, tools)
    harm(before.venv)
    if harm is with_dead_python:
        # The interpreter went away after the release was complete.
        ledger.write(before, {"venv_stamp": tree.stamp(before.venv)})
    tools.asked.clear()
    make(tmp_path, tools, number=1, others=[before])
    after = App(tmp_path, "shop", "asgi-shop").all_releases()[1]
    assert (after.venv / "bin" / "python").exists()
    assert not (after.venv / "lib").exists()
    assert [what for what, _options in tools.asked if what.startswith("pip install")]
    assert tools.forgotten == ["shop"], "uv's cache holds the same files"
    make(tmp_path, tools, number=2, others=[before])
    assert tools.forgotten == ["shop"], "it was known already"


@dataclass(frozen=True)
class Named(Flapping):
    """Notes each run of uv that a backend could see the index's password in."""

    lacks: int = 0
    needs_a_build: bool = False
    seen: list[str] = field(default_factory=list)

    def run(self, *argv: str, **kind: bool) -> str:
        """A run with the password and without --no-build is one."""
        if "--no-build" in argv:
            assert self.workshop.clean, "a backend's process may still be there"
            if self.needs_a_build:
                raise CommandError(argv, "exit status 1", "building is disabled")
        elif not kind.get("nameless"):
            self.seen.append(" ".join(argv[:2]))
        return super().run(*argv)


PROJECT = '[build-system]\nrequires = ["hatchling"]\n[project]\nname = "shop"\nversion = "1"\n'


@pytest.mark.parametrize(
    ("index", "needs_a_build", "seen"),
    [
        ("https://user:word@pypi.example.com/simple", False, []),
        (
            "https://pypi.example.com/simple",
            False,
            ["pip compile", "pip compile", "pip install", "pip install"],
        ),
        (
            "https://user:word@pypi.example.com/simple",
            True,
            ["pip compile", "pip compile", "pip install", "pip install"],
        ),
    ],
)
def test_password_of_an_index_is_kept_from_backends(
    tmp_path: Path, index: str, needs_a_build: bool, seen: list[str]
) -> None:
    tools = Named("uv", index, needs_a_build=needs_a_build)
    make(tmp_path, tools, files={"pyproject.toml": PROJECT})
    assert tools.seen == seen


def test_git_of_an_earlier_build_sees_no_login(tmp_path: Path) -> None:
    """A hook that a build has left in uv's checkouts would run with the next one's password."""
    shop = NearWorkshop(App(tmp_path, "shop", "asgi-shop").release("1"), tmp_path / "build")
    hooks = shop.cache / "git-v0" / "db" / "1" / "hooks"
    hooks.mkdir(parents=True)
    (shop.cache / "wheels-v6").mkdir()
    shop.forget_checkouts()
    assert [path.name for path in shop.cache.iterdir()] == ["wheels-v6"]
