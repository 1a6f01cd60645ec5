"""Needs a home for caches, and writes beside its own source."""
