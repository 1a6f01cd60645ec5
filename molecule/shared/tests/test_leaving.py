"""The last app goes, and leaves a host as it was, with the sites of others untouched."""

from __future__ import annotations

from pathlib import Path

import pytest
from playbook import converge, write_inventory
from targets import INVENTORY, Target

pytestmark = [pytest.mark.scenario("release"), pytest.mark.lane]

# Prints each file of a host with its owner, mode and content, but for logs, caches of packages, and what the
# system's own tools keep as a copy of the version before.
SNAPSHOT = """\
import hashlib, os, stat
from pathlib import Path

LEFT_OUT = {"/var/log", "/var/cache/apt", "/var/cache/debconf", "/var/lib/apt", "/var/lib/dpkg", "/var/lib/systemd",
            "/var/lib/sudo", "/var/lib/nginx", "/var/tmp", "/root/.ansible", "/root/.cache", "/home/admin"}
for top in ("/etc", "/home", "/opt", "/root", "/srv", "/usr", "/var"):
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(name for name in folders if f"{folder}/{name}" not in LEFT_OUT and name != "__pycache__")
        for name in sorted([*folders, *files]):
            path, seen = Path(folder, name), os.lstat(f"{folder}/{name}")
            if folder == "/etc" and name.endswith("-"):
                continue
            words = [str(path), oct(seen.st_mode), seen.st_uid, seen.st_gid]
            if stat.S_ISLNK(seen.st_mode):
                words.append(os.readlink(path))
            elif stat.S_ISREG(seen.st_mode):
                words.append(hashlib.sha256(path.read_bytes()).hexdigest())
            print(*words)
"""
FOREIGN = """\
server {
    listen 80;
    listen 443 ssl;
    server_name blog.test;
    ssl_certificate /etc/ssl/blog.pem;
    ssl_certificate_key /etc/ssl/blog.key;
    return 200 "somebody else's blog";
}
"""


def snapshot(target: Target) -> set[str]:
    return set(target.run("python3 -", stdin=SNAPSHOT).splitlines())


def blog(target: Target) -> str:
    return target.door.ask("blog.test", "/").text


@pytest.fixture(scope="module")
def emptied(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The inventory of a host whose apps are gone, which it has been converged with."""
    gone = [{"name": name, "state": "absent", "purge": True} for name in target.apps]
    inventory = write_inventory(tmp_path_factory.mktemp("gone"), [target], {target.name: gone})
    converge([target], inventory=inventory)
    return inventory


def test_nothing_is_left_of_the_last_app(target: Target, emptied: Path) -> None:
    left = target.run(
        "find / -xdev -iname '*asgi*' -not -path '/var/log/*' -not -path '*/.ansible/*' -not -path '/proc/*'; "
        "find /run -name '*asgi*' -not -name asgi-bare; getent passwd | grep asgi; getent group | grep asgi; "
        "systemctl list-units --all --plain --no-legend 'asgi*'; true"
    )
    assert not left.strip()
    assert (
        target.run("readlink /etc/nginx/sites-enabled/default").strip()
        == "/etc/nginx/sites-available/default"
    )
    again = converge([target], inventory=emptied)
    assert again.changed(target.name) == 0


@pytest.mark.in_turn
def test_an_app_comes_and_goes_without_a_trace(target: Target, emptied: Path) -> None:
    """A host snapshot before and after differs in nothing, and the site that was there answers all the time."""
    target.run(
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 9 -subj /CN=blog.test "
        "-keyout /etc/ssl/blog.key -out /etc/ssl/blog.pem 2>&1; cat > /etc/nginx/conf.d/blog.conf; systemctl reload nginx",
        stdin=FOREIGN,
    )
    try:
        before = snapshot(target)
        assert "somebody else" in blog(target)
        converge([target], inventory=INVENTORY)
        assert target.door.ask(target.domain("parcels"), "/").status == 200
        assert "somebody else" in blog(target)
        assert snapshot(target) != before
        converge([target], inventory=emptied)
        assert "somebody else" in blog(target)
        after = snapshot(target)
    finally:
        target.run("rm -f /etc/nginx/conf.d/blog.conf /etc/ssl/blog.*; systemctl reload nginx")
    assert sorted(before ^ after) == []


@pytest.mark.in_turn
def test_data_stays_unless_purge_is_asked_for(target: Target, emptied: Path, tmp_path: Path) -> None:
    """The owner of the data stays with them, and what holds nothing of an app goes."""
    converge([target], inventory=INVENTORY)
    target.run("echo kept > /var/lib/asgi/parcels/precious")
    gone = [{"name": name, "state": "absent"} for name in target.apps]
    inventory = write_inventory(tmp_path, [target], {target.name: gone})
    converge([target], inventory=inventory)
    assert target.run("cat /var/lib/asgi/parcels/precious").strip() == "kept"
    assert target.run("stat -c %U /var/lib/asgi/parcels").strip() == "asgi-parcels"
    assert (
        target.run(
            "ls -d /srv/asgi /etc/asgi /usr/local/lib/asgi-host /var/cache/asgi /var/cache/asgi-build "
            "/var/cache/private/asgi-build /etc/nginx/asgi 2>/dev/null; true"
        )
        == ""
    )
    assert converge([target], inventory=inventory).changed(target.name) == 0
    assert converge([target], inventory=INVENTORY).changed(target.name)
    assert target.run("cat /var/lib/asgi/parcels/precious").strip() == "kept"
