"""Needs secrets whose characters survive the way into the environment."""
