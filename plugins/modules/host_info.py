#!/usr/bin/python
# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The documentation of an action plugin; what it does on a host is in host.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: host_info
short_description: Gather the facts about a host that the role asgi_host uses
description:
  - Reads the Debian release, cores, memory, interpreters, the packages that are missing, who listens on the web's
    ports and what nginx has, in one call and without changing anything.
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
  groups:
    description: Groups whose absence is to be reported.
    type: list
    elements: str
    default: []
  root:
    description: Where releases are to be, O(ignore:asgi_host_root) of the role; what is there and not the role's is named.
    type: path
  names:
    description: The names of the apps that are to have a folder in O(root).
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
    description: Only looks, in every mode.
"""

EXAMPLES = r"""
- name: Look at the host
  asgi.host.host_info:
    packages: [nginx, python3-venv]
  register: host
"""

RETURN = r"""
host:
  description: The facts by name.
  returned: always
  type: dict
"""
