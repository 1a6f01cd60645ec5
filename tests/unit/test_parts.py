# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which parts of a host a run is for, by its tags and the entry point of the role."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.plugin_utils import _parts

ALL = {"system", "releases", "nginx"}
ROLE = ("always",)


@pytest.mark.parametrize(
    ("run", "skip", "own", "only", "parts"),
    [
        (["all"], [], ROLE, [], ALL),
        (["tagged"], [], ROLE, [], ALL),
        (["asgi_host_nginx"], [], ROLE, [], {"nginx"}),
        (["asgi_host_nginx", "asgi_host_releases", "others"], [], ROLE, [], {"nginx", "releases"}),
        # A playbook's own tag on the whole role.
        (["web"], [], ("always", "web"), [], ALL),
        (["web", "asgi_host_nginx"], [], ("always", "web"), [], ALL),
        (["all"], ["asgi_host_nginx"], ROLE, [], {"system", "releases"}),
        (["all"], [], ROLE, ["nginx"], {"nginx"}),
        (["asgi_host_nginx", "asgi_host_system"], [], ROLE, ["nginx"], {"nginx"}),
    ],
)
def test_parts_by_tags(
    run: list[str], skip: list[str], own: list[str], only: list[str], parts: set[str]
) -> None:
    found = _parts.select(run, skip, own, only)
    assert found.parts == frozenset(parts)
    assert not found.warning
    assert found.whole == (parts == ALL)


@pytest.mark.parametrize(
    ("run", "skip", "words"),
    [
        (
            ["nginx"],
            [],
            "--tags 'nginx' selects nothing of the role asgi.host.asgi_host, so it did nothing; did you mean asgi_host_nginx?",
        ),
        (["asgi_host_relases"], [], "did you mean asgi_host_releases?"),
        (["web"], [], "its tags are asgi_host_system, asgi_host_releases, asgi_host_nginx."),
        (["asgi_host_nginx"], ["asgi_host_nginx"], "--tags with --skip-tags selects nothing"),
        # Another part than that of the entry point.
        (["asgi_host_system"], [], "selects nothing"),
    ],
)
def test_tags_that_select_nothing_are_told(run: list[str], skip: list[str], words: str) -> None:
    found = _parts.select(run, skip, ROLE, ["nginx"] if run == ["asgi_host_system"] else [])
    assert not found.parts
    assert words in found.warning


def test_what_is_due_is_narrowed_and_the_rest_is_named() -> None:
    due = {"base": [], "releases": ["shop: source changed"], "sites": ["a file"], "leave": ["all"]}
    nginx = _parts.select(["asgi_host_nginx"], [], ROLE)
    assert nginx.due(due) == {"sites": ["a file"]}
    assert nginx.left(due) == ["releases"]
    assert nginx.refusal(due) == ""
    assert set(_parts.select(["all"], [], ROLE).due(due)) == {"releases", "sites", "leave"}


def test_what_needs_the_system_part_is_refused_without_it() -> None:
    due = {"base": ["the package nginx"], "releases": [], "sites": ["a file"]}
    words = _parts.select(["asgi_host_nginx"], [], ROLE).refusal(due)
    assert words == (
        "asgi_host_nginx: the system part of this host is not as it must be (the package nginx), and the rest needs it; "
        "run without tags, or add asgi_host_system"
    )
    # Nothing is due that would need it.
    assert _parts.select(["asgi_host_releases"], [], ROLE).refusal(due) == ""
    assert _parts.select(["asgi_host_system"], [], ROLE).refusal(due) == ""


def block(*tasks: Any, tags: tuple[str, ...] = ()) -> Any:
    return SimpleNamespace(block=list(tasks), rescue=[], always=[], tags=list(tags))


def test_tags_of_other_tasks_of_the_play_are_nobodys_mistake() -> None:
    other = SimpleNamespace(get_task_blocks=lambda: [block(SimpleNamespace(tags=["monitoring"]))])
    play = SimpleNamespace(pre_tasks=[], tasks=[block(block(tags=("backup",)))], post_tasks=[], roles=[other])
    task = SimpleNamespace(get_play=lambda: play)
    assert _parts.are_of_others(task, ["monitoring", "backup"])
    assert not _parts.are_of_others(task, ["monitoring", "nginx"])
