# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Words of others on their way to an operator: safe for a terminal, and no more of them than one can read."""

from __future__ import annotations

import contextlib
import syslog
import traceback
import unicodedata
from typing import Any

from ._private import mask
from ._release import tracebacks

# Lines that are shown of what a command printed: most of its end, where a command says why it failed.
FIRST, LAST = 0, 40
# Lines that are shown as they are, and those of the end beside a traceback.
SHORT, LAST_BESIDE = 20, 5
# Under this name the journal of the host keeps what is too long to be shown, and lines of one such text.
IDENTIFIER = "asgi-host"
KEPT_LINES = 2000


def safe(text: str) -> str:
    """``text`` without anything that steers a terminal: control characters and changes of direction are shown by number.

    A program that was deployed chooses what it logs, and an escape sequence can hide lines, or type for the operator.
    """
    if text.isprintable():
        return text
    return "".join(letter if _is_harmless(letter) else _by_number(letter) for letter in text)


def safe_all(values: Any) -> Any:
    """The same for every string in ``values``, however deep."""
    if isinstance(values, str):
        return safe(values)
    if isinstance(values, dict):
        return {safe_all(key): safe_all(value) for key, value in values.items()}
    if isinstance(values, (list, tuple)):
        return [safe_all(value) for value in values]
    return values


def _is_harmless(letter: str) -> bool:
    # Cc: controls, C1 as well. Cf: marks of direction among them. Zl, Zp: other ends of a line.
    return letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cf", "Cs", "Zl", "Zp")


def _by_number(letter: str) -> str:
    number = ord(letter)
    return (
        f"\\x{number:02x}"
        if number < 0x100
        else f"\\u{number:04x}"
        if number < 0x10000
        else f"\\U{number:08x}"
    )


def end_of(text: str) -> str:
    """The lines of a long text that tell the most: its first ones and its end, and how many there were between."""
    lines = text.splitlines()
    if len(lines) <= FIRST + LAST:
        return text
    return "\n".join([*lines[:FIRST], f"… {len(lines) - FIRST - LAST} lines", *lines[-LAST:]])


def of_command(text: str, kept: str) -> str:
    """What matters of the output of a failed command: its exceptions, else its end; whole where that is short.

    What is left out is in the journal of the host, as ``kept``: the same text without secrets.
    """
    if len(text.splitlines()) <= SHORT:
        return safe(text)
    shown = end_of(text)
    if found := tracebacks.excerpt(text):
        # A command that goes on after a traceback tells the end by its last lines.
        shown = f"{found}\n… its last lines:\n" + "\n".join(text.splitlines()[-LAST_BESIDE:])
    return f"{safe(shown)}\nAll of it, on the host: {keep(safe(kept))}"


def unexpected(name: str, error: Exception, values: Any) -> str:
    """What an operator is told of an exception that nobody foresaw: one line, and where its traceback is.

    ``values`` are secrets, which are in neither.
    """
    where = keep(safe(mask("".join(traceback.format_exception(error)), values)))
    line = " ".join(f"{type(error).__name__}: {error}".split())
    return safe(mask(f"{name}: unexpected {line}", values)) + f". The whole traceback, on the host: {where}"


def keep(text: str) -> str:
    """Write a text to the journal of the host; returns the command that shows it. For what holds no secret."""
    with contextlib.suppress(OSError):
        syslog.openlog(IDENTIFIER, syslog.LOG_PID, syslog.LOG_DAEMON)
        for line in text.splitlines()[-KEPT_LINES:]:
            syslog.syslog(syslog.LOG_NOTICE, line.replace("\0", "\\x00"))
    # Any process may write under the name, and none but root's as root.
    return f"journalctl -t {IDENTIFIER} _UID=0"
