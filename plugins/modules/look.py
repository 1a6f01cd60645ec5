#!/usr/bin/python
# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: what of a host is not as it must be."""

from __future__ import annotations

DOCUMENTATION = r"""
module: look
short_description: Look at everything that a host must have, in one call
description:
  - Gathers the facts about a host and, where they are those of O(host), compares all that was made for them with what
    is there, files, units, releases and running apps. Changes nothing, in any mode.
  - When nothing is due, each app is asked with forged headers, as the module P(asgi.host.stage#module) does it.
  - Its action plugin of the same name takes the role's variables, checks them, and makes these arguments.
version_added: 0.1.0
author: The asgi.host authors (@asgi-host)
options:
  packages:
    description: Debian packages whose absence is to be reported.
    type: list
    elements: str
    default: []
  interpreters:
    description: Paths of Pythons to be tried beside those in the usual places.
    type: list
    elements: str
    default: []
  wheels:
    description: A folder of wheels, whose files are to be named with their SHA-256.
    type: path
  folders:
    description: Folders, of which those that are there are to be named.
    type: list
    elements: str
    default: []
  host:
    description: The facts that the other options were made for; without them only the facts are gathered.
    type: dict
  base:
    description: The steps of the packages, accounts, folders and units, as the module P(asgi.host.stage#module) takes them.
    type: list
    elements: dict
    default: []
  apps:
    description: The apps, as the module P(asgi.host.release#module) takes them.
    type: list
    elements: dict
    default: []
  uv:
    description: Path of uv on the host.
    type: path
  sites:
    description: The steps of nginx and its sites.
    type: list
    elements: dict
    default: []
  doors:
    description: What apps are asked, as the filter P(asgi.host.doors#filter) describes it. Not in check mode.
    type: list
    elements: dict
    default: []
  private:
    description: Environment, secrets and credentials by app, and secret contents of files, wrapped.
    type: str
attributes:
  check_mode:
    support: full
    description: Only looks, in every mode.
"""

EXAMPLES = r"""
- name: Deploy the apps
  ansible.builtin.include_role:
    name: asgi.host.asgi_host
"""

RETURN = r"""
host:
  description: The facts by name.
  returned: always
  type: dict
compared:
  description: Whether the facts were those of O(host).
  returned: always
  type: bool
due:
  description: What is not as it must be, by stage (V(base), V(releases), V(sites)); an empty list where nothing is.
  returned: when compared
  type: dict
apps:
  description: For each app its status and the reasons, as the module P(asgi.host.release#module) returns them.
  returned: when compared
  type: dict
self_test:
  description: As the module P(asgi.host.stage#module) returns it.
  returned: when compared
  type: dict
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.asgi.host.plugins.module_utils import _self_test
from ansible_collections.asgi.host.plugins.module_utils._host import ARGUMENTS, facts
from ansible_collections.asgi.host.plugins.module_utils._private import mask, unwrap
from ansible_collections.asgi.host.plugins.module_utils._process import CommandError
from ansible_collections.asgi.host.plugins.module_utils._release import units
from ansible_collections.asgi.host.plugins.module_utils._release.build import Tools
from ansible_collections.asgi.host.plugins.module_utils._release.deploy import DeployError, Deployment
from ansible_collections.asgi.host.plugins.module_utils._stage import Stage, StageError


def main() -> None:
    """Gather, compare, report."""
    module = AnsibleModule(
        argument_spec={
            **ARGUMENTS,
            "host": {"type": "dict"},
            "base": {"type": "list", "elements": "dict", "default": []},
            "apps": {"type": "list", "elements": "dict", "default": []},
            "uv": {"type": "path"},
            "sites": {"type": "list", "elements": "dict", "default": []},
            "doors": {"type": "list", "elements": "dict", "default": []},
            "private": {"type": "str", "no_log": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    host = facts(**{name: given[name] for name in ARGUMENTS})
    if host != given["host"]:
        module.exit_json(changed=False, host=host, compared=False)
    private = unwrap(given["private"])
    tools = Tools(uv=given["uv"] or "", index=None, wheels=None)
    with units.overview():
        apps, reasons = look_at_apps(given["apps"], private, tools)
    due = {
        "base": lacking(given["base"], {}),
        "releases": reasons,
        "sites": lacking(given["sites"], private.get("sites", {})),
    }
    settled = not any(due.values()) and not module.check_mode
    module.exit_json(
        changed=False,
        host=host,
        compared=True,
        due=due,
        apps=apps,
        self_test=_self_test.of_apps(given["doors"] if settled else [], reloaded=False),
    )


def lacking(steps: list[dict[str, Any]], private: dict[str, Any]) -> list[str]:
    """The steps of a stage that are due; what cannot be told is."""
    try:
        return Stage(dry=True, private=private).carry_out(steps).changed
    except StageError as error:
        return [mask(str(error), private)]


def look_at_apps(
    apps: list[dict[str, Any]], private: dict[str, Any], tools: Tools
) -> tuple[dict[str, Any], list[str]]:
    """What there is to say of each app, and all that is to be done about them."""
    found, reasons = {}, []
    for app in apps:
        name, own = app["name"], private.get("apps", {}).get(app["name"], {})
        try:
            found[name] = Deployment(app, own, tools).examine()
        except (DeployError, CommandError, OSError) as error:
            # The module release meets it as well, and says all that there is to it.
            reasons.append(mask(f"{name}: {error}", own))
            continue
        if found[name]["status"] != "current" or found[name].get("unsynced"):
            reasons += [f"{name}: {reason}" for reason in found[name]["reasons"] or ["its live folder"]]
    return found, reasons


if __name__ == "__main__":
    main()
