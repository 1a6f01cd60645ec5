"""The plan of every Molecule inventory, as hashes by app and part: a change that should change none is held still by them.

``make golden`` writes the file anew and says what differs; a change on purpose is committed together with it.
"""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import jinja2
import known_systems
import yaml
from ansible_collections.asgi.host.plugins.module_utils._private import unwrap
from ansible_collections.asgi.host.plugins.module_utils._release import environment, reasons
from ansible_collections.asgi.host.plugins.module_utils._release.context import AppContext
from ansible_collections.asgi.host.plugins.module_utils._release.uv import Tools
from ansible_collections.asgi.host.plugins.plugin_utils import _sources
from ansible_collections.asgi.host.plugins.plugin_utils._role import Role

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).with_name("golden_plans.json")
ROLE = ROOT / "roles" / "asgi_host"
INVENTORIES = sorted(
    path.parents[2].name for path in ROOT.glob("molecule/*/inventory/group_vars/asgi_hosts.yml")
)
# Kinds of apps that no Molecule inventory has: its tests bring them.
MORE: dict[str, Any] = {
    "asgi_host_apps": [
        {
            "name": "boxed",
            "source": {
                "image": {
                    "name": f"registry.example.com/shop@sha256:{'0' * 64}",
                    "auth": {"username": "bob", "password": "hush"},
                }
            },
            "domains": ["boxed.test"],
            "env": {"GREETING": "hello"},
            "static": [{"url": "/static/", "path": "static"}],
        },
        {
            "name": "draft",
            "app": "parcels.main:app",
            "source": {"path": "../../../tests/integration/apps/parcels"},
            "domains": ["draft.test"],
            "reload": True,
        },
        {
            "name": "worker",
            "app": "parcels.main:app",
            "source": {"path": "../../../tests/integration/apps/parcels"},
            "domains": ["worker.test"],
            "processes": [{"name": "queue", "command": ["python", "-m", "parcels.queue"]}],
            "watch": {"seconds": 5},
        },
        {
            "name": "front",
            "app": "parcels.main:app",
            "source": {"path": "../../../tests/integration/apps/parcels", "install": False},
            "domains": ["front.test"],
            "groups": ["redis"],
            "build": {
                "packages": ["npm"],
                "folder": "parcels",
                "commands": ["npm ci", ["npm", "run", "build"]],
            },
            "build_env": {"VITE_TITLE": "Shop"},
            "static": [{"url": "/", "path": "dist", "fallback": "index.html"}],
            "proxy": {"paths": ["/api"]},
            "sandbox": {"unit": {"CPUQuota": "150%"}},
            "prometheus": True,
            "ws_max_size": "64m",
        },
    ]
}
# Characters of a hash that are kept: they only say whether it is another.
KEPT = 12
# What an inventory's script makes on a machine where it is missing.
MADE = (
    ".cache/test-tls/wiki.crt",
    ".cache/test-tls/wiki.key",
    ".cache/test-authority/site.crt",
    ".cache/test-authority/site.key",
)
COMMON: dict[str, Any] = {
    "user": "root",
    "init": "systemd",
    "cores": 2,
    "memory_mb": 4096,
    "missing_packages": ["nginx", "python3-venv"],
    "users": ["root"],
    "listeners": [],
    "ipv6": True,
    "acme": {"sites": [], "set_up": False},
    "wheels": {},
    "folders": [],
    "roots": [],
    "strangers": [],
    "unsafe_root": "",
    "apps": [],
}


def _facts(system: Mapping[str, Any], python: str, nginx: str) -> dict[str, Any]:
    """The facts of a bare host."""
    minor = python.rpartition(".")[0]
    return {
        **COMMON,
        **system,
        "python": {"path": "/usr/bin/python3", "version": python},
        "pythons": [{"path": f"/usr/bin/python{minor}", "version": python}],
        "nginx": {
            "version": nginx,
            "packaged_default": True,
            "foreign_sites": [],
            "foreign_files": [],
            "foreign_default_servers": [],
        },
    }


HOSTS = {
    "bookworm": _facts(known_systems.BOOKWORM, "3.11.2", "1.22.1"),
    "trixie": _facts(known_systems.TRIXIE, "3.13.5", "1.26.3"),
}


def plans() -> dict[str, dict[str, dict[str, str]]]:
    """By inventory and app (or ``host``, for what is no app's) a hash of each part, in words for both Debian releases."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for inventory in (*INVENTORIES, "more"):
        by_suite = {suite: _plan(inventory, suite, facts) for suite, facts in HOSTS.items()}
        places = sorted({place for plan in by_suite.values() for place in plan})
        found[inventory] = {
            place: {
                part: _both({suite: plan.get(place, {}).get(part) for suite, plan in by_suite.items()})
                for part in sorted({part for plan in by_suite.values() for part in plan.get(place, {})})
            }
            for place in places
        }
    return found


def _both(hashes: Mapping[str, str | None]) -> str:
    """One hash where the releases agree."""
    if len(set(hashes.values())) == 1:
        return str(next(iter(hashes.values())))
    return ", ".join(f"{suite} {each}" for suite, each in hashes.items())


def _plan(inventory: str, suite: str, facts: dict[str, Any]) -> dict[str, dict[str, str]]:
    return _hashed(*told(inventory, suite, facts))


def told(
    inventory: str, suite: str, facts: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any], dict[str, dict[str, str]], dict[str, Any]]:
    """What a host with these facts is told for an inventory, what of it must not be shown, and by app digests and details."""
    with tempfile.TemporaryDirectory(prefix="asgi-host-plans-") as folder:
        place = Path(folder)
        (place / "tests").symlink_to(ROOT / "tests")
        for name in MADE:
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(f"the content of {Path(name).name}\n", encoding="utf-8")
        role = Role(_variables(inventory, suite), [str(place / "molecule" / inventory / "inventory")])
        with (
            # What the tests' apps are is no part of the plan; nor is a host's own key, or who deploys.
            mock.patch.object(_sources, "digest", return_value="the digest of the source"),
            mock.patch.object(_sources, "version", return_value="1.0"),
            mock.patch.object(environment, "_host_key", return_value=b"the host's key"),
            mock.patch("getpass.getuser", return_value="ops"),
            mock.patch("socket.gethostname", return_value="controller"),
        ):
            specs = role.tell(facts, None)
            if specs.failures:
                raise AssertionError(specs.failures)
            everything = role.everything(facts, specs, {})
            private = unwrap(everything["private"])
            parts, details = {}, {}
            for spec in everything["apps"]:
                here: Any = {**spec, "root": folder}
                context = AppContext(here, private["apps"][spec["name"]], Tools("uv", None))
                parts[spec["name"]] = context.wanted_parts()
                details[spec["name"]] = reasons.details(context.app, spec, context.private)
    return everything, private, parts, details


def _variables(inventory: str, suite: str) -> dict[str, Any]:
    """What the role's plugins get of an inventory."""
    variables: dict[str, Any] = {"inventory_hostname": f"{inventory}-{suite}", "group_names": ["asgi_hosts"]}
    for path in (ROLE / "defaults" / "main.yml", ROLE / "vars" / "main.yml"):
        variables.update(yaml.safe_load(path.read_text(encoding="utf-8")))
    own = ROOT / "molecule" / inventory / "inventory" / "group_vars" / "asgi_hosts.yml"
    variables.update(yaml.safe_load(own.read_text(encoding="utf-8")) if own.exists() else MORE)
    variables["__asgi_host_uv_requirements"] = (ROLE / "files" / "uv.txt").read_text(encoding="utf-8")
    role: dict[str, Any] = _templated(variables["__asgi_host_role"], variables)
    return role


def _templated(value: Any, variables: Mapping[str, Any]) -> Any:
    """A value with its expressions, each of which is a whole string, worked out as Ansible would."""
    if isinstance(value, Mapping):
        return {key: _templated(each, variables) for key, each in value.items()}
    if isinstance(value, list):
        return [_templated(each, variables) for each in value]
    if isinstance(value, str) and (found := re.fullmatch(r"\{\{(.*)\}\}", value)):
        environment_ = jinja2.Environment(autoescape=False, undefined=jinja2.StrictUndefined)
        environment_.filters["bool"] = bool
        environment_.tests["search"] = lambda text, pattern: bool(re.search(pattern, text))
        return _templated(environment_.compile_expression(found.group(1))(**variables), variables)
    return value


def _hashed(
    everything: Mapping[str, Any],
    private: Mapping[str, Any],
    parts: Mapping[str, Mapping[str, str]],
    details: Mapping[str, Any],
) -> dict[str, dict[str, str]]:
    names = [spec["name"] for spec in everything["apps"]]
    by_place: dict[str, dict[str, Any]] = {"host": {}, **{name: {} for name in names}}
    for spec in everything["apps"]:
        own = by_place[spec["name"]]
        rest = {key: value for key, value in spec.items() if key not in ("texts", "files", "processes")}
        own.update(spec=rest, texts=spec["texts"], files=spec["files"], processes=spec["processes"])
        own.update(private=private["apps"][spec["name"]], details=details[spec["name"]])
    for stage in ("base", "sites"):
        steps = everything[stage]
        by_place["host"][f"{stage} order"] = [_subject(step) for step in steps]
        for step in steps:
            by_place[_place(_subject(step), names)].setdefault(stage, []).append(step)
    for door in everything["doors"]:
        by_place[door["app"]]["door"] = door
    by_place["host"]["private"] = {key: value for key, value in private.items() if key != "apps"}
    by_place["host"]["tools"] = [everything["uv"], everything["wheels"]]
    hashed = {place: {part: _hash(value) for part, value in own.items()} for place, own in by_place.items()}
    for name, digests in parts.items():
        hashed[name].update({f"digest of {part}": digest[:KEPT] for part, digest in digests.items()})
    return hashed


def _subject(step: Mapping[str, Any]) -> str:
    """What a step is about."""
    known = ("name", "file", "folder", "absent", "link", "owned", "line", "notice")
    return str(next((step[key] for key in known if key in step), sorted(step)))


def _place(subject: str, names: list[str]) -> str:
    """The app that a step is about, by its name in a path; else ``host``."""
    for name in names:
        if re.search(rf"(?:/|asgi-|asgi-app-){re.escape(name)}(?=[@./ ]|$)", subject):
            return name
    return "host"


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:KEPT]


def read() -> dict[str, dict[str, dict[str, str]]]:
    """What is kept."""
    kept: dict[str, dict[str, dict[str, str]]] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return kept


def differences(kept: Mapping[str, Any], now: Mapping[str, Any], place: str = "") -> Iterator[str]:
    """The keys at which the two differ."""
    for key in sorted({*kept, *now}):
        old, new, here = kept.get(key), now.get(key), f"{place} / {key}" if place else key
        if old is None or new is None:
            yield f"{here} is {'new' if old is None else 'gone'}"
        elif isinstance(old, dict):
            yield from differences(old, new, here)
        elif old != new:
            yield f"{here} differs"


def main() -> None:
    """Write the file anew, and say what differs."""
    now = plans()
    kept = read() if GOLDEN.exists() else {}
    for line in differences(kept, now):
        print(line)
    GOLDEN.write_text(f"{json.dumps(now, indent=1, sort_keys=True)}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
