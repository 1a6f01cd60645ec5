#!/usr/bin/python
# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: look at, deploy, roll back and remove the releases of ASGI apps."""

from __future__ import annotations

DOCUMENTATION = r"""
module: release
short_description: Releases of ASGI apps, switched without losing a request
description:
  - Brings the releases of all apps of a host to what is wanted. A release is immutable and complete. It gets traffic
    when it has answered its health checks on its own socket, and not before.
  - Use it through the role asgi_host, whose action plugin of the same name renders and uploads what it needs.
version_added: 0.1.0
author: The asgi.host authors (@asgi-host)
options:
  mode:
    description:
      - V(look) reports for each app whether the wanted release serves, repairs what is not as it must be, and removes
        apps whose state is V(absent).
      - V(deploy) builds, proves and switches to a new release; V(rollback) goes back to an earlier one.
    choices: [look, deploy, rollback]
    default: look
    type: str
  apps:
    description: The apps, as the action plugin describes them.
    type: list
    elements: dict
    required: true
  private:
    description: Environment, secrets and credentials by app, wrapped.
    type: str
  archive:
    description: With O(mode=deploy) the path on the host of the app's source.
    type: path
  content:
    description: The source itself, in base64, in place of O(archive).
    type: str
  migrate:
    description: With O(mode=deploy) whether the hooks V(migrate) run; not where another host of the fleet has run them.
    type: bool
    default: true
  release:
    description: With O(mode=rollback) the release to go back to; the previous one by default.
    type: str
  uv:
    description: Path of uv on the host.
    type: path
    required: true
  wheels:
    description: Folder of wheels on the host that is installed from instead of an index.
    type: path
attributes:
  check_mode:
    support: full
    description: Reports what would be deployed, repaired or removed and does nothing.
"""

EXAMPLES = r"""
- name: Deploy the apps
  ansible.builtin.include_role:
    name: asgi.host.asgi_host
"""

RETURN = r"""
apps:
  description: For each app its status, the reasons, and its release's ledger entry.
  returned: always
  type: dict
"""

import base64
import signal
import sys
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.asgi.host.plugins.module_utils._private import mask, unwrap
from ansible_collections.asgi.host.plugins.module_utils._process import CommandError
from ansible_collections.asgi.host.plugins.module_utils._release import hints
from ansible_collections.asgi.host.plugins.module_utils._release.build import Tools
from ansible_collections.asgi.host.plugins.module_utils._release.deploy import DeployError, Deployment


def main() -> None:
    """Do what is asked for each app; one that fails does not keep the others from going on."""
    # A controller that vanishes closes the session; what was begun is brought to its end all the same.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    # Any other request to end is an exception, so that what was begun is taken back.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))
    module = AnsibleModule(
        argument_spec={
            "mode": {"type": "str", "choices": ["look", "deploy", "rollback"], "default": "look"},
            "apps": {"type": "list", "elements": "dict", "required": True},
            "private": {"type": "str", "no_log": True},
            "archive": {"type": "path"},
            # Not secret, but nothing to be logged either.
            "content": {"type": "str", "no_log": True},
            "migrate": {"type": "bool", "default": True},
            "release": {"type": "str"},
            "uv": {"type": "path", "required": True},
            "wheels": {"type": "path"},
        },
        supports_check_mode=True,
    )
    private = unwrap(module.params["private"])
    if content := module.params["content"]:
        archive = Path(module.tmpdir) / "source.tar.gz"
        archive.write_bytes(base64.b64decode(content))
        module.params["archive"] = str(archive)
    tools = Tools(uv=module.params["uv"], index=private.get("index"), wheels=module.params["wheels"])
    results, failures = {}, {}
    changed = False
    for app in module.params["apps"]:
        own = private.get("apps", {}).get(app["name"], {})
        deployment = Deployment(app, own, tools)
        served = deployment.app.active()
        try:
            results[app["name"]] = act(deployment, app, module.params, dry=module.check_mode)
        except (DeployError, CommandError, OSError) as error:
            # What fails after the switch has changed what serves.
            changed |= deployment.app.active() != served or bool(deployment.synced)
            words = str(error)
            if not isinstance(error, DeployError):
                words = f"{app['name']}: {words}\n{hints.of(error, words, deployment.app)}"
            failures[app["name"]] = mask(
                words,
                [
                    own.get("secrets", {}),
                    own.get("credentials", {}),
                    (own.get("registry") or {}).get("password", ""),
                    private.get("index") or "",
                ],
            )
    changed |= any(result["status"] not in ("current", "needed") for result in results.values())
    module.exit_json(changed=changed, apps=results, failures=failures)


def act(deployment: Deployment, app: dict[str, Any], params: dict[str, Any], *, dry: bool) -> dict[str, Any]:
    """Do for one app what is asked. Raises DeployError, CommandError, OSError."""
    if params["mode"] == "rollback":
        if app["state"] == "absent":
            raise DeployError(
                f"{app['name']}: the inventory says state: absent; nothing was rolled back, and nothing removed"
            )
        return deployment.rollback(params["release"], dry=dry)
    if app["state"] == "absent":
        removed = deployment.remove(purge=app["purge"], dry=dry)
        return {"status": "removed" if removed else "current", "reasons": removed}
    if params["mode"] == "look":
        return deployment.look(dry=dry)
    archive = Path(params["archive"]) if params["archive"] else None
    return deployment.deploy(archive, migrate=params["migrate"])


if __name__ == "__main__":
    main()
