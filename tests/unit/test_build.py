"""Which server an app gets, and when a virtualenv serves again."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.asgi.host.plugins.module_utils._release import build

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
