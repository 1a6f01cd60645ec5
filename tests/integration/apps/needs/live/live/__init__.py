"""An app whose code changes while it runs."""

VERSION = "1"
