# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A folder of wheels on the controller, which hosts install from instead of an index."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from ansible_collections.asgi.host.plugins.module_utils._host import digests
from ansible_collections.asgi.host.plugins.plugin_utils._sources import SourceError, locate

# The one wheel that everything else is installed with.
UV = re.compile(r"^uv==([\w.]+)", re.MULTILINE)


def problems(folder: str, bases: list[str], *, index: str, uv_requirements: str) -> list[str]:
    """What is wrong with ``asgi_host_wheels``; nothing where it is not set."""
    if not folder:
        return []
    if index:
        return [
            "asgi_host_wheels and asgi_host_package_index are both set; keep the one that hosts are to install from"
        ]
    try:
        place = _place(folder, bases)
    except SourceError as error:
        return [f"asgi_host_wheels: {error}"]
    wanted = UV.findall(uv_requirements)[0]
    if not any(place.glob(f"uv-{wanted}-*.whl")):
        download = f"pip download --only-binary=:all: --no-deps --dest {place} uv=={wanted}"
        return [
            f"asgi_host_wheels: {place} has no wheel of uv {wanted}, which installs the others; get it with `{download}`"
        ]
    return []


def differing(folder: str, bases: list[str], there: Mapping[str, str]) -> dict[str, list[str]]:
    """The files to ``send`` to a host, by path, and those to ``remove`` from it, by name.

    ``there`` are the digests of what the host has, by name. Nothing where ``asgi_host_wheels`` is not set.
    """
    if not folder:
        return {"send": [], "remove": []}
    place = _place(folder, bases)
    own = {name: digest for name, digest in digests(place).items() if name.endswith((".whl", ".tar.gz"))}
    return {
        "send": [str(place / name) for name, digest in own.items() if there.get(name) != digest],
        "remove": [name for name in there if name not in own],
    }


def pip_environment(index: str, wheels: str) -> dict[str, str]:
    """What pip is told by its environment; ``wheels`` is the folder on the host."""
    if wheels:
        return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": wheels}
    return {"PIP_INDEX_URL": index} if index else {}


def _place(folder: str, bases: list[str]) -> Path:
    place = locate(folder, bases)
    if not place.is_dir():
        raise SourceError(f"{place} is a file; give a folder")
    return place
