# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an inventory wants of one host: the role's variables, and what the host is asked because of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils import _apps
from ansible_collections.asgi.host.plugins.module_utils._private import wrap
from ansible_collections.asgi.host.plugins.plugin_utils import (
    _doors,
    _preflight,
    _pythons,
    _sources,
    _specs,
    _stages,
    _wheels,
)


@dataclass(frozen=True)
class Role:
    """``variables`` are those of the role without ``asgi_host_``; ``bases`` are where a relative path may lie."""

    variables: Mapping[str, Any]
    bases: list[str]

    @cached_property
    def apps(self) -> list[dict[str, Any]]:
        """The apps, complete. Only for an inventory without problems."""
        return _apps.normalize(self.variables["apps"], self.variables["app_defaults"])

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
        found += _pythons.problems(given["python_mirror"], given["python_downloads"])
        return (
            found
            or _preflight.controller_problems(self.apps, self.bases, given["ca_file"])
            or _wheels.problems(
                given["wheels"],
                self.bases,
                index=given["package_index"],
                uv_requirements=given["uv_requirements"],
            )
        )

    def question(self) -> dict[str, Any]:
        """What the host is asked about itself."""
        return {
            "packages": _stages.packages(
                self.apps, self.variables["build_packages"], proxy=self.variables["proxy"]
            ),
            "interpreters": _preflight.interpreters(self.apps),
            "folders": _preflight.mounts(self.apps),
            **({"wheels": _stages.WHEELS} if self.variables["wheels"] else {}),
        }

    def host_problems(self, host: dict[str, Any]) -> list[str]:
        """What keeps a host with these facts from it."""
        given = self.variables
        return _preflight.host_problems(
            self.apps,
            host,
            proxy=given["proxy"],
            proxy_protocol=given["proxy_protocol"],
            brings_python=bool(given["python_mirror"] or given["python_downloads"]),
        )

    def leaves(self, host: Mapping[str, Any]) -> bool:
        """Whether the last app is to go."""
        return _stages.leaving(self.apps, host)

    def lacks(self, host: Mapping[str, Any]) -> list[str]:
        """What has to come before the rest can be looked at."""
        wheels = _wheels.differing(self.variables["wheels"], self.bases, host["wheels"])
        return [
            *(f"the package {name}" for name in host["missing_packages"]),
            *(f"Python {wanted}" for wanted in _apps.missing_pythons(self.apps, host)),
            *(["the folder of wheels"] if any(wheels.values()) else []),
        ]

    def told(self, host: dict[str, Any], *, by: str, read_key: Callable[[str], bytes]) -> _specs.Told:
        """The apps, as a host with these facts is told of them. Raises SourceError."""
        given = self.variables
        common = {
            "root": given["root"],
            "host": host,
            "server_pins": given["server_pins"],
            "index": given["package_index"],
        }
        told = _specs.tell(self.apps, common, self.bases, read_key, by=by)
        if told.failures:
            raise _sources.SourceError("\n".join(told.failures.values()))
        return told

    def everything(
        self, host: dict[str, Any], told: _specs.Told, parcels: Mapping[str, str]
    ) -> dict[str, Any]:
        """All that a host with these facts must have, as the module look is told of it.

        ``parcels`` are packed sources by app, of which a release may be made in the same call.
        """
        given = self.variables
        wheels = _stages.WHEELS if given["wheels"] else ""
        sites: dict[str, Any] = {"steps": [], "private": {}}
        if given["proxy"]:
            sites = _stages.proxy(
                self.apps,
                host=host,
                root=given["root"],
                failed=[],
                bases=self.bases,
                tls_policy=given["tls_policy"],
                proxy_protocol=given["proxy_protocol"],
            )
        return {
            "host": host,
            "base": _stages.base(
                self.apps,
                host=host,
                root=given["root"],
                uv_requirements=given["uv_requirements"],
                authority=_preflight.on_controller(given["ca_file"], self.bases),
                wheels=wheels,
            ),
            "apps": told.specs,
            "uv": _stages.uv_path(given["uv_requirements"]),
            "wheels": wheels or None,
            "sites": sites["steps"],
            "doors": self.doors(),
            "private": wrap({**told.private, "sites": sites["private"], "parcels": dict(parcels)}),
        }

    def doors(self) -> list[dict[str, Any]]:
        """What the self-test asks."""
        if not (self.variables["proxy"] and self.variables["self_test"]):
            return []
        return _doors.doors(
            self.apps, failed=[], bases=self.bases, proxy_protocol=self.variables["proxy_protocol"]
        )
