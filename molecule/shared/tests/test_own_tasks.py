"""Tasks of an inventory's own between the steps, the result that they read, and tags that narrow a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playbook import Run, play
from shop import APP, DOMAIN, Shop

pytestmark = [pytest.mark.scenario("release"), pytest.mark.lane, pytest.mark.in_turn]

SAY = """- name: Say what there is to say
  ansible.builtin.debug:
    msg: "{word}: {{{{ ansible_facts.asgi_host.apps.{app} | to_json }}}}"
"""
FAIL = """- name: Fail
  ansible.builtin.fail:
    msg: the balancer does not answer
"""


def run(shop: Shop, *options: str, **own: str) -> Run:
    """Deploy with tasks of our own: their text by the time at which they run."""
    variables = {}
    for time, text in own.items():
        path = Path(shop.folder) / f"{time}.yml"
        path.write_text(text, encoding="utf-8")
        variables[f"asgi_host_{time}_tasks"] = [str(path)]
    return play("-e", json.dumps(variables), *options, inventory=shop.inventory(), targets=[shop.target])


def said(found: Run, word: str) -> dict[str, str]:
    """What a task of ours has said."""
    (line,) = [line for line in found.output.splitlines() if f'"msg": "{word}: ' in line]
    text: str = json.loads(f"{{{line.strip()}}}")["msg"]
    result: dict[str, str] = json.loads(text.partition(": ")[2])
    return result


def test_failing_task_before_the_releases_keeps_what_serves(shop: Shop) -> None:
    shop.succeeded(shop.deploy())
    before, version = shop.state(), shop.answers()["version"]
    shop.new_version()
    found = run(shop, before_releases=FAIL)
    assert shop.failed(found) == "the balancer does not answer"
    assert (shop.state(), shop.answers()["version"]) == (before, version)


def test_own_tasks_see_what_is_due_and_what_became_of_it(shop: Shop) -> None:
    shop.succeeded(shop.deploy())
    earlier, version = shop.release(), shop.new_version()
    times = ("before_releases", "after_releases", "after")
    found = shop.succeeded(run(shop, **{time: SAY.format(word=time, app=APP) for time in times}))
    assert shop.answers()["version"] == version
    due, done, end = (said(found, time) for time in times)
    assert (due["status"], due["release"]) == ("needed", earlier)
    assert (done["status"], done["release"], done["url"]) == (
        "deployed",
        shop.release(),
        f"https://{DOMAIN}/",
    )
    assert end == done


def test_tag_that_selects_nothing_is_told_and_another_leaves_releases_alone(shop: Shop) -> None:
    shop.succeeded(shop.deploy())
    before = shop.state()
    shop.new_version()
    nothing = shop.succeeded(run(shop, "--tags", "nginx"))
    assert "did you mean asgi_host_nginx?" in nothing.output
    nginx = shop.succeeded(run(shop, "--tags", "asgi_host_nginx"))
    assert "this run is for nginx alone; due as well: releases" in nginx.output
    assert shop.state() == before


def test_rollback_takes_one_remote_call(shop: Shop) -> None:
    shop.succeeded(shop.deploy())
    shop.new_version()
    shop.succeeded(shop.deploy())
    found = shop.succeeded(shop.rollback("-vvv"))
    assert found.remote_calls(shop.target.door.https[0]) == 1
