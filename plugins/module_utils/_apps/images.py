# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An app in a container image: what ``source.image`` may hold, and which keys do not go with an image."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .checks import Say
from .defaults import SERVERS
from .program_values import VARIABLE
from .reading import as_list, as_text, at, hidden, matches, scalar, show
from .unit_directives import not_of_an_image

# A reference in full: with a registry, of which a dot, a port or its name says that it is one.
IMAGE = re.compile(
    r"(?:docker://)?(?:localhost|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+|[A-Za-z0-9.-]+(?=:\d))(?::\d{1,5})?"
    r"(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)+"
    r"(?P<tag>:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(?P<digest>@sha256:[0-9a-f]{64})?"
)
# A folder of the host in the form of the Open Container Initiative.
IMAGE_FOLDER = re.compile(r"oci:/[^\x00-\x20\x7f:\"'\\$%{}]+(?P<tag>:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})")
# A stage of a Dockerfile.
TARGET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
# Folders of a release on the host, which a container does not see.
OUTSIDE = re.compile(r"\{(?:source|venv|release)\}")

# Keys that shape what the role builds and runs of itself, and what there is in their place in an image.
NOT_OF_AN_IMAGE = {
    "app": "the image's own CMD names the app; remove it, or give another program in command",
    "factory": "the image's own CMD names the app; remove it",
    "app_dir": "the image has a WORKDIR; remove it",
    "python": "the image brings its own; remove it, and choose the base image in the Dockerfile",
    "requirements": "the image brings its own; remove it, and install them in the Dockerfile",
    "server_requirements": "the image brings its own server; remove it, and install it in the Dockerfile",
    "packages": "the image brings its own; remove it, and install them in the Dockerfile",
    "groups": "the host's groups are not those of an image; remove it, and reach what they open over the network",
    "ws_max_size": "is an option of the server in the image; remove it, and set it in the image's CMD or in command",
    "prometheus": "needs a server of the role's; remove it, and set PROMETHEUS_MULTIPROC_DIR in the image",
    "build": "an image is built by its Dockerfile alone; remove it, and add a RUN there",
    "shared": "an image is read-only; remove it, and write to {data}, which is $STATE_DIRECTORY",
    "files": "an image is built by its Dockerfile alone; remove it, and give the file as one of credentials, or a COPY there",
    "timeout": "is an option of the server in the image; remove it, and set it in the image's CMD or in command",
    "max_requests": "is an option of the server in the image; remove it, and set it in the image's CMD or in command",
    "max_requests_jitter": "is an option of the server in the image; remove it, and set it there",
    "hooks.build": "an image is built by its Dockerfile alone; remove it, and add a RUN there",
    "source.requirements": "the image brings its own; remove it, and install them in the Dockerfile",
    "source.extras": "the image brings its own; remove it, and install them in the Dockerfile",
    "build_env": "the image is built by its Dockerfile; remove it, and give source.image.build_args",
    "source.member": "the image brings its own; remove it",
    "source.install": "the image brings its own; remove it",
    "source.groups": "the image brings its own; remove it, and install them in the Dockerfile",
}


def image_name(say: Say, key: str, value: Any) -> None:
    """The name of an image in full, or of a folder that holds one."""
    fix = "give it in full, such as registry.example.com/shop:1.4"
    if matches(IMAGE_FOLDER, value):
        return
    found = IMAGE.fullmatch(value) if isinstance(value, str) else None
    if not found:
        say(key, f"{show(value)} is not the name of an image in a registry; {fix}")
    elif not found["tag"] and not found["digest"]:
        say(
            key,
            f"{show(value)} names neither a tag nor a digest; {fix}, or with @sha256:… for ever the same",
        )


def build_args(say: Say, key: str, value: Any) -> None:
    """The ARGs of a Dockerfile; no message shows a value."""
    if not isinstance(value, Mapping):
        say(key, f"{hidden(value)} is not a mapping; give NAME: value pairs")
        return
    for name, each in value.items():
        if not matches(VARIABLE, name):
            say(f"{key}.{show(name)}", "not the name of an ARG; give letters, digits and _, such as VERSION")
        elif (text := scalar(each)) is None or "\0" in text:
            say(f"{key}.{name}", "the value is no text; give a string in quotes")


def registry_auth(say: Say, key: str, value: Any) -> None:
    """The login of a registry. Not by ``keys``: what stands here by mistake may be the secret itself."""
    if (
        not isinstance(value, Mapping)
        or set(value) != {"username", "password"}
        or not all(isinstance(each, str) and each and "\0" not in each for each in value.values())
    ):
        say(key, "not the login of a registry; give {username: …, password: …}, both strings")
    elif ":" in value["username"]:
        say(f"{key}.username", "holds a colon, which no login can; give the name alone")


def image_rules(say: Say, given: Mapping[Any, Any], app: Mapping[Any, Any]) -> None:
    """The rules of an app in an image. A default of all apps that has no sense for it is no mistake."""
    image = at(app, "source.image")
    if app.get("server") == "image" and image is None:
        say(
            "server",
            "'image' needs source.image, and there is none; give {path: …}, {archive: …} or {name: …}",
        )
    elif image is not None and app.get("server") != "image" and app.get("server") in SERVERS:
        say(
            "server",
            f"{show(app['server'])} does not go with source.image, which brings its own; remove server, or give "
            "another source",
        )
    elif isinstance(image, Mapping):
        _image_source_rules(say, image)
        for key, words in NOT_OF_AN_IMAGE.items():
            if at(given, key) not in (None, "", False, [], ()):
                say(key, words)
        for name in not_of_an_image(at(given, "sandbox.unit")):
            say(
                f"sandbox.unit.{name}",
                "is a matter of the process, and a container does not obey it; remove it",
            )
        if isinstance(app.get("command"), str):
            say("command", "is a string; with an image give a list, the program and its arguments")
        _image_places(say, app)


def _image_source_rules(say: Say, image: Mapping[Any, Any]) -> None:
    kinds = [kind for kind in ("path", "archive", "name") if image.get(kind) is not None]
    if len(kinds) != 1:
        has = f"has {' and '.join(kinds)}" if kinds else "has none of path, archive and name"
        say("source.image", f"{has}; give exactly one of them, such as {{path: ../shop}}")
        return
    of = {"dockerfile": "path", "target": "path", "build_args": "path", "sha256": "archive", "auth": "name"}
    for key, kind in of.items():
        if image.get(key) is not None and kind != kinds[0]:
            say(f"source.image.{key}", f"goes with source.image.{kind}, not with {kinds[0]}; remove it")


def _image_places(say: Say, app: Mapping[Any, Any]) -> None:
    """No path of the host that the container does not have."""
    fix = "is a folder of the host, which the container does not see; give a path of the image, or {data}"
    for key in ("env", "secrets"):
        values = app.get(key)
        for name, value in values.items() if isinstance(values, Mapping) else ():
            if found := OUTSIDE.search(as_text(value)):
                say(f"{key}.{name}", f"{found.group()} {fix}")
    words: list[tuple[str, Any]] = [("command", app.get("command"))]
    hooks = app.get("hooks")
    for stage in ("migrate", "after"):
        for number, item in enumerate(as_list(hooks.get(stage)) if isinstance(hooks, Mapping) else []):
            key = f"hooks.{stage}[{number}]"
            words.append((key, item.get("command") if isinstance(item, Mapping) else item))
            creates = as_text(item.get("creates")) if isinstance(item, Mapping) else ""
            if creates and not creates.startswith("{data}/"):
                say(
                    f"{key}.creates",
                    f"{show(creates)} is not in the data folder; give one such as {{data}}/.loaded",
                )
    for key, value in words:
        text = value if isinstance(value, str) else " ".join(map(as_text, as_list(value)))
        if found := OUTSIDE.search(text):
            say(key, f"{found.group()} {fix}")
    for number, item in enumerate(as_list(app.get("static"))):
        path = as_text(item.get("path")) if isinstance(item, Mapping) else ""
        if path.startswith(("/", "{venv}", "{release}")):
            say(
                f"static[{number}].path",
                f"{show(path)} is a path of the host; give one below the image's WORKDIR such as static, which is "
                "copied out of the image, or {data}/media",
            )
