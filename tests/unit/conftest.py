"""What every unit test needs; mypy, which takes a module's name once, is shown where it comes from instead."""

from ownership import own_files

# A fixture that every test uses.
__all__ = ["own_files"]
