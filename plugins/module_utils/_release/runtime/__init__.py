# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a release runs in: a virtualenv, a virtualenv over a live folder (development mode), or a container image."""
