"""Which server an app gets, and when a virtualenv serves again."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ansible_collections.asgi.host.plugins.module_utils._process import CommandError
from ansible_collections.asgi.host.plugins.module_utils._release import build
from ansible_collections.asgi.host.plugins.module_utils._release.paths import App

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
    assert build.named(lines) == {"django-ninja", "a-b"}


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
class Flapping(build.Tools):
    """An index of several servers: it resolves to a version that it then does not have, as often as told."""

    lacks: int = 1
    asked: list[tuple[str, bool]] = field(default_factory=list)

    def run(self, *argv: str) -> str:
        """Note what was asked, and whether anew."""
        self.asked.append((" ".join(argv[:2]), self.refresh))
        installs = [each for each in self.asked if each[0] == "pip install"]
        if argv[1] == "install" and len(installs) <= self.lacks:
            words = "Because there is no version of pyyaml==6.0.4 and you require pyyaml==6.0.4, …"
            raise CommandError(argv, "exit status 1", words)
        if argv[0] == "venv":
            Path(argv[-1]).mkdir(parents=True)
        return "pyyaml==6.0.4\n"


def make(folder: Path, tools: build.Tools) -> str:
    release = App(folder, "shop", "asgi-shop").release("20260101T000000-aaaaaa")
    release.source.mkdir(parents=True)
    (release.source / "requirements.txt").write_text("pyyaml\n")
    source = {"kind": "tree", "digest": "d"}
    spec = {
        "source": source,
        "requirements": [],
        "server_pins": ["gunicorn==23"],
        "server_requirements": None,
    }
    return build.make(release, spec, tools, {"path": "/usr/bin/python3", "version": "3.11.2"}, [])


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
