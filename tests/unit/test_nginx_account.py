# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""As whom nginx works, and a host without IPv6."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils import _host, _nginx
from ansible_collections.asgi.host.plugins.module_utils._contract.steps import Step
from ansible_collections.asgi.host.plugins.module_utils._nginx import Account
from ansible_collections.asgi.host.plugins.module_utils._process import CommandError


@pytest.mark.parametrize(
    ("text", "built", "expected"),
    [
        ("user www-data;\nworker_processes auto;\n", "", Account()),
        ("# user www-data;\nuser  nginx;\n", "", Account("nginx", "nginx")),
        ("user web  shared ;\n", "", Account("web", "shared")),
        (
            "worker_processes 1;\n",
            "configure arguments: --user=nginx --group=nginx",
            Account("nginx", "nginx"),
        ),
        ("worker_processes 1;\n", "configure arguments: --with-debug", Account("nobody", "nogroup")),
        (None, "", Account()),
    ],
)
def test_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None, built: str, expected: Account
) -> None:
    monkeypatch.setattr(_nginx, "run", lambda _argv: built)
    path = tmp_path / "nginx.conf"
    if text is not None:
        path.write_text(text)
    assert _nginx.account(path) == expected


def test_no_nginx_to_ask_is_debians(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(argv: list[str]) -> str:
        raise CommandError(argv, "could not be started", "")

    monkeypatch.setattr(_nginx, "run", fails)
    (tmp_path / "nginx.conf").write_text("worker_processes 1;\n")
    assert _nginx.account(tmp_path / "nginx.conf") == Account()


def test_steps_are_told_the_account_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_nginx, "account", lambda: Account("nginx", "web"))
    step: Step = {"file": "/x", "content": f"SocketGroup={_nginx.GROUP}\n", "when": ["/"]}
    assert _nginx.filled(step) == {"file": "/x", "content": "SocketGroup=web\n", "when": ["/"]}
    command: Step = {"command": ["setfacl", "-m", f"u:{_nginx.USER}:x"]}
    assert _nginx.filled(command) == {"command": ["setfacl", "-m", "u:nginx:x"]}
    other: Step = {"command": ["true"]}
    assert _nginx.filled(other) is other


def test_host_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> None:
        raise OSError(97, "Address family not supported by protocol")

    assert _host.has_ipv6() in (True, False)
    monkeypatch.setattr(socket, "socket", refused)
    assert not _host.has_ipv6()
