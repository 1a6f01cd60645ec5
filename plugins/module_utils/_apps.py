# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The list ``asgi_host_apps``: what is wrong with it, and its complete form.

Ansible's argument spec knows types, but no ranges, no patterns and no rules between keys, and it stops a
play with its own words. So the spec documents the list and this module judges it: all problems at once, each
with the variable's name and the fix. No message shows a value of ``env``, ``secrets`` or ``credentials``.
"""

from __future__ import annotations

import ast
import difflib
import hashlib
import ipaddress
import keyword
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from . import _versions
from ._private import without_passwords

# Reports one problem: the key, dotted below the app, and the words that follow it.
Say: TypeAlias = Callable[[str, str], None]
Check: TypeAlias = Callable[[Say, str, Any], None]

NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# The name of a file, and with no colon, which separates the fields of systemd's LoadCredential.
CREDENTIAL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_CLAUSE = r"(?:===|[~=!<>]=|[<>])\s*[A-Za-z0-9.*+!_-]+\s*"
REQUIREMENT = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"  # the project
    r"\s*(?:\[[A-Za-z0-9._, -]*\])?"  # its extras
    rf"\s*(?:@\s*\S+|{_CLAUSE}(?:,\s*{_CLAUSE})*|\({_CLAUSE}(?:,\s*{_CLAUSE})*\))?"  # a URL, or versions
    r"\s*(?:;.*)?"  # an environment marker
)
EXTRA = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
DEBIAN_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+(?::[a-z0-9-]+)?(?:=[A-Za-z0-9.+:~-]+)?")
NGINX_SIZE = re.compile(r"\d{1,9}[kKmMgG]?")
MEMORY = re.compile(r"[1-9]\d{0,8}[KMGT]|[1-9]\d?%|100%")
HEADER = re.compile(r"[A-Za-z0-9-]+")
EMAIL = re.compile(r"[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,253}")
DIRECTORY = re.compile(r"https://[A-Za-z0-9.:\[\]-]+(?:/[A-Za-z0-9._~/?=&%+-]*)?")
DNS_PROVIDER = re.compile(r"[a-z0-9][a-z0-9-]{1,39}")
TOKEN = re.compile(r"\{(?:data|source|venv|release|domain)\}")
# Folders of a release on the host, which a container does not see.
OUTSIDE = re.compile(r"\{(?:source|venv|release)\}")
# A reference in full: with a registry, of which a dot, a port or its name says that it is one.
IMAGE = re.compile(
    r"(?:docker://)?(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9.-]+(?=:\d))(?::\d{1,5})?"
    r"(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)+"
    r"(?P<tag>:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?P<digest>@sha256:[0-9a-f]{64})?"
)
# A folder of the host in the form of the Open Container Initiative.
IMAGE_FOLDER = re.compile(r"oci:/[^\x00-\x20\x7f:\"'\\$%{}]+(?P<tag>:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})")
TARGET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")

# The folders and the socket that the unit gives to the app: another value would send it astray.
RESERVED = frozenset(
    {
        "ASGI_HOST_VIEW_KEY",
        "CREDENTIALS_DIRECTORY",
        "HOME",
        "LISTEN_FDNAMES",
        "LISTEN_FDS",
        "LISTEN_PID",
        "NOTIFY_SOCKET",
        "PATH",
        "STATE_DIRECTORY",
        "VIRTUAL_ENV",
    }
)

# Seconds; no cache keeps anything for longer (RFC 9111 has no limit, RFC 2616 named a year).
YEAR = 31_536_000

# The longest user name that utmp, ps and useradd of Debian 12 all take.
USER_NAME_MAX = 31

SOURCES = ("path", "mount", "package", "git", "archive", "image")
SERVERS = ("gunicorn", "uvicorn", "command", "image")
ENVIRONMENTS = ("production", "development", "")
STAGES = ("build", "migrate", "after")
SUPPORTED = {"debian": ("12", "13")}

# Every key of an app but its name, with its default. The same values stand in meta/argument_specs.yml.
APP_DEFAULTS: dict[str, Any] = {
    "state": "present",
    "purge": False,
    "app": None,
    "factory": False,
    "source": {"requirements": None, "extras": [], "groups": []},
    "requirements": [],
    "server_requirements": None,
    "shared": [],
    "packages": [],
    "app_dir": "",
    "python": None,
    "server": "gunicorn",
    "command": None,
    "processes": [],
    "workers": "auto",
    "timeout": 120,
    "graceful_timeout": 30,
    "max_requests": 0,
    "max_requests_jitter": 0,
    "reload": False,
    "env": {},
    "secrets": {},
    "credentials": {},
    "hooks": {"build": [], "migrate": [], "after": [], "after_failure": "keep"},
    "health": {"path": "/", "status": [200], "timeout": 30, "text": None},
    "domains": [],
    "root_path": "",
    "maintenance": False,
    "static": [],
    "tls": {
        "mode": "self_signed",
        "files": {"certificate": None, "key": None},
        "acme": {
            "email": None,
            "directory": "https://acme-v02.api.letsencrypt.org/directory",
            "dns": None,
            "dns_env": {},
            "dns_check": True,
        },
    },
    "proxy": {
        "body_limit": "10m",
        "read_timeout": 60,
        "stream_paths": [],
        "trusted_proxies": [],
        "headers": {},
        "browser_headers": "default",
        "compression": "gzip",
        "rate_limit": {"requests": None, "burst": 0},
        "connection_limit": None,
        "extra": "",
        "http3": False,
    },
    "sandbox": {
        "memory_deny_write_execute": True,
        "proc_subset": "pid",
        "network": "any",
        "writable_paths": [],
        "memory_max": None,
        "allow_resources": False,
    },
    "strategy": "overlap",
    "warm_up": 0,
    "watch": {"seconds": 0, "errors": 5},
    "keep_warm": False,
    "keep_releases": 5,
}


class InputError(ValueError):
    """The inventory is wrong; the message names the variables and the fixes, a line for each problem."""


def problems(
    apps: object,
    defaults: object = None,
    *,
    proxy: bool = True,
    proxy_protocol: object = (),
    environment: object = "",
) -> list[str]:
    """Every problem of ``asgi_host_apps`` that shows without a file or a host; none, and the list is valid.

    ``defaults`` is ``asgi_host_app_defaults``, ``proxy_protocol`` is ``asgi_host_proxy_protocol``, ``environment`` is
    ``asgi_host_environment``. With ``proxy`` false no site is made, so sites cannot clash. Takes any object and never
    raises.
    """
    found: list[str] = []
    _each(_network, '["10.0.0.0/24"]')(
        lambda key, words: found.append(f"{key}: {words}"), "asgi_host_proxy_protocol", proxy_protocol
    )
    _environment(lambda key, words: found.append(f"{key}: {words}"), "asgi_host_environment", environment)
    base: Mapping[Any, Any] = {}
    if isinstance(defaults, Mapping):
        base = defaults
        _fragment(_teller(found, "asgi_host_app_defaults"), base, set(APP_DEFAULTS), "asgi_host_app_defaults")
    elif defaults is not None:
        found.append(
            f"asgi_host_app_defaults: {_show(defaults)} is not a mapping; give keys of an app, or {{}}"
        )
    if not _is_list(apps):
        found.append(
            f"asgi_host_apps: {_show(apps)} is not a list; give a list of apps with name, app and source"
        )
        return found
    checked: list[tuple[Say, Mapping[Any, Any]]] = []
    for number, app in enumerate(_items(apps)):
        where = f"asgi_host_apps[{number}]"
        if not isinstance(app, Mapping):
            found.append(f"{where}: {_show(app)} is not a mapping; give an app with name, app and source")
            continue
        name = app.get("name")
        say = _teller(found, f"{where} ({name})" if _matches(NAME, name) else where)
        _name(say, app)
        merged = _with_server(_merge(_merge(APP_DEFAULTS, base), app), app)
        if _text(merged.get("state")) == "absent":
            _unknown(say, app, {"name", *APP_DEFAULTS})
            if "purge" in app:
                _a_bool(say, "purge", app["purge"])
        else:
            _fragment(say, app, {"name", *APP_DEFAULTS}, "an app")
            _whole(say, app, merged)
            if environment == "production" and _bool(merged.get("reload")):
                say(
                    "reload",
                    "true is the development mode, and asgi_host_environment says that this host is for production; "
                    "set reload: false, or leave the app to an inventory that is not for production",
                )
        checked.append((say, merged))
    _same_names(checked)
    if proxy:
        wanted = [(say, app) for say, app in checked if _text(app.get("state")) != "absent"]
        _same_sites(wanted)
        if proxy_protocol:
            _one_word(wanted)
    return found


def normalize(
    apps: Sequence[Mapping[str, Any]], defaults: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """The complete form of a list without problems: every key of the interface, in one type, and ``user``.

    ``health`` is a list, the items of ``hooks`` are ``{command, creates}``, ``source.package`` is a list,
    values of ``env`` and ``secrets`` are strings, a credential is its content or ``{file: path}``.
    An app that is to be absent keeps ``name``, ``state``, ``purge`` and ``user``. The input is not changed.
    Raises InputError with every problem where the list has any.
    """
    # Two apps on one mount point are wrong only in front of a proxy, which is not known here.
    wrong = problems(apps, defaults, proxy=False)
    if wrong:
        raise InputError("\n".join(wrong))
    base = _merge(APP_DEFAULTS, defaults or {})
    return [_complete(_with_server(_merge(base, app), app), app, defaults or {}) for app in apps]


def user_name(name: str) -> str:
    """The system user of the app ``name``: ``asgi-NAME``; where that is too long, it ends in a digest."""
    user = f"asgi-{name}"
    if len(user) <= USER_NAME_MAX:
        return user
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{user[: USER_NAME_MAX - 7]}-{digest}"


def first_domain(domains: Sequence[str]) -> str:
    """The host name to ask an app by: its first domain, ``www`` for a star; without any, ``localhost``."""
    return re.sub(r"\A\*\.", "www.", domains[0]) if domains else "localhost"


def workers(value: int | str, *, cores: int, memory_mb: int, per_worker_mb: int = 100) -> int:
    """The number of worker processes: ``auto``, ``cores`` or the number itself; never less than 1.

    ``auto`` is 2 * ``cores`` + 1, as gunicorn's documentation has it, but no more than fit in ``memory_mb``
    MiB at ``per_worker_mb`` each. Measured were 37 MB for a FastAPI hello, and 30 to 340 MB for fifteen
    applications from PyPI; 100 is within that. Raises InputError for any other value.
    """
    if value == "auto":
        return max(1, min(2 * cores + 1, memory_mb // per_worker_mb))
    if value == "cores":
        return max(1, cores)
    number = _int(value)
    if number is None or number < 1:
        raise InputError(f"workers: {_show(value)} is not a number of workers; {WORKERS_FIX}")
    return number


def host_problems(
    apps: Sequence[Mapping[str, Any]],
    facts: Mapping[str, Any],
    *,
    proxy: bool = True,
    proxy_protocol: Sequence[str] = (),
    brings_python: bool = False,
) -> list[str]:
    """What keeps a host with these ``facts`` from running these normalized ``apps``.

    ``facts`` holds ``user``, ``distribution``, ``release``, ``python``, ``pythons``, ``listeners``, ``nginx`` and
    ``folders``. With ``proxy`` false the ports of nginx may belong to anyone. ``proxy_protocol`` is
    ``asgi_host_proxy_protocol``. With ``brings_python`` uv may bring the interpreters that the host lacks.
    """
    if (user := facts.get("user", "root")) != "root":
        # Whoever is not root does not see what the other questions are about.
        return [f"the play is {user} on the host, not root; set become: true in the play"]
    found: list[str] = []
    distribution, release = str(facts.get("distribution", "")), str(facts.get("release", ""))
    if release not in SUPPORTED.get(distribution, ()):
        found.append(
            f"the host runs {distribution or 'an unknown system'} {release}".rstrip()
            + ", which the role does not know; use a host with Debian 12 (bookworm) or 13 (trixie)"
        )
    present = [app for app in apps if app["state"] == "present"]
    taken = {
        (listener["port"], listener.get("process") or "an unknown program")
        for listener in facts.get("listeners") or ()
        if listener["port"] in (80, 443) and listener.get("process") != "nginx"
    }
    if proxy and present:
        found += [
            f"port {port} of the host is taken by {process}; stop and disable {process}, "
            "or leave nginx alone with asgi_host_proxy: false"
            for port, process in sorted(taken)
        ]
    if proxy and present and proxy_protocol:
        found += [
            f"asgi_host_proxy_protocol: the site {site} listens on port 80 or 443 as well, and would speak the PROXY "
            "protocol from then on; give it another port or address, add proxy_protocol to its listen lines, "
            "or leave asgi_host_proxy_protocol empty"
            for site in facts["nginx"]["foreign_sites"]
        ]
    if (distribution, release) == ("debian", "12"):
        found += [
            f"asgi_host_apps ({app['name']}): source.image: podman of Debian 12 (4.3) cannot make the app's own user "
            "that of a container; use a host with Debian 13, or another source"
            for app in present
            if app["server"] == "image"
        ]
    for app in present:
        mount = app["source"].get("mount")
        if mount and mount not in (facts.get("folders") or ()):
            found.append(
                f"asgi_host_apps ({app['name']}): source.mount: the host has no folder {mount}; mount it there, or "
                "give the path that it has on the host"
            )
        if find_python(app["python"], facts) is None:
            by_uv = bool(app["python"]) and not app["python"].startswith("/")
            if brings_python and by_uv:
                continue
            has = ", ".join(f"{each['path']} ({each['version']})" for each in _pythons(facts)) or "none"
            wanted = app["python"] or "python3"
            found.append(
                f"asgi_host_apps ({app['name']}): python: the host has no Python for {wanted} "
                f"(it has: {has}); give one that it has, or install that Python on it first"
                + (", or let uv bring it with asgi_host_python_mirror" if by_uv else "")
            )
    return found


def missing_pythons(apps: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> list[str]:
    """The versions and ranges of normalized ``apps`` for which a host has no interpreter."""
    wanted = {app["python"] for app in apps if app["state"] == "present" and app["python"]}
    return sorted(each for each in wanted if not each.startswith("/") and find_python(each, facts) is None)


def find_python(wanted: str | None, facts: Mapping[str, Any]) -> dict[str, str] | None:
    """The interpreter ``{path, version}`` of a host for an app's ``python``; None where the host has none.

    The host's own ``python3`` goes before all others; of those, the newest that fits.
    """
    found = _pythons(facts)
    if not wanted:
        return found[0] if found and found[0]["path"] == (facts.get("python") or {}).get("path") else None
    if wanted.startswith("/"):
        return next((each for each in found if each["path"] == wanted), None)
    return next((each for each in found if _versions.fits(each["version"], wanted)), None)


def _pythons(facts: Mapping[str, Any]) -> list[dict[str, str]]:
    """The host's own python3, then the others from new to old; only those that run."""
    own = [facts.get("python") or {}]
    others = sorted(
        facts.get("pythons") or (),
        key=lambda each: _versions.numbers(str(each.get("version") or "0")),
        reverse=True,
    )
    return [
        {"path": str(each["path"]), "version": str(each["version"])}
        for each in [*own, *others]
        if each.get("path") and each.get("version")
    ]


# Values


def _show(value: object) -> str:
    """A value as a message shows it: short, one line, containers by their kind, no password of a URL."""
    if value is None:
        return "an empty value"
    if isinstance(value, Mapping):
        return "a mapping"
    if _is_list(value):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    try:
        text = str(value) if isinstance(value, (int, float)) else repr(str(value))
    except Exception:  # noqa: BLE001 - a number too long to print, an object whose own text fails
        return f"a value of type {type(value).__name__}"
    text = without_passwords(text, "***@")
    return text if len(text) <= 80 else f"{text[:76]}…{text[-1]}"


def _hidden(value: object) -> str:
    """In place of a value that may hold a secret."""
    return "an empty value" if value is None else "the value"


def _teller(found: list[str], where: str) -> Say:
    def say(key: str, words: str) -> None:
        found.append(f"{where}: {key}: {words}")

    return say


def _is_list(value: object) -> bool:
    return isinstance(value, (list, tuple))


def _items(value: object) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _int(value: object) -> int | None:
    """A whole number, also as a string, which is what a template or a lookup may give."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,9}", value) else None


def _bool(value: object) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "yes": True, "false": False, "no": False}.get(_text(value).lower())


def _scalar(value: object) -> str | None:
    """A variable's value as the string that a process sees; None for what has no such form."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, (str, int, float)):
        return None
    try:
        return str(value)
    except ValueError:  # a number beyond Python's limit of digits
        return None


def _merge(under: Mapping[Any, Any], over: Mapping[Any, Any], depth: int = 3) -> dict[Any, Any]:
    """``over`` on top of ``under``, mapping by mapping; a kind of source, or of TLS, replaces that below."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        if depth and isinstance(value, Mapping) and isinstance(below, Mapping):
            if key == "source" and any(kind in value for kind in SOURCES):
                below = {name: each for name, each in below.items() if name not in SOURCES}
            own = _tls_with_mode(value) if key == "tls" else value
            merged[key] = _merge(below, own, depth - 1)
        else:
            merged[key] = value
    return merged


def _tls_with_mode(tls: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Giving the files is choosing them: the mode follows from the key where it is not named."""
    given = [mode for mode in ("files", "acme") if isinstance(tls.get(mode), Mapping)]
    return {**tls, "mode": given[0]} if "mode" not in tls and len(given) == 1 else tls


def _with_server(merged: dict[Any, Any], given: Mapping[Any, Any]) -> dict[Any, Any]:
    """An image is its own server: that follows from the source where the app does not name one."""
    image = _at(merged, "source.image") is not None
    return {**merged, "server": "image"} if image and "server" not in given else merged


# One key

WORKERS_FIX = "give auto, cores or a whole number of 1 or more"


def _a_bool(say: Say, key: str, value: Any) -> None:
    if _bool(value) is None:
        say(key, f"{_show(value)} is neither true nor false; give true or false")


def _number(low: int, high: int | None = None, unit: str = "") -> Check:
    def check(say: Say, key: str, value: Any) -> None:
        number = _int(value)
        if number is None or number < low or (high is not None and number > high):
            limits = f"of {low} or more" if high is None else f"from {low} to {high}"
            say(key, f"{_show(value)} is out of range; give a whole number{unit} {limits}")

    return check


def _seconds(say: Say, key: str, value: Any) -> None:
    """A time without a limit of its own; beyond some 10^13 it overflows in systemd, and no time here is that long."""
    number = _int(value)
    if number is not None and number > YEAR:
        say(key, f"{_show(value)} is more than a year; give a whole number of seconds up to {YEAR}")
    else:
        _number(1, None, " of seconds")(say, key, value)


def _one_of(*choices: str) -> Check:
    def check(say: Say, key: str, value: Any) -> None:
        if not isinstance(value, str) or value not in choices:
            close = difflib.get_close_matches(_text(value), choices, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            say(key, f"{_show(value)} is not known; {hint}give {' or '.join(choices)}")

    return check


def _environment(say: Say, key: str, value: Any) -> None:
    if not isinstance(value, str) or value not in ENVIRONMENTS:
        close = difflib.get_close_matches(_text(value).lower(), ENVIRONMENTS[:2], n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        say(key, f"{_show(value)} is not known; {hint}give production or development, or leave it empty")


def _optional(check: Check) -> Check:
    def checked(say: Say, key: str, value: Any) -> None:
        if value is not None:
            check(say, key, value)

    return checked


def _each(check: Check, example: str, *, filled: bool = False, distinct: bool = True) -> Check:
    """A list of what ``check`` takes; ``filled`` refuses an empty one, ``distinct`` an item given twice."""

    def checked(say: Say, key: str, value: Any) -> None:
        if not _is_list(value):
            say(key, f"{_show(value)} is not a list; give a list such as {example}")
            return
        if filled and not value:
            say(key, f"the list is empty; give at least one, such as {example}, or leave the key out")
        seen: set[str] = set()
        for number, item in enumerate(value):
            check(say, f"{key}[{number}]", item)
            if distinct and isinstance(item, str):
                if item in seen:
                    say(f"{key}[{number}]", f"{_show(item)} is there twice; remove one")
                seen.add(item)

    return checked


def _keys(checks: Mapping[str, Check], needed: Iterable[str] = (), example: str = "") -> Check:
    """A mapping with these keys and no others."""

    def checked(say: Say, key: str, value: Any) -> None:
        if not isinstance(value, Mapping):
            fix = example or "{" + ", ".join(f"{name}: …" for name in checks) + "}"
            say(key, f"{_show(value)} is not a mapping; give {fix}")
            return
        _unknown(say, value, set(checks), f"{key}.")
        for name, check in checks.items():
            if name in value:
                check(say, f"{key}.{name}", value[name])
            elif name in needed:
                say(f"{key}.{name}", "is missing; " + (f"give {example}" if example else "give it"))

    return checked


def _unknown(say: Say, given: Mapping[Any, Any], known: set[str], prefix: str = "") -> None:
    for key in given:
        if not isinstance(key, str) or key not in known:
            close = difflib.get_close_matches(_text(key).lower(), sorted(known), n=1)
            shown = key if isinstance(key, str) and re.fullmatch(r"[\w.-]{1,60}", key) else _show(key)
            fix = f"did you mean {close[0]}?" if close else f"the keys are {', '.join(sorted(known))}"
            say(f"{prefix}{shown}", f"no such key; {fix}")


def _line(what: str, example: str, *, empty: bool = False) -> Check:
    """A string on one line."""

    def check(say: Say, key: str, value: Any) -> None:
        if not isinstance(value, str) or (not value.strip() and not empty):
            say(key, f"{_show(value)} is not {what}; give a string such as {example}")
        elif re.search(r"[\x00-\x1f\x7f]", value):
            say(key, f"{_show(value)} holds a line break or control character; give {what} on one line")

    return check


def _pattern(pattern: re.Pattern[str], what: str, fix: str) -> Check:
    def check(say: Say, key: str, value: Any) -> None:
        if not _matches(pattern, value):
            say(key, f"{_show(value)} is not {what}; {fix}")

    return check


def _requirement(say: Say, key: str, value: Any) -> None:
    if isinstance(value, str) and value.lstrip().startswith("-"):
        say(
            key,
            f"{_show(value)} is an option of pip, not a requirement; give one such as 'httpx>=0.28'",
        )
    elif not _matches(REQUIREMENT, value) or re.search(r"[\x00-\x1f\x7f]", value):
        say(key, f"{_show(value)} is not a requirement; give one such as 'httpx>=0.28'")


_requirements = _each(_requirement, '["httpx>=0.28"]')


def _package(say: Say, key: str, value: Any) -> None:
    if _is_list(value):
        _each(_requirement, '["datasette>=0.65"]', filled=True)(say, key, value)
    else:
        _requirement(say, key, value)


def _inside(value: str) -> bool:
    """Whether a relative path stays in its folder; by its words alone, links are not followed."""
    return not value.startswith(("/", "~")) and ".." not in value.split("/")


def _relative(folder: str, example: str, *, empty: bool = False) -> Check:
    def check(say: Say, key: str, value: Any) -> None:
        if empty and value == "":
            return
        if not isinstance(value, str) or not value or not re.fullmatch(r"[^\x00-\x20\x7f;\"'\\$%]+", value):
            say(
                key,
                f"{_show(value)} is not a path inside {folder}; give one without spaces, such as {example}",
            )
        elif re.search(r"[{}]", TOKEN.sub("", value)):
            say(key, f"{_show(value)} holds a brace; give a path inside {folder} such as {example}")
        elif not _inside(value):
            say(
                key,
                f"{_show(value)} leads out of {folder}; give a relative path without .., such as {example}",
            )

    return check


def _absolute(say: Say, key: str, value: Any) -> None:
    if not _matches(re.compile(r"/[^\x00-\x20\x7f;:\"'\\$%{}]+"), value):
        say(key, f"{_show(value)} is not an absolute path without spaces; give one such as /var/spool/shop")
    elif ".." in value.split("/") or not value.strip("/."):
        say(
            key,
            f"{_show(value)} opens more than a folder; give a path without .., such as /var/spool/shop",
        )


def _import_string(say: Say, key: str, value: Any) -> None:
    fix = 'give module:attribute such as shop.main:app, or a call such as shop.main:create_app("x")'
    if not isinstance(value, str):
        say(key, f"{_show(value)} is not an import string; {fix}")
        return
    module, colon, attribute = value.partition(":")
    if value.endswith(".py") or "/" in module or ".py" in module.split(":")[0][-3:]:
        say(key, f"{_show(value)} is a file; give the module's name with dots, such as shop.main:app")
    elif not colon:
        say(key, f"{_show(value)} names no attribute after a colon; {fix}")
    elif not all(_identifier(part) for part in module.split(".")):
        say(key, f"{_show(value)}: left of the colon is not a module's name; {fix}")
    elif not _attribute(attribute):
        say(
            key,
            f"{_show(value)}: right of the colon is neither a name nor a call with plain values; {fix}",
        )


def _identifier(word: str) -> bool:
    return word.isidentifier() and word.isascii() and not keyword.iskeyword(word)


def _attribute(text: str) -> bool:
    """A dotted name, or a call of a plain name whose arguments are literals (as gunicorn takes them)."""
    if all(_identifier(part) for part in text.split(".")):
        return True
    # Control characters would break the settings file; a name is followed by its bracket at once.
    if not re.fullmatch(r"[A-Za-z_]\w*\([^\x00-\x1f\x7f]*\)", text):
        return False
    try:
        call = ast.parse(text, mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            return False
        if any(word.arg is None for word in call.keywords):
            return False
        for argument in [*call.args, *(word.value for word in call.keywords)]:
            ast.literal_eval(argument)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return False
    return _identifier(call.func.id)


def _domain(say: Say, key: str, value: Any) -> None:
    fix = "give a host name in lower case such as shop.example.com or *.example.com"
    if not isinstance(value, str) or not value:
        say(key, f"{_show(value)} is not a host name; {fix}")
        return
    if "://" in value:
        say(key, f"{_show(value)} holds a scheme; {fix}")
    elif re.search(r"[\s;{}\"'\\$\x00-\x1f]", value):
        say(key, f"{_show(value)} holds a character that no host name has; {fix}")
    elif "/" in value:
        say(key, f"{_show(value)} holds a path; {fix}, and root_path for a mount point below it")
    elif _is_address(value):
        say(key, f"{_show(value)} is an address, and TLS asks by name; {fix}")
    elif ":" in value:
        say(key, f"{_show(value)} holds a port; sites are on 443 and 80: {fix}")
    elif not value.isascii():
        say(key, f"{_show(value)} is not ASCII; give the name in its encoded form{_encoded(value)}")
    elif value != value.lower():
        say(key, f"{_show(value)} holds upper case; give {value.lower()[:253]}")
    else:
        name = value.removeprefix("*.")
        labels = name.split(".")
        valid = len(value) <= 253 and all(LABEL.fullmatch(label) for label in labels)
        if not valid or (name != value and len(labels) < 2):
            say(key, f"{_show(value)} is not a host name; {fix}")


def _encoded(value: str) -> str:
    try:
        return f", {value.encode('idna').decode()}"
    except UnicodeError:
        return " (xn--…)"


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value.strip("[]"))
    except ValueError:
        return False
    return True


def _network(say: Say, key: str, value: Any) -> None:
    fix = "give a range such as 10.0.0.0/8 or an address such as 192.0.2.7"
    if not isinstance(value, str):
        say(key, f"{_show(value)} is not an address range; {fix}")
        return
    try:
        loose = ipaddress.ip_network(value, strict=False)
    except ValueError:
        say(key, f"{_show(value)} is not an address range; {fix}")
        return
    if loose.prefixlen == 0:
        say(
            key,
            f"{_show(value)} is every address, so anybody could say who the client is; "
            "give the ranges that the proxies themselves have",
        )
    elif "/" in value and str(loose.network_address) != str(ipaddress.ip_address(value.split("/")[0])):
        say(key, f"{_show(value)} has bits beyond its prefix; did you mean {loose}?")


def _url_path(say: Say, key: str, value: Any) -> None:
    if not isinstance(value, str) or not value.startswith("/"):
        say(key, f"{_show(value)} does not start with /; give a path such as /events")
    elif not re.fullmatch(r"/[^\x00-\x20\x7f;{}\"'\\$#?]*", value):
        say(
            key,
            f"{_show(value)} holds a space, quote, brace, semicolon, $, # or ?; give one such as /events",
        )


def _root_path(say: Say, key: str, value: Any) -> None:
    if value == "":
        return
    if value == "/":
        say(key, "'/' is the whole domain; leave root_path out")
    elif isinstance(value, str) and value.startswith("/") and value.endswith("/"):
        say(key, f"{_show(value)} ends with /; give it without, such as /shop")
    elif (
        not isinstance(value, str)
        or not re.fullmatch(r"(?:/[A-Za-z0-9._~!@+,=-]+)+", value)
        or not _plain(value)
    ):
        say(
            key,
            f"{_show(value)} is not a mount point; give one that starts with / and is plain, such as /shop",
        )


def _plain(path: str) -> bool:
    return not {".", ".."} & set(path.split("/"))


def _static_url(say: Say, key: str, value: Any) -> None:
    if not isinstance(value, str) or not value.startswith("/") or not value.endswith("/"):
        say(key, f"{_show(value)} does not start and end with /; give a URL path such as /static/")
    elif value == "/":
        say(key, "'/' would hide the app; give a path below it such as /static/")
    elif not re.fullmatch(r"[A-Za-z0-9._~!@+,=/-]+", value) or not _plain(value) or "//" in value:
        say(key, f"{_show(value)} is not a plain URL path; give one such as /static/")


def _static_path(say: Say, key: str, value: Any) -> None:
    if isinstance(value, str) and value.startswith("/"):
        rest = TOKEN.sub("", value)
        if not re.fullmatch(r"/[^\x00-\x20\x7f;:\"'\\$%{}]+", rest) or ".." in rest.split("/"):
            say(key, f"{_show(value)} is not a plain path; give one such as static or {{data}}/media")
    else:
        _relative("the source", "static or {data}/media")(say, key, value)


def _cache(say: Say, key: str, value: Any) -> None:
    number = _int(value)
    if _text(value) != "immutable" and (number is None or not 0 <= number <= YEAR):
        say(
            key,
            f"{_show(value)} is not a time; give whole seconds up to {YEAR}, 0 to have browsers ask each time, "
            "or immutable for files whose names change with their content",
        )


def _workers(say: Say, key: str, value: Any) -> None:
    number = _int(value)
    if _text(value) not in ("auto", "cores") and (number is None or number < 1):
        say(key, f"{_show(value)} is not a number of workers; {WORKERS_FIX}")


def _python(say: Say, key: str, value: Any) -> None:
    fix = 'give a path (/usr/bin/python3.13), a version ("3.13") or a range (">=3.12")'
    if isinstance(value, float):
        if not _versions.PYTHON.fullmatch(str(value)) or len(str(value)) < 4:
            say(
                key,
                f"{_show(value)} is a number to YAML, which takes 3.10 for 3.1; put the version in quotes",
            )
    elif not isinstance(value, str):
        say(key, f"{_show(value)} is not a Python; {fix}")
    elif value.startswith("/"):
        _absolute(say, key, value)
    elif not _versions.PYTHON.fullmatch(value) and not all(
        _versions.RANGE.fullmatch(clause.strip()) for clause in value.split(",")
    ):
        say(key, f"{_show(value)} is not a Python; {fix}")


def _variables(say: Say, key: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        say(
            key,
            f"{_hidden(value)} is not a mapping; give NAME: value pairs",
        )
        return
    for name, each in value.items():
        if not _matches(VARIABLE, name):
            say(
                f"{key}.{_show(name)}",
                "not a variable's name; give letters, digits and _, such as DATABASE_URL",
            )
            continue
        if name in RESERVED:
            say(f"{key}.{name}", "belongs to the unit that runs the app; give the variable another name")
        text = _scalar(each)
        if text is None:
            kind = _show(each) if each is None or isinstance(each, Mapping) or _is_list(each) else "the value"
            say(
                f"{key}.{name}",
                f"{kind} is no value of a variable; give a string in quotes (to_json for a structure)",
            )
        elif "\0" in text:
            say(
                f"{key}.{name}", "the value holds a NUL, which no variable can; give it as one of credentials"
            )


def _credentials(say: Say, key: str, value: Any) -> None:
    fix = "give the content as a string, or {file: a path on the controller}"
    if not isinstance(value, Mapping):
        say(
            key,
            f"{_hidden(value)} is not a mapping; give name: content pairs",
        )
        return
    for name, each in value.items():
        if not _matches(CREDENTIAL, name):
            say(
                f"{key}.{_show(name)}",
                "not a credential's name; give letters, digits, _ . and -, such as token.json",
            )
        elif isinstance(each, Mapping):
            # Not by _keys: what stands here by mistake may be the secret itself.
            if list(each) != ["file"]:
                say(f"{key}.{name}", f"the mapping has not the one key file; {fix}")
            else:
                _line("a path", "secrets/token.json")(say, f"{key}.{name}.file", each["file"])
        elif _scalar(each) is None:
            say(f"{key}.{name}", f"the value is not a credential; {fix}")


def _command(say: Say, key: str, value: Any) -> None:
    """A string or argv."""
    words = _items(value) if _is_list(value) else [value]
    if (
        not words
        or not all(isinstance(word, str) and "\0" not in word for word in words)
        or not words[0].strip()
    ):
        say(key, "not a command; give a string, or a list of strings that is the program and its arguments")


def _hook(say: Say, key: str, value: Any) -> None:
    if isinstance(value, Mapping):
        fields: dict[str, Check] = {
            "command": _command,
            "creates": _optional(_line("a path", "{data}/db.sqlite3")),
            "every_host": _optional(_a_bool),
        }
        _keys(fields, ("command",), "{command: …, creates: …}")(say, key, value)
    else:
        _command(say, key, value)


_processes = _each(
    _keys(
        {
            "name": _pattern(
                NAME, "a name", "give lower-case letters, digits and -, a letter first, such as worker"
            ),
            "command": _command,
            "stop_timeout": _optional(_number(1, 86_400, " of seconds")),
            "instances": _number(1, 64, " of instances"),
        },
        ("name", "command"),
        "{name: worker, command: python -m shop.worker}",
    ),
    "[{name: worker, command: python -m shop.worker}]",
)
_hooks = _keys(
    {
        **{stage: _each(_hook, '["python manage.py migrate"]', distinct=False) for stage in STAGES},
        "after_failure": _one_of("keep", "rollback"),
    }
)


def _statuses(say: Say, key: str, value: Any) -> None:
    if _is_list(value):
        _each(_number(100, 599), "[200]", filled=True)(say, key, value)
    else:
        _number(100, 599)(say, key, value)


def _health_path(say: Say, key: str, value: Any) -> None:
    if not isinstance(value, str) or not value.startswith("/"):
        say(key, f"{_show(value)} does not start with /; give a path such as /health")
    elif not re.fullmatch(r"[\x21-\x7e]+", value) or "#" in value:
        say(
            key,
            f"{_show(value)} holds a space, a line break, # or a letter that a URL must encode; give /health",
        )


_one_health = _keys(
    {
        "path": _health_path,
        "status": _statuses,
        "timeout": _number(1, 3600, " of seconds"),
        "text": _optional(_line("a text", '\'"status": "ok"\'')),
    },
    example="{path: /health}, or a list of such",
)


def _health(say: Say, key: str, value: Any) -> None:
    if _is_list(value):
        _each(_one_health, "[{path: /health}]", filled=True)(say, key, value)
    else:
        _one_health(say, key, value)


_watch_keys = _keys(
    {"seconds": _number(0, 3600, " of seconds"), "errors": _number(0, 100, " of percent")},
    example="a number of seconds, or {seconds: 60, errors: 5}",
)


def _watch(say: Say, key: str, value: Any) -> None:
    if isinstance(value, Mapping):
        _watch_keys(say, key, value)
    else:
        _number(0, 3600, " of seconds")(say, key, value)


def _headers(say: Say, key: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        say(key, f"{_show(value)} is not a mapping; give header names and values")
        return
    for name, each in value.items():
        if not _matches(HEADER, name):
            say(
                f"{key}.{_show(name)}",
                "not a header's name; give letters, digits and -, such as X-Frame-Options",
            )
        elif (text := _scalar(each)) is None or re.search(r"[\x00-\x1f\x7f\"\\]", text):
            say(
                f"{key}.{name}",
                "the value is not one line of text without double quotes and backslashes; give such a string",
            )


def _text_block(say: Say, key: str, value: Any) -> None:
    if not isinstance(value, str) or "\0" in value:
        say(key, f"{_show(value)} is not a text; give lines of nginx's configuration, or leave the key out")


def _body_limit(say: Say, key: str, value: Any) -> None:
    if isinstance(value, bool) or not _matches(NGINX_SIZE, _scalar(value)):
        say(key, f"{_show(value)} is not a size; give one such as 10m, or 0 for no limit")


def _git_version(say: Say, key: str, value: Any) -> None:
    if not isinstance(value, str) or not re.fullmatch(r"(?!-)[A-Za-z0-9._/@+-]+", value) or ".." in value:
        say(
            key,
            f"{_show(value)} is not a branch, tag or commit; give one in quotes, such as 'v1.4' or a commit's 40 digits",
        )


def _image_name(say: Say, key: str, value: Any) -> None:
    fix = "give it in full, such as registry.example.com/shop:1.4"
    if _matches(IMAGE_FOLDER, value):
        return
    found = IMAGE.fullmatch(value) if isinstance(value, str) else None
    if not found:
        say(key, f"{_show(value)} is not the name of an image in a registry; {fix}")
    elif not found["tag"] and not found["digest"]:
        say(
            key,
            f"{_show(value)} names neither a tag nor a digest; {fix}, or with @sha256:… for ever the same",
        )


def _build_args(say: Say, key: str, value: Any) -> None:
    if not isinstance(value, Mapping):
        say(key, f"{_hidden(value)} is not a mapping; give NAME: value pairs")
        return
    for name, each in value.items():
        if not _matches(VARIABLE, name):
            say(f"{key}.{_show(name)}", "not the name of an ARG; give letters, digits and _, such as VERSION")
        elif (text := _scalar(each)) is None or "\0" in text:
            say(f"{key}.{name}", "the value is no text; give a string in quotes")


def _registry_auth(say: Say, key: str, value: Any) -> None:
    """Not by _keys: what stands here by mistake may be the secret itself."""
    if (
        not isinstance(value, Mapping)
        or set(value) != {"username", "password"}
        or not all(isinstance(each, str) and each and "\0" not in each for each in value.values())
    ):
        say(key, "not the login of a registry; give {username: …, password: …}, both strings")
    elif ":" in value["username"]:
        say(f"{key}.username", "holds a colon, which no login can; give the name alone")


_path_on_controller = _line("a path", "../shop")
_sha256 = _pattern(re.compile(r"[0-9a-fA-F]{64}"), "a SHA-256 digest", "give its 64 hex digits")
IMAGE_CHECKS: dict[str, Check] = {
    "path": _optional(_path_on_controller),
    "dockerfile": _optional(_relative("the folder", "docker/Dockerfile")),
    "target": _optional(_pattern(TARGET, "a stage of a Dockerfile", "give its name, such as production")),
    "build_args": _optional(_build_args),
    "archive": _optional(_line("a path", "../shop-1.4.tar")),
    "sha256": _optional(_sha256),
    "name": _optional(_image_name),
    "auth": _optional(_registry_auth),
}
_image = _keys(IMAGE_CHECKS, example="{path: ../shop}, {archive: …} or {name: …}")
_source_keys = _keys(
    {
        "path": _path_on_controller,
        "mount": _absolute,
        "package": _package,
        "git": _keys(
            {
                "repo": _line("a repository", "https://git.example.com/shop.git"),
                "version": _git_version,
                "key_file": _optional(_line("a path", "keys/deploy")),
            },
            ("repo",),
            "{repo: …, version: …}",
        ),
        "archive": _keys(
            {
                "path": _optional(_path_on_controller),
                "url": _optional(_line("a URL", "https://example.com/shop.tar.gz")),
                "sha256": _optional(_sha256),
            },
            example="{url: …, sha256: …}",
        ),
        "image": _image,
        "requirements": _optional(_relative("the source", "requirements/prod.txt")),
        "extras": _each(_pattern(EXTRA, "an extra's name", "give one such as postgres"), "[postgres]"),
        "groups": _each(_pattern(EXTRA, "a dependency group's name", "give one such as prod"), "[prod]"),
    },
    example="{path: ../shop}",
)
_shared = _each(
    _keys(
        {"path": _relative("the source", "uploads"), "data": _relative("the data folder", "uploads")},
        ("path",),
        "{path: uploads, data: uploads}",
    ),
    "[{path: uploads, data: uploads}]",
)
_static = _each(
    _keys(
        {"url": _static_url, "path": _static_path, "cache": _cache},
        ("url", "path"),
        "{url: /static/, path: static}",
    ),
    "[{url: /static/, path: static}]",
)
_tls = _keys(
    {
        "mode": _one_of("self_signed", "files", "acme"),
        "files": _keys(
            {
                "certificate": _optional(_line("a path", "certificates/shop.pem")),
                "key": _optional(_line("a path", "certificates/shop.key")),
            },
            example="{certificate: …, key: …}",
        ),
        "acme": _keys(
            {
                "email": _optional(_pattern(EMAIL, "an address of mail", "give one such as ops@example.com")),
                "directory": _pattern(
                    DIRECTORY, "the URL of a directory", "give one such as https://acme.example.com/directory"
                ),
                "dns": _optional(
                    _pattern(
                        DNS_PROVIDER, "a DNS provider of lego", "give its code, such as cloudflare or exec"
                    )
                ),
                "dns_env": _variables,
                "dns_check": _a_bool,
            },
            example="{email: …}",
        ),
    },
    example="{mode: self_signed}",
)
_rate_limit = _keys(
    {
        "requests": _optional(_number(1, 100_000, " of requests a second")),
        "burst": _number(0, 100_000, " of requests"),
    },
    example="{requests: 20, burst: 40}",
)
_proxy = _keys(
    {
        "body_limit": _body_limit,
        "read_timeout": _seconds,
        "stream_paths": _each(_url_path, "[/events]"),
        "trusted_proxies": _each(_network, '["10.0.0.0/8"]'),
        "headers": _headers,
        "browser_headers": _one_of("default", "strict", "none"),
        "compression": _one_of("gzip", "brotli", "none"),
        "rate_limit": _rate_limit,
        "connection_limit": _optional(_number(1, 65535, " of requests at a time")),
        "extra": _text_block,
        "http3": _a_bool,
    }
)
_sandbox = _keys(
    {
        "memory_deny_write_execute": _a_bool,
        "proc_subset": _one_of("pid", "all"),
        "network": _one_of("any", "local", "none"),
        "writable_paths": _each(_absolute, "[/var/spool/shop]"),
        "memory_max": _optional(_pattern(MEMORY, "an amount of memory", "give one such as 512M, 2G or 50%")),
        "allow_resources": _a_bool,
    }
)

CHECKS: dict[str, Check] = {
    "state": _one_of("present", "absent"),
    "purge": _a_bool,
    "app": _import_string,
    "factory": _a_bool,
    "source": _source_keys,
    "requirements": _requirements,
    "server_requirements": _optional(_each(_requirement, '["gunicorn<27"]', filled=True)),
    "shared": _shared,
    "packages": _each(
        _pattern(DEBIAN_PACKAGE, "the name of a Debian package", "give one such as libpq5"), "[libpq5]"
    ),
    "app_dir": _relative("the source", "src", empty=True),
    "python": _optional(_python),
    "server": _one_of(*SERVERS),
    "command": _optional(_command),
    "processes": _processes,
    "workers": _workers,
    # 0 means "never" to gunicorn, and "at once" to uvicorn's manager: neither is a time.
    "timeout": _seconds,
    "graceful_timeout": _seconds,
    "max_requests": _number(0, None, " of requests"),
    "max_requests_jitter": _number(0, None, " of requests"),
    "reload": _a_bool,
    "env": _variables,
    "secrets": _variables,
    "credentials": _credentials,
    "hooks": _hooks,
    "health": _health,
    "domains": _each(_domain, "[shop.example.com]"),
    "root_path": _root_path,
    "maintenance": _a_bool,
    "static": _static,
    "tls": _tls,
    "proxy": _proxy,
    "sandbox": _sandbox,
    "strategy": _one_of("overlap", "restart"),
    "warm_up": _number(0, 10000, " of requests"),
    "watch": _watch,
    "keep_warm": _a_bool,
    "keep_releases": _number(1),
}


# One app, and apps against each other


def _fragment(say: Say, given: Mapping[Any, Any], known: set[str], what: str) -> None:
    """Each key by itself, as far as it is given."""
    if what == "asgi_host_app_defaults" and "name" in given:
        say("name", "names one app, so it has no default; give it in asgi_host_apps")
        known = known | {"name"}
    _unknown(say, given, known)
    for key, check in CHECKS.items():
        if key in given:
            check(say, key, given[key])
    _request_outlives_its_worker(say, given)


def _request_outlives_its_worker(say: Say, given: Mapping[Any, Any]) -> None:
    """Where one place of the inventory says both how long a request may take and how long it has at a deploy.

    nginx waits ``proxy.read_timeout`` for the first word of an answer. A worker that is told to stop ends what is left
    after ``graceful_timeout``. So with r > g a request that was silent for g seconds, and would have answered within
    r, is a 503 at each deploy: one number allows what the other cuts. Whoever gives one of them has not said that, nor
    has who writes the default of ``proxy.read_timeout`` down, or less; nor is it said by a default of the fleet, which
    an app's own number may go beyond.

    No other two times clash, for each pair bounds different things or the second is derived (docs/timeouts.md).
    """
    graceful, read = _int(given.get("graceful_timeout")), _int(_at(given, "proxy.read_timeout"))
    if graceful is None or read is None or not 0 < graceful < read <= YEAR:
        return
    if read <= APP_DEFAULTS["proxy"]["read_timeout"]:
        return
    say(
        "graceful_timeout",
        f"{graceful} s clashes with proxy.read_timeout: {read} s; nginx may wait {read} s for an answer that a deploy "
        f"cuts after {graceful} s: set graceful_timeout to {read} or more, or proxy.read_timeout to {graceful} or less; "
        "paths that are silent for longer go into proxy.stream_paths",
    )


def _with_mode(given: Mapping[Any, Any]) -> Mapping[Any, Any]:
    tls = given.get("tls")
    return {**given, "tls": _tls_with_mode(tls)} if isinstance(tls, Mapping) else given


def _at(given: Mapping[Any, Any], key: str) -> Any:
    """The value under a dotted key; None where there is none."""
    value: Any = given
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _name(say: Say, app: Mapping[Any, Any]) -> None:
    fix = "give 1 to 31 lower-case letters, digits and -, a letter first, such as shop"
    if "name" not in app:
        say("name", f"is missing; {fix}")
    elif not _matches(NAME, app["name"]):
        say("name", f"{_show(app['name'])} is not a name; {fix}")


def _whole(say: Say, given: Mapping[Any, Any], app: Mapping[Any, Any]) -> None:
    """The rules between the keys of one app, defaults included."""
    image = _at(app, "source.image") is not None
    if app.get("app") is None and app.get("server") in ("gunicorn", "uvicorn") and not image:
        say("app", "is missing; give the app's import string such as shop.main:app")
    elif _bool(app.get("factory")) and "(" in _text(app.get("app")):
        say(
            "factory",
            f"true calls what {_show(app['app'])} has called already; give one: the call, or factory: true",
        )
    source = app.get("source")
    if isinstance(source, Mapping):
        kinds = [kind for kind in SOURCES if kind in source]
        if not kinds and all(key in APP_DEFAULTS["source"] for key in source):
            say(
                "source",
                "is missing; give exactly one of path, package, git, archive or image, such as {path: ../shop}",
            )
        elif len(kinds) > 1:
            say("source", f"has {' and '.join(kinds)}; give exactly one of them")
        archive = source.get("archive")
        if isinstance(archive, Mapping) and (archive.get("path") is None) == (archive.get("url") is None):
            say("source.archive", "needs exactly one of path and url; give one")
        elif isinstance(archive, Mapping) and archive.get("url") and not archive.get("sha256"):
            say(
                "source.archive.sha256",
                "is missing; a download is checked against its digest: give its 64 hex digits",
            )
    _process_rules(say, app)
    _image_rules(say, given, app)
    _reload_rules(say, given, app)
    env, secrets = app.get("env"), app.get("secrets")
    if isinstance(env, Mapping) and isinstance(secrets, Mapping):
        for name in env:
            if name in secrets:
                shown = name if _matches(VARIABLE, name) else _show(name)
                say(f"secrets.{shown}", "is in env as well; keep it in one of the two")
    _tls_rules(say, given.get("tls"), app.get("tls"))
    proxy = app.get("proxy")
    rate = proxy.get("rate_limit") if isinstance(proxy, Mapping) else None
    if isinstance(rate, Mapping) and rate.get("requests") is None and rate.get("burst") not in (0, "0"):
        say(
            "proxy.rate_limit.requests",
            "is missing; burst comes on top of so many requests a second: give it",
        )
    _acme_rules(say, app)
    _places(say, app)


def _process_rules(say: Say, app: Mapping[Any, Any]) -> None:
    if app.get("strategy") == "restart" and _bool(app.get("keep_warm")):
        say(
            "keep_warm",
            "true keeps two instances, and strategy: restart is for a host without memory for them; choose one",
        )
    if app.get("command") is not None and app.get("server") not in ("command", "image"):
        say("command", f"is for server: command or image, not {_show(app.get('server'))}; remove it")
    if app.get("server") == "command" and app.get("command") is None:
        say("command", "is missing; server: command needs the program and its arguments")
    if app.get("processes") and app.get("server") == "image":
        say("processes", "are not available with server: image in this release of asgi.host; remove them")
    seen: set[str] = set()
    for number, item in enumerate(_items(app.get("processes"))):
        name = _text(item.get("name")) if isinstance(item, Mapping) else ""
        if name in seen:
            say(f"processes[{number}].name", f"{_show(name)} is the name of two processes; rename one")
        seen |= {name} - {""}


# Keys that shape what the role builds and runs of itself, and what there is in their place in an image.
NOT_OF_AN_IMAGE = {
    "app": "the image's own CMD names the app; remove it, or give another program in command",
    "factory": "the image's own CMD names the app; remove it",
    "app_dir": "the image has a WORKDIR; remove it",
    "python": "the image brings its own; remove it, and choose the base image in the Dockerfile",
    "requirements": "the image brings its own; remove it, and install them in the Dockerfile",
    "server_requirements": "the image brings its own server; remove it, and install it in the Dockerfile",
    "packages": "the image brings its own; remove it, and install them in the Dockerfile",
    "shared": "an image is read-only; remove it, and write to {data}, which is $STATE_DIRECTORY",
    "timeout": "is an option of the server in the image; remove it, and set it in the image's CMD or in command",
    "max_requests": "is an option of the server in the image; remove it, and set it in the image's CMD or in command",
    "max_requests_jitter": "is an option of the server in the image; remove it, and set it there",
    "hooks.build": "an image is built by its Dockerfile alone; remove it, and add a RUN there",
    "source.requirements": "the image brings its own; remove it, and install them in the Dockerfile",
    "source.extras": "the image brings its own; remove it, and install them in the Dockerfile",
    "source.groups": "the image brings its own; remove it, and install them in the Dockerfile",
}


def _image_rules(say: Say, given: Mapping[Any, Any], app: Mapping[Any, Any]) -> None:
    """The rules of an app in an image. A default of all apps that has no sense for it is no mistake."""
    image = _at(app, "source.image")
    if app.get("server") == "image" and image is None:
        say(
            "server",
            "'image' needs source.image, and there is none; give {path: …}, {archive: …} or {name: …}",
        )
    elif image is not None and app.get("server") != "image" and app.get("server") in SERVERS:
        say(
            "server",
            f"{_show(app['server'])} does not go with source.image, which brings its own; remove server, or give "
            "another source",
        )
    elif isinstance(image, Mapping):
        _image_source_rules(say, image)
        for key, words in NOT_OF_AN_IMAGE.items():
            if _at(given, key) not in (None, "", False, [], ()):
                say(key, words)
        if isinstance(app.get("command"), str):
            say("command", "is a string; with an image give a list, the program and its arguments")
        _image_places(say, app)


def _image_source_rules(say: Say, image: Mapping[Any, Any]) -> None:
    kinds = [kind for kind in ("path", "archive", "name") if image.get(kind) is not None]
    if len(kinds) != 1:
        has = f"has {' and '.join(kinds)}" if kinds else "has none of path, archive and name"
        say("source.image", f"{has}; give exactly one of them, such as {{path: ../shop}}")
        return
    of = {"dockerfile": "path", "target": "path", "build_args": "path", "sha256": "archive", "auth": "name"}
    for key, kind in of.items():
        if image.get(key) is not None and kind != kinds[0]:
            say(f"source.image.{key}", f"goes with source.image.{kind}, not with {kinds[0]}; remove it")


def _image_places(say: Say, app: Mapping[Any, Any]) -> None:
    """No path of the host that the container does not have."""
    fix = "is a folder of the host, which the container does not see; give a path of the image, or {data}"
    for key in ("env", "secrets"):
        values = app.get(key)
        for name, value in values.items() if isinstance(values, Mapping) else ():
            if found := OUTSIDE.search(_text(value)):
                say(f"{key}.{name}", f"{found.group()} {fix}")
    words: list[tuple[str, Any]] = [("command", app.get("command"))]
    hooks = app.get("hooks")
    for stage in ("migrate", "after"):
        for number, item in enumerate(_items(hooks.get(stage)) if isinstance(hooks, Mapping) else []):
            key = f"hooks.{stage}[{number}]"
            words.append((key, item.get("command") if isinstance(item, Mapping) else item))
            creates = _text(item.get("creates")) if isinstance(item, Mapping) else ""
            if creates and not creates.startswith("{data}/"):
                say(
                    f"{key}.creates",
                    f"{_show(creates)} is not in the data folder; give one such as {{data}}/.loaded",
                )
    for key, value in words:
        text = value if isinstance(value, str) else " ".join(map(_text, _items(value)))
        if found := OUTSIDE.search(text):
            say(key, f"{found.group()} {fix}")
    for number, item in enumerate(_items(app.get("static"))):
        path = _text(item.get("path")) if isinstance(item, Mapping) else ""
        if path.startswith(("/", "{venv}", "{release}")):
            say(
                f"static[{number}].path",
                f"{_show(path)} is a path of the host; give one below the image's WORKDIR such as static, which is "
                "copied out of the image, or {data}/media",
            )


def _reload_rules(say: Say, given: Mapping[Any, Any], app: Mapping[Any, Any]) -> None:
    """What the development mode goes with: a folder that changes, and one process of uvicorn."""
    own = app.get("source")
    source: Mapping[Any, Any] = own if isinstance(own, Mapping) else {}
    if not _bool(app.get("reload")):
        if "mount" in source:
            say(
                "source.mount",
                "is a folder that changes under the running app, which is the development mode; set reload: true, or "
                "give path in its place",
            )
        return
    # A number of workers for the whole fleet is no mistake of this app.
    workers, server = given.get("workers"), app.get("server")
    if workers == "cores" or (_int(workers) or 1) > 1:
        say(
            "reload",
            f"true runs one process, and workers is {_show(workers)}; remove workers or set it to 1, or set "
            "reload: false",
        )
    if server in SERVERS and server not in ("gunicorn", "uvicorn"):
        say(
            "reload",
            f"true is uvicorn with reload, and server is {_show(server)}; remove server, or set reload: false",
        )
    for kind in SOURCES:
        if kind in source and kind not in ("path", "mount"):
            say(
                f"source.{kind}",
                "does not change while it runs, and reload: true waits for changes; give path (a folder on the "
                "controller) or mount (a folder on the host), or set reload: false",
            )
    hooks = app.get("hooks")
    if "mount" in source:
        fix = "source.mount is not the role's to write to"
        if isinstance(hooks, Mapping) and hooks.get("build"):
            say("hooks.build", f"{fix}; run these commands there yourself, and give build: []")
        if app.get("shared"):
            say("shared", f"{fix}; let the app write to {{data}}, and remove it")


def _tls_rules(say: Say, given: Any, tls: Any) -> None:
    if not isinstance(tls, Mapping):
        return
    mode = tls.get("mode")
    if isinstance(given, Mapping):
        for other in ("files", "acme"):
            if other in given and "mode" in given and given["mode"] != other and given[other] is not None:
                say(
                    f"tls.{other}",
                    f"is given, but tls.mode is {_show(mode)}; set tls.mode: {other} or remove it",
                )
    files = tls.get("files")
    if mode == "files" and isinstance(files, Mapping):
        for key in ("certificate", "key"):
            if files.get(key) is None:
                say(f"tls.files.{key}", "is missing; tls.mode: files needs the paths of certificate and key")


def _acme_rules(say: Say, app: Mapping[Any, Any]) -> None:
    tls = app.get("tls")
    acme = tls.get("acme") if isinstance(tls, Mapping) and tls.get("mode") == "acme" else None
    if not isinstance(acme, Mapping):
        return
    if acme.get("email") is None:
        say("tls.acme.email", "is missing; tls.mode: acme needs an address for the authority's notices")
    if acme.get("dns") is not None:
        return
    stars = [domain for domain in map(_text, _items(app.get("domains"))) if domain.startswith("*.")]
    if stars:
        say(
            "tls.acme.dns",
            f"is missing; authorities prove {_show(stars[0])} by DNS alone: give the DNS provider (see "
            "docs/certificates.md), or name each host in domains",
        )
    if acme.get("dns_env"):
        say("tls.acme.dns_env", "is given without tls.acme.dns; give the DNS provider, or remove it")


def _places(say: Say, app: Mapping[Any, Any]) -> None:
    """No two static URLs, and no two shared paths, of one app are the same or lie in each other."""
    for key, field in (("static", "url"), ("shared", "path")):
        seen: list[str] = []
        for number, item in enumerate(_items(app.get(key))):
            value = _text(item.get(field)).strip("/") if isinstance(item, Mapping) else ""
            if not value:
                continue
            if value in seen:
                say(f"{key}[{number}].{field}", f"{_show(item[field])} is there twice; remove one")
            elif key == "shared" and any(f"{value}/".startswith(f"{each}/") for each in seen):
                say(f"{key}[{number}].{field}", f"{_show(value)} lies in a shared path; remove it")
            elif key == "shared" and any(f"{each}/".startswith(f"{value}/") for each in seen):
                say(f"{key}[{number}].{field}", f"{_show(value)} holds another shared path; keep one of them")
            seen.append(value)


def _same_names(apps: Sequence[tuple[Say, Mapping[Any, Any]]]) -> None:
    seen: set[str] = set()
    for say, app in apps:
        name = app.get("name")
        if not isinstance(name, str):
            continue
        if name in seen:
            say("name", f"{_show(name)} is the name of two apps; rename one")
        seen.add(name)


def _same_sites(apps: Sequence[tuple[Say, Mapping[Any, Any]]]) -> None:
    """Two apps may share a domain on different mount points; then they also share its certificate."""
    mounts: dict[tuple[str, str], str] = {}
    urls: dict[tuple[str, str], str] = {}
    certificates: dict[str, tuple[str, Any]] = {}
    for say, app in apps:
        name, root = _show(app.get("name")), _text(app.get("root_path"))
        for number, domain in enumerate(dict.fromkeys(filter(_text, map(_text, _items(app.get("domains")))))):
            key = f"domains[{number}]"
            if (domain, root) in mounts:
                say(
                    key,
                    f"{_show(domain)} is a domain of {mounts[domain, root]} as well; "
                    "give each its own domain, or a different root_path",
                )
            elif domain in certificates and not _same(certificates[domain][1], app.get("tls")):
                say(
                    "tls",
                    f"differs from that of {certificates[domain][0]}, which shares {_show(domain)}; give one",
                )
            mounts.setdefault((domain, root), name)
            certificates.setdefault(domain, (name, app.get("tls")))
            for index, item in enumerate(_items(app.get("static"))):
                url = _text(item.get("url")) if isinstance(item, Mapping) else ""
                # nginx serves it below the app's own mount point.
                place = (domain, root + url)
                if url and urls.get(place, name) != name:
                    say(
                        f"static[{index}].url",
                        f"{_show(url)} on {_show(domain)} is a static path of {urls[place]} as well; give another",
                    )
                urls.setdefault(place, name)


def _one_word(apps: Sequence[tuple[Say, Mapping[Any, Any]]]) -> None:
    """With the PROXY protocol it alone says who the client is: nginx takes one source for a site."""
    for say, app in apps:
        given = app.get("proxy")
        if not isinstance(given, Mapping):
            continue
        if given.get("trusted_proxies"):
            say(
                "proxy.trusted_proxies",
                "the load balancers of asgi_host_proxy_protocol say who the client is; keep one of the two",
            )
        if _bool(given.get("http3")):
            say("proxy.http3", "knows no PROXY protocol, which asgi_host_proxy_protocol asks for; keep one")


def _same(one: object, other: object) -> bool:
    try:
        return one == other
    except RecursionError:
        return False


# The complete form


def _complete(app: dict[str, Any], given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    name = str(app["name"])
    if app["state"] == "absent":
        return {"name": name, "state": "absent", "purge": _bool(app["purge"]), "user": user_name(name)}
    if app["server"] == "image":
        app = _without_what_an_image_has(app)
    tls, proxy, sandbox = app["tls"], app["proxy"], app["sandbox"]
    numbers = (
        "timeout",
        "graceful_timeout",
        "max_requests",
        "max_requests_jitter",
        "keep_releases",
        "warm_up",
    )
    full = {
        **app,
        "name": name,
        "user": user_name(name),
        **{key: _int(app[key]) for key in numbers},
        **{key: _bool(app[key]) for key in ("purge", "factory", "reload", "keep_warm", "maintenance")},
        **{key: [str(item) for item in app[key]] for key in ("requirements", "packages", "domains")},
        "source": _source(app["source"]),
        "shared": [{"path": item["path"], "data": item.get("data", item["path"])} for item in app["shared"]],
        "python": None if app["python"] is None else str(app["python"]),
        "command": None if app["command"] is None else _argv(app["command"]),
        "processes": [_background(item, _int(app["graceful_timeout"])) for item in app["processes"]],
        "workers": app["workers"] if app["workers"] in ("auto", "cores") else _int(app["workers"]),
        "env": {key: _scalar(value) for key, value in app["env"].items()},
        "secrets": {key: _scalar(value) for key, value in app["secrets"].items()},
        "credentials": {
            key: dict(value) if isinstance(value, Mapping) else _scalar(value)
            for key, value in app["credentials"].items()
        },
        "hooks": {
            **{stage: [_step(item) for item in app["hooks"][stage]] for stage in STAGES},
            "after_failure": app["hooks"]["after_failure"],
        },
        "watch": _watched(app["watch"]),
        "health": _checks(app["health"], given.get("health"), defaults.get("health")),
        "static": [{**item, "cache": _cached(item.get("cache", 0))} for item in app["static"]],
        "tls": {
            "mode": tls["mode"],
            **{
                mode: dict(tls[mode] if tls["mode"] == mode else APP_DEFAULTS["tls"][mode])
                for mode in ("files", "acme")
            },
        },
        "proxy": {
            **proxy,
            "body_limit": str(proxy["body_limit"]),
            "read_timeout": _int(proxy["read_timeout"]),
            "stream_paths": list(proxy["stream_paths"]),
            "trusted_proxies": list(proxy["trusted_proxies"]),
            "headers": {key: _scalar(value) for key, value in proxy["headers"].items()},
            "rate_limit": {key: _int(value) for key, value in proxy["rate_limit"].items()},
            "connection_limit": _int(proxy["connection_limit"]),
            "http3": _bool(proxy["http3"]),
        },
        "sandbox": {
            **sandbox,
            "memory_deny_write_execute": _bool(sandbox["memory_deny_write_execute"]),
            "allow_resources": _bool(sandbox["allow_resources"]),
            "writable_paths": list(sandbox["writable_paths"]),
        },
    }
    acme = full["tls"]["acme"]
    acme["dns_env"] = {key: _scalar(value) for key, value in acme["dns_env"].items()}
    acme["dns_check"] = _bool(acme["dns_check"])
    if full["server_requirements"] is not None:
        full["server_requirements"] = [str(item) for item in full["server_requirements"]]
    return full


def _without_what_an_image_has(app: dict[str, Any]) -> dict[str, Any]:
    """Defaults of all apps that shape what the role builds of itself do not reach an image."""
    app = {**app, "hooks": {**app["hooks"], "build": []}}
    return app | {key: APP_DEFAULTS[key] for key in NOT_OF_AN_IMAGE if "." not in key}


def _source(source: Mapping[str, Any]) -> dict[str, Any]:
    full = {**source, "extras": list(source["extras"]), "groups": list(source["groups"])}
    if "image" in full:
        image = {key: full["image"].get(key) for key in IMAGE_CHECKS}
        args = image["build_args"] or {}
        return {"image": {**image, "build_args": {key: _scalar(value) for key, value in args.items()}}}
    if "package" in full and not _is_list(full["package"]):
        full["package"] = [full["package"]]
    return full


def _cached(value: Any) -> int | str | None:
    return "immutable" if value == "immutable" else _int(value)


def _argv(command: Any) -> str | list[str]:
    return [str(word) for word in command] if _is_list(command) else str(command)


def _step(item: Any) -> dict[str, Any]:
    if not isinstance(item, Mapping):
        item = {"command": item}
    return {
        "command": _argv(item["command"]),
        "creates": item.get("creates"),
        "every_host": _bool(item.get("every_host")),
    }


def _background(item: Mapping[str, Any], graceful_timeout: int | None) -> dict[str, Any]:
    return {
        "name": item["name"],
        "command": _argv(item["command"]),
        "stop_timeout": _int(item.get("stop_timeout")) or graceful_timeout,
        "instances": _int(item.get("instances", 1)),
    }


def _watched(value: Any) -> dict[str, int | None]:
    whole = value if isinstance(value, Mapping) else {"seconds": value}
    return {key: _int({**APP_DEFAULTS["watch"], **whole}[key]) for key in ("seconds", "errors")}


def _checks(merged: Any, given: Any, defaults: Any) -> list[dict[str, Any]]:
    """A list of checks; what an item leaves out comes from the defaults, where they are one check."""
    base = (
        _merge(APP_DEFAULTS["health"], defaults) if isinstance(defaults, Mapping) else APP_DEFAULTS["health"]
    )
    if isinstance(given, Mapping):
        return [_check({**base, **given})]
    return [_check({**base, **item}) for item in (merged if _is_list(merged) else [merged])]


def _check(item: Mapping[str, Any]) -> dict[str, Any]:
    statuses = item["status"] if _is_list(item["status"]) else [item["status"]]
    return {
        "path": str(item["path"]),
        "status": [_int(status) for status in statuses],
        "timeout": _int(item["timeout"]),
        "text": item["text"],
    }
