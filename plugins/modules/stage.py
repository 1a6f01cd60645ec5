#!/usr/bin/python
# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The documentation of an action plugin; what it does on a host is in host.py."""

from __future__ import annotations

DOCUMENTATION = r"""
module: stage
short_description: Bring about files, folders, links and commands of a host in one call
description:
  - Takes an ordered list of steps and carries out those that the host's state shows to be due.
  - When a step fails, for example C(nginx -t), every file that the call had written is put back as it was.
  - A file that this collection did not write is kept as a backup beside the new one.
version_added: 0.1.0
author: The asgi.host authors (@asgi-host)
options:
  steps:
    description:
      - Each step has one of C(file) (with C(content), or C(private) for the name of a secret content), C(folder),
        C(link) (with C(target)), C(absent), C(command) (argv).
      - A command runs when a path that begins with one of C(when) changed in this call, when C(creates) does not
        exist, or when the command C(unless) does not succeed. With C(check) it only checks and is no change. With
        C(may_fail) its failure undoes nothing, and is reported.
      - A file with C(ours) is replaced without a backup even though nothing in it says whose it is.
    type: list
    elements: dict
    required: true
  private:
    description: Secret contents by name, wrapped by the filter P(asgi.host.wrap#filter).
    type: str
  doors:
    description:
      - What apps are asked once all steps are done, with forged headers and by the host's own addresses, as the filter
        P(asgi.host.doors#filter) describes it. Not in check mode.
    type: list
    elements: dict
    default: []
attributes:
  check_mode:
    support: full
    description: Reports what would change and changes nothing.
  diff_mode:
    support: full
    description: Shows the changed lines of files, never of secret ones.
"""

EXAMPLES = r"""
- name: Write a configuration and check it before it goes live
  asgi.host.stage:
    steps:
      - file: /etc/nginx/conf.d/example.conf
        content: "server_tokens off;\n"
      - command: [nginx, -t]
        when: [/etc/nginx/]
        check: true
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
    - How many paths of O(doors) were C(asked), the C(differences) between what an app saw and the truth, what was
      C(untested), and C(tickets) by which the controller may ask within ten minutes.
  returned: always
  type: dict
failures:
  description: What commands said that failed and may.
  returned: always
  type: list
  elements: str
"""
