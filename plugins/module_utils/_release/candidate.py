# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A release in the making: its folder, its files, its virtualenv and its hooks, and nothing that serves."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from .. import _groups, _progress, _trees, _words
from .._files import NEW, gid_of, uid_of, write_atomically
from .._nginx import account
from .._private import mask, of_an_app
from .._process import CommandError, run, succeeds
from . import build, copies, environment, frontends, hints, ledger, live, own_files, paths, tree, units
from .live import Live
from .paths import Release
from .requirements import named
from .runtime.protocol import Hook, Runtime, TextFile
from .uv import Tools
from .workshop import Workshop

if TYPE_CHECKING:
    from .._contract.answers import Migrated
    from .._contract.release import AppPrivate, HookStage, OwnFile, ReleaseSpec

# Seconds that one hook may take.
HOOK_TIMEOUT = 1800.0


def as_user(user: str) -> list[str]:
    """The beginning of a command that runs with the rights of an app's user."""
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--"]


class RefusedError(Exception):
    """The candidate failed before anybody saw it; the message says where."""


@dataclass(frozen=True)
class Candidate:
    """One release of an app; ``spec`` says what is wanted, ``private`` holds its environment and secrets."""

    release: Release
    spec: ReleaseSpec
    private: AppPrivate
    runtime: Runtime
    """What it runs in."""

    @property
    def live(self) -> Live | None:
        """The live folder that is the source in development mode."""
        return live.wanted(self.release.app, self.spec)

    def text_files(self) -> list[TextFile]:
        """The small files of a release that can be put back at any time."""
        files = [(self.release.drop_in, self.spec["texts"]["release.conf"], 0o644)]
        files += [
            (paths.SYSTEMD / self.release.process(name), text, 0o644)
            for name, text in self.spec["processes"].items()
        ]
        files += [(self.release.folder / name, text, 0o644) for name, text in self.spec["files"].items()]
        return files + self.runtime.text_files(self.release)

    def owner_of(self, path: Path) -> tuple[int, int]:
        """The numbers of the user and group that one of these files belongs to."""
        return self.runtime.owner_of(self.release, path)

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

    def build(self, archive: Path | None, tools: Tools, others: Sequence[Release]) -> None:
        """Fill the release's folder; ``others`` are releases whose virtualenv may serve again.

        A live folder is its source as it is. Raises RefusedError, BuildError, CommandError, OSError.
        """
        if lacking := _groups.lacking(self.spec["groups"]):
            raise RefusedError(f"groups: {_groups.words(lacking[0])}")
        if self.spec["groups"] and (reserved := _groups.reserved(self.spec["groups"], account().group)):
            raise RefusedError(
                f"groups: {reserved[0]} is root's or nginx's group on this host, with which an app reaches what is of all others; "
                "remove it"
            )
        self.runtime.build(self, archive, tools, others)

    def build_virtualenv(self, archive: Path | None, tools: Tools, others: Sequence[Release]) -> None:
        """Fill the folder of a release that runs in a virtualenv, in the sandbox for builds."""
        with Workshop(self.release, self._python["path"], readable=self._read_by_build(tools)) as shop:
            self._build(archive, replace(tools, shop=shop), others, shop)

    @property
    def _python(self) -> Mapping[str, str]:
        """The interpreter of the virtualenv, with its path and version. Raises RefusedError."""
        if python := self.spec["python"]:
            return {"path": python["path"], "version": python["version"]}
        raise RefusedError("python: this host has no interpreter for the app; run site.yml")

    def _read_by_build(self, tools: Tools) -> list[str]:
        """What a build reads beside the release's folder."""
        folder = [str(self.live.folder)] if self.live else []
        if not tools.wheels:
            return folder
        # Nobody else passes through the folder that they are in.
        wheels = Path(tools.wheels)
        for path in (wheels, *wheels.iterdir()):
            path.chmod(0o755 if path.is_dir() else 0o644)
        return [*folder, tools.wheels]

    def _build(self, archive: Path | None, tools: Tools, others: Sequence[Release], shop: Workshop) -> None:
        if self.live:
            self.release.source.symlink_to(self.live.target)
        elif archive and self.spec["source"]["kind"] == "wheel":
            kept = build.wheel_path(self.release, self.spec["source"])
            kept.parent.mkdir(mode=0o755)
            shutil.copy(archive, kept)
        elif archive:
            shop.begin()
            copies.unpack(archive, self.release.source)
        self._put_own(own_files.plain(self._own))
        root = self.release.source / self.spec["app_dir"]
        if not root.is_dir():
            raise RefusedError(
                f"app_dir: the source has no folder {self.spec['app_dir']}; name one that it has"
            )
        if self.live and self.live.mount:
            # Before the build, whose own words for it would be of no use.
            self.put_texts()
            self._must_be_readable(self.live.mount)
        if self.spec.get("build"):
            if self.spec["source"]["kind"] != "tree":
                raise RefusedError(
                    "build.commands: a wheel has no source that they could run in; remove them"
                )
            frontends.make(self.release, self.spec["build"], shop, self.spec.get("build_env"))
        try:
            build.make(self.release, self.spec, tools, self._python, others)
        except build.BuildError as error:
            if self.live and self.live.mount and "Permission denied" in str(error):
                raise build.BuildError(
                    f"source.mount: a build reads {self.live.mount} as a user of its own; let everybody read it "
                    f"(chmod -R o+rX, or the options of the mount)\n{error}"
                ) from error
            raise
        self._share()
        self.put_texts()
        if self.spec["hooks"]["build"]:
            # What a build backend has left running has no part in it.
            shop.close()
            _progress.step("build_hooks", app=self.release.app.name)
            self._run_build_hooks()
        self._must_hold_the_app(root)
        if not self.live:
            build.compile_source(self.release, shop)
            shop.close()
        # After all that makes something of the source for everybody.
        self._put_own(own_files.secret(self._own))
        version = self.spec["source"].get("version") or self._package_version()
        ledger.update(
            self.release,
            state=ledger.BUILT,
            version=version,
            locked=build.lock_digest(self.release),
            source_stamp=None if self.live else tree.stamp(self.release.source),
            venv_stamp=tree.stamp(self.release.venv),
        )

    @property
    def _own(self) -> Mapping[str, OwnFile]:
        """The app's files, by their path in the source."""
        return self.private.get("files", {})

    def _put_own(self, given: Mapping[str, OwnFile], source: Path | None = None) -> None:
        """Write files of the app into the source, or into a copy of it. Raises RefusedError."""
        if not given:
            return
        source = source or (self.live.folder if self.live else self.release.source).resolve()
        try:
            own_files.put(source, given, self._tokens(), gid_of(self.release.app.user))
        except own_files.PlaceError as error:
            raise RefusedError(str(error)) from error

    def put_texts(self) -> None:
        """Write the small files; systemd reads them when it is first asked for the release."""
        for path, text, mode in self.text_files():
            self.put(path, text, mode)

    def _run_build_hooks(self) -> None:
        """Run the hooks on a copy of the source that is the app's user's, and take what they left by a copy of root's.

        In the hooks' sandbox the copy lies where the source is. What that user has had open never becomes root's.
        """
        app, live = self.release.app, self.live
        source = live.folder if live else self.release.source
        # Nobody else passes through it, so that a name in it is what root has made it.
        room = self.release.folder / "hooks"
        room.mkdir(mode=0o700)
        work, left = room / "work", room / "left"
        if live:
            _trees.copy(source, work)
        else:
            os.rename(source, work)
            source.mkdir(mode=0o755)
        self._put_own(own_files.secret(self._own), work)
        _trees.give(work, uid_of(app.user), gid_of(app.user))
        self.hooks("build", writable=[source], bound={work: source})
        try:
            _trees.copy(work, left, as_user(app.user))
        except _trees.TreeError as error:
            raise RefusedError(f"hooks.build left what no release may have: {error}") from error
        self._must_not_lead_out(left, source)
        own_files.take_out(left, self._own)
        self._put_own(own_files.plain(self._own), left)
        if live:
            live.take_over(left)
        else:
            source.rmdir()
            os.rename(left, source)
        _trees.remove(room)

    def _must_not_lead_out(self, left: Path, source: Path) -> None:
        """The links that hooks left for the ``source`` are followed by nginx as well."""
        also = [source, self.release.source, self.release.venv, self.release.app.data]
        for link, target in _trees.links_that_lead_out(left, also):
            raise RefusedError(
                f"hooks.build left the link {link}, which leads out of the source ({target}); let the hook put the file "
                "itself there, or a link within the source, the virtualenv or the data folder"
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
        source = (self.live.folder if self.live else self.release.source).resolve()
        for item in self.spec["shared"]:
            inside, kept = self.release.source / item["path"], self.release.app.data / item["data"]
            self._must_lead_nowhere(kept)
            *folders, name = Path(item["path"]).parts
            try:
                with _trees.opened(source, *folders, make=True) as folder:
                    self._link(folder, name, inside, kept)
            except OSError as error:
                # By a link of the source's the path may mean a place of the host's.
                if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                    raise
                raise RefusedError(
                    f"shared: the way to {item['path']} in the source holds a link or a file ({error.filename}); give a "
                    "path through folders alone"
                ) from error

    def _link(self, folder: int, name: str, inside: Path, kept: Path) -> None:
        """Put a link to what is ``kept`` in the place of what a folder of the source has under this name."""
        try:
            there: os.stat_result | None = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            there = None
        linked = there is not None and stat.S_ISLNK(there.st_mode)
        if not kept.exists():
            self._keep(inside, kept)
        elif linked and os.readlink(name, dir_fd=folder) == str(kept):
            return  # an earlier release of the same live folder
        if there is not None:
            _trees.remove_in(folder, name)
        os.symlink(kept, name, dir_fd=folder)

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
        own = as_user(self.release.app.user)
        run([*own, "mkdir", "--parents", str(kept.parent)])
        if not inside.exists():
            # A name with an ending is a file such as db.sqlite3, which the app makes through the link when it starts.
            if not kept.suffix:
                run([*own, "mkdir", str(kept)])
            return
        new = kept.with_name(f".{kept.name}{NEW}")
        clear = [*own, "rm", "--recursive", "--force", str(new)]
        run(clear)
        try:
            copy = ["cp", "--recursive", "--dereference", "--preserve=mode,timestamps"]
            run([*own, *copy, str(inside), str(new)])
            os.sync()
            run([*own, "mv", "--no-target-directory", "--no-clobber", str(new), str(kept)])
        except BaseException:
            succeeds(clear)
            raise

    def hooks(
        self, stage: HookStage, writable: Sequence[Path] = (), bound: Mapping[Path, Path] | None = None
    ) -> None:
        """Run the commands of a stage in the unit's own sandbox. Raises RefusedError at the first that fails."""
        for hook in environment.fill(self.spec["hooks"][stage], self._tokens()):
            creates = hook.get("creates")
            if creates and self._seen_by_hooks(creates, bound or {}).exists():
                continue
            command = hook["command"]
            argv = ["/bin/sh", "-c", command] if isinstance(command, str) else command
            try:
                self.runtime.run_hook(self.release, Hook(argv, stage, writable, bound or {}), HOOK_TIMEOUT)
            except CommandError as error:
                shown = command if isinstance(command, str) else " ".join(command)
                hint = ""
                if "Permission denied" in error.output and shown.startswith(("./", "{", "/")):
                    hint = f"\nIs {shown.split()[0]} executable? Make it so (chmod +x), and commit that."
                script = self._seen_by_hooks((shown.split() or [""])[0], bound or {})
                if hints.is_of_windows(script) and not hints.CRLF.search(error.output):
                    hint += f"\n{hints.WINDOWS}"
                raise RefusedError(f"hooks.{stage}: {shown!r} failed:\n{self._said(error)}{hint}") from error

    def _said(self, error: CommandError) -> str:
        """What a command of the app said, as far as it matters; the host's journal has all of it."""
        return _words.of_command(error.words, mask(error.words, of_an_app(self.private)))

    def _seen_by_hooks(self, path: str, bound: Mapping[Path, Path]) -> Path:
        """Where a path is that hooks mean from their working folder, while folders are ``bound`` in the place of others."""
        meant: Path = self.release.source / self.spec["app_dir"] / path
        for folder, place in bound.items():
            for top in (self.release.source, place):
                if meant.is_relative_to(top):
                    return folder / meant.relative_to(top)
        return meant

    def migrate(self, active: Release | None) -> Migrated:
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
        _progress.step("migrate", app=self.release.app.name)
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
        _progress.step("import", app=self.release.app.name)
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
