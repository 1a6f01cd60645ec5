"""The peers' work by pyinfra, as its documentation writes deploys: one operation for each thing, `_if` for what follows a change.

The environment names the JSON of the work, which converge_peers.py writes.
"""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from pyinfra import config, host
from pyinfra.api import FactBase, QuoteString, StringCommand, operation
from pyinfra.facts.files import File
from pyinfra.facts.server import Command
from pyinfra.operations import apt, files, pip, server, systemd, uv
from pyinfra.operations.util import any_changed

WORK = json.loads(Path(os.environ["PEER_WORK"]).read_text(encoding="utf-8"))
ANSWERS = (Path(__file__).parent / "answers.py").read_text(encoding="utf-8")
OWN = {"user": "root", "group": "root"}
CACHE = {"UV_CACHE_DIR": "/var/cache/peer/uv", **WORK["environment_of_peers"]}
config.SUDO = True


class Unanswered(FactBase):
    """The domains that do not answer."""

    def command(self, domains: Sequence[str]) -> StringCommand:
        """Ask them on the host."""
        asked = (QuoteString(domain) for domain in domains)
        return StringCommand("python3", "-c", QuoteString(ANSWERS), *asked, "||", "true")


@operation()
def answer(domains: Sequence[str]) -> Iterator[StringCommand]:
    """Every domain must answer."""
    if missing := host.get_fact(Unanswered, domains=domains):
        yield StringCommand("echo", QuoteString(f"no answer: {missing}"), ">&2;", "false")


apt.packages(
    name="Install the Debian packages",
    packages=WORK["packages"],
    update=True,
    cache_time=86400,
    no_recommends=True,
)
files.directory(name="Folder /opt/peer", path="/opt/peer", mode="755", **OWN)
# Not `pip.packages`: it asks pip each time, which takes longer than all that follows.
if not host.get_fact(Command, "/opt/peer/uv/bin/uv --version || true").startswith(f"uv {WORK['uv']} "):
    pip.packages(
        name="Install uv",
        packages=[f"uv=={WORK['uv']}"],
        virtualenv="/opt/peer/uv",
        virtualenv_kwargs={"python": "python3", "venv": True},
        _env=WORK["environment_of_peers"],
    )
for path in ("/srv/peer", "/var/lib/peer", "/etc/nginx/peer"):
    files.directory(name=f"Folder {path}", path=path, mode="755", **OWN)
for path in ("/etc/peer", "/var/cache/peer", "/etc/nginx/peer/tls"):
    files.directory(name=f"Folder {path}", path=path, mode="700", **OWN)

doors = [
    files.template(
        name=f"nginx's {each}.conf",
        src=f"templates/{each}.conf.j2",
        dest=f"/etc/nginx/peer/{each}.conf",
        mode="644",
        **OWN,
    )
    for each in ("proxy", "tls")
]
for app in WORK["apps"]:
    name, user = app["name"], f"peer-{app['name']}"
    home = f"/srv/peer/{name}"
    server.user(  # noqa: S604 - the shell is the user's
        name=f"User {user}",
        user=user,
        home=f"/var/lib/peer/{name}",
        shell="/usr/sbin/nologin",
        system=True,
        ensure_home=False,
    )
    for path, mode, owner in (
        (home, "755", "root"),
        (f"/var/lib/peer/{name}", "750", user),
        (f"/etc/peer/{name}", "700", "root"),
    ):
        files.directory(name=f"Folder {path}", path=path, mode=mode, user=owner, group=owner)
    app_files = [
        files.template(
            name=f"File {dest}", src=f"templates/{template}.j2", dest=dest, mode=mode, app=app,
            requirements=WORK["requirements"], **OWN,
        )
        for template, dest, mode in (
            ("environment", f"/etc/peer/{name}/environment", "600"),
            ("requirements.txt", f"{home}/requirements.txt", "644"),
            ("gunicorn.conf.py", f"{home}/gunicorn.conf.py", "644"),
        )
    ]  # fmt: skip
    source = files.sync(
        name=f"Source of {name}",
        src=WORK["source"],
        dest=f"{home}/src",
        mode="644",
        dir_mode="755",
        delete=True,
        exclude_dir=["__pycache__", "*/__pycache__"],
        add_deploy_dir=False,
        **OWN,
    )
    own_uv = {
        **CACHE,
        "VIRTUAL_ENV": f"{home}/venv",
        "PATH": "/opt/peer/uv/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    }
    # Not `uv.venv`: in 3.10.0 it makes PATH, but looks for PATH/.venv, and fails the second time.
    if not host.get_fact(File, path=f"{home}/venv/bin/activate"):
        app_files.append(
            server.shell(
                name=f"Virtualenv of {name}",
                commands=[f"uv venv --quiet --clear {home}/venv"],
                _env=own_uv,
            )
        )
    packages = uv.packages(
        name=f"Python packages of {name}",
        packages=WORK["requirements"],
        extra_args=["--no-deps"],
        _env=own_uv,
    )
    units = {
        kind: files.template(
            name=f"Unit {user}.{kind}",
            src=f"templates/app.{kind}.j2",
            dest=f"/etc/systemd/system/{user}.{kind}",
            mode="644",
            app=app,
            **OWN,
        )
        for kind in ("socket", "service")
    }
    systemd.daemon_reload(name="Let systemd read its units", _if=any_changed(*units.values()))
    systemd.service(name=f"Socket of {name}", service=f"{user}.socket", running=True, enabled=True)
    restart = systemd.service(
        name=f"Restart {name}",
        service=f"{user}.service",
        running=None,
        restarted=True,
        _if=any_changed(*app_files, source, packages, units["service"]),
    )
    systemd.service(name=f"Service of {name}", service=f"{user}.service", running=True, enabled=True)
    key = f"/etc/nginx/peer/tls/{name}.key"
    if not host.get_fact(File, path=key) or not host.get_fact(File, path=key.replace(".key", ".pem")):
        doors.append(server.shell(name=f"Certificate of {name}", commands=[app["certificate"]]))
    for suffix, mode in (("key", "600"), ("pem", "644")):
        path = f"/etc/nginx/peer/tls/{name}.{suffix}"
        doors.append(files.file(name=f"File {path}", path=path, mode=mode, touch=False, **OWN))
    doors.append(
        files.template(
            name=f"Site of {name}",
            src="templates/site.conf.j2",
            dest=f"/etc/nginx/conf.d/{user}.conf",
            mode="644",
            app=app,
            **OWN,
        )
    )
systemd.service(name="nginx", service="nginx.service", running=True, enabled=True)
server.shell(
    name="Check and reload nginx", commands=["nginx -t -q", "systemctl reload nginx"], _if=any_changed(*doors)
)
answer(name="Every app answers", domains=[app["domain"] for app in WORK["apps"]])
