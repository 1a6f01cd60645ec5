"""What an app and its dependencies bring is never executed as root, and one app's build reaches no other's things."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playbook import Run, changed_inventory, play
from targets import Target

pytestmark = [pytest.mark.scenario("walls"), pytest.mark.lane]

PROJECT = """
[build-system]
requires = []
build-backend = "raid"
backend-path = ["."]

[project]
name = "raider"
version = "1"
dynamic = ["dependencies"]
"""
# A build backend of the source itself. What it finds goes into its wheel: it has no other way out.
BACKEND = r"""
import base64, glob, hashlib, io, json, os, signal, subprocess, zipfile

SECRETS = ["/etc/shadow", "/etc/asgi/*", "/etc/asgi/*/*", "/etc/asgi/*/*/*", "/var/lib/asgi/victim/*", "/root/.*rc",
           "/proc/1/environ", "/srv/asgi/victim/*/*", "/var/cache/private/asgi-build/victim/*", "/var/cache/asgi/*"]
PLACES = ["/run", "/etc/cron.d", "/usr/local/bin", "/srv/asgi", "/srv/asgi/victim", "/srv/asgi/victim/current/src",
          "/srv/asgi/raider/current", "/var/cache/asgi/uv", "/var/cache/asgi-build/victim/uv",
          "/var/cache/private/asgi-build/victim/uv"]


def look():
    found = {"uid": os.getuid(), "read": [], "wrote": [], "environment": dict(os.environ)}
    with open("/proc/self/status") as status:
        found["capabilities"] = [line.split()[1] for line in status if line.startswith(("CapEff", "CapBnd"))]
    for path in (path for pattern in SECRETS for path in glob.glob(pattern)):
        try:
            open(path, "rb").read(1)
        except OSError:
            continue
        found["read"].append(path)
    for place in PLACES:
        try:
            open(place + "/raider-was-here", "w").close()
        except OSError:
            continue
        found["wrote"].append(place)
    subprocess.Popen(["sleep", "986532"], start_new_session=True, preexec_fn=lambda: [signal.signal(number, signal.SIG_IGN) for number in (1, 2, 15)],
                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return found


def _metadata():
    return "Metadata-Version: 2.1\nName: raider\nVersion: 1\n"


def prepare_metadata_for_build_wheel(directory, settings=None):
    look()
    os.makedirs(directory + "/raider-1.dist-info")
    with open(directory + "/raider-1.dist-info/METADATA", "w") as file:
        file.write(_metadata())
    return "raider-1.dist-info"


def build_wheel(directory, settings=None, metadata=None):
    files = {
        "raider_report.json": json.dumps(look()),
        "raider-1.dist-info/METADATA": _metadata(),
        "raider-1.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: raid\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digest = lambda text: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    record = [f"{name},sha256={digest(text)},{len(text)}" for name, text in files.items()]
    files["raider-1.dist-info/RECORD"] = "\n".join([*record, "raider-1.dist-info/RECORD,,", ""])
    with zipfile.ZipFile(directory + "/raider-1-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    return "raider-1-py3-none-any.whl"
"""
# In a wheel without any code to be called, and in the source: whoever starts the virtualenv's interpreter runs it.
AT_START = (
    "import os; os.getuid() or open('/run/raider-{0}', 'a').write(open('/etc/shadow').read()); "
    "os.environ.get('STATE_DIRECTORY') and open(os.environ['STATE_DIRECTORY'] + '/{0}', 'a').write(str(os.getuid()))\n"
)
APP = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": message["type"] + ".complete"})
            if message["type"] == "lifespan.shutdown":
                return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"raider"})
"""
DAEMON = "pgrep -fx 'sleep 986532' || true"


def pure_wheel(folder: Path) -> str:
    """Write a wheel that holds nothing but a ``.pth``; returns its name."""
    files = {
        "quiet.pth": AT_START.format("pth"),
        "quiet-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: quiet\nVersion: 1\n",
        "quiet-1.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},{len(text)}"
        for name, text in files.items()
    ]
    files["quiet-1.dist-info/RECORD"] = "\n".join([*record, "quiet-1.dist-info/RECORD,,", ""])
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
    (folder / "quiet-1-py3-none-any.whl").write_bytes(content.getvalue())
    return "quiet-1-py3-none-any.whl"


@dataclass
class Raid:
    """An attacker's app on a host, deployed by sessions whose umask is 077."""

    target: Target
    folder: Path
    deployed: Run
    """The first deploy."""

    def app(self, **more: Any) -> dict[str, Any]:
        """It, as the inventory has it."""
        source = {"path": str(self.folder / "src"), "requirements": "requirements.txt"}
        return {"name": "raider", "app": "main:app", "source": source, "workers": 1, **more}

    def play(self, **more: Any) -> Run:
        """Converge the host with it."""
        inventory = changed_inventory(self.folder, [self.target], add=[self.app(**more)])
        return play(inventory=inventory, targets=[self.target])

    def report(self) -> dict[str, Any]:
        """What its build backend found."""
        site = "/srv/asgi/raider/current/venv/lib/python3*/site-packages"
        found: dict[str, Any] = json.loads(self.target.run(f"cat {site}/raider_report.json"))
        return found

    def answers(self) -> str:
        """What the app says to nginx's user."""
        ask = "curl -sS --fail --unix-socket /srv/asgi/raider/current/app.sock http://raider/"
        return self.target.run(f"setpriv --reuid=www-data --regid=www-data --init-groups {ask}")


PAM = "/etc/pam.d/common-session /etc/pam.d/common-session-noninteractive"


def harden(target: Target) -> None:
    """Let sessions begin with a umask of 077, as hardened hosts do."""
    target.run(f"echo 'session optional pam_umask.so umask=0077' | tee -a {PAM}")
    assert target.run("sudo sh -c umask").strip() == "0077"


def soften(target: Target) -> None:
    """Give sessions their umask back."""
    target.run(f"sed -i '/pam_umask.so umask=0077/d' {PAM}")


@pytest.fixture(scope="module")
def raid(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Raid]:
    """The attacker, deployed; gone with all that it has at the end."""
    folder = tmp_path_factory.mktemp("raid")
    source = folder / "src"
    source.mkdir()
    name = pure_wheel(source)
    files = {
        "pyproject.toml": PROJECT,
        "raid.py": BACKEND,
        "main.py": APP,
        "sitecustomize.py": AT_START.format("sitecustomize"),
        "requirements.txt": f"./{name}\n",
    }
    for path, text in files.items():
        (source / path).write_text(text)
    target.run("apt-get install -qq -y curl >/dev/null 2>&1 || true")
    made = Raid(target, folder, Run(1, ""))
    try:
        harden(target)
        made.deployed = made.play()
        assert made.deployed.status == 0, made.deployed.output[-6000:]
        yield made
    finally:
        soften(target)
        made.play(state="absent", purge=True)


def test_nothing_of_a_build_is_root_or_reads_a_secret(raid: Raid) -> None:
    """A build backend of the source: no root, no capability, no secret, no place of another app or of the host."""
    found = raid.report()
    assert found["uid"] != 0
    assert set(found["capabilities"]) == {"0000000000000000"}
    assert found["read"] == []
    assert found["wrote"] == []
    users = raid.target.run("getent passwd | cut -d: -f3").split()
    assert str(found["uid"]) not in users, "the build user is no app's"
    assert not [name for name in found["environment"] if "SECRET" in name]
    assert raid.target.run("find / -xdev -name raider-was-here -not -path '/proc/*'") == ""


def test_interpreter_of_the_virtualenv_is_never_root(raid: Raid) -> None:
    """A pure wheel's .pth and the source's sitecustomize; the app's own start did run the first."""
    assert raid.target.run("ls /run | grep '^raider-' || true") == ""
    uid = raid.target.run("id -u asgi-raider").strip()
    ran = raid.target.run("cat /var/lib/asgi/raider/pth")
    assert uid in ran
    assert ran.replace(uid, "") == ""


def test_no_process_of_a_build_outlives_it(raid: Raid) -> None:
    """Nor does its unit."""
    assert raid.target.run(DAEMON) == ""
    assert raid.target.run("systemctl list-units --all --no-legend 'asgi-raider-run-*'") == ""


def test_release_is_roots_own_and_shares_no_file_with_a_cache(raid: Raid) -> None:
    """Whatever a build left in its cache cannot change what serves."""
    release = "$(readlink -f /srv/asgi/raider/current)"
    foreign = f"find {release}/src {release}/venv ! -user root -o ! -group root -o ! -type l -perm /6022"
    assert raid.target.run(foreign) == ""
    caches = "find /var/cache -type f -printf '%i\\n' | sort -u > /run/caches"
    shared = f"find {release}/ -type f -printf '%i\\n' | sort -u | comm -12 - /run/caches"
    assert raid.target.run(f"{caches}; {shared}; rm /run/caches") == ""


def test_bytecode_is_there(raid: Raid) -> None:
    """Of the virtualenv and of the source, as the app finds it."""
    script = "cd /srv/asgi/raider/current; ls src/__pycache__/main.*.pyc venv/lib/python3*/site-packages/gunicorn/__pycache__/*.pyc"
    assert len(raid.target.run(script).split()) > 10


def test_umask_of_a_session_does_not_matter(raid: Raid) -> None:
    """With 077 everything that the app and nginx are to read can be read."""
    assert raid.answers() == "raider"
    assert (
        raid.target.run(
            "find /srv/asgi/raider/current/ /usr/local/lib/asgi-host ! -type l ! -type s ! -perm -o=r"
        )
        == ""
    )


@pytest.mark.in_turn(0)
def test_what_an_earlier_run_left_unreadable_is_healed(raid: Raid) -> None:
    """As runs of an earlier version did under such a umask: tool, folders, code and virtualenv."""
    release = "$(readlink -f /srv/asgi/raider/current)"
    before = raid.target.release("raider")["id"]
    raid.target.run(
        f"chmod -R go= /usr/local/lib/asgi-host; chmod go= /srv/asgi/raider /srv/asgi/raider/releases {release}; "
        f"chmod go= {release}/src/main.py; find {release}/venv -name '*.py' -exec chmod go= {{}} +"
    )
    run = raid.play()
    assert run.status == 0, run.output[-6000:]
    assert raid.answers() == "raider"
    assert raid.target.release("raider")["id"] != before
    assert (
        raid.target.run(
            "find /srv/asgi/raider/current/ /usr/local/lib/asgi-host ! -type l ! -type s ! -perm -o=r"
        )
        == ""
    )
