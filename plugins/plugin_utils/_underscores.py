# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What nginx drops where it takes names of headers with an underscore (``underscores_in_headers``).

``X_Forwarded_For`` is not ``X-Forwarded-For`` to nginx, and the same to every app that writes headers as variables.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

from ansible_collections.asgi.host.plugins.module_utils._apps.identity import OURS

# What says where a request ends, and which site it is for.
OF_THE_REQUEST = ("Content-Length", "Content-Type", "Transfer-Encoding")


def text(dropped: Iterable[str]) -> str:
    """The lines of nginx that drop each form with an underscore of what it sets, and of what it has ``dropped``."""
    names = {name.lower(): name for name in [*OURS, *OF_THE_REQUEST, *dropped]}
    lines = [
        f'proxy_set_header {form} "";\n' for _lower, name in sorted(names.items()) for form in forms(name)
    ]
    return (
        "# Written by asgi.host; changes are overwritten. For sites with underscores_in_headers: each name that\n"
        "# nginx sets or drops, in the forms that it does not know for the same.\n" + "".join(lines)
    )


def forms(name: str) -> Iterator[str]:
    """A name with one or more of its hyphens as underscores."""
    first, *rest = name.split("-")
    for signs in itertools.product("-_", repeat=len(rest)):
        if "_" in signs:
            yield first + "".join(sign + part for sign, part in zip(signs, rest, strict=True))
