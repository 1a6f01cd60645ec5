"""What a deploy changes."""

VERSION = "1"
