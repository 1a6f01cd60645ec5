"""When the last app is to go, and what goes with it."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.plugin_utils._plan.teardown import leave, leaving

SHOP, WIKI = {"name": "shop", "state": "absent"}, {"name": "wiki", "state": "present"}
HOST: dict[str, Any] = {
    "apps": ["shop"],
    "nginx": {"version": "1.22.1", "foreign_default_servers": [], "foreign_files": []},
}


@pytest.mark.parametrize(
    ("apps", "there", "expected"),
    [
        ([SHOP], ["shop"], True),
        ([SHOP], [], True),
        ([SHOP, WIKI], ["shop"], False),
        # Another inventory's app is on the host: what it shares stays.
        ([SHOP], ["shop", "blog"], False),
        # A host that lists no app is being prepared for one.
        ([], [], False),
    ],
)
def test_leaving(apps: list[dict[str, Any]], there: list[str], expected: bool) -> None:
    assert leaving(apps, {"apps": there}) is expected


def test_nginx_is_left_alone_where_it_is_not_ours() -> None:
    steps = leave([SHOP], host=HOST, root="/srv/asgi", proxy=False)
    assert "nginx" not in str(steps)


def test_a_site_of_others_that_answers_for_unknown_names_goes_on_doing_so() -> None:
    host = {
        **HOST,
        "nginx": {
            "version": "1.22.1",
            "foreign_default_servers": ["/etc/nginx/conf.d/own.conf"],
            "foreign_files": ["/etc/nginx/conf.d/own.conf"],
        },
    }
    assert "sites-enabled/default" in str(leave([SHOP], host=HOST, root="/srv/asgi", proxy=True))
    assert "sites-enabled/default" not in str(leave([SHOP], host=host, root="/srv/asgi", proxy=True))
