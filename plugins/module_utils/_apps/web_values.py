# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a value may be that clients, nginx or a certificate's authority meet: domains, networks, URLs and headers."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any

from .checks import Say
from .defaults import YEAR
from .program_values import relative
from .reading import as_int, as_text, matches, scalar, show

LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
HEADER = re.compile(r"[A-Za-z0-9-]+")
NGINX_VARIABLE = re.compile(r"\$[a-z][a-z0-9_]{0,63}")
NGINX_SIZE = re.compile(r"\d{1,9}[kKmMgG]?")
EMAIL = re.compile(r"[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,253}")
DIRECTORY = re.compile(r"https://[A-Za-z0-9.:\[\]-]+(?:/[A-Za-z0-9._~/?=&%+-]*)?")
DNS_PROVIDER = re.compile(r"[a-z0-9][a-z0-9-]{1,39}")
# What nginx's configuration takes as one word: its buffer of 4,096 bytes (NGX_CONF_BUFFER), less what stands around it.
WORD_BYTES = 3900
PATH_BYTES = 1000
# nginx's own limit for limit_conn.
CONNECTIONS_MAX = 65535
HEADER_NAME_BYTES = 200
# Variables of nginx that are there for every answer. Any other name that follows a $ makes nginx refuse everything.
NGINX_VARIABLES = ("host", "hostname", "request_id", "scheme", "server_name")


def domain(say: Say, key: str, value: Any) -> None:
    """A host name in lower case, or a star and one."""
    fix = "give a host name in lower case such as shop.example.com or *.example.com"
    if not isinstance(value, str) or not value:
        say(key, f"{show(value)} is not a host name; {fix}")
        return
    if "://" in value:
        say(key, f"{show(value)} holds a scheme; {fix}")
    elif re.search(r"[\s;{}\"'\\$\x00-\x1f]", value):
        say(key, f"{show(value)} holds a character that no host name has; {fix}")
    elif "/" in value:
        say(key, f"{show(value)} holds a path; {fix}, and root_path for a mount point below it")
    elif _is_address(value):
        say(key, f"{show(value)} is an address, and TLS asks by name; {fix}")
    elif ":" in value:
        say(key, f"{show(value)} holds a port; sites are on 443 and 80: {fix}")
    elif not value.isascii():
        say(key, f"{show(value)} is not ASCII; give the name in its encoded form{_encoded(value)}")
    elif value != value.lower():
        say(key, f"{show(value)} holds upper case; give {value.lower()[:253]}")
    else:
        name = value.removeprefix("*.")
        labels = name.split(".")
        valid = len(value) <= 253 and all(LABEL.fullmatch(label) for label in labels)
        if not valid or (name != value and len(labels) < 2):
            say(key, f"{show(value)} is not a host name; {fix}")


def _encoded(value: str) -> str:
    try:
        return f", {value.encode('idna').decode()}"
    except UnicodeError:
        return " (xn--…)"


def _is_address(value: str) -> bool:
    try:
        ipaddress.ip_address(value.strip("[]"))
    except ValueError:
        return False
    return True


def network(say: Say, key: str, value: Any) -> None:
    """A range of addresses, but not all of them."""
    fix = "give a range such as 10.0.0.0/8 or an address such as 192.0.2.7"
    if not isinstance(value, str):
        say(key, f"{show(value)} is not an address range; {fix}")
        return
    try:
        loose = ipaddress.ip_network(value, strict=False)
    except ValueError:
        say(key, f"{show(value)} is not an address range; {fix}")
        return
    if loose.prefixlen == 0:
        say(
            key,
            f"{show(value)} is every address, so anybody could say who the client is; "
            "give the ranges that the proxies themselves have",
        )
    elif "/" in value and str(loose.network_address) != str(ipaddress.ip_address(value.split("/")[0])):
        say(key, f"{show(value)} has bits beyond its prefix; did you mean {loose}?")


def url_path(say: Say, key: str, value: Any) -> None:
    """A path of a URL as nginx takes it."""
    if not isinstance(value, str) or not value.startswith("/"):
        say(key, f"{show(value)} does not start with /; give a path such as /events")
    elif not re.fullmatch(r"/[^\x00-\x20\x7f;{}\"'\\$#?]*", value):
        say(
            key,
            f"{show(value)} holds a space, quote, brace, semicolon, $, # or ?; give one such as /events",
        )
    else:
        _short(say, key, value)


def _short(say: Say, key: str, path: str) -> None:
    if len(path.encode(errors="replace")) > PATH_BYTES:
        say(key, f"{show(path)} has more than {PATH_BYTES} bytes; give a shorter one")


def root_path(say: Say, key: str, value: Any) -> None:
    """Where an app is mounted below its domain; empty for the whole of it."""
    if value == "":
        return
    if value == "/":
        say(key, "'/' is the whole domain; leave root_path out")
    elif isinstance(value, str) and value.startswith("/") and value.endswith("/"):
        say(key, f"{show(value)} ends with /; give it without, such as /shop")
    elif (
        not isinstance(value, str)
        or not re.fullmatch(r"(?:/[A-Za-z0-9._~!@+,=-]+)+", value)
        or not _plain(value)
    ):
        say(
            key,
            f"{show(value)} is not a mount point; give one that starts with / and is plain, such as /shop",
        )


def health_path(say: Say, key: str, value: Any) -> None:
    """A path of a URL, with a query if need be."""
    if not isinstance(value, str) or not value.startswith("/"):
        say(key, f"{show(value)} does not start with /; give a path such as /health")
    elif not re.fullmatch(r"[\x21-\x7e]+", value) or "#" in value:
        say(
            key,
            f"{show(value)} holds a space, a line break, # or a letter that a URL must encode; give /health",
        )


def static_url(say: Say, key: str, value: Any) -> None:
    """The URL of a folder of files, below the app."""
    if not isinstance(value, str) or not value.startswith("/") or not value.endswith("/"):
        say(key, f"{show(value)} does not start and end with /; give a URL path such as /static/")
    elif not re.fullmatch(r"[A-Za-z0-9._~!@+,=/-]+", value) or not _plain(value) or "//" in value:
        say(key, f"{show(value)} is not a plain URL path; give one such as /static/")
    else:
        _short(say, key, value)


def static_path(say: Say, key: str, value: Any) -> None:
    """A folder of files: in the source, or absolute."""
    if isinstance(value, str) and value.startswith("/"):
        if not re.fullmatch(r"/[^\x00-\x20\x7f;:\"'\\$%{}]+", value) or ".." in value.split("/"):
            say(key, f"{show(value)} is not a plain path; give one such as static or {{data}}/media")
            return
    else:
        relative("the source", "static or {data}/media")(say, key, value)
    if isinstance(value, str):
        _short(say, key, value)


def page(say: Say, key: str, value: Any) -> None:
    """A file within a static folder."""
    fix = "give a file in the folder of path, such as index.html"
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9._~@+,=/-]+", value):
        say(key, f"{show(value)} is not a plain path; {fix}")
    elif value.startswith("/") or value.endswith("/") or not _plain(value) or "//" in value:
        say(key, f"{show(value)} is no file in the folder; {fix}")
    elif any(part.startswith(".") for part in value.split("/")):
        say(key, f"{show(value)} is hidden, and hidden files are not served; {fix}")
    else:
        _short(say, key, value)


def _plain(path: str) -> bool:
    return not {".", ".."} & set(path.split("/"))


def cache(say: Say, key: str, value: Any) -> None:
    """Seconds, or ``immutable``."""
    number = as_int(value)
    if as_text(value) != "immutable" and (number is None or not 0 <= number <= YEAR):
        say(
            key,
            f"{show(value)} is not a time; give whole seconds up to {YEAR}, 0 to have browsers ask each time, "
            "or immutable for files whose names change with their content",
        )


def headers(say: Say, key: str, value: Any) -> None:
    """Names and values of headers."""
    if not isinstance(value, Mapping):
        say(key, f"{show(value)} is not a mapping; give header names and values")
        return
    for name, each in value.items():
        if not matches(HEADER, name):
            say(
                f"{key}.{show(name)}",
                "not a header's name; give letters, digits and -, such as X-Frame-Options",
            )
        elif len(name) > HEADER_NAME_BYTES:
            say(
                f"{key}.{show(name)}",
                f"a header's name of more than {HEADER_NAME_BYTES} bytes; give a shorter one",
            )
        elif (text := scalar(each)) is None or re.search(r"[\x00-\x1f\x7f\"\\]", text):
            say(
                f"{key}.{name}",
                "the value is not one line of text without double quotes and backslashes; give such a string",
            )
        elif len(text.encode(errors="replace")) > WORD_BYTES:
            say(
                f"{key}.{name}",
                f"the value has more than {WORD_BYTES} bytes, which nginx does not take; let the app send it",
            )
        elif any(word not in NGINX_VARIABLES for word in re.findall(r"\$\{?(\w*)", text)):
            say(
                f"{key}.{name}",
                "the value holds $, by which nginx means a variable; give a value without it, or let the app send it "
                f"(the variables {', '.join(f'${each}' for each in NGINX_VARIABLES)} may be named)",
            )


def body_limit(say: Say, key: str, value: Any) -> None:
    """A size as nginx writes it."""
    if isinstance(value, bool) or not matches(NGINX_SIZE, scalar(value)):
        say(key, f"{show(value)} is not a size; give one such as 10m, or 0 for no limit")


def connection_limit(say: Say, key: str, value: Any) -> None:
    """How many requests of one address may be under way; ``auto`` is the role's limits, ``none`` is none."""
    given = as_int(value)
    if value not in ("auto", "none") and (given is None or not 1 <= given <= CONNECTIONS_MAX):
        say(
            key,
            f"{show(value)} is not a limit; give auto, none, or a whole number of requests at a time from 1 to "
            f"{CONNECTIONS_MAX}",
        )


def text_block(say: Say, key: str, value: Any) -> None:
    """Lines of nginx's configuration."""
    if not isinstance(value, str) or "\0" in value:
        say(key, f"{show(value)} is not a text; give lines of nginx's configuration, or leave the key out")
