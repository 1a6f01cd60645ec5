# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One step of a stage; _stage.Stage says what each key means."""

from __future__ import annotations

from typing import TypedDict


class Step(TypedDict, total=False):
    """Exactly one of the kinds, with what that kind takes."""

    # Its kind.
    line: str
    file: str
    folder: str
    owned: str
    link: str
    absent: str
    command: list[str]
    notice: str
    # Of a line.
    pattern: str
    to: str
    # Of a file.
    content: str
    private: str
    ours: bool
    # Of files and folders.
    mode: str
    owner: str
    group: str
    passable_for: str
    # Of a link.
    target: str
    where: str
    # Of what goes.
    if_empty: bool
    # Of a command.
    when: list[str]
    creates: str
    unless: list[str]
    check: bool
    may_fail: bool
    private_env: str
    name: str
    do: str
    # Of any: the apps that it is for.
    part: list[str]
