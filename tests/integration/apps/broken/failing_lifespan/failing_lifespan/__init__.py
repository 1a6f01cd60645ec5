"""Broken: the lifespan's startup fails."""
