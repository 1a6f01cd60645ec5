# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Write the tables of variables in the role's README from its argument spec; --check only compares."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROLE = Path(__file__).resolve().parent.parent / "roles" / "asgi_host"
START = "<!-- variables: made by tools/readme_table.py from meta/argument_specs.yml -->"
END = "<!-- end of variables -->"
TITLES = {"main": "Variables", "rollback": "Variables of the entry point `rollback`"}
# Other entry points have the variables of main.
# The apps' keys get a table of their own, below that of the host-wide variables.
APPS = "asgi_host_apps"


class StaleError(Exception):
    """The README has no markers to write between."""


def tables(specs: Mapping[str, Any]) -> str:
    """The tables of all entry points, in Markdown."""
    parts: list[str] = []
    for name, spec in specs.items():
        options = spec["options"]
        if not options:
            continue
        parts += [
            f"## {TITLES.get(name, name)}",
            "",
            *_table((key, each) for key, each in options.items()),
            "",
        ]
        if APPS in options:
            parts += [f"### Keys of an app in `{APPS}`", "", *_table(_rows(options[APPS]["options"])), ""]
    return "\n".join(parts).rstrip()


def _rows(options: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, option in options.items():
        yield prefix + key, option
        suffix = "[]." if option.get("elements") == "dict" else "."
        yield from _rows(option.get("options", {}), prefix + key + suffix)


def _table(rows: Iterator[tuple[str, Mapping[str, Any]]]) -> list[str]:
    lines = ["| name | type | default | meaning |", "|---|---|---|---|"]
    for name, option in rows:
        words = " ".join(_markdown(text) for text in _list(option["description"]))
        if "choices" in option:
            words += " One of " + ", ".join(f"`{each}`" for each in option["choices"]) + "."
        default = "required" if option.get("required") else _default(option)
        lines.append(f"| `{name}` | {_type(option)} | {default} | {words} |")
    return lines


def _type(option: Mapping[str, Any]) -> str:
    kind = str(option.get("type", "str"))
    if option.get("elements", "raw") != "raw":
        return f"{kind} of {option['elements']}"
    return {"raw": "see there"}.get(kind, kind)


def _default(option: Mapping[str, Any]) -> str:
    if "default" not in option:
        return "–"
    default = option["default"]
    return f"`{default}`" if isinstance(default, str) and default else f"`{json.dumps(default)}`"


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _markdown(text: str) -> str:
    """Ansible's markup as Markdown: O(x), V(x) and C(x) are code; an escaped bracket loses its backslash."""

    def code(found: re.Match[str]) -> str:
        inner = re.sub(r"\\(.)", r"\1", found.group(1)).removeprefix(f"{APPS}[].").replace("|", "\\|")
        return f"`{inner}`"

    return re.sub(r"\b[OVC]\(((?:\\.|[^\\)])*)\)", code, text).replace("\n", " ")


def rewritten(readme: str, specs: Mapping[str, Any]) -> str:
    """The README with the tables of today between its markers; StaleError where it lacks them."""
    before, start, rest = readme.partition(START)
    _mark, end, after = rest.partition(END)
    if not start or not end:
        raise StaleError(f"the README lacks its markers {START} and {END}")
    return f"{before}{START}\n\n{tables(specs)}\n\n{END}{after}"


def main(arguments: list[str] | None = None) -> int:
    """Write or compare; the status is 1 where the README is stale or has no markers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with 1 where the tables are stale"
    )
    check = parser.parse_args(arguments).check
    specs = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))[
        "argument_specs"
    ]
    readme = ROLE / "README.md"
    old = readme.read_text(encoding="utf-8")
    try:
        new = rewritten(old, specs)
    except StaleError as error:
        print(error, file=sys.stderr)
        return 1
    if check:
        if new != old:
            print("roles/asgi_host/README.md is stale; run: python tools/readme_table.py", file=sys.stderr)
        return int(new != old)
    readme.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
