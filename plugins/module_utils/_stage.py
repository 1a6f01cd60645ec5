# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One stage of a host: an ordered list of files, folders, links and commands, brought about in one call.

A module call costs about half a second whatever it does, so a stage is one call and not one per file.
When a step fails, every file that the call had written is put back as it was.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from . import _nginx, _progress, _trees
from ._files import gid_of, let_pass, lets_pass, owned_as, point_link, uid_of, write_atomically
from ._process import CommandError, run, succeeds

if TYPE_CHECKING:
    from ._contract.steps import Step

# A file is ours to replace without a backup when its first lines carry this mark.
MARK = "asgi.host"


# What a step can be.
KINDS = ("line", "file", "folder", "owned", "link", "absent", "command", "notice")
# The apps that a step is for, where it is not for all of the host.
Part: TypeAlias = tuple[str, ...]


class StageError(Exception):
    """A step failed; what the call had written is back as it was."""


@dataclass
class Outcome:
    """What a stage did, or in a dry run would do."""

    changed: list[str] = field(default_factory=list)
    diff: list[dict[str, str]] = field(default_factory=list)
    backups: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    """What commands said that may fail without the stage being undone."""
    notices: list[str] = field(default_factory=list)
    left: dict[Part, str] = field(default_factory=dict)
    """The parts that were left as they were, with the reason."""


@dataclass
class Stage:
    """Carries out steps in order; ``dry`` only looks. ``private`` holds contents that must not be shown.

    One that is ``told`` notes what it does, or in a dry run would do, when it begins.
    """

    dry: bool
    private: Mapping[str, Any] = field(default_factory=dict)
    told: bool = False
    outcome: Outcome = field(default_factory=Outcome)
    _quick: dict[str, list[str]] = field(default_factory=dict)
    _undo: list[tuple[Part, str, Callable[[], None]]] = field(default_factory=list)
    _part: Part = ()
    _checked: bool = False

    def carry_out(self, steps: Sequence[Step]) -> Outcome:
        """Bring the steps about. Raises StageError, having undone the files, when one fails.

        Each has one of ``line`` (what of a file matches ``pattern`` becomes ``to``), ``file`` (with ``content``, or
        ``private`` for the name of a secret one), ``folder``, ``owned``, ``link`` (with ``target``), ``absent``, ``command``
        (argv), ``notice``. A file with ``ours`` is replaced without a backup even though nothing in it says whose it is. A
        folder that is ``passable_for`` a user is 0750 but for that user, who reaches what is in it by name. A folder that is
        ``owned`` is given to its ``owner`` with all that is in it, where it or something right in it is another user's.

        A command runs when a path that begins with one of ``when`` changed in this call, when ``creates`` does not exist,
        or when the command ``unless`` does not succeed. With ``check`` it only checks and is no change. With ``may_fail``
        its failure undoes nothing, and is reported. What it does is noted in the words of ``do``, where it has them.

        A step with ``part``, the names of apps, fails for these alone: what was done of that part is undone, its other
        steps are passed over, and ``left`` says why. Where a check fails it is found out which part that is due to.
        """
        for place, step in enumerate(steps):
            part = self._part = tuple(step.get("part", ()))
            if part in self.outcome.left:
                continue
            try:
                self._do(step)
            except (OSError, KeyError, CommandError) as error:
                if part:
                    if not self._checked:
                        # Later it is in use already.
                        self._take_back(part)
                    self.outcome.left[part] = f"{_name(step)}: {_reason(step, error)}"
                elif not (step.get("check") and self._leave_out_what_fails(step, steps[:place], error)):
                    put_back = (
                        " Every file that this call had written is back as it was." if self._undo else ""
                    )
                    self._take_back()
                    raise StageError(f"{_name(step)}: {_reason(step, error)}{put_back}") from error
            self._checked |= bool(step.get("check"))
        self._tell_quick()
        return self.outcome

    def _do(self, step: Step) -> None:
        step = _nginx.filled(step)
        kind = next(key for key in KINDS if key in step)
        getattr(self, f"_{kind}")(step)

    def _take_back(self, part: Part | None = None) -> None:
        """Undo what was done of a part, or all."""
        kept = [each for each in self._undo if part is not None and each[0] != part]
        for own, path, undo in reversed(self._undo):
            if part is None or own == part:
                undo()
                for noted in (self.outcome.changed, *self._quick.values()):
                    if path in noted:
                        noted.remove(path)
                self.outcome.diff[:] = [
                    each for each in self.outcome.diff if each.get("after_header") != path
                ]
        self._undo = kept

    def _leave_out_what_fails(self, check: Step, before: Sequence[Step], error: Exception) -> bool:
        """Leave the parts out without which a check succeeds; False where no part is to blame, and then all are out.

        The part that the check names goes first. One part alone is the usual case; where leaving out any one does not
        help, all are taken back, and each that the check then takes is done again. Once more for as long as that brings
        something, for one part may need another (an app that moves from one site to another).
        """
        words = _reason(check, error)
        parts = list(dict.fromkeys(part for part, _path, _undo in self._undo if part))
        parts.sort(key=lambda part: not any(f"-{name}.conf" in words for name in part))
        for part in parts:
            self._take_back(part)
            if (found := self._failure(check)) is None:
                self.outcome.left[part] = words
                return True
            self._again(part, before)
        for part in parts:
            self._take_back(part)
        if not parts or self._failure(check) is not None:
            return False
        waiting, reasons = parts, dict[Part, str]()
        while waiting:
            tried, waiting = waiting, []
            for part in tried:
                self._again(part, before)
                if (found := self._failure(check)) is not None:
                    self._take_back(part)
                    reasons[part] = found
                    waiting.append(part)
            if len(waiting) == len(tried):
                break
        self.outcome.left.update({part: reasons[part] for part in waiting})
        return True

    def _failure(self, check: Step) -> str | None:
        """What a check says now; None where it succeeds."""
        try:
            run(check["command"])
        except CommandError as error:
            return _reason(check, error)
        return None

    def _again(self, part: Part, steps: Sequence[Step]) -> None:
        """Do the steps of a part once more."""
        self._part = part
        for step in steps:
            if tuple(step.get("part", ())) == part:
                self._do(step)
        self._part = ()

    def _can_undo(self, path: Path) -> None:
        self._undo.append((self._part, str(path), _restore(path)))

    def _note(self, what: str, verb: str = "") -> None:
        """Something changes; files are told of together, under the ``verb`` of what is done with them."""
        self.outcome.changed.append(what)
        if verb:
            self._quick.setdefault(verb, []).append(what)

    def _tell(self, what: str) -> None:
        if self.told:
            _progress.step("host", what)

    def _tell_quick(self) -> None:
        """Tell of the files since the last command; in a dry run of each."""
        for verb, paths in self._quick.items():
            if paths:
                self._tell(_progress.several(verb, paths, all_of_them=self.dry))
        self._quick.clear()

    def _file(self, step: Step) -> None:
        path, secret = Path(step["file"]), "private" in step
        content = (self.private[step["private"]] if secret else step["content"]).encode()
        mode = int(step.get("mode", "0644"), 8)
        try:
            before: bytes | None = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            before = None
        if before != content:
            shown = "(not shown: secret)\n"
            self.outcome.diff.append(
                {
                    "before_header": str(path),
                    "after_header": str(path),
                    "before": "" if before is None else shown if secret else before.decode(errors="replace"),
                    "after": shown if secret else content.decode(),
                }
            )
        elif owned_as(
            path, uid=uid_of(step.get("owner", "root")), gid=gid_of(step.get("group", "root")), mode=mode
        ):
            return
        self._note(str(path), "write")
        if self.dry:
            return
        if before is not None and before != content and not step.get("ours"):
            self._keep_backup(path, before)
        uid, gid = uid_of(step.get("owner", "root")), gid_of(step.get("group", "root"))
        self._can_undo(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content, mode=mode, uid=uid, gid=gid)

    def _line(self, step: Step) -> None:
        """Change one line of a file of somebody else's, and nothing where there is none that matches."""
        path = Path(step["line"])
        try:
            before, seen = path.read_bytes(), path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return
        pattern, to = step["pattern"].encode(), step["to"].encode()
        content = re.sub(pattern, to, before, count=1, flags=re.MULTILINE)
        if content == before:
            return
        self._note(str(path), "write")
        shown = {"before_header": str(path), "after_header": str(path)}
        texts = {"before": before.decode(errors="replace"), "after": content.decode(errors="replace")}
        self.outcome.diff.append({**shown, **texts})
        if not self.dry:
            self._can_undo(path)
            write_atomically(path, content, mode=seen.st_mode & 0o7777, uid=seen.st_uid, gid=seen.st_gid)

    def _keep_backup(self, path: Path, content: bytes) -> None:
        if MARK in content[:400].decode(errors="replace"):
            return
        backup = path.with_name(f"{path.name}.{time.strftime('%Y%m%dT%H%M%S')}.before-asgi-host")
        shutil.copy2(path, backup)
        self.outcome.backups.append(str(backup))

    def _folder(self, step: Step) -> None:
        path, mode = Path(step["folder"]), int(step.get("mode", "0755"), 8)
        if self.dry and not path.is_dir():
            self._note(str(path), "make")
            return
        try:
            uid, gid = uid_of(step.get("owner", "root")), gid_of(step.get("group", "root"))
        except KeyError:
            if not self.dry:
                raise
            self._note(str(path), "make")
            return
        passer = uid_of(step["passable_for"]) if "passable_for" in step else None
        if path.is_dir() and self._is_as_wanted(path, uid, gid, mode, passer):
            return
        self._note(str(path), "make")
        if self.dry:
            return
        path.mkdir(parents=True, exist_ok=True)
        os.chown(path, uid, gid)
        if passer is None:
            path.chmod(mode)
        else:
            let_pass(path, passer)

    @staticmethod
    def _is_as_wanted(path: Path, uid: int, gid: int, mode: int, passer: int | None) -> bool:
        if passer is None:
            return owned_as(path, uid=uid, gid=gid, mode=mode)
        seen = path.stat()
        return (seen.st_uid, seen.st_gid) == (uid, gid) and lets_pass(path, passer)

    def _owned(self, step: Step) -> None:
        path = Path(step["owned"])
        try:
            uid, gid = uid_of(step["owner"]), gid_of(step["owner"])
        except KeyError:
            if not self.dry:
                raise
            return
        if not path.is_dir() or _trees.belongs(path, uid):
            return
        self._note(f"{path} given back to {step['owner']}")
        self._tell(f"give {path} back to {step['owner']}")
        if not self.dry:
            _trees.give(path, uid, gid)

    def _link(self, step: Step) -> None:
        path, target = Path(step["link"]), step["target"]
        if "where" in step and not Path(step["where"]).exists():
            return
        if path.is_symlink() and os.readlink(path) == target:
            return
        self._note(str(path), "write")
        if not self.dry:
            self._can_undo(path)
            point_link(path, target)

    def _absent(self, step: Step) -> None:
        path = Path(step["absent"])
        if not path.is_symlink() and not path.exists():
            return
        if step.get("if_empty") and any(path.iterdir()):
            return
        self._note(str(path), "remove")
        if self.dry:
            return
        if path.is_dir() and not path.is_symlink():
            _trees.remove(path)
        else:
            self._can_undo(path)
            path.unlink()

    def _notice(self, step: Step) -> None:
        """Say something when a file under one of ``when`` changed in this call."""
        if any(done.startswith(prefix) for prefix in step["when"] for done in self.outcome.changed):
            self.outcome.notices.append(step["notice"])

    def _command(self, step: Step) -> None:
        """Run a command when a file under one of ``when`` changed in this call, or ``unless`` does not hold."""
        due = any(done.startswith(prefix) for prefix in step.get("when", []) for done in self.outcome.changed)
        if not due and "creates" in step:
            due = not Path(step["creates"]).exists()
        if not due and "unless" in step:
            due = not succeeds(step["unless"])
        if not due:
            return
        if "do" in step and not (self.dry and step.get("check")):
            self._tell_quick()
            self._tell(step["do"])
        what = step.get("creates") or step.get("name") or " ".join(step["command"])
        if not step.get("check") and (self.dry or not step.get("may_fail")):
            self._note(what)
        if self.dry:
            return
        if "creates" in step:
            Path(step["creates"]).parent.mkdir(parents=True, exist_ok=True)
        try:
            run(step["command"], env=dict(self.private.get(step.get("private_env", ""), {})))
        except CommandError as error:
            if not step.get("may_fail"):
                raise
            self.outcome.failures.append(error.output or str(error))
        else:
            if step.get("may_fail"):
                self._note(what)


def _name(step: Step) -> str:
    """What a step is about, in a message."""
    kinds = ("name", "line", "file", "folder", "link", "absent", "command")
    return str(next(value for key in kinds if (value := step.get(key))))


def _reason(step: Step, error: Exception) -> str:
    """Why a step failed, in words."""
    if isinstance(error, KeyError):
        return f"the host has no {error}"
    if isinstance(error, CommandError) and "name" in step:
        # The name says what it was about; a command may be a whole script.
        return error.words
    return str(error)


def _restore(path: Path) -> Callable[[], None]:
    """What puts ``path`` back as it is now."""
    if path.is_symlink():
        target = os.readlink(path)
        return lambda: point_link(path, target)
    if path.is_file():
        content, seen = path.read_bytes(), path.stat()
        return lambda: write_atomically(
            path, content, mode=seen.st_mode & 0o7777, uid=seen.st_uid, gid=seen.st_gid
        )
    return lambda: path.unlink(missing_ok=True)
