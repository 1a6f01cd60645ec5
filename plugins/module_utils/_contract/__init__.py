# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the controller and the host say to one another, and what the host keeps, by key and type.

The JSON is the object, and mypy sees every key. Code that runs on a host imports these types for mypy alone (TYPE_CHECKING): to
make them would take some milliseconds of each call. tests/unit/test_contract.py compares what the controller makes with them.
"""
