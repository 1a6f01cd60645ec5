"""Polls: one question, its choices and their votes."""
