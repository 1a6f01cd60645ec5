# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a lock is older than its project: found on the controller, without an index and without running anything.

A lock is stale where what the project asks for now is not what would be installed: a dependency or an extra that it does
not know, a version that does not fit, another range of Pythons.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ansible_collections.asgi.host.plugins.module_utils._release import locks, poetry, requirements
from ansible_collections.asgi.host.plugins.module_utils._release.requirements import canonical
from ansible_collections.asgi.host.plugins.module_utils._toml import Table
from ansible_collections.asgi.host.plugins.plugin_utils import _parsed

# ansible-core itself depends on it; only the import check of ansible-test is without.
with contextlib.suppress(ImportError):
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.specifiers import InvalidSpecifier, SpecifierSet
    from packaging.version import InvalidVersion, Version

# Pythons by which ranges are compared: each minor version with its first and a late patch.
PYTHONS = [f"3.{minor}.{patch}" for minor in range(6, 30) for patch in (0, 40)]
# What a host is, for markers; either Python of Debian's releases.
MACHINES: list[dict[str, str]] = [
    {
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "os_name": "posix",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "python_version": version,
        "python_full_version": f"{version}.5",
        "extra": "",
    }
    for version in ("3.11", "3.13")
]


def table_of(lock: Path) -> Table | None:
    """A lock in TOML, parsed. Raises UnreadableError."""
    return None if lock.name == "Pipfile.lock" else _parsed.table(lock)


def reasons(
    lock: Path, pyproject: Table, groups: Sequence[str], extras: Sequence[str], place: str
) -> list[str]:
    """In which ways a lock is older than its project, in words; ``place`` is the folder of the member that is meant.

    Raises UnreadableError.
    """
    if lock.name == "uv.lock":
        return list(_of_uv(_parsed.table(lock), pyproject, groups, extras, place))
    return list(_of_another(lock, pyproject, groups, extras))


def _of_uv(
    lock: Table, pyproject: Table, groups: Sequence[str], extras: Sequence[str], place: str
) -> Iterator[str]:
    project = pyproject.table("project")
    own = next((each for each in lock.tables("package") if _place(each) == place), None)
    if own is None or "dependencies" in project.texts("dynamic"):
        return
    known: dict[str, set[str]] = {}
    said = [own.table("metadata").tables("requires-dist")]
    said += [own.table("metadata", "requires-dev").tables(group) for group in groups]
    for each in (entry for entries in said for entry in entries):
        known.setdefault(canonical(each.text("name")), set()).update(each.texts("extras"))
    versions = _versions(lock.tables("package"))
    elsewhere = {canonical(name) for name in pyproject.table("tool", "uv", "sources")}
    lines = [
        *project.texts("dependencies"),
        *locks.of_extras(project, extras),
        *locks.of_groups(pyproject, groups),
    ]
    for wanted in _requirements(lines):
        name = canonical(wanted.name)
        if name not in known:
            yield f"it does not know the dependency {wanted.name}"
        elif more := wanted.extras - known[name]:
            yield f"it does not know the extra {', '.join(sorted(more))} of {wanted.name}"
        elif name not in elsewhere:
            yield from _misfit(wanted, versions.get(name, []))
    members = lock.table("manifest").texts("members")
    if len(members) < 2:
        yield from _other_pythons(lock.text("requires-python"), project.text("requires-python"))


def _place(package: Table) -> str:
    source = package.table("source")
    return source.text("editable") or source.text("virtual") or source.text("directory")


def _versions(packages: Iterable[Table]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in packages:
        found.setdefault(canonical(each.text("name")), []).append(each.text("version"))
    return found


def _of_another(lock: Path, pyproject: Table, groups: Sequence[str], extras: Sequence[str]) -> Iterator[str]:
    locked = locks.read(lock, groups, extras, table=table_of(lock))
    versions: dict[str, list[str]] = {}
    for line in [*locked.versions, *locked.wanted]:
        name, sign, version = line.partition(" ")[0].partition("==")
        if sign:
            versions.setdefault(canonical(name.partition("[")[0]), []).append(version)
    lines = list(locked.wanted)
    if lock.name == "Pipfile.lock":
        lines = _of_pipfile(lock.with_name("Pipfile"), groups)
    elif lock.name not in locks.COMMANDS:
        lines = pyproject.table("project").texts("dependencies")
    for wanted in _requirements(lines):
        if not any(wanted.marker is None or wanted.marker.evaluate(machine) for machine in MACHINES):
            continue
        name = canonical(wanted.name)
        if name not in locked.names:
            yield f"it does not know the dependency {wanted.name}"
        elif not wanted.url:
            yield from _misfit(wanted, versions.get(name, []))
    if lock.name == "poetry.lock":
        yield from _of_poetry(lock, pyproject, groups, extras, versions)


def _of_pipfile(path: Path, groups: Sequence[str]) -> list[str]:
    if not path.is_file():
        return []
    pipfile = Table("Pipfile", requirements.table_of(path))
    found = []
    for section in ["packages", *groups]:
        part = pipfile.table(section)
        for name in part:
            version = part.content[name]
            plain = version if isinstance(version, str) else part.table(name).text("version", "*")
            found.append(f"{name}{'' if plain == '*' else plain}")
    return found


def _of_poetry(
    lock: Path,
    pyproject: Table,
    groups: Sequence[str],
    extras: Sequence[str],
    versions: Mapping[str, Sequence[str]],
) -> Iterator[str]:
    for name, said in poetry.declared(pyproject, groups, extras):
        constraint = said.text("version")
        if constraint and said.path.endswith(name):
            has = versions.get(canonical(name), [])
            if has and not any(
                _fits(each, either) for each in has for either in poetry.specifiers(constraint)
            ):
                yield f"it has {name} {', '.join(has)}, and {constraint} is asked for"
    metadata = _parsed.table(lock).table("metadata")
    yield from _other_pythons(
        metadata.text("python-versions"),
        poetry.python_of(pyproject) or pyproject.table("project").text("requires-python"),
    )


def _requirements(lines: Iterable[str]) -> Iterator[Requirement]:
    for line in lines:
        try:
            yield Requirement(line.partition(" --hash")[0])
        except InvalidRequirement:
            # A path; or uv says in the end what is wrong with it.
            continue


def _misfit(wanted: Requirement, versions: Sequence[str]) -> Iterator[str]:
    has = [version for version in versions if version]
    if has and not any(_fits(version, str(wanted.specifier)) for version in has):
        yield f"it has {wanted.name} {', '.join(has)}, and {wanted.specifier} is asked for"


def _fits(version: str, specifier: str) -> bool:
    try:
        return SpecifierSet(specifier).contains(Version(version), prereleases=True)
    except (InvalidSpecifier, InvalidVersion):
        return True


def _other_pythons(locked: str, asked: str) -> Iterator[str]:
    if not (locked and asked) or locked == asked:
        return
    ranges = [poetry.specifiers(each) for each in (locked, asked)]
    for version in PYTHONS:
        fits = [any(_fits(version, either) for either in each) for each in ranges]
        if fits[0] != fits[1]:
            yield f"it is for Python {locked}, and the project for {asked}"
            return
