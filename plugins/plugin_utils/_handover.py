# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Domains that go from one app to another: what serves one is taken away only when what is to serve it is there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

App = Mapping[str, Any]
Site = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What is done about the sites of a host while some apps are not good yet."""

    write: list[Site]
    stay: set[str]
    """The names of the sites that are left as they are, those that nginx has no file of included."""


def plan(
    wanted: Sequence[Site], apps: Sequence[App], host: Mapping[str, Any], failed: Collection[str]
) -> Plan:
    """What of the ``wanted`` sites can be written while the apps in ``failed`` are not there, or not as they must be.

    A site of such an app is left as it is; where the app is new to it, the site is written without it. A site that would
    lose a domain or an app is left as it is, too, as long as one of ``failed`` is to have that domain.
    """
    there = on_host(host)
    claimed = {
        domain
        for app in apps
        if app["name"] in failed and app["state"] == "present"
        for domain in app["domains"]
    }
    write, stay = [], set()
    for site in wanted:
        good = [app for app in site["apps"] if app["name"] not in failed]
        if len(good) == len(site["apps"]):
            write.append(site)
            continue
        before = {
            name for each in there.values() if each["domains"] & set(site["domains"]) for name in each["apps"]
        }
        if site["name"] not in failed and before <= {app["name"] for app in good}:
            write.append({**site, "apps": good})
        else:
            stay.add(site["name"])
    serves = {site["name"]: set(site["domains"]) for site in write}
    own = {app["name"] for app in apps}
    for name, site in there.items():
        if name in own and (site["domains"] - serves.get(name, set())) & claimed:
            stay.add(name)
    return Plan([site for site in write if site["name"] not in stay], stay)


def heirs(write: Sequence[Site], host: Mapping[str, Any]) -> dict[str, str]:
    """The sites on a host that serve a domain of one that is written, each with the name of that one."""
    return {
        name: heir["name"]
        for name, site in on_host(host).items()
        for heir in reversed(write)
        if site["domains"] & set(heir["domains"])
    }


def on_host(host: Mapping[str, Any]) -> dict[str, dict[str, set[str]]]:
    """The sites that the role has made on a host with these facts: of each, by name, its ``apps`` and ``domains``."""
    found = (host.get("nginx") or {}).get("sites") or {}
    return {name: {key: set(site[key]) for key in ("apps", "domains")} for name, site in found.items()}


def still_needed(apps: Sequence[App], stay: Collection[str], host: Mapping[str, Any]) -> dict[str, list[str]]:
    """The apps that are to go and still serve a site which stays, each with the domains."""
    there = on_host(host)
    absent = {app["name"] for app in apps if app["state"] == "absent"}
    return {
        name: sorted(there[site]["domains"])
        for site in sorted(set(stay) & there.keys())
        for name in sorted(there[site]["apps"] & absent)
    }
