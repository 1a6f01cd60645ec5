# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lines of a play about what a host is at, while a long call runs there and when it has ended.

A call that lasts is looked at over a second connection, which is a copy of the one that it runs on: a connection of
Ansible's serves one thread. Short calls, and those of a host where nothing is due, are not looked at.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Self

from ansible_collections.asgi.host.plugins.module_utils import _words
from ansible_collections.asgi.host.plugins.module_utils._progress import PREFIX, RUN, WORDS
from ansible_collections.asgi.host.plugins.plugin_utils._beside import second

# Seconds that a call may last before it is looked at.
FIRST_AFTER = 3.0
# Looks of one command on the host, and seconds between them: it ends as soon as there is something new.
LOOKS, PAUSE = 20, 0.5
# Seconds between two such commands: steps that follow at once are read together.
BETWEEN = 1.0
# Seconds without a new step after which the last one is named again.
STILL = 30.0
# The same while there is nothing yet: a call that begins late is met soon, and one that has ended is let go soon.
FIRST_LOOKS = 4
# Looks in a row that may fail before nobody looks any more, and seconds between them.
FAILURES, RETRY = 10, 1.0
# Connections that run each command as a process of its own, so that a copy of one is a second one.
FOLLOWED = frozenset({"ssh", "local", "containers.podman.podman"})
# Where each command of ssh would log in anew, and may ask for a touch of a key, nobody looks.
KEPT_OPEN = re.compile(r"ControlPersist[= ]+(?!no\b)", re.IGNORECASE)
# Characters of a line about one step.
LONGEST = 300


def line(host: str, words: str, app: str = "", *, check: bool = False) -> str:
    """A line of a play: the host, the app that it is about, and what happens, or would happen."""
    about = f"{app}: " if app else ""
    # What a host says may steer a terminal.
    one = _words.safe(" ".join(f"{about}{words}".split()))
    shown = one if len(one) <= LONGEST or check else f"{one[:LONGEST]} …"
    return f"    [{host}] {'(check) ' if check else ''}{shown}"


def words(note: Mapping[str, str]) -> str:
    """What a step does."""
    return WORDS[note["step"]].format(note["about"])


class Follower:
    """One call, and who looks on: ``with Follower(…) as follower``, and in the end what the answer holds of it.

    ``action`` is Ansible's, which makes the call; ``wanted`` says whether anybody looks on.
    """

    def __init__(self, action: Any, host: str, *, wanted: bool, check: bool = False) -> None:
        self._display, self._host, self._check = action._display, host, check
        self._shown = (wanted and _can_be_followed(action)) or check
        self.token = secrets.token_hex(8) if self._shown and not check else None
        self._action = second(action) if self.token else None
        # Whoever holds it may write: a worker of Ansible's that ends while a thread writes would stop the play.
        self._writes = threading.Lock()
        self._ended = threading.Event()
        self._said = 0
        self._thread = threading.Thread(target=self._look_on, name="asgi.host progress", daemon=True)

    def __enter__(self) -> Self:
        if self.token:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        with self._writes:
            self._ended.set()
        if self.token and getattr(self._display, "verbosity", 0) >= 2:
            # ssh itself writes then.
            self._thread.join(LOOKS * PAUSE)

    def conclude(self, notes: Sequence[Mapping[str, str]]) -> None:
        """Say the steps that nobody has said while they ran."""
        self._end()
        if self._shown:
            self._say([known for note in notes[self._said :] if (known := _known(note))])

    def _say(self, notes: Sequence[Mapping[str, str]]) -> None:
        for note in notes:
            self._display.display(line(self._host, words(note), note["app"], check=self._check))
        self._said += len(notes)

    def _look_on(self) -> None:
        # Whatever goes wrong here is nothing that the play is about.
        with contextlib.suppress(Exception):
            if not self._ended.wait(FIRST_AFTER):
                self._read_on()

    def _read_on(self) -> None:
        failures, last, since, named = 0, "", time.monotonic(), time.monotonic()
        while not self._ended.is_set():
            found = self._look()
            with self._writes:
                if self._ended.is_set():
                    return
                if found:
                    self._say(found)
                    last = line(self._host, words(found[-1]), found[-1]["app"])
                    since = named = time.monotonic()
                elif last and time.monotonic() - named >= STILL:
                    named = time.monotonic()
                    self._display.display(f"{last} (for {named - since:.0f} s)")
            failures = failures + 1 if found is None else 0
            if failures == FAILURES or self._ended.wait(RETRY if failures else BETWEEN):
                return

    def _look(self) -> list[dict[str, str]] | None:
        """The steps that are new, none after a while without any; None where there is nothing to be read (yet)."""
        action: Any = self._action
        piped = action._connection.is_pipelining_enabled()
        # As the call itself is made: with pipelining there is no terminal.
        answer = action._low_level_execute_command(
            script(str(self.token), self._said), in_data=b"\n" if piped else None
        )
        if answer["rc"]:
            return None
        return [note for text in answer["stdout"].splitlines() if (note := _note(text))]


def script(token: str, known: int) -> str:
    """What is run on the host: wait for more lines than are ``known``, and print them."""
    path = RUN / f"{PREFIX}{token}"
    there, looks = ("[ -e $f ]", LOOKS) if known else ("true", FIRST_LOOKS)
    # Lines are counted by the shell itself: the host has better things to do than to start programs.
    return (
        f"f={path}; n=0; while {there}; do c=0; "
        "if [ -r $f ]; then while read -r l; do c=$((c+1)); done <$f; fi; "
        f"[ $c -gt {known} ] && break; [ $n -ge {looks} ] && break; sleep {PAUSE}; n=$((n+1)); "
        f"done 2>/dev/null; tail -n +{known + 1} $f 2>/dev/null"
    )


def _note(text: str) -> dict[str, str] | None:
    """A line of the file; None for what else a shell may print."""
    try:
        return _known(json.loads(text))
    except ValueError:
        return None


def _known(found: Any) -> dict[str, str] | None:
    """What a host has noted, where it is a step; it may be anything."""
    if not (isinstance(found, dict) and found.get("step") in WORDS):
        return None
    return {key: str(found.get(key, "")) for key in ("step", "about", "app")}


def _can_be_followed(action: Any) -> bool:
    """Whether a copy of the connection is a second one, and costs no second login."""
    connection: Any = getattr(action, "_connection", None)
    transport = str(getattr(connection, "transport", ""))
    if transport != "ssh":
        return transport in FOLLOWED
    options = ("ssh_args", "ssh_common_args", "ssh_extra_args")
    return any(KEPT_OPEN.search(str(connection.get_option(option) or "")) for option in options)
