"""Tells the tests what a deployed process is, and what it may do."""
