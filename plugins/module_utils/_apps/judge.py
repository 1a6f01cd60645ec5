# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Every problem of the list: each app by itself, and the apps against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import frontend, rules, site_keys
from .checks import Say, a_bool, each, unknown
from .defaults import APP_DEFAULTS, merge, with_server
from .marks import marked, without_marked
from .nearest import nearest
from .program_values import NAME
from .reading import as_bool, as_list, as_text, at, is_list, matches, show
from .table import CHECKS
from .web_values import network

ENVIRONMENTS = ("production", "development", "")


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
    each(network, '["10.0.0.0/24"]')(
        lambda key, words: found.append(f"{key}: {words}"), "asgi_host_proxy_protocol", proxy_protocol
    )
    _environment(lambda key, words: found.append(f"{key}: {words}"), "asgi_host_environment", environment)
    base: Mapping[Any, Any] = {}
    if isinstance(defaults, Mapping):
        base = defaults
        _fragment(_teller(found, "asgi_host_app_defaults"), base, set(APP_DEFAULTS), "asgi_host_app_defaults")
        found[:] = without_marked(found, "asgi_host_app_defaults", list(marked(base)))
    elif defaults is not None:
        found.append(
            f"asgi_host_app_defaults: {show(defaults)} is not a mapping; give keys of an app, or {{}}"
        )
    if not is_list(apps):
        found.append(
            f"asgi_host_apps: {show(apps)} is not a list; give a list of apps with name, app and source"
        )
        return found
    checked: list[tuple[Say, Mapping[Any, Any]]] = []
    for number, app in enumerate(as_list(apps)):
        where = f"asgi_host_apps[{number}]"
        if not isinstance(app, Mapping):
            found.append(f"{where}: {show(app)} is not a mapping; give an app with name, app and source")
            continue
        name = app.get("name")
        where = f"{where} ({name})" if matches(NAME, name) else where
        say = _teller(found, where)
        before = len(found)
        _name(say, app)
        merged = with_server(merge(merge(APP_DEFAULTS, base), app), app)
        if as_text(merged.get("state")) == "absent":
            unknown(say, app, {"name", *APP_DEFAULTS})
            if "purge" in app:
                a_bool(say, "purge", app["purge"])
        else:
            _fragment(say, app, {"name", *APP_DEFAULTS}, "an app")
            rules.whole(say, app, merged)
            if environment == "production" and as_bool(merged.get("reload")):
                say(
                    "reload",
                    "true is the development mode, and asgi_host_environment says that this host is for production; "
                    "set reload: false, or leave the app to an inventory that is not for production",
                )
            found[before:] = without_marked(found[before:], where, list(marked(app)))
        checked.append((say, merged))
    _same_names(checked)
    if proxy:
        wanted = [(say, app) for say, app in checked if as_text(app.get("state")) != "absent"]
        _same_sites(wanted)
        site_keys.redirect_problems(wanted)
        site_keys.server_key_problems(wanted)
        if proxy_protocol:
            _one_word(wanted)
    return found


def _teller(found: list[str], where: str) -> Say:
    def say(key: str, words: str) -> None:
        found.append(f"{where}: {key}: {words}")

    return say


def _environment(say: Say, key: str, value: Any) -> None:
    if not isinstance(value, str) or value not in ENVIRONMENTS:
        close = nearest(as_text(value), ENVIRONMENTS[:2])
        hint = f"did you mean {close}? " if close else ""
        say(key, f"{show(value)} is not known; {hint}give production or development, or leave it empty")


def _name(say: Say, app: Mapping[Any, Any]) -> None:
    fix = "give 1 to 31 lower-case letters, digits and -, a letter first, such as shop"
    if "name" not in app:
        say("name", f"is missing; {fix}")
    elif not matches(NAME, app["name"]):
        say("name", f"{show(app['name'])} is not a name; {fix}")


def _fragment(say: Say, given: Mapping[Any, Any], known: set[str], what: str) -> None:
    """Each key by itself, as far as it is given."""
    if what == "asgi_host_app_defaults" and "name" in given:
        say("name", "names one app, so it has no default; give it in asgi_host_apps")
        known = known | {"name"}
    unknown(say, given, known)
    for key, check in CHECKS.items():
        if key in given:
            check(say, key, given[key])
    rules.request_outlives_its_worker(say, given)


def _same_names(apps: Sequence[tuple[Say, Mapping[Any, Any]]]) -> None:
    seen: set[str] = set()
    for say, app in apps:
        name = app.get("name")
        if not isinstance(name, str):
            continue
        if name in seen:
            say("name", f"{show(name)} is the name of two apps; rename one")
        seen.add(name)


def _same_sites(apps: Sequence[tuple[Say, Mapping[Any, Any]]]) -> None:
    """Two apps may share a domain on different mount points; then they also share its certificate."""
    mounts: dict[tuple[str, str], str] = {}
    urls: dict[tuple[str, str], str] = {}
    certificates: dict[str, tuple[str, Any]] = {}
    for say, app in apps:
        name, root = show(app.get("name")), as_text(app.get("root_path"))
        for number, domain in enumerate(
            dict.fromkeys(filter(as_text, map(as_text, as_list(app.get("domains")))))
        ):
            key = f"domains[{number}]"
            if (domain, root) in mounts:
                say(
                    key,
                    f"{show(domain)} is a domain of {mounts[domain, root]} as well; "
                    "give each its own domain, or a different root_path",
                )
            elif domain in certificates and not _same(certificates[domain][1], app.get("tls")):
                say(
                    "tls",
                    f"differs from that of {certificates[domain][0]}, which shares {show(domain)}; give one",
                )
            mounts.setdefault((domain, root), name)
            certificates.setdefault(domain, (name, app.get("tls")))
            for index, item in enumerate(as_list(app.get("static"))):
                url = as_text(item.get("url")) if isinstance(item, Mapping) else ""
                place = (domain, frontend.place(root, url, _list_of_proxy(app, "paths")))
                if url and urls.get(place, name) != name:
                    say(
                        f"static[{index}].url",
                        f"{show(url)} on {show(domain)} is a static path of {urls[place]} as well; give another",
                    )
                urls.setdefault(place, name)
    _same_locations(apps)
    _same_names_of_sites(apps)


def _locations(app: Mapping[Any, Any]) -> list[tuple[str, str]]:
    """Each key of an app that opens a location, with its path; its own mount point last."""
    root = as_text(app.get("root_path"))
    streams = _list_of_proxy(app, "stream_paths")
    paths = [path for path in _list_of_proxy(app, "paths") if path.strip("/")]
    static = [item.get("url") if isinstance(item, Mapping) else None for item in as_list(app.get("static"))]
    found = [
        (f"static[{number}].url", frontend.place(root, url, paths))
        for number, url in enumerate(map(as_text, static))
        # One that would hide the app is said of by itself.
        if url and (url != frontend.TOP or paths or root)
    ]
    # A stream path that is the whole app is no location of its own.
    found += [
        (f"proxy.stream_paths[{number}]", root + path)
        for number, path in enumerate(streams)
        if path.strip("/")
    ]
    leading = app.get("redirects")
    found += [
        (f"redirects.{path}", f"= {root}{path}")
        for path in (site_keys.paths(leading) if isinstance(leading, Mapping) else ())
    ]
    own = frontend.app_locations(root, paths, streams)
    found += [("proxy.paths" if paths else "root_path", each) for each in own]
    if paths and f"{root}/" not in {path for _key, path in found}:
        found.append(("root_path", f"{root}/"))
    return found


def _list_of_proxy(app: Mapping[Any, Any], key: str) -> list[str]:
    """A list of texts among the settings of an app's site; what is none is judged elsewhere."""
    return [as_text(each) for each in as_list(at(app, f"proxy.{key}"))]


def _same_locations(apps: Sequence[tuple[Say, Mapping[Any, Any]]]) -> None:
    """No two locations of a site are the same: nginx would refuse its whole configuration, every site in it."""
    seen: dict[tuple[str, str], tuple[str, str]] = {}
    for say, app in apps:
        name = show(app.get("name"))
        domains = list(dict.fromkeys(filter(as_text, map(as_text, as_list(app.get("domains"))))))
        told = set()
        for domain in domains:
            for key, path in _locations(app):
                other, of = seen.setdefault((domain, path), (key, name))
                # Said already: the same key twice, in one app or in two.
                if (
                    (other, of) == (key, name)
                    or other.partition("[")[0] == key.partition("[")[0]
                    or key in told
                ):
                    continue
                told.add(key)
                by = "" if of == name else f" of {of}"
                say(key, f"{show(path)} on {show(domain)} is {other}{by} as well; give each its own path")


def _same_names_of_sites(apps: Sequence[tuple[Say, Mapping[Any, Any]]]) -> None:
    """Apps that share a domain share all of them: nginx takes a name for one site, and passes over the other's."""
    seen: dict[str, tuple[str, set[str]]] = {}
    for say, app in apps:
        domains = set(filter(as_text, map(as_text, as_list(app.get("domains")))))
        for domain in sorted(domains):
            name, own = seen.setdefault(domain, (show(app.get("name")), domains))
            if own != domains:
                say(
                    "domains",
                    f"shares {show(domain)} with {name}, and differs in {show(min(own ^ domains))}; apps of one site "
                    "have the same domains: give both the same list, or each its own",
                )
                break


def _same(one: object, other: object) -> bool:
    try:
        return one == other
    except RecursionError:
        return False


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
        if as_bool(given.get("http3")):
            say("proxy.http3", "knows no PROXY protocol, which asgi_host_proxy_protocol asks for; keep one")
