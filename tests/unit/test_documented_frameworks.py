"""What docs/frameworks.md shows is what the tests deploy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.asgi.host.plugins.module_utils._apps import problems

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "frameworks.md").read_text(encoding="utf-8")
INVENTORY = ROOT / "molecule" / "full" / "inventory" / "group_vars" / "asgi_hosts.yml"
SETTINGS = {
    "Django": "polls/polls_site/settings.py",
    "Litestar": "rooms/backend/rooms/main.py",
    "Quart": "chat/src/chat/main.py",
}


def blocks(language: str) -> list[tuple[str, str]]:
    """The fenced blocks of a language, each with the section that it stands in."""
    found = []
    for section in re.split(r"^## ", DOCUMENT, flags=re.MULTILINE)[1:]:
        title = section.partition("\n")[0]
        found += [(title, text) for text in re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)]
    return found


def deployed() -> dict[str, dict[str, Any]]:
    """The apps of the inventory under test, by name."""
    apps = yaml.safe_load(INVENTORY.read_text(encoding="utf-8"))["asgi_host_apps"]
    return {app["name"]: app for app in apps}


@pytest.mark.parametrize(("title", "text"), blocks("yaml"))
def test_entry_is_deployed(title: str, text: str) -> None:
    (entry,) = yaml.safe_load(text)
    assert entry == deployed()[title.lower()]
    assert problems([entry]) == []


@pytest.mark.parametrize(("title", "text"), blocks("python"))
def test_settings_are_the_apps_own(title: str, text: str) -> None:
    assert text in (ROOT / "tests" / "integration" / "apps" / SETTINGS[title]).read_text(encoding="utf-8")


def test_every_framework_is_shown() -> None:
    mounted = {name for name, app in deployed().items() if app.get("domains") == ["frameworks.test"]}
    assert {title.lower() for title, _text in blocks("yaml")} == mounted
    assert {title for title, _text in blocks("python")} == set(SETTINGS)
