# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the controller runs git on files of others: no program is started that a source names.

A repository's configuration names programs: a monitor of files, hooks, filters, a command for ssh. A commit can hold
a bare repository with such a configuration among its files, and an archive a whole ``.git``.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

# Of every call. What git finds by looking around is a repository by its `.git` alone; `--git-dir` names any other.
GUARDS = {
    "safe.bareRepository": "explicit",
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
}
# Submodules name their own addresses: no helper program, and no folder of this machine unless the operator's own
# configuration allows it (protocol.file.allow).
SUBMODULE_GUARDS = {
    "protocol.allow": "never",
    "protocol.ext.allow": "never",
    "protocol.https.allow": "always",
    "protocol.ssh.allow": "always",
}
# How a version is asked for: by the nearest tag with a number in it, the commits since, and the commit's short name.
DESCRIBE = ("describe", "--tags", "--long", "--match", "*[0-9]*")
# What of git's environment is the operator's own choice.
KEPT = {"GIT_SSH_COMMAND", "GIT_SSL_CAINFO"}
# The commands that a filter of .gitattributes has; one that is empty is none.
OF_A_FILTER = ("clean", "smudge", "process")


class CheckoutError(Exception):
    """A checkout that git cannot read; the message holds what git says, and the fix."""


@dataclass
class Files:
    """Files of a checkout by their names relative to a folder."""

    tracked: list[str] = field(default_factory=list)
    untracked: list[str] = field(default_factory=list)
    """Those that git does not ignore. One that ends in a slash is a checkout of its own."""


def environment() -> dict[str, str]:
    """The environment of every call: a play that a hook of git starts inherits what git told the hook."""
    kept = {name: value for name, value in os.environ.items() if name in KEPT or not name.startswith("GIT_")}
    return {**kept, "GIT_TERMINAL_PROMPT": "0", "GIT_ATTR_NOSYSTEM": "1", "LC_ALL": "C.UTF-8"}


def command(argv: Sequence[str], where: Sequence[str], more: Mapping[str, str] | None = None) -> list[str]:
    """The call of git; ``where`` is its ``-C`` or ``--git-dir``, ``more`` further configuration."""
    pairs = {**GUARDS, **(more or {})}.items()
    settings = [word for name, value in pairs for word in ("-c", f"{name}={value}")]
    return ["git", "--no-pager", *settings, *where, *argv]


class Checkout:
    """Somebody's folder that is, or lies in, a checkout. It is asked, and never written to nor fetched for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._where = ["-C", str(self._folder)]
        # No transport: objects that a partial clone lacks would be fetched by a program of its configuration.
        self._env = {
            **environment(),
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_ALLOW_PROTOCOL": "none",
        }

    def version(self) -> str:
        """What git calls the state of the folder, ``1.4-3-g2f9ac11-dirty``; empty outside a checkout."""
        described = self._ask("describe", "--always", "--tags")
        if not described:
            return ""
        # Of a submodule its commit alone: to look for changed files another git would run inside of it.
        changed = self._ask(
            "status",
            "--porcelain",
            "--untracked-files=no",
            "--ignore-submodules=dirty",
            more=self._no_filters(),
        )
        return described + ("-dirty" if changed else "")

    def files(self) -> Files | None:
        """The files that git knows, or would add; None outside a checkout, and for a folder that is ignored as a whole.

        Raises CheckoutError.
        """
        found = Files()
        listed = self._list("-t", "--cached", "--others")
        if listed is None:
            return None
        for entry in listed:
            sign, _space, name = entry.partition(" ")
            (found.untracked if sign == "?" else found.tracked).append(name)
        # A conflict has three entries for one file.
        found.tracked = list(dict.fromkeys(found.tracked))
        if not (found.tracked or found.untracked) and self._is_ignored():
            return None
        return found

    def ignored(self) -> list[str]:
        """What git ignores, folders as one, with a slash at their end. Raises CheckoutError."""
        return self._list("--others", "--ignored", "--directory") or []

    def _is_ignored(self) -> bool:
        done = self._run("check-ignore", "--quiet", "--", f"./{self._inside}")
        return bool(self._inside) and done.returncode == 0

    def _list(self, *options: str) -> list[str] | None:
        """The names that git lists, relative to the folder; None outside a checkout."""
        if self._top is None:
            return None
        only = ["--", f":(literal){self._inside}"] if self._inside else []
        done = self._run("ls-files", "-z", *options, "--exclude-standard", *only)
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip()
            raise CheckoutError(
                f"{self._top} is a checkout, and git cannot say which files belong to it: {said}; put that right, or take its "
                ".git away"
            )
        names = [os.fsdecode(name) for name in done.stdout.split(b"\0") if name]
        if not self._inside:
            return names
        within = re.compile(rf"(?P<sign>[A-Z?] )?{re.escape(self._inside)}/(?P<name>.+)", re.DOTALL)
        matches = filter(None, map(within.fullmatch, names))
        return [f"{match['sign'] or ''}{match['name']}" for match in matches]

    @cached_property
    def _top(self) -> Path | None:
        """The folder of the checkout: the nearest that has a `.git`, whatever else git would take for a repository."""
        places = (self._folder, *self._folder.parents)
        return next((place for place in places if os.path.lexists(place / ".git")), None)

    @cached_property
    def _inside(self) -> str:
        """The folder as the checkout calls it; empty for its top."""
        inside = str(self._folder.relative_to(self._top or self._folder))
        return "" if inside == "." else inside

    def _run(self, *argv: str) -> subprocess.CompletedProcess[bytes]:
        # Named in full: whose folder it is says nothing against it where git starts no program that it names.
        where = ["-C", str(self._top), f"--git-dir={self._top}/.git", f"--work-tree={self._top}"]
        try:
            return subprocess.run(
                command(argv, where),
                env=self._env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        except OSError as error:
            raise CheckoutError(
                f"{self._top} is a checkout, and the controller has no git to say which files belong to it; install git there"
            ) from error

    def described(self) -> tuple[str, str, bool]:
        """For a version: what git says of the nearest tag, ``NUMBER COMMIT`` of its commits, and whether files differ."""
        tag = self._ask(*DESCRIBE)
        commits = (
            ""
            if tag
            else f"{self._ask('rev-list', '--count', 'HEAD')} {self._ask('rev-parse', '--short', 'HEAD')}"
        )
        return tag, commits.strip(), self.version().endswith("-dirty")

    def _no_filters(self) -> dict[str, str]:
        """Every filter that the repository itself configures, made none; the operator's own (git-lfs) stay."""
        found: dict[str, str] = {}
        for scope in ("--local", "--worktree"):
            listed = self._ask(
                "config", scope, "--includes", "--name-only", "-z", "--get-regexp", r"^filter\."
            )
            for key in listed.split("\0"):
                # The name of a filter may hold dots itself.
                name = key.partition(".")[2].rpartition(".")[0]
                if name:
                    found |= {f"filter.{name}.{part}": "" for part in OF_A_FILTER}
                    found[f"filter.{name}.required"] = "false"
        return found

    def _ask(self, *argv: str, more: Mapping[str, str] | None = None) -> str:
        """What git answers; empty where it refuses, or is not there."""
        try:
            done = subprocess.run(
                command(argv, self._where),
                env={**self._env, **_by_environment(more or {})},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
                encoding="utf-8",
                errors="replace",
            )
        except OSError:
            return ""
        return done.stdout.strip() if done.returncode == 0 else ""


def _by_environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Configuration whose keys somebody else has named: in an argument one with = in it would be another key."""
    pairs = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings.items()):
        pairs |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return pairs
