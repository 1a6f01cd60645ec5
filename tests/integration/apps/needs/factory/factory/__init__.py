"""Needs to be called with arguments, quotes included."""
