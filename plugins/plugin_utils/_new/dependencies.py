# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a project depends on: where it says so, which Python it takes, and the Debian packages that follow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._release.requirements import USUAL

from .project import Project, parent
from .ways import Said, Ways

FILES = ("requirements/production.txt", "requirements/prod.txt", "requirements/base.txt", "requirements/requirements.txt", "requirements/main.txt",
         "requirements-prod.txt", "requirements.prod.txt", "requirements.in", "requirements/common.txt", "reqs.txt")  # fmt: skip
# What a wheel of an index does not bring: by requirement, the packages, and the extras or companions that spare them.
NEEDED: dict[str, tuple[tuple[str, ...], str]] = {
    "psycopg2": (("libpq-dev",), "is built against it"),
    "mysqlclient": (("default-libmysqlclient-dev", "pkg-config"), "is built against it"),
    "python-ldap": (("libldap-dev", "libsasl2-dev"), "is built against it"),
    "django-auth-ldap": (("libldap-dev", "libsasl2-dev"), "brings python-ldap, which is built against it"),
    "weasyprint": (("libpango-1.0-0", "libpangoft2-1.0-0", "libharfbuzz-subset0"), "loads it"),
    "pyodbc": (("unixodbc",), "loads it"),
    "python-magic": (("libmagic1",), "loads it"),
    "cairosvg": (("libcairo2",), "loads it"),
    "pycairo": (("libcairo2-dev", "pkg-config"), "is built against it"),
    "pygraphviz": (("graphviz", "libgraphviz-dev", "pkg-config"), "is built against it"),
    "graphviz": (("graphviz",), "calls its programs"),
    "xmlsec": (("libxmlsec1-dev", "pkg-config"), "is built against it"),
    "python3-saml": (("libxmlsec1-dev", "pkg-config"), "brings xmlsec, which is built against it"),
    "pysaml2": (("xmlsec1",), "calls it"),
    "pdf2image": (("poppler-utils",), "calls its programs"),
    "pytesseract": (("tesseract-ocr",), "calls it"),
    "ocrmypdf": (("tesseract-ocr", "ghostscript"), "calls them"),
    "pydub": (("ffmpeg",), "calls it"),
    "ffmpeg-python": (("ffmpeg",), "calls it"),
    "pycurl": (("libcurl4-openssl-dev", "libssl-dev"), "is built against it"),
    "pyzbar": (("libzbar0",), "loads it"),
    "wand": (("libmagickwand-dev",), "loads it"),
    "opencv-python": (("libgl1", "libglib2.0-0"), "loads it"),
    "gdal": (("libgdal-dev", "gdal-bin"), "is built against it"),
    "uwsgi": ((), ""),
}  # fmt: skip
# Of images: tools for building, for the image itself, or what Debian's python3 and the role bring.
OF_IMAGES = re.compile(
    r"build-essential|gcc|g\+\+|cpp|make|cmake|curl|wget|gnupg\d?|ca-certificates|python3(?:-dev|-pip|-venv)?|pkg-config|tini|gosu|dumb-init|"
    r"netcat\S*|procps|nginx|supervisor|cron|nano|vim\S*|less|bash|apt-\S+|lsb-release|software-properties-common|node-?js|npm|yarn|"
    r"locales|tzdata|unzip|zip|iproute2|iputils-ping|dnsutils|sudo|openssl|libssl\S*|zlib1g\S*|libffi\S*|libc6\S*|musl-dev|rustc|cargo|"
    r"dialog|telnet|jq|htop|openssh-client|acl|gettext-base|libexpat1\S*|passwd|adduser|util-linux|patch|file"
)
# Sonames change between Debian's releases; these names are there on 12 and 13.
RENAMED = {"libpcre2-posix3": "", "libldap-2.5": "", "libldap-2.5-0": "", "libldap-2.4-2": "", "libtiff6": "", "libtiff5": "", "libwebp7": "", "libwebp6": "",
           "libjpeg62-turbo": "", "libgdk-pixbuf2.0-0": "libgdk-pixbuf-2.0-0", "libldap2-dev": "libldap-dev",
           "libmysqlclient-dev": "default-libmysqlclient-dev",
           "libgl1-mesa-glx": "libgl1", "libcurl4t64": "", "libcurl4": "", "libicu72": "", "libicu76": "", "libpcre2-8-0": ""}  # fmt: skip


@dataclass
class Dependencies:
    """``folder`` is the project's own: the one whose files name what it needs."""

    folder: str = ""
    file: str = ""
    """The file that the role reads, inside ``folder``."""
    named: str = ""
    """``source.requirements``, where the role would not find the file by itself."""
    why: str = ""
    table: dict[str, Any] = field(default_factory=dict)
    requirements: dict[str, str] = field(default_factory=dict)
    """The direct ones: each with its extras, and the whole line."""
    member: str = ""
    python: Said | None = None


def find(project: Project, app_dir: str, ways: Ways) -> Dependencies:
    """From the folder of the app upwards: the nearest that names dependencies, a workspace's lock above it included."""
    folders, folder = [app_dir], app_dir
    while folder:
        folder = parent(folder)
        folders.append(folder)
    found = Dependencies()
    for folder in folders:
        if names := _names(project, folder):
            found.folder = folder
            _choose(project, found, names, ways)
            break
    table_path = _in(found.folder, "pyproject.toml")
    found.table = project.toml(table_path)
    for above in folders[folders.index(found.folder) + 1 :] if found.folder in folders else []:
        members = _at(project.toml(_in(above, "pyproject.toml")), "tool.uv.workspace.members")
        inside = found.folder.removeprefix(f"{above}/") if above else found.folder
        if (
            isinstance(members, list)
            and project.has(_in(above, "uv.lock"))
            and any(_fits(inside, str(each)) for each in members)
        ):
            found.member = str(_at(found.table, "project.name") or "")
            found.folder, found.file, found.named = above, "uv.lock", ""
            found.why = f"{_in(above, 'uv.lock')} is the workspace's lock, and {inside} a member"
            break
    found.requirements = requirements(project, found)
    found.python = _python(project, found)
    return found


def _fits(path: str, pattern: str) -> bool:
    return bool(re.fullmatch(re.escape(pattern.strip("/")).replace(r"\*", "[^/]*"), path))


def _in(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _at(table: Any, key: str) -> Any:
    for part in key.split("."):
        table = table.get(part) if isinstance(table, Mapping) else None
    return table


def _names(project: Project, folder: str) -> list[str]:
    here = [name for name in (*USUAL, *FILES) if project.has(_in(folder, name))]
    table = project.toml(_in(folder, "pyproject.toml"))
    if "pyproject.toml" in here and not (
        _at(table, "project.dependencies") is not None
        or _at(table, "tool.poetry")
        or _at(table, "project.dynamic")
    ):
        # Settings of linters alone.
        here.remove("pyproject.toml")
    return here


def _choose(project: Project, found: Dependencies, names: list[str], ways: Ways) -> None:
    usual = next((name for name in USUAL if name in names), "")
    asked = ways.requirements.value.lstrip("./") if ways.requirements else ""
    inside = next((tail for tail in _tails(asked) if project.has(_in(found.folder, tail))), "")
    if "uv.lock" not in names and inside and inside != usual:
        found.file = found.named = inside
        found.why = f"{ways.requirements.where} installs it" if ways.requirements else ""
    elif usual:
        found.file, found.why = usual, f"{usual} names the dependencies"
    else:
        found.file = found.named = next((name for name in names if name in FILES), "")
        found.why = f"{found.file} names the dependencies" if found.file else ""


def _tails(path: str) -> list[str]:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    return ["/".join(parts[start:]) for start in range(len(parts))]


def requirements(project: Project, found: Dependencies) -> dict[str, str]:
    """The direct requirements by canonical name, with the line that names each."""
    lines: list[str] = []
    dependencies = _at(found.table, "project.dependencies")
    lines += [str(each) for each in dependencies] if isinstance(dependencies, list) else []
    poetry = _at(found.table, "tool.poetry.dependencies")
    for name, given in poetry.items() if isinstance(poetry, Mapping) else ():
        extras = given.get("extras") if isinstance(given, Mapping) else None
        lines.append(f"{name}[{','.join(map(str, extras))}]" if isinstance(extras, list) else str(name))
    if found.file.endswith((".txt", ".in")):
        lines += _file_lines(project, _in(found.folder, found.file))
    result: dict[str, str] = {}
    for line in lines:
        if match := re.match(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)", line):
            result.setdefault(re.sub(r"[-_.]+", "-", match.group(1)).lower(), line.strip())
    return result


def _file_lines(project: Project, path: str, depth: int = 0) -> list[str]:
    lines: list[str] = []
    for line in project.text(path).splitlines():
        if (match := re.match(r"\s*-r\s*(\S+)", line)) and depth < 4:
            lines += _file_lines(project, _in(parent(path), match.group(1)).replace("/./", "/"), depth + 1)
        elif not line.lstrip().startswith(("#", "-")):
            lines.append(line)
    return lines


def _python(project: Project, found: Dependencies) -> Said | None:
    """The range of Pythons, as the role takes one."""
    table = _in(found.folder, "pyproject.toml")
    for key in ("project.requires-python", "tool.poetry.dependencies.python"):
        given = _at(found.table, key)
        if isinstance(given, str) and (text := _range(given)):
            return Said(text, f"{table}: {key.rpartition('.')[2]} = {given}")
    lock, pin = _in(found.folder, "uv.lock"), _in(found.folder, ".python-version")
    locked = re.search(r'^requires-python = "([^"]+)"', project.text(lock), re.MULTILINE)
    if found.file == "uv.lock" and locked and (text := _range(locked.group(1))):
        return Said(text, f"{lock}: requires-python")
    if match := re.match(r"(?:cpython-)?(3\.\d+)", project.text(pin)):
        return Said(f">={match.group(1)}", pin)
    return None


def _range(text: str) -> str:
    """A specifier of PEP 440 or of poetry in the form that the role takes; empty for any other."""
    clauses = []
    for clause in filter(None, (part.strip() for part in text.split(","))):
        if match := re.fullmatch(r"\^(3)\.(\d+)(?:\.\d+)?", clause):
            clauses += [f">=3.{match.group(2)}", "<4.0"]
        elif match := re.fullmatch(r"(?:~|~=\s*)3\.(\d+)", clause):
            clauses += (
                [f">=3.{match.group(1)}", "<4.0"]
                if "=" in clause
                else [f">=3.{match.group(1)}", f"<3.{int(match.group(1)) + 1}"]
            )
        elif match := re.fullmatch(r"~=\s*3\.(\d+)\.\d+|==\s*3\.(\d+)\.\*", clause):
            minor = int(match.group(1) or match.group(2))
            clauses += [f">=3.{minor}", f"<3.{minor + 1}"]
        elif match := re.fullmatch(r"(>=|<=|<|>|==|!=)\s*(3|4|3\.\d+|4\.0)(\.\d+)?", clause):
            clauses.append(f"{match.group(1)}{match.group(2)}{match.group(3) or ''}")
        else:
            return ""
    return ",".join(clauses)


def packages(found: Dependencies, ways: Ways) -> dict[str, str]:
    """Debian packages, each with its reason."""
    wanted: dict[str, str] = {}
    for name, where in ways.packages.items():
        if OF_IMAGES.fullmatch(name):
            continue
        kept = RENAMED.get(name, re.sub(r"^(postgresql-client)-\d+$", r"\1", name))
        if kept:
            wanted.setdefault(kept, f"{where} installs it" + (f" as {name}" if kept != name else ""))
    for name, (debian, reason) in NEEDED.items():
        line = found.requirements.get(name)
        if line is None or (name == "psycopg2" and "psycopg2-binary" in found.requirements):
            continue
        for each in debian:
            wanted.setdefault(each, f"{name} {reason}")
    line = found.requirements.get("psycopg")
    if line is not None and "binary" not in line and "psycopg-binary" not in found.requirements:
        built = re.search(r"\[[^\]]*\bc\b", line)
        wanted.setdefault(
            "libpq-dev" if built else "libpq5", f"psycopg {'is built against it' if built else 'loads it'}"
        )
    return wanted
