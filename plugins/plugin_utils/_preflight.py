# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What keeps an inventory from working, found before anything on a host is changed."""

from __future__ import annotations

import contextlib
import posixpath
import ssl
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils import _apps, _certificates
from ansible_collections.asgi.host.plugins.plugin_utils import (
    _archives,
    _error_pages,
    _origins,
    _project,
    _redirects,
    _settings,
    _sources,
)
from ansible_collections.asgi.host.plugins.plugin_utils._plan import places

NOT_SENT = "is not sent, for git ignores it, or source.exclude names it; name it in source.include"
# Where systems keep the authorities that they trust; the first that is there is taken for what clients know.
BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


def controller_problems(apps: list[dict[str, Any]], bases: list[str], authority: str = "") -> list[str]:
    """What is wrong with the files that normalized apps name on the controller; ``authority`` is asgi_host_ca_file."""
    problems: list[str] = []
    for app in places.present(apps):
        where = f"asgi_host_apps ({app['name']})"
        for key, path in _named_files(app):
            try:
                _sources.locate(path, bases)
            except _sources.SourceError as error:
                problems.append(f"{where}: {key}: {error}")
        problems += [f"{where}: {problem}" for problem in _client_ca_problems(app, bases)]
        problems += [f"{where}: {problem}" for problem in _error_pages.problems(app, bases)]
        if app["tls"]["mode"] == "files":
            problems += [f"{where}: {problem}" for problem in _certificate_problems(app, bases, authority)]
        if app["source"].get("path"):
            problems += [f"{where}: {problem}" for problem in _folder_problems(app, bases)]
        elif not problems:
            problems += [f"{where}: source: {problem}" for problem in _origin_problems(app, bases)]
    return problems


def host_problems(
    apps: list[dict[str, Any]],
    facts: dict[str, Any],
    *,
    root: str = "",
    proxy: bool = True,
    proxy_protocol: Sequence[str] = (),
    brings_python: bool = False,
    projects: Mapping[str, _project.Project] | None = None,
) -> list[str]:
    """What keeps a host with these facts from running these normalized apps, whose releases are to be in ``root``.

    ``projects`` are the apps' sources by name, as far as the controller has them.
    """
    found = _apps.host_problems(
        apps, facts, proxy=proxy, proxy_protocol=proxy_protocol, brings_python=brings_python
    )
    found += _apps.places_problems(apps, facts, root)
    for app in places.present(apps):
        project = (projects or {}).get(app["name"])
        python = _apps.find_python(app["python"], facts)
        if project and python and app["server"] != "image":
            others = [each["version"] for each in _apps.pythons(facts) if each != python]
            wrong = _project.python_problems(project, python, others)
            found += [f"asgi_host_apps ({app['name']}): {problem}" for problem in wrong]
    if found or not proxy or _settings.http3(facts):
        return found
    return [
        f"asgi_host_apps ({app['name']}): proxy.http3: the host's nginx has no HTTP/3; set it to false, or use a host "
        "with Debian 13"
        for app in places.present(apps)
        if app["proxy"]["http3"]
    ]


def _certificate_problems(app: dict[str, Any], bases: list[str], authority: str) -> list[str]:
    files = app["tls"]["files"]
    try:
        certificate = _sources.locate(files["certificate"], bases).read_bytes()
        key = _sources.locate(files["key"], bases).read_bytes()
    except (_sources.SourceError, OSError):
        return []  # named already
    return _certificates.missing_library("tls.files") or _certificates.certificate_problems(
        certificate,
        key,
        [*app["domains"], *_redirects.names([app])],
        datetime.now(UTC),
        _known_authorities(bases, authority),
    )


def _client_ca_problems(app: dict[str, Any], bases: list[str]) -> list[str]:
    """What is wrong with the authorities of clients' certificates: nginx would refuse its whole configuration."""
    if not app["tls"]["client_ca"]:
        return []
    try:
        text = _sources.locate(app["tls"]["client_ca"], bases).read_bytes()
    except (_sources.SourceError, OSError):
        return []  # named already
    if b"PRIVATE KEY" in text:
        return [
            "tls.client_ca: holds a private key, which nobody but its authority needs; give the certificates alone"
        ]
    if missing := _certificates.missing_library("tls.client_ca"):
        return missing
    if not _certificates.subjects(text):
        return ["tls.client_ca: holds no certificate; give those of the authorities, in PEM form"]
    return []


def _known_authorities(bases: list[str], authority: str) -> frozenset[bytes]:
    known = ssl.get_default_verify_paths().cafile
    bundles = [known] if known else [path for path in BUNDLES if Path(path).is_file()][:1]
    if authority:
        with contextlib.suppress(_sources.SourceError):
            bundles.append(str(_sources.locate(authority, bases)))
    return frozenset().union(*(_certificates.subjects(Path(path).read_bytes()) for path in bundles))


def on_controller(path: str, bases: list[str]) -> str:
    """The place of a file that the inventory names; empty for an empty name."""
    return str(_sources.locate(path, bases)) if path else ""


def _named_files(app: dict[str, Any]) -> list[tuple[str, str]]:
    named = []
    if app["source"].get("path"):
        named.append(("source.path", app["source"]["path"]))
    if app["tls"]["mode"] == "files":
        named += [(f"tls.files.{part}", app["tls"]["files"][part]) for part in ("certificate", "key")]
    if app["tls"]["client_ca"]:
        named.append(("tls.client_ca", app["tls"]["client_ca"]))
    named += _error_pages.named_files(app)
    if (app["source"].get("git") or {}).get("key_file"):
        named.append(("source.git.key_file", app["source"]["git"]["key_file"]))
    image = app["source"].get("image") or {}
    named += [(f"source.image.{key}", image[key]) for key in ("path", "archive") if image.get(key)]
    if (app["source"].get("archive") or {}).get("path"):
        named.append(("source.archive.path", app["source"]["archive"]["path"]))
    for number, each in enumerate(app["files"]):
        named += [(f"files[{number}].{kind}", each[kind]) for kind in ("template", "file") if kind in each]
    for name, content in app["credentials"].items():
        if not isinstance(content, str):
            named.append((f"credentials.{name}", content["file"]))
    return named


def interpreters(apps: list[dict[str, Any]]) -> list[str]:
    """The interpreters that apps name by path, which the host is to be asked for."""
    return sorted({app["python"] for app in places.present(apps) if (app["python"] or "").startswith("/")})


def mounts(apps: list[dict[str, Any]]) -> list[str]:
    """The folders of the host that apps name as their source, which the host is to be asked for."""
    return sorted({app["source"]["mount"] for app in places.present(apps) if app["source"].get("mount")})


def groups(apps: list[dict[str, Any]]) -> list[str]:
    """The groups that apps are to be in, which the host is to be asked for; those of the apps themselves are made."""
    own = {app["user"] for app in places.present(apps)}
    return sorted({name for app in places.present(apps) for name in app["groups"]} - own)


def _origin_problems(app: dict[str, Any], bases: list[str]) -> list[str]:
    """What is wrong with a repository or an archive, as far as the controller can tell without a download.

    One that is down at the moment is no problem of the inventory: what is deployed goes on being looked after.
    """
    archive = app["source"].get("archive")
    try:
        origin = _origins.origin(app, bases, plain_key)
        if archive and archive.get("path"):
            _archives.fetch(archive, bases)
        origin.describe()
    except _sources.UnreachableError:
        return []
    except _sources.SourceError as error:
        return [str(error)]
    return []


def plain_key(path: str) -> bytes:
    """A deploy key that anyone can read. One that ansible-vault encrypted is read where the vault's password is."""
    content = Path(path).read_bytes()
    if content.startswith(b"$ANSIBLE_VAULT;"):
        raise _sources.UnreachableError("the key is encrypted")
    return content


def _folder_problems(app: dict[str, Any], bases: list[str]) -> list[str]:
    source = app["source"]
    try:
        folder = _sources.locate(source["path"], bases)
        if not folder.is_dir():
            return [f"source.path: {folder} is a file; give the folder that holds the app"]
        origin = _origins.Folder(source["path"], bases, source["include"], source["exclude"])
        found = origin.entries()
        problems = origin.problems()
    except _sources.UnfitError as error:
        return [f"source.path: {error}"]
    except _sources.SourceError:
        return []  # told by the task that needs it
    sent = {name for name, _path in found}
    app_dir, chosen = app["app_dir"].strip("/"), source.get("requirements")
    if not (folder / app_dir).is_dir():
        problems.append(f"app_dir: {folder} has no folder {app_dir}; name one that it has")
    elif app_dir and not any(name.startswith(f"{app_dir}/") for name in sent):
        problems.append(f"app_dir: {folder / app_dir} {NOT_SENT}")
    if not (folder / app["build"]["folder"]).is_dir():
        problems.append(
            f"build.folder: {folder} has no folder {app['build']['folder']}; name one that it has"
        )
    if chosen and not (folder / chosen).is_file():
        problems.append(f"source.requirements: {folder} has no file {chosen}; name one that it has")
    elif chosen and posixpath.normpath(chosen) not in sent:
        problems.append(f"source.requirements: {folder / chosen} {NOT_SENT}")
    return problems
