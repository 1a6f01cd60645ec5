# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Action plugin of the module release: looks at all apps in one call, and uploads only what is to be deployed."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.asgi.host.plugins.module_utils._private import wrap
from ansible_collections.asgi.host.plugins.plugin_utils import _controller, _fleet, _parcels, _sources, _specs
from ansible_collections.asgi.host.plugins.plugin_utils._role import Role

# Of an app that was looked at: nothing is to be repaired.
SETTLED = ("current", "needed")


class ActionModule(ActionBase):
    """Runs the module once for all apps, and once more for each app that needs a new release."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Arguments: role, host (facts), looked; of a rollback mode, app, release.

        ``looked`` is what the module look found of the apps, where nothing has changed since.
        """
        result: dict[str, Any] = super().run(tmp, task_vars)
        self._task_vars = task_vars or {}
        arguments = self._task.args
        rollback = arguments.get("mode") == "rollback"
        role = Role(arguments["role"], _controller.bases(self._task_vars))
        told = role.tell(arguments["host"], self._loader, rollback_of=arguments["app"] if rollback else "")
        self._origins = told.origins
        described, failures = told.specs, told.failures
        self._private = told.private
        common = {"uv": role.uv, "wheels": role.wheels or None}
        looked = arguments.get("looked") or {}
        if looked and all(looked.get(spec["name"], {}).get("status") in SETTLED for spec in described):
            answer: dict[str, Any] = {"apps": dict(looked), "failures": {}, "changed": False}
        else:
            answer = self._call(
                {
                    **common,
                    "apps": described,
                    "mode": "rollback" if rollback else "look",
                    "release": arguments.get("release"),
                }
            )
        if "apps" not in answer:
            return {**result, **answer}
        results, changed = answer["apps"], answer["changed"]
        failures.update(answer["failures"])
        if not rollback:
            for spec in described:
                found = results.get(spec["name"], {})
                for warning in _specs.warnings(spec, found):
                    self._display.warning(warning)
                if found.get("status") != "needed" and not found.get("unsynced"):
                    continue
                if self._task.check_mode:
                    changed = True
                    continue
                one = self._bring(spec, found, common)
                if "apps" not in one:
                    failures[spec["name"]] = f"{spec['name']}: {one.get('msg') or one.get('exception')}"
                    continue
                changed |= one.get("changed", False)
                results.update(one["apps"])
                failures.update(one["failures"])
        result.update(changed=changed, apps=results, failures=failures)
        return result

    def _bring(self, spec: dict[str, Any], found: dict[str, Any], common: dict[str, Any]) -> dict[str, Any]:
        """Make a new release; or send to a live folder what changed, which needs none."""
        if found["status"] == "needed":
            self._display.display(f"    {spec['name']}: new release ({', '.join(found['reasons'])})")
            return self._deploy_in_turn(spec, common)
        self._display.display(f"    {spec['name']}: its live folder gets what changed")
        return self._deploy(spec, common)

    def _deploy_in_turn(self, spec: dict[str, Any], common: dict[str, Any]) -> dict[str, Any]:
        """Deploy; an app with migrations goes from host to host, and no further than the first that fails."""
        if not spec["hooks"]["migrate"]:
            return self._deploy(spec, common)
        name, host = spec["name"], str(self._task_vars.get("inventory_hostname"))
        with _fleet.turn(spec, host) as (turn, note):
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
            except (_sources.SourceError, OSError, ValueError) as error:
                known = error if isinstance(error, _sources.SourceError) else _sources.unexpected(error)
                return {"apps": {}, "failures": {name: _specs.source_failure(name, known)}}
            wanted = {**common, "apps": [spec], "mode": "deploy"}
            if local is None:
                return self._call(wanted)
            if text := _parcels.small(local):
                return self._call(wanted, {"parcels": {name: text}})
            folder = self._make_tmp_path()
            try:
                remote = self._transfer_file(
                    str(local), self._connection._shell.join_path(folder, local.name)
                )
                return self._call({**wanted, "archive": remote})
            finally:
                self._remove_tmp_path(folder)

    def _call(self, arguments: dict[str, Any], more: dict[str, Any] | None = None) -> dict[str, Any]:
        """Have the host do it; ``more`` goes with what is private."""
        private = wrap({**self._private, **(more or {})})
        return _controller.on_host(self, self._task_vars, "release", arguments, private)
