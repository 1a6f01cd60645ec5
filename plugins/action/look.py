# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action plugin of the module look: checks the inventory, and asks the host everything at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.asgi.host.plugins.module_utils import _systems, _words
from ansible_collections.asgi.host.plugins.plugin_utils import (
    _controller,
    _doors,
    _outcome,
    _parcels,
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
        """Arguments: role."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._task_vars = task_vars or {}
        self._role = role = Role(
            self._task.args["role"],
            _controller.bases(self._task_vars),
            lambda path: _controller.read_key(self._loader, path),
        )
        self._parcels: dict[str, str] = {}
        for words in _variables.warnings(self._task.args["role"], self._task_vars):
            self._display.warning(words)
        if problems := role.problems():
            return {**result, "failed": True, "msg": _words.safe_all(problems)}
        remembered = _controller.Remembered(self._task_vars)
        guess, known = remembered.read()
        asked = self._ask_for(guess, known) if guess and self._complete(guess) else Asked({}, known)
        answer = self._call(asked)
        if "host" not in answer:
            return {**result, **answer}
        host = answer["host"]
        if problems := role.host_problems(host):
            return {**result, "failed": True, "msg": problems}
        for warning in _systems.warnings(host):
            # The same words for all hosts of a kind: Ansible shows them once.
            self._display.warning(warning)
        lacks = [] if answer["compared"] else role.lacks(host).reasons()
        if not (answer["compared"] or lacks or role.leaves(host)):
            asked = self._ask_for(host, known)
            answer = self._call(asked)
            if "host" not in answer:
                return {**result, **answer}
        remembered.write(host, asked.sources)
        self._say_what_was_deployed(answer.get("apps", {}))
        if failures := answer.get("failures"):
            return {
                **result,
                "failed": True,
                "changed": answer["changed"],
                "msg": "\n\n".join(failures.values()),
            }
        # Not compared where something must come first, where a source cannot be had, or where the host just changed.
        due = answer["due"] if answer["compared"] else {"base": lacks or ["what could not be compared"]}
        leaves = role.leaves(host)
        if leaves:
            due = {"base": [], **due, "leave": ["what all apps share"]}
        result.update(
            changed=answer.get("changed", False),
            host=host,
            due={stage: what for stage, what in due.items() if what},
            leaves=leaves,
            apps=self._new(host) if due.get("base") else answer["apps"],
        )
        if due.get("base"):
            result["lacks"] = asdict(role.lacks(host))
        return result if result["due"] else self._settled(result, answer, asked.everything)

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
            told = self._role.tell(host, self._loader)
            if told.failures:
                raise _sources.SourceError("\n".join(told.failures.values()))
            parcels, sources = ({}, known) if self._only_looks() else _parcels.changed(told, known)
        except (_sources.SourceError, OSError, ValueError) as error:
            # Told by the task that needs it, app by app.
            self._display.v(_words.safe(str(error)))
            return Asked({}, known)
        for name in parcels:
            _controller.say(self, self._task_vars, "its source has changed", name)
        self._parcels = parcels
        return Asked(self._role.everything(host, told, parcels), sources)

    def _only_looks(self) -> bool:
        """Whether no host is to be changed before all were looked at."""
        task = self._task
        return bool(
            task.check_mode or task.any_errors_fatal or task.get_play().max_fail_percentage is not None
        )

    def _settled(
        self, result: dict[str, Any], answer: dict[str, Any], everything: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The end of a play that had nothing to do, for a host that is as it must be."""
        for spec in everything["apps"]:
            for warning in _specs.warnings(spec, answer["apps"].get(spec["name"], {})):
                self._display.warning(warning)
        if self._task.check_mode:
            return result
        address = _controller.address(self._task_vars)
        found = _doors.conclude(everything["doors"], answer["self_test"], address, self._display)
        result["self_test"] = found
        if found["differences"]:
            result.update(failed=True, msg="\n\n".join(found["differences"].values()))
        return result
