# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a project says of its dependencies in Poetry's own words, and the same in those of requirement lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from .._toml import Table

CLAUSE = re.compile(r"(\^|~=|~|>=|<=|==|!=|>|<|=)?\s*v?(\*|\d[^\s,|]*)")


def specifiers(constraint: str) -> list[str]:
    """A constraint of Poetry as version specifiers (PEP 440), each of which is enough; an empty one holds for all."""
    return [
        ",".join(part for clause in CLAUSE.findall(either) for part in _clause(*clause))
        for either in re.split(r"\|\|?", constraint)
    ]


def _clause(operator: str, version: str) -> list[str]:
    if version == "*":
        return []
    parts = version.partition("+")[0].split(".")
    if operator == "^":
        # The first number that is not zero may not change; of 0.0 the last one.
        place = next((at for at, part in enumerate(parts) if part != "0"), len(parts) - 1)
        return [f">={version}", f"<{_next(parts, place)}"]
    if operator == "~":
        return [f">={version}", f"<{_next(parts, min(1, len(parts) - 1))}"]
    return [f"{'==' if operator in ('', '=') else operator}{version}"]


def _next(parts: Sequence[str], place: int) -> str:
    number = re.match(r"\d+", parts[place])
    return ".".join([*parts[:place], str(int(number.group() if number else 0) + 1)])


def marker_of_python(constraint: str) -> str:
    """The marker that holds for the Pythons of a constraint; empty for all."""
    alternatives = []
    for either in specifiers(constraint):
        clauses = [
            f"python_full_version {match[1]} '{match[2]}'"
            for match in re.finditer(r"(~=|>=|<=|==|!=|>|<)([^,]+)", either)
        ]
        if not clauses:
            return ""
        alternatives.append(" and ".join(clauses))
    return " or ".join(f"({each})" for each in alternatives) if len(alternatives) > 1 else alternatives[0]


def declared(pyproject: Table, groups: Sequence[str], extras: Sequence[str]) -> Iterator[tuple[str, Table]]:
    """The dependencies of ``[tool.poetry]``, those of the named groups and extras among them: names and what is said.

    A plain version is a table that holds it alone. Raises UnreadableError.
    """
    poetry = pyproject.table("tool", "poetry")
    chosen = {name for extra in extras for name in poetry.table("extras").texts(extra)}
    parts = [poetry.table("dependencies"), *(poetry.table("group", name, "dependencies") for name in groups)]
    if "dev" in groups:
        parts.append(poetry.table("dev-dependencies"))
    for part in parts:
        for name in part:
            if name.lower() == "python":
                continue
            for table in _said(part, name):
                if not table.flag("optional") or name in chosen:
                    yield name, table


def _said(part: Table, name: str) -> list[Table]:
    value = part.content[name]
    if isinstance(value, str):
        return [Table(part.file, {"version": value}, f"{part.path}.{name}")]
    return part.tables(name)


def requirement(name: str, said: Table, address: str = "") -> str:
    """A dependency as a requirement line without its version; ``address`` is where it comes from, if from no index."""
    extras = f"[{','.join(said.texts('extras'))}]" if "extras" in said else ""
    markers = [said.text("markers"), marker_of_python(said.text("python"))]
    if platform := said.text("platform"):
        markers.append(f"sys_platform == '{platform}'")
    marker = " and ".join(f"({each})" for each in markers if each)
    return f"{name}{extras}{f' @ {address}' if address else ''}{f' ; {marker}' if marker else ''}"


def python_of(pyproject: Table) -> str:
    """The constraint of the project's Python; empty without one."""
    return pyproject.table("tool", "poetry", "dependencies").text("python")
