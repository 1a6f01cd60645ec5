"""Broken: every page is an error 500."""
