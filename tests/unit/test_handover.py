"""What happens to a domain that goes from one app to another, as long as the other is not there."""

from __future__ import annotations

from typing import Any

from ansible_collections.asgi.host.plugins.action.release import may_be_slow
from ansible_collections.asgi.host.plugins.module_utils._apps import normalize
from ansible_collections.asgi.host.plugins.plugin_utils import _handover
from ansible_collections.asgi.host.plugins.plugin_utils._plan.sites import sites


def app(name: str, *domains: str, **keys: Any) -> dict[str, Any]:
    return {"name": name, "app": "a:b", "source": {"path": "x"}, "domains": list(domains), **keys}


def gone(name: str) -> dict[str, Any]:
    return {"name": name, "state": "absent"}


def there(**found: tuple[list[str], list[str]]) -> dict[str, Any]:
    """The facts of a host with these sites: apps and domains by name."""
    known = {name: {"apps": apps, "domains": domains} for name, (apps, domains) in found.items()}
    return {"nginx": {"sites": known}}


def plan(host: dict[str, Any], *apps: dict[str, Any], failed: tuple[str, ...] = ()) -> Any:
    """The names of the sites that are written, with their apps; those that stay; the apps that are needed still."""
    wanted = normalize(apps)
    found = _handover.plan(sites(wanted, ["."])[0], wanted, host, failed)
    written = {site["name"]: sorted(each["name"] for each in site["apps"]) for site in found.write}
    return written, found.stay, list(_handover.still_needed(wanted, found.stay, host))


def test_renamed_app_serves_until_the_new_one_does() -> None:
    host = there(old=(["old"], ["a.test"]))
    assert plan(host, gone("old"), app("new", "a.test"), failed=("new",)) == ({}, {"new", "old"}, ["old"])
    assert plan(host, gone("old"), app("new", "a.test")) == ({"new": ["new"]}, set(), [])


def test_app_that_nobody_replaces_goes_though_another_failed() -> None:
    host = there(old=(["old"], ["a.test"]), other=(["other"], ["b.test"]))
    written, stay, needed = plan(host, gone("old"), app("other", "b.test"), failed=("other",))
    assert (written, stay, needed) == ({}, {"other"}, [])


def test_domain_stays_with_its_app_until_the_next_one_is_there() -> None:
    host = there(one=(["one"], ["a.test", "b.test"]), two=(["two"], ["c.test"]))
    apps = app("one", "a.test"), app("two", "b.test", "c.test")
    assert plan(host, *apps, failed=("two",)) == ({}, {"one", "two"}, [])
    assert plan(host, *apps) == ({"one": ["one"], "two": ["two"]}, set(), [])


def test_app_that_is_new_below_a_domain_holds_up_nobody() -> None:
    host = there(one=(["one"], ["a.test"]))
    apps = app("one", "a.test"), app("two", "a.test", root_path="/two")
    assert plan(host, *apps, failed=("two",)) == ({"one": ["one"]}, set(), [])
    both = there(one=(["one", "two"], ["a.test"]))
    assert plan(both, *apps, failed=("two",)) == ({}, {"one"}, [])


def test_app_renamed_below_a_domain() -> None:
    host = there(one=(["one", "old"], ["a.test"]))
    apps = app("one", "a.test"), gone("old"), app("new", "a.test", root_path="/two")
    assert plan(host, *apps, failed=("new",)) == ({}, {"one"}, ["old"])
    assert plan(host, *apps) == ({"one": ["new", "one"]}, set(), [])


def test_site_of_another_inventory_is_nobodys_concern() -> None:
    host = there(theirs=(["theirs"], ["a.test"]))
    assert plan(host, app("one", "a.test"), failed=("one",)) == ({}, {"one"}, [])


def test_app_without_commands_of_its_own_goes_first() -> None:
    specs = [
        {"name": name, "hooks": {"build": [], "migrate": [], "after": [], **hooks}}
        for name, hooks in {"a": {"migrate": ["x"]}, "b": {"after": ["x"]}, "c": {}, "d": {"build": ["x"]}, "e": {}}.items()
    ]  # fmt: skip
    assert [spec["name"] for spec in sorted(specs, key=may_be_slow)] == ["c", "e", "b", "d", "a"]
