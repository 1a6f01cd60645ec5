# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a value may be that the app's program is made of or run with: its code, Python, paths and environment."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Mapping
from typing import Any

from .. import _versions
from .checks import Check, Say, line
from .reading import as_int, as_list, as_text, hidden, is_list, matches, scalar, show

NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# The name of a file, and with no colon, which separates the fields of systemd's LoadCredential.
CREDENTIAL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_CLAUSE = r"(?:===|[~=!<>]=|[<>])\s*[A-Za-z0-9.*+!_-]+\s*"
REQUIREMENT = re.compile(
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"  # the project
    r"\s*(?:\[[A-Za-z0-9._, -]*\])?"  # its extras
    rf"\s*(?:@\s*\S+|{_CLAUSE}(?:,\s*{_CLAUSE})*|\({_CLAUSE}(?:,\s*{_CLAUSE})*\))?"  # a URL, or versions
    r"\s*(?:;.*)?"  # an environment marker
)
EXTRA = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
# With a - at its end apt-get would remove it.
DEBIAN_PACKAGE = re.compile(
    r"[a-z0-9][a-z0-9+.-]*[a-z0-9+.](?::[a-z0-9-]*[a-z0-9])?(?:=[A-Za-z0-9.+:~-]*[A-Za-z0-9.+~])?"
)
MEMORY = re.compile(r"[1-9]\d{0,8}[KMGT]|[1-9]\d?%|100%")
TOKEN = re.compile(r"\{(?:data|source|venv|release|domain)\}")

# The folders and the socket that the unit gives to the app: another value would send it astray.
RESERVED = frozenset(
    {
        "ASGI_HOST_VIEW_KEY",
        "CREDENTIALS_DIRECTORY",
        "HOME",
        "LISTEN_FDNAMES",
        "LISTEN_FDS",
        "LISTEN_PID",
        "NOTIFY_SOCKET",
        "PATH",
        "STATE_DIRECTORY",
        "VIRTUAL_ENV",
    }
)

GROUP = re.compile(r"[a-z_][a-z0-9_-]{0,30}")
# Whoever is in one of these is root by another name, or reads what root alone may.
GROUPS_OF_ROOT = frozenset(
    {
        "adm",
        "disk",
        "docker",
        "incus-admin",
        "kmem",
        "libvirt",
        "lxd",
        "root",
        "shadow",
        "staff",
        "sudo",
        "systemd-journal",
        "wheel",
    }
)
# nginx's, which alone may connect to the apps: whoever else could would forge who a client is.
GROUP_OF_NGINX = "www-data"

# A message of a WebSocket in bytes: uvicorn's own limit is 16 MiB. More than 1 GiB is no message.
WS_SIZE = re.compile(r"([1-9]\d{0,9})([km]?)", re.IGNORECASE)
WS_SIZE_MAX = 1024**3

WORKERS_FIX = "give auto, cores or a whole number of 1 or more"


def import_string(say: Say, key: str, value: Any) -> None:
    """``module:attribute``, or a call with plain values."""
    fix = 'give module:attribute such as shop.main:app, or a call such as shop.main:create_app("x")'
    if not isinstance(value, str):
        say(key, f"{show(value)} is not an import string; {fix}")
        return
    module, colon, attribute = value.partition(":")
    if value.endswith(".py") or "/" in module or ".py" in module.split(":")[0][-3:]:
        say(key, f"{show(value)} is a file; give the module's name with dots, such as shop.main:app")
    elif not colon:
        say(key, f"{show(value)} names no attribute after a colon; {fix}")
    elif not all(_identifier(part) for part in module.split(".")):
        say(key, f"{show(value)}: left of the colon is not a module's name; {fix}")
    elif not _attribute(attribute):
        say(
            key,
            f"{show(value)}: right of the colon is neither a name nor a call with plain values; {fix}",
        )


def _identifier(word: str) -> bool:
    return word.isidentifier() and word.isascii() and not keyword.iskeyword(word)


def _attribute(text: str) -> bool:
    """A dotted name, or a call of a plain name whose arguments are literals (as gunicorn takes them)."""
    if all(_identifier(part) for part in text.split(".")):
        return True
    # Control characters would break the settings file; a name is followed by its bracket at once.
    if not re.fullmatch(r"[A-Za-z_]\w*\([^\x00-\x1f\x7f]*\)", text):
        return False
    try:
        call = ast.parse(text, mode="eval").body
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            return False
        if any(word.arg is None for word in call.keywords):
            return False
        for argument in [*call.args, *(word.value for word in call.keywords)]:
            ast.literal_eval(argument)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return False
    return _identifier(call.func.id)


def requirement(say: Say, key: str, value: Any) -> None:
    """A requirement as pip has it, and none of pip's options."""
    if isinstance(value, str) and value.lstrip().startswith("-"):
        say(
            key,
            f"{show(value)} is an option of pip, not a requirement; give one such as 'httpx>=0.28'",
        )
    elif not matches(REQUIREMENT, value) or re.search(r"[\x00-\x1f\x7f]", value):
        say(key, f"{show(value)} is not a requirement; give one such as 'httpx>=0.28'")


def git_version(say: Say, key: str, value: Any) -> None:
    """A branch, a tag or a commit."""
    if not isinstance(value, str) or not re.fullmatch(r"(?!-)[A-Za-z0-9._/@+-]+", value) or ".." in value:
        say(
            key,
            f"{show(value)} is not a branch, tag or commit; give one in quotes, such as 'v1.4' or a commit's 40 digits",
        )


def file_pattern(say: Say, key: str, value: Any) -> None:
    """A pattern as a line of `.gitignore` has it, that matches something."""
    fix = "give one as in .gitignore, such as frontend/dist/ or *.sqlite3"
    if not isinstance(value, str) or re.search(r"[\x00-\x1f\x7f]", value):
        say(key, f"{show(value)} is not a pattern on one line; {fix}")
    elif not value.strip().lstrip("!").strip("/"):
        say(key, f"{show(value)} matches nothing; {fix}")
    elif value.startswith("#"):
        say(
            key,
            f"{show(value)} is a comment to git, and matches nothing; write \\# for a name that begins so",
        )
    elif ".." in value.split("/") or value.startswith("~"):
        say(
            key,
            f"{show(value)} leads out of the source; a pattern is meant from the source's own folder: {fix}",
        )


def python(say: Say, key: str, value: Any) -> None:
    """A path, a version or a range."""
    fix = 'give a path (/usr/bin/python3.13), a version ("3.13") or a range (">=3.12")'
    if isinstance(value, float):
        if not _versions.PYTHON.fullmatch(str(value)) or len(str(value)) < 4:
            say(
                key,
                f"{show(value)} is a number to YAML, which takes 3.10 for 3.1; put the version in quotes",
            )
    elif not isinstance(value, str):
        say(key, f"{show(value)} is not a Python; {fix}")
    elif value.startswith("/"):
        absolute(say, key, value)
    elif not _versions.PYTHON.fullmatch(value) and not all(
        _versions.RANGE.fullmatch(clause.strip()) for clause in value.split(",")
    ):
        say(key, f"{show(value)} is not a Python; {fix}")


def relative(folder: str, example: str, *, empty: bool = False) -> Check:
    """A path that stays in ``folder``, which messages name; it may hold tokens such as ``{data}``."""

    def check(say: Say, key: str, value: Any) -> None:
        if empty and value == "":
            return
        if not isinstance(value, str) or not value or not re.fullmatch(r"[^\x00-\x20\x7f;\"'\\$%]+", value):
            say(
                key,
                f"{show(value)} is not a path inside {folder}; give one without spaces, such as {example}",
            )
        elif re.search(r"[{}]", TOKEN.sub("", value)):
            say(key, f"{show(value)} holds a brace; give a path inside {folder} such as {example}")
        elif not _inside(value):
            say(
                key,
                f"{show(value)} leads out of {folder}; give a relative path without .., such as {example}",
            )

    return check


def _inside(value: str) -> bool:
    """Whether a relative path stays in its folder; by its words alone, links are not followed."""
    return not value.startswith(("/", "~")) and ".." not in value.split("/")


def folder_of_the_host(example: str) -> Check:
    """A folder of the host that is not the whole of it; ``example`` is one that would do."""

    def check(say: Say, key: str, value: Any) -> None:
        if not matches(re.compile(r"/[^\x00-\x20\x7f;:\"'\\$%{}]+"), value):
            say(key, f"{show(value)} is not an absolute path without spaces; give one such as {example}")
        elif ".." in value.split("/") or not value.strip("/."):
            say(key, f"{show(value)} opens more than a folder; give a path without .., such as {example}")

    return check


absolute = folder_of_the_host("/var/spool/shop")


def command(say: Say, key: str, value: Any) -> None:
    """A string or argv."""
    words = as_list(value) if is_list(value) else [value]
    if (
        not words
        or not all(isinstance(word, str) and "\0" not in word for word in words)
        or not words[0].strip()
    ):
        say(key, "not a command; give a string, or a list of strings that is the program and its arguments")


def workers(say: Say, key: str, value: Any) -> None:
    """``auto``, ``cores`` or a number."""
    number = as_int(value)
    if as_text(value) not in ("auto", "cores") and (number is None or number < 1):
        say(key, f"{show(value)} is not a number of workers; {WORKERS_FIX}")


def ws_max_size(say: Say, key: str, value: Any) -> None:
    """The largest message of a WebSocket: bytes, or with k or m."""
    text = scalar(value)
    if isinstance(value, bool) or not matches(WS_SIZE, text) or bytes_of(value) > WS_SIZE_MAX:
        say(key, f"{show(value)} is not a size; give one such as 64m (or a number of bytes), 1024m at most")


def bytes_of(size: Any) -> int:
    """A size that ``ws_max_size`` takes, in bytes."""
    found = WS_SIZE.fullmatch(str(scalar(size)))
    if found is None:
        raise ValueError(size)
    return int(found[1]) * {"": 1, "k": 1024, "m": 1024**2}[found[2].lower()]


def group(say: Say, key: str, value: Any) -> None:
    """A group of the host that the app may be in without becoming root, or nginx, by it."""
    if not matches(GROUP, value):
        say(key, f"{show(value)} is not the name of a group; give one of the host's such as redis")
    elif value in GROUPS_OF_ROOT:
        say(
            key,
            f"{show(value)} makes the app root, or lets it read what is root's or every app's; remove it, and run what needs it as a "
            "service of its own",
        )
    elif value == GROUP_OF_NGINX:
        say(
            key,
            f"{show(value)} is nginx's, with which an app reaches the sockets of all others; remove it (nginx reads "
            "what static names without it)",
        )


def variables(say: Say, key: str, value: Any) -> None:
    """Environment variables; no message shows a value."""
    if not isinstance(value, Mapping):
        say(
            key,
            f"{hidden(value)} is not a mapping; give NAME: value pairs",
        )
        return
    for name, each in value.items():
        if not matches(VARIABLE, name):
            say(
                f"{key}.{show(name)}",
                "not a variable's name; give letters, digits and _, such as DATABASE_URL",
            )
            continue
        if name in RESERVED:
            say(f"{key}.{name}", "belongs to the unit that runs the app; give the variable another name")
        text = scalar(each)
        if text is None:
            kind = show(each) if each is None or isinstance(each, Mapping) or is_list(each) else "the value"
            say(
                f"{key}.{name}",
                f"{kind} is no value of a variable; give a string in quotes (to_json for a structure)",
            )
        elif "\0" in text:
            say(
                f"{key}.{name}", "the value holds a NUL, which no variable can; give it as one of credentials"
            )


def credentials(say: Say, key: str, value: Any) -> None:
    """Credentials; no message shows one."""
    fix = "give the content as a string, or {file: a path on the controller}"
    if not isinstance(value, Mapping):
        say(
            key,
            f"{hidden(value)} is not a mapping; give name: content pairs",
        )
        return
    for name, each in value.items():
        if not matches(CREDENTIAL, name):
            say(
                f"{key}.{show(name)}",
                "not a credential's name; give letters, digits, _ . and -, such as token.json",
            )
        elif isinstance(each, Mapping):
            # Not by checks.keys: what stands here by mistake may be the secret itself.
            if list(each) != ["file"]:
                say(f"{key}.{name}", f"the mapping has not the one key file; {fix}")
            else:
                line("a path", "secrets/token.json")(say, f"{key}.{name}.file", each["file"])
        elif scalar(each) is None:
            say(f"{key}.{name}", f"the value is not a credential; {fix}")
