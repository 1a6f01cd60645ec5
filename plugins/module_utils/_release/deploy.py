# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The release model: build, prove, switch, stop the old one, prune; and the way back.

Whatever fails before the flip leaves what served before serving, and nothing of the attempt behind.
"""

from __future__ import annotations

import contextlib
import datetime
import fcntl
import functools
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from .. import _progress, _trees, _words
from .._files import gid_of, owned_as, sync_folder, uid_of
from .._nginx import account
from .._private import mask, without_passwords
from .._process import CommandError, run
from . import (
    assets,
    background,
    build,
    environment,
    footprint,
    hints,
    images,
    ledger,
    live,
    memory,
    reasons,
    requirements,
    tree,
    units,
    workshop,
)
from .candidate import Candidate, RefusedError
from .gate import Gate, GateError, wait_until_let_go
from .hold import Hold
from .live import Live
from .paths import SYSTEMD, App, Release
from .switch import LET_GO, NotProvedError, Switch
from .watch import WentBadError, watch

# Characters of its digest that a release has in its name.
NAMED = 6
# Where logind notes whose processes it keeps.
LINGERING = Path("/var/lib/systemd/linger")
# Of an app's socket, as its unit has it.
SOCKET_MODE = 0o660
# Seconds that one deploy waits for another of the same app.
LOCK_WAIT = 600.0
# Seconds that a converge gives a release which already serves to answer its health checks: slow is not dead.
STILL_HEALTHY = 20.0
# Seconds for the same where it is only to be found out whether there is something to do.
QUICK = 5.0
# Seconds that one which does not answer has for its end. It may hang, and would take its whole graceful time.
SILENT_PATIENCE = 10.0
# Seconds that one in development mode has to answer before it is said that it does not; nothing else is done then.
LIVE_PATIENCE = 5.0


class DeployError(Exception):
    """The app could not be brought to what was asked for; the message says why and what serves now."""


class BusyError(DeployError):
    """Another deploy of the app is at work on this host."""


class Deployment:
    """One app of one host. ``spec`` says what is wanted, ``private`` holds its environment and secrets."""

    def __init__(self, spec: Mapping[str, Any], private: Mapping[str, Any], tools: build.Tools) -> None:
        self.spec = spec
        # Who may ask a registry is no part of what runs.
        self.login = private.get("registry")
        self.private = {key: value for key, value in private.items() if key != "registry"}
        self.tools = tools
        self.app = App(Path(spec["root"]), spec["name"], spec["user"])
        # In development mode: what was sent to the live folder, and what there is to say of its code.
        self.synced: list[str] = []
        self.warnings: list[str] = []

    @property
    def _live(self) -> Live | None:
        """The live folder that is the source in development mode."""
        return live.wanted(self.app, self.spec)

    # -- what is wanted -------------------------------------------------------------------------------------

    def wanted_parts(self) -> dict[str, str]:
        """A digest for each thing that shapes the process; together they are the release's identity."""
        spec = self.spec
        parts: dict[str, Any] = {
            "source": self._source_digest(),
            "requirements": [
                spec["requirements"],
                spec["server_pins"],
                spec["server_requirements"],
                spec["source"].get("extras", []),
                spec["source"].get("groups", []),
                spec["source"].get("requirements"),
            ],
            "interpreter": spec["python"],
            "settings": [
                spec["texts"],
                spec["files"],
                spec["command"],
                spec["hooks"]["build"],
                spec["shared"],
                spec["processes"],
                *images.settings(spec),
            ],
        }
        digests = {
            name: hashlib.sha256(json.dumps(value).encode()).hexdigest() for name, value in parts.items()
        }
        digests["environment"] = environment.keyed_digest(self.app, self.private)
        return digests

    def _details(self) -> dict[str, dict[str, str]]:
        """What is kept of each part to tell why the next release is made."""
        return reasons.details(self.app, self.spec, self.private)

    @functools.cached_property
    def _asked(self) -> str:
        """What the tag of an image in a registry stands for, asked once; empty for any other source."""
        return images.asked(self.spec, self.login, self.app.active())

    def _source_digest(self) -> str:
        """What stands for the source. Of a live folder that is what decides the virtualenv; the rest may change."""
        if not (self._live and self._live.mount):
            return f"{self.spec['source']['digest']}{self._asked}"
        try:
            return live.dependencies(self._live.folder, self.spec["source"])
        except (requirements.UnreadableError, OSError) as error:
            raise DeployError(
                f"{self.app.name}: source.mount: {error}\nWhat served before serves as it did."
            ) from error

    # -- converge -------------------------------------------------------------------------------------------

    def converge(self, *, dry: bool, patience: float = STILL_HEALTHY) -> dict[str, Any]:
        """What look() does; or remove(), where the app is to be absent."""
        if self.spec["state"] == "absent":
            there = self.remove(purge=self.spec["purge"], dry=dry)
            return {"status": "removed" if there else "current", "reasons": there}
        return self.look(dry=dry, patience=patience)

    def look(self, *, dry: bool, patience: float = STILL_HEALTHY) -> dict[str, Any]:
        """Whether the wanted release serves; repairs it where it does, unless ``dry``.

        It has ``patience`` (seconds) to answer its health checks.
        The answer holds ``status``: ``current``, ``repaired`` or ``needed`` (a new release), with ``reasons``.
        """
        active = self.app.active()
        if active is None:
            return {"status": "needed", "reasons": ["no release serves yet"]}
        entry = ledger.read(active)
        wanted = self.wanted_parts()
        why: list[str] = []
        if any(entry.get("parts", {}).get(name) != digest for name, digest in wanted.items()):
            why = reasons.of(entry, wanted, self._details(), self.spec["source"])
        elif not self._complete(active):
            why = ["files of the release are missing or differ"]
        if why:
            again = self._same_again()
            return {
                "status": "needed",
                "reasons": why,
                "previous": active.id,
                "wanted": self._digest()[:NAMED],
                "again": again.id if again else None,
            }
        try:
            with self._lock(wait=0.0):
                found = [*self._finish(active, dry=dry), *self._repair(active, patience, dry=dry)]
        except BusyError:
            # Whoever is at work looks after it; its candidate is no leftover.
            found = []
        answer: dict[str, Any] = {
            "status": "repaired" if found else "current",
            "reasons": found,
            "release": ledger.read(active),
        }
        if self._live:
            # Of code that is about to change there is nothing to say.
            answer["unsynced"] = not self._live.holds(self.spec["live"]["digest"])
            if not answer["unsynced"]:
                self._look_at_live(active)
            answer["warnings"] = self.warnings
        return answer

    def _look_at_live(self, active: Release) -> None:
        """Say when the code as it is now does not pass. A restart would not help it: it waits for its next change."""
        try:
            self._gate.passes(active, LIVE_PATIENCE)
        except GateError as error:
            self.warnings.append(
                f"{self.app.name} runs in development mode, and its code as it is now does not pass the health check: "
                f"{error}. It waits for the next change; what it said: journalctl -u {active.service}"
            )

    def _complete(self, release: Release) -> bool:
        """Whether the release's own files are there; what is in it cannot be put back, only built anew."""
        entry = ledger.read(release)
        if not release.folder.is_dir() or not tree.is_readable(release.folder.stat()):
            return False
        if images.is_one(self.spec):
            runs = images.exists(release)
        else:
            runs = (release.venv / "bin" / "python").exists()
            runs = runs and tree.stamp(release.venv) == entry.get("venv_stamp")
        return (
            runs
            and all((release.folder / name).is_file() for name in self.spec["files"])
            and (
                self._live.is_source_of(release)
                if self._live
                else release.source.is_dir() and tree.stamp(release.source) == entry.get("source_stamp")
            )
        )

    def _repair(self, release: Release, patience: float, *, dry: bool) -> list[str]:
        """Bring the serving release back to what it must be; returns what was wrong.

        The background processes come last: they may ask the app.
        """
        wrong, differed = self._repair_files(release, dry=dry)
        processes = {SYSTEMD / unit: unit for unit in background.of(release)}
        own = differed - processes.keys()
        # They share the environment and the credentials with the app, and nothing else that is a file.
        shared = any(path.is_relative_to(release.secrets) for path in own)
        stale = [unit for path, unit in processes.items() if shared or path in differed]
        wrong = self._repair_app(release, wrong, patience, restart=bool(own), dry=dry)
        return [*wrong, *self._repair_processes(release, stale, dry=dry)]

    def _repair_app(
        self, release: Release, wrong: list[str], patience: float, *, restart: bool, dry: bool
    ) -> list[str]:
        """Bring the app itself back, of which so much is ``wrong`` already; returns that and what else was."""
        wrong = [*wrong, *self._repair_socket(release, dry=dry)]
        seen = units.states([release.socket, release.service])
        for unit in (release.socket, release.service):
            if seen[unit].active not in ("active", "activating", "reloading"):
                wrong.append(f"{unit} was {seen[unit].active}")
            if not seen[unit].enabled:
                wrong.append(f"{unit} was not enabled at boot")
        if wrong:
            if dry:
                return wrong
            _progress.step("repair", ", ".join(wrong), app=self.app.name)
            units.enable(release)
            units.reload()
            began = time.time()
            units.start(release)
            if restart:
                units.restart(release)
            if not self._live:
                self._must_pass(release, began)
            return wrong
        if self._live:
            return []
        try:
            self._gate.passes(release, patience)
        except GateError as error:
            if not dry:
                _progress.step("repair", f"it did not answer: {error}", app=self.app.name)
                began = time.time()
                units.restart(release)
                units.hasten(release, SILENT_PATIENCE)
                self._must_pass(release, began)
            return [f"it did not answer: {error}"]
        return []

    def _repair_processes(self, release: Release, stale: list[str], *, dry: bool) -> list[str]:
        """Start what does not run, and again what was started with other settings (``stale``)."""
        # One that ends again and again may have said why while it was looked at, and not yet once more.
        began = time.time()
        wrong = background.lacking(release)
        if dry or not (wrong or stale):
            return wrong
        _progress.step("processes", app=self.app.name)
        run(["systemctl", "daemon-reload"])
        try:
            background.stop_for_now(stale)
            background.start(release)
            background.stay_up(release, background.STAYS_UP)
        except background.EndedError as error:
            raise DeployError(
                f"{self.app.name}: processes: {units.with_journal(error, error.unit, began)}"
            ) from error
        return wrong

    def _repair_files(self, release: Release, *, dry: bool) -> tuple[list[str], set[Path]]:
        """Write the release's small files anew where they differ; returns what was wrong, and those that differed."""
        wrong = []
        differed = set()
        candidate = self._candidate(release)
        for path, text, mode in candidate.text_files():
            owner = candidate.owner_of(path)
            if not path.is_file() or path.read_bytes() != text.encode():
                wrong.append(f"{path} differed")
                differed.add(path)
            elif not owned_as(path, uid=owner[0], gid=owner[1], mode=mode):
                wrong.append(f"{path} had another owner or mode")
            else:
                continue
            if not dry:
                candidate.put(path, text, mode)
        return wrong, differed

    @staticmethod
    def _repair_socket(release: Release, *, dry: bool) -> list[str]:
        """Make the socket nginx's alone again; one whose name is gone is stopped, for nobody finds it any more."""
        path = release.socket_path
        if not path.is_socket():
            if not dry:
                # A service whose drop-in was gone is none to systemd, and could not be stopped.
                run(["systemctl", "daemon-reload"])
                run(["systemctl", "stop", release.socket, release.service])
            return [f"{path} was gone"]
        group = gid_of(account().group)
        if owned_as(path, uid=0, gid=group, mode=SOCKET_MODE):
            return []
        if not dry:
            os.chown(path, 0, group)
            path.chmod(SOCKET_MODE)
        return [f"{path} had another owner or mode"]

    def _must_pass(self, release: Release, began: float) -> None:
        """Wait for the serving release after a repair. Raises DeployError with its journal since that ``began``."""
        try:
            self._gate.passes(release)
        except GateError as error:
            raise DeployError(
                f"{self.app.name}: {units.with_journal(error, release.service, began)}"
            ) from error

    def _finish(self, active: Release, *, dry: bool) -> list[str]:
        """End what a deploy that died has begun; returns what there was. Raises DeployError."""
        found = []
        if (hold := Hold(active)).left_behind():
            found.append("its requests were held")
            if not dry:
                hold.give_back()
                hold.clear()
        found += self._end_of_switch(active, dry=dry)
        leftovers = self._half_built(active)
        found += [f"release {release.id} was left half built" for release in leftovers]
        if not dry:
            self._clear_away(leftovers)
        found += self._forget_trials(dry=dry)
        found += self._strays(active, dry=dry)
        previous = self._previous_of(active)
        for release in self.app.all_releases():
            if release != active and ledger.read(release).get("state") == ledger.ACTIVE:
                found.append(f"release {release.id} was not marked as superseded")
                if not dry:
                    ledger.update(release, state=ledger.SUPERSEDED)
        for release in self._excess(keep={active.id} | ({previous.id} if previous else set())):
            found.append(f"release {release.id} was not pruned")
            if not dry:
                self._discard(release)
        found += self._clear_development(active, dry=dry)
        if not dry:
            # Of no consequence to anything that serves, so it is no change.
            assets.prune(self.app, at_once=False)
        if ledger.read(active).get("after") == ledger.PENDING:
            found.append("hooks.after had not run to their end")
            if not dry:
                self._after(active, previous)
        return found

    def _forget_trials(self, *, dry: bool = False) -> list[str]:
        """End what a deploy that was killed was trying; for who holds the lock, beside whom nobody tries anything."""
        left = self.app.trials()
        if not dry:
            for path in left:
                path.unlink(missing_ok=True)
        return [f"{path} was left" for path in left]

    def _clear_development(self, active: Release, *, dry: bool = False) -> list[str]:
        """Remove what the development mode has left, and nobody can go back to; returns what there was."""
        found = []
        for release in self.app.all_releases():
            entry = ledger.read(release)
            proved = entry.get("state", ledger.BUILDING) not in ledger.UNPROVED
            if release != active and proved and entry.get("mode") == ledger.DEVELOPMENT:
                found.append(f"release {release.id} of the development mode was left")
                if not dry:
                    self._discard(release)
        folder = Live(self.app)
        if not (self._live and self._live.folder == folder.folder):
            found += [f"{path} was left" for path in folder.leftovers()]
            if not dry:
                folder.clear()
        return found

    def _end_of_switch(self, active: Release, *, dry: bool) -> list[str]:
        entry = ledger.read(active)
        if entry.get("state") == ledger.ACTIVE:
            return []
        if not dry:
            ledger.update(active, state=ledger.ACTIVE, activated=entry.get("activated") or ledger.now())
            self._leave(self._previous_of(active))
        return [f"the switch to {active.id} was not finished"]

    def _strays(self, active: Release, *, dry: bool) -> list[str]:
        """Instances that run, or would at boot, beside those that shall."""
        previous = self._previous_of(active)
        warm = previous.id if previous and self.spec["keep_warm"] else None
        found = []
        for identity, state in units.instances(self.app).items():
            runs = state.active in ("active", "activating") or state.enabled
            if identity in (active.id, warm) or not runs:
                continue
            found.append(f"release {identity} ran beside it")
            if not dry:
                units.stop(self.app.release(identity), wait=False)
        processes = background.others(active)
        found += [f"{unit} ran beside it" for unit in processes]
        if not dry:
            background.stop(processes)
        if warm and previous and not units.state(previous.service).enabled:
            found.append(f"release {warm} was not kept warm")
            if not dry:
                units.start(previous)
        if found and not dry:
            units.reload()
        left = images.left_behind(self.app) if images.is_one(self.spec) else []
        found += [f"the image {name} was left behind" for name in left]
        if left and not dry:
            images.remove_left_behind(self.app)
        return found

    def _previous_of(self, release: Release) -> Release | None:
        identity = ledger.read(release).get("previous")
        previous = self.app.release(identity) if identity else None
        return previous if previous and previous.folder.is_dir() else None

    # -- deploy ---------------------------------------------------------------------------------------------

    def deploy(self, archive: Path | None, *, migrate: bool = True) -> dict[str, Any]:
        """Build the wanted release, prove it, switch to it. Raises DeployError.

        Without ``migrate`` the hooks of that name are left out: another host of the fleet has run them.
        """
        with self._lock():
            previous = self.app.active()
            self._receive(archive)
            if (
                previous
                and ledger.read(previous).get("digest") == self._digest()
                and self._complete(previous)
            ):
                # Another deploy was quicker while this one waited for the lock, or the code alone is another.
                if self.synced:
                    version = self.spec["source"].get("version", "")
                    ledger.update(previous, version=version, synced=ledger.now())
                status = "synced" if self.synced else "current"
                return {"status": status, "reasons": self.synced, "release": ledger.read(previous)}
            units.end_commands(self.app)
            self._forget_trials()
            self._clear_away(self._half_built(previous))
            if previous:
                # A deploy that died may have stopped them.
                with contextlib.suppress(CommandError):
                    background.only(previous)
            migrated: dict[str, bool] = {}
            if release := self._same_again():
                _progress.step("again", release.id, app=self.app.name)
                with self._restored(release, previous):
                    # An earlier version of the role has noted none.
                    ledger.update(release, details=self._details())
                    if migrate:
                        migrated = self._candidate(release).migrate(previous)
                    self._switch(release, previous)
            else:
                release = self._name_release()
                _progress.step("build", release.id, app=self.app.name)
                try:
                    self._open(release)
                    candidate = self._candidate(release)
                    others = [other for other in reversed(self.app.all_releases()) if other != release]
                    candidate.build(archive, self.tools, others)
                    if migrate:
                        migrated = candidate.migrate(previous)
                    ledger.update(release, **self._pending())
                    self._switch(release, previous)
                except (build.BuildError, CommandError, NotProvedError, RefusedError, OSError) as error:
                    built = ledger.read(release).get("state", ledger.BUILDING) != ledger.BUILDING
                    if self.app.active() != release:
                        self._discard(release)
                    raise DeployError(self._explain(release, error, previous, built=built)) from error
                except BaseException:
                    state = ledger.read(release).get("state", ledger.BUILDING)
                    if self.app.active() != release and state in ledger.UNPROVED:
                        self._discard(release)
                    raise
            self._after(release, previous)
            self._clear_development(release)
            return {
                "status": "deployed",
                "release": ledger.read(release),
                "chosen": build.chosen_versions(release),
                "migrated": migrated,
            }

    def _receive(self, archive: Path | None) -> None:
        """Bring the live folder to what was sent, if that is another."""
        if not (archive and self._live):
            return
        digest = self.spec["live"]["digest"]
        if not self._live.holds(digest):
            shared = [item["path"] for item in self.spec["shared"]]
            self.synced = self._live.receive(archive, digest, shared) or [str(self._live.folder)]

    def _earlier(self, active: Release | None, release: Release) -> str | None:
        """What a release that takes over from ``active`` can be taken back to: nothing of the development mode."""
        if active is None:
            return None
        entry = ledger.read(active)
        if entry.get("mode") != ledger.DEVELOPMENT:
            return active.id
        earlier: str | None = entry.get("previous")
        return ledger.read(release).get("previous") if earlier == release.id else earlier

    @contextlib.contextmanager
    def _restored(self, release: Release, active: Release | None) -> Iterator[None]:
        """Go to a release that is on disk already; if that fails before the switch, its ledger is as it was.

        Raises DeployError, which says why.
        """
        before = ledger.read(release)
        previous = self._earlier(active, release)
        ledger.update(release, previous=previous, by=self.spec["by"], activated=None, **self._pending())
        try:
            yield
        except (CommandError, NotProvedError, RefusedError, OSError) as error:
            if self.app.active() != release:
                ledger.write(release, before)
                if not isinstance(error, (NotProvedError, RefusedError)):
                    # The gate was passed, and the switch failed: on a full disk, say.
                    units.end(release)
            raise DeployError(self._explain(release, error, active)) from error

    def _pending(self) -> dict[str, str | None]:
        """What the ledger says of the hooks that are still to run after the switch."""
        return {"after": ledger.PENDING if self.spec["hooks"]["after"] else None}

    def _switch(self, release: Release, previous: Release | None) -> None:
        """Prove the release, give it the traffic, watch it, and stop the old one.

        Raises NotProvedError before the switch, and DeployError when it went bad after it and was taken back.
        """
        began = time.time()
        restart, keep = self.spec["strategy"] == "restart", self._keeping_files_of(previous, release)
        Switch(previous, self._gate, restart, self._fit, keep).to(release)
        wanted = self.spec["watch"]
        if wanted["seconds"]:
            _progress.step("watch", wanted["seconds"], app=self.app.name)
            try:
                watch(release, self._gate, wanted)
            except (WentBadError, background.EndedError) as error:
                unit = error.unit if isinstance(error, background.EndedError) else release.service
                said = units.with_journal(error, unit, began)
                raise DeployError(self._masked(self._take_back(release, previous, said))) from error
        self._leave(previous)
        earlier = self._previous_of(release)
        for old in self._excess(keep={each.id for each in (release, previous, earlier) if each}):
            self._discard(old)
        assets.prune(self.app)

    def _keeping_files_of(self, *releases: Release | None) -> Callable[[], None]:
        """Before a switch: what keeps the static files of both, so that pages from before it find theirs after it."""

        def keep() -> None:
            for release in filter(None, releases):
                entry = ledger.read(release)
                folders = [*self.spec["static"], *entry.get("static", [])]
                if folders:
                    assets.keep(release, folders, gid_of(account().group))

        return keep

    def _fit(self, release: Release) -> bool:
        """Lower the number of workers to what fits by their measured size; returns whether it was too high."""
        wanted, room = int(self.spec["workers"]["wanted"]), self.spec["workers"]["room"]
        measured = memory.of(units.state(release.service).main_pid) if room else None
        if measured is None:
            return False
        fitting = min(wanted, measured.fitting(room))
        ledger.update(release, workers=fitting, worker_mb=round(max(measured.workers)))
        if fitting < wanted:
            candidate = self._candidate(release)
            candidate.put(*candidate.workers_file(fitting))
        return fitting < wanted

    def _take_back(self, release: Release, previous: Release | None, reason: str) -> str:
        """Give the traffic back to the earlier release; returns what happened in words."""
        what = f"{self.app.name}: release {release.id} went bad after the switch: {reason}\n"
        if previous is None:
            return f"{what}There is no earlier release, so it still serves."
        try:
            Switch(release, self._gate_of(previous), self.spec["strategy"] == "restart").to(previous)
        except NotProvedError as error:
            return f"{what}It still serves: the earlier release {previous.id} does not work either: {error}"
        ledger.update(release, state=ledger.BAD, reason=reason.partition("\n")[0])
        units.stop(release, wait=False)
        units.reload()
        background.only(previous)
        return f"{what}Release {previous.id} serves again."

    def _leave(self, previous: Release | None) -> None:
        """Stop what the app does not need any more; the previous release stays up with ``keep_warm``."""
        active = self.app.active()
        for identity, state in units.instances(self.app).items():
            kept = self.spec["keep_warm"] and previous and identity == previous.id
            runs = state.active in ("active", "activating") or state.enabled
            if runs and not kept and active and identity != active.id:
                # Streams have the graceful timeout; nothing else is left, so there is nothing to wait for.
                units.stop(self.app.release(identity), wait=False)
        units.reload()
        if active:
            background.only(active)
        if previous and previous.ledger.is_file() and previous != active:
            ledger.update(previous, state=ledger.SUPERSEDED)

    def _same_again(self) -> Release | None:
        """The wanted release where it is on disk already, as after a rollback; else None."""
        digest = self._digest()
        for release in reversed(self.app.all_releases()):
            if ledger.read(release).get("digest") != digest or release == self.app.active():
                continue
            files = [release.drop_in, *(SYSTEMD / unit for unit in background.of(release))]
            if self._complete(release) and all(path.is_file() for path in files):
                return release
        return None

    def _digest(self) -> str:
        return hashlib.sha256(json.dumps(self.wanted_parts(), sort_keys=True).encode()).hexdigest()

    def _name_release(self) -> Release:
        stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%S")
        return self.app.release(f"{stamp}-{self._digest()[:NAMED]}")

    def _candidate(self, release: Release) -> Candidate:
        return Candidate(release, self.spec, self.private, self.login, self._asked)

    def _open(self, release: Release) -> None:
        """Make the folder and the ledger's entry of a release that is now being built."""
        # A source that is live is a link, made when the release is filled.
        (release.folder if self._live else release.source).mkdir(parents=True, mode=0o755)
        active = self.app.active()
        ledger.write(
            release,
            {
                "app": self.app.name,
                "id": release.id,
                "source": self.spec["source"]["describe"],
                "version": self.spec["source"].get("version", ""),
                "digest": self._digest(),
                "parts": self.wanted_parts(),
                "details": self._details(),
                "gate": self._gate.entry(),
                "processes": list(self.spec["processes"]),
                "static": self.spec["static"],
                "created": ledger.now(),
                # Clocks are put right; the order in which releases were made is what they are pruned by.
                "number": 1 + max(map(self._number, self.app.all_releases())),
                "activated": None,
                "by": self.spec["by"],
                "previous": self._earlier(active, release),
                "state": ledger.BUILDING,
                **({"mode": ledger.DEVELOPMENT} if self._live else {}),
            },
        )

    @property
    def _gate(self) -> Gate:
        kind = images.ContainerGate if images.is_one(self.spec) else Gate
        return kind(self.spec["health"], self.spec["host"], self.spec["root_path"], self.spec["warm_up"])

    def _gate_of(self, release: Release) -> Gate:
        """The gate that a release was made with: a newer inventory may ask for a page that it lacks."""
        entry = ledger.read(release).get("gate")
        return Gate(**entry) if entry else self._gate

    def _after(self, release: Release, previous: Release | None) -> None:
        try:
            if self.spec["hooks"]["after"]:
                _progress.step("after", app=self.app.name)
            self._candidate(release).hooks("after")
            if ledger.read(release).get("after"):
                ledger.update(release, after=None)
        except RefusedError as error:
            if self.spec["hooks"]["after_failure"] == "rollback":
                raise DeployError(self._masked(self._take_back(release, previous, str(error)))) from error
            raise DeployError(
                self._masked(f"{self.app.name}: release {release.id} serves, but {error}")
            ) from error

    def _explain(
        self, release: Release, error: Exception, previous: Release | None, *, built: bool = True
    ) -> str:
        text = error.words if isinstance(error, CommandError) else str(error)
        # The journal is safe already, and so is the rest behind this line.
        text = text if isinstance(error, (CommandError, build.BuildError)) else _words.safe(text)
        if isinstance(error, (CommandError, build.BuildError)):
            text = _words.of_command(text, self._masked(text))
        if self.app.active() == release:
            return self._masked(f"{self.app.name}: release {release.id} serves, but after the switch: {text}")
        serves = f"Release {previous.id} serves as before." if previous else "No release of it serves yet."
        hint = hints.of(error, text, self.app, self.spec["server"], self.spec)
        failed = "is not good enough to serve" if built else "could not be built"
        return self._masked(f"{self.app.name}: release {release.id} {failed}. {text}\n{hint}{serves}")

    def _masked(self, text: str) -> str:
        secret = [
            self.private.get("secrets", {}),
            self.private.get("credentials", {}),
            (self.login or {}).get("password", ""),
            self.tools.index or "",
        ]
        # A secret may hold what is shown by number.
        return without_passwords(mask(mask(text, secret), _words.safe_all(secret)))

    # -- the way back ---------------------------------------------------------------------------------------

    def rollback(self, identity: str | None, *, dry: bool = False) -> dict[str, Any]:
        """Start an earlier release, prove it, switch to it; with ``dry`` only find it. Raises DeployError."""
        with self._lock():
            active = self.app.active()
            if active is None:
                raise DeployError(
                    f"{self.app.name}: nothing serves, so there is nothing to roll back from; deploy it first"
                )
            if self._live or ledger.read(active).get("mode") == ledger.DEVELOPMENT:
                raise DeployError(
                    f"{self.app.name}: it runs in development mode (reload: true), and its code is a folder that "
                    "changes, of which nothing earlier is kept: put the code right there; or set reload: false, and "
                    "run site.yml"
                )
            target = self._rollback_target(active, identity)
            if target.id == active.id:
                return {"status": "current", "release": ledger.read(active)}
            if dry:
                return {"status": "rolled back", "release": ledger.read(target)}
            with self._restored(target, active):
                # The hooks after a deploy are no part of going back.
                ledger.update(target, after=None)
                restart, keep = self.spec["strategy"] == "restart", self._keeping_files_of(active, target)
                Switch(active, self._gate_of(target), restart, ready=keep).to(target)
            self._leave(active)
            return {"status": "rolled back", "release": ledger.read(target)}

    def _rollback_target(self, active: Release, identity: str | None) -> Release:
        there = {
            release.id: release
            for release in self.app.all_releases()
            if ledger.read(release).get("state") not in (None, ledger.BAD, *ledger.UNPROVED)
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
    def _lock(self, wait: float = LOCK_WAIT) -> Iterator[None]:
        """One deploy of an app at a time. The kernel drops the lock of a process that died.

        Raises BusyError, which names the holder, when it is not free within ``wait`` seconds.
        """
        self.app.folder.mkdir(mode=0o750, parents=True, exist_ok=True)
        deadline = time.monotonic() + wait
        with contextlib.ExitStack() as stack:
            while True:
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                handle = os.open(self.app.lock, flags, 0o600)
                stream = stack.enter_context(os.fdopen(handle, "r+", encoding="utf-8"))
                self._wait_for(stream, deadline)
                with contextlib.suppress(FileNotFoundError):
                    # Whoever had it before may have removed the app, and the file with it.
                    if os.path.samestat(os.fstat(stream.fileno()), self.app.lock.lstat()):
                        break
            # On a full disk the lock holds all the same, and nobody's name is in it.
            with contextlib.suppress(OSError):
                stream.truncate(0)
                stream.write(f"process {os.getpid()}, {self.spec['by']}, since {ledger.now()}\n")
                stream.flush()
            # Where it was before, any user could hold it.
            (self.app.folder / ".lock").unlink(missing_ok=True)
            yield

    def _wait_for(self, stream: IO[str], deadline: float) -> None:
        waits = False
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > deadline:
                    stream.seek(0)
                    raise BusyError(
                        f"{self.app.name}: another deploy holds {self.app.lock} ({stream.read().strip()}); "
                        "wait for it to end"
                    ) from None
                if not waits:
                    _progress.step("lock", app=self.app.name)
                waits = True
                time.sleep(0.5)
            else:
                return

    def _half_built(self, active: Release | None) -> list[Release]:
        """What a deploy that died half way left: releases that never served."""
        return [
            release
            for release in self.app.all_releases()
            if ledger.read(release).get("state", ledger.BUILDING) in ledger.UNPROVED and release != active
        ]

    def _clear_away(self, leftovers: list[Release]) -> None:
        """Remove what a deploy that died left, and uv's cache with it.

        uv does not sync what it writes: if it was the power that went, its cache may hold empty files, and would
        install them for ever.
        """
        if leftovers:
            self.tools.forget(self.app)
            if images.is_one(self.spec):
                images.clear_away(self.app, str(ledger.read(leftovers[0]).get("created", "")))
        for release in leftovers:
            self._discard(release)

    def _excess(self, keep: set[str]) -> list[Release]:
        """The oldest releases beyond ``keep_releases``, but for those of ``keep`` and those that still drain."""
        releases = [
            release
            for release in sorted(self.app.all_releases(), key=self._number)
            # One of the development mode is in nobody's way: it goes by itself.
            if ledger.read(release).get("mode") != ledger.DEVELOPMENT
        ]
        old = [release for release in releases if release.id not in keep]
        return [
            release
            for release in old[: max(0, len(releases) - int(self.spec["keep_releases"]))]
            if units.state(release.service).active in ("inactive", "failed")
        ]

    @staticmethod
    def _number(release: Release) -> int:
        """The place of a release among all of its app; 0 for those of earlier versions, which its name puts in order."""
        return int(ledger.read(release).get("number", 0))

    def _discard(self, release: Release) -> None:
        """Remove a release and all that belongs to it."""
        if (hold := Hold(release)).left_behind():
            hold.clear()
        background.discard(release)
        if release.drop_in.exists() or release.id in units.instances(release.app):
            units.stop(release)
            units.forget_failure(release)
        images.discard(release)
        release.trial.unlink(missing_ok=True)
        for folder in (release.drop_in.parent, release.secrets, release.folder):
            with contextlib.suppress(OSError):
                _trees.remove(folder)
        if self.app.releases.is_dir():
            sync_folder(self.app.releases)

    def remove(self, *, purge: bool, dry: bool) -> list[str]:
        """Take away what was added; the app's data only with ``purge``. Returns what was (or would be) removed."""
        app = self.app
        template = [SYSTEMD / f"asgi-{app.name}@.{kind}" for kind in ("socket", "service")]
        paths = [*template, app.secrets, *([app.data] if purge else [])]
        there = [*(str(path) for path in paths if path.exists()), *footprint.there(app)]
        account = _has_user(app.user)
        # With data left behind its owner stays. One alone is left of a removal that failed at its end.
        goes = account and (purge or not app.data.is_dir() or not any(app.data.iterdir()))
        if dry or not (there or goes):
            return [*there, *([f"user {app.user}"] if goes else [])]
        _progress.step("remove", app=app.name)
        with self._lock() if str(app.folder) in there else contextlib.nullcontext():
            return self._remove(paths, there, account=account)

    def _remove(self, paths: list[Path], there: list[str], *, account: bool) -> list[str]:
        app = self.app
        # Somebody may have removed the folder and left the units.
        own = str(app.folder) in there
        if active := app.active():
            # The site is gone, but nginx may still bring to its end what came before.
            wait_until_let_go(active.socket_path, LET_GO)
        known = {release.id for release in app.all_releases() if own} | set(units.instances(app))
        for identity in sorted(known | units.with_settings(app)):
            self._discard(app.release(identity))
        images.remove_all(app)
        workshop.forget(app)
        self._forget_trials()
        if own:
            footprint.take_away(app)
        for path in paths:
            with contextlib.suppress(FileNotFoundError):
                _trees.remove(path)
        run(["systemctl", "daemon-reload"])
        if app.data.is_dir() and not any(app.data.iterdir()):
            app.data.rmdir()
        if account and not app.data.exists():
            # With data left behind its owner stays too: a number that is given away again would inherit it.
            _end_lingering(app.user)
            Path(f"/etc/sysusers.d/{app.user}.conf").unlink(missing_ok=True)
            run(["userdel", app.user])
            there.append(f"user {app.user}")
        app.lock.unlink(missing_ok=True)
        return there


def _end_lingering(user: str) -> None:
    """End what logind keeps running for a user: where there is a polkit, any process may ask that of it for its own.

    It is beside the app's units, and a user who has a process is not removed.
    """
    if (LINGERING / user).exists():
        run(["loginctl", "disable-linger", user])
        run(["systemctl", "stop", f"user@{uid_of(user)}.service"])


def _has_user(name: str) -> bool:
    try:
        uid_of(name)
    except KeyError:
        return False
    return True
