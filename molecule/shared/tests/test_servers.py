"""Every way to run an app, by the same tests: deploys, rollbacks and accidents under load, the client, the sandbox.

All apps of the scenario are one source under different servers. The hosts share the servers between them: each step
happens at once to all those of one host, while clients send GET and POST requests to each.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from load import Load, Outcome
from playbook import ROLLBACK, Run, changed_inventory, play
from shop import change_text
from targets import APPS, ROOT, Target, takes_turn
from test_process import EXPOSURE

pytestmark = [pytest.mark.scenario("servers"), pytest.mark.lane]

KINDS = ("gunicorn", "uvicorn", "passed", "runpy", "granian", "image")
# Each is another host's turn; Debian 13, the second host, has what runs images.
BY_TURNS = [pytest.param(kind, marks=pytest.mark.in_turn(place)) for place, kind in enumerate(KINDS)]
# Those whose program ends as its server does, which closes connections that nginx may be writing to.
IMPATIENT = ("passed", "image")
CLIENTS = 2
STEPS = ("deploy", "broken deploy", "rollback", "restart", "kill of a worker", "kill of the main process")


def has_images(target: Target) -> bool:
    """Whether the role runs images on a host: Debian 12 has a podman that cannot."""
    return target.suite != "bookworm"


def bring_base_image(target: Target) -> None:
    """A stand-in for the image that the Dockerfile names, and a podman that works in a host that is a container."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "base_image.py"), target.name],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def image_app(source: Path) -> dict[str, Any]:
    """The same app, by its own Dockerfile."""
    return {
        "name": "image",
        "domains": ["image.test"],
        "source": {"image": {"path": str(source)}},
    }


@dataclass
class Step:
    """What one step did to the requests of one app, and what answered after it."""

    gets: Outcome = field(default_factory=Outcome)
    posts: Outcome = field(default_factory=Outcome)
    answer: dict[str, Any] = field(default_factory=dict)
    release: str = ""
    """The release that served after it."""
    held: int = 0
    """Processes that were killed with requests in their hands."""

    def __str__(self) -> str:
        return f"GET {self.gets}; POST {self.posts}"


@dataclass
class Journey:
    """The apps' life on one host."""

    target: Target
    folder: Path
    steps: dict[tuple[str, str], Step] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    posted: dict[str, list[str]] = field(default_factory=dict)

    @property
    def source(self) -> Path:
        return self.folder / "parcels"

    @property
    def kinds(self) -> list[str]:
        return [
            kind
            for place, kind in enumerate(KINDS)
            if takes_turn(self.target, place) and (kind != "image" or has_images(self.target))
        ]

    def inventory(self) -> Path:
        change = {kind: {"source": {"path": str(self.source)}} for kind in self.kinds}
        add = [image_app(self.source)] if has_images(self.target) else []
        return changed_inventory(self.folder, [self.target], change=change, add=add)

    def deploy(self) -> Run:
        return play(inventory=self.inventory(), targets=[self.target])

    def edit(self, file: str, old: str, new: str) -> None:
        change_text(self.source / "parcels" / file, old, new)

    def under_load(self, name: str, act: Callable[[], Any]) -> None:
        """Do one step while clients ask each app; ``act`` may return how many processes of each it killed."""
        began = time.monotonic()
        steps = {kind: self.steps.setdefault((name, kind), Step()) for kind in self.kinds}
        with ExitStack() as stack:
            for kind, step in steps.items():
                load = {"door": self.target.door, "domain": f"{kind}.test", "clients": 1}
                # Not as often as in load.py, for all apps are asked at once.
                for how in ({"keep_alive": True, "pause": 0.05}, {"keep_alive": False, "pause": 0.3}):
                    get = Load(path="/", **load, **how)  # type: ignore[arg-type]
                    post = Load(path="/parcels", method="POST", **load, **how)  # type: ignore[arg-type]
                    for each, outcome in ((get, step.gets), (post, step.posts)):
                        own = Outcome()
                        stack.callback(outcome.add, own)
                        stack.enter_context(each.running(own))
            time.sleep(0.5)
            done = act()
            time.sleep(1.0)
        for kind, step in steps.items():
            step.answer = self.target.door.json(f"{kind}.test")
            step.release = self.target.release(kind)["id"]
            step.held = (done or {}).get(kind, 0) if not isinstance(done, Run) else 0
            self.posted.setdefault(kind, []).extend(step.posts.names)
            print(f"\n{self.target.name}, {name}, {kind}: {step}")
        if isinstance(done, Run):
            self.runs[name] = done
        print(f"{self.target.name}, {name}: {time.monotonic() - began:.0f} s")


def travel(journey: Journey) -> None:
    """All steps, in order."""
    target = journey.target

    def broken() -> Run:
        journey.edit("__init__.py", 'VERSION = "2"', 'VERSION = "3"\nimport a_module_that_is_not_installed')
        run = journey.deploy()
        journey.edit("__init__.py", 'VERSION = "3"\nimport a_module_that_is_not_installed', 'VERSION = "2"')
        return run

    def rollback() -> None:
        for kind in journey.kinds:
            run = play(
                "-e", f"app={kind}", inventory=journey.inventory(), targets=[target], playbook=ROLLBACK
            )
            assert run.status == 0, run.output[-3000:]

    def restart() -> None:
        target.run(f"systemctl restart {' '.join(target.service(kind) for kind in journey.kinds)}")
        for kind in journey.kinds:
            assert target.door.ask(f"{kind}.test").status == 200

    def kill(*, master: bool) -> dict[str, int]:
        return {kind: target.kill(kind, master=master) for kind in journey.kinds}

    journey.edit("__init__.py", '"1"', '"2"')
    journey.under_load("deploy", journey.deploy)
    journey.under_load("broken deploy", broken)
    journey.under_load("rollback", rollback)
    journey.under_load("restart", restart)
    journey.under_load("kill of a worker", lambda: kill(master=False))
    journey.under_load("kill of the main process", lambda: kill(master=True))


@pytest.fixture(autouse=True)
def _has_it(request: pytest.FixtureRequest, target: Target) -> None:
    """Debian 12 has no image to be asked; that it says so is a test of its own."""
    params = getattr(request.node, "callspec", None)
    if params and params.params.get("kind") == "image" and not has_images(target):
        pytest.skip("Debian 12 runs no images")


@pytest.fixture(scope="module")
def journey(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Journey:
    """The host after all steps. These are the last tests of the scenario, so nothing is put back."""
    made = Journey(target, tmp_path_factory.mktemp(target.name))
    shutil.copytree(APPS / "parcels", made.source)
    if has_images(target):
        bring_base_image(target)
        first = made.deploy()
        assert first.status == 0, first.output[-4000:]
    travel(made)
    return made


@pytest.mark.parametrize("kind", BY_TURNS)
def test_the_client_is_who_asks(journey: Journey, kind: str) -> None:
    """Address, scheme, host and port as the client has them, whatever it says of itself."""
    target = journey.target
    forged = {
        "X-Forwarded-For": "203.0.113.66",
        "X-Forwarded-Proto": "http",
        "X-Forwarded-Host": "forged.test",
    }
    seen = target.door.json(f"{kind}.test", "/seen", headers=forged)
    assert seen["client"] == target.door.source_address()
    assert seen["url"] == f"https://{kind}.test/seen"


@pytest.mark.parametrize("kind", BY_TURNS)
def test_sandbox(journey: Journey, kind: str) -> None:
    """The app's own user, and the whole sandbox around it; podman makes that of a container."""
    target = journey.target
    if kind == "image":
        main = target.run(f"systemctl show -P MainPID {target.service(kind)}").strip()
        assert set(target.run(f"ps -o user:32= --ppid {main}").split()) == {"asgi-image"}
        assert target.door.json("image.test", "/seen")["uid"] == 10001
        return
    assert target.door.json(f"{kind}.test", "/seen")["uid"] == target.host.user(f"asgi-{kind}").uid
    text = target.run(f"systemd-analyze security --no-pager {target.service(kind)}")
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", text)
    assert found, text
    assert float(found[1]) <= EXPOSURE, found[0]


@pytest.mark.parametrize("kind", BY_TURNS)
@pytest.mark.parametrize("name", STEPS)
def test_nothing_is_lost(journey: Journey, name: str, kind: str) -> None:
    """Nothing anywhere, but what a killed process held in its hands: answers that had begun, and POSTs."""
    step = journey.steps[name, kind]
    assert step.gets.sent > 30
    assert step.posts.sent > 30
    if not step.held:
        assert step.gets.lost_count == 0, step
        refused = step.posts.refused if name == "restart" and kind in IMPATIENT else 0
        assert step.posts.lost_count == refused <= CLIENTS, step
        return
    repeated_in_vain = step.gets.refused if step.held > 1 else 0
    assert step.gets.lost_count == step.gets.halves + repeated_in_vain <= step.held * CLIENTS, step
    assert step.posts.lost_count == step.posts.halves + step.posts.refused <= step.held * CLIENTS, step


@pytest.mark.parametrize("kind", BY_TURNS)
@pytest.mark.parametrize("name", STEPS)
def test_the_right_release_answers(journey: Journey, name: str, kind: str) -> None:
    """The new one after the deploy, still that after a broken one, the old one from the rollback on."""
    expected = "2" if name in ("deploy", "broken deploy") else "1"
    assert journey.steps[name, kind].answer["version"] == expected


@pytest.mark.parametrize("kind", BY_TURNS)
def test_a_broken_release_says_why(journey: Journey, kind: str) -> None:
    """By the program's own words; what served before serves."""
    message = journey.runs["broken deploy"].messages(journey.target.name)
    own = next(part for part in message.split("\n\n") if part.startswith(f"{kind}: "))
    assert "No module named 'a_module_that_is_not_installed'" in message[message.index(own) :]
    assert f"Release {journey.steps['deploy', kind].release} serves as before." in message


@pytest.mark.parametrize("kind", BY_TURNS)
def test_every_parcel_is_delivered_once(journey: Journey, kind: str) -> None:
    """Each POST that was answered was carried out, and none twice."""
    delivered = journey.target.run(f"cat /var/lib/asgi/{kind}/delivered/*").split()
    assert len(delivered) == len(set(delivered)), "a parcel was delivered twice"
    assert not set(journey.posted[kind]) - set(delivered)
