# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fact ``asgi_host``: what a play gives to the tasks of a user's own."""

from __future__ import annotations

from typing import Any

from ansible_collections.asgi.host.plugins.plugin_utils import _outcome

ENTRY = {"id": "2-b", "version": "v2"}


def url(name: str) -> str:
    return f"https://{name}.test/"


def facts(
    apps: dict[str, Any], failures: dict[str, str] | None = None, before: dict[str, Any] | None = None
) -> dict[str, Any]:
    known = {"ansible_facts": {"asgi_host": {"apps": before}}} if before else {}
    found: dict[str, Any] = _outcome.facts(known, apps, url, failures)["asgi_host"]["apps"]
    return found


def test_app_that_was_deployed() -> None:
    assert facts({"shop": {"status": "deployed", "release": ENTRY, "reasons": ["source changed"]}}) == {
        "shop": {
            "status": "deployed",
            "release": "2-b",
            "version": "v2",
            "url": "https://shop.test/",
            "reasons": ["source changed"],
        }
    }


def test_app_that_needs_a_release_names_the_one_that_serves() -> None:
    found = facts({"shop": {"status": "needed", "reasons": ["env changed"], "previous": "1-a"}})
    assert (found["shop"]["status"], found["shop"]["release"]) == ("needed", "1-a")


def test_app_that_failed_keeps_what_serves_and_has_the_words() -> None:
    needed = {"shop": {"status": "needed", "reasons": [], "previous": "1-a"}}
    found = facts(needed, {"shop": "shop: it does not import", "wiki": "wiki: no source"})
    assert (found["shop"]["status"], found["shop"]["release"]) == ("failed", "1-a")
    assert found["shop"]["error"] == "shop: it does not import"
    assert (found["wiki"]["status"], found["wiki"]["release"]) == ("failed", None)


def test_reasons_of_a_deploy_are_those_for_which_it_was_needed() -> None:
    before = {"shop": {"status": "needed", "reasons": ["source changed"]}}
    assert facts({"shop": {"status": "deployed", "release": ENTRY}}, before=before)["shop"]["reasons"] == [
        "source changed"
    ]


def test_later_task_changes_only_the_apps_that_it_is_about() -> None:
    before = {"shop": {"status": "deployed"}, "wiki": {"status": "current"}}
    found = facts({"wiki": {"status": "removed", "reasons": []}}, before=before)
    assert (found["shop"]["status"], found["wiki"]["status"]) == ("deployed", "removed")


def test_app_that_is_absent_and_was_before_is_not_there() -> None:
    assert facts({"wiki": {"status": "current", "reasons": []}}) == {}
