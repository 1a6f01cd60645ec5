# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The release model: build, start, gate, flip, drain, stop, prune; and the way back.

Whatever fails before the flip leaves what served before serving, and nothing of the attempt behind.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from .._files import gid_of, point_link, sync_folder, uid_of, write_atomically
from .._private import mask
from .._process import CommandError, run
from . import build, environment, gate, ledger, units
from .paths import SYSTEMD, App, Release

# nginx keeps an idle upstream connection for 2 s and renews each after 2 s; measured with a margin of 1 s.
LET_GO = 5.0
# Seconds that one deploy waits for another of the same app.
LOCK_WAIT = 600.0
# Seconds that a converge gives a release which already serves to answer its health checks.
STILL_HEALTHY = 5.0
# Seconds that one hook may take.
HOOK_TIMEOUT = 1800.0


class DeployError(Exception):
    """The app could not be brought to what was asked for; the message says why and what serves now."""


class Deployment:
    """One app of one host. ``spec`` says what is wanted, ``private`` holds its environment and secrets."""

    def __init__(self, spec: Mapping[str, Any], private: Mapping[str, Any], tools: build.Tools) -> None:
        self.spec = spec
        self.private = private
        self.tools = tools
        self.app = App(Path(spec["root"]), spec["name"], spec["user"])

    # -- what is wanted -------------------------------------------------------------------------------------

    def wanted_parts(self) -> dict[str, str]:
        """A digest for each thing that shapes the process; together they are the release's identity."""
        spec = self.spec
        parts: dict[str, Any] = {
            "source": spec["source"]["digest"],
            "requirements": [
                spec["requirements"],
                spec["server_pins"],
                spec["server_requirements"],
                spec["source"].get("extras", []),
                spec["source"].get("groups", []),
                spec["source"].get("requirements"),
            ],
            "interpreter": spec["python"],
            "settings": [spec["texts"], spec["hooks"]["build"], spec["shared"]],
        }
        digests = {
            name: hashlib.sha256(json.dumps(value).encode()).hexdigest() for name, value in parts.items()
        }
        digests["environment"] = environment.keyed_digest(self.app, self.private)
        return digests

    # -- converge -------------------------------------------------------------------------------------------

    def look(self, *, dry: bool) -> dict[str, Any]:
        """Whether the wanted release serves; repairs it where it does, unless ``dry``.

        The answer holds ``status``: ``current``, ``repaired`` or ``needed`` (a new release), with ``reasons``.
        """
        active = self.app.active()
        if active is None:
            return {"status": "needed", "reasons": ["no release serves yet"]}
        entry = ledger.read(active)
        wanted = self.wanted_parts()
        reasons = [
            f"{name} changed" for name, digest in wanted.items() if entry.get("parts", {}).get(name) != digest
        ]
        if not reasons and not self._complete(active):
            reasons = ["files of the release are missing"]
        if reasons:
            return {"status": "needed", "reasons": reasons, "previous": active.id}
        repairs = self._repair(active, dry=dry)
        return {"status": "repaired" if repairs else "current", "reasons": repairs, "release": entry}

    @staticmethod
    def _complete(release: Release) -> bool:
        """Whether the release's own files are there; what is in it cannot be put back, only built anew."""
        return (
            (release.venv / "bin" / "python").exists()
            and (release.folder / "gunicorn.conf.py").is_file()
            and release.source.is_dir()
            and source_stamp(release) == ledger.read(release).get("source_stamp")
        )

    def _repair(self, release: Release, *, dry: bool) -> list[str]:
        """Bring the serving release back to what it must be; returns what was wrong."""
        wrong = []
        restart = False
        for path, text, mode in self._text_files(release):
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                wrong.append(f"{path} differed")
                restart = True
                if not dry:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_atomically(path, text.encode(), mode=mode)
        seen = units.states([release.socket, release.service])
        for unit in (release.socket, release.service):
            if seen[unit].active not in ("active", "activating", "reloading"):
                wrong.append(f"{unit} was {seen[unit].active}")
            if not seen[unit].enabled:
                wrong.append(f"{unit} was not enabled at boot")
        if wrong:
            if dry:
                return wrong
            run(["systemctl", "daemon-reload"])
            units.start(release)
            if restart:
                units.restart(release)
            self._gate(release)
            return wrong
        try:
            self._passes(release, STILL_HEALTHY)
        except gate.GateError as error:
            if not dry:
                units.restart(release)
                self._gate(release)
            return [f"it did not answer: {error}"]
        return []

    def _text_files(self, release: Release) -> list[tuple[Path, str, int]]:
        """The small files of a release that can be put back at any time."""
        files = [
            (release.folder / "gunicorn.conf.py", self.spec["texts"]["gunicorn.conf.py"], 0o644),
            (release.drop_in, self.spec["texts"]["release.conf"], 0o644),
        ]
        for name, text in environment.wanted_files(release, self.private, self.spec["domains"]).items():
            files.append((release.secrets / name, text, 0o600))
        return files

    # -- deploy ---------------------------------------------------------------------------------------------

    def deploy(self, archive: Path | None) -> dict[str, Any]:
        """Build the wanted release, prove it, switch to it. Raises DeployError."""
        with self._lock():
            self._remove_leftovers()
            previous = self.app.active()
            if release := self._same_again():
                ledger.update(release, previous=previous.id if previous else None, by=self.spec["by"])
                self._switch(release, previous)
                return {"status": "deployed", "release": ledger.read(release)}
            release = self._new_release()
            try:
                self._build(release, archive)
                self._migrate(release)
                units.start(release)
                self._gate(release)
            except (build.BuildError, CommandError, DeployError, OSError) as error:
                self._discard(release)
                raise DeployError(self._explain(release, error, previous)) from error
            except BaseException:
                self._discard(release)
                raise
            self._switch(release, previous)
            self._after(release)
            return {
                "status": "deployed",
                "release": ledger.read(release),
                "chosen": build.chosen_versions(release),
            }

    def _same_again(self) -> Release | None:
        """The wanted release where it is on disk already, as after a rollback, started and proved; else None."""
        digest = self._digest()
        for release in reversed(self.app.all_releases()):
            if ledger.read(release).get("digest") != digest or release == self.app.active():
                continue
            if not self._complete(release) or not release.drop_in.is_file():
                continue
            units.start(release)
            try:
                self._passes(release, None)
            except gate.GateError:
                units.stop(release)
                return None
            return release
        return None

    def _digest(self) -> str:
        return hashlib.sha256(json.dumps(self.wanted_parts(), sort_keys=True).encode()).hexdigest()

    def _new_release(self) -> Release:
        parts, digest = self.wanted_parts(), self._digest()
        stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
        release = self.app.release(f"{stamp}-{digest[:6]}")
        release.source.mkdir(parents=True, mode=0o755)
        active = self.app.active()
        ledger.write(
            release,
            {
                "app": self.app.name,
                "id": release.id,
                "source": self.spec["source"]["describe"],
                "version": self.spec["source"].get("version", ""),
                "digest": digest,
                "parts": parts,
                "created": ledger.now(),
                "activated": None,
                "by": self.spec["by"],
                "previous": active.id if active else None,
                "state": ledger.BUILDING,
            },
        )
        return release

    def _build(self, release: Release, archive: Path | None) -> None:
        if archive:
            run(
                [
                    "tar",
                    "--extract",
                    "--gzip",
                    "--no-same-owner",
                    f"--file={archive}",
                    f"--directory={release.source}",
                ]
            )
        root = release.source / self.spec["app_dir"]
        if not root.is_dir():
            raise DeployError(
                f"app_dir: the source has no folder {self.spec['app_dir']}; name one that it has"
            )
        complete = [other for other in reversed(self.app.all_releases()) if other.id != release.id]
        build.make(release, self.spec, self.tools, self.spec["python"], complete)
        self._share(release)
        for path, text, mode in self._text_files(release):
            folder_mode = 0o700 if path.is_relative_to(self.app.secrets) else 0o755
            path.parent.mkdir(mode=folder_mode, parents=True, exist_ok=True)
            write_atomically(path, text.encode(), mode=mode)
        # systemd-run and the service itself must know the drop-in.
        run(["systemctl", "daemon-reload"])
        if self.spec["hooks"]["build"]:
            give_to(release.source, self.app.user)
            try:
                self._hooks(release, "build", writable=[release.source])
            finally:
                seal(release.source)
        build.compile_source(release)
        version = self.spec["source"].get("version") or self._package_version(release)
        ledger.update(release, state=ledger.BUILT, version=version, source_stamp=source_stamp(release))
        # A power cut after the switch must find the whole release on disk.
        os.sync()

    def _package_version(self, release: Release) -> str:
        packages = self.spec["source"].get("package") or [""]
        versions = build.chosen_versions(release)
        return next((versions[name] for name in build.named(packages[:1]) if name in versions), "")

    def _share(self, release: Release) -> None:
        """Links for the paths of the source that must outlive a release."""
        for item in self.spec["shared"]:
            inside, kept = release.source / item["path"], self.app.data / item["data"]
            if not kept.exists():
                kept.parent.mkdir(parents=True, exist_ok=True)
                if inside.is_dir():
                    shutil.copytree(inside, kept)
                elif inside.is_file():
                    shutil.copy2(inside, kept)
                elif not kept.suffix:
                    kept.mkdir()
                # else a file such as db.sqlite3, which the app makes through the link when it starts
                if kept.exists():
                    give_to(kept, self.app.user)
            if inside.is_symlink() or inside.is_file():
                inside.unlink()
            elif inside.is_dir():
                shutil.rmtree(inside)
            inside.parent.mkdir(parents=True, exist_ok=True)
            inside.symlink_to(kept)

    def _hooks(self, release: Release, stage: str, writable: Sequence[Path] = ()) -> None:
        known = environment.tokens(release, self.spec["domains"])
        for hook in environment.fill(self.spec["hooks"][stage], known):
            creates = hook.get("creates")
            if creates and (release.source / self.spec["app_dir"] / creates).exists():
                continue
            command = hook["command"]
            argv = ["/bin/sh", "-c", command] if isinstance(command, str) else command
            texts = [self.spec["texts"]["service"], self.spec["texts"]["release.conf"]]
            try:
                units.run_in_sandbox(release, texts, argv, writable=writable, timeout=HOOK_TIMEOUT)
            except CommandError as error:
                shown = command if isinstance(command, str) else " ".join(command)
                raise DeployError(f"hooks.{stage}: {shown!r} failed:\n{error.output}") from error

    def _migrate(self, release: Release) -> None:
        if not self.spec["hooks"]["migrate"]:
            return
        if self.app.active() is not None:
            self._check_import(release)
        self._hooks(release, "migrate")

    def _check_import(self, release: Release) -> None:
        """A release that cannot even be imported must not touch the data that another one serves.

        The first release is spared: there a migrate hook may be what makes the settings that the import needs.
        """
        config = release.folder / "gunicorn.conf.py"
        texts = [self.spec["texts"]["service"], self.spec["texts"]["release.conf"]]
        try:
            units.run_in_sandbox(
                release,
                texts,
                ["python", "-m", "gunicorn", "--check-config", "--config", str(config)],
                timeout=HOOK_TIMEOUT,
            )
        except CommandError as error:
            raise DeployError(f"the app cannot be imported, nothing was migrated:\n{error.output}") from error

    def _gate(self, release: Release) -> None:
        """Prove that the instance works. Raises DeployError with the journal's last lines."""
        try:
            self._passes(release, None)
        except gate.GateError as error:
            raise DeployError(
                f"{error}\nFrom the journal of {release.service}:\n{units.journal(release)}"
            ) from error

    def _passes(self, release: Release, limit: float | None) -> None:
        gate.passes(
            release, self.spec["health"], host=self.spec["host"], prefix=self.spec["root_path"], limit=limit
        )

    def _switch(self, release: Release, previous: Release | None) -> None:
        """Code and traffic follow one rename; then the old instance drains and stops."""
        point_link(self.app.current, f"releases/{release.id}")
        ledger.update(release, state=ledger.ACTIVE, activated=ledger.now())
        if previous and previous.id != release.id:
            gate.wait_until_let_go(previous.socket_path, LET_GO)
            # Streams have the graceful timeout; nothing else is left, so there is nothing to wait for.
            units.stop(previous, wait=False)
            if previous.ledger.is_file():
                ledger.update(previous, state=ledger.SUPERSEDED)
        self._prune(keep={release.id} | ({previous.id} if previous else set()))

    def _after(self, release: Release) -> None:
        try:
            self._hooks(release, "after")
        except DeployError as error:
            raise DeployError(f"release {release.id} serves, but {error}") from error

    def _explain(self, release: Release, error: Exception, previous: Release | None) -> str:
        serves = f"Release {previous.id} serves as before." if previous else "No release of it serves yet."
        text = error.output if isinstance(error, CommandError) else str(error)
        secret = [
            self.private.get("secrets", {}),
            self.private.get("credentials", {}),
            self.tools.index or "",
        ]
        return mask(
            f"{self.app.name}: release {release.id} is not good enough to serve. {text}\n{serves}", secret
        )

    # -- the way back ---------------------------------------------------------------------------------------

    def rollback(self, identity: str | None) -> dict[str, Any]:
        """Start an earlier release, prove it, switch to it. Raises DeployError."""
        with self._lock():
            active = self.app.active()
            if active is None:
                raise DeployError(
                    f"{self.app.name}: nothing serves, so there is nothing to roll back from; deploy it first"
                )
            target = self._rollback_target(active, identity)
            if target.id == active.id:
                return {"status": "current", "release": ledger.read(active)}
            units.start(target)
            try:
                self._gate(target)
            except DeployError as error:
                units.stop(target)
                raise DeployError(self._explain(target, error, active)) from error
            ledger.update(target, previous=active.id, by=self.spec["by"])
            self._switch(target, active)
            return {"status": "rolled back", "release": ledger.read(target)}

    def _rollback_target(self, active: Release, identity: str | None) -> Release:
        there = {
            release.id: release
            for release in self.app.all_releases()
            if ledger.read(release).get("state") != ledger.BUILDING
        }
        wanted = identity or ledger.read(active).get("previous")
        if wanted not in there:
            asked = f"no release {identity}" if identity else "no earlier release"
            choice = ", ".join(there) or "none"
            raise DeployError(
                f"{self.app.name}: this host has {asked}; there are: {choice} (give one with -e release=ID)"
            )
        return there[wanted]

    # -- house-keeping --------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """One deploy of an app at a time. The kernel drops the lock of a process that died."""
        self.app.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        path = self.app.folder / ".lock"
        with path.open("a+", encoding="utf-8") as stream:
            deadline = time.monotonic() + LOCK_WAIT
            while True:
                try:
                    fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        stream.seek(0)
                        raise DeployError(
                            f"{self.app.name}: another deploy holds {path} ({stream.read().strip()}); wait for it to end"
                        ) from None
                    time.sleep(0.5)
            stream.truncate(0)
            stream.write(f"process {os.getpid()}, {self.spec['by']}, since {ledger.now()}\n")
            stream.flush()
            yield

    def _remove_leftovers(self) -> None:
        """What a deploy that died half way left: a release that was never complete."""
        active = self.app.active()
        for release in self.app.all_releases():
            if ledger.read(release).get("state", ledger.BUILDING) == ledger.BUILDING and release != active:
                self._discard(release)

    def _prune(self, keep: set[str]) -> None:
        """Remove the oldest releases beyond ``keep_releases``, never one of ``keep`` or one that still drains."""
        releases = self.app.all_releases()
        old = [release for release in releases if release.id not in keep]
        excess = len(releases) - int(self.spec["keep_releases"])
        for release in old[: max(0, excess)]:
            if units.states([release.service])[release.service].active in ("inactive", "failed"):
                self._discard(release)

    def _discard(self, release: Release) -> None:
        """Remove a release and all that belongs to it."""
        if release.drop_in.exists():
            units.stop(release)
            units.forget_failure(release)
        shutil.rmtree(release.drop_in.parent, ignore_errors=True)
        shutil.rmtree(release.secrets, ignore_errors=True)
        shutil.rmtree(release.folder, ignore_errors=True)
        sync_folder(self.app.releases)

    def remove(self, *, purge: bool, dry: bool) -> list[str]:
        """Take away what was added; the app's data only with ``purge``. Returns what was (or would be) removed."""
        app = self.app
        template = [SYSTEMD / f"asgi-{app.name}@.{kind}" for kind in ("socket", "service")]
        paths = [*template, app.folder, app.secrets, *([app.data] if purge else [])]
        there = [str(path) for path in paths if path.exists()]
        account = _has_user(app.user)
        if dry or not (there or account):
            return there
        for release in app.all_releases():
            self._discard(release)
        for path in paths:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        run(["systemctl", "daemon-reload"])
        if app.data.is_dir() and not any(app.data.iterdir()):
            app.data.rmdir()
        if account and not app.data.exists():
            # With data left behind its owner stays too: a number that is given away again would inherit it.
            Path(f"/etc/sysusers.d/{app.user}.conf").unlink(missing_ok=True)
            run(["userdel", app.user])
            there.append(f"user {app.user}")
        return there


def _has_user(name: str) -> bool:
    try:
        uid_of(name)
    except KeyError:
        return False
    return True


def give_to(folder: Path, owner: str) -> None:
    """Make ``owner`` the owner of a folder and all in it; links are changed, not followed."""
    uid, gid = uid_of(owner), gid_of(owner)
    os.chown(folder, uid, gid)
    for base, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(base) / name, uid, gid, follow_symlinks=False)


def seal(folder: Path) -> None:
    """Make a source that hooks wrote to a release's again: root's, readable by all, writable by nobody else.

    Hooks run with the app's umask, which leaves nothing for nginx to read.
    """
    give_to(folder, "root")
    folder.chmod(0o755)
    for base, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(base) / name
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def source_stamp(release: Release) -> str:
    """A digest of names, sizes and times of the source: whoever changes a file of a release changes it."""
    total = hashlib.sha256()
    for base, folders, files in os.walk(release.source):
        folders[:] = sorted(name for name in folders if name != "__pycache__")
        for name in sorted(files):
            seen = (Path(base) / name).lstat()
            total.update(
                f"{base}/{name} {seen.st_size} {seen.st_mtime_ns} {seen.st_mode} {seen.st_uid}\0".encode()
            )
    return total.hexdigest()
