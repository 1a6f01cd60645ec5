# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How the controller runs git on files of others: no program is started that a source names.

A repository's configuration names programs: a monitor of files, hooks, filters, a command for ssh. A commit can hold
a bare repository with such a configuration among its files, and an archive a whole ``.git``.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
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
        self._where = ["-C", str(folder)]
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
