# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""As whom nginx works: Debian's package says www-data, nginx.org's says nginx, an administrator anything."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ._process import CommandError, run

if TYPE_CHECKING:
    from ._contract.steps import Step

CONFIGURATION = Path("/etc/nginx/nginx.conf")
# What steps that are made on the controller may say in place of a name, for the host may have no nginx by then.
USER, GROUP = "@nginx-user@", "@nginx-group@"
USER_DIRECTIVE = re.compile(r"^\s*user\s+([^\s;]+)(?:\s+([^\s;]+))?\s*;", re.MULTILINE)


@dataclass(frozen=True)
class Account:
    """User and group of nginx's workers."""

    user: str = "www-data"
    group: str = "www-data"


def account(configuration: Path = CONFIGURATION) -> Account:
    """By the directive ``user``, else as nginx was built; Debian's where there is no nginx."""
    try:
        text = configuration.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, NotADirectoryError):
        return Account()
    # Only the main context knows it, so that what stands in braces cannot be meant.
    if found := USER_DIRECTIVE.search(re.sub(r"#.*", "", text)):
        user = found[1].strip("\"'")
        return Account(user, (found[2] or user).strip("\"'"))
    try:
        built: dict[str, str] = dict(re.findall(r"--(user|group)=(\S+)", run(["/usr/sbin/nginx", "-V"])))
    except CommandError:
        return Account()
    user = str(built.get("user", "nobody"))
    return Account(user, str(built.get("group", "nogroup" if user == "nobody" else user)))


def filled(step: Step) -> Step:
    """A step with the names of nginx's account in place of what stands for them."""
    text = json.dumps(step)
    if USER not in text and GROUP not in text:
        return step
    own = account()
    found: Step = json.loads(text.replace(USER, own.user).replace(GROUP, own.group))
    return found
