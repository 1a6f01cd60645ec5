# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Names and passwords that nginx asks for, as the file that it reads.

Python has no ``crypt`` since 3.13, and nginx knows what the host's crypt knows. A play that changes nothing must make the
same file again, so the salt follows from app and name, and never from the password, of which it would be a quick proof.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils import _nginx

FOLDER = "/etc/nginx/asgi/passwords"
# nginx asks crypt at every request, in the worker that all clients share: the least that crypt takes.
ROUNDS = 1000
ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# The order in which crypt writes the bytes of SHA-512 down, three by three; the last one stands alone.
ORDER = tuple(
    (first, second, third)
    for number in range(21)
    for first, second, third in [[(number + 21 * step) % 63 for step in (0, 1, 2)]]
)


def password_file(app: Mapping[str, Any]) -> str:
    """Where nginx finds the passwords of an app."""
    return f"{FOLDER}/{app['name']}"


def realm(app: Mapping[str, Any]) -> str:
    """What a browser calls the place that it asks a password for."""
    return str(app["domains"][0])


def text(app: Mapping[str, Any]) -> str:
    """The content of the file."""
    given = app["proxy"]["basic_auth"].items()
    lines = [
        f"{name}:{hashed(password, salt=salt_of(app['name'], name))}\n" for name, password in sorted(given)
    ]
    return "".join(lines)


def steps(app: Mapping[str, Any]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """The steps that bring the file, for root and nginx alone; and its secret content by its name."""
    if not app["proxy"]["basic_auth"]:
        return [], {}
    name = f"{app['name']} passwords"
    return [
        {"folder": FOLDER, "group": _nginx.GROUP, "mode": "0750"},
        {
            "file": password_file(app),
            "private": name,
            "group": _nginx.GROUP,
            "mode": "0640",
            "ours": True,
        },
    ], {name: text(app)}


def leaves(app: Mapping[str, Any]) -> dict[str, Any]:
    """The step that takes the file away, once nginx has let go of it."""
    return {"absent": password_file(app)}


def salt_of(app: str, name: str) -> str:
    """A salt of 16 characters that is the same for the same name of the same app."""
    digest = hashlib.sha256(f"asgi.host {app} {name}".encode()).digest()
    return "".join(ALPHABET[byte & 63] for byte in digest[:16])


@functools.lru_cache(maxsize=1024)
def hashed(password: str, *, salt: str, rounds: int = ROUNDS) -> str:
    """A password by crypt's SHA-512 (Drepper, "Unix crypt using SHA-256 and SHA-512", version 0.6)."""
    key, own = password.encode(), salt.encode()
    other = hashlib.sha512(key + own + key).digest()
    first = hashlib.sha512(key + own + _stretched(other, len(key)))
    count = len(key)
    while count:
        first.update(other if count & 1 else key)
        count >>= 1
    digest = first.digest()
    keys = _stretched(hashlib.sha512(key * len(key)).digest(), len(key))
    salts = _stretched(hashlib.sha512(own * (16 + digest[0])).digest(), len(own))
    for number in range(rounds):
        part = keys if number & 1 else digest
        part += salts if number % 3 else b""
        part += keys if number % 7 else b""
        digest = hashlib.sha512(part + (digest if number & 1 else keys)).digest()
    return f"$6$rounds={rounds}${salt}${_written(digest)}"


def _stretched(digest: bytes, length: int) -> bytes:
    return (digest * (length // len(digest) + 1))[:length]


def _written(digest: bytes) -> str:
    found = []
    for number, trio in enumerate(ORDER):
        # The three take turns in being the first.
        turn = trio[number % 3 :] + trio[: number % 3]
        found.append(_letters(digest[turn[0]] << 16 | digest[turn[1]] << 8 | digest[turn[2]], 4))
    return "".join(found) + _letters(digest[63], 2)


def _letters(value: int, count: int) -> str:
    return "".join(ALPHABET[value >> 6 * place & 63] for place in range(count))
