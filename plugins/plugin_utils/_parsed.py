# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Locks as tables, each parsed once: the TOML of a large one takes a second of every play, the same as JSON 20 ms."""

from __future__ import annotations

import contextlib
import hashlib
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from ansible_collections.asgi.host.plugins.module_utils._release import requirements
from ansible_collections.asgi.host.plugins.module_utils._toml import Table
from ansible_collections.asgi.host.plugins.plugin_utils import _controller

# Bytes from which on a parsed file is kept, and how many are.
LARGE = 100_000
KEPT = 50


def table(path: Path) -> Table:
    """The content of a TOML file. Raises UnreadableError."""
    text = requirements.text_of(path)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return Table(path.name, _content(path, digest, len(text)))


@lru_cache(maxsize=16)
def _content(path: Path, digest: str, size: int) -> dict[str, Any]:
    folder = _controller.cache("parsed") if size >= LARGE else None
    if folder is None:
        return requirements.table_of(path)
    kept = folder / f"{digest[:32]}.json"
    with contextlib.suppress(OSError, ValueError):
        found: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        return found
    content = requirements.table_of(path)
    # A date is nothing that JSON knows: such a file is parsed each time.
    with contextlib.suppress(OSError, TypeError):
        kept.write_text(json.dumps(content), encoding="utf-8")
        for old in sorted(folder.iterdir(), key=lambda each: -each.stat().st_mtime)[KEPT:]:
            old.unlink(missing_ok=True)
    return content
