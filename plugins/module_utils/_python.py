# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The least Python of a host. A module imports this before all else: what comes then does not even load in an older one."""

from __future__ import annotations

import json
import sys

# datetime.UTC, typing.Self and hashlib.file_digest are new in Python 3.11.
LEAST = (3, 11)


def problem(version: tuple[int, ...], path: str) -> str:
    """What is wrong with a host's interpreter; empty where nothing is."""
    if version[:2] >= LEAST:
        return ""
    return (
        f"the host's Python is {'.'.join(map(str, version[:3]))} ({path}), and the role needs 3.11 or later; use a host with "
        "Debian 12 (bookworm) or 13 (trixie), or name a newer one of the host's in ansible_python_interpreter"
    )


if found := problem(tuple(sys.version_info[:3]), sys.executable):
    # There is no module yet that could say it.
    print(json.dumps({"failed": True, "msg": found}))  # pylint: disable=ansible-bad-function
    raise SystemExit(1)
