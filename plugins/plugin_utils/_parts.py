# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The parts of a host that one run is for: Ansible's tags, or an entry point of the role, narrow it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._apps import nearest
from ansible_collections.asgi.host.plugins.module_utils._apps.reading import show

# Each part of a host, with the stage by which the module look names it.
PARTS = {"system": "base", "releases": "releases", "nginx": "sites"}
PREFIX = "asgi_host_"
TAGS = {PREFIX + part: part for part in PARTS}
# Of Ansible: they select every task that has a tag, and the role's have one.
EVERYTHING = frozenset({"all", "tagged"})


@dataclass(frozen=True)
class Selection:
    """What one run is for."""

    parts: frozenset[str]
    warning: str = ""
    """Why nothing is done, where the tags select nothing."""

    @property
    def whole(self) -> bool:
        """Whether the run is for everything, the removal of apps included."""
        return self.parts == PARTS.keys()

    def due(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """The stages that are due and selected; what goes, goes in a whole run alone."""
        stages = {PARTS[part] for part in self.parts} | ({"leave"} if self.whole else set())
        return {stage: what for stage, what in found.items() if what and stage in stages}

    def left(self, found: Mapping[str, Any]) -> list[str]:
        """The parts in which something is due and that are not selected."""
        return [part for part, stage in PARTS.items() if part not in self.parts and found.get(stage)]

    def refusal(self, found: Mapping[str, Any], *, compared: bool = True) -> str:
        """Why the selected parts cannot be brought about; empty where they can. The rest needs the system part.

        Where the host was not ``compared``, nobody knows whether they are due.
        """
        if "system" in self.parts or not found.get("base") or (compared and not self.due(found)):
            return ""
        chosen = " and ".join(PREFIX + part for part in sorted(self.parts))
        reasons = ", ".join(map(str, found["base"]))
        return (
            f"{chosen}: the system part of this host is not as it must be ({reasons}), and the rest needs it; run "
            f"without tags, or add {PREFIX}system"
        )


def select(
    run: Iterable[str], skip: Iterable[str], own: Iterable[str], only: Collection[str] = ()
) -> Selection:
    """The parts that a run with these tags (``--tags``, ``--skip-tags``) is for.

    ``own`` are the tags of the role's task: those that a playbook gives to the whole role are among them. ``only`` names
    the parts of an entry point.
    """
    run, skip = set(run), set(skip)
    given = set(own) - TAGS.keys() - {"always"}
    parts = set(PARTS) if run & (EVERYTHING | given) else {TAGS[tag] for tag in run if tag in TAGS}
    parts -= {TAGS[tag] for tag in skip if tag in TAGS}
    if only:
        parts &= set(only)
    return Selection(frozenset(parts), "" if parts else _nothing(run, skip))


def _nothing(run: Collection[str], skip: Collection[str]) -> str:
    """That the tags select nothing, with those that there are."""
    tags = ", ".join(TAGS)
    meant = [PREFIX + found for tag in sorted(run) if (found := nearest(tag.removeprefix(PREFIX), PARTS))]
    if skip & TAGS.keys():
        given, fix = "--tags with --skip-tags", f"leave one of {tags}."
    else:
        given = f"--tags {', '.join(map(show, sorted(run)))}"
        fix = f"did you mean {meant[0]}?" if meant else f"its tags are {tags}."
    return (
        f"{given} selects nothing of the role asgi.host.asgi_host, so it did nothing; {fix} "
        "A tag of your own on include_role reaches the role by apply: {tags: [YOURS]}"
    )


def are_of_others(task: Any, run: Iterable[str]) -> bool:
    """Whether all these tags are of other tasks or roles of the task's play, so that nobody meant this role."""
    play = task.get_play()
    blocks = [*play.pre_tasks, *play.tasks, *play.post_tasks]
    for role in play.roles:
        blocks += role.get_task_blocks()
    return set(run) <= {tag for block in blocks for tag in _tags(block)}


def _tags(block: Any) -> Iterator[str]:
    """The tags of a task, or of all tasks of a block; those of a task hold those of what it is in."""
    parts = [*getattr(block, "block", ()), *getattr(block, "rescue", ()), *getattr(block, "always", ())]
    for part in parts:
        yield from _tags(part)
    yield from map(str, block.tags)
