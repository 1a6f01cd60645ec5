# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The interpreters that uv brings to a host which has none that fits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._apps import missing_pythons
from ansible_collections.asgi.host.plugins.module_utils._host import COMPLETE, PYTHONS
from ansible_collections.asgi.host.plugins.module_utils._private import without_passwords
from ansible_collections.asgi.host.plugins.module_utils._release.uv import UV_ENVIRONMENT

ADDRESS = re.compile(r"(?:https?://[^\s/]+|file:///)\S*")
PROGRAM = "/usr/local/lib/asgi-host/bring-python"
INSTALL = f"""#!/bin/sh
# Written by asgi.host; changes are overwritten. Brings a Python: bring-python UV FOLDER VERSION
set -e
umask 022
cd "$2"
# uv leaves it writable for everyone.
trap 'rm -f .lock' EXIT
# What has no marker is nobody's: it was cut off, and after a power cut a file of it may be empty. A link beside it that
# leads nowhere goes as well.
for each in cpython-*; do
    [ -e "$each/{COMPLETE}" ] || rm -rf "$each"
done
"$1" python install --no-progress --no-bin --compile-bytecode --install-dir "$2" "$3" || {{
    echo "No Python $3 was brought: see whether asgi_host_python_mirror can be reached from the host, and has it."
    exit 1
}}
sync --file-system .
for each in cpython-*; do
    [ -e "$each/{COMPLETE}" ] || touch "$each/{COMPLETE}"
done
"""


def problems(mirror: object, downloads: object) -> list[str]:
    """What is wrong with ``asgi_host_python_mirror`` and ``asgi_host_python_downloads``."""
    return [
        f"asgi_host_python_{name}: {without_passwords(repr(value), '***@')[:80]} is no address; give one that begins "
        f'with https://, http:// or file:///, or ""'
        for name, value in (("mirror", mirror), ("downloads", downloads))
        if value != "" and not (isinstance(value, str) and ADDRESS.fullmatch(value))
    ]


def stage(apps: Sequence[Mapping[str, Any]], host: Mapping[str, Any], uv: str) -> list[dict[str, Any]]:
    """Bring what the host lacks. A range comes after the plain versions, one of which may be within it."""
    wanted = sorted(missing_pythons(apps, host), key=lambda each: (not each[0].isdigit(), each))
    tool = ["env", *(f"{name}={value}" for name, value in UV_ENVIRONMENT.items())]
    return [
        {"folder": PYTHONS},
        {"file": PROGRAM, "content": INSTALL, "mode": "0755"},
        *(
            {
                "name": f"Python {each} by uv",
                "do": f"install Python {each}",
                "command": [*tool, PROGRAM, uv, PYTHONS, each],
                "unless": ["false"],
                "private_env": "addresses",
            }
            for each in wanted
        ),
    ]


def environment(mirror: str, downloads: str) -> dict[str, str]:
    """Where uv is to look; an address may hold a password."""
    given = {"UV_PYTHON_INSTALL_MIRROR": mirror, "UV_PYTHON_DOWNLOADS_JSON_URL": downloads}
    return {name: value for name, value in given.items() if value}
