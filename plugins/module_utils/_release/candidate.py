# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A release in the making: its folder, its files, its virtualenv and its hooks, and nothing that serves."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import _words
from .._files import NEW, gid_of, uid_of, write_atomically
from .._private import mask
from .._process import CommandError, run, succeeds
from . import build, environment, hints, images, ledger, live, tree, units
from .live import Live
from .paths import SYSTEMD, Release
from .requirements import named

# Seconds that one hook may take.
HOOK_TIMEOUT = 1800.0


class RefusedError(Exception):
    """The candidate failed before anybody saw it; the message says where."""


@dataclass(frozen=True)
class Candidate:
    """One release of an app; ``spec`` says what is wanted, ``private`` holds its environment and secrets."""

    release: Release
    spec: Mapping[str, Any]
    private: Mapping[str, Any]
    login: Mapping[str, str] | None = None
    """Of the registry that the release's image is in."""
    asked: str = ""
    """The digest that the tag of the image stands for."""

    @property
    def live(self) -> Live | None:
        """The live folder that is the source in development mode."""
        return live.wanted(self.release.app, self.spec)

    def text_files(self) -> list[tuple[Path, str, int]]:
        """The small files of a release that can be put back at any time."""
        files = [(self.release.drop_in, self.spec["texts"]["release.conf"], 0o644)]
        files += [
            (SYSTEMD / self.release.process(name), text, 0o644)
            for name, text in self.spec["processes"].items()
        ]
        files += [(self.release.folder / name, text, 0o644) for name, text in self.spec["files"].items()]
        if images.is_one(self.spec):
            return files + self._image_files()
        if self.spec["command"]:
            filled = environment.fill(self.spec["command"], self._tokens())
            files.append((self.release.folder / "command.json", f"{json.dumps(filled)}\n", 0o644))
        fitting = ledger.read(self.release).get("workers")
        if fitting and fitting < self.spec["workers"]["wanted"]:
            files.append(self.workers_file(fitting))
        view = environment.view_key(self.release.app)
        wanted = environment.wanted_files(self.release, self.private, self.spec["domains"], view)
        for name, text in wanted.items():
            files.append((self.release.secrets / name, text, 0o600))
        return files

    def workers_file(self, fitting: int) -> tuple[Path, str, int]:
        """The file that says how many workers fit, where that is less than were wanted."""
        return self.release.folder / "workers", f"{fitting}\n", 0o644

    def _image_files(self) -> list[tuple[Path, str, int]]:
        unit = images.unit_text(self.release, self.spec, self.private)
        secret = images.secret_files(self.release, self.spec, self.private)
        return [
            (self.release.drop_in.with_name("image.conf"), unit, 0o644),
            *((self.release.secrets / name, text, 0o600) for name, text in secret.items()),
        ]

    def owner_of(self, path: Path) -> tuple[int, int]:
        """The numbers of the user and group that one of these files belongs to.

        A container has no systemd that brings credentials to its user: they are the app's own, in a folder below
        those of root.
        """
        if images.is_one(self.spec) and path.is_relative_to(self.release.secrets / "credentials"):
            return uid_of(self.release.app.user), gid_of(self.release.app.user)
        return 0, 0

    def _tokens(self) -> dict[str, str]:
        return environment.tokens(self.release, self.spec["domains"])

    def put(self, path: Path, text: str, mode: int) -> None:
        """Write one of these files; its folder is root's alone where it is a secret."""
        folder_mode = 0o700 if path.is_relative_to(self.release.app.secrets) else 0o755
        path.parent.mkdir(mode=folder_mode, parents=True, exist_ok=True)
        uid, gid = self.owner_of(path)
        if uid:
            path.parent.chmod(0o755)
        write_atomically(path, text.encode(), mode=mode, uid=uid, gid=gid)

    def _take_image(self, archive: Path | None, tools: build.Tools) -> None:
        images.make(self.release, self.spec, archive, tools, self.login, self.asked)
        for path, text, mode in self.text_files():
            self.put(path, text, mode)
        run(["systemctl", "daemon-reload"])
        ledger.update(
            self.release, state=ledger.BUILT, locked="", source_stamp=tree.stamp(self.release.source)
        )

    def build(self, archive: Path | None, tools: build.Tools, others: Sequence[Release]) -> None:
        """Fill the release's folder; ``others`` are releases whose virtualenv may serve again.

        A live folder is its source as it is. Raises RefusedError, BuildError, CommandError, OSError.
        """
        if images.is_one(self.spec):
            self._take_image(archive, tools)
            return
        if self.live:
            self.release.source.symlink_to(self.live.target)
        elif archive and self.spec["source"]["kind"] == "wheel":
            kept = build.wheel_path(self.release, self.spec["source"])
            kept.parent.mkdir(mode=0o755)
            shutil.copy(archive, kept)
        elif archive:
            into = f"--directory={self.release.source}"
            run(["tar", "--extract", "--gzip", "--no-same-owner", f"--file={archive}", into])
        root = self.release.source / self.spec["app_dir"]
        if not root.is_dir():
            raise RefusedError(
                f"app_dir: the source has no folder {self.spec['app_dir']}; name one that it has"
            )
        build.make(self.release, self.spec, tools, self.spec["python"], others)
        self._share()
        for path, text, mode in self.text_files():
            self.put(path, text, mode)
        # systemd-run and the service itself must know the drop-in.
        run(["systemctl", "daemon-reload"])
        if self.live and self.live.mount:
            self._must_be_readable(self.live.mount)
        if self.spec["hooks"]["build"]:
            tree.give_to(self.release.source, self.release.app.user)
            try:
                self.hooks("build", writable=[self.release.source.resolve()])
            finally:
                tree.seal(self.release.source)
        self._must_hold_the_app(root)
        if not self.live:
            build.compile_source(self.release)
        version = self.spec["source"].get("version") or self._package_version()
        ledger.update(
            self.release,
            state=ledger.BUILT,
            version=version,
            locked=build.lock_digest(self.release),
            source_stamp=None if self.live else tree.stamp(self.release.source),
            venv_stamp=tree.stamp(self.release.venv),
        )

    def _must_be_readable(self, mount: str) -> None:
        texts = [self.spec["texts"]["service"], self.spec["texts"]["release.conf"]]
        try:
            # In the working folder, as the app will.
            units.run_in_sandbox(self.release, texts, ["ls"], timeout=HOOK_TIMEOUT)
        except CommandError as error:
            raise RefusedError(
                f"source.mount: the app's user {self.release.app.user} cannot read {mount}; let everybody read it "
                f"(chmod -R o+rX, or the options of the mount)\n{error.words}"
            ) from error

    def _must_hold_the_app(self, root: Path) -> None:
        """The import root must be in the source or among what was installed; code is not run to find out."""
        name = self.spec["module"]
        if not name or "PYTHONPATH" in self.private.get("env", {}):
            return  # it may come from anywhere; the gate will tell
        places = [root, *self.release.venv.glob("lib/python3*/site-packages")]
        if any((place / name).is_dir() or any(place.glob(f"{name}.*")) for place in places):
            return
        if self.live and any(any(place.glob("*.pth")) for place in places[1:]):
            return  # an editable project says itself where in the live folder its modules are
        there = sorted(
            path.name.removesuffix(".py")
            for path in root.iterdir()
            if path.suffix == ".py" or (path.is_dir() and not path.name.startswith("."))
        )
        raise RefusedError(
            f"app: neither the source nor what it installs has a module {name} (the source has: "
            f"{', '.join(there) or 'no module'}); correct app, or name the folder that holds it in app_dir"
        )

    def _package_version(self) -> str:
        packages = self.spec["source"].get("package") or [""]
        versions = build.chosen_versions(self.release)
        return next((versions[name] for name in named(packages[:1]) if name in versions), "")

    def _share(self) -> None:
        """Links for the paths of the source that must outlive a release."""
        for item in self.spec["shared"]:
            inside, kept = self.release.source / item["path"], self.release.app.data / item["data"]
            self._must_lead_nowhere(kept)
            if kept.exists() and inside.is_symlink() and os.readlink(inside) == str(kept):
                continue  # an earlier release of the same live folder
            if not kept.exists():
                self._keep(inside, kept)
            if inside.is_symlink() or inside.is_file():
                inside.unlink()
            elif inside.is_dir():
                shutil.rmtree(inside)
            inside.parent.mkdir(parents=True, exist_ok=True)
            inside.symlink_to(kept)

    def _must_lead_nowhere(self, kept: Path) -> None:
        """What lies below the data folder is the app's own, which may have put a link to anything in the way."""
        data = self.release.app.data
        for place in (kept, *kept.parents):
            if place == data:
                return
            if place.is_symlink():
                raise RefusedError(
                    f"shared: {place} is a symbolic link ({os.readlink(place)}), which is not followed; put the folder "
                    "or file itself in its place, or a bind mount of what is on another disk"
                )

    def _keep(self, inside: Path, kept: Path) -> None:
        """Bring to the data folder what the source has, whole or not at all; as its owner, and with no right of root's."""
        user = self.release.app.user
        as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--"]
        run([*as_user, "mkdir", "--parents", str(kept.parent)])
        if not inside.exists():
            # A name with an ending is a file such as db.sqlite3, which the app makes through the link when it starts.
            if not kept.suffix:
                run([*as_user, "mkdir", str(kept)])
            return
        new = kept.with_name(f".{kept.name}{NEW}")
        clear = [*as_user, "rm", "--recursive", "--force", str(new)]
        run(clear)
        try:
            copy = ["cp", "--recursive", "--dereference", "--preserve=mode,timestamps"]
            run([*as_user, *copy, str(inside), str(new)])
            os.sync()
            run([*as_user, "mv", "--no-target-directory", "--no-clobber", str(new), str(kept)])
        except BaseException:
            succeeds(clear)
            raise

    def hooks(self, stage: str, writable: Sequence[Path] = ()) -> None:
        """Run the commands of a stage in the unit's own sandbox. Raises RefusedError at the first that fails."""
        for hook in environment.fill(self.spec["hooks"][stage], self._tokens()):
            creates = hook.get("creates")
            if creates and (self.release.source / self.spec["app_dir"] / creates).exists():
                continue
            command = hook["command"]
            argv = ["/bin/sh", "-c", command] if isinstance(command, str) else command
            texts = [self.spec["texts"]["service"], self.spec["texts"]["release.conf"]]
            # What builds (node, for the assets of a page) makes code in memory, and serves nobody.
            loosened = ["MemoryDenyWriteExecute"] if stage == "build" else []
            try:
                if images.is_one(self.spec):
                    images.run_hook(self.release, self.spec, self.private, argv, HOOK_TIMEOUT)
                else:
                    units.run_in_sandbox(
                        self.release,
                        texts,
                        argv,
                        writable=writable,
                        loosened=loosened,
                        timeout=HOOK_TIMEOUT,
                    )
            except CommandError as error:
                shown = command if isinstance(command, str) else " ".join(command)
                hint = ""
                if "Permission denied" in error.output and shown.startswith(("./", "{", "/")):
                    hint = f"\nIs {shown.split()[0]} executable? Make it so (chmod +x), and commit that."
                script = self.release.source / self.spec["app_dir"] / (shown.split() or [""])[0]
                if hints.is_of_windows(script) and not hints.CRLF.search(error.output):
                    hint += f"\n{hints.WINDOWS}"
                raise RefusedError(f"hooks.{stage}: {shown!r} failed:\n{self._said(error)}{hint}") from error

    def _said(self, error: CommandError) -> str:
        """What a command of the app said, as far as it matters; the host's journal has all of it."""
        known = [self.private.get("secrets", {}), self.private.get("credentials", {})]
        return _words.of_command(error.words, mask(error.words, known))

    def migrate(self, active: Release | None) -> dict[str, bool]:
        """Run the hooks; returns whether they did, and whether what they changed is this host's own.

        A hook that wrote to the app's data folder has its database there, so every host needs it; one that did
        not has a database elsewhere, which the fleet shares. Once a host's own, it stays so: a migration with
        nothing to do leaves no trace.
        """
        if not self.spec["hooks"]["migrate"]:
            return {}
        if active:
            self._check_import()
        began = time.time()
        self.hooks("migrate")
        known = bool(active and ledger.read(active).get("own_database"))
        said = {hook["every_host"] for hook in self.spec["hooks"]["migrate"]}
        own = True in said or (
            said != {False} and (known or tree.changed_since(self.release.app.data, began))
        )
        ledger.update(self.release, own_database=own)
        return {"ran": True, "own": own}

    def _check_import(self) -> None:
        """A release that cannot even be imported must not touch the data that another one serves.

        The first release is spared: there a migrate hook may be what makes the settings that the import needs.
        """
        if not self.spec["check"]:
            return  # what a program of one's own imports is its own affair
        texts = [self.spec["texts"]["service"], self.spec["texts"]["release.conf"]]
        try:
            units.run_in_sandbox(
                self.release,
                texts,
                environment.fill(self.spec["check"], self._tokens()),
                timeout=HOOK_TIMEOUT,
            )
        except CommandError as error:
            raise RefusedError(
                f"the app cannot be imported, nothing was migrated:\n{self._said(error)}"
            ) from error
