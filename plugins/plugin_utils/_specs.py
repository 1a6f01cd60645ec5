# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An app as the module release is told of it: settings, rendered texts, and the source's digest."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._apps import find_python, first_domain
from ansible_collections.asgi.host.plugins.module_utils._release.gate import NOT_LOADED
from ansible_collections.asgi.host.plugins.module_utils._release.requirements import named
from ansible_collections.asgi.host.plugins.module_utils._words import safe
from ansible_collections.asgi.host.plugins.plugin_utils import _background, _origins, _sources
from ansible_collections.asgi.host.plugins.plugin_utils._frontend import static_place
from ansible_collections.asgi.host.plugins.plugin_utils._origins import Origin
from ansible_collections.asgi.host.plugins.plugin_utils._render import TemplateFaultError, render
from ansible_collections.asgi.host.plugins.plugin_utils._settings import (
    derived,
    in_data,
    room_for_workers,
)


@dataclass(frozen=True)
class Server:
    """What is particular to one kind of server."""

    file: str
    """The Python file of a release that tells the process what to do."""
    template: str
    packages: tuple[str, ...]
    """What the role installs beside the app."""
    check: tuple[str, ...] = ()
    """The command that finds out whether the app can be imported; ``{release}`` is the release's folder."""

    def reloading(self) -> Server:
        """The same packages, run in development mode."""
        check = ("python", "{release}/serve.py", "--check")
        return replace(self, file="serve.py", template="serve-reload.py.j2", check=check)

    def pins(self, known: list[str], own: list[str] | None) -> list[str]:
        """The role's pins of this server; none for a program of one's own that names its requirements (``own``)."""
        if not self.check and own is not None:
            return []
        return [pin for pin in known if named([pin]) & set(self.packages)]


SERVERS = {
    "gunicorn": Server(
        "gunicorn.conf.py",
        "gunicorn.conf.py.j2",
        ("gunicorn", "uvicorn", "uvicorn-worker"),
        ("python", "-m", "gunicorn", "--check-config", "--config", "{release}/gunicorn.conf.py"),
    ),
    "uvicorn": Server(
        "serve.py", "serve-uvicorn.py.j2", ("uvicorn",), ("python", "{release}/serve.py", "--check")
    ),
    # Many such programs are a run.py that imports uvicorn.
    "command": Server("serve.py", "serve-command.py.j2", ("uvicorn",)),
    "image": Server("", "", ()),
}

DEVELOPMENT = (
    "{} runs in development mode (reload: true): one process, and code that changes under it with nothing to prove it. "
    "It is not for production; asgi_host_environment: production refuses it."
)

ON_PORT = (
    "{} listens on the port of 127.0.0.1 that $PORT names: every user and every other app of the host can connect to it past "
    "nginx, and forge who the client is. Let it take the passed socket (file descriptor 3) if it can, or set sandbox: "
    "{{network: none}}, which gives it a loopback of its own (docs/servers.md)."
)
# How a command asks for the port; one that reads the variable by itself is not seen.
PORT = re.compile(r"\$PORT\b|\$\{PORT\}")


@dataclass
class Told:
    """What a module is told of all apps."""

    specs: list[dict[str, Any]] = field(default_factory=list)
    private: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    """By app, the sources that could not be had."""


def tell(
    apps: list[dict[str, Any]],
    common: Mapping[str, Any],
    bases: list[str],
    read_key: Callable[[str], bytes],
    *,
    by: str,
    rollback: bool = False,
    contents: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda _app: {},
) -> Told:
    """What a module is told of normalized apps; ``common`` is that of describe(), and the package ``index``.

    ``read_key`` gives a deploy key's content by its path, ``contents`` an app's files. Whoever goes back asks no source.
    """
    told = Told()
    own: dict[str, Any] = {}
    told.private = {
        "index": common.get("index") or None,
        "logins": common.get("index_logins") or {},
        "apps": own,
    }
    for app in apps:
        name = app["name"]
        try:
            if app["state"] == "present":
                told.origins[name] = _origins.Unasked() if rollback else _origins.origin(app, bases, read_key)
                own[name] = private(app, bases, files=not rollback)
                if app["files"] and not rollback:
                    own[name]["files"] = contents(app)
            spec = describe(app, common, told.origins.get(name), by=by)
            if open_files := [
                each for each in own.get(name, {}).get("files", {}).items() if not each[1]["secret"]
            ]:
                # What a build makes of the source may be made of them.
                spec["own_files"] = hashlib.sha256(json.dumps(open_files).encode()).hexdigest()
            told.specs.append(spec)
        except TemplateFaultError:
            # A matter of all apps, and no source.
            raise
        except _sources.SourceError as error:
            told.failures[name] = source_failure(name, error)
        except Exception as error:  # noqa: BLE001 - of one app, and the others of the host go on
            told.failures[name] = source_failure(name, _sources.unexpected(error))
    return told


def source_failure(name: str, error: Exception) -> str:
    """That an app's source could not be had, for the operator."""
    return f"{name}: source: {safe(str(error))}\nWhat served before serves as it did."


def warnings(spec: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """What is to be said in each play of an app that was ``found`` so: that it runs in development mode, and how it does; that others reach its port."""
    return [
        *([DEVELOPMENT.format(spec["name"])] if spec.get("live") else []),
        *([ON_PORT.format(spec["name"])] if spec.get("on_port") else []),
        *found.get("warnings", []),
    ]


def describe(
    app: dict[str, Any], common: Mapping[str, Any], origin: Origin | None, *, by: str
) -> dict[str, Any]:
    """What the module is told of one normalized app; ``origin`` is None for one that is to be absent.

    ``common`` holds root, host (facts) and server_pins. Raises SourceError for a source that is not there.
    """
    base = {"name": app["name"], "root": common["root"], "user": app["user"], "state": app["state"], "by": by}
    if origin is None:
        return {**base, "purge": app["purge"]}
    settings = derived(app, common["host"])
    server = SERVERS[app["server"]].reloading() if app["reload"] else SERVERS[app["server"]]
    source = origin.describe()
    # Not part of what makes a release: it may change under one.
    content = source.pop("content", "")
    values = {
        "app": app,
        "root": common["root"],
        "settings": settings,
        "not_loaded": NOT_LOADED,
        "templates": common.get("templates", ""),
    }
    return {
        **base,
        **{
            key: app[key]
            for key in (
                "domains",
                "root_path",
                "health",
                "hooks",
                "shared",
                "app_dir",
                "requirements",
                "groups",
                "strategy",
                "warm_up",
                "keep_releases",
            )
        },
        # There is no going back to what was live.
        "keep_warm": app["keep_warm"] and not app["reload"],
        "live": {"mount": app["source"].get("mount"), "digest": content} if app["reload"] else None,
        # In maintenance every answer is a 503, and says nothing of the release.
        "watch": {**app["watch"], **({"errors": 100} if app["maintenance"] else {})},
        "module": (app["app"] or "").partition(":")[0].partition(".")[0],
        "server": app["server"],
        "command": app["command"],
        "on_port": _is_on_port(app),
        "workers": {"wanted": settings["workers"], "room": room_for_workers(app, common["host"])},
        "check": list(server.check),
        "host": first_domain(app["domains"]),
        "python": None if app["server"] == "image" else find_python(app["python"], common["host"]),
        **_container(app, settings),
        "server_requirements": app["server_requirements"],
        "server_pins": server.pins(common["server_pins"], app["server_requirements"]),
        "source": {
            "requirements": app["source"].get("requirements") or None,
            **{key: list(app["source"].get(key) or []) for key in ("extras", "groups")},
            "member": app["source"].get("member") or None,
            "install": app["source"].get("install", True),
            **source,
        },
        **(
            {"build": {key: app["build"][key] for key in ("folder", "commands")}}
            if app["build"]["commands"]
            else {}
        ),
        **({"build_env": app["build_env"]} if app["build_env"] else {}),
        "texts": {
            "service": render("systemd/asgi-app@.service.j2", **values),
            "release.conf": render(
                f"systemd/{'image' if app['server'] == 'image' else 'release'}.conf.j2", **values
            ),
        },
        "processes": _background.unit_files(app, values),
        # No part of what makes a release: nginx's word for what lies in it. Private files are in no pool that it serves.
        "static": [
            {
                "url": static_place(item, app),
                "path": item["path"],
                **({"fallback": item["fallback"]} if item["fallback"] else {}),
            }
            for item in app["static"]
            if not item["path"].startswith(("{data}/", "/")) and not item["internal"]
        ],
        "files": {server.file: render(f"release/{server.template}", **values)} if server.file else {},
    }


def _is_on_port(app: Mapping[str, Any]) -> bool:
    """Whether a program of one's own listens where everybody on the host can connect."""
    command = app["command"] or ""
    words = command if isinstance(command, str) else " ".join(command)
    shared = app["sandbox"]["network"] != "none"
    return app["server"] == "command" and shared and bool(PORT.search(words))


def _container(app: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """What podman is told of an app in an image."""
    if app["server"] != "image":
        return {}
    return {
        "container": {
            "workers": settings["workers"],
            "graceful_timeout": app["graceful_timeout"],
            "stop_timeout": settings["times"].stop,
            "keepalive": settings["times"].keepalive,
            "network": app["sandbox"]["network"],
            "writable_paths": app["sandbox"]["writable_paths"],
            "static": [item["path"] for item in app["static"] if not in_data(item["path"])],
        }
    }


def private(app: dict[str, Any], bases: list[str], *, files: bool = True) -> dict[str, Any]:
    """Environment, secrets and credentials of an app; a credential may be a file on the controller.

    Without ``files`` those are left out: who goes back to an earlier release needs none of them.
    """
    return {
        "env": app["env"],
        "secrets": app["secrets"],
        "credentials": {
            name: content if isinstance(content, str) else _read(content["file"], app["name"], name, bases)
            for name, content in app["credentials"].items()
            if files or isinstance(content, str)
        },
        **({"registry": auth} if (auth := (app["source"].get("image") or {}).get("auth")) else {}),
    }


def _read(path: str, app: str, name: str, bases: list[str]) -> str:
    try:
        return Path(_sources.locate(path, bases)).read_text(encoding="utf-8")
    except (_sources.SourceError, OSError, ValueError) as error:
        raise _sources.SourceError(f"asgi_host_apps ({app}): credentials.{name}: {error}") from error
