"""What every unit test needs; mypy, which takes a module's name once, is shown where it comes from instead."""

from app_world import world
from ownership import own_files

# A fixture that every test uses, and one for the tests of an app's verbs.
__all__ = ["own_files", "world"]
