# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the verbs of an app raise."""

from __future__ import annotations


class DeployError(Exception):
    """The app could not be brought to what was asked for; the message says why and what serves now."""


class BusyError(DeployError):
    """Another deploy of the app is at work on this host."""
