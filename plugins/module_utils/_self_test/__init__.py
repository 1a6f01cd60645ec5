# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The self-test: forged requests through the real door, and the app's own view of them against the truth.

The app's worker answers a signed request with what the app would have seen (release/gunicorn.conf.py.j2). The key is
the app's own and stays on its host; what leaves it is a ticket that is good for TICKET_S. The answer carries
a proof, so it does not matter whether the certificate can be checked, or who else listens at an address.

On the host the truth is known: a connection to an own address comes from that very address, which is not loopback.
From the controller it is not, for networks translate addresses; but what was forged must not turn up either way.
"""

from __future__ import annotations
