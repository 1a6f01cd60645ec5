"""Many apps, one of them sound: each failure has its cause, and none its neighbour's; nothing steers the terminal."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playbook import Run, changed_inventory, play
from targets import APPS, App, Target, takes_turn

pytestmark = [pytest.mark.scenario("walls"), pytest.mark.lane]

SECRET = "hush-of-the-cause-4711"
CHAIN = "The above exception was the direct cause of the following exception:"


def cause(name: str, folder: Path | str, **keys: Any) -> App:
    source = folder if isinstance(folder, Path) else APPS / "cause" / folder
    return {
        "name": f"cause-{name}",
        "app": "main:app",
        "source": {"path": str(source)},
        "workers": 1,
        **keys,
    }


def apps(target: Target, folder: Path) -> list[App]:
    """The apps of a host; ``folder`` takes the source that no repository can hold."""
    odd = folder / "odd"
    shutil.copytree(APPS / "cause" / "hooks", odd)
    Path(os.fsdecode(os.fsencode(odd) + b"/caf\xe9.txt")).write_text("x", encoding="utf-8")
    many = 'i=0; while [ $i -lt 3531 ]; do i=$((i+1)); echo "line $i $LEAK"; done; exit 1'
    on_one = [
        cause("chain", "chain", server="uvicorn"),
        cause("many", "hooks", secrets={"LEAK": SECRET}, hooks={"build": [many]}),
        cause("windows", "hooks", hooks={"build": ["./windows.sh"]}),
        cause("read-only", "hooks", hooks={"migrate": ["touch main.pid"]}),
        cause("root", "hooks", root_path="/api", health={"path": "/api/healthz", "timeout": 3}),
        cause("odd", odd),
        cause("placed", "hooks"),
    ]
    return [
        cause("settings", "settings", requirements=["pydantic-settings"], workers=2),
        *(app for place, app in enumerate(on_one) if takes_turn(target, place)),
        # What builds may make code in memory; what serves may not.
        cause("good", "hooks", domains=["good.cause.test"], hooks={"build": [f"python -c '{MEMORY}'"]}),
    ]


# A page that is written and executed, as node's compiler makes them.
MEMORY = "import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)"


@pytest.fixture(scope="module")
def run(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """One play with all of them; they are removed again."""
    folder = tmp_path_factory.mktemp("cause")
    target.run("mkdir -p /srv/asgi/cause-placed/current")
    own = apps(target, folder)
    yield play(inventory=changed_inventory(folder, [target], add=own), targets=[target])
    target.run("rmdir /srv/asgi/cause-placed/current")
    gone = [{"name": app["name"], "state": "absent", "purge": True} for app in own]
    assert play(inventory=changed_inventory(folder, [target], add=gone), targets=[target]).status == 0


@pytest.fixture
def said(target: Target, run: Run) -> dict[str, str]:
    """What the play said of each app."""
    messages = run.messages(target.name)
    assert messages, run.output
    return {text.partition(":")[0]: text for text in messages.split("\n\n")}


def test_missing_setting_is_named_with_the_line_that_wants_it(said: dict[str, str]) -> None:
    text = said["cause-settings"]
    assert text.count("pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings") == 1, (
        text
    )
    assert "payment_api_key\n  Field required" in text
    assert 'File "src/main.py", line 12, in <module>\n    settings = Settings()' in text
    assert "frames of" in text
    assert "journalctl --unit asgi-cause-settings@" in text
    assert len(text.splitlines()) < 25, text


@pytest.mark.in_turn(0)
def test_chain_is_whole_and_harmless(target: Target, run: Run, said: dict[str, str]) -> None:
    text = said["cause-chain"]
    for words in (
        "json.decoder.JSONDecodeError: Expecting value",
        "During handling of the above exception, another exception occurred:",
        "KeyError: 'dsn_of_the_shop'",
        CHAIN,
        "ImportError: set DSN before the start",
    ):
        assert words in text, text
    assert not [letter for letter in run.output if ord(letter) < 32 and letter not in "\n\t"]


@pytest.mark.in_turn(1)
def test_output_of_a_hook_is_its_end_and_kept(target: Target, run: Run, said: dict[str, str]) -> None:
    text = said["cause-many"]
    assert "could not be built" in text
    assert "good enough" not in text
    assert "line 3531" in text
    assert "line 3400" not in run.output
    assert len(text.splitlines()) < 50
    assert "journalctl -t asgi-host _UID=0" in text
    assert SECRET not in run.output
    kept = target.run("journalctl -q --no-pager -t asgi-host")
    assert "line 3400" in kept
    assert SECRET not in kept


@pytest.mark.parametrize(
    ("name", "words"),
    [
        pytest.param("cause-windows", "line ends of Windows", marks=pytest.mark.in_turn(2)),
        pytest.param("cause-read-only", "{data}", marks=pytest.mark.in_turn(3)),
        pytest.param("cause-root", "give /healthz", marks=pytest.mark.in_turn(4)),
        pytest.param("cause-odd", "caf\\xe9.txt is not UTF-8; rename it", marks=pytest.mark.in_turn(5)),
        pytest.param(
            "cause-placed", "/srv/asgi/cause-placed/current is no link", marks=pytest.mark.in_turn(6)
        ),
    ],
)
def test_each_has_its_fix(target: Target, run: Run, said: dict[str, str], name: str, words: str) -> None:
    assert words in said[name], run.output[-6000:]


def test_the_others_of_the_host_went_on(target: Target, run: Run) -> None:
    assert 'Traceback (most recent call last):\\n  File \\"/tmp' not in run.output
    assert target.door.ask("good.cause.test", "/").status == 200
    assert target.door.ask("victim.test", "/").status == 200
