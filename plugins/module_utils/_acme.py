# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificates by ACME, on the host: decide which are due, have lego get them, put them before nginx.

The role installs this file as a program that asgi-acme.service runs, so it imports nothing but Python's own library.
Each site has an entry that only root reads, in its app's folder below /etc/asgi, and a folder of nginx's with one
folder for each certificate and the link ``serving``. Key and certificate change together, by one rename of that link.
"""

# A program of its own, without a module to ask: it says what it does, runs lego, and ends with a status.
# pylint: disable=ansible-bad-function

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

# Of a certificate's life, what must be left. Lifetimes shrink (47 days from 2029), so no fixed number of days.
SHARE = 1 / 3
SERVICE = "asgi-acme.service"
# Seconds that lego may take for one certificate. A DNS provider's zone can need minutes to spread.
LEGO_SECONDS = 600.0
# Seconds for all of them, as in the service's TimeoutStartSec.
RUN_SECONDS = 3600.0
# lego 5 has its options after the command, other ones for DNS, an account of its own form, and a log of JSON.
FIRST_OF_NEW_LINE = 5
VERSION = re.compile(r"\bversion v?(\d+)\.")
# The log lines of earlier ones begin with a date and a time.
STAMP = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d ", re.MULTILINE)
# What an authority that was set up anew says of an account that it had before.
UNKNOWN_ACCOUNT = "urn:ietf:params:acme:error:accountDoesNotExist"
UNREACHABLE = "get directory at"


class AcmeError(Exception):
    """No certificate was put in place; the message says why."""


class UnreachableError(AcmeError):
    """The authority does not answer at all."""


@dataclass(frozen=True)
class Places:
    """Where things lie on the host."""

    entries: Path = Path("/etc/asgi")
    state: Path = Path("/var/lib/asgi-acme")

    @property
    def webroot(self) -> Path:
        """What nginx serves the authority's questions from."""
        return self.state / "webroot"

    @property
    def client(self) -> Path:
        """The own folder of lego: the accounts of no other client are touched."""
        return self.state / "lego"

    def folder_of(self, major: int) -> Path:
        """That of a major version: lego 5 does not read an account of lego 4, and gets a new one without being asked."""
        return self.client if major < FIRST_OF_NEW_LINE else self.state / f"lego-{major}"

    @property
    def failures(self) -> Path:
        """What the last run could not do, by site."""
        return self.state / "failures.json"

    @property
    def reload(self) -> Path:
        """There while a certificate was changed and nginx does not have it yet."""
        return self.state / "reload"


@dataclass(frozen=True)
class Site:
    """One certificate that is wanted."""

    name: str
    domains: list[str]
    email: str
    directory: str
    dns: str | None
    dns_env: Mapping[str, str] = field(repr=False)
    dns_check: bool
    folder: Path

    @classmethod
    def from_json(cls, text: str) -> Site:
        """The site of an entry that the role wrote."""
        data = json.loads(text)
        return cls(
            name=data["name"],
            domains=list(data["domains"]),
            email=data["email"],
            directory=data["directory"],
            dns=data["dns"],
            dns_env=data["dns_env"],
            dns_check=data["dns_check"],
            folder=Path(data["folder"]),
        )

    @property
    def serving(self) -> Path:
        """The link to the folder of the certificate that nginx has."""
        return self.folder / "serving"


@dataclass(frozen=True)
class Certificate:
    """What decides whether a certificate is due; times are seconds since 1970."""

    serial: str
    names: frozenset[str]
    start: float
    end: float

    @classmethod
    def of(cls, path: Path) -> Certificate:
        """Read the first certificate of a file. Raises AcmeError."""
        text = _openssl("x509", "-in", str(path), "-noout", "-serial", "-dates", "-ext", "subjectAltName")
        found = dict(re.findall(r"^(serial|notBefore|notAfter)=(.+)$", text, re.MULTILINE))
        return cls(
            serial=found["serial"].lower(),
            names=frozenset(name.lower() for name in re.findall(r"DNS:([^,\s]+)", text)),
            start=ssl.cert_time_to_seconds(found["notBefore"]),
            end=ssl.cert_time_to_seconds(found["notAfter"]),
        )


def sites(places: Places) -> list[Site]:
    """Every site whose entry is there."""
    found = sorted(places.entries.glob("*/acme.json"))
    return [Site.from_json(path.read_text(encoding="utf-8")) for path in found]


def why_due(site: Site, now: float) -> str | None:
    """Why a certificate must be got at ``now`` (seconds since 1970); None when what is there is good."""
    try:
        issued = json.loads((site.serving / "issued.json").read_text(encoding="utf-8"))
        certificate = Certificate.of(site.serving / "certificate.pem")
    except FileNotFoundError:
        return "none was issued yet"
    except (AcmeError, ValueError) as error:
        return f"the present one is damaged ({error})"
    if issued["directory"] != site.directory:
        return f"the present one is from {issued['directory']}"
    # What was asked for, not what it names: a private authority may add names of its own.
    if sorted(issued["domains"]) != sorted(site.domains):
        return f"the present one is for {', '.join(issued['domains'])}"
    left = certificate.end - now
    if left < (certificate.end - certificate.start) * SHARE:
        return f"the present one ends on {_date(certificate.end)}"
    return None


def due(places: Places, forced: Iterable[str] = ()) -> list[tuple[Site, str]]:
    """The sites that need a certificate, each with the reason."""
    found = []
    for site in sites(places):
        reason = "it was asked for" if site.name in forced else why_due(site, time.time())
        if reason:
            found.append((site, reason))
    return found


def run(places: Places, forced: Sequence[str] = ()) -> int:
    """Get what is due, tell nginx when something changed, and say what could not be done; the exit status."""
    if unknown := set(forced) - {site.name for site in sites(places)}:
        print(f"no site with tls.mode: acme is called {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    with _alone(places):
        wanted = due(places, forced)
        failures: dict[str, str] = {}
        if wanted or places.reload.exists():
            try:
                _check_nginx()
                failures.update(_get_all(places, wanted))
                _reload(places)
            except AcmeError as error:
                failures["nginx"] = str(error)
        _note(places, failures)
    for words in failures.values():
        print(words, file=sys.stderr)
    return 1 if failures else 0


def start(places: Places) -> int:
    """Run the service where something is due, and repeat what it could not do: what a converge calls."""
    for _turn in range(2):
        # A run that had begun before an entry was written knows nothing of it: then once more.
        _command(["systemctl", "start", SERVICE], seconds=RUN_SECONDS)
        failures = _noted(places)
        left = {site.name for site, _reason in due(places)}
        if not left and not failures:
            return 0
        if failures:
            break
    for words in failures.values():
        print(words)
    if not failures:
        print(f"{SERVICE} did nothing for {', '.join(sorted(left))}; see journalctl -u {SERVICE}")
    return 1


def _get_all(places: Places, wanted: Sequence[tuple[Site, str]]) -> dict[str, str]:
    """Get certificates one after the other; the failures by site."""
    failures: dict[str, str] = {}
    down: dict[str, str] = {}
    for site, reason in wanted:
        try:
            if site.directory in down:
                raise UnreachableError(down[site.directory])
            print(f"{site.name}: getting a certificate for {', '.join(site.domains)}: {reason}", flush=True)
            install(places, site, _obtain(places, site))
            ends = Certificate.of(site.serving / "certificate.pem").end
            print(f"{site.name}: got one that ends on {_date(ends)}", flush=True)
        except AcmeError as error:
            if isinstance(error, UnreachableError):
                down[site.directory] = str(error)
            failures[site.name] = (
                f"{site.name}: tls.acme: {site.directory} gave no certificate for {', '.join(site.domains)}: "
                f"{_without(str(error), site.dns_env.values())}\n"
                f"{_still_served(site)} The timer tries again; so does: systemctl start {SERVICE}"
            )
    return failures


def _still_served(site: Site) -> str:
    try:
        ends = Certificate.of(site.serving / "certificate.pem").end
    except AcmeError:
        return "The site has no certificate."
    if not (site.serving / "issued.json").exists():
        return "The site goes on with the certificate that it had before there was one of an authority."
    return f"The site goes on with the certificate that ends on {_date(ends)}."


def _obtain(places: Places, site: Site) -> Path:
    """Have lego order a certificate; the folder where it is. Raises AcmeError with lego's own words."""
    major = lego_major()
    folder = places.folder_of(major)
    words = _lego(places, site, major)
    if UNKNOWN_ACCOUNT in words:
        # A private authority that was set up anew: the old account is worth nothing any more.
        host = urlsplit(site.directory).netloc.replace(":", "_")
        shutil.rmtree(folder / "accounts" / host, ignore_errors=True)
        words = _lego(places, site, major)
    if words:
        raise (UnreachableError if UNREACHABLE in words else AcmeError)(words)
    return folder / "certificates"


def lego_major() -> int:
    """The major version of the lego that is installed; 4 where it does not say."""
    found = VERSION.search(_command(["lego", "--version"])[1])
    return int(found[1]) if found else FIRST_OF_NEW_LINE - 1


def lego_command(places: Places, site: Site, major: int) -> list[str]:
    """The command line of one order, as a major version of lego knows it."""
    new = major >= FIRST_OF_NEW_LINE
    options = ["--accept-tos", f"--path={places.folder_of(major)}", f"--email={site.email}"]
    options += [f"--server={site.directory}", "--key-type=ec256"]
    options += [f"--domains={domain}" for domain in site.domains]
    if site.dns:
        unchecked = (
            ["--dns.propagation.disable-ans", "--dns.propagation.disable-rns"]
            if new
            else ["--dns.disable-cp"]
        )
        options += [f"--dns={site.dns}", *([] if site.dns_check else unchecked)]
    else:
        options += ["--http", f"--http.webroot={places.webroot}"]
    return ["lego", "--log.format=json", "run", *options] if new else ["lego", *options, "run"]


def _lego(places: Places, site: Site, major: int) -> str:
    """One order; what went wrong, empty when nothing did."""
    shutil.rmtree(places.folder_of(major) / "certificates", ignore_errors=True)
    status, output = _command(lego_command(places, site, major), env=site.dns_env, seconds=LEGO_SECONDS)
    return (lego_words(output) or f"lego ended with status {status}") if status else ""


def _plain(line: str) -> str:
    """A line of the log of lego 5 in the words of the earlier ones; any other line as it is."""
    try:
        said = json.loads(line)
    except ValueError:
        return line
    if not isinstance(said, dict) or "msg" not in said:
        return line
    if said.get("level") != "ERROR":
        return f"[INFO] {said['msg']}"
    return f"Could not get it: {said.get('error') or said['msg']}"


def lego_words(output: str) -> str:
    """The part of lego's log that says what went wrong: from its last words on, without dates."""
    text = "\n".join(map(_plain, STAMP.sub("", output).splitlines()))
    lines = [line for line in text.splitlines() if line.strip()]
    starts = [number for number, line in enumerate(lines) if line.startswith("Could not")]
    said = lines[starts[-1] :] if starts else [line for line in lines if not line.startswith("[INFO]")][-5:]
    return "\n".join(said).strip()


def install(places: Places, site: Site, ordered: Path) -> None:
    """Put what lego has left in a folder before nginx, when it is what was ordered. Raises AcmeError, and nothing has changed."""
    got = [path for path in ordered.glob("*.crt") if ".issuer." not in path.name]
    if len(got) != 1:
        raise AcmeError("lego said that it had a certificate, and left none")
    certificate = Certificate.of(got[0])
    key = got[0].with_suffix(".key")
    if _openssl("x509", "-in", str(got[0]), "-noout", "-pubkey") != _openssl(
        "pkey", "-in", str(key), "-pubout"
    ):
        raise AcmeError("the certificate does not belong to its key")
    if missing := set(site.domains) - certificate.names:
        raise AcmeError(f"the certificate is not for {', '.join(sorted(missing))}")
    before = os.readlink(site.serving) if site.serving.is_symlink() else None
    folder = site.folder / certificate.serial
    folder.mkdir(mode=0o700, exist_ok=True)
    _write(folder / "certificate.pem", got[0].read_bytes())
    _write(folder / "key.pem", key.read_bytes())
    issued = {"directory": site.directory, "domains": site.domains}
    _write(folder / "issued.json", json.dumps(issued).encode())
    _sync(folder)
    _write(places.reload, b"")
    _point(site.serving, folder.name)
    try:
        _check_nginx()
    except AcmeError:
        if before:
            _point(site.serving, before)
            shutil.rmtree(folder)
        raise
    shutil.rmtree(ordered)
    for other in site.folder.iterdir():
        if other.is_dir() and not other.is_symlink() and other != folder:
            shutil.rmtree(other)


def _check_nginx() -> None:
    # Outside this service's sandbox: other sites of the host may log, and have certificates, anywhere.
    outside = ["systemd-run", "--quiet", "--collect", "--wait", "--pipe"]
    status, output = _command([*outside, "nginx", "-t", "-q"])
    if status:
        raise AcmeError(f"nginx does not accept its configuration; correct it: {output}")


def _reload(places: Places) -> None:
    """Tell nginx, when a certificate changed: a reload closes idle connections, so never for nothing."""
    if not places.reload.exists():
        return
    status, output = _command(["systemctl", "try-reload-or-restart", "nginx"])
    if status:
        raise AcmeError(f"nginx could not be reloaded: {output}")
    places.reload.unlink()


def _note(places: Places, failures: Mapping[str, str]) -> None:
    if failures or places.failures.exists():
        _write(places.failures, json.dumps(failures).encode())


def _noted(places: Places) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads(places.failures.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return found


@contextlib.contextmanager
def _alone(places: Places) -> Iterator[None]:
    """Hold the lock: a converge and the timer may come at the same time."""
    places.client.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Not where others could open it: whoever can, can hold it.
    with (places.client / "lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _write(path: Path, content: bytes) -> None:
    """Write a file that only root reads, and have it on disk."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _point(link: Path, target: str) -> None:
    new = link.with_name(f".{link.name}.new")
    with contextlib.suppress(FileNotFoundError):
        new.unlink()
    new.symlink_to(target)
    os.replace(new, link)
    _sync(link.parent)


def _sync(folder: Path) -> None:
    """Have the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _openssl(*argv: str) -> str:
    status, output = _command(["openssl", *argv])
    if status:
        raise AcmeError(f"{argv[2]} cannot be read: {output}")
    return output


def _command(
    argv: Sequence[str], *, env: Mapping[str, str] | None = None, seconds: float = 120.0
) -> tuple[int, str]:
    """A program's exit status and what it said, both streams together."""
    try:
        done = subprocess.run(
            list(argv),
            env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=seconds,
            check=False,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        return 127, f"{argv[0]}: {error.strerror}"
    except subprocess.TimeoutExpired:
        return 124, f"{argv[0]} did not end within {seconds:.0f} s"
    return done.returncode, done.stdout.strip()


def _without(text: str, values: Iterable[str]) -> str:
    """``text`` without the provider's secrets; shorter ones are ordinary words more likely than not."""
    for value in sorted(values, key=len, reverse=True):
        if len(value) >= 4:
            text = text.replace(value, "(secret)")
    return text


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def main(argv: Sequence[str] | None = None, places: Places | None = None) -> int:
    """The program; its exit status."""
    places = places or Places()
    parser = argparse.ArgumentParser(description="Certificates of the ASGI apps by ACME.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("due", help="exit 1 and say why, when a certificate is due; change nothing")
    verbs.add_parser("start", help="run the service, and say what it could not do")
    runs = verbs.add_parser("run", help="get what is due; what the service does")
    runs.add_argument("--force", nargs="+", default=[], metavar="NAME", help="get these in any case")
    chosen = parser.parse_args(argv)
    if chosen.verb == "due":
        found = due(places)
        for site, reason in found:
            print(f"{site.name}: {reason}")
        return 1 if found or places.reload.exists() else 0
    if chosen.verb == "start":
        return start(places)
    return run(places, chosen.force)


if __name__ == "__main__":
    sys.exit(main())
