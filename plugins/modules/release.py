#!/usr/bin/python
# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The documentation of an action plugin; what it does on a host is in host.py."""

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
      - V(converge) reports for each app whether the wanted release serves, repairs what is not as it must be, and deploys
        those that need a new release; apps that run no commands of their own go first. V(rollback) goes back to an earlier
        one. V(remove) removes the apps whose state is V(absent), but for those whose domains are to go to an app of
        O(failed).
    choices: [converge, rollback, remove]
    default: converge
    type: str
  role:
    description: As the option of the module P(asgi.host.look#module).
    type: dict
    required: true
  host:
    description:
      - The facts about the host, as the module P(asgi.host.host_info#module) returns them. Not with O(mode=rollback), which
        takes those of the last play, and asks the host in the same call whether they are still true.
    type: dict
  looked:
    description: What the module P(asgi.host.look#module) returned of the apps, where nothing has changed since.
    type: dict
  app:
    description: With O(mode=rollback) the name of the app that goes back.
    type: str
  release:
    description: With O(mode=rollback) the release to go back to; the previous one by default.
    type: str
  sites:
    description: Whether each app's site is to be brought in the call that brings its release.
    type: bool
    default: false
  failed:
    description: With O(mode=remove) the names of the apps that failed.
    type: list
    elements: str
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
ansible_facts:
  description: The public result C(asgi_host).
  returned: with O(mode=converge)
  type: dict
"""
