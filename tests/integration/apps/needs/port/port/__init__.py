"""Needs the port that the client used, as Django's get_port() does."""
