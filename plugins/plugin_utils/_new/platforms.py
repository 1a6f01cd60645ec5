# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What files of platforms say: a Procfile, Fly's fly.toml, Kamal's deploy.yml, supervisord's programs."""

from __future__ import annotations

import re

from . import commands
from .project import Project
from .ways import SERVICES, Said, Ways, items, mapping


def read(project: Project) -> Ways:
    """What they say together."""
    found = Ways()
    _procfile(project, found)
    _fly(project, found)
    _kamal(project, found)
    _supervisor(project, found)
    return found


def _process(name: str, text: str, where: str, project: Project, found: Ways) -> None:
    calls = commands.split(text, where, project)
    if name in ("web", "app") or (calls and calls[-1].serves):
        found.commands += calls
    elif name == "release":
        found.once += [Said(call, where) for call in calls if call.program not in ("yes", "echo", "set")]
    elif calls:
        found.processes[name] = Said(calls[-1], where)


def _procfile(project: Project, found: Ways) -> None:
    for number, line in enumerate(project.text("Procfile").splitlines(), 1):
        if match := re.match(r"([A-Za-z0-9_-]+):\s*(.+)", line):
            _process(match.group(1), match.group(2), f"Procfile:{number}", project, found)
    if match := re.match(r"python-(\d\.\d+)", project.text("runtime.txt")):
        found.python = Said(match.group(1), "runtime.txt")


def _fly(project: Project, found: Ways) -> None:
    given = project.toml("fly.toml")
    for name, value in mapping(given.get("env")).items():
        if name not in ("PORT", "HOST"):
            found.variable(str(name), value, "fly.toml: [env]")
    for name, text in mapping(given.get("processes")).items():
        _process(str(name), str(text), f"fly.toml: [processes] {name}", project, found)
    release = mapping(given.get("deploy")).get("release_command")
    if release:
        _process("release", str(release), "fly.toml: release_command", project, found)
    services = [mapping(given.get("http_service")), *map(mapping, items(given.get("services")))]
    checks = [
        check
        for service in services
        for key in ("checks", "http_checks")
        for check in items(service.get(key))
    ]
    checks += list(mapping(given.get("checks")).values())
    for check in checks:
        path = mapping(check).get("path")
        if isinstance(path, str) and path.startswith("/"):
            found.health.append(Said(path, "fly.toml: checks"))
    mounts = given.get("mounts")
    for mount in mounts if isinstance(mounts, list) else [mounts]:
        place = mapping(mount).get("destination")
        if isinstance(place, str) and (match := re.fullmatch(r"/(?:app|code|srv)/([\w./-]+)", place)):
            found.kept[match.group(1).strip("/")] = "fly.toml: [mounts]"


def _kamal(project: Project, found: Ways) -> None:
    given = mapping(project.yaml("config/deploy.yml"))
    where = "config/deploy.yml"
    environment = mapping(given.get("env"))
    clear = (
        environment
        if "clear" not in environment and "secret" not in environment
        else mapping(environment.get("clear"))
    )
    for name, value in clear.items():
        found.variable(str(name), value, f"{where}: env")
    for name in items(environment.get("secret")):
        found.secrets[str(name).partition(":")[0]] = f"{where}: env.secret"
    for name, server in mapping(given.get("servers")).items():
        text = mapping(server).get("cmd")
        if text:
            _process(str(name), str(text), f"{where}: servers.{name}", project, found)
    check = mapping(mapping(given.get("proxy")).get("healthcheck")) or mapping(given.get("healthcheck"))
    if isinstance(check.get("path"), str):
        found.health.append(Said(check["path"], f"{where}: healthcheck"))
    for name, accessory in mapping(given.get("accessories")).items():
        image = str(mapping(accessory).get("image") or "")
        if kind := next((SERVICES[part] for part in SERVICES if part in image), ""):
            found.services.setdefault(kind, f"{where}: accessories.{name}")
    for each in items(given.get("volumes")):
        _host, _sign, inside = str(each).partition(":")
        if match := re.match(r"/(?:app|code|srv)/([\w./-]+)", inside):
            found.kept[match.group(1).strip("/")] = f"{where}: volumes"


def _supervisor(project: Project, found: Ways) -> None:
    """Programs of supervisord, which images run several processes by."""
    for path in project.named(r"supervisor[\w.-]*\.(?:conf|ini)"):
        name = ""
        for number, line in enumerate(project.text(path).splitlines(), 1):
            if match := re.match(r"\[program:([\w-]+)\]", line):
                name = match.group(1)
            elif line.startswith("["):
                name = ""
            elif name and (match := re.match(r"command\s*=\s*(.+)", line)) and "%(" not in line:
                calls = commands.split(match.group(1), f"{path}:{number}", project)
                if calls and not calls[-1].serves and calls[-1].program not in ("uwsgi", "nginx", "cron"):
                    found.processes.setdefault(name, Said(calls[-1], f"{path}:{number}"))
