"""What somebody changes by hand is seen, whatever it is, and the next converge puts back just that.

Each kind is done on one of the hosts, another kind on the other, before one converge of both, which must leave each host
as it was to the last mode and digest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from playbook import Run, play
from targets import Target, rounds

pytestmark = pytest.mark.scenario("default")

APP = "probe"
UNITS = "/etc/systemd/system"
RELEASE = "$(readlink -f /srv/asgi/probe/current)"
ID = "$(basename $(readlink /srv/asgi/probe/current))"
DROP_IN = f"{UNITS}/asgi-probe@{ID}.service.d/release.conf"
SECRETS = f"/etc/asgi/probe/{ID}"

# Files of the host that can be written back: no process of an app has to end for them.
OUTSIDE = {
    "unit of the service edited": f"echo '# by hand' >> {UNITS}/asgi-probe@.service",
    "unit of the socket gone": f"rm {UNITS}/asgi-probe@.socket",
    "mode of a unit": f"chmod 0600 {UNITS}/asgi-probe@.service",
    "service not enabled": f"systemctl disable -q asgi-probe@{ID}.service",
    "socket not enabled": f"systemctl disable -q asgi-probe@{ID}.socket",
    "site edited": "sed -i 's/body_size 10m/body_size 1m/' /etc/nginx/conf.d/asgi-app-probe.conf",
    "shared configuration gone": "rm /etc/nginx/conf.d/asgi-00-shared.conf",
    "forwarded headers appended": (
        "sed -i 's/X-Forwarded-For .*/X-Forwarded-For $proxy_add_x_forwarded_for;/' /etc/nginx/asgi/proxy.conf"
    ),
    "TLS loosened": "sed -i 's/TLSv1.2/TLSv1 TLSv1.1 TLSv1.2/' /etc/nginx/asgi/tls.conf",
    "limits gone": "rm /etc/nginx/asgi/server.conf",
    "sandbox of nginx gone": f"rm -r {UNITS}/nginx.service.d",
    "placeholder site back": "ln -s /etc/nginx/sites-available/default /etc/nginx/sites-enabled/default",
    "mode of a certificate's folder": "chmod 0755 /etc/nginx/asgi/tls/probe",
    "nginx not enabled": "systemctl disable -q nginx",
    "account's file gone": "rm /etc/sysusers.d/asgi-probe.conf",
    "mode of the data folder": "chmod 0777 /var/lib/asgi/probe",
    "owner of the data folder": "chown root /var/lib/asgi/probe",
    "mode of the secrets' folder": "chmod 0755 /etc/asgi/probe",
    "owner of the app's folder": "chown nobody /srv/asgi/probe",
    "mode of the environment": f"chmod 0644 {SECRETS}/environment",
    "owner of the drop-in": f"chown nobody {DROP_IN}",
    "mode of the socket": f"chmod 0777 {RELEASE}/app.sock",
    "group of the socket": f"chgrp nogroup {RELEASE}/app.sock",
    "uv's requirements edited": "echo >> /usr/local/lib/asgi-host/uv-requirements.txt",
    "a Debian package removed": "dpkg --remove --force-depends build-essential",
}
# Changes of what a process was started with: it is started again.
INSIDE = {
    "environment edited": f"echo 'ODD=1' >> {SECRETS}/environment",
    "environment gone": f"rm -r {SECRETS}",
    "drop-in edited": f"echo 'Nice=5' >> {DROP_IN}",
    "drop-in of the release gone": f"rm -r $(dirname {DROP_IN})",
    "settings of gunicorn edited": f"echo 'threads = 2' >> {RELEASE}/gunicorn.conf.py",
    "service stopped": f"systemctl stop asgi-probe@{ID}.service asgi-probe@{ID}.socket",
}
# Changes of processes alone.
RUNNING = {
    "socket's name removed": f"rm {RELEASE}/app.sock",
    "nginx stopped": "systemctl stop nginx",
}
HANGING = {"processes that hang": "pkill -STOP -u asgi-probe"}
DRIFTS = {"outside": OUTSIDE, "inside": INSIDE, "running": RUNNING, "hanging": HANGING}
# What is in a release is not mended but built anew: nobody knows what else was done to it.
WITHIN = {
    "source edited": f"echo '# by hand' >> {RELEASE}/src/probe/main.py",
    "source's file removed": f"rm {RELEASE}/src/static/hello.txt",
    "package in the virtualenv edited": f"echo '# by hand' >> $(ls {RELEASE}/venv/lib/python3*/site-packages/fastapi/applications.py)",
    "package in the virtualenv removed": f"rm -r {RELEASE}/venv/lib/python3*/site-packages/fastapi",
    "interpreter of the virtualenv gone": f"rm {RELEASE}/venv/bin/python",
    "release's ledger gone": f"rm {RELEASE}/release.json",
    "link to the release gone": "rm /srv/asgi/probe/current",
}

# Type, mode, owner, group, name, and what it holds, of all that the role brings; but for what changes by itself.
PLACES = "/etc/nginx /etc/systemd/system /etc/asgi /etc/sysusers.d /srv/asgi /var/lib/asgi /usr/local/lib/asgi-host"
PASSED_OVER = (
    r"\( -name .lock -o -name '*.before-asgi-host' -o -name __pycache__ -o -name release.json \) -prune"
)
SNAPSHOT = f"""
find {PLACES} {PASSED_OVER} -o -printf '%y %m %u %g %p %l\\n' | sort
find {PLACES} {PASSED_OVER} -o -path '*/venv/*' -prune -o -type f -print0 | sort -z | xargs -0 sha256sum
systemctl is-enabled nginx
dpkg-query -W -f '${{Package}} ${{Status}}\\n' build-essential
"""


@dataclass(frozen=True)
class Before:
    """A host before anybody touched it."""

    files: str
    pids: dict[str, list[int]]
    release: str


def look(targets: list[Target]) -> dict[str, Before]:
    return {
        target.name: Before(target.run(SNAPSHOT), target.pids(), str(target.release(APP)["id"]))
        for target in targets
    }


def drifted(drifts: Mapping[Target, Mapping[str, str]]) -> Run:
    """Do each host's drifts, in order, and converge them all."""
    for target, own in drifts.items():
        for name, command in own.items():
            target.run(f"# {name}\n{command}")
        # Somebody who edits units tells systemd so.
        target.run("systemctl daemon-reload")
    return play(targets=list(drifts))


def difference(before: str, after: str) -> list[str]:
    one, two = set(before.splitlines()), set(after.splitlines())
    return [f"- {line}" for line in sorted(one - two)] + [f"+ {line}" for line in sorted(two - one)]


@pytest.fixture(scope="module")
def untouched(all_targets: list[Target]) -> dict[str, Before]:
    return look(all_targets)


def test_snapshot_sees_every_drift(target: Target, untouched: dict[str, Before]) -> None:
    """The comparison can fail: each change of a file alone makes another snapshot."""
    before = untouched[target.name].files
    for path in ("/etc/nginx/asgi/proxy.conf", "/srv/asgi/probe/current/src/probe/main.py"):
        target.run(f"cp -p {path} /run/kept; chmod 0640 {path}")
        assert difference(before, target.run(SNAPSHOT))
        target.run(f"cat /run/kept > {path}; chmod 0644 {path}; touch -r /run/kept {path}; rm /run/kept")
        assert not difference(before, target.run(SNAPSHOT))


@pytest.mark.parametrize("kinds", rounds(DRIFTS), ids=" and ".join)
def test_drift_is_put_back(
    all_targets: list[Target], untouched: dict[str, Before], kinds: tuple[str, ...]
) -> None:
    """To the last mode and digest; what only concerns nginx or a file ends no process of the app."""
    chosen = dict(zip(all_targets, kinds, strict=False))
    before = look(list(chosen))
    run = drifted({target: DRIFTS[kind] for target, kind in chosen.items()})
    assert run.status == 0, run.output[-6000:]
    for target, kind in chosen.items():
        after = look([target])[target.name]
        assert run.changed(target.name) > 0
        changes = difference(untouched[target.name].files, after.files)
        assert not changes, f"{target.name} after {list(DRIFTS[kind])}"
        assert after.release == untouched[target.name].release
        assert (after.pids == before[target.name].pids) == (kind == "outside")
        assert target.door.json(target.domain(APP))["app"] == APP
    again = play(targets=list(chosen))
    assert [again.changed(target.name) for target in chosen] == [0] * len(chosen), again.output[-4000:]


@pytest.mark.parametrize("names", rounds(WITHIN), ids=" and ".join)
def test_altered_release_is_built_anew(all_targets: list[Target], names: tuple[str, ...]) -> None:
    """Another one of the same source serves; nothing of the altered one is in it."""
    chosen = dict(zip(all_targets, names, strict=False))
    before = look(list(chosen))
    run = drifted({target: {name: WITHIN[name]} for target, name in chosen.items()})
    assert run.status == 0, run.output[-6000:]
    for target, name in chosen.items():
        assert run.changed(target.name) > 0
        assert target.door.json(target.domain(APP))["app"] == APP
        altered = target.run(
            "grep -rc 'by hand' /srv/asgi/probe/current/ --include=main.py --include=applications.py || true"
        )
        assert set(re.findall(r":(\d+)$", altered, re.MULTILINE)) == {"0"}, altered
        if "link" in name:
            assert target.release(APP)["id"] == before[target.name].release
        else:
            assert target.release(APP)["id"] != before[target.name].release
