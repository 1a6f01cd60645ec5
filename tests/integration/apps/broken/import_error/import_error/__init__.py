"""Broken: the module imports what is not there."""
