# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lock files that uv does not read, as requirement lines and constraints: of Poetry, PDM and pipenv, and pylock.toml.

A lock holds all that is needed for it: names, versions, hashes and where each comes from. Nothing of the project is run.
What the project asks for becomes requirements, and each version that the lock chose a constraint with its hashes: so
extras and markers are weighed by uv, for this Python and this machine.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .._toml import Table, UnreadableError
from . import poetry, requirements
from .requirements import canonical

# By the name of a lock: the command that writes it anew, and the one that exports it as a requirements file.
COMMANDS = {
    "uv.lock": ("uv lock", "uv export --format requirements.txt --output-file requirements.txt"),
    "poetry.lock": ("poetry lock", "poetry export --output requirements.txt"),
    "pdm.lock": ("pdm lock", "pdm export --output requirements.txt"),
    "Pipfile.lock": ("pipenv lock", "pipenv requirements --hash > requirements.txt"),
}
# What pipenv calls the packages of a Pipfile's table.
PIPENV_SECTIONS = {"packages": "default", "dev-packages": "develop", "dev": "develop"}
SELECTOR = re.compile(
    r"""(?:(['"])(?P<name>[^'"]*)\1\s+(?P<no>not\s+)?in\s+(?P<of>extras|dependency_groups))|"""
    r"""(?:extra\s*==\s*(['"])(?P<extra>[^'"]*)\5)"""
)
ALWAYS, NEVER = "python_version >= '3'", "python_version < '3'"


@dataclass
class Locked:
    """What a lock says."""

    wanted: list[str] = field(default_factory=list)
    """Requirement lines of what the project itself asks for."""
    versions: list[str] = field(default_factory=list)
    """Constraints: each chosen version, with its hashes."""
    indexes: dict[str, str] = field(default_factory=dict)
    """By project, the address of the index that it comes from, where that is not the usual one."""
    names: set[str] = field(default_factory=set)
    """All projects that the lock knows."""

    def text(self, constraints: str) -> str:
        """The requirements, which include their constraints from a file of the name ``constraints``."""
        return "".join(f"{line}\n" for line in [f"-c {constraints}", *self.wanted])


def is_foreign(path: Path) -> bool:
    """Whether a file is a lock that is read here."""
    return path.name in READERS or bool(re.fullmatch(r"pylock\.([^.]+\.)?toml", path.name))


def read(
    path: Path,
    groups: Sequence[str],
    extras: Sequence[str],
    within: Sequence[Path] = (),
    table: Table | None = None,
) -> Locked:
    """What a lock says, for the project in its folder; ``table`` is its content, if known. Raises UnreadableError."""
    reader = READERS.get(path.name, _pylock)
    if path.name == "Pipfile.lock":
        table = _json(path, within)
    table = table or Table(path.name, requirements.table_of(path, within))
    file = path.parent / "pyproject.toml"
    pyproject = requirements.table_of(file, within) if file.is_file() else {}
    return reader(table, Table("pyproject.toml", pyproject), groups, extras)


def _json(path: Path, within: Sequence[Path]) -> Table:
    try:
        content = json.loads(requirements.text_of(path, within))
    except (ValueError, RecursionError) as error:
        raise UnreadableError(
            f"{path.name} is no valid JSON ({error}); correct it, or resolve the merge that left its marks in it"
        ) from error
    if not isinstance(content, Mapping):
        raise UnreadableError(f"{path.name} holds no table; write it anew with {COMMANDS[path.name][0]}")
    return Table(path.name, content)


def _hashes(values: Sequence[str]) -> str:
    return "".join(f" --hash={value}" for value in sorted(set(values)))


def _once(found: Mapping[str, list[tuple[str, str, str]]], file: str) -> Iterator[str]:
    """A constraint for each version; ``found`` has by project versions, markers and hashes.

    The marker of a project's only version says nothing: it is asked for where it is needed, or not. Raises UnreadableError
    where nothing says which of several versions is meant.
    """
    for name, versions in found.items():
        several = len({version for version, _marker, _hashes in versions}) > 1
        for version, marker, hashes in versions if several else versions[:1]:
            if several and (not marker or "extra" in marker):
                lock, export = COMMANDS[file]
                raise UnreadableError(
                    f"{file} has several versions of {name}, and not for which Python or machine each of them is; write "
                    f"it anew with a newer version of the tool ({lock}), or export it ({export}) and name that file in "
                    "source.requirements"
                )
            what = version if version.startswith("@") else f"=={version}"
            sign = " " if version.startswith("@") else ""
            yield f"{name}{sign}{what}{f' ; {marker}' if several else ''}{hashes}"


def _poetry(lock: Table, pyproject: Table, groups: Sequence[str], extras: Sequence[str]) -> Locked:
    found = Locked()
    versions: dict[str, list[tuple[str, str, str]]] = {}
    # Poetry 1.4 and older keep the hashes apart.
    apart = lock.table("metadata", "files")
    addresses: dict[str, str] = {}
    for package in lock.tables("package"):
        name = canonical(package.needed("name"))
        files = package.tables("files") or apart.tables(package.text("name"))
        source = package.table("source")
        address = _poetry_address(source)
        if address:
            addresses[name] = address
        elif source.text("type") == "legacy":
            found.indexes[name] = source.text("url")
        marker = package.content.get("markers", "")
        # By group, where they differ.
        marker = marker.get("main", "") if isinstance(marker, Mapping) else marker
        hashes = "" if address else _hashes([file.text("hash") for file in files])
        versions.setdefault(name, []).append(
            (f"@ {address}" if address else package.text("version"), str(marker), hashes)
        )
    found.names = set(versions)
    local = {name for name, address in addresses.items() if "://" not in address}
    found.versions = list(
        _once({name: each for name, each in versions.items() if name not in local}, lock.file)
    )
    project = pyproject.table("project")
    if "dependencies" in project:
        found.wanted = _declared(pyproject, groups, extras, addresses)
        groups = [name for name in groups if name not in pyproject.table("dependency-groups")]
        said = [each for each in poetry.declared(pyproject, groups, []) if each[1].path.count("group")]
    else:
        found.wanted = of_groups(pyproject, groups)
        said = list(poetry.declared(pyproject, groups, extras))
    found.wanted += [
        poetry.requirement(name, table, addresses.get(canonical(name), "")) for name, table in said
    ]
    return found


def _poetry_address(source: Table) -> str:
    kind, url = source.text("type"), source.text("url")
    inside = f"#subdirectory={source.text('subdirectory')}" if source.text("subdirectory") else ""
    if kind == "git":
        return f"git+{url}@{source.text('resolved_reference')}{inside}"
    if kind == "url":
        return url
    return f"./{url.removeprefix('./')}" if kind in ("directory", "file") else ""


def _declared(
    pyproject: Table, groups: Sequence[str], extras: Sequence[str], addresses: Mapping[str, str]
) -> list[str]:
    """What ``[project]`` asks for, with these groups and extras; with the addresses of what no index has."""
    project = pyproject.table("project")
    if "dependencies" in project.texts("dynamic"):
        raise UnreadableError(
            "pyproject.toml: project.dependencies is dynamic, so its lock does not say what the project asks for; write the "
            "dependencies into it, or export the lock and name that file in source.requirements"
        )
    lines = [*project.texts("dependencies"), *of_extras(project, extras), *of_groups(pyproject, groups)]
    return [_with_address(line, addresses.get(min(requirements.named([line]), default=""))) for line in lines]


def _with_address(line: str, address: str | None) -> str:
    if not address or "@" in line:
        return line
    marker = line.partition(";")[2].strip()
    return f"{re.split(r'[<>=!~; ]', line)[0]} @ {address}{f' ; {marker}' if marker else ''}"


def of_extras(project: Table, extras: Sequence[str]) -> list[str]:
    """The dependencies of extras, and of those that they name of the same project."""
    optional, own = project.table("optional-dependencies"), canonical(project.text("name") or "-")
    todo, done, lines = list(extras), set(), list[str]()
    while todo:
        extra = todo.pop()
        if extra in done:
            continue
        done.add(extra)
        for line in optional.texts(extra):
            if own in requirements.named([line]) and (more := re.search(r"\[([^\]]*)\]", line)):
                todo += [name.strip() for name in more[1].split(",")]
            else:
                lines.append(line)
    return lines


def of_groups(pyproject: Table, groups: Sequence[str]) -> list[str]:
    """The dependencies of groups (PEP 735) and of PDM's own, with those that they include."""
    standard, of_pdm = (
        pyproject.table("dependency-groups"),
        pyproject.table("tool", "pdm", "dev-dependencies"),
    )
    todo, done, lines = list(groups), set(), list[str]()
    while todo:
        group = todo.pop()
        if group in done:
            continue
        done.add(group)
        items = standard.content.get(group, [])
        if not isinstance(items, list):
            raise standard.wrong(group, "a list")
        for item in items:
            if isinstance(item, Mapping):
                todo.append(str(item.get("include-group")))
            else:
                lines.append(str(item))
        lines += [line for line in of_pdm.texts(group) if not line.startswith("-e ")]
    return lines


def _pdm(lock: Table, pyproject: Table, groups: Sequence[str], extras: Sequence[str]) -> Locked:
    found = Locked()
    versions: dict[str, list[tuple[str, str, str]]] = {}
    addresses: dict[str, str] = {}
    for package in lock.tables("package"):
        name = canonical(package.needed("name"))
        address = ""
        if package.text("git"):
            inside = package.text("subdirectory")
            address = f"git+{package.text('git')}@{package.text('revision')}{f'#subdirectory={inside}' if inside else ''}"
        elif package.text("url") or package.text("path"):
            address = package.text("url") or package.text("path")
        if address:
            addresses[name] = address
        hashes = "" if address else _hashes([file.text("hash") for file in package.tables("files")])
        version = f"@ {address}" if address else package.text("version")
        versions.setdefault(name, []).append((version, package.text("marker"), hashes))
    found.names = set(versions)
    local = {name for name, address in addresses.items() if "://" not in address}
    found.versions = list(
        _once({name: each for name, each in versions.items() if name not in local}, lock.file)
    )
    found.wanted = _declared(pyproject, groups, extras, addresses)
    return found


def _pipenv(lock: Table, _pyproject: Table, groups: Sequence[str], _extras: Sequence[str]) -> Locked:
    found = Locked()
    sources = {each.text("name"): each.text("url") for each in lock.table("_meta").tables("sources")}
    usual = next(iter(sources), "")
    for section in ["default", *(PIPENV_SECTIONS.get(name, name) for name in groups)]:
        for name in lock.table(section):
            package = lock.table(section, name)
            project, index = canonical(name), package.text("index", usual)
            extras = f"[{','.join(package.texts('extras'))}]" if "extras" in package else ""
            marker = f" ; {package.text('markers')}" if "markers" in package else ""
            inside = f"#subdirectory={package.text('subdirectory')}" if "subdirectory" in package else ""
            found.names.add(project)
            if "git" in package:
                address = f"git+{package.text('git').removeprefix('git+')}@{package.text('ref')}{inside}"
                found.wanted.append(f"{name}{extras} @ {address}{marker}")
            elif "path" in package or "file" in package:
                where = package.text("path") or package.text("file")
                found.wanted.append(f"{name}{extras} @ {where}{marker}" if "://" in where else where)
            else:
                hashes = _hashes(package.texts("hashes"))
                found.wanted.append(f"{name}{extras}{package.text('version')}{marker}{hashes}")
                if index != usual and sources.get(index):
                    found.indexes[project] = sources[index]
    return found


def _pylock(lock: Table, _pyproject: Table, groups: Sequence[str], extras: Sequence[str]) -> Locked:
    if not lock.text("lock-version").startswith("1."):
        raise UnreadableError(
            f"{lock.file}: lock-version is not 1.x; write it anew with a tool that knows PEP 751"
        )
    found = Locked()
    chosen = {
        "extras": {canonical(name) for name in extras},
        "dependency_groups": {canonical(name) for name in groups or lock.texts("default-groups")},
    }
    for package in lock.tables("packages"):
        name = canonical(package.needed("name"))
        marker = SELECTOR.sub(lambda match: _selected(match, chosen), package.text("marker"))
        marker = f" ; {marker}" if marker else ""
        found.names.add(name)
        vcs, archive, folder = (package.table(each) for each in ("vcs", "archive", "directory"))
        if "commit-id" in vcs:
            address = f"{vcs.text('type')}+{vcs.text('url') or vcs.text('path')}@{vcs.text('commit-id')}"
            inside = f"#subdirectory={vcs.text('subdirectory')}" if "subdirectory" in vcs else ""
            found.wanted.append(f"{name} @ {address}{inside}{marker}")
        elif "path" in folder:
            # The project itself, where it is in its own lock, is built beside the rest.
            if folder.text("path").rstrip("/") not in ("", "."):
                found.wanted.append(f"./{folder.text('path').removeprefix('./')}{marker}")
        elif archive.content:
            found.wanted.append(
                f"{name} @ {archive.text('url') or archive.text('path')}{marker}{_named_hashes([archive])}"
            )
        else:
            files = [*package.tables("wheels"), *package.tables("sdist")]
            found.wanted.append(f"{name}=={package.text('version')}{marker}{_named_hashes(files)}")
            if package.text("index"):
                found.indexes[name] = package.text("index")
    # Each package says its index; the one of most of them is the usual one, which another may take the place of.
    usual = Counter(found.indexes.values()).most_common(1)
    found.indexes = {name: url for name, url in found.indexes.items() if (url, usual[0][1]) != usual[0]}
    return found


def _selected(match: re.Match[str], chosen: Mapping[str, set[str]]) -> str:
    """What a marker says of extras and groups, as one that holds always or never."""
    if match["of"]:
        holds = (canonical(match["name"]) in chosen[match["of"]]) != bool(match["no"])
    else:
        holds = canonical(match["extra"]) in chosen["extras"]
    return ALWAYS if holds else NEVER


def _named_hashes(files: Sequence[Table]) -> str:
    return _hashes(
        [f"{kind}:{file.table('hashes').text(kind)}" for file in files for kind in file.table("hashes")]
    )


READERS = {"poetry.lock": _poetry, "pdm.lock": _pdm, "Pipfile.lock": _pipenv, "pylock.toml": _pylock}
