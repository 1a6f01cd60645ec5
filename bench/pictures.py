"""How a benchmark's picture is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt


def save(figure: Any, images: Path, name: str) -> None:
    """Write both forms, the same each time for the same numbers."""
    figure.savefig(images / f"{name}.svg", metadata={"Date": None})
    figure.savefig(images / f"{name}.png", dpi=110, metadata={"Software": None})
    plt.close(figure)
