# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host is to be, as lists of steps for the module stage, by subject.

system, sites, nginx and teardown are asked for by the role; places, certificates and acme serve them.
"""
