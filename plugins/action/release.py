# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action plugin of the module release: looks at all apps in one call, and uploads only what is to be deployed."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.asgi.host.plugins.module_utils import _words
from ansible_collections.asgi.host.plugins.module_utils._apps import InputError
from ansible_collections.asgi.host.plugins.module_utils._private import wrap
from ansible_collections.asgi.host.plugins.plugin_utils import (
    _beside,
    _controller,
    _fleet,
    _origins,
    _outcome,
    _own_files,
    _parcels,
    _progress,
    _sources,
    _specs,
)
from ansible_collections.asgi.host.plugins.plugin_utils._role import Role

# Of an app that was looked at: nothing is to be repaired.
SETTLED = ("current", "needed")


def may_be_slow(spec: Mapping[str, Any]) -> int:
    """Whether commands of an app's own are run, which may take any time, and wait for other hosts: the others go first."""
    hooks = spec["hooks"]
    return 2 if hooks["migrate"] else 1 if hooks["build"] or hooks["after"] else 0


class ActionModule(ActionBase):
    """Runs the module once for all apps, and once more for each app that needs a new release."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Arguments: role, host (facts), looked, sites; of a rollback mode, app, release, no host; of a removal mode, failed.

        ``looked`` is what the module look found of the apps, where nothing has changed since. With ``sites`` each app's site
        follows its release in the same call.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._task_vars = task_vars or {}
        arguments = self._task.args
        rollback = arguments.get("mode") == "rollback"
        self._diff: list[dict[str, str]] = []
        self._role = role = Role(arguments["role"], _controller.bases(self._task_vars))
        common = {"uv": role.uv, "wheels": role.wheels or None}
        if rollback:
            return {**result, **self._roll_back(common, arguments["app"], arguments.get("release") or "")}
        self._host = arguments["host"]
        looked = arguments.get("looked") or {}
        if arguments.get("mode") == "remove":
            return {**result, **self._remove(common, looked)}
        contents = _own_files.Contents(self, self._task_vars, role.bases)
        told = role.tell(self._host, self._loader, contents.of)
        self._origins = told.origins
        # What is to go goes when nothing leads to it any more, by a task of its own.
        described = [spec for spec in told.specs if spec["state"] == "present"]
        failures = told.failures
        self._private = told.private
        if looked and all(looked.get(spec["name"], {}).get("status") in SETTLED for spec in described):
            known = {spec["name"]: looked[spec["name"]] for spec in described}
            answer: dict[str, Any] = {"apps": known, "failures": {}, "changed": False}
        elif not described:
            answer = {"apps": {}, "failures": {}, "changed": False}
        else:
            answer = self._call({**common, "apps": described, "mode": "look"})
        if "apps" not in answer:
            return {**result, **answer}
        results, changed = answer["apps"], answer["changed"]
        failures.update(answer["failures"])
        for spec in described:
            for warning in _specs.warnings(spec, results.get(spec["name"], {})):
                self._display.warning(warning)
        new = [spec for spec in described if _outcome.needs_work(results.get(spec["name"], {}))]
        changed |= self._bring_all(new, results, failures, common)
        result.update(
            changed=changed,
            apps=results,
            failures=failures,
            diff=self._diff,
            ansible_facts=_outcome.facts(self._task_vars, results, role.url, failures),
        )
        return result

    def _roll_back(self, common: dict[str, Any], name: str, release: str) -> dict[str, Any]:
        """Go back to an earlier release: one call where the host's facts are those of the last play, two elsewhere."""
        role = self._role
        try:
            names = [app["name"] for app in role.apps]
        except InputError as error:
            return {"failed": True, "msg": _words.safe(str(error))}
        if name not in names:
            known = ", ".join(names)
            words = f"app: {name} is not among asgi_host_apps of this host ({known}); give one of them with -e app=NAME"
            return {"failed": True, "msg": words}
        remembered = _controller.Remembered(self._task_vars)
        host, sources = remembered.read()
        wanted = {**common, "mode": "rollback", "release": release or None}
        question = role.question()
        if host:
            answer = self._roll_back_by(host, name, {**wanted, "question": question})
        else:
            self._private = {}
            answer = self._call({**wanted, "apps": [], "host": None, "question": question})
        if "host" in answer:
            remembered.write(answer["host"], sources)
            answer = self._roll_back_by(answer["host"], name, wanted)
        return answer

    def _roll_back_by(self, host: dict[str, Any], name: str, wanted: Mapping[str, Any]) -> dict[str, Any]:
        """What a host with these facts answers; its facts, where it was asked for them and they are others."""
        told = self._role.tell(host, self._loader, rollback_of=name)
        self._private = told.private
        if told.failures:
            return {"changed": False, "apps": {}, "failures": told.failures}
        return self._call({**wanted, "apps": told.specs, "host": host})

    def _remove(self, common: dict[str, Any], looked: dict[str, Any]) -> dict[str, Any]:
        """Take away the apps that are to be absent, but for those whose domains wait for an app that failed."""
        found: dict[str, Any] = {"changed": False, "apps": {}, "failures": {}}
        absent = [app for app in self._role.apps if app["state"] == "absent"]
        if looked:
            absent = [app for app in absent if looked.get(app["name"], {}).get("status") != "current"]
        failed = self._task.args.get("failed") or []
        for name, domains in self._role.still_needed(self._host, failed).items():
            absent = [app for app in absent if app["name"] != name]
            self._display.warning(
                f"{name}: it is not removed, and goes on serving {', '.join(domains)}: what is to take its place failed "
                f"({', '.join(failed)})"
            )
        if not absent:
            return found
        self._private = {"index": None, "apps": {}}
        specs = [
            _specs.describe(app, self._role.common(self._host), None, by=_controller.operator())
            for app in absent
        ]
        return self._call({**common, "apps": specs, "mode": "look"})

    def _announce(self, name: str, found: Mapping[str, Any]) -> None:
        """Say which release an app gets and why; or that its live folder gets what changed, which needs none."""
        needed = found["status"] == "needed"
        words = _outcome.due(found) if needed else "its live folder gets what changed"
        _controller.say(self, self._task_vars, words, name)
        _controller.say_once(self, self._task_vars, _origins.not_sent(self._origins[name]), name)

    def _step(self, step: str, about: str, app: str) -> None:
        """Say what this machine does, where the host is not at work yet."""
        if self._role.progress:
            words = _progress.words({"step": step, "about": about})
            _controller.say(self, self._task_vars, words, app)

    def _bring_all(
        self,
        new: list[dict[str, Any]],
        results: dict[str, Any],
        failures: dict[str, str],
        common: dict[str, Any],
    ) -> bool:
        """Deploy the apps, and note what becomes of each; returns whether anything changed.

        Those that may be slow come last, beside one another: none waits for the commands of another.
        """
        # Those whose sites are not to be brought yet.
        self._not_yet = {*failures, *(spec["name"] for spec in new)}
        self._noting = threading.RLock()
        self._brought: dict[str, Any] = {
            "changed": False,
            "apps": results,
            "failures": failures,
            # Whether the sites that wait for nothing came already.
            "sites": False,
        }
        ordered = sorted(new, key=may_be_slow)
        for spec in ordered:
            self._announce(spec["name"], results[spec["name"]])
        if self._task.check_mode:
            return bool(new)
        quick = [spec for spec in ordered if not may_be_slow(spec)]
        slow = [spec for spec in ordered if may_be_slow(spec)]
        domains = {app["name"]: app["domains"] for app in self._role.apps if app["state"] == "present"}
        for rows in ([quick], _beside.rows(slow, domains)):
            _beside.carry_out(self, rows, lambda action, spec: action._bring(spec, common))
        return bool(self._brought["changed"])

    def _bring(self, spec: dict[str, Any], common: dict[str, Any]) -> None:
        """Make a new release, or send to a live folder what changed; note what became of it."""
        name, brought = spec["name"], self._brought
        needed = brought["apps"][name]["status"] == "needed"
        one = self._deploy_in_turn(spec, common) if needed else self._deploy(spec, common)
        with self._noting:
            if "apps" not in one:
                brought["failures"][name] = f"{name}: {one.get('msg') or one.get('exception')}"
                return
            brought["changed"] |= one.get("changed", False)
            brought["apps"].update(one["apps"])
            brought["failures"].update(one["failures"])
            if name not in brought["failures"]:
                self._not_yet.discard(name)

    def _deploy_in_turn(self, spec: dict[str, Any], common: dict[str, Any]) -> dict[str, Any]:
        """Deploy; an app with migrations goes from host to host, and no further than the first that fails."""
        if not spec["hooks"]["migrate"]:
            return self._deploy(spec, common)
        name, host = spec["name"], str(self._task_vars.get("inventory_hostname"))
        with _fleet.turn(spec, host, lambda: self._step("turn", "", name)) as (turn, note):
            if turn.failed:
                failure = f"{name}: not tried on this host, because it failed on {turn.failed}"
                return {"apps": {}, "failures": {name: failure}}
            try:
                answer = self._deploy(spec, {**common, "migrate": not turn.done})
            except BaseException:
                note({}, "its connection was lost, and its migration may still run")
                raise
            outcome = answer.get("apps", {}).get(name, {})
            failure = answer.get("failures", {}).get(name) or ("" if outcome else str(answer.get("msg")))
            note(outcome.get("migrated", {}), failure)
        return answer

    def _deploy(self, spec: dict[str, Any], common: dict[str, Any]) -> dict[str, Any]:
        """Upload the source, if there is one, and have the release built, proved and switched to."""
        name = spec["name"]
        with tempfile.TemporaryDirectory(prefix="asgi-host-") as scratch:
            try:
                local = self._origins[name].parcel(Path(scratch))
                _parcels.tell_version(spec, self._origins[name])
            except (_sources.SourceError, OSError, ValueError) as error:
                known = error if isinstance(error, _sources.SourceError) else _sources.unexpected(error)
                return {"apps": {}, "failures": {name: _specs.source_failure(name, known)}}
            wanted = {**common, "apps": [spec], "mode": "deploy"}
            steps, private = self._sites_of(name)
            wanted["sites"] = steps
            if local is None:
                return self._call(wanted, private)
            if text := _parcels.small(local):
                return self._call(wanted, {"parcels": {name: text}, **private})
            self._step("send", f"{local.stat().st_size / 1e6:.1f} MB", name)
            folder = self._make_tmp_path()
            try:
                remote = self._transfer_file(
                    str(local), self._connection._shell.join_path(folder, local.name)
                )
                return self._call({**wanted, "archive": remote}, private)
            finally:
                self._remove_tmp_path(folder)

    def _sites_of(self, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The steps ``before`` an app's release, of sites that wait for nothing, and those ``after`` it, of its own.

        Returns them, and what is private of them.
        """
        if not (self._task.args.get("sites") and self._role.variables["proxy"]):
            return {}, {}
        with self._noting:
            after = self._role.sites(self._host, self._not_yet - {name}, early=True)
            steps = {"after": after.steps}
            if not self._brought["sites"]:
                self._brought["sites"] = True
                steps["before"] = self._role.sites(self._host, self._not_yet, early=True).steps
        return steps, {"sites": after.private}

    def _call(self, arguments: dict[str, Any], more: dict[str, Any] | None = None) -> dict[str, Any]:
        """Have the host do it; ``more`` goes with what is private."""
        private = wrap({**self._private, **(more or {})})
        progress = self._role.progress
        answer = _controller.on_host(self, self._task_vars, "release", arguments, private, progress=progress)
        self._diff += answer.pop("diff", None) or []
        return answer
