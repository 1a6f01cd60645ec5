# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A user's own templates: they extend the role's by blocks or replace them, and what is wrong with one is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import known_systems
import pytest
from ansible_collections.asgi.host.plugins.module_utils import _apps
from ansible_collections.asgi.host.plugins.plugin_utils import _render
from ansible_collections.asgi.host.plugins.plugin_utils._plan import nginx
from ansible_collections.asgi.host.plugins.plugin_utils._settings import derived

HOST: dict[str, Any] = {
    **known_systems.TRIXIE,
    "cores": 2,
    "memory_mb": 4096,
    "nginx": {
        "version": "1.26.3",
        "packaged_default": False,
        "foreign_sites": [],
        "foreign_files": [],
        "foreign_default_servers": [],
    },
    "acme": {"sites": [], "set_up": False},
    "apps": [],
    "users": ["root"],
}
APPS = [
    {"name": "shop", "app": "shop:app", "source": {"path": "shop"}, "domains": ["shop.test"]},
    {"name": "wiki", "app": "wiki:app", "source": {"path": "wiki"}, "domains": ["wiki.test"]},
]
SITE = """{% extends "role/nginx/asgi-app.conf.j2" %}
{% block http %}
# of {{ site.name }}
{% endblock %}
{% block server %}
    error_page 404 /missing.html;
{% endblock %}
{% block location %}
{% if app.name == "shop" %}
        proxy_cookie_path / "/; SameSite=Lax";
{% endif %}
{% endblock %}
"""


def written(folder: Path, name: str, text: str) -> str:
    path = folder / "templates" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(folder / "templates")


def site(name: str, templates: str = "") -> str:
    """The text of nginx for an app."""
    found = nginx.proxy(
        _apps.normalize(APPS),
        host=HOST,
        root="/srv/asgi",
        failed=[],
        bases=[],
        tls_policy="intermediate",
        proxy_protocol=[],
        templates=templates,
    )
    texts = {step.get("file"): step.get("content") for step in found["steps"]}
    return str(texts[f"/etc/nginx/conf.d/asgi-app-{name}.conf"])


def unit(templates: str = "", template: str = "systemd/release.conf.j2") -> str:
    app = _apps.normalize(APPS)[0]
    return _render.render(
        template, templates=templates, app=app, root="/srv/asgi", settings=derived(app, HOST)
    )


def added(before: str, after: str) -> list[str]:
    """The lines that are new, where no line has gone."""
    old, new = before.splitlines(), after.splitlines()
    place = iter(new)
    assert all(line in place for line in old)
    for line in old:
        new.remove(line)
    return new


def test_blocks_of_a_site_are_filled_and_nothing_else_changes(tmp_path: Path) -> None:
    templates = written(tmp_path, "nginx/asgi-app.conf.j2", SITE)
    assert added(site("shop"), site("shop", templates)) == [
        "# of shop",
        "    error_page 404 /missing.html;",
        '        proxy_cookie_path / "/; SameSite=Lax";',
    ]
    assert added(site("wiki"), site("wiki", templates)) == ["# of wiki", "    error_page 404 /missing.html;"]


def test_unit_of_a_release_and_of_its_processes(tmp_path: Path) -> None:
    extended = '{% extends "role/systemd/release.conf.j2" %}\n{% block service %}\nTimerSlackNSec=1\n{% endblock %}\n'
    templates = written(tmp_path, "systemd/release.conf.j2", extended)
    assert added(unit(), unit(templates)) == ["TimerSlackNSec=1"]


def test_template_that_replaces_one(tmp_path: Path) -> None:
    templates = written(tmp_path, "systemd/release.conf.j2", "# {{ app.name }}\n")
    assert unit(templates) == "# shop\n"


def test_other_templates_are_the_role_s(tmp_path: Path) -> None:
    templates = written(tmp_path, "release/serving.py.j2", "broken")
    assert "broken" not in _render.render("systemd/asgi-acme.timer.j2", templates=templates)
    (words,) = _render.problems_of(templates)
    assert "release/serving.py.j2 is no template that the role takes from there; it may hold nginx/" in words


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("nginx/asgi-app.conf", SITE, "did you mean nginx/asgi-app.conf.j2?"),
        (
            "nginx/asgi-app.conf.j2",
            "a\n{% block %}\n",
            "asgi_host_templates: nginx/asgi-app.conf.j2, line 2: ",
        ),
    ],
)
def test_wrong_files_are_told_by_name(tmp_path: Path, name: str, text: str, words: str) -> None:
    (found,) = _render.problems_of(written(tmp_path, name, text))
    assert words in found


def test_files_to_include_are_no_mistake(tmp_path: Path) -> None:
    templates = written(tmp_path, "nginx/_mine.j2", "x")
    assert list(_render.problems_of(templates)) == []


def test_name_that_is_not_given_is_told(tmp_path: Path) -> None:
    templates = written(tmp_path, "systemd/release.conf.j2", "{{ nothing }}\n")
    assert list(_render.problems_of(templates)) == []
    with pytest.raises(
        _render.TemplateFaultError, match=r"systemd/release.conf.j2: 'nothing' is undefined; put it right"
    ):
        unit(templates)
