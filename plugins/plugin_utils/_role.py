# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an inventory wants of one host: the role's variables, and what the host is asked because of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils import _apps
from ansible_collections.asgi.host.plugins.module_utils._apps.reading import show
from ansible_collections.asgi.host.plugins.module_utils._private import wrap
from ansible_collections.asgi.host.plugins.plugin_utils import (
    _controller,
    _doors,
    _handover,
    _inspection,
    _logins,
    _outcome,
    _own_tasks,
    _preflight,
    _pythons,
    _render,
    _sources,
    _specs,
    _wheels,
)
from ansible_collections.asgi.host.plugins.plugin_utils._plan import nginx, places, system, teardown
from ansible_collections.asgi.host.plugins.plugin_utils._project import Project


@dataclass(frozen=True)
class Lacks:
    """What a host lacks that has to come first."""

    packages: list[str]
    pythons: list[str]
    wheels: dict[str, Any]
    """The ``folder`` of the host, the files to ``send`` there by path, and those to ``remove`` by name."""

    def reasons(self) -> list[str]:
        """The same in words; empty where nothing lacks."""
        return [
            *(f"the package {name}" for name in self.packages),
            *(f"Python {wanted}" for wanted in self.pythons),
            *(["the folder of wheels"] if self.wheels["send"] or self.wheels["remove"] else []),
        ]


@dataclass(frozen=True)
class Tasks:
    """What one stage does on a host."""

    steps: list[dict[str, Any]]
    private: Mapping[str, Any] = field(default_factory=dict)
    """The secret contents that the steps name."""
    doors: list[dict[str, Any]] = field(default_factory=list)
    """What the apps are asked when all is done."""


@dataclass(frozen=True)
class Role:
    """``variables`` are those of the role without ``asgi_host_``; ``bases`` are where a relative path may lie."""

    variables: Mapping[str, Any]
    bases: list[str]
    read_key: Callable[[str], bytes] = _preflight.plain_key
    """Gives a deploy key's content by its path."""

    @cached_property
    def apps(self) -> list[dict[str, Any]]:
        """The apps, complete. Only for an inventory without problems."""
        return _apps.normalize(self.variables["apps"], self.variables["app_defaults"])

    @cached_property
    def projects(self) -> dict[str, Project]:
        """What the apps' sources say of themselves, by name. Only for an inventory without problems."""
        return _inspection.projects(self.apps, self.bases, self.read_key)

    def problems(self) -> list[str]:
        """What is wrong with the inventory, or else with the files that it names."""
        given = self.variables
        found = _apps.problems(
            given["apps"],
            given["app_defaults"],
            proxy=given["proxy"],
            proxy_protocol=given["proxy_protocol"],
            environment=given["environment"],
        )
        found += _apps.root_problems(given["root"], given["apps"])
        port = str(given.get("https_port", 443))
        if not port.isdecimal() or not 0 < int(port) < 65536:
            found.append(
                f"asgi_host_https_port: {port!r} is not a port; give one from 1 to 65535, such as 8443"
            )
        found += _pythons.problems(given["python_mirror"], given["python_downloads"])
        found += self._own[1]
        found += self._template_problems()
        found += _logins.problems(given.get("package_index_logins") or {})
        return (
            found
            or _preflight.controller_problems(self.apps, self.bases, given["ca_file"])
            or _wheels.problems(
                given["wheels"],
                self.bases,
                index=given["package_index"],
                uv_requirements=given["uv_requirements"],
            )
            or [
                f"asgi_host_apps ({name}): {problem}"
                for name, project in self.projects.items()
                for problem in project.problems
            ]
            or _inspection.without_key(self.apps, self.projects, given.get("package_index_logins") or {})
        )

    @property
    def progress(self) -> bool:
        """Whether a play says each step of a host when it begins."""
        return bool(self.variables.get("progress"))

    @cached_property
    def templates(self) -> str:
        """The folder of the inventory's own templates; empty without one."""
        folder = self.variables.get("templates") or ""
        return str(_sources.locate(folder, self.bases).resolve()) if folder else ""

    def _template_problems(self) -> list[str]:
        folder = self.variables.get("templates") or ""
        try:
            if not isinstance(folder, str) or (folder and not Path(self.templates).is_dir()):
                return [f"asgi_host_templates: {show(folder)} is no folder; give one, such as templates"]
        except _sources.SourceError as error:
            return [f"asgi_host_templates: {error}"]
        return list(_render.problems_of(self.templates)) if folder else []

    @property
    def own_tasks(self) -> dict[str, list[str]]:
        """The inventory's own files of tasks, by the time at which they run."""
        return self._own[0]

    @cached_property
    def _own(self) -> tuple[dict[str, list[str]], list[str]]:
        return _own_tasks.found(self.variables, self.bases)

    def place(self, name: str) -> str:
        """Where an app is found, in words; empty for one that goes, and for one that is not the inventory's."""
        app, url = self._app(name), self.url(name)
        return _outcome.place(app, url=url, root=self.variables["root"]) if app else ""

    def url(self, name: str) -> str:
        """The address of an app; empty for one that has none, that goes, or that is not the inventory's."""
        app = self._app(name)
        if app is None or not self.variables["proxy"]:
            return ""
        return _outcome.url(app, https_port=int(self.variables.get("https_port", 443)))

    def _app(self, name: str) -> dict[str, Any] | None:
        return next((app for app in self.apps if app["name"] == name), None)

    def question(self) -> dict[str, Any]:
        """What the host is asked about itself."""
        return {
            "packages": system.packages(
                self.apps,
                [*self.variables["build_packages"], *(["git"] if self._fetches() else [])],
                proxy=self.variables["proxy"],
            ),
            "interpreters": _preflight.interpreters(self.apps),
            "folders": _preflight.mounts(self.apps),
            "groups": _preflight.groups(self.apps),
            "root": self.variables["root"],
            "names": sorted(app["name"] for app in places.present(self.apps)),
            **({"wheels": places.WHEELS} if self.variables["wheels"] else {}),
        }

    def _fetches(self) -> bool:
        """Whether a requirement comes from a repository, for which uv needs git."""
        return any(_inspection.repositories(app, self.projects) for app in places.present(self.apps))

    def host_problems(self, host: dict[str, Any]) -> list[str]:
        """What keeps a host with these facts from it."""
        given = self.variables
        return _preflight.host_problems(
            self.apps,
            host,
            root=given["root"],
            proxy=given["proxy"],
            proxy_protocol=given["proxy_protocol"],
            brings_python=bool(given["python_mirror"] or given["python_downloads"]),
            projects=self.projects,
        )

    def leaves(self, host: Mapping[str, Any]) -> bool:
        """Whether the last app is to go."""
        return teardown.leaving(self.apps, host)

    def lacks(self, host: Mapping[str, Any]) -> Lacks:
        """What has to come before the rest can be looked at."""
        return Lacks(
            packages=host["missing_packages"],
            pythons=_apps.missing_pythons(self.apps, host),
            wheels={
                "folder": self.wheels,
                **_wheels.differing(self.variables["wheels"], self.bases, host["wheels"]),
            },
        )

    @property
    def uv(self) -> str:
        """Where uv is on the host."""
        return system.uv_path(self.variables["uv_requirements"])

    @property
    def wheels(self) -> str:
        """The folder of the host that is installed from; empty for an index."""
        return places.WHEELS if self.variables["wheels"] else ""

    def tell(
        self,
        host: dict[str, Any],
        loader: Any,
        contents: Callable[[Mapping[str, Any]], Mapping[str, Any]] = lambda _app: {},
        *,
        rollback_of: str = "",
    ) -> _specs.Told:
        """The apps, as a host with these facts is told of them; for a rollback the one, whose source is not asked.

        ``loader`` is Ansible's, which reads deploy keys; ``contents`` gives an app's files.
        """
        common = self.common(host)
        apps = [app for app in self.apps if not rollback_of or app["name"] == rollback_of]
        return _specs.tell(
            apps,
            common,
            self.bases,
            lambda path: _controller.read_key(loader, path),
            by=_controller.operator(),
            rollback=bool(rollback_of),
            contents=contents,
        )

    def common(self, host: dict[str, Any]) -> dict[str, Any]:
        """What all apps of a host with these facts are described with."""
        given = self.variables
        return {
            "root": given["root"],
            "host": host,
            "server_pins": given["server_pins"],
            "index": given["package_index"],
            "templates": self.templates,
            "index_logins": given.get("package_index_logins"),
        }

    def base(self, host: dict[str, Any]) -> Tasks:
        """Debian packages, accounts, folders, units and uv."""
        given = self.variables
        steps = system.base(
            self.apps,
            host=host,
            root=given["root"],
            uv_requirements=given["uv_requirements"],
            authority=_preflight.on_controller(given["ca_file"], self.bases),
            wheels=self.wheels,
        )
        return Tasks(steps, {"index": _wheels.pip_environment(given["package_index"], self.wheels)})

    def pythons(self, host: dict[str, Any]) -> Tasks:
        """The interpreters that the host lacks."""
        addresses = _pythons.environment(self.variables["python_mirror"], self.variables["python_downloads"])
        return Tasks(_pythons.stage(self.apps, host, self.uv), {"addresses": addresses})

    def sites(self, host: dict[str, Any], failed: Collection[str] = (), *, early: bool = False) -> Tasks:
        """The sites of the apps in nginx; those of the apps in ``failed`` are left as they are, and not asked.

        ``early``: what can be brought while other apps are still being deployed.
        """
        given = self.variables
        if not given["proxy"]:
            return Tasks([])
        common = {"failed": list(failed), "bases": self.bases, "proxy_protocol": given["proxy_protocol"]}
        found = self._proxy(host, failed, early=early)
        doors = _doors.doors(self.apps, **common) if given["self_test"] and not early else []
        return Tasks(found["steps"], found["private"], doors)

    def still_needed(self, host: dict[str, Any], failed: Collection[str]) -> dict[str, list[str]]:
        """The apps that are to go, and whose domains wait for one of ``failed``; each with them."""
        if not self.variables["proxy"] or not failed:
            return {}
        return _handover.still_needed(self.apps, self._proxy(host, failed, early=True)["stay"], host)

    def _proxy(self, host: dict[str, Any], failed: Collection[str], *, early: bool) -> dict[str, Any]:
        given = self.variables
        return nginx.proxy(
            self.apps,
            host=host,
            root=given["root"],
            failed=list(failed),
            bases=self.bases,
            tls_policy=given["tls_policy"],
            proxy_protocol=given["proxy_protocol"],
            https_port=int(given.get("https_port", 443)),
            early=early,
            templates=self.templates,
        )

    def leave(self, host: dict[str, Any]) -> Tasks:
        """Away with what all apps shared."""
        return Tasks(
            teardown.leave(self.apps, host=host, root=self.variables["root"], proxy=self.variables["proxy"])
        )

    def everything(
        self, host: dict[str, Any], told: _specs.Told, parcels: Mapping[str, str]
    ) -> dict[str, Any]:
        """All that a host with these facts must have, as the module look is told of it.

        ``parcels`` are packed sources by app, of which a release may be made in the same call.
        """
        sites = self.sites(host)
        return {
            "host": host,
            "base": self.base(host).steps,
            "apps": told.specs,
            "uv": self.uv,
            "wheels": self.wheels or None,
            "sites": sites.steps,
            "doors": sites.doors,
            "private": wrap({**told.private, "sites": sites.private, "parcels": dict(parcels)}),
        }
