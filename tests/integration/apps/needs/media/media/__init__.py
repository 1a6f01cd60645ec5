"""Needs a media folder that the app writes and nginx serves."""
