#!/usr/bin/python
# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The documentation of an action plugin: nothing of it runs on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: self_test
short_description: Ask apps through their real door with forged headers
description:
  - Sends requests with forged headers from the controller to the public port of a host, and compares what each app saw
    with what it saw of the same request without them. Where the controller does not reach the door, nothing is found.
  - The module P(asgi.host.stage#module) has asked the same on the host, where the client's true address is known.
  - Reports differences and does not fail for them.
version_added: 0.1.0
author: The asgi.host authors (@asgi-host)
options:
  doors:
    description: What the apps are asked, as the filter P(asgi.host.doors#filter) describes it.
    type: list
    elements: dict
    required: true
  found:
    description: What the module P(asgi.host.stage#module) returned as RV(asgi.host.stage#module:self_test).
    type: dict
    required: true
  address:
    description: The host's address as the controller knows it.
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description: The host gave no ticket then, so nothing is asked.
"""

EXAMPLES = r"""
- name: Deploy the apps
  ansible.builtin.include_role:
    name: asgi.host.asgi_host
"""

RETURN = r"""
asked:
  description: How many paths were asked on the C(host) and from C(outside).
  returned: always
  type: dict
differences:
  description: What apps saw that was not true, a text for each address that was asked.
  returned: always
  type: dict
untested:
  description: What the host could not ask, with the reason.
  returned: always
  type: dict
"""
