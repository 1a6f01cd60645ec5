#!/usr/bin/python
# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: what runs on a host, and what it can be rolled back to."""

from __future__ import annotations

DOCUMENTATION = r"""
module: releases_info
short_description: List the releases of all apps on a host
description:
  - Reads the ledger of every release that is on the host, whether the inventory names its app or not, and asks systemd
    what runs, and nginx which certificates it shows. Changes nothing.
version_added: 0.1.0
author: The asgi.host authors (@asgi-host)
options:
  root:
    description: The folder of the apps' releases, O(ignore:asgi_host_root) of the role.
    type: path
    default: /srv/asgi
attributes:
  check_mode:
    support: full
    description: Only looks, in every mode.
"""

EXAMPLES = r"""
- name: Look at the releases
  asgi.host.releases_info:
  register: found
"""

RETURN = r"""
apps:
  description: For each app its C(active) release's id and the C(releases) on disk, the oldest first, each as its
    release.json has it, with C(runs) added. C(down) are the background processes that do not run. With a site,
    C(certificate) is what nginx shows for it, with C(start) and C(end) in seconds since 1970.
  returned: always
  type: dict
now:
  description: The host's clock, in seconds since 1970.
  returned: always
  type: float
"""

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.asgi.host.plugins.module_utils._release.overview import overview
from ansible_collections.asgi.host.plugins.module_utils._served import certificates


def main() -> None:
    """Read and report."""
    module = AnsibleModule(
        argument_spec={"root": {"type": "path", "default": "/srv/asgi"}}, supports_check_mode=True
    )
    apps = overview(Path(module.params["root"]))
    for name, certificate in certificates().items():
        if name in apps:
            apps[name]["certificate"] = certificate
    module.exit_json(changed=False, apps=apps, now=time.time())


if __name__ == "__main__":
    main()
