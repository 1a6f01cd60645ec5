#!/usr/bin/python
# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The documentation of an action plugin; what it does on a host is in host.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: look
short_description: Compare a host with the inventory, and deploy new code, in one call
description:
  - Checks the role's variables and the files that they name, and refuses what cannot work.
  - Then gathers the facts about the host and compares all that it must have with what is there, files, units, releases and
    running apps.
  - Where a new source is all that is due, and small, it has come along, and is built, proved and switched to in the same
    call, as the module P(asgi.host.release#module) does it. Changes nothing else. Not for apps with migrations, which go
    from host to host, and not in a play with C(any_errors_fatal) or C(max_fail_percentage), which wants all hosts looked at
    first.
  - When nothing is due, each app is asked with forged headers, on the host and from the controller.
version_added: 0.1.0
author: The asgi.host authors (@asgi-host)
options:
  role:
    description: The role's variables without C(asgi_host_), and its pins C(server_pins) and C(uv_requirements).
    type: dict
    required: true
  only:
    description:
      - The parts of the host that an entry point of the role is for. Ansible's tags narrow them further (C(asgi_host_system),
        C(asgi_host_releases), C(asgi_host_nginx)).
    type: list
    elements: str
    choices: [system, releases, nginx]
    default: []
attributes:
  check_mode:
    support: full
    description: Only looks.
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
due:
  description:
    - What is not as it must be, by stage (V(base), V(releases), V(sites), V(leave)), with the reasons. Stages where nothing
      is due are left out, and those that the run is not for.
  returned: always
  type: dict
parts:
  description: The parts of the host that the run is for.
  returned: always
  type: list
  elements: str
new:
  description: Whether an app gets a new release, or may, which nobody can tell where the base is due.
  returned: always
  type: bool
sites:
  description: Whether nginx or a site is to be changed.
  returned: always
  type: bool
removes:
  description: Whether the run is for the removal of apps, and the inventory has one that is to go.
  returned: always
  type: bool
unserved:
  description: In a run that is not for releases, the apps that have none.
  returned: always
  type: list
  elements: str
tasks:
  description: The inventory's own files of tasks by the time at which they run.
  returned: always
  type: dict
leaves:
  description: Whether the last app is to go.
  returned: always
  type: bool
lacks:
  description:
    - What has to come before everything else, C(packages), C(pythons), and C(wheels) with the C(folder) of the host, the
      files to C(send) there and those to C(remove).
  returned: when the base is due
  type: dict
apps:
  description:
    - For each app its status and the reasons, or the release that was deployed, as the module
      P(asgi.host.release#module) returns them. Empty where the base
      of the host is due, for what is found of the apps then may come from it.
  returned: always
  type: dict
ansible_facts:
  description: The public result C(asgi_host), with C(status), C(release), C(version), C(url) and C(reasons) of each app.
  returned: always
  type: dict
self_test:
  description: What the self-test found, as the module P(asgi.host.stage#module) returns it.
  returned: when nothing is due, and not in check mode
  type: dict
"""
