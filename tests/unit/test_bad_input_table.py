# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the role refuses, by the table that Molecule runs as well; and that no garbage breaks the check."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils import _apps
from ansible_collections.asgi.host.plugins.module_utils._apps.defaults import SOURCES

TABLE = Path(__file__).resolve().parent.parent / "integration" / "bad_input.py"
_spec = importlib.util.spec_from_file_location("bad_input", TABLE)
assert _spec is not None
assert _spec.loader is not None
bad_input = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(bad_input)

SECRET = "hunter2 $% 'x"
GARBAGE: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    3.5,
    float("nan"),
    10**5000,
    "",
    "x",
    "a\nb",
    "\0",
    "{",
    "{data}",
    "(" * 5000,
    "é",
    "present",
    "absent",
    "9" * 9000,
    [],
    {},
    [[]],
    [{}],
    {"": None},
    {1: 2},
    {None: []},
    {"path": []},
    b"x",
    object(),
    (),
    {("a",): 1},
    {"files": 3},
    {"mode": []},
    "files",
    "m:f(" + "-" * 9000 + "1)",
    "[::1]",
    "::/200",
]


def test_table_is_large_and_its_names_differ() -> None:
    assert len(bad_input.CASES) >= 60
    assert len({case for case, _apps, _apps in bad_input.CASES}) == len(bad_input.CASES)


@pytest.mark.parametrize(
    ("case", "apps", "words"), bad_input.CASES, ids=[case[0] for case in bad_input.CASES]
)
def test_refused_by_name_and_with_a_fix(case: str, apps: Any, words: tuple[str, ...]) -> None:
    found = _apps.problems(apps)
    assert any(all(word in message for word in words) for message in found), (case, found)
    assert len(found) == 1, "one mistake, one message"
    for message in found:
        assert message.isprintable()
        assert len(message) < 700


def test_all_problems_at_once() -> None:
    apps = [bad_input.app(workers=0, timeout=0), bad_input.app(name="Blog", domains=["X"])]
    assert len(_apps.problems(apps)) == 4


def test_values_of_secrets_are_in_no_message() -> None:
    wrong = [SECRET], {SECRET: SECRET}, f"{SECRET}\0"
    for value in wrong:
        for key in ("env", "secrets", "credentials"):
            found = _apps.problems(
                [bad_input.app(**{key: {"KEY": value}}), bad_input.app(name="b", **{key: SECRET})]
            )
            assert found
            assert SECRET not in "\n".join(found)
    for given in (
        [SECRET],
        SECRET,
        {"anna": f"{SECRET}\0"},
        {"anna": {SECRET: SECRET}},
        {"anna": SECRET * 40},
    ):
        found = _apps.problems([bad_input.app(proxy={"basic_auth": given})])
        assert found
        assert SECRET not in "\n".join(found)


def test_password_of_a_url_is_in_no_message() -> None:
    found = _apps.problems([bad_input.app(domains=["https://bob:hunter2@example.com"])])
    assert "hunter2" not in "".join(found)


def test_never_raises() -> None:
    chance = random.Random(20261123)
    keys = ["name", *_apps.APP_DEFAULTS, "other"]
    inner = sorted({key for value in _apps.APP_DEFAULTS.values() if isinstance(value, dict) for key in value})
    inner += [*SOURCES, "file", "url", "data", "command", "creates", "certificate", "repo", "sha256"]

    def anything(depth: int) -> Any:
        kind = chance.random()
        if depth == 0 or kind < 0.45:
            return chance.choice(GARBAGE)
        if kind < 0.65:
            return [anything(depth - 1) for _turn in range(chance.randrange(4))]
        return {chance.choice(inner): anything(depth - 1) for _turn in range(chance.randrange(4))}

    for garbage in GARBAGE:
        assert _apps.problems(garbage) or garbage in ([], ())
        for key in keys:
            _apps.problems([{key: garbage}, bad_input.app(**{key: garbage})], {key: garbage})
    for _turn in range(5000):
        apps = [
            {chance.choice(keys): anything(3) for _turn in range(chance.randrange(8))}
            if chance.random() < 0.3
            else bad_input.app(**{chance.choice(keys): anything(3) for _turn in range(chance.randrange(4))})
            for _turn in range(chance.randrange(3))
        ]
        defaults = {chance.choice(keys): anything(3)} if chance.random() < 0.3 else chance.choice(GARBAGE)
        found = _apps.problems(apps, defaults, proxy=chance.random() < 0.5)
        assert all(isinstance(message, str) for message in found)
        if not found:
            _apps.normalize(apps, defaults)


def test_never_raises_on_depth() -> None:
    deep: Any = {}
    for _level in range(50_000):
        deep = {"tls": deep, "source": deep}
    _apps.problems([deep, bad_input.app(tls=deep, source=deep, env=deep, health=deep)], deep)


def test_a_long_requirement_takes_no_long_time() -> None:
    long = ["a" + ">=1" * 5000 + "!", "a[" + "b," * 5000, "-" * 9000, "a" + "." * 9000 + "("]
    assert len(_apps.problems([bad_input.app(requirements=long)])) == len(long)


def test_defaults_are_judged_once_under_their_own_name() -> None:
    found = _apps.problems(
        [bad_input.app(), bad_input.app(name="b", domains=[])], {"workers": 0, "name": "x"}
    )
    assert [message.split(": ")[:2] for message in found] == [
        ["asgi_host_app_defaults", "name"],
        ["asgi_host_app_defaults", "workers"],
    ]
