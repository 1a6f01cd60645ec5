"""The version of the code."""

VERSION = "one"
