# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Passwords of a site, names and paths that lead elsewhere, and nginx's own settings by its own names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from .checks import Say
from .reading import as_bool, as_int, as_list, as_text, at, hidden, scalar, show
from .web_values import domain, url_path

USER = re.compile(r"[^\x00-\x20\x7f:]{1,200}")
# crypt's SHA-512 takes time with the length of what it is given.
PASSWORD_BYTES = 256
BUFFERS = re.compile(r"(?P<number>[1-9]\d?) (?P<size>[1-9]\d{0,3})k")
# What one connection may take of nginx's memory for its header, in KiB.
HEADER_KIB = 1024
# nginx's settings of a site that an app may change, each with what it is else.
SERVER_KEYS: dict[str, Any] = {
    "large_client_header_buffers": "4 16k",
    "underscores_in_headers": False,
    "keepalive_timeout": 65,
}
# Path or address that a path leads to.
ADDRESS = re.compile(r"https?://[A-Za-z0-9.-]+(?::\d{1,5})?(?:/[A-Za-z0-9._~!@+,=%/-]*)?")


def basic_auth(say: Say, key: str, value: Any) -> None:
    """Names and passwords; no message shows a password."""
    if not isinstance(value, Mapping):
        say(
            key,
            f"{hidden(value)} is not a mapping; give names and passwords, such as {{anna: '{{{{ vault_anna }}}}'}}",
        )
        return
    for name, password in value.items():
        if not isinstance(name, str) or not USER.fullmatch(name):
            say(f"{key}.{show(name)}", "not a name; give one without spaces and colons, such as anna")
            continue
        text = scalar(password)
        if password is not None and text is None:
            say(f"{key}.{name}", "the password is no text; give a string in quotes")
        elif text and re.search(r"[\x00-\x1f\x7f]", text):
            say(
                f"{key}.{name}", "the password holds a control character, which nobody can type; give another"
            )
        elif text and len(text.encode(errors="replace")) > PASSWORD_BYTES:
            say(f"{key}.{name}", f"the password has more than {PASSWORD_BYTES} bytes; give a shorter one")


def header_buffers(say: Say, key: str, value: Any) -> None:
    """A number of buffers and the size of each, as nginx writes it."""
    found = BUFFERS.fullmatch(value) if isinstance(value, str) else None
    if not found or int(found["number"]) * int(found["size"]) > HEADER_KIB or int(found["size"]) < 4:
        say(
            key,
            f"{show(value)} is not a number of buffers and their size; give one such as 4 32k, each of 4k or more, and "
            f"no more than {HEADER_KIB}k together",
        )


def redirects(say: Say, key: str, value: Any) -> None:
    """What leads elsewhere: host names to host names, paths to paths or addresses."""
    fix = "give names such as {www.example.com: example.com}, or paths such as {/old: /new}"
    if not isinstance(value, Mapping):
        say(key, f"{show(value)} is not a mapping; {fix}")
        return
    for source, target in value.items():
        plain = isinstance(source, str) and re.fullmatch(r"[\w./*-]{1,100}", source)
        where = f"{key}.{source if plain else show(source)}"
        if target is None:
            continue  # one of the defaults is taken away
        if isinstance(source, str) and source.startswith("/"):
            _path_redirect(say, where, source, target)
            continue
        domain(say, where, source)
        if isinstance(target, str) and target.startswith("*."):
            say(where, f"{show(target)} is no one name; give one such as shop.example.com")
        else:
            domain(say, where, target)
        if source == target:
            say(where, f"{show(target)} leads to itself; remove it")


def _path_redirect(say: Say, key: str, source: str, target: Any) -> None:
    url_path(say, key, source)
    if not isinstance(target, str) or not (
        ADDRESS.fullmatch(target) or re.fullmatch(r"/[A-Za-z0-9._~!@+,=%/-]*", target)
    ):
        say(key, f"{show(target)} is no plain path and no address; give /new, or https://example.com/new")
    elif source == target:
        say(key, f"{show(target)} leads to itself; remove it")


def names(given: Mapping[Any, Any]) -> dict[str, str]:
    """The host names among an app's redirects, each with the name that it leads to."""
    return {key: value for key, value in _texts(given).items() if not key.startswith("/")}


def paths(given: Mapping[Any, Any]) -> dict[str, str]:
    """The paths among them."""
    return {key: value for key, value in _texts(given).items() if key.startswith("/")}


def _texts(given: Mapping[Any, Any]) -> dict[str, str]:
    return {as_text(key): as_text(value) for key, value in given.items() if as_text(key) and as_text(value)}


def redirect_problems(apps: Sequence[tuple[Say, Mapping[Any, Any]]]) -> None:
    """A name that leads elsewhere is no app's domain, and is there once."""
    owners = {
        name: show(app.get("name"))
        for _say, app in apps
        for name in map(as_text, as_list(app.get("domains")))
    }
    seen: dict[str, tuple[str, str]] = {}
    for say, app in apps:
        given = app.get("redirects")
        if not isinstance(given, Mapping):
            continue
        leading = names(given)
        if leading and not app.get("domains"):
            say("redirects", "lead to a site, and the app has no domains; give it some, or remove them")
        for name, target in leading.items():
            key = f"redirects.{name}"
            of = show(app.get("name"))
            other = seen.setdefault(name, (of, target))
            if name in owners:
                say(
                    key,
                    f"{show(name)} is a domain of {owners[name]}; take it out of domains, or remove it here",
                )
            elif other != (of, target):
                say(key, f"{show(name)} is a redirect of {other[0]} as well; keep one of them")
    for say, app in apps:
        given = app.get("redirects")
        for name, target in names(given).items() if isinstance(given, Mapping) else ():
            if target in seen and target not in owners:
                say(
                    f"redirects.{name}",
                    f"{show(target)} leads elsewhere itself; give the name where it ends: {seen[target][1]}",
                )


def server_key_problems(apps: Sequence[tuple[Say, Mapping[Any, Any]]]) -> None:
    """Apps of one site are behind one server of nginx, which has each of its settings once."""
    seen: dict[tuple[str, str], tuple[str, Any]] = {}
    for say, app in apps:
        for key in SERVER_KEYS:
            value = at(app, f"proxy.{key}")
            if value is None:
                continue
            plain = as_bool(value) if as_bool(value) is not None else as_int(value) or value
            for name in map(as_text, as_list(app.get("domains"))):
                own = (show(app.get("name")), plain)
                other = seen.setdefault((name, key), own)
                if other[1] != plain:
                    say(
                        f"proxy.{key}",
                        f"differs from that of {other[0]}, which shares {show(name)}; give both one",
                    )
                    break


def server_keys(apps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The settings of nginx for a site of normalized apps; empty where all are the role's."""
    given = {key: app["proxy"][key] for key in SERVER_KEYS for app in apps if app["proxy"][key] is not None}
    return {**SERVER_KEYS, **given} if given else {}
