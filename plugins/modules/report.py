#!/usr/bin/python
# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The documentation of an action plugin, which asks no host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: The end of a play about ASGI apps, in words
description:
  - Says for each app that changed which release serves, and where. Returns the words of all that failed, and the public
    result.
  - Runs on the controller alone.
version_added: 0.1.0
author: The asgi.host authors (@asgi-host)
options:
  role:
    description: As the option of the module P(asgi.host.look#module).
    type: dict
    required: true
  releases:
    description: What the module P(asgi.host.release#module) returned of the releases.
    type: dict
  removed:
    description: The same of the apps that were to go.
    type: dict
  sites:
    description: What the module P(asgi.host.stage#module) returned of the sites.
    type: dict
attributes:
  check_mode:
    support: full
    description: Says what would become of each app.
"""

EXAMPLES = r"""
- name: Deploy the apps
  ansible.builtin.include_role:
    name: asgi.host.asgi_host
"""

RETURN = r"""
wrong:
  description: What is not as wanted, in words.
  returned: always
  type: list
  elements: str
after:
  description: The inventory's own files of tasks for the end of a run.
  returned: always
  type: list
  elements: str
ansible_facts:
  description: The public result C(asgi_host), with C(status), C(release), C(version), C(url) and C(reasons) of each app, and
    the C(error) of one that failed.
  returned: always
  type: dict
"""
