#!/usr/bin/python
# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The documentation of an action plugin; what it does on a host is in host.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: look
short_description: Look at everything that a host must have, and deploy new code, in one call
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
      is due are left out.
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
self_test:
  description: What the self-test found, as the module P(asgi.host.stage#module) returns it.
  returned: when nothing is due, and not in check mode
  type: dict
"""
