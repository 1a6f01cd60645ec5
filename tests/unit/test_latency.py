# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The line of the pictures of deploys: a stall is a step, and a time without an answer a gap."""

from __future__ import annotations

import importlib.util
from math import isnan
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location(
    "latency", Path(__file__).resolve().parents[2] / "bench" / "latency.py"
)
assert _spec is not None
assert _spec.loader is not None
latency = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(latency)


def test_stall_is_a_step_as_long_as_it_lasted() -> None:
    times, waits = latency.longest([[0.01, 0.004], [0.06, 0.2], [0.3, 0.005]], 0.0, 0.35)
    assert times == pytest.approx([0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3])
    assert waits == pytest.approx([4, 200, 200, 200, 200, 200, 5])


def test_time_without_an_answer_is_a_gap() -> None:
    _times, waits = latency.longest([[0.01, 0.004], [0.21, 0.004]], 0.0, 0.25)
    assert [isnan(wait) for wait in waits] == [False, True, True, True, False]
