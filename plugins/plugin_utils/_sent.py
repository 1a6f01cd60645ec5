# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which files of a folder are sent: those that git would commit, without what belongs to one machine alone."""

from __future__ import annotations

import contextlib
import functools
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path

from ansible_collections.asgi.host.plugins.plugin_utils import _guarded
from ansible_collections.asgi.host.plugins.plugin_utils._git_command import Checkout, CheckoutError
from ansible_collections.asgi.host.plugins.plugin_utils._patterns import Patterns
from ansible_collections.asgi.host.plugins.plugin_utils._sources import (
    COMPILED,
    LEFT_OUT,
    UnfitError,
    is_entry,
    walk,
)

# Names of what was left out that a play says.
SHOWN = 6
# What is never part of a source, whoever names it.
NEVER = frozenset({".git", ".hg", ".svn"})


class Selection:
    """The files of ``folder`` that are sent. ``include`` and ``exclude`` are patterns as in .gitignore.

    Its properties raise SourceError.
    """

    def __init__(self, folder: Path, include: Sequence[str] = (), exclude: Sequence[str] = ()) -> None:
        self._folder = folder
        self._lines = list(include)
        self._include, self._exclude = Patterns(include), Patterns(exclude)
        self._guarded: list[str] = []
        self._tracked: set[str] = set()

    @cached_property
    def entries(self) -> list[tuple[str, Path]]:
        """The name of each file with its place, in the order in which they are signed and packed."""
        usual = self._usual()
        names = [name for name in usual if self._goes(name)]
        if self._include:
            known = set(usual)
            names += [name for name in self._reached() if name not in known and self._is_brought(name)]
        found = [(name, self._folder / name) for name in sorted(names, key=_order)]
        return [(name, path) for name, path in found if is_entry(self._folder, path)]

    def unmatched(self) -> list[int]:
        """The numbers of the patterns to ``include`` by which nothing is sent."""
        names = [name for name, _path in self.entries]
        return [
            number
            for number, line in enumerate(self._lines)
            if not line.startswith("!") and not any(map(Patterns([line]).match, names))
        ]

    def left_out(self) -> list[str]:
        """What lies in the folder and is not sent, though nobody excluded it; without what any tool leaves behind."""
        self.entries  # noqa: B018 - finds what is guarded
        try:
            ignored = Checkout(self._folder).ignored()
        except CheckoutError:
            ignored = []
        sent = [name for name, _path in self.entries]
        ignored = [
            name
            for name in ignored
            if not _is_left_behind(name)
            and not self._exclude.match(name.rstrip("/"))
            and not any(each == name or (name.endswith("/") and each.startswith(name)) for each in sent)
        ]
        # What may be secret comes first.
        first = [*self._guarded, *filter(_guarded.holds_variables, ignored)]
        return [*sorted(first), *(name for name in ignored if name not in first)]

    def _usual(self) -> list[str]:
        """What is sent where nobody says otherwise, but for what is guarded."""
        try:
            tracked, untracked = _of_git(self._folder)
        except CheckoutError as error:
            raise UnfitError(str(error)) from error
        if tracked is None:
            return [name for name, _path in walk(self._folder)]
        self._tracked = tracked
        return [*tracked, *(name for name in untracked if not _is_left_behind(name))]

    def _goes(self, name: str) -> bool:
        """Whether a file is sent that is sent as a rule."""
        if self._include.match(name):
            return self._include.name(name) or not self._is_guarded(name)
        return not self._exclude.match(name) and not self._is_guarded(name)

    def _is_brought(self, name: str) -> bool:
        """Whether a file is sent that is not sent as a rule."""
        if not self._include.match(name):
            return False
        if self._include.name(name):
            return True
        if _guarded.is_database(self._folder / name):
            self._guarded.append(name)
            return False
        return not self._is_guarded(name)

    def _is_guarded(self, name: str) -> bool:
        """Whether a file holds what is of this machine alone. A key that is in git is no secret any more."""
        found = _guarded.holds_variables(name) or (
            name not in self._tracked and _guarded.is_private_key(self._folder / name)
        )
        if found:
            self._guarded.append(name)
        return found

    def _reached(self) -> Iterator[str]:
        """All that the folder has; of what tools leave behind only what a pattern spells out."""
        passed = {name for name in LEFT_OUT - NEVER if self._include.reach(name)}
        return (name for name, _path in walk(self._folder, LEFT_OUT - passed))


def without(found: Iterable[tuple[str, Path]], exclude: Sequence[str]) -> list[tuple[str, Path]]:
    """Entries but for those that patterns match."""
    patterns = Patterns(exclude)
    return [(name, path) for name, path in found if not patterns.match(name)]


def in_words(left_out: Sequence[str], folder: Path) -> str:
    """That files of a folder are not sent; empty where there are none."""
    if not left_out:
        return ""
    more = f" and {len(left_out) - SHOWN} more" if len(left_out) > SHOWN else ""
    shown = ", ".join(left_out[:SHOWN])
    return f"not sent of {folder.name}: {shown}{more} (source.include sends what it names)"


def pointers(found: Iterable[tuple[str, Path]]) -> list[str]:
    """The files whose content Git LFS keeps elsewhere."""
    return [name for name, path in found if _guarded.is_pointer(path)]


def must_be_whole(found: Iterable[tuple[str, Path]]) -> None:
    """Refuse files whose content is elsewhere. Raises UnfitError."""
    if names := pointers(found):
        more = f", and so are {len(names) - 1} more" if len(names) > 1 else ""
        raise UnfitError(
            f"{names[0]} is a pointer of Git LFS{more}, and its content is on another server: fetch it (git lfs pull in a "
            "folder of the controller; for source.git install git-lfs on the controller), or leave it out by source.exclude"
        )


def _of_git(folder: Path) -> tuple[set[str] | None, list[str]]:
    """What git tracks in a folder that are files, and what it would add, submodules included; None outside of git."""
    files = Checkout(folder).files()
    if files is None:
        return None, []
    lies_in = functools.cache(lambda name: _lies_in(folder, name))
    tracked, untracked = set(), list(files.untracked)
    for name in files.tracked:
        # What is behind a link, or above the folder, is no file of it, whatever the index that came with it says.
        if not lies_in(os.path.dirname(name)) or NEVER.intersection(name.split("/")):
            continue
        # A file that was removed since is none.
        with contextlib.suppress(OSError):
            is_folder = stat.S_ISDIR(os.lstat(f"{folder}/{name}").st_mode)
            if is_folder:
                untracked.append(f"{name}/")
            else:
                tracked.add(name)
    for name in [name for name in untracked if name.endswith("/")]:
        untracked.remove(name)
        # Without files of its own git would speak of the repository around it.
        if (folder / name / ".git").exists():
            more, others = _of_git(folder / name)
            tracked |= {name + each for each in more or ()}
            untracked += [name + each for each in others]
    return tracked, untracked


def _lies_in(folder: Path, name: str) -> bool:
    """Whether a path of folders leads to one in ``folder``, by no link."""
    parts = name.split("/") if name else []
    above = accumulate(parts, lambda whole, part: f"{whole}/{part}")
    return not {"", ".", ".."}.intersection(parts) and not any(
        os.path.islink(f"{folder}/{each}") for each in above
    )


def _is_left_behind(name: str) -> bool:
    parts = name.rstrip("/").split("/")
    return bool(LEFT_OUT.intersection(parts)) or name.endswith(COMPILED)


def _order(name: str) -> list[tuple[bool, str]]:
    """Files of a folder before its folders, each by name: as os.walk goes."""
    *folders, last = name.split("/")
    return [*((True, folder) for folder in folders), (False, last)]
