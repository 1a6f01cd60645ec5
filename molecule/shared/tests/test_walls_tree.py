"""What an app's user has had open, and what lies in its folders, moves root to nothing: builds, locks, stops, removal.

One app attacks in each way that its role in a play allows. The version that serves helps the build hooks of the next.
"""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playbook import Run, changed_inventory, play
from targets import Target, wait_for

# The walks are the engine's own, on the older Python of the two; the other host has test_walls_inventory.
pytestmark = [pytest.mark.scenario("walls"), pytest.mark.lane, pytest.mark.in_turn(0)]

APP = "climber"
USER = f"asgi-{APP}"
DATA = f"/var/lib/asgi/{APP}"
# A file and a folder of root's that no deploy has to do with.
CANARY = "/etc/asgi-walls-canary"
CANARIES = "/var/lib/asgi-walls-canary"
SECRET = "the-word-of-the-canary"
# Seconds: systemd's limit for the end of this app (graceful_timeout + timeout + 15), and what the test adds.
STOP_LIMIT_S, MARGIN_S = 17.0, 6.0
PRIZES = 200

MAIN = """
import array, asyncio, os, socket, sys, threading, time

VERSION, STUBBORN = {version!r}, {stubborn!r}
DATA = os.environ["HOME"]

def extend():
    while True:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
            notify.connect(os.environ["NOTIFY_SOCKET"])
            notify.send(b"EXTEND_TIMEOUT_USEC=3600000000")
        time.sleep(1)

def swap(folder):
    # A file and a link to the canary take turns under each name, as fast as it goes.
    names = [f"prize-{{number}}" for number in range({prizes})]
    def ignore(do, *args, **keys):
        try:
            do(*args, **keys)
        except OSError:
            pass
    while True:
        for name in names:
            ignore(os.symlink, {canary!r}, name + ".l", dir_fd=folder)
            ignore(os.rename, name + ".l", name, src_dir_fd=folder, dst_dir_fd=folder)
        for name in names:
            ignore(os.close, os.open(name + ".f", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=folder))
            ignore(os.rename, name + ".f", name, src_dir_fd=folder, dst_dir_fd=folder)

def write(file):
    number = 0
    while True:
        number += 1
        os.pwrite(file, b"%017d" % number, 0)
        time.sleep(0.005)

def help_the_next():
    path = DATA + "/helper.sock"
    if os.path.lexists(path):
        os.unlink(path)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(path)
        door.listen()
        while True:
            line, _ = door.accept()
            what, handles, _, _ = socket.recv_fds(line, 20, 2)
            line.send(b"got it")
            for do in ([swap] * 2 if what == b"swap" else [write]):
                threading.Thread(target=do, args=(handles[0],), daemon=True).start()

if "uvicorn" in sys.modules and not os.environ.get("HOOK"):
    threading.Thread(target=help_the_next, daemon=True).start()
    if STUBBORN and os.environ.get("NOTIFY_SOCKET"):
        threading.Thread(target=extend, daemon=True).start()

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown" and STUBBORN:
                await asyncio.sleep(1_000_000)
            await send({{"type": message["type"] + ".complete"}})
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": VERSION.encode()}})
"""

HOOK = """
import os, socket, sys

def give(what, handle):
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(os.environ["HOME"] + "/helper.sock")
        socket.send_fds(line, [what], [handle])
        assert line.recv(20) == b"got it"

open("sealed.txt", "w").write("what the hook wrote")
if "write" in sys.argv:
    give(b"write", os.open("sealed.txt", os.O_RDWR))
if "swap" in sys.argv:
    for number in range({prizes}):
        open(f"prize-{{number}}", "w").close()
    give(b"swap", os.open(".", os.O_RDONLY | os.O_DIRECTORY))
"""

# Holds each lock that its user can get, until it is killed.
HOLD = """
import fcntl, os, time
held = []
for top in ("/etc/asgi", "/run", "/srv/asgi", "/tmp", "/var/cache", "/var/lib/asgi", "/usr/local/lib/asgi-host"):
    for base, folders, files in os.walk(top):
        for name in (".", *files):
            path = os.path.join(base, name)
            try:
                handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                continue
            lock = path.endswith((".lock", ".asgi-host")) and not path.endswith("requirements.lock")
            # podman's own, where an app is an image.
            lock = lock and not path.startswith(("/run/containers/", "/run/lock/netavark.lock"))
            if lock and os.fstat(handle).st_uid == 0:
                print(path, flush=True)
            held.append(handle)
            if len(held) > 900:
                os.close(held.pop(0))
print("holding", flush=True)
time.sleep(120)
"""

# A folder 6,000 levels deep, made as no path could name it.
DEEP = f"""
import os
os.chdir({DATA!r})
for _ in range(6000):
    os.mkdir("deep")
    os.chdir("deep")
open("bottom", "w").close()
os.chdir({DATA!r})
os.symlink({CANARIES!r}, "canaries")
os.mkdir("holds")
os.symlink({CANARIES!r}, "holds/canaries")
"""


def as_user(user: str, command: str) -> str:
    """A command of the host's shell as one of its users."""
    return f"setpriv --reuid={user} --regid=$(id -g {user}) --clear-groups -- {command}"


@dataclass
class Climber:
    """The attacker's source and its deploys."""

    target: Target
    folder: Path
    deploys: dict[str, float] = field(default_factory=dict)

    def deploy(self, version: str, *hook: str, stubborn: bool = False, **keys: Any) -> Run:
        """Deploy a version whose build hook does these things."""
        source = self.folder / "source"
        source.mkdir(exist_ok=True)
        values = {"version": version, "stubborn": stubborn, "canary": CANARY, "prizes": PRIZES}
        (source / "main.py").write_text(textwrap.dedent(MAIN.format(**values)))
        (source / "hook.py").write_text(textwrap.dedent(HOOK.format(**values)))
        app: dict[str, Any] = {
            "name": APP,
            "app": "main:app",
            "server": "uvicorn",
            "workers": 1,
            "timeout": 1,
            "graceful_timeout": 1,
            "source": {"path": str(source)},
            "hooks": {"build": [f"HOOK=1 python3 hook.py {' '.join(hook)}"]},
            **keys,
        }
        run = play(inventory=changed_inventory(self.folder, [self.target], add=[app]), targets=[self.target])
        self.deploys[version] = time.monotonic()
        return run

    def succeeds(self, version: str, *hook: str, stubborn: bool = False) -> None:
        """Deploy, which must succeed."""
        run = self.deploy(version, *hook, stubborn=stubborn)
        assert run.status == 0, run.output[-4000:]

    def current(self) -> str:
        """The release that serves."""
        return self.target.run(f"basename $(readlink /srv/asgi/{APP}/current)").strip()

    def canary_lives(self) -> None:
        """Nothing of root's was opened, changed or copied."""
        assert self.target.run(f"stat -c '%a %U' {CANARY}").strip() == "600 root"
        assert self.target.run(f"cat {CANARY} {CANARIES}/*").split() == [SECRET, SECRET]
        assert not self.target.run(f"grep -rl {SECRET} /srv/asgi/{APP} 2>/dev/null || true").strip()


@pytest.fixture(scope="module")
def climber(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Climber]:
    made = Climber(target, tmp_path_factory.mktemp(target.name))
    target.run(
        f"umask 077; echo {SECRET} > {CANARY}; mkdir -p {CANARIES}; echo {SECRET} > {CANARIES}/one; "
        f"chmod 755 {CANARIES}"
    )
    made.succeeds("one", stubborn=True)
    yield made
    target.run(f"rm -rf {CANARY} {CANARIES}")


def test_nobody_holds_a_lock_of_roots_and_what_was_open_is_not_sealed(
    climber: Climber, target: Target
) -> None:
    """A descriptor that a hook passed on writes nothing into the release; a deploy waits for nobody's lock."""
    first = climber.current()
    script = as_user(USER, "python3 -u - > /tmp/held 2>&1 & echo $!")
    holder = target.run(f"cat > /tmp/hold.py <<'END'\n{HOLD}END\n{script.replace('-u -', '-u /tmp/hold.py')}")
    try:
        wait_for(lambda: "holding" in target.run("cat /tmp/held"), 20)
        assert target.run("cat /tmp/held").split() == ["holding"]
        climber.succeeds("two", "write")
    finally:
        target.run(f"kill {holder.strip()} || true; rm -f /tmp/held /tmp/hold.py")
    second = climber.current()
    assert second != first
    sealed = f"/srv/asgi/{APP}/releases/{second}/src/sealed.txt"
    before, after = target.run(f"cat {sealed}; echo; sleep 0.5; cat {sealed}").split("\n")
    assert before == after
    assert target.run(f"stat -c '%U %a %h' {sealed}").split() == ["root", "644", "1"]
    # Its own limit is a process's last word, though nobody waits for its end.
    left = climber.deploys["two"] + STOP_LIMIT_S + MARGIN_S - time.monotonic()
    ended = f"systemctl show -P ActiveState asgi-{APP}@{first}.service"
    wait_for(lambda: target.run(ended).strip() in ("inactive", "failed"), left)


def test_race_with_the_walks_of_root_wins_nothing(climber: Climber, target: Target) -> None:
    """Beside it the data of a neighbour come back from a backup, with numbers of owners that mean somebody else here."""
    before = climber.current()
    data = "/var/lib/asgi/victim"
    target.run(f"mkdir -p {data}/restored/deep; touch {data}/restored/deep/file; chown -hR 4242:4242 {data}")
    run = climber.deploy("three", "swap")
    climber.canary_lives()
    assert not target.run(f"find {data} ! -user asgi-victim -o ! -group asgi-victim").strip()
    # The copy itself fails, or a link to the canary is found in it.
    assert run.failed(target.name) == 1
    assert "hooks.build left the link" in run.messages(target.name) or "tar: " in run.messages(target.name)
    assert climber.current() == before


def test_release_is_readable_for_its_app_and_nginx_alone(climber: Climber, target: Target) -> None:
    place = "/srv/asgi/victim/current/src/parcels/main.py"
    assert target.run(f"cat {place}")
    for user in ("nobody", USER):
        for path in (place, "/srv/asgi/victim/current/release.json"):
            assert target.run(f"{as_user(user, f'cat {path}')} > /dev/null 2>&1 || echo no").strip() == "no"
    for user in ("asgi-victim", "www-data"):
        assert target.run(as_user(user, f"cat {place}"))
    assert target.door.ask("victim.test", "/").status == 200


def test_tree_of_6000_folders_is_purged_and_no_link_is_followed(climber: Climber, target: Target) -> None:
    target.run(
        f"cat > /tmp/deep.py <<'END'\n{DEEP}END\n{as_user(USER, 'python3 /tmp/deep.py')}; rm /tmp/deep.py"
    )
    run = climber.deploy("four", state="absent", purge=True)
    assert run.status == 0, run.output[-4000:]
    assert not target.run(f"ls -d {DATA} /srv/asgi/{APP} /run/asgi-{APP}* 2>/dev/null || true").strip()
    climber.canary_lives()
