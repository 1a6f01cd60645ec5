"""Stands for a migration: notes in the app's data that it was there."""

import os
import sys
from pathlib import Path

with Path(sys.argv[1], "migrations.txt").open("a", encoding="utf-8") as notes:
    notes.write(f"{os.environ['CUTTER_VERSION']}\n")
