# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which word is meant by one that is not known, and which variables of a play are taken for the role's."""

from __future__ import annotations

import random
import string
from typing import Any

import pytest
import yaml
from ansible_collections.asgi.host.plugins.module_utils import _apps
from ansible_collections.asgi.host.plugins.module_utils._apps.nearest import _changes, nearest
from ansible_collections.asgi.host.plugins.plugin_utils import _variables
from test_spec import MAIN, ROLE

KEYS = {"name", *_apps.APP_DEFAULTS}


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        # Written in full, and mistyped in that.
        *(("enviroment", "env"), ("environment", "env"), ("environment_variables", "env"), ("ENV", "env")),
        *(("application", "app"), ("healthcheck", "health"), ("health-check", "health"), ("sources", "source")),
        # Cut short.
        *(("req", "requirements"), ("dom", "domains"), ("cred", "credentials"), ("proc", "processes")),
        # Mistyped: a letter more, one less, another one, two exchanged.
        *(("domian", "domains"), ("domians", "domains"), ("worker", "workers"), ("secert", "secrets")),
        *(("timout", "timeout"), ("requirments", "requirements"), ("graceful-timeout", "graceful_timeout")),
        *(("keep_release", "keep_releases"), ("max_request", "max_requests"), ("helth", "health")),
        # What is near none is not guessed.
        *(("port", ""), ("x", ""), ("", ""), ("user", ""), ("zzzzzz", ""), ("e", ""), ("é" * 9000, "")),
    ],
)  # fmt: skip
def test_word_that_is_meant_among_the_keys_of_an_app(word: str, meant: str) -> None:
    assert nearest(word, KEYS) == meant


def test_any_single_mistake_in_any_key_leads_back_to_it() -> None:
    """Or to another key that is one mistake away as well, as `statc` is from both `state` and `static`."""
    chance = random.Random(15)
    for key in sorted(each for each in KEYS if len(each) > 4):
        for _time in range(8):
            at, letter = chance.randrange(1, len(key)), chance.choice(string.ascii_lowercase)
            for wrong in (
                key[:at] + key[at + 1 :],
                key[:at] + letter + key[at:],
                key[:at] + letter + key[at + 1 :],
                key[: at - 1] + key[at] + key[at - 1] + key[at + 1 :],
            ):
                if wrong not in KEYS:
                    meant = nearest(wrong, KEYS)
                    assert meant == key or (meant and _changes(wrong, meant) == 1), wrong


def test_known_key_is_said_in_the_refusal() -> None:
    (message,) = _apps.problems([{"name": "a", "app": "a:b", "source": {"path": "a"}, "enviroment": {}}])
    assert message.endswith("enviroment: no such key; did you mean env?")


def given(**more: Any) -> dict[str, Any]:
    """The role's variables as the plugins are given them."""
    names = yaml.safe_load((ROLE / "vars" / "main.yml").read_text(encoding="utf-8"))["__asgi_host_role"]
    return {**dict.fromkeys(names, ""), "apps": [{"name": "shop"}], **more}


def test_known_variables_are_those_of_the_spec() -> None:
    assert {f"asgi_host_{name}" for name in given().keys() - set(_variables.INTERNAL)} == set(MAIN)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        *(("asgi_hosts_apps", "asgi_host_apps"), ("asgi_host_app", "asgi_host_apps")),
        *(("asgi_host_tls_polcy", "asgi_host_tls_policy"), ("asgi_hosts_tls_policy", "asgi_host_tls_policy")),
        *(("agsi_host_apps", "asgi_host_apps"), ("asgi-host-apps", "asgi_host_apps"), ("asgihost_apps", "asgi_host_apps")),
        *(("asgi_host_applications", "asgi_host_app"), ("asgi_host_env", "asgi_host_environment")),
    ],
)  # fmt: skip
def test_misspelt_variable_is_told(name: str, meant: str) -> None:
    (words,) = _variables.warnings(given(), [name, *MAIN])
    assert f"'{name}'" in words
    assert f"did you mean {meant}" in words


def test_variable_with_the_roles_prefix_that_is_near_none_is_told() -> None:
    (words,) = _variables.warnings(given(), ["asgi_host_mail"])
    assert "'asgi_host_mail' is no variable of the role" in words
    assert "another prefix" in words


def test_variables_of_others_are_theirs() -> None:
    names = [
        "ansible_host",
        "inventory_hostname",
        "hosts_app",
        "asgi_host",
        "asgi_hosts",
        "__asgi_host_apps",
        "host_apps",
    ]
    assert _variables.warnings(given(), [*names, *MAIN]) == []


@pytest.mark.parametrize("empty", [[], None, "", ()])
def test_empty_list_of_apps_is_told(empty: Any) -> None:
    (words,) = _variables.warnings(given(apps=empty), MAIN)
    assert words.startswith("asgi_host_apps is empty, so the role brings no app")
