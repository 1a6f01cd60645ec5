"""Needs an older gunicorn than the role would choose."""
