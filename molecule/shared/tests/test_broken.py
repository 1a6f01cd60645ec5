"""A release that does not work never gets traffic, and the play says which and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playbook import Run, changed_inventory, play
from targets import APPS, App, Target, takes_turn

# Where many other apps are, that must not notice.
pytestmark = pytest.mark.scenario("full")

LEAK = "leak-of-a-hook-5c1d88"
# Each broken app with what its message must hold: the gate's reason, and the app's own words where it has any.
BROKEN: dict[str, tuple[str, ...]] = {
    "import-error": ("No module named 'a_module_that_is_not_installed'",),
    "missing-attribute": ("missing_attribute.main", "'app'"),
    "failing-lifespan": ("failing_lifespan: the database of this app is not there",),
    "health-500": ("answered 500, wanted 200", "health_500: out of order"),
    "never-ready": ("no answer", "for 5 s", "health.timeout"),
    "conflict": ("uvicorn", "server_requirements"),
    "bad-hook": ("hooks.migrate", "No such file or directory"),
    "leaking-hook": ("hooks.build", "failed"),
}
# Each is broken on one of the hosts: what is said of it does not depend on Debian's release.
NAMED = [pytest.param(name, marks=pytest.mark.in_turn(place)) for place, name in enumerate(BROKEN)]
FOLDERS = {"conflict": "needs/conflict", "bad-hook": "needs/port", "leaking-hook": "needs/port"}


def broken_apps(target: Target) -> list[App]:
    """The broken apps as the inventory of a host has them."""
    apps = []
    for name in (name for place, name in enumerate(BROKEN) if takes_turn(target, place)):
        package = name.replace("-", "_")
        folder = FOLDERS.get(name, f"broken/{package}")
        module = Path(folder).name
        app: dict[str, Any] = {
            "name": name,
            "app": f"{module}.main:app",
            "source": {"path": str(APPS / folder)},
            "domains": [f"{name}.test"],
            "workers": 1,
            # Asked until it is over; the others end by themselves.
            "health": {"path": "/", "timeout": {"never-ready": 5, "health-500": 15}.get(name, 60)},
        }
        if name == "bad-hook":
            app["hooks"] = {"migrate": ["cat /no/such/file"]}
        if name == "leaking-hook":
            app["secrets"] = {"LEAK": LEAK}
            app["hooks"] = {"build": ['echo "I say $LEAK"; exit 1']}
        apps.append(app)
    return apps


@dataclass(frozen=True)
class Before:
    """What a host was before the broken apps came."""

    pids: dict[str, list[int]]
    units: str
    nginx: str
    release: str


# Of the whole host: its unit files with their links, and nginx's files.
UNITS = "find /etc/systemd/system -name 'asgi-*' ! -name 'asgi-*@.*' ! -path '*/asgi-*@.*.d*' | sort"
NGINX = "find /etc/nginx -type f -exec sha256sum {} + | sort -k2"


@pytest.fixture(scope="module")
def before(all_targets: list[Target]) -> dict[str, Before]:
    """The hosts before."""
    return {
        target.name: Before(
            target.pids(), target.run(UNITS), target.run(NGINX), target.release("probe")["id"]
        )
        for target in all_targets
    }


@pytest.fixture(scope="module")
def broken(
    all_targets: list[Target], before: dict[str, Before], tmp_path_factory: pytest.TempPathFactory
) -> Run:
    """One play with all broken apps, and a release of the probe that cannot be imported."""
    folder = tmp_path_factory.mktemp("broken")
    change = {"probe": {"app": "probe.main:no_such_name"}}
    add = {target.name: broken_apps(target) for target in all_targets}
    return play("-vv", "--diff", inventory=changed_inventory(folder, all_targets, add=add, change=change))


@pytest.fixture(scope="module", autouse=True)
def _clean(all_targets: list[Target], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Take the broken apps' accounts and folders away again, as an operator does."""
    yield
    folder = tmp_path_factory.mktemp("clean")
    gone = {
        target.name: [{"name": app["name"], "state": "absent", "purge": True} for app in broken_apps(target)]
        for target in all_targets
    }
    run = play(inventory=changed_inventory(folder, all_targets, add=gone))
    assert run.status == 0, run.output[-4000:]
    for target in all_targets:
        left = target.run(
            "ls -d /srv/asgi/* /etc/asgi/* /var/lib/asgi/* /etc/systemd/system/asgi-* /etc/sysusers.d/asgi-* "
            "/etc/nginx/conf.d/* /etc/nginx/asgi/tls/*; cut -d: -f1 /etc/passwd"
        )
        assert not [name for name in BROKEN if f"/{name}\n" in left or f"asgi-{name}" in left], left


@pytest.mark.parametrize("name", NAMED)
def test_play_fails_and_says_why(target: Target, broken: Run, name: str) -> None:
    """Name, reason, the app's own words, and what serves now."""
    assert broken.status != 0
    messages = broken.messages(target.name)
    own = [part for part in messages.split("\n\n") if f"{name}: release" in part or f"({name})" in part]
    text = messages[messages.index(f"{name}: ") :] if f"{name}: " in messages else ""
    assert own or text, f"{name} is not in the messages:\n{messages}"
    end = text.find("No release of it serves yet.")
    assert end > 0, text
    for words in BROKEN[name]:
        assert words in text[:end], f"{words!r} is not in what was said of {name}:\n{text[:end]}"


def test_secret_of_a_hook_is_masked(target: Target, broken: Run) -> None:
    """A hook that prints its environment does not print it into the play's output."""
    assert "I say " in broken.output
    assert LEAK not in broken.output


@pytest.mark.parametrize("name", NAMED)
def test_nothing_is_left_of_a_broken_app(target: Target, broken: Run, name: str) -> None:
    """No unit that runs or is enabled, no release, no site."""
    assert f"asgi-{name}" not in target.run(UNITS)
    assert f"{name}" not in target.run("ls /etc/nginx/conf.d /etc/nginx/asgi/tls")
    assert target.run(f"ls -A /srv/asgi/{name}/releases 2>/dev/null || true") == ""
    assert target.run(f"test -L /srv/asgi/{name}/current && echo there || true") == ""
    units = target.run(f"systemctl list-units --all --plain --no-legend 'asgi-{name}@*'")
    assert units == ""


def test_nothing_else_on_the_host_changed(target: Target, broken: Run, before: dict[str, Before]) -> None:
    """Units, nginx and processes of the other apps are as they were."""
    was = before[target.name]
    assert target.run(UNITS) == was.units
    assert target.run(NGINX) == was.nginx
    assert target.pids() == was.pids
    for name, app in target.apps.items():
        if app.get("domains"):
            assert target.door.ask(app["domains"][0], target.front(name)).status == 200, name


def test_broken_new_release_of_a_working_app(target: Target, broken: Run, before: dict[str, Before]) -> None:
    """The earlier release serves, untouched, and the message says so."""
    was = before[target.name].release
    assert f"Release {was} serves as before." in broken.messages(target.name)
    assert target.release("probe")["id"] == was
    assert target.door.json(target.domain("probe"))["app"] == "probe"
    assert was in target.run("ls /srv/asgi/probe/releases")
