"""Programs of one's own that do not listen where they must, and images where podman cannot run them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playbook import Run, changed_inventory, play
from targets import APPS, Target
from test_servers import has_images, image_app

pytestmark = pytest.mark.scenario("servers")


ASTRAY = {
    "silent": ("sleep 600", "no answer"),
    "elsewhere": (
        "uvicorn --port 8123 parcels.main:app",
        "the program listens on port 8123, where nobody asks it: let it listen on the port in the variable PORT",
    ),
    "over": ("true", "the program ended with status 0"),
    "missing": ("no-such-program --port $PORT", "no-such-program: not found"),
}


@pytest.fixture(scope="module")
def astray(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A converge with programs that do not listen where they must."""
    apps = [
        {
            "name": name,
            "source": {"path": str(APPS / "parcels")},
            "server": "command",
            "command": command,
            "health": {"timeout": 10},
        }
        for name, (command, _words) in ASTRAY.items()
    ]
    folder = tmp_path_factory.mktemp(f"{target.name}-astray")
    run = play(inventory=changed_inventory(folder, [target], add=apps), targets=[target])
    yield run
    gone = [{"name": name, "state": "absent", "purge": True} for name in ASTRAY]
    assert play(inventory=changed_inventory(folder, [target], add=gone), targets=[target]).status == 0


@pytest.mark.lane
@pytest.mark.in_turn(0)
@pytest.mark.parametrize("name", ASTRAY)
def test_command_that_does_not_listen_where_it_must(target: Target, astray: Run, name: str) -> None:
    """It fails at the gate, which says why; the other apps serve."""
    assert astray.failed(target.name) == 1
    message = astray.messages(target.name)
    own = message[message.index(f"{name}: release ") :]
    assert ASTRAY[name][1] in own
    assert "or on the socket that it has as file descriptor 3" in own
    assert target.door.ask("runpy.test").status == 200


def test_image_where_podman_cannot(target: Target, tmp_path: Path) -> None:
    """It is refused before anything changes, with the reason."""
    if has_images(target):
        pytest.skip("this host runs images")
    inventory = changed_inventory(tmp_path, [target], add=[image_app(APPS / "parcels")])
    run = play(inventory=inventory, targets=[target])
    assert "source.image: podman of Debian 12" in run.messages(target.name)
    assert run.changed(target.name) == 0
