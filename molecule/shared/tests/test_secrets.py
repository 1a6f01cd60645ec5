"""A secret is in the app's environment, in root's own files, and nowhere else."""

from __future__ import annotations

import base64
import json
import secrets
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

import pytest
from playbook import Run, changed_inventory, converge
from targets import Target

# Where many apps have secrets, and hooks that get them.
pytestmark = pytest.mark.scenario("full")
# Seconds that the kernel's time stamps may lag behind the clock, and more.
CLOCK_MARGIN_S = 2.0


@dataclass(frozen=True)
class Sown:
    """Secrets made for this run, and the play that brought them to the hosts."""

    values: dict[str, str]
    run: Run
    since: float
    """Seconds of the epoch, a moment before the secrets were made. The hosts are containers: they have this clock."""

    def shapes(self) -> list[str]:
        """Each secret as it is, and as the usual encodings would show it."""
        found = set()
        for value in self.values.values():
            # Stripped: the empty line behind a line break would be a pattern that is found everywhere.
            found |= {value.strip(), json.dumps(value)[1:-1], urllib.parse.quote(value)}
            # Within a longer text base64 has three alignments; the ends of each mix with what stands beside.
            for shift in range(3):
                found.add(base64.b64encode(b"\0" * shift + value.strip().encode())[4:-4].decode())
        return sorted(shape for shape in found if len(shape) >= 12)

    def written(self, *where: str) -> str:
        """A search for the files in which these secrets can be: a write sets a file's ctime, and nobody sets that back."""
        return (
            f"find {' '.join(where)} -type f -newerct @{self.since:.0f} -print0 2>/dev/null "
            "| xargs -0 -r grep -l -a -F -f /root/.patterns 2>/dev/null || true"
        )


@pytest.fixture(scope="module")
def sown(all_targets: list[Target], tmp_path_factory: pytest.TempPathFactory) -> Sown:
    """A converge at -vvv --diff that brings new secrets, and with them a new release of the probe."""
    since = time.time() - CLOCK_MARGIN_S
    values = {
        "SOWN_SECRET": f"sown-{secrets.token_hex(12)} $HOME 'q' \"d\" # @ %",
        "sown": f"kept-{secrets.token_hex(12)}\n",
        "file": f"in-a-file-{secrets.token_hex(12)}",
    }
    change = {
        "probe": {
            "secrets": {"SOWN_SECRET": values["SOWN_SECRET"]},
            "credentials": {"sown": values["sown"]},
            "files": [
                {"path": "conf/sown.py", "content": f"SOWN = '{values['file']}'\n", "secret": True},
            ],
        }
    }
    folder = tmp_path_factory.mktemp("secrets")
    run = converge(
        all_targets, "-vvv", "--diff", inventory=changed_inventory(folder, all_targets, change=change)
    )
    return Sown(values, run, since)


def on_host(target: Target, sown: Sown, command: str) -> str:
    """Run a search with the secrets as patterns in a file of root's; its output is what was found."""
    patterns = "\n".join(sown.shapes()) + "\n"
    script = f"umask 077; cat > /root/.patterns; {command}; rm -f /root/.patterns"
    return target.run(script, stdin=patterns)


def everywhere(sown: Sown) -> str:
    """The search of the whole host, in files that are not root's alone."""
    places = (
        "/ -xdev -path /proc -prune -o -path /sys -prune -o -size -20000k \\( -perm /044 -o ! -user root \\)"
    )
    return sown.written(places)


def strangers(found: str) -> list[str]:
    """Of the files that a search has found, all but the secret one of the release, which is the app's group's."""
    return [path for path in found.split() if not path.endswith("/src/conf/sown.py")]


def test_secrets_reached_the_app(target: Target, sown: Sown) -> None:
    """Otherwise the searches below would prove nothing."""
    domain = target.domain("probe")
    assert target.door.json(domain, "/env/SOWN_SECRET")["value"] == sown.values["SOWN_SECRET"]
    assert target.door.json(domain, "/credential/sown")["value"] == sown.values["sown"]


def test_secret_file_is_for_the_app_alone(target: Target, sown: Sown) -> None:
    """In the release, and with the group of the app."""
    place = target.run("realpath /srv/asgi/probe/current/src").strip() + "/conf/sown.py"
    assert target.run(f"stat -c '%A %U:%G' {place}").strip() == "-rw-r----- root:asgi-probe"
    assert sown.values["file"] in target.run(f"runuser -u asgi-probe -- cat {place}")
    for user in ("nobody", "www-data"):
        assert (
            target.run(f"runuser -u {user} -- cat {place} 2>&1 || true").strip().endswith("Permission denied")
        )
    assert target.run(f"ls {place.rpartition('/')[0]}").split() == ["sown.py"], "nor any bytecode of it"


def test_search_finds_what_is_there(target: Target, sown: Sown) -> None:
    """In root's own files, where they must be: the search itself works."""
    assert "/etc/asgi/probe" in on_host(target, sown, sown.written("/etc/asgi"))
    # As the search of the whole host goes, with a file that anybody may read.
    target.run("install -m 644 /dev/null /var/opt/leak")
    leak = f"head -n 1 /root/.patterns > /var/opt/leak; {everywhere(sown)}; rm /var/opt/leak"
    assert strangers(on_host(target, sown, leak)) == ["/var/opt/leak"]


def test_not_in_the_output_of_ansible(sown: Sown) -> None:
    """At -vvv and --diff."""
    assert "Using module file" in sown.run.output
    for shape in sown.shapes():
        position = sown.run.output.find(shape)
        assert position < 0, sown.run.output[max(0, position - 300) : position + 100]


def test_not_in_the_journal(target: Target, sown: Sown) -> None:
    """Of any program on the host."""
    assert (
        on_host(target, sown, "journalctl --no-pager -o export | grep -a -F -f /root/.patterns || true") == ""
    )


def test_not_in_any_unit(target: Target, sown: Sown) -> None:
    """Neither in a file nor in what systemd tells every user."""
    files = "grep -r -l -F -f /root/.patterns /etc/systemd /run/systemd/system /run/systemd/transient 2>/dev/null || true"
    assert on_host(target, sown, files) == ""
    shown = f"systemctl show '{target.service('probe')}' | grep -F -f /root/.patterns || true"
    assert on_host(target, sown, shown) == ""


def test_not_in_any_command_line(target: Target, sown: Sown) -> None:
    """Of a running process."""
    assert (
        on_host(target, sown, "cat /proc/[0-9]*/cmdline 2>/dev/null | grep -a -F -f /root/.patterns || true")
        == ""
    )


def test_not_in_a_file_that_others_read(target: Target, sown: Sown) -> None:
    """On the whole host, in files that are not root's alone; but for the one that is the app's group's."""
    assert strangers(on_host(target, sown, everywhere(sown))) == []


def test_not_left_behind_by_ansible(target: Target, sown: Sown) -> None:
    """Neither in temporary folders nor in anyone's home."""
    found = on_host(target, sown, sown.written("/tmp", "/var/tmp", "/home", "/root/.ansible", "/run")).split()
    # Where systemd keeps the credentials of a running unit, for that unit alone.
    assert [path for path in found if not path.startswith("/run/credentials/")] == []


@pytest.mark.scenario("default", "full")
def test_files_of_secrets_are_roots_alone(target: Target) -> None:
    """Every file and folder of /etc/asgi."""
    assert target.run("find /etc/asgi \\( ! -user root -o -perm /077 \\) -print") == ""


def test_releases_hold_no_secret(target: Target, sown: Sown, tmp_path: Path) -> None:
    """A release is what others may read."""
    assert strangers(on_host(target, sown, sown.written("/srv/asgi"))) == []
