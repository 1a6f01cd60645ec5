# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A release that is a container image: built, loaded or pulled, inspected, and run by podman under the release's own unit.

podman is root's. The process in the container is the app's own system user to the host, whatever number it has inside,
and root of the container is nobody there.
"""
