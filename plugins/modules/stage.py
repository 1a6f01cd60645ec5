#!/usr/bin/python
# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The documentation of an action plugin; what it does on a host is in host.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: stage
short_description: Bring one stage of a host about in one call
description:
  - Takes an ordered list of files, folders, links and commands, and carries out those that the host's state shows to be due.
  - When one fails, for example C(nginx -t), every file that the call had written is put back as it was.
  - A file that this collection did not write is kept as a backup beside the new one.
  - After the stage V(sites) each app is asked with forged headers through its real door, on the host, where the client's true
    address is known, and from the controller, where that reaches the door. Not in check mode. Differences are reported and
    are no failure.
version_added: 0.1.0
author: The asgi.host authors (@asgi-host)
options:
  stage:
    description:
      - V(base) is Debian packages, accounts, folders, units and uv; V(pythons) the interpreters that uv brings; V(sites) nginx
        and the apps' sites; V(leave) takes away what all apps shared.
    choices: [base, pythons, sites, leave]
    type: str
    required: true
  role:
    description: As the option of the module P(asgi.host.look#module).
    type: dict
    required: true
  host:
    description: The facts about the host, as the module P(asgi.host.host_info#module) returns them.
    type: dict
    required: true
  failed:
    description: For V(sites) the names of the apps whose release failed, and whose sites are left as they are.
    type: list
    elements: str
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

RETURN = r"""
steps:
  description: What was changed, a path or a command's name each.
  returned: always
  type: list
  elements: str
backups:
  description: Copies of files that were there before and that this collection had not written.
  returned: always
  type: list
  elements: str
self_test:
  description:
    - How many paths were C(asked), on the C(host) and from C(outside), the C(differences) between what an app saw and the
      truth, and what the host could not ask (C(untested)), with the reason.
  returned: always
  type: dict
failures:
  description: What commands said that failed and may.
  returned: always
  type: list
  elements: str
"""
