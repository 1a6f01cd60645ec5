# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The argument spec, the role's defaults, the Python defaults and the README say the same."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.asgi.host.plugins.module_utils import _apps
from ansible_collections.asgi.host.plugins.module_utils._apps.defaults import SERVERS, SOURCES
from ansible_collections.asgi.host.plugins.module_utils._apps.table import CHECKS

ROOT = Path(__file__).resolve().parent.parent.parent
ROLE = ROOT / "roles" / "asgi_host"
SPECS = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
MAIN = SPECS["main"]["options"]
APP = MAIN["asgi_host_apps"]["options"]
_spec = importlib.util.spec_from_file_location("readme_table", ROOT / "tools" / "readme_table.py")
assert _spec is not None
assert _spec.loader is not None
readme_table = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(readme_table)


def spec_defaults(options: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of options and of what lies in them; no default is None."""
    return {
        key: spec_defaults(option["options"])
        if "options" in option and "elements" not in option
        else option.get("default")
        for key, option in options.items()
    }


def set_only(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is None, and without mappings of nothing else."""
    kept: dict[str, Any] = {}
    for key, value in values.items():
        inner = set_only(value) if isinstance(value, Mapping) else value
        if inner is not None and (inner or not value):
            kept[key] = inner
    return kept


def every_option(options: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, option in options.items():
        yield prefix + key, option
        yield from every_option(option.get("options", {}), f"{prefix}{key}.")


def test_role_defaults_are_the_spec_s() -> None:
    defaults = yaml.safe_load((ROLE / "defaults" / "main.yml").read_text(encoding="utf-8"))
    assert defaults == {key: option["default"] for key, option in MAIN.items()}


def test_app_defaults_are_the_spec_s() -> None:
    assert {"name", *_apps.APP_DEFAULTS} == set(APP)
    assert set(CHECKS) == set(_apps.APP_DEFAULTS)
    spec = set_only(spec_defaults(APP))
    python = set_only(_apps.APP_DEFAULTS)
    assert spec == python
    # 1 == True and 0 == False, so the types are compared as well.
    assert repr(sorted(spec.items())) == repr(sorted((key, python[key]) for key in spec))


@pytest.mark.parametrize("key", ["source", "build", "hooks", "health", "tls", "proxy", "sandbox"])
def test_keys_of_mappings_are_the_spec_s(key: str) -> None:
    has = set(_apps.APP_DEFAULTS[key]) | (set(SOURCES) if key == "source" else set())
    assert has == set(APP[key]["options"])
    unknown = _apps.problems([{"name": "a", "app": "a:b", "source": {"path": "x"}, key: {"?": 1}}])
    words = next(message for message in unknown if "no such key" in message)
    assert all(name in words for name in has)


def test_choices_are_the_checked_ones() -> None:
    assert APP["server"]["choices"] == list(SERVERS)
    for key, option in every_option(APP):
        if "choices" in option and "." in key:
            top, name = key.split(".")
            messages = _apps.problems(
                [{"name": "a", "app": "a:b", "source": {"path": "x"}, top: {name: "?"}}]
            )
            assert all(choice in messages[0] for choice in option["choices"]), messages


def test_every_option_is_described() -> None:
    for spec in SPECS.values():
        for key, option in every_option(spec["options"]):
            assert option["description"], key
            assert all(text.endswith(".") for text in option["description"]), key


def test_ansible_leaves_the_apps_to_the_role() -> None:
    assert (MAIN["asgi_host_apps"]["type"], MAIN["asgi_host_apps"]["elements"]) == ("list", "raw")
    assert MAIN["asgi_host_app_defaults"]["type"] == "raw"


def test_readme_has_the_table_of_today(capsys: pytest.CaptureFixture[str]) -> None:
    assert readme_table.main(["--check"]) == 0, capsys.readouterr().err


def test_stale_readme_is_seen() -> None:
    readme = (ROLE / "README.md").read_text(encoding="utf-8")
    stale = readme.replace("| `120` |", "| `60` |")
    assert stale != readme
    assert readme_table.rewritten(stale, SPECS) == readme
    with pytest.raises(readme_table.StaleError):
        readme_table.rewritten("no markers", SPECS)
