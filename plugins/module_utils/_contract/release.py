# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One app, as a host is told of it."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict


class HealthCheck(TypedDict):
    """One question of the gate."""

    path: str
    status: list[int]
    timeout: float
    """Seconds."""
    text: str | None


HookStage = Literal["build", "migrate", "after"]


class Hook(TypedDict):
    """One command of the app's."""

    command: str | list[str]
    creates: str | None
    every_host: bool | None


class Hooks(TypedDict):
    """The commands by their stage."""

    build: list[Hook]
    migrate: list[Hook]
    after: list[Hook]
    after_failure: Literal["keep", "rollback"]


class BuildCommands(TypedDict):
    """The app's own commands before anything is installed."""

    folder: str
    commands: list[str | list[str]]


class SharedPath(TypedDict):
    """A path of the source that is kept in the data folder."""

    path: str
    data: str


class StaticFolder(TypedDict):
    """A folder of the source that nginx serves."""

    url: str
    path: str
    fallback: NotRequired[str]
    """The page that is sent where the folder has no such file."""


class LiveFolder(TypedDict):
    """The source of an app in development mode."""

    mount: str | None
    digest: str


class Watch(TypedDict):
    """For how long a release is watched after the switch, and what is too much."""

    seconds: float
    errors: float
    """Percent."""


class Workers(TypedDict):
    """The number of workers, and the memory for them in MiB where it decides."""

    wanted: int
    room: float | None


class Interpreter(TypedDict):
    """A Python of the host."""

    path: str
    version: str


class Container(TypedDict):
    """What podman is told of an app in an image."""

    workers: int
    graceful_timeout: int
    stop_timeout: int
    keepalive: int
    network: str
    writable_paths: list[str]
    static: list[str]


# Keys that are no names in Python.
ImageSource = TypedDict(
    "ImageSource",
    {
        "from": Literal["build", "archive", "registry"],
        "name": NotRequired[str],
        "pinned": NotRequired[bool],
        "dockerfile": NotRequired[str],
        "target": NotRequired[str | None],
        "build_args": NotRequired[dict[str, str]],
    },
)
Texts = TypedDict("Texts", {"service": str, "release.conf": str})


class SourceSpec(TypedDict):
    """Where the code comes from."""

    kind: Literal["tree", "wheel", "package", "image", "none"]
    digest: str
    describe: str
    version: NotRequired[str]
    ref: NotRequired[str]
    """The branch or tag that was asked for."""
    requirements: str | None
    member: str | None
    install: bool
    extras: list[str]
    groups: list[str]
    package: NotRequired[list[str]]
    wheel: NotRequired[str]
    project: NotRequired[str]
    image: NotRequired[ImageSource]


class AppSpec(TypedDict):
    """What is told of every app, also of one that is to be absent."""

    name: str
    root: str
    user: str
    state: Literal["present", "absent"]
    by: str
    purge: NotRequired[bool]
    """Of one that is to be absent: whether its data goes as well."""


class ReleaseSpec(AppSpec):
    """What is told of an app that is to be present."""

    domains: list[str]
    root_path: str
    health: list[HealthCheck]
    hooks: Hooks
    shared: list[SharedPath]
    app_dir: str
    requirements: list[str]
    groups: list[str]
    strategy: Literal["overlap", "restart"]
    warm_up: int
    keep_releases: int
    keep_warm: bool
    live: LiveFolder | None
    watch: Watch
    module: str
    server: str
    command: str | list[str] | None
    on_port: bool
    workers: Workers
    check: list[str]
    host: str
    """The name by which the gate asks."""
    python: Interpreter | None
    container: NotRequired[Container]
    server_requirements: list[str] | None
    server_pins: list[str]
    source: SourceSpec
    texts: Texts
    processes: dict[str, str]
    static: list[StaticFolder]
    files: dict[str, str]
    build: NotRequired[BuildCommands]
    build_env: NotRequired[dict[str, str]]
    own_version: NotRequired[dict[str, str]]
    """The project's ``name`` and its ``version`` from git, for builds that ask git for it."""
    own_files: NotRequired[str]
    """The digest of the app's plain files."""


class OwnFile(TypedDict):
    """One of the app's ``files``."""

    content: str
    """Base64."""
    mode: int
    secret: bool
    raw: bool
    """Whether tokens in it are left as they are."""
    hidden: list[str]
    """Parts that are secret by themselves, for masking."""


class Login(TypedDict):
    """Of a registry."""

    username: str
    password: str


class AppPrivate(TypedDict, total=False):
    """What must not be shown of an app."""

    env: dict[str, str]
    secrets: dict[str, str]
    credentials: dict[str, str]
    files: dict[str, OwnFile]
    """By their path in the source."""
    registry: Login
