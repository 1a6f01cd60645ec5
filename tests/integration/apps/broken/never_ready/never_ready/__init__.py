"""Broken: the lifespan's startup never ends."""
