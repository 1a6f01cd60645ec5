#!/usr/bin/python
# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The documentation of an action plugin, which asks no host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: new
short_description: Writes the inventory of a project from what the project's files say
description:
  - Reads the folder of a Python ASGI project, and writes an inventory for it that the playbook C(asgi.host.site) takes. Nothing of
    the project is executed or imported.
  - Each line has its reason beside it. What the files do not say is a line that is marked with C(CHANGE_ME); the role refuses such a
    line by name.
  - Where the inventory is there already, the app is added to its list of apps, and nothing else of it is changed.
  - Runs on the controller alone.
version_added: 0.3.0
author: The asgi.host authors (@asgi-host)
options:
  project:
    description: The folder of the project.
    type: str
    required: true
  host:
    description: The name or address of the host, as ssh reaches it. Needed for a new inventory.
    type: str
  domain:
    description: The name of the site. Without it, a marked line.
    type: str
  app:
    description: The name of the app. Without it, that of the project's folder.
    type: str
  inventory:
    description: The folder of the inventory. Without it, C(inventories/NAME), NAME being the app's.
    type: str
  email:
    description: An address of mail. Given, the site gets a certificate of Let's Encrypt, and a self-signed one otherwise.
    type: str
  entry:
    description: The app's import string, such as C(shop.main:app), for a project whose files do not tell it.
    type: str
attributes:
  check_mode:
    support: full
    description: Says what it would write, and writes nothing.
"""

EXAMPLES = r"""
- name: Write the inventory of a project
  asgi.host.new:
    project: ../shop
    host: 203.0.113.5
    domain: shop.example.com
"""

RETURN = r"""
files:
  description: The files that were written or changed.
  returned: success
  type: list
  elements: str
marked:
  description: The lines that wait for a person, by their keys.
  returned: success
  type: list
  elements: str
notes:
  description: What a person should know beside the lines.
  returned: success
  type: list
  elements: str
"""
