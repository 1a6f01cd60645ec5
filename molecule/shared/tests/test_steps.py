"""What a play says while a deploy is at work, before one, and in the end."""

from __future__ import annotations

import itertools
import re
import time

import pytest
from playbook import play
from shop import APP, DOMAIN, Shop

pytestmark = [pytest.mark.scenario("release"), pytest.mark.lane, pytest.mark.in_turn]

# Seconds that each hook takes here: more than a call may last before it is looked at.
SLOW = 5
# Seconds between two lines of a deploy on a busy machine, whatever it is at.
SILENCE = 30.0
# Of no earlier release, which would serve again.
HOOKS = {"build": [f"sleep {SLOW}; : {time.time_ns()}"], "migrate": [f"sleep {SLOW}"]}
STEPS = (
    "new release *-",
    "build release ",
    "run hooks.build",
    "check that the app can be imported",
    "run hooks.migrate",
    "start release ",
    "switch the traffic to release ",
    "wait until nginx has let go of release ",
    "release ",
)


def test_deploy_says_each_step_when_it_begins(shop: Shop) -> None:
    shop.succeeded(shop.deploy())
    version = shop.new_version()
    said: list[tuple[float, str]] = []
    with shop.load() as seen:
        deploy = shop.start_deploy(hooks=HOOKS)
        assert deploy.stdout
        said += [(time.monotonic(), line.rstrip()) for line in deploy.stdout]
        assert deploy.wait(600) == 0, said
    assert shop.answers()["version"] == version
    assert seen.lost_count == 0

    begin = f"    [{shop.target.name}] {APP}: "
    steps = [(when, line.removeprefix(begin)) for when, line in said if line.startswith(begin)]
    order = [text for _when, text in steps if text.startswith(STEPS)]
    assert len(order) == len(STEPS), steps
    assert all(text.startswith(word) for text, word in zip(order, STEPS, strict=True)), steps
    assert order[-1] == f"release {shop.release()} serves at https://{DOMAIN}/"
    # Not all at once in the end.
    began = {word: next(when for when, text in steps if text.startswith(word)) for word in STEPS}
    assert began["run hooks.migrate"] - began["run hooks.build"] > SLOW / 2, steps
    assert began["start release "] - began["run hooks.migrate"] > SLOW / 2, steps
    gaps = [after - before for before, after in itertools.pairwise(moment for moment, _line in said)]
    assert max(gaps) < SILENCE, said
    assert not shop.target.run("ls /run | grep asgi-host.progress || true")


def test_check_says_which_release_and_why_as_the_deploy_does(shop: Shop) -> None:
    shop.succeeded(shop.deploy())
    before, serves = shop.state(), shop.release()
    keys = {"workers": 1, "env": {"GREETING": "good day", "MORE": str(time.time_ns())}}
    found = re.compile(rf"^    \[{shop.target.name}\] (\(check\) )?{APP}: (new release .*)$", re.MULTILINE)
    dry = shop.succeeded(play("--check", inventory=shop.inventory(**keys), targets=[shop.target]))
    assert shop.state() == before
    ((check, words),) = found.findall(dry.output)
    assert check
    assert words.endswith(
        "(settings changed: gunicorn.conf.py; environment changed: env.GREETING, env.MORE), "
        f"in place of {serves}"
    ), words
    run = shop.succeeded(shop.deploy(**keys))
    assert found.findall(run.output) == [("", words)]
    digest = re.match(r"new release \*-([0-9a-f]{6}) ", words)
    assert digest
    assert shop.release().endswith(f"-{digest[1]}")


def test_rollback_says_what_serves_and_where(shop: Shop) -> None:
    shop.succeeded(shop.deploy(env={"GREETING": "one"}))
    earlier = shop.release()
    shop.succeeded(shop.deploy(env={"GREETING": "two"}))
    run = shop.succeeded(shop.rollback())
    line = f"    [{shop.target.name}] {APP}: rolled back, release {earlier} serves at https://{DOMAIN}/\n"
    assert line in run.output
