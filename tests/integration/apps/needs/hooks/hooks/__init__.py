"""Needs hooks that run with the app's environment, user and folder."""
