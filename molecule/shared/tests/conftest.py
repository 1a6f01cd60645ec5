"""Fixtures of the tests on hosts, and the journal of the apps beside every failure."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from client import Door
from outside import SCANS, begin_testssl
from shop import Shop
from targets import HOSTS, PHASE, SCENARIO, Target, takes_turn
from testinfra.host import Host

# The tests of a lane have a host for themselves, and those of all hosts run at the same time: `all` leaves them out,
# a host's name leaves all others out, and without it every test runs in turn.
LANE = os.environ.get("ASGI_LANE", "")
TARGETS = [target for target in HOSTS if LANE in ("", "all", target.name)]
# What is asked again after a reboot, that the host serves with no help; and of the installed collection.
QUICK = {"test_door", "test_process", "test_data"}
QUICK_ONLY = PHASE == "rebooted" or SCENARIO == "collection"
# A scenario about one thing runs the tests that name it, and no others.
GENERAL = {"default", "full", "collection"}
# What costs a whole converge goes last.
ORDER = ("test_door", "test_process", "test_needs", "test_crash", "test_converge", "test_release")
LAST = {"test_door_tools", "test_forgery", "test_leaving", "test_nginx"}


def pytest_configure(config: pytest.Config) -> None:
    """Name the markers."""
    config.addinivalue_line("markers", "scenario(*names): only in these scenarios")
    config.addinivalue_line("markers", "phase(*names): only in these phases")
    config.addinivalue_line(
        "markers", "lane: has one host for itself; those of other hosts may run beside it"
    )
    config.addinivalue_line(
        "markers", "in_turn(place=None): shows the same on each Debian release; the hosts take turns"
    )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not for this scenario and phase; do first what is quick.

    After pytest's own ordering, which goes from host to host: by module, so that a play on all hosts is run once.
    """
    kept: list[pytest.Item] = []
    left: list[pytest.Item] = []
    for item in items:
        module = item.path.stem
        scenario, phase = item.get_closest_marker("scenario"), item.get_closest_marker("phase")
        wanted = SCENARIO in (scenario.args if scenario else GENERAL)
        in_phase = PHASE in phase.args if phase else not QUICK_ONLY or module in QUICK
        in_lane = not LANE or bool(item.get_closest_marker("lane")) == (LANE != "all")
        (kept if wanted and in_phase and in_lane else left).append(item)
    rank = {name: place for place, name in enumerate(ORDER)}
    kept.sort(key=lambda item: (item.path.stem in LAST, rank.get(item.path.stem, len(ORDER)), item.path.stem))
    others = not_its_turn(kept)
    items[:] = [item for item in kept if item not in others]
    config.hook.pytest_deselected(items=[*left, *others])


def not_its_turn(items: list[pytest.Item]) -> set[pytest.Item]:
    """Those of the tests in turn that another host runs: the next one for each test, or for a parameter by its place."""
    found, places = set(), dict[str, int]()
    for item in items:
        mark, params = item.get_closest_marker("in_turn"), getattr(item, "callspec", None)
        target = params.params.get("target") if params else None
        if mark is None or target is None:
            continue
        own = places.setdefault(item.nodeid.replace(target.name, ""), len(places))
        if not takes_turn(target, mark.args[0] if mark.args else own):
            found.add(item)
    return found


@pytest.fixture(scope="session")
def all_targets() -> list[Target]:
    """All hosts under test: one run of Ansible on all of them costs hardly more than on one."""
    assert TARGETS, "no host to test: set ASGI_HOSTS_JSON, or run the tests through molecule"
    return TARGETS


@pytest.fixture(scope="session", params=TARGETS or (None,), ids=lambda each: each.name if each else "none")
def target(request: pytest.FixtureRequest) -> Target:
    """Each host under test in turn."""
    if request.param is None:
        pytest.fail("no host to test: set ASGI_HOSTS_JSON, or run the tests through molecule")
    chosen: Target = request.param
    return chosen


@pytest.fixture(scope="session", autouse=True)
def scans() -> Iterator[None]:
    """What takes minutes, and little of the processor, runs beside the tests of a lane."""
    begun = TARGETS if SCENARIO == "door" and LANE not in ("", "all") else []
    for each in begun:
        begin_testssl(each)
    yield
    for each in begun:
        SCANS[each.name].terminate()


@pytest.fixture(scope="session")
def shop(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The app of the scenario ``release`` with a source of its own."""
    made = Shop(target, tmp_path_factory.mktemp(target.name))
    made.new_version()
    made.succeeded(made.deploy())
    return made


@pytest.fixture
def host(target: Target) -> Host:
    """Testinfra's view of the host, as root."""
    return target.host


@pytest.fixture
def door(target: Target) -> Door:
    """The public ports of the host."""
    return target.door


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with each failure what the apps of its host last said."""
    report = yield
    funcargs: dict[str, Any] = getattr(item, "funcargs", {})
    target = funcargs.get("target")
    if report.failed and isinstance(target, Target):
        try:
            report.sections.append((f"journal of the apps on {target.name}", target.journal()))
        except AssertionError as error:
            report.sections.append(("journal", str(error)))
    return report
