# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rules between the keys of one app."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .build_keys import build_rules
from .checks import Say
from .defaults import APP_DEFAULTS, SERVERS, SOURCES, YEAR
from .error_pages import page_rules
from .files import file_rules
from .frontend import frontend_rules
from .identity import identity_rules
from .images import image_rules
from .program_values import VARIABLE
from .reading import as_bool, as_int, as_list, as_text, at, matches, show
from .server_variables import server_variables
from .static import static_rules


def request_outlives_its_worker(say: Say, given: Mapping[Any, Any]) -> None:
    """Where one place of the inventory says both how long a request may take and how long it has at a deploy.

    nginx waits ``proxy.read_timeout`` for the first word of an answer. A worker that is told to stop ends what is left
    after ``graceful_timeout``. So with r > g a request that was silent for g seconds, and would have answered within
    r, is a 503 at each deploy: one number allows what the other cuts. Whoever gives one of them has not said that, nor
    has who writes the default of ``proxy.read_timeout`` down, or less; nor is it said by a default of the fleet, which
    an app's own number may go beyond.

    No other two times clash, for each pair bounds different things or the second is derived (docs/timeouts.md).
    """
    graceful, read = as_int(given.get("graceful_timeout")), as_int(at(given, "proxy.read_timeout"))
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


def whole(say: Say, given: Mapping[Any, Any], app: Mapping[Any, Any]) -> None:
    """The rules between the keys of one app, defaults included."""
    image = at(app, "source.image") is not None
    if app.get("app") is None and app.get("server") in ("gunicorn", "uvicorn") and not image:
        say("app", "is missing; give the app's import string such as shop.main:app")
    elif as_bool(app.get("factory")) and "(" in as_text(app.get("app")):
        say(
            "factory",
            f"true calls what {show(app['app'])} has called already; give one: the call, or factory: true",
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
        _pattern_rules(say, given, source)
    build_rules(say, app)
    _process_rules(say, app)
    server_variables(say, app)
    image_rules(say, given, app)
    _reload_rules(say, given, app)
    env, secrets = app.get("env"), app.get("secrets")
    if isinstance(env, Mapping) and isinstance(secrets, Mapping):
        for name in env:
            if name in secrets:
                shown = name if matches(VARIABLE, name) else show(name)
                say(f"secrets.{shown}", "is in env as well; keep it in one of the two")
    _tls_rules(say, given.get("tls"), app.get("tls"))
    identity_rules(say, app)
    _plain_rules(say, app)
    proxy = app.get("proxy")
    rate = proxy.get("rate_limit") if isinstance(proxy, Mapping) else None
    if isinstance(rate, Mapping) and rate.get("requests") is None and rate.get("burst") not in (0, "0"):
        say(
            "proxy.rate_limit.requests",
            "is missing; burst comes on top of so many requests a second: give it",
        )
    _acme_rules(say, app)
    _places(say, app)
    file_rules(say, app)
    static_rules(say, app)
    frontend_rules(say, app)
    page_rules(say, app)


def _pattern_rules(say: Say, given: Mapping[Any, Any], source: Mapping[Any, Any]) -> None:
    """Where there are files to choose from. A default of all apps that has no sense for one is no mistake."""
    projects = ("path", "git", "archive", "mount", "image")
    asked = {
        "include": (as_list(at(given, "source.include")), ("path",)),
        "exclude": (as_list(at(given, "source.exclude")), ("path", "git")),
        # What an image makes of them is said with the other keys of images.
        "member": (at(given, "source.member"), projects),
        "install": (
            at(given, "source.install") is not None and not as_bool(at(given, "source.install")),
            projects,
        ),
    }
    for key, (said, kinds) in asked.items():
        if said and not any(kind in source for kind in kinds):
            say(
                f"source.{key}",
                f"is for source.{' and source.'.join(kind for kind in kinds if kind != 'image')}; remove it, or give another "
                "source",
            )


def _process_rules(say: Say, app: Mapping[Any, Any]) -> None:
    if app.get("strategy") == "restart" and as_bool(app.get("keep_warm")):
        say(
            "keep_warm",
            "true keeps two instances, and strategy: restart is for a host without memory for them; choose one",
        )
    if app.get("command") is not None and app.get("server") not in ("command", "image"):
        say("command", f"is for server: command or image, not {show(app.get('server'))}; remove it")
    if app.get("server") == "command" and app.get("command") is None:
        say("command", "is missing; server: command needs the program and its arguments")
    _worker_rules(say, app)
    if app.get("processes") and app.get("server") == "image":
        say("processes", "are not available with server: image in this release of asgi.host; remove them")
    seen: set[str] = set()
    for number, item in enumerate(as_list(app.get("processes"))):
        name = as_text(item.get("name")) if isinstance(item, Mapping) else ""
        if name in seen:
            say(f"processes[{number}].name", f"{show(name)} is the name of two processes; rename one")
        seen |= {name} - {""}


def _worker_rules(say: Say, app: Mapping[Any, Any]) -> None:
    """What the workers of gunicorn and uvicorn are told, and a program of one's own is not."""
    if as_bool(app.get("prometheus")):
        for key in ("env", "secrets"):
            given = app.get(key)
            if isinstance(given, Mapping) and "PROMETHEUS_MULTIPROC_DIR" in given:
                say(f"{key}.PROMETHEUS_MULTIPROC_DIR", "is set by prometheus: true; remove one of the two")
    if app.get("server") == "command":
        if app.get("ws_max_size") is not None:
            say(
                "ws_max_size",
                "is an option of your own server; remove it, and give it in command (--ws-max-size of uvicorn)",
            )
        if as_bool(app.get("prometheus")):
            say(
                "prometheus",
                "true looks after the workers of gunicorn and uvicorn; with server: command set "
                "PROMETHEUS_MULTIPROC_DIR in command, to a folder that it empties",
            )


def _reload_rules(say: Say, given: Mapping[Any, Any], app: Mapping[Any, Any]) -> None:
    """What the development mode goes with: a folder that changes, and one process of uvicorn."""
    own = app.get("source")
    source: Mapping[Any, Any] = own if isinstance(own, Mapping) else {}
    if not as_bool(app.get("reload")):
        if "mount" in source:
            say(
                "source.mount",
                "is a folder that changes under the running app, which is the development mode; set reload: true, or "
                "give path in its place",
            )
        return
    # A number of workers for the whole fleet is no mistake of this app.
    workers, server = given.get("workers"), app.get("server")
    if workers == "cores" or (as_int(workers) or 1) > 1:
        say(
            "reload",
            f"true runs one process, and workers is {show(workers)}; remove workers or set it to 1, or set "
            "reload: false",
        )
    if server in SERVERS and server not in ("gunicorn", "uvicorn"):
        say(
            "reload",
            f"true is uvicorn with reload, and server is {show(server)}; remove server, or set reload: false",
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
    _client_rules(say, given, tls)
    if isinstance(given, Mapping):
        for other in ("files", "acme"):
            if other in given and "mode" in given and given["mode"] != other and given[other] is not None:
                say(
                    f"tls.{other}",
                    f"is given, but tls.mode is {show(mode)}; set tls.mode: {other} or remove it",
                )
    files = tls.get("files")
    if mode == "files" and isinstance(files, Mapping):
        for key in ("certificate", "key"):
            if files.get(key) is None:
                say(f"tls.files.{key}", "is missing; tls.mode: files needs the paths of certificate and key")


def _client_rules(say: Say, given: Any, tls: Mapping[Any, Any]) -> None:
    """Certificates of clients are checked against an authority, in a handshake."""
    if isinstance(given, Mapping) and "client_certificate" in given and tls.get("client_ca") is None:
        say(
            "tls.client_ca",
            "is missing; client_certificate is checked against an authority: give the path of its certificate",
        )
    elif tls.get("mode") == "none" and tls.get("client_ca") is not None:
        say("tls.client_ca", "needs a handshake, and tls.mode: none has none; remove one of the two")


def _plain_rules(say: Say, app: Mapping[Any, Any]) -> None:
    """Without TLS of our own something that is named ends it in front, or passwords cross the net for all to read."""
    tls, proxy = app.get("tls"), app.get("proxy")
    if not isinstance(tls, Mapping) or tls.get("mode") != "none" or not isinstance(proxy, Mapping):
        return
    if not as_list(proxy.get("trusted_proxies")) and app.get("domains"):
        say(
            "proxy.trusted_proxies",
            "is empty, and tls.mode: none is for what ends TLS in front of the host; give the addresses of the load "
            "balancer or the tunnel, such as [10.0.0.0/24] or [127.0.0.1], or another tls.mode",
        )
    if as_bool(proxy.get("http3")):
        say("proxy.http3", "needs TLS, and tls.mode is none; keep one of the two")


def _acme_rules(say: Say, app: Mapping[Any, Any]) -> None:
    tls = app.get("tls")
    acme = tls.get("acme") if isinstance(tls, Mapping) and tls.get("mode") == "acme" else None
    if not isinstance(acme, Mapping):
        return
    if acme.get("email") is None:
        say("tls.acme.email", "is missing; tls.mode: acme needs an address for the authority's notices")
    if acme.get("dns") is not None:
        return
    leading = app.get("redirects")
    names = [*as_list(app.get("domains")), *(leading if isinstance(leading, Mapping) else ())]
    stars = [domain for domain in map(as_text, names) if domain.startswith("*.")]
    if stars:
        say(
            "tls.acme.dns",
            f"is missing; authorities prove {show(stars[0])} by DNS alone: give the DNS provider (see "
            "docs/certificates.md), or name each host in domains",
        )
    if acme.get("dns_env"):
        say("tls.acme.dns_env", "is given without tls.acme.dns; give the DNS provider, or remove it")


def _places(say: Say, app: Mapping[Any, Any]) -> None:
    """No two static URLs, and no two shared paths, of one app are the same or lie in each other."""
    for key, field in (("static", "url"), ("shared", "path")):
        seen: list[str] = []
        for number, item in enumerate(as_list(app.get(key))):
            value = as_text(item.get(field)).strip("/") if isinstance(item, Mapping) else ""
            if not value:
                continue
            if value in seen:
                say(f"{key}[{number}].{field}", f"{show(item[field])} is there twice; remove one")
            elif key == "shared" and any(f"{value}/".startswith(f"{each}/") for each in seen):
                say(f"{key}[{number}].{field}", f"{show(value)} lies in a shared path; remove it")
            elif key == "shared" and any(f"{each}/".startswith(f"{value}/") for each in seen):
                say(f"{key}[{number}].{field}", f"{show(value)} holds another shared path; keep one of them")
            seen.append(value)
