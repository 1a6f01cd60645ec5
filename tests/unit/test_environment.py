"""Environment files that systemd reads as they were meant, tokens, and masked secrets."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from ansible_collections.asgi.host.plugins.module_utils import _private
from ansible_collections.asgi.host.plugins.module_utils._contract.release import AppPrivate
from ansible_collections.asgi.host.plugins.module_utils._release import environment
from ansible_collections.asgi.host.plugins.module_utils._release.paths import App

RELEASE = App(Path("/srv/asgi"), "shop", "asgi-shop").release("20261123T180102-3f9a1c")


def parsed(text: str) -> dict[str, str]:
    """The values as systemd.exec(5) describes its format: an independent reading of double quotes."""
    found = {}
    while text:
        name, _sign, text = text.partition('="')
        value = ""
        while text[0] != '"':
            if text[0] == "\\":
                assert text[1] in '\\"`$', "systemd takes no other escape"
                text = text[1:]
            value, text = value + text[0], text[1:]
        found[name] = value
        assert text[1] == "\n"
        text = text[2:]
    return found


@pytest.mark.parametrize("seed", range(200))
def test_any_value_survives(seed: int) -> None:
    chosen = random.Random(seed)
    variables = {
        f"NAME_{number}": "".join(chosen.choices("ab $%'\"#@\\`\n=ü{}", k=chosen.randrange(12)))
        for number in range(4)
    }
    assert parsed(environment.environment_file(variables)) == variables


def test_tokens_are_filled_and_other_braces_left() -> None:
    known = environment.tokens(RELEASE, ["shop.example.com"])
    text = environment.fill({"A": ["{data}/x {domain} {other} {}"]}, known)
    assert text == {"A": ["/var/lib/asgi/shop/x shop.example.com {other} {}"]}
    assert environment.fill("{release}", known) == "/srv/asgi/shop/releases/20261123T180102-3f9a1c"


def test_credentials_are_files_of_their_own() -> None:
    private: AppPrivate = {"env": {"A": "1"}, "secrets": {"B": "2"}, "credentials": {"token": "3"}}
    files = environment.wanted_files(RELEASE, private, [], "k")
    assert files == {"environment": 'A="1"\nASGI_HOST_VIEW_KEY="k"\nB="2"\n', "credentials/token": "3"}


def test_secrets_are_masked_whole_and_by_line() -> None:
    secrets = {"key": "first line\nsecond line", "deep": ["hunter22"]}
    text = _private.mask("x first line\nsecond line y second line z hunter22", secrets)
    assert text == "x (secret) y (secret) z (secret)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("shop @ https://user:pw@host/x.whl", "shop @ https://host/x.whl"),
        ("https://user:p@ss@host/x, git+ssh://git@host/y", "https://host/x, git+ssh://host/y"),
        ("shop @ git+https://host/shop.git@v3", "shop @ git+https://host/shop.git@v3"),
        ("eve@laptop // x@y", "eve@laptop // x@y"),
    ],
)
def test_passwords_of_addresses_are_left_out(text: str, expected: str) -> None:
    assert _private.without_passwords(text) == expected


def test_short_secrets_tear_no_holes() -> None:
    assert _private.mask("release 1 of 11", {"a": "1"}) == "release 1 of 11"


def test_wrapping_is_undone() -> None:
    values = {"a": {"b": "ü\n$"}}
    assert _private.unwrap(_private.wrap(values)) == values
    assert _private.unwrap(None) == {}
