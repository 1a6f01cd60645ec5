# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``asgi_host_root``: a folder of its own, in no place that has another purpose, and short enough for sockets."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import Any

from .program_values import NAME, folder_of_the_host
from .reading import as_list, as_text, matches, show

KEY = "asgi_host_root"
# Beside the list of folders that the Filesystem Hierarchy Standard 3.0 and Linux give a purpose, where /var has its own rule.
TAKEN = (
    "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib32", "/lib64", "/libx32", "/lost+found", "/proc", "/root",
    "/run", "/sbin", "/sys", "/tmp", "/usr", "/var",  # noqa: S108 - named, not used
)  # fmt: skip
# Places for what a host serves or is extended by: a folder in them is somebody's own, they themselves are everybody's.
SHARED = ("/srv", "/opt", "/mnt", "/media", "/var/opt")
FIX = "give a folder of its own, such as /srv/asgi, /opt/asgi or /data/asgi"
MOVING = (
    "keep the folder; for another disk mount that there before the first app comes, and to move apps bring them to a host "
    "where they are not yet, or let them go first (state: absent, which keeps their data) and come back with the new folder"
)
# Linux's sun_path without the NUL at its end (unix(7)).
SOCKET_BYTES = 107
# The longest name of a socket in an app's folder: that of a release, while its requests are held.
SOCKET = "/{name}/releases/20260101T000000-000000/hold.sock"


def root_problems(root: object, apps: object) -> list[str]:
    """What is wrong with ``asgi_host_root`` for ``asgi_host_apps``. Takes any objects and never raises."""
    found: list[str] = []
    folder_of_the_host("/srv/asgi")(lambda key, words: found.append(f"{key}: {words}"), KEY, root)
    path = as_text(root)
    if found:
        return found
    if path != posixpath.normpath(path) or path.startswith("//"):
        plain = "/" + posixpath.normpath(path).lstrip("/")
        return [f"{KEY}: {show(path)} is not written plainly; give {plain}"]
    if path in SHARED:
        return [f"{KEY}: {path} is not for the apps alone; {FIX}"]
    # What is below /var/opt is not below /var for this.
    place = next((each for each in (*SHARED, *TAKEN) if within(path, each)), "")
    if place in TAKEN:
        return [f"{KEY}: {path} is in a place that has another purpose ({place}); {FIX}"]
    return [*_too_long(path, apps), *_opened_to_apps(path, apps)]


def places_problems(apps: Sequence[Mapping[str, Any]], facts: Mapping[str, Any], root: str) -> list[str]:
    """What a host with these ``facts`` has in the places of normalized ``apps``, which are not for them then."""
    found = []
    if words := facts.get("unsafe_root"):
        found.append(
            f"{KEY}: {words}, and what runs from {root} must be root's alone; {FIX}, or give that folder to root with mode "
            "0755"
        )
    found += [
        f"{KEY}: {path} is there, and the role has not made it; move it away, give the app {posixpath.basename(path)} another "
        "name, or give another folder"
        for path in facts.get("strangers") or ()
    ]
    known = {app["name"] for app in apps}
    moved = {
        name: place for name, place in (facts.get("roots") or {}).items() if name in known and place != root
    }
    for place in sorted(set(moved.values())):
        names = ", ".join(sorted(name for name in moved if moved[name] == place))
        found.append(
            f"{KEY}: {names} serves from {place} on this host, and would be served from two places with {root}; {MOVING}"
        )
    return found


def within(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies in it, by their words alone."""
    return f"{path}/".startswith(f"{folder.rstrip('/')}/")


def _too_long(root: str, apps: object) -> list[str]:
    """The apps whose sockets would have names that Linux does not take."""
    names = [app["name"] for app in _wanted(apps) if matches(NAME, app.get("name"))]
    longest = max(names, key=len, default="")
    length = len((root + SOCKET.format(name=longest)).encode())
    if not longest or length <= SOCKET_BYTES:
        return []
    words = (
        f"{KEY}: {show(root)} is too long by {length - SOCKET_BYTES} bytes for the sockets of the app {longest}, whose "
        f"paths may have {SOCKET_BYTES}; give a shorter folder, such as /srv/asgi"
    )
    return [words]


def _opened_to_apps(root: str, apps: object) -> list[str]:
    """The folders that an app may write to, or brings as its source, which are not for releases; nor the other way round."""
    found = []
    for app in _wanted(apps):
        sandbox, source = app.get("sandbox"), app.get("source")
        own = [
            *(
                ("sandbox.writable_paths", each)
                for each in as_list(sandbox.get("writable_paths") if isinstance(sandbox, Mapping) else None)
            ),
            ("source.mount", source.get("mount") if isinstance(source, Mapping) else None),
        ]
        for key, value in own:
            path = posixpath.normpath(as_text(value) or "/")
            if path != "/" and (within(path, root) or within(root, path)):
                found.append(
                    f"{KEY}: {root} and {key} of the app {show(app.get('name'))} ({path}) lie in each other, and releases "
                    f"are no app's to write; {FIX}"
                )
    return found


def _wanted(apps: object) -> Sequence[Mapping[Any, Any]]:
    """The apps that are to be there, as far as they are apps."""
    return [app for app in as_list(apps) if isinstance(app, Mapping) and app.get("state") != "absent"]
