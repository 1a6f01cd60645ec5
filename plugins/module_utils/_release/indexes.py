# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The indexes that a project names beside the usual one, and which of its packages come from them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

from .._private import without_passwords
from .._toml import Table
from .requirements import canonical, named

# What `uv pip compile --emit-index-annotation` writes below a requirement.
FROM = re.compile(r"\s*#\s*from (?P<url>\S+)\s*")

INDEX = re.compile(r"(?:-i|--index-url|--extra-index-url|--index)[\s=]+[\"']?(?P<url>[^\s\"']+)")


@dataclass(frozen=True)
class Index:
    """One index, by the name that the project has for it."""

    name: str
    url: str
    explicit: bool = False
    """Whether only the packages come from it that the project says so of."""
    default: bool = False
    """Whether it takes the place of the usual one."""


def of(pyproject: Table) -> list[Index]:
    """The indexes of a pyproject.toml: of uv, Poetry or PDM. Raises UnreadableError."""
    tool = pyproject.table("tool")
    found = []
    for number, each in enumerate(tool.table("uv").tables("index"), 1):
        name, explicit, default = each.text("name"), each.flag("explicit"), each.flag("default")
        found.append(Index(name or f"index-{number}", _plain(each.text("url")), explicit, default))
    for each in tool.table("poetry").tables("source"):
        priority = each.text("priority")
        if each.text("url"):
            found.append(
                Index(
                    each.text("name"), _plain(each.text("url")), priority == "explicit", priority == "default"
                )
            )
    of_pdm = (each for each in tool.table("pdm").tables("source") if each.text("url"))
    return [*found, *(Index(each.text("name"), _plain(each.text("url"))) for each in of_pdm)]


def _plain(url: str) -> str:
    return re.sub(r"/+\Z", "", url)


def pinned_by_uv(lock: Table, known: Sequence[Index]) -> dict[str, str]:
    """By project, the address of the index that uv.lock has it from, where it is a further one."""
    others = {without_passwords(each.url, ""): each.url for each in known if not each.default}
    found = {}
    for package in lock.tables("package"):
        url = without_passwords(_plain(package.table("source").text("registry")), "")
        if url in others:
            found[canonical(package.text("name"))] = others[url]
    return found


def asked(known: Iterable[Index], *, locked: bool) -> list[str]:
    """The options by which uv's resolver asks further indexes.

    By its own rule the first index that knows a project is asked for it alone. With a lock (``locked``) that chose versions
    of several indexes, all are looked at: what is installed is what the lock names.
    """
    known = list(known)
    options = [
        f"--{'default-index' if each.default else 'index'}={each.name}={each.url}"
        for each in known
        if locked or not each.explicit
    ]
    return [*options, *(["--index-strategy=unsafe-best-match"] if locked and options else [])]


def words(known: Sequence[Index], *, locked: bool) -> str:
    """Which further indexes were asked, and which were not for each package; empty without any."""
    there = [each for each in known if locked or not each.explicit]
    others = [each for each in known if each not in there]
    said = ""
    if there:
        said += f" Indexes that were asked beside the usual one: {_listed(there)}."
    if others:
        said += (
            f" {_listed(others)} is explicit, and is asked for the packages alone that tool.uv.sources has from there: name the "
            "missing one in it."
        )
    return said


def _listed(known: Sequence[Index]) -> str:
    return ", ".join(f"{each.name} ({without_passwords(each.url)})" for each in known)


def split(text: str, known: Sequence[Index]) -> tuple[str, dict[str, str]]:
    """A lock of uv without its notes of indexes, and by project the further index that each comes from."""
    others = {without_passwords(each.url, ""): each.url for each in known if not each.default}
    lines, found, last = [], dict[str, str](), ""
    for line in text.splitlines(keepends=True):
        note = FROM.fullmatch(line)
        if note is None:
            lines.append(line)
            last = min(named([line]), default=last)
        elif (url := without_passwords(_plain(note["url"]), "")) in others:
            found[last] = others[url]
    return "".join(lines), found


def project(pinned: Mapping[str, str], known: Sequence[Index], names: Iterable[str]) -> str:
    """A pyproject.toml that asks for those of ``names`` that are pinned to an index, from there; empty for none."""
    chosen = {name: pinned[name] for name in sorted(names) if name in pinned}
    if not chosen:
        return ""
    by_url = {each.url: each.name for each in known}
    lines = ["[project]", 'name = "indexes"', 'version = "0"']
    lines += [f"dependencies = [{', '.join(map(_quoted, chosen))}]", "[tool.uv.sources]"]
    lines += [f"{_quoted(name)} = {{index = {_quoted(by_url[url])}}}" for name, url in chosen.items()]
    for url in dict.fromkeys(chosen.values()):
        lines += [
            "[[tool.uv.index]]",
            f"name = {_quoted(by_url[url])}",
            f"url = {_quoted(url)}",
            "explicit = true",
        ]
    return "".join(f"{line}\n" for line in lines)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def addresses(options: Iterable[str]) -> list[str]:
    """The addresses of the indexes that the options of requirement files name."""
    found = (INDEX.match(option) for option in options)
    return [match["url"] for match in found if match]


def environment(logins: Mapping[str, Mapping[str, str]], addresses: Iterable[str]) -> dict[str, str]:
    """The variables by which uv and git get ``logins``, by the name of an index or the host of an index or a forge.

    ``addresses`` are those of indexes without a name: of the options of requirement files. What git would fetch from such a
    host by ssh comes by https as well. A project may call any address by any name, so uv gets no login of a host by a name.
    """
    found = {}
    for name, login in logins.items():
        if "." in name or ":" in name:
            continue
        variable = re.sub(r"[^A-Z0-9]", "_", name.upper())
        found[f"UV_INDEX_{variable}_USERNAME"] = str(login.get("username", ""))
        found[f"UV_INDEX_{variable}_PASSWORD"] = str(login.get("password", ""))
    own = [with_login(url, found_login) for url in addresses if (found_login := login_of(url, logins))]
    rewritten = [
        (f"url.{with_login(f'{scheme}://{host}/', login)}.insteadOf", f"{instead}{host}/")
        for host, login in logins.items()
        if "." in host
        for scheme, instead in (("https", "https://"), ("https", "ssh://git@"), ("http", "http://"))
    ]
    for number, (key, value) in enumerate(rewritten):
        found |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return {
        **found,
        **({"GIT_CONFIG_COUNT": str(len(rewritten)), "GIT_TERMINAL_PROMPT": "0"} if rewritten else {}),
        **({"UV_INDEX": " ".join(dict.fromkeys(own))} if own else {}),
    }


def needed(
    logins: Mapping[str, Mapping[str, str]], known: Iterable[Index], texts: Iterable[str]
) -> dict[str, Mapping[str, str]]:
    """The logins of those indexes and hosts that an app names; builds of others do not get them."""
    names = {
        name for each in known for name in (each.name, urlsplit(each.url).netloc, urlsplit(each.url).hostname)
    }
    said = "\n".join(texts)
    return {name: login for name, login in logins.items() if name in names or ("." in name and name in said)}


def login_of(url: str, logins: Mapping[str, Mapping[str, str]]) -> Mapping[str, str] | None:
    """The login of an address, by its host, with the port or without."""
    parts = urlsplit(url)
    return logins.get(parts.netloc.rpartition("@")[2]) or logins.get(parts.hostname or "")


def with_login(url: str, login: Mapping[str, str]) -> str:
    """An address with a name and password in it."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    user = ":".join(quote(str(login.get(key, "")), safe="") for key in ("username", "password"))
    return urlunsplit(parts._replace(netloc=f"{user}@{host}"))
