# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The groups of a host that its apps are to be in."""

from __future__ import annotations

import contextlib
import grp
from collections.abc import Iterable


def lacking(wanted: Iterable[str]) -> list[str]:
    """Those of these groups that the host does not have. A directory service need not list what it knows by name."""
    return [name for name in wanted if not _is_there(name)]


def _is_there(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def reserved(wanted: Iterable[str], of_nginx: str) -> list[str]:
    """Those that are root's or nginx's (``of_nginx``) by their number, whatever the host calls them."""
    numbers = {0}
    with contextlib.suppress(KeyError):
        numbers.add(grp.getgrnam(of_nginx).gr_gid)
    return [name for name in wanted if grp.getgrnam(name).gr_gid in numbers]


def words(name: str) -> str:
    """That the host has no such group, and what to do."""
    return (
        f"the host has no group {name}; name the Debian package that brings it in packages, make it before the role runs "
        "(ansible.builtin.group), or remove it here"
    )
