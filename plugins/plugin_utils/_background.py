# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The background processes of an app as units of systemd, a file for each, with ``%i`` where its release's id will be."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._release import environment
from ansible_collections.asgi.host.plugins.module_utils._release.paths import App
from ansible_collections.asgi.host.plugins.plugin_utils._render import render

# What a shell does itself, so that `exec` cannot stand before it.
OF_THE_SHELL = re.compile(
    r"[.:!{]|cd|case|command|eval|exec|exit|export|for|if|read|readonly|return|set|shift|times|trap|ulimit|umask|"
    r"unset|until|wait|while"
)
# What stands between two commands, or around them.
BETWEEN = frozenset(";&|()")


def unit_files(app: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, str]:
    """The text of each unit by the part of its name that is the process's own: ``worker``, ``worker.2``.

    ``values`` are those of the app's other templates.
    """
    release = App(Path(values["root"]), app["name"], app["user"]).release("%i")
    found = {}
    for process in app["processes"]:
        argv, kill_mode = started_as(process["command"])
        words = environment.fill(
            [systemd_word(word) for word in argv[1:]], environment.tokens(release, app["domains"])
        )
        for number in range(1, process["instances"] + 1):
            name = process["name"] + (f".{number}" if number > 1 else "")
            found[name] = render(
                "systemd/process.service.j2",
                **values,
                process=process,
                unit=name,
                # With the colon systemd leaves every $ to the program.
                exec_start=f":{' '.join([argv[0], *words])}",
                kill_mode=kill_mode,
                trial=release.trial,
                view_key=environment.VIEW_KEY,
            )
    return found


def started_as(command: str | list[str]) -> tuple[list[str], str]:
    """The argv of a command, and how its processes are told to end (systemd.kill(5), KillMode=).

    A program is told alone, and tells the processes that it has started as it likes. Debian's sh stays in front of
    what it runs and tells it nothing: it makes room for a single program, and of several commands all are told.
    """
    if not isinstance(command, str):
        # env looks the program up in the PATH that begins with the release's virtualenv.
        return ["/usr/bin/env", *command], "mixed"
    if one_program(command):
        return ["/bin/sh", "-c", f"exec {command.strip()}"], "mixed"
    return ["/bin/sh", "-c", command], "control-group"


def one_program(command: str) -> bool:
    """Whether a line for the shell is a program with its arguments and nothing else; in doubt it is not."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=";&|()<>")
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError:
        return False
    if not words or "\n" in command.strip() or "`" in command:
        return False
    first = words[0]
    return (
        re.fullmatch(r"[\w./{}@+-]+", first) is not None
        and not OF_THE_SHELL.fullmatch(first)
        and not any(word and set(word) <= BETWEEN for word in words)
    )


def systemd_word(word: str) -> str:
    """A word of a command line in a unit file (systemd.service(5), "Command lines"), as it stands."""
    escapes = {"\\": "\\\\", '"': '\\"', "%": "%%"}
    return (
        '"'
        + "".join(
            escapes.get(sign, f"\\x{ord(sign):02x}" if ord(sign) < 32 or ord(sign) == 127 else sign)
            for sign in word
        )
        + '"'
    )
