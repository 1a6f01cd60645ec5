# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of tasks that an inventory runs between the role's own steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._apps.reading import is_list, show
from ansible_collections.asgi.host.plugins.plugin_utils import _sources

# When they run, by the middle of the variable's name: asgi_host_after_releases_tasks.
TIMES = ("before_releases", "after_releases", "before_nginx", "after")


def variable(time: str) -> str:
    """The name of a variable, without its prefix."""
    return f"{time}_tasks"


def found(variables: Mapping[str, Any], bases: Sequence[str]) -> tuple[dict[str, list[str]], list[str]]:
    """The files by the time at which they run, absolute; and what is wrong with them, for the operator."""
    files: dict[str, list[str]] = {}
    problems = []
    for time in TIMES:
        files[time] = []
        name = f"asgi_host_{variable(time)}"
        given = variables.get(variable(time)) or []
        if not is_list(given):
            problems.append(
                f"{name}: {show(given)} is no list; list the files of tasks, such as [tasks/drain.yml]"
            )
            continue
        for number, path in enumerate(given):
            if not isinstance(path, str) or not path:
                problems.append(
                    f"{name}[{number}]: {show(path)} is no path; give a file of tasks, such as tasks/drain.yml"
                )
                continue
            try:
                place = Path(_sources.locate(path, list(bases))).resolve()
            except _sources.SourceError as error:
                problems.append(f"{name}[{number}]: {error}")
                continue
            if not place.is_file():
                problems.append(
                    f"{name}[{number}]: {path} is no file; give a file of tasks, such as tasks/drain.yml"
                )
                continue
            files[time].append(str(place))
    return files, problems
