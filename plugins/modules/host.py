#!/usr/bin/python
# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: everything that runs on a host, so that one play packs it once."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host
short_description: What the collection's action plugins run on a host
description:
  - Does one task of P(asgi.host.host_info#module), P(asgi.host.look#module), P(asgi.host.stage#module) or
    P(asgi.host.release#module), which are the ones to use, and which describe arguments and results.
  - Ansible packs a module with all that it imports, in about half a second, and keeps it for the rest of the play. One
    module for all tasks is packed once.
version_added: 0.1.0
author: The asgi.host authors (@asgi-host)
options:
  task:
    description: Whose task it is.
    choices: [host_info, look, stage, release]
    required: true
    type: str
  arguments:
    description: As that module has them.
    required: true
    type: dict
  private:
    description: What must not be shown, wrapped.
    type: str
  progress:
    description: The name of the notes that the controller reads while the call lasts; without it none are kept on disk.
    type: str
attributes:
  check_mode:
    support: full
    description: Reports what would change and changes nothing.
  diff_mode:
    support: full
    description: Shows the changed lines of files, never of secret ones.
"""

EXAMPLES = r"""
- name: Deploy the apps
  ansible.builtin.include_role:
    name: asgi.host.asgi_host
"""

RETURN = r""" # """

import base64
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ansible.module_utils.basic import AnsibleModule

# It ends the module in an older Python.
from ansible_collections.asgi.host.plugins.module_utils import _python  # noqa: F401 # pylint: disable=unused-import

# isort: split
from ansible_collections.asgi.host.plugins.module_utils import _bytecode

# Before all that is to be imported by it.
_bytecode.use("ansible_collections.asgi.host.plugins.module_utils")

# isort: split
from ansible_collections.asgi.host.plugins.module_utils import _host, _progress, _words
from ansible_collections.asgi.host.plugins.module_utils._private import mask, of_an_app, unwrap
from ansible_collections.asgi.host.plugins.module_utils._process import CommandError
from ansible_collections.asgi.host.plugins.module_utils._release import converge, hints, rollback, units
from ansible_collections.asgi.host.plugins.module_utils._release.context import AppContext
from ansible_collections.asgi.host.plugins.module_utils._release.deploy import deploy
from ansible_collections.asgi.host.plugins.module_utils._release.errors import DeployError
from ansible_collections.asgi.host.plugins.module_utils._release.uv import Tools
from ansible_collections.asgi.host.plugins.module_utils._self_test import on_host as self_test
from ansible_collections.asgi.host.plugins.module_utils._stage import Stage, StageError
from ansible_collections.asgi.host.plugins.module_utils._turns import turn

if TYPE_CHECKING:
    from ansible_collections.asgi.host.plugins.module_utils._contract.answers import AppAnswer
    from ansible_collections.asgi.host.plugins.module_utils._contract.release import ReleaseSpec
    from ansible_collections.asgi.host.plugins.module_utils._contract.steps import Step

Arguments = dict[str, Any]
# What one line of the journal says of a run.
LOG_BYTES = 500
# What one app may meet, with words for the operator.
FORESEEN = (DeployError, CommandError, OSError)


class QuietModule(AnsibleModule):
    """A module that says in the journal of the host what it does.

    Ansible's own line has all arguments: 100 KB of every unit and site in each run, and every app's variables.
    """

    def __init__(self, **spec: Any) -> None:
        super().__init__(**spec)  # type: ignore[no-untyped-call]

    def _log_invocation(self) -> None:
        given = self.params["arguments"]
        names = [str(app.get("name")) for app in given.get("apps") or []]
        AnsibleModule.log(self, f"{self.params['task']}: {', '.join(names) or 'the host'}"[:LOG_BYTES])


def main() -> None:
    """Read the parameters, do the task, report."""
    # The session may have a umask of 027 or 077, and what is made here is for the apps and nginx to read.
    os.umask(0o022)
    module = QuietModule(
        argument_spec={
            "task": {"type": "str", "choices": list(TASKS), "required": True},
            "arguments": {"type": "dict", "required": True},
            "private": {"type": "str", "no_log": True},
            "progress": {"type": "str"},
        },
        supports_check_mode=True,
    )
    given = module.params
    private = unwrap(given["private"])
    try:
        with _progress.noted(given["progress"]) as notes:
            answer = TASKS[given["task"]](module, given["arguments"], private)
    except Exception as error:  # noqa: BLE001 - no traceback is for an operator
        module.fail_json(msg=_words.unexpected("asgi.host", error, private))
    module.exit_json(**answer, **({"notes": notes.taken} if notes.taken else {}))


def host_info(_module: AnsibleModule, given: Arguments, _private: Any) -> dict[str, Any]:
    """The facts."""
    return {"changed": False, "host": _host.facts(**given)}


def look(module: AnsibleModule, given: Arguments, private: Any) -> dict[str, Any]:
    """Gather the facts and, where they are those that the rest was made for, compare everything.

    Where a source that came along is all that is new, a release is made of it at once.
    """
    host = _host.facts(**given["question"])
    if host != given.get("host"):
        return {"changed": False, "host": host, "compared": False}
    tools = tools_of(given, private)
    with units.overview():
        apps, reasons = look_at_apps(given["apps"], private, tools)
    due = {
        "base": lacking(given["base"], {}),
        "releases": reasons,
        "sites": lacking(given["sites"], private["sites"]),
    }
    brought: Arguments = {"changed": False, "failures": {}}
    if new := only_new(given["apps"], apps, due, private["parcels"]):
        # No site is due then.
        brought = release(module, {**given, "apps": new, "mode": "deploy", "sites": {}}, private)
        apps.update(
            {name: {**app, "reasons": apps[name]["reasons"]} for name, app in brought["apps"].items()}
        )
        due["releases"] = []
    settled = not (any(due.values()) or brought["failures"] or module.check_mode)
    return {
        "changed": brought["changed"],
        "failures": brought["failures"],
        "host": host,
        "compared": True,
        "due": due,
        "apps": apps,
        "self_test": self_test.of_apps(given["doors"] if settled else []),
    }


def only_new(
    apps: list[ReleaseSpec],
    found: dict[str, AppAnswer],
    due: dict[str, list[str]],
    parcels: dict[str, str],
) -> list[ReleaseSpec]:
    """The apps that need a new release of a source that is here, where that is all there is to do; else none."""
    left = [app for app in apps if not as_wanted(found.get(app["name"]))]
    new = [app for app in left if app["name"] in parcels and is_needed(found.get(app["name"]))]
    return new if len(new) == len(left) and not (due["base"] or due["sites"]) else []


def as_wanted(found: AppAnswer | None) -> bool:
    """Whether nothing is to be done about an app that was found so; None where it could not be looked at."""
    return found is not None and found["status"] == "current" and not found.get("unsynced")


def is_needed(found: AppAnswer | None) -> bool:
    """Whether an app that was found so gets a new release."""
    return found is not None and found["status"] == "needed"


def lacking(steps: list[Step], private: dict[str, str]) -> list[str]:
    """The steps of a stage that are due; what cannot be told is."""
    try:
        return Stage(dry=True, private=private).carry_out(steps).changed
    except StageError as error:
        return [mask(str(error), private)]


def tools_of(given: Arguments, private: Any) -> Tools:
    """How uv runs on this host."""
    return Tools(
        uv=given["uv"],
        index=private.get("index"),
        wheels=given.get("wheels"),
        logins=private.get("logins") or {},
    )


def look_at_apps(
    apps: list[ReleaseSpec], private: Any, tools: Tools
) -> tuple[dict[str, AppAnswer], list[str]]:
    """What there is to say of each app, and all that is to be done about them."""
    found: dict[str, AppAnswer] = {}
    reasons: list[str] = []
    for app in apps:
        name, own = app["name"], private.get("apps", {}).get(app["name"], {})
        try:
            found[name] = converge.inspect(AppContext(app, own, tools), patience=converge.QUICK_TIMEOUT_S)
        except FORESEEN as error:
            # The module release meets it as well, and says all that there is to it.
            reasons.append(mask(f"{name}: {error}", own))
            continue
        except Exception as error:  # noqa: BLE001 - of one app, and the others go on
            reasons.append(_words.unexpected(name, error, own))
            continue
        if not as_wanted(found[name]):
            reasons += [f"{name}: {reason}" for reason in found[name].get("reasons") or ["its live folder"]]
    return found, reasons


def stage(module: AnsibleModule, given: Arguments, private: Any) -> dict[str, Any]:
    """Carry out the steps; then ask the apps."""
    workers = self_test.nginx_workers()
    try:
        outcome = Stage(dry=module.check_mode, private=private, told=True).carry_out(given["steps"])
    except StageError as error:
        if not given.get("told_later"):
            module.fail_json(msg=mask(str(error), private))
        nothing = self_test.of_apps([])
        return {
            "changed": False,
            "steps": [],
            "backups": [],
            "diff": [],
            "self_test": nothing,
            "failures": [mask(str(error), private)],
            "left": sorted({name for step in given["steps"] for name in step.get("part", ())}),
        }
    for notice in outcome.notices:
        module.warn(notice)
    left = {name for part in outcome.left for name in part}
    doors = [] if module.check_mode else [door for door in given["doors"] if door["app"] not in left]
    failures = [
        f"{', '.join(part)}: the site is left as it was. {words}" for part, words in outcome.left.items()
    ]
    return {
        "changed": bool(outcome.changed),
        "steps": outcome.changed,
        "backups": outcome.backups,
        "diff": outcome.diff,
        "self_test": self_test.of_apps(doors, reloaded=workers if outcome.changed else None),
        "failures": [mask(words, private) for words in [*failures, *outcome.failures]],
        "left": sorted(left),
    }


def _end(_number: int, _frame: object) -> NoReturn:
    raise SystemExit("ended by a signal")


def release(module: AnsibleModule, given: Arguments, private: Any) -> dict[str, Any]:
    """Do what is asked for each app; one that fails does not keep the others from going on.

    A rollback comes with the facts that its ``apps`` were made for; where the host's are others, nothing is done, and they
    are the answer.
    """
    if given["mode"] == "rollback" and (question := given.get("question")):
        host = _host.facts(**question)
        if host != given["host"]:
            return {"changed": False, "host": host}
    # A controller that vanishes closes the session; what was begun is brought to its end all the same.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # Any other request to end is an exception, so that what was begun is taken back.
    signal.signal(signal.SIGTERM, _end)
    tools = tools_of(given, private)
    results, failures = {}, {}
    site = Sites(module, given.get("sites") or {}, private.get("sites") or {})
    changed = site.bring("before")
    for app in given["apps"]:
        own = private.get("apps", {}).get(app["name"], {})
        secret = [
            *of_an_app(own),
            (own.get("registry") or {}).get("password", ""),
            private.get("index") or "",
            [login.get("password", "") for login in (private.get("logins") or {}).values()],
        ]
        context = AppContext(app, own, tools)
        served = serving(context)
        wanted = given
        try:
            if parcel := private.get("parcels", {}).get(app["name"]):
                archive = Path(module.tmpdir) / app["name"]
                archive.write_bytes(base64.b64decode(parcel))
                wanted = {**given, "archive": str(archive)}
            results[app["name"]] = act(context, app, wanted, dry=module.check_mode)
        except FORESEEN as error:
            words = str(error)
            if not isinstance(error, DeployError):
                words = f"{app['name']}: {words}\n{hints.of(error, words, context.app)}".rstrip()
            failures[app["name"]] = mask(words, secret)
        except Exception as error:  # noqa: BLE001 - of one app, and the others go on
            failures[app["name"]] = _words.unexpected(app["name"], error, secret)
            if serving(context) == served:
                failures[app["name"]] += "\nWhat served before serves as it did."
        if app["name"] in failures:
            # What fails after the switch has changed what serves.
            changed |= serving(context) != served or bool(context.synced)
    changed |= any(result["status"] not in ("current", "needed") for result in results.values())
    if not failures:
        changed |= site.bring("after")
    return {"changed": changed, "apps": results, "failures": failures, "diff": site.diff}


class Sites:
    """The sites that are brought beside a release, so that none waits for the apps that come after it."""

    def __init__(self, module: AnsibleModule, steps: Mapping[str, Any], private: Any) -> None:
        self._module, self._steps, self._private = module, steps, private
        self.diff: list[dict[str, str]] = []

    def bring(self, when: str) -> bool:
        """Carry out the steps ``before`` or ``after`` the release; returns whether they changed something.

        What fails is undone, and tried once more by the stage of all sites, which then says why.
        """
        if not (steps := self._steps.get(when)):
            return False
        try:
            with turn("sites"):
                stage_ = Stage(dry=self._module.check_mode, private=self._private, told=True)
                outcome = stage_.carry_out(steps)
        except StageError:
            return False
        for notice in outcome.notices:
            self._module.warn(notice)
        self.diff += outcome.diff
        return bool(outcome.changed)


def serving(context: AppContext) -> str | None:
    """The id of the release that serves; None without any, and where it cannot be told."""
    try:
        active = context.app.active()
    except OSError:
        return None
    return active.id if active else None


def act(context: AppContext, app: ReleaseSpec, params: Arguments, *, dry: bool) -> AppAnswer:
    """Do for one app what is asked. Raises DeployError, CommandError, OSError."""
    if params["mode"] == "rollback":
        if app["state"] == "absent":
            raise DeployError(
                f"{app['name']}: the inventory says state: absent; nothing was rolled back, and nothing removed"
            )
        return (rollback.inspect if dry else rollback.apply)(context, params.get("release"))
    if params["mode"] == "look" or app["state"] == "absent":
        return (converge.inspect if dry else converge.apply)(context)
    archive = Path(params["archive"]) if params.get("archive") else None
    return deploy(context, archive, migrate=params.get("migrate", True))


TASKS = {"host_info": host_info, "look": look, "stage": stage, "release": release}


if __name__ == "__main__":
    main()
