# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the self-test asks: a path in each location through which nginx hands requests to an app; and its end."""

from __future__ import annotations

import re
import urllib.parse
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._apps import first_domain
from ansible_collections.asgi.host.plugins.module_utils._self_test.model import Door
from ansible_collections.asgi.host.plugins.module_utils._self_test.outside import from_outside
from ansible_collections.asgi.host.plugins.plugin_utils._frontend import first_path, is_the_app_s
from ansible_collections.asgi.host.plugins.plugin_utils._plan.sites import sites

# In an app's own location, and unlikely to be in one of the inventory's.
OWN = "/asgi-host-view"
LOCATION = re.compile(r"^\s*location\s+(?:(?:=|\^~)\s*)?(\"[^\"]+\"|/[^\s{;]*)\s*\{", re.MULTILINE)


def doors(
    apps: list[dict[str, Any]], *, failed: list[str], bases: list[str], proxy_protocol: list[str]
) -> list[dict[str, Any]]:
    """The arguments of a Door for each app that has a site, but for those in ``failed``.

    One whose server is not ours gives no view, and is only asked whether it is reached.
    """
    found = []
    for site in sites(apps, bases)[0]:
        if any(app["name"] in failed for app in site["apps"]):
            # Its site was left as it is.
            continue
        for app in site["apps"]:
            if app["maintenance"]:
                continue
            root = app["root_path"]
            viewed = app["server"] in ("gunicorn", "uvicorn")
            check = app["health"][0]
            asked = check["path"] if is_the_app_s(check["path"], app) else first_path(app).removeprefix(root)
            plain = {"health": root + asked, "healthy": check["status"]}
            found.append(
                {
                    "app": app["name"],
                    "domain": first_domain(app["domains"]),
                    "paths": [first_path(app) + OWN, *(root + path for path in app["proxy"]["stream_paths"])]
                    if viewed
                    else [],
                    "also": locations(app["proxy"]["extra"]) if viewed else [],
                    **({} if viewed else plain),
                    "trusted": site["trusted_proxies"],
                    "identity": [
                        item["name"] for item in app["proxy"]["identity_headers"] if not item["value"]
                    ],
                    "certificate": bool(site["client_ca"]) and site["client_certificate"] == "required",
                    **({"password": True} if app["proxy"]["basic_auth"] else {}),
                    **({} if site["mode"] != "none" else {"tls": False}),
                    "proxy_protocol": list(proxy_protocol) or None,
                }
            )
    return found


def locations(extra: str) -> list[str]:
    """A path in each location that lines of nginx's configuration open; regular expressions name none."""
    text = re.sub(r"^\s*#.*$", "", extra, flags=re.MULTILINE)
    # nginx compares a location with the decoded path.
    return list(dict.fromkeys(urllib.parse.quote(path.strip('"')) for path in LOCATION.findall(text)))


def conclude(
    doors: list[dict[str, Any]], found: dict[str, Any], address: str, display: Any
) -> dict[str, Any]:
    """Ask from this machine as well, and say what was untested.

    ``found`` is what the host found and gave, as the modules look and stage return it; ``address`` is the host's, and
    ``display`` Ansible's. Returns asked, differences and untested.
    """
    outside = from_outside([Door(**door) for door in doors], found["tickets"], address)
    for words in found["untested"].values():
        display.warning(words)
    if found["tickets"] and not outside.asked:
        display.v(f"self-test: asked on the host alone; this machine reaches no app at {address}")
    return {
        "asked": {"host": found["asked"], "outside": outside.asked},
        "differences": {**outside.differences, **found["differences"]},
        "untested": found["untested"],
    }
