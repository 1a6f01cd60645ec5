# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""``sandbox.unit``: what an app's unit takes, what it refuses, and that nothing changes without it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils import _apps
from ansible_collections.asgi.host.plugins.module_utils._apps import unit_directives
from ansible_collections.asgi.host.plugins.plugin_utils._render import render
from ansible_collections.asgi.host.plugins.plugin_utils._settings import derived

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "roles" / "asgi_host" / "templates" / "systemd"
APP: dict[str, Any] = {"name": "shop", "app": "shop:app", "source": {"path": "shop"}}
HOST = {"cores": 2, "memory_mb": 4096}


def rendered(unit: dict[str, Any] | None, template: str = "release", **more: Any) -> str:
    given = {**APP, **more} if unit is None else {**APP, **more, "sandbox": {"unit": unit}}
    given = {key: value for key, value in given.items() if value is not None}
    app = _apps.normalize([given])[0]
    return render(f"systemd/{template}.conf.j2", app=app, root="/srv/asgi", settings=derived(app, HOST))


def problems(unit: Any, **more: Any) -> list[str]:
    given = {**APP, **more, "sandbox": {"unit": unit}}
    found: list[str] = _apps.problems([{key: value for key, value in given.items() if value is not None}])
    return found


def test_directives_are_the_last_of_the_unit() -> None:
    text = rendered({"CPUQuota": "150%", "TasksMax": 200, "IPAddressAllow": ["10.0.0.0/8", "localhost"]})
    assert text.endswith(
        "# Directives of the inventory (sandbox.unit)\n"
        "CPUQuota=150%\nIPAddressAllow=10.0.0.0/8\nIPAddressAllow=localhost\nTasksMax=200\n"
    )


def test_unit_without_them_is_as_it_was() -> None:
    """Another text would be a new release for everybody."""
    assert rendered(None) == rendered({})
    assert "sandbox.unit" not in rendered(None)


def test_image_takes_what_its_group_obeys() -> None:
    image = {"app": None, "source": {"image": {"name": "registry.example.com/shop:1"}}}
    assert rendered({"CPUQuota": "50%"}, "image", **image).endswith("CPUQuota=50%\n")
    (words,) = problems({"Nice": 5, "CPUQuota": "50%"}, **image)
    assert "sandbox.unit.Nice: is a matter of the process, and a container does not obey it" in words


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("CPUQuota", ["50%", "200%"], ["0%", "50", "half", "50%\nUser=root"]),
        ("CPUWeight", [1, "10000", "idle"], [0, 10001]),
        ("MemoryHigh", ["512M", "1.5G", "50%", "infinity"], ["512 M", "much"]),
        ("TasksMax", [200, "20%", "infinity"], [0, "-1"]),
        ("Nice", [-20, 0, 19, "5"], [20, -21]),
        ("LimitNOFILE", [4096, "1024:4096", "infinity"], ["4096 4096"]),
        ("AllowedCPUs", ["0-3", "0,2", "1"], ["all"]),
        ("Slice", ["web.slice"], ["web", "../web.slice"]),
        ("BindReadOnlyPaths", ["/srv/models", "-/srv/models:/models"], ["models", "/srv/%i", "/a /etc/asgi"]),
        ("IPAddressAllow", ["10.0.0.0/8", "::1", "any"], ["example.com"]),
        ("IPAccounting", [True, "no"], ["maybe"]),
        ("OOMScoreAdjust", [-1000, 500], [1001]),
    ],
)
def test_values(name: str, good: list[Any], bad: list[Any]) -> None:
    assert problems({name: good}) == []
    for value in bad:
        (words,) = problems({name: value})
        assert f"sandbox.unit.{name}" in words
        assert unit_directives.DIRECTIVES[name][1] in words


def test_no_directive_that_the_role_writes_is_taken() -> None:
    """What a release depends on cannot be said twice. Limits that the role sets may be: the last line counts."""
    written: set[str] = set()
    for path in TEMPLATES.glob("*.j2"):
        written |= set(re.findall(r"^([A-Z]\w+)=", path.read_text(encoding="utf-8"), re.MULTILINE))
    additive = {
        "InaccessiblePaths",
        "ReadOnlyPaths",
        "BindReadOnlyPaths",
        "TemporaryFileSystem",
        "IPAddressAllow",
        "IPAddressDeny",
    }
    assert written & unit_directives.DIRECTIVES.keys() == additive | {"LimitNOFILE"}


def test_docs_list_every_directive() -> None:
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    assert [name for name in unit_directives.DIRECTIVES if f"`{name}`" not in page] == []
