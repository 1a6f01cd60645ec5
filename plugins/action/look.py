# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action plugin of the module look: checks the inventory, compares the host with it, and deploys new code, in one call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.asgi.host.plugins.module_utils import _systems, _words
from ansible_collections.asgi.host.plugins.plugin_utils import (
    _controller,
    _doors,
    _origins,
    _outcome,
    _own_files,
    _parcels,
    _parts,
    _render,
    _sources,
    _specs,
    _variables,
)
from ansible_collections.asgi.host.plugins.plugin_utils._role import Role


@dataclass(frozen=True)
class Asked:
    """What a host is asked beside its facts: nothing where that cannot be told yet."""

    everything: Mapping[str, Any]
    sources: dict[str, str]
    """What to remember of the apps' sources."""


class ActionModule(ActionBase):
    """Takes one call to the host where its facts are those of the last time, two elsewhere.

    A new source that is all there is to bring is brought by the same call.
    """

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Arguments: role, only."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._task_vars = task_vars or {}
        self._role = role = Role(
            self._task.args["role"],
            _controller.bases(self._task_vars),
            lambda path: _controller.read_key(self._loader, path),
        )
        self._parcels: dict[str, str] = {}
        self._selection = self._select()
        if words := self._selection.warning:
            if not _parts.are_of_others(self._task, self._task_vars["ansible_run_tags"]):
                self._display.warning(words)
            return {**result, "skipped": True, "msg": words}
        for words in _variables.warnings(self._task.args["role"], self._task_vars):
            self._display.warning(words)
        self._contents = _own_files.Contents(self, self._task_vars, role.bases)
        if problems := role.problems() or self._contents.problems(role.apps):
            return {**result, "failed": True, "msg": _words.safe_all(problems)}
        try:
            return {**result, **self._compare()}
        except _render.TemplateFaultError as error:
            return {**result, "failed": True, "msg": _words.safe(str(error))}

    def _compare(self) -> dict[str, Any]:
        """Ask the host everything, in one call or two; and what follows from the answer."""
        role = self._role
        remembered = _controller.Remembered(self._task_vars)
        guess, known = remembered.read()
        asked = self._ask_for(guess, known) if guess and self._complete(guess) else Asked({}, known)
        answer = self._call(asked)
        if "host" not in answer:
            return answer
        host = answer["host"]
        if problems := role.host_problems(host):
            return {"failed": True, "msg": problems}
        for warning in _systems.warnings(host):
            # The same words for all hosts of a kind: Ansible shows them once.
            self._display.warning(warning)
        lacks = [] if answer["compared"] else role.lacks(host).reasons()
        if not (answer["compared"] or lacks or role.leaves(host)):
            asked = self._ask_for(host, known)
            answer = self._call(asked)
            if "host" not in answer:
                return answer
        remembered.write(host, asked.sources)
        self._say_what_was_deployed(answer.get("apps", {}))
        if failures := answer.get("failures"):
            return {"failed": True, "changed": answer["changed"], "msg": "\n\n".join(failures.values())}
        return self._follow(answer, lacks, asked.everything)

    def _follow(
        self, answer: dict[str, Any], lacks: list[str], everything: Mapping[str, Any]
    ) -> dict[str, Any]:
        """What there is to do on a host that has answered so and ``lacks`` this, or the end of a play without anything."""
        host = answer["host"]
        # Not compared where something must come first, where a source cannot be had, or where the host just changed.
        due = answer["due"] if answer["compared"] else {"base": lacks or ["what could not be compared"]}
        leaves = self._role.leaves(host)
        if leaves:
            due = {"base": [], **due, "leave": ["what all apps share"]}
        if not leaves and (words := self._selection.refusal(due, compared=answer["compared"])):
            return {"failed": True, "msg": words}
        apps = self._new(host) if due.get("base") else answer["apps"]
        there = {name: app for name, app in apps.items() if app["status"] != "removed"}
        result = {
            "changed": answer.get("changed", False),
            "host": host,
            "leaves": leaves,
            "apps": apps,
            **self._to_do(due, apps, leaves=leaves),
            "ansible_facts": _outcome.facts({}, there, self._role.url),
        }
        if due.get("base"):
            result["lacks"] = asdict(self._role.lacks(host))
        if left := self._selection.left(due):
            parts = " and ".join(sorted(self._selection.parts))
            words = f"this run is for {parts} alone; due as well: {', '.join(left)}"
            _controller.say(self, self._task_vars, words)
        if not self._selection.whole:
            # Of a host that loses its last app nothing more was asked.
            gone = [app["name"] for app in self._role.apps] if leaves else sorted(apps.keys() - there.keys())
            for name in gone:
                _controller.say(self, self._task_vars, "it is removed by a run without tags", name)
        if result["due"] or not answer["compared"]:
            return result
        return self._settled(result, answer, everything)

    def _select(self) -> _parts.Selection:
        """The parts of the host that this run is for."""
        given = self._task_vars
        run, skip = given.get("ansible_run_tags", ["all"]), given.get("ansible_skip_tags", [])
        return _parts.select(run, skip, getattr(self._task, "tags", ()), self._task.args.get("only") or ())

    def _to_do(self, due: Mapping[str, Any], apps: Mapping[str, Any], *, leaves: bool) -> dict[str, Any]:
        """What the tasks that follow go by; ``apps`` are empty where nobody can tell before the base is there."""
        selection, role = self._selection, self._role
        own = selection.due(due)
        releases = "releases" in selection.parts
        unknown = bool(own.get("base")) and not apps
        present = [app["name"] for app in role.apps if app["state"] == "present"]
        return {
            "due": own,
            "parts": sorted(selection.parts),
            "new": releases and (unknown or any(_outcome.needs_work(found) for found in apps.values())),
            "sites": not leaves and bool(own.get("sites") or own.get("base")),
            "removes": selection.whole and len(present) < len(role.apps),
            # Of a run that brings no release: nothing serves that a site could lead to.
            "unserved": []
            if releases
            else [name for name in present if _outcome.serves_nothing(apps.get(name, {}))],
            "tasks": role.own_tasks,
        }

    def _say_what_was_deployed(self, apps: Mapping[str, Any]) -> None:
        for name, app in apps.items():
            if name in self._parcels and app["status"] in ("deployed", "synced"):
                _controller.say(self, self._task_vars, _outcome.done(app, self._role.place(name)), name)

    def _new(self, host: dict[str, Any]) -> dict[str, Any]:
        """The apps of a host that has none yet: of them there is nothing to be found out."""
        if host["apps"]:
            return {}
        return {
            app["name"]: {"status": "needed", "reasons": ["no release serves yet"]}
            for app in self._role.apps
            if app["state"] == "present"
        }

    def _complete(self, host: dict[str, Any]) -> bool:
        """Whether a host with these facts has what the rest is looked at with."""
        role = self._role
        return not (role.host_problems(host) or role.lacks(host).reasons() or role.leaves(host))

    def _call(self, asked: Asked) -> dict[str, Any]:
        """Ask for the facts, and for the rest if they are those that it was made for."""
        arguments = {"question": self._role.question(), **asked.everything}
        private = arguments.pop("private", None)
        # Where nothing is brought, nothing lasts.
        progress = self._role.progress and bool(self._parcels)
        return _controller.on_host(self, self._task_vars, "look", arguments, private, progress=progress)

    def _ask_for(self, host: dict[str, Any], known: dict[str, str]) -> Asked:
        """What a host with these facts is asked, with the sources that are not those which are ``known``."""
        self._parcels = {}
        try:
            told = self._role.tell(host, self._loader, self._contents.of)
            if told.failures:
                raise _sources.SourceError("\n".join(told.failures.values()))
            parcels, sources = ({}, known) if self._only_looks() else _parcels.changed(told, known)
        except _render.TemplateFaultError:
            # A matter of every stage: nothing is to be changed before it is put right.
            raise
        except (_sources.SourceError, OSError, ValueError) as error:
            # Told by the task that needs it, app by app.
            self._display.v(_words.safe(str(error)))
            return Asked({}, known)
        for name in parcels:
            _controller.say(self, self._task_vars, "its source has changed", name)
            _controller.say_once(self, self._task_vars, _origins.not_sent(told.origins[name]), name)
        self._parcels = parcels
        return Asked(self._role.everything(host, told, parcels), sources)

    def _only_looks(self) -> bool:
        """Whether nothing is to be changed before all was looked at.

        A run that is not for releases brings none, and tasks of the inventory's own come before and after one.
        """
        task, own = self._task, self._role.own_tasks
        return bool(
            task.check_mode
            or task.any_errors_fatal
            or task.get_play().max_fail_percentage is not None
            or "releases" not in self._selection.parts
            or own["before_releases"]
            or own["after_releases"]
            or own["after"]
        )

    def _settled(
        self, result: dict[str, Any], answer: dict[str, Any], everything: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The end of a play that had nothing to do, for a host that is as it must be."""
        for spec in everything["apps"]:
            for warning in _specs.warnings(spec, answer["apps"].get(spec["name"], {})):
                self._display.warning(warning)
        if self._task.check_mode or self._selection.left(answer["due"]):
            return result
        address = _controller.address(self._task_vars)
        found = _doors.conclude(everything["doors"], answer["self_test"], address, self._display)
        result["self_test"] = found
        if found["differences"]:
            result.update(failed=True, msg="\n\n".join(found["differences"].values()))
        return result
