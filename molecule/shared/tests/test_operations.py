"""What an operator can ask of a deploy beyond the switch itself, and what goes wrong on a host at the worst time."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest
from playbook import ROLLBACK, Run, changed_inventory, play
from shop import APP, DOMAIN, READ, RETURN, Shop
from streams import Streams, open_streams
from targets import ROOT, wait_for

pytestmark = [pytest.mark.scenario("release"), pytest.mark.lane, pytest.mark.in_turn]

LOCK = f"/run/asgi-{APP}.lock"
# In the app's lifespan.
STARTS = "    DELIVERED.mkdir(exist_ok=True)\n"
WAITS = f'    while not (DELIVERED.parent / "go").exists():\n        await asyncio.sleep(0.1)\n{STARTS}'


def test_new_code_is_one_call(shop: Shop) -> None:
    """It comes along with the call that looks, and may come with new settings."""
    target = shop.target
    shop.succeeded(shop.deploy())
    with shop.load() as seen:
        version = shop.new_version()
        run = shop.succeeded(play("-vvv", inventory=shop.inventory(), targets=[target]))
        assert (shop.answers()["version"], run.changed(target.name)) == (version, 1)
        assert run.remote_calls(target.door.https[0]) == 1, dict(run.modules())
        version = shop.new_version()
        shop.succeeded(shop.deploy(env={"NEW": "1"}))
        assert shop.answers()["version"] == version
    assert seen.lost_count == 0


def test_new_code_waits_for_what_else_is_due(shop: Shop) -> None:
    """A unit that was changed by hand is put right first; the source is sent once more, and nothing is lost."""
    template = f"/etc/systemd/system/asgi-{APP}@.service"
    shop.succeeded(shop.deploy())
    shop.target.run(f"echo '# by hand' >>{template}")
    version = shop.new_version()
    with shop.load() as seen:
        run = shop.succeeded(shop.deploy())
    assert "by hand" not in shop.target.run(f"cat {template}")
    assert shop.answers()["version"] == version
    assert run.changed(shop.target.name) > 1
    assert seen.lost_count == 0


def test_warm_up_asks_before_the_switch(shop: Shop) -> None:
    """The gate's own question and those of the warm-up, the paths in turn; the app counts them."""
    counts = (
        '    with (DELIVERED.parent / "asked").open("a") as stream:\n        stream.write(f"{RELEASE}\\n")\n'
    )
    version = shop.new_version()
    with shop.edited(RETURN, f"{counts}{RETURN}"):
        shop.succeeded(shop.deploy(warm_up=40, health={"path": f"/?{version}"}))
        asked = shop.target.run(f"cat /var/lib/asgi/{APP}/asked").split()
        assert asked.count(shop.target.release(APP)["id"]) >= 41
        assert shop.answers()["version"] == version
        version = shop.new_version()
        checks = [{"path": "/"}, {"path": "/status/404", "status": [404]}]
        shop.succeeded(shop.deploy(warm_up=40, health=checks))
        asked = shop.target.run(f"cat /var/lib/asgi/{APP}/asked").split()
        assert 21 <= asked.count(shop.target.release(APP)["id"]) < 41
        assert shop.answers()["version"] == version


def test_wrong_answer_during_the_warm_up_fails_the_gate(shop: Shop) -> None:
    before = shop.answers()
    shop.new_version()
    wrong = (
        '    if "asked" in globals():\n        return {"nothing": 1 // 0}\n    globals()["asked"] = True\n'
    )
    with shop.edited(RETURN, f"{wrong}{RETURN}"):
        message = shop.failed(shop.deploy(warm_up=20))
    assert "during the warm-up" in message
    now = shop.answers()
    assert now == before | {"pid": now["pid"]}


def test_previous_release_kept_warm_is_there_at_once(shop: Shop) -> None:
    shop.succeeded(shop.deploy(keep_warm=True))
    old = shop.answers()
    version = shop.new_version()
    shop.succeeded(shop.deploy(keep_warm=True))
    assert shop.answers()["version"] == version
    assert shop.running() == {old["release"], shop.answers()["release"]}
    old_pids = shop.target.pids()[f"asgi-{APP}@{old['release']}.service"]
    with shop.load() as seen:
        shop.succeeded(shop.rollback(keep_warm=True))
    assert seen.lost_count == 0
    assert shop.answers()["release"] == old["release"]
    assert shop.target.pids()[f"asgi-{APP}@{old['release']}.service"] == old_pids, "it was started again"
    shop.succeeded(shop.deploy())
    assert shop.running() == {shop.answers()["release"]}


def test_rollback_to_a_release_that_still_drains(shop: Shop) -> None:
    """As right after a bad deploy: its streams end properly and at once, and no request waits for it."""
    calm = {"graceful_timeout": 120}
    shop.new_version()
    shop.succeeded(shop.deploy(**calm))
    old = shop.answers()
    streams = Streams()
    with shop.load() as gets, shop.load("POST", "/parcels") as posts:
        with open_streams(shop.target.door, DOMAIN, streams):
            shop.new_version()
            shop.succeeded(shop.deploy(**calm))
            assert (
                shop.target.run(f"systemctl is-active asgi-{APP}@{old['release']}; true").strip()
                == "deactivating"
            )
            began = time.monotonic()
            shop.succeeded(shop.rollback(**calm))
            took = time.monotonic() - began
        assert shop.answers()["release"] == old["release"]
    assert (gets.lost_count, posts.lost_count) == (0, 0)
    # Far below what the streams may drain, and far above what a slow machine takes.
    assert max(gets.worst, posts.worst) < 20
    assert took < 90
    assert streams.unanswered == 0
    assert streams.websockets[:1] == ["closed with 1012"]
    assert streams.events[:1] == ["complete"]


def test_release_that_goes_bad_under_traffic_is_rolled_back(shop: Shop) -> None:
    """Its pages are healthy; its POSTs fail, which nginx's log shows."""
    before = shop.answers()
    shop.new_version()
    with shop.edited(READ, "    name = str(1 // 0)\n"), shop.load("POST", "/parcels") as seen:
        message = shop.failed(shop.deploy(watch={"seconds": 20, "errors": 10}))
    assert set(seen.lost) == {"status 500"}, "a POST met a connection that the app had closed"
    assert "answers were 5xx" in message
    assert f"Release {before['release']} serves again." in message
    assert shop.answers()["release"] == before["release"]
    assert shop.running() == {before["release"]}
    shown = play(targets=[shop.target], playbook=ROOT / "playbooks" / "releases.yml").output
    assert "went bad" in shown
    # A good one under the same watch stays.
    version = shop.new_version()
    with shop.load() as seen:
        shop.succeeded(shop.deploy(watch=3))
    assert seen.lost_count == 0
    assert shop.answers()["version"] == version


def test_failing_after_hook_is_reported_and_rolled_back_if_asked(shop: Shop) -> None:
    before = shop.answers()
    version = shop.new_version()
    hooks = {"after": ["echo nobody listens; exit 3"]}
    message = shop.failed(shop.deploy(hooks={**hooks, "after_failure": "rollback"}))
    assert "nobody listens" in message
    assert f"Release {before['release']} serves again." in message
    assert shop.answers()["release"] == before["release"]
    message = shop.failed(shop.deploy(hooks=hooks))
    assert "serves, but hooks.after" in message
    assert shop.answers()["version"] == version


@pytest.mark.parametrize("strategy", ["overlap", "restart"])
def test_dead_deploy_leaves_what_served_and_the_next_one_finishes(shop: Shop, strategy: str) -> None:
    """The deploy's own process is killed while its candidate starts."""
    before = shop.answers()
    version = shop.new_version()
    keys: dict[str, Any] = {"strategy": strategy, "health": {"timeout": 120}}
    go = f"/var/lib/asgi/{APP}/go"
    starting = f"systemctl list-units --plain --no-legend --state=active,activating 'asgi-{APP}@*.service'"
    try:
        with shop.edited(STARTS, WAITS):
            deploy = shop.start_deploy(**keys)
            wait_for(
                lambda: shop.target.run(f"{starting} | grep -vc {before['release']} || true").strip() != "0"
            )
            holder = f"sed -n 's/process \\([0-9]*\\).*/\\1/p' {LOCK}"
            killed = shop.target.run(f"pid=$({holder}); kill -9 $pid; echo $pid")
            deploy.communicate(timeout=120)
            assert killed.strip()
            assert shop.answers()["release"] == before["release"]
            shop.target.run(f"touch {go}")
            run = shop.succeeded(shop.deploy(**keys))
        # With the strategy `restart` nginx learns to wait longer, too.
        assert run.changed(shop.target.name) >= 1
    finally:
        shop.target.run(f"rm -f {go}")
    assert shop.answers()["version"] == version
    assert shop.running() == {shop.answers()["release"]}
    if strategy == "restart":
        # The next tests are not for an nginx with the other strategy's patience.
        shop.succeeded(shop.deploy())


def test_deploy_that_died_after_the_flip_is_finished(shop: Shop) -> None:
    """The deploy's own process is killed while it watches the new release, beside which the old one still runs."""
    before, version = shop.answers(), shop.new_version()
    deploy = shop.start_deploy(watch=60)
    wait_for(lambda: shop.answers()["release"] != before["release"])
    shop.target.run(f"kill -9 $(sed -n 's/process \\([0-9]*\\).*/\\1/p' {LOCK})")
    deploy.communicate(timeout=120)
    after = shop.answers()
    assert after["version"] == version
    assert shop.running() == {before["release"], after["release"]}
    assert shop.succeeded(shop.deploy(watch=60)).changed(shop.target.name) == 1
    assert shop.answers()["release"] == after["release"]
    # Its end is not waited for.
    wait_for(lambda: shop.running() == {after["release"]})
    assert shop.target.release(APP)["state"] == "active"


def test_reverting_after_a_dead_deploy_sweeps_its_candidate(shop: Shop) -> None:
    """Nobody wants the new release any more: a converge of the old one says what it took away."""
    shop.succeeded(shop.deploy())
    before = shop.answers()
    served = (shop.source / APP / "__init__.py").read_text()
    stray = "20990101T000000-abcdef"
    shop.target.run(
        f"cd /srv/asgi/{APP}/releases && cp -a {before['release']} {stray} && rm -f {stray}/app.sock"
        f' && sed -i \'s/"active"/"built"/\' {stray}/release.json'
        f" && cp -a /etc/systemd/system/asgi-{APP}@{before['release']}.service.d /etc/systemd/system/asgi-{APP}@{stray}.service.d"
        f" && cp -a /etc/asgi/{APP}/{before['release']} /etc/asgi/{APP}/{stray}"
        f" && systemctl daemon-reload && systemctl enable --now -q asgi-{APP}@{stray}.socket asgi-{APP}@{stray}.service"
    )
    assert shop.running() == {before["release"], stray}
    assert (shop.source / APP / "__init__.py").read_text() == served
    run = shop.succeeded(shop.deploy())
    assert run.changed(shop.target.name) == 1
    assert shop.running() == {before["release"]}
    assert stray not in shop.releases()
    assert stray not in shop.target.run("ls -R /etc/systemd/system /etc/asgi")
    assert shop.deploy().changed(shop.target.name) == 0


def test_controller_that_vanishes(shop: Shop) -> None:
    """ansible-playbook and its connection die; the host finishes by itself, and the next converge agrees."""
    version = shop.new_version()
    before = shop.target.run(f"cat {LOCK}")
    deploy = shop.start_deploy()
    wait_for(lambda: shop.target.run(f"cat {LOCK}") != before)
    subprocess.run(["pkill", "-9", "-g", str(deploy.pid)], check=False)
    subprocess.run(["pkill", "-9", "-f", f"ssh.*{shop.target.door.https[0]}.*\\[mux\\]"], check=False)
    deploy.wait(timeout=20)
    served = shop.answers()["version"]
    wait_for(lambda: shop.target.run(f"flock --nonblock {LOCK} echo free || true").strip() == "free")
    finished = shop.answers()["version"]
    print(
        f"\n{shop.target.name}: the new version is {version}; {served} served, and {finished} when it was over"
    )
    run = shop.succeeded(shop.deploy())
    assert run.changed(shop.target.name) == (0 if finished == version else 1)
    assert shop.answers()["version"] == version
    assert shop.running() == {shop.answers()["release"]}


def test_second_deploy_waits_for_the_first(shop: Shop) -> None:
    version = shop.new_version()
    before = shop.state()
    holder = subprocess.Popen(
        ["ssh", "-F", shop.target.ssh_config, shop.target.name, f"flock {LOCK} sh -c 'echo held; read line'"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"

    def openers() -> set[str]:
        """The processes that have the lock's file open."""
        found = f"find /proc/[0-9]*/fd -lname {LOCK} 2>/dev/null || true"
        return {path.split("/")[2] for path in shop.target.run(found).split()}

    def waits() -> set[str]:
        """Those that wait for it; who only looks at it is gone a second later."""
        first = openers() - own
        time.sleep(1)
        return first & openers()

    own = openers()
    deploy = shop.start_deploy()
    try:
        wait_for(waits)
        assert deploy.poll() is None
        assert shop.state() == before
    finally:
        holder.communicate("\n", timeout=60)
        said, _errors = deploy.communicate(timeout=600)
    assert deploy.returncode == 0, said[-4000:]
    assert shop.answers()["version"] == version


def test_failed_after_hook_is_run_again(shop: Shop) -> None:
    data = f"/var/lib/asgi/{APP}"
    command = "if test -e $STATE_DIRECTORY/listens; then echo heard >> $STATE_DIRECTORY/heard; else echo nobody listens; exit 3; fi"
    hooks = {"after": [command]}
    version = shop.new_version()
    assert "serves, but hooks.after" in shop.failed(shop.deploy(hooks=hooks))
    assert shop.answers()["version"] == version
    # As the app: what is somebody else's in its data would be given to it, which is a change of its own.
    shop.target.run(f"setpriv --reuid=asgi-{APP} --regid=asgi-{APP} --clear-groups touch {data}/listens")
    for changed in (1, 0):
        run = shop.succeeded(shop.deploy(hooks=hooks))
        assert run.changed(shop.target.name) == changed
        assert shop.target.run(f"cat {data}/heard").split() == ["heard"]
    assert shop.answers()["version"] == version


def test_release_from_disk_runs_its_migrations(shop: Shop) -> None:
    """Its database may have gone on, or back, since it served."""
    hooks = {"migrate": ["echo $(basename $(dirname $PWD)) >> $STATE_DIRECTORY/migrated"]}
    text = shop.source / APP / "__init__.py"
    shop.new_version()
    kept = text.read_text()
    seen = []
    for source in (kept, kept + "AGAIN = True\n", kept):
        text.write_text(source)
        shop.succeeded(shop.deploy(hooks=hooks))
        seen.append(shop.answers()["release"])
    assert seen[0] == seen[2] != seen[1]
    assert shop.target.run(f"cat /var/lib/asgi/{APP}/migrated").split() == seen


def test_release_that_was_restarted_once_is_not_dead(shop: Shop) -> None:
    """systemd has counted a restart; a converge finds an app that answers, if slowly, and leaves it alone."""
    shop.new_version()
    # Longer than the gate waits before it asks systemd, shorter than a converge waits for a release that serves.
    with shop.edited(RETURN, f"    await asyncio.sleep(0.6)\n{RETURN}"):
        shop.succeeded(shop.deploy())
        shop.target.kill(APP, master=True)
        assert shop.target.run(f"systemctl show -P NRestarts {shop.target.service(APP)}").strip() == "1"
        shop.answers()
        before = shop.state()
        run = shop.succeeded(shop.deploy())
        assert run.changed(shop.target.name) == 0
        assert shop.state() == before


def test_rollback_with_check_changes_nothing(shop: Shop) -> None:
    before = shop.state()
    shop.succeeded(shop.rollback("--check"))
    assert shop.state() == before


def test_rollback_of_an_app_that_shall_be_absent_is_refused(shop: Shop) -> None:
    before = shop.state()
    message = shop.failed(shop.rollback(state="absent"))
    assert APP in message
    assert "absent" in message
    assert shop.state() == before
    assert shop.target.run(f"systemctl is-enabled {shop.target.service(APP)}").strip() == "enabled"


def test_rollback_needs_no_source(shop: Shop) -> None:
    """The folder is gone from the controller; git is down."""
    first = shop.answers()["release"]
    shop.new_version()
    shop.succeeded(shop.deploy())
    second = shop.answers()["release"]
    shop.succeeded(shop.rollback(source={"path": str(shop.folder / "gone")}))
    assert shop.answers()["release"] == first
    down = {"git": {"repo": "http://127.0.0.1:9/shop.git", "version": "main"}}
    shop.succeeded(shop.rollback(source=down))
    assert shop.answers()["release"] == second


@pytest.fixture
def cramped(shop: Shop) -> Iterator[dict[str, Any]]:
    """An app whose releases lie on a small file system of their own."""
    folder = "/srv/asgi/cramped"
    shop.target.run(f"mkdir -p {folder} && mount -t tmpfs -o size=150m,mode=755 tmpfs {folder}")
    app = {
        "name": "cramped",
        "app": "parcels.main:app",
        "source": {"path": str(shop.source)},
        "domains": ["cramped.test"],
        "workers": 1,
        "graceful_timeout": 2,
    }
    yield app
    shop.target.run(f"rm -f {folder}/ballast; systemctl stop 'asgi-cramped@*'; umount {folder}")
    gone = {"name": "cramped", "state": "absent", "purge": True}
    inventory = changed_inventory(shop.folder, [shop.target], add=[gone])
    assert play(inventory=inventory, targets=[shop.target]).status == 0


def test_full_disk_is_said_and_leaves_nothing(shop: Shop, cramped: dict[str, Any]) -> None:
    """At the very first file, and in the middle of the upload."""
    target, folder = shop.target, "/srv/asgi/cramped"

    def converge() -> Run:
        return play(inventory=changed_inventory(shop.folder, [target], add=[cramped]), targets=[target])

    shop.succeeded(converge())
    before = target.door.json("cramped.test")
    for left in (0, 40_000):
        shop.new_version()
        (shop.source / "large").write_bytes(bytes(range(256)) * 20_000)
        target.run(
            f"fallocate -l $(( $(df --output=avail -B1 {folder} | tail -1) - {left} )) {folder}/ballast; sync"
        )
        message = shop.failed(converge())
        assert "The disk is full" in message
        assert "keep_releases" in message
        assert target.door.json("cramped.test")["release"] == before["release"]
        assert target.run(f"ls {folder}/releases").split() == [before["release"]]
        target.run(f"rm {folder}/ballast")
    (shop.source / "large").unlink()
    shop.succeeded(converge())
    assert target.door.json("cramped.test")["version"] == str(shop.number)


def test_index_that_is_down_is_said(shop: Shop) -> None:
    before = shop.answers()
    inventory = shop.inventory(requirements=["humanize<4.9"])
    run = play(
        "-e", "asgi_host_package_index=http://127.0.0.1:9/simple", inventory=inventory, targets=[shop.target]
    )
    message = shop.failed(run)
    assert "The package index cannot be reached from the host" in message
    assert f"Release {before['release']} serves as before." in message
    assert shop.answers()["release"] == before["release"]
    assert not [name for name in shop.releases() if name > before["release"]]


def test_unknown_release_is_refused_with_those_that_are_there(shop: Shop) -> None:
    run = play(
        "-e", f"app={APP}", "-e", "release=20200101T000000-abcdef",
        inventory=shop.inventory(), targets=[shop.target], playbook=ROLLBACK,
    )  # fmt: skip
    message = shop.failed(run)
    assert "no release 20200101T000000-abcdef" in message
    assert shop.answers()["release"] in message


def test_rollback_to_a_release_that_fails_its_gate(shop: Shop) -> None:
    """Somebody damaged it: it is refused, and what serves serves."""
    before = shop.answers()
    shop.new_version()
    shop.succeeded(shop.deploy())
    now = shop.answers()
    damaged = f"/srv/asgi/{APP}/releases/{before['release']}/src/parcels/main.py"
    shop.target.run(f"echo 'import nothing_of_that_name' >> {damaged}")
    message = shop.failed(shop.rollback())
    assert "nothing_of_that_name" in message
    assert f"Release {now['release']} serves as before." in message
    assert shop.answers()["release"] == now["release"]
    assert shop.running() == {now["release"]}
