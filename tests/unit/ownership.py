"""Files of root's, for who is not root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible_collections.asgi.host.plugins.module_utils import _files
from ansible_collections.asgi.host.plugins.module_utils._release import repair


@pytest.fixture(autouse=True)
def own_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whoever is not root write files of root's: they are its own, and count as root's when they are looked at."""
    if os.geteuid() == 0:
        return
    fchown, owned_as = os.fchown, _files.owned_as

    def fchown_own(handle: int, uid: int, gid: int) -> None:
        fchown(handle, uid or os.geteuid(), gid or os.getegid())

    def owned_by_self(path: Path, *, uid: int, gid: int, mode: int) -> bool:
        return owned_as(path, uid=uid or os.geteuid(), gid=gid or os.getegid(), mode=mode)

    monkeypatch.setattr(os, "fchown", fchown_own)
    monkeypatch.setattr(repair, "owned_as", owned_by_self)
