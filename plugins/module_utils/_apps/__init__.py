# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The list ``asgi_host_apps``: what is wrong with it, and its complete form. On the controller only.

Ansible's argument spec knows types, but no ranges, no patterns and no rules between keys, and it stops a
play with its own words. So the spec documents the list and this package judges it: all problems at once, each
with the variable's name and the fix. No message shows a value of ``env``, ``secrets`` or ``credentials``.
"""

from .checks import InputError
from .complete import first_domain, normalize, user_name
from .defaults import APP_DEFAULTS, YEAR
from .hosts import find_python, host_problems, missing_pythons, pythons, workers
from .judge import problems
from .nearest import mistyped, nearest
from .root import places_problems, root_problems

__all__ = [
    "APP_DEFAULTS",
    "YEAR",
    "InputError",
    "find_python",
    "first_domain",
    "host_problems",
    "missing_pythons",
    "mistyped",
    "nearest",
    "normalize",
    "places_problems",
    "problems",
    "pythons",
    "root_problems",
    "user_name",
    "workers",
]
