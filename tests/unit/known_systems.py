# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The systems that the role knows, as a host's facts have them."""

from __future__ import annotations

from typing import Any

BOOKWORM: dict[str, Any] = {
    "distribution": "debian",
    "release": "12",
    "codename": "bookworm",
    "versions": {"apt": "2.6.1", "systemd": "252.39", "OpenSSL": "3.0.18"},
}
TRIXIE: dict[str, Any] = {
    "distribution": "debian",
    "release": "13",
    "codename": "trixie",
    "versions": {"apt": "3.0.3", "systemd": "257.8", "OpenSSL": "3.5.4"},
}
