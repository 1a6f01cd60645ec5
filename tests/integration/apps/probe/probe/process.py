"""What the running process is: identity, privileges, server."""

import asyncio
import gc
import os
import socket
import sys
from pathlib import Path
from typing import Any


def type_name(kind: type) -> str:
    """`module.Class`."""
    return f"{kind.__module__}.{kind.__qualname__}"


def status() -> dict[str, str]:
    """The fields of `/proc/self/status`."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return {key: value.strip() for key, _sign, value in (line.partition(":") for line in lines)}


def living(name: str) -> Any:
    """The process's object of the class `module.Class` or of a subclass; None where there is none.

    A forked worker still holds those of the workers forked before it: a configuration counts when it is loaded.
    """
    module, _sign, attribute = name.rpartition(".")
    kind = getattr(sys.modules.get(module), attribute, None)
    if not isinstance(kind, type):
        return None
    # By type(), not isinstance(): proxy objects answer isinstance() for what they stand for.
    found = (item for item in gc.get_objects() if issubclass(type(item), kind))
    return next((item for item in found if getattr(item, "loaded", True)), None)


def server() -> dict[str, Any]:
    """The worker's class and ancestors, and uvicorn's settings as they took effect."""
    worker = living("gunicorn.workers.base.Worker")
    config = living("uvicorn.config.Config")
    return {
        "worker": type_name(type(worker)) if worker else None,
        "worker_bases": [type_name(kind) for kind in type(worker).__mro__[:-1]] if worker else [],
        "http_protocol": type_name(config.http_protocol_class) if config else None,
        "ws_protocol": type_name(config.ws_protocol_class) if config and config.ws_protocol_class else None,
        "timeout_keep_alive": config.timeout_keep_alive if config else None,
        "timeout_graceful_shutdown": config.timeout_graceful_shutdown if config else None,
        "httptools": "httptools" in sys.modules,
        "uvloop": "uvloop" in sys.modules,
    }


def interfaces() -> list[str] | None:
    """The interfaces that the kernel names by netlink; None where it may not be asked."""
    try:
        return sorted(name for _number, name in socket.if_nameindex())
    except OSError:
        return None


def describe() -> dict[str, Any]:
    """All that the tests ask about the process; must be called in the event loop."""
    fields = status()
    return {
        "pid": os.getpid(),
        "ppid": os.getppid(),
        "uid": os.getuid(),
        "gid": os.getgid(),
        "groups": sorted(os.getgroups()),
        "interfaces": interfaces(),
        "caps": {name: fields.get(name) for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb", "CapInh")},
        "no_new_privs": fields.get("NoNewPrivs") == "1",
        "seccomp": int(fields.get("Seccomp", "0")),
        "umask": fields.get("Umask"),
        "loop": type_name(type(asyncio.get_running_loop())),
        "server": server(),
        "python": sys.version.split()[0],
        "executable": sys.executable,
        "prefix": sys.prefix,
        "module": __file__,
        "compiled": __spec__.cached is not None and Path(__spec__.cached).is_file(),
        "cwd": str(Path.cwd()),
        "home": os.environ.get("HOME"),
        "state_directory": os.environ.get("STATE_DIRECTORY"),
        "argv": Path("/proc/self/cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0"),
    }
