# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Directives of systemd that an app's unit takes from ``sandbox.unit``: limits and shares, and no way out of the sandbox.

systemd passes over a name or a value that it does not know, with a line in the journal that nobody reads. So each has its form
here. All of them are known to systemd 252, which is Debian 12's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .checks import Say
from .nearest import nearest
from .reading import is_list, show

SIZE = r"(?:\d+(?:\.\d+)?[KMGT]?|\d+(?:\.\d+)?%|infinity)"
LIMIT = r"(?:\d+[KMGT]?|infinity)"
PATH = r"/[^\s%\"'\\:]*"
TIME = r"\d+(?:us|ms|s|min|h)?"
# The form of a value, and how it is said.
PERCENT = (r"[1-9]\d*%", "a share such as 50% (of one core: 200% are two)")
SHARE = (r"[1-9]\d{0,3}|10000|idle", "a weight from 1 to 10000, or idle")
WEIGHT = (r"[1-9]\d{0,3}|10000", "a weight from 1 to 10000")
BYTES = (SIZE, "an amount of memory such as 512M, 2G or 50%, or infinity")
PRESSURE = (r"\d{1,2}%|100%", "a share such as 60%")
COUNT = (r"[1-9]\d*|[1-9]\d?%|infinity", "a number such as 512, a share such as 20%, or infinity")
RESOURCE = (rf"{LIMIT}(?::{LIMIT})?", "a number such as 4096, one with a unit such as 512M, or infinity")
CPUS = (r"\d+(?:-\d+)?(?:[ ,]+\d+(?:-\d+)?)*", "processors such as 0-3")
WORD_KILL = (r"auto|kill", "auto or kill")
DEVICE_BYTES = (rf"{PATH} \d+[KMGT]?", "a device and bytes a second such as /dev/vda 10M")
DEVICE_COUNT = (rf"{PATH} \d+[KMGT]?", "a device and operations a second such as /dev/vda 1000")
FOLDER = (rf"-?{PATH}", "an absolute path such as /srv/models")
BIND = (rf"-?{PATH}(?::{PATH})?", "an absolute path such as /srv/models, or /srv/models:/models")
ADDRESS = (
    r"any|localhost|link-local|multicast|[0-9A-Fa-f.:]+(?:/\d{1,3})?",
    "a network such as 10.0.0.0/8, or any",
)
DURATION = (TIME, "a time such as 30s")
SWITCH = (r"yes|no", "true or false")

# What a container of podman obeys as well: it is in the unit's control group.
OF_THE_GROUP: Mapping[str, tuple[str, str]] = {
    "CPUQuota": PERCENT,
    "CPUWeight": SHARE,
    "StartupCPUWeight": SHARE,
    "AllowedCPUs": CPUS,
    "MemoryHigh": BYTES,
    "MemoryLow": BYTES,
    "MemoryMin": BYTES,
    "MemorySwapMax": BYTES,
    "ManagedOOMMemoryPressure": WORD_KILL,
    "ManagedOOMMemoryPressureLimit": PRESSURE,
    "ManagedOOMSwap": WORD_KILL,
    "TasksMax": COUNT,
    "IOWeight": WEIGHT,
    "StartupIOWeight": WEIGHT,
    "IOReadBandwidthMax": DEVICE_BYTES,
    "IOWriteBandwidthMax": DEVICE_BYTES,
    "IOReadIOPSMax": DEVICE_COUNT,
    "IOWriteIOPSMax": DEVICE_COUNT,
    "IPAccounting": SWITCH,
    "Slice": (r"[a-z0-9][a-z0-9_.-]{0,60}\.slice", "the name of a slice such as web.slice"),
    "LogRateLimitIntervalSec": DURATION,
    "LogRateLimitBurst": (r"\d+", "a number of lines such as 10000"),
}
OF_THE_PROCESS: Mapping[str, tuple[str, str]] = {
    "CPUAffinity": CPUS,
    "CPUSchedulingPolicy": (r"other|batch|idle", "other, batch or idle"),
    "Nice": (r"-(?:[1-9]|1\d|20)|\d|1\d", "a number from -20 to 19"),
    "OOMScoreAdjust": (r"-?(?:1000|\d{1,3})", "a number from -1000 to 1000"),
    "IOSchedulingClass": (r"best-effort|idle", "best-effort or idle"),
    "IOSchedulingPriority": (r"[0-7]", "a number from 0 to 7"),
    "TimerSlackNSec": (r"\d+", "a number of nanoseconds"),
    "CoredumpFilter": (r"[a-z0-9x -]+", "kinds of memory such as private-anonymous"),
    **{
        f"Limit{name}": RESOURCE
        for name in (
            *("AS", "CORE", "CPU", "DATA", "FSIZE", "LOCKS", "MEMLOCK", "MSGQUEUE"),
            *("NOFILE", "NPROC", "RSS", "SIGPENDING", "STACK"),
        )
    },
    "IPAddressAllow": ADDRESS,
    "IPAddressDeny": ADDRESS,
    "BindPaths": BIND,
    "BindReadOnlyPaths": BIND,
    "ExecPaths": FOLDER,
    "InaccessiblePaths": FOLDER,
    "NoExecPaths": FOLDER,
    "ReadOnlyPaths": FOLDER,
    "TemporaryFileSystem": (rf"{PATH}(?::[a-z0-9=%,]+)?", "an absolute path such as /var/cache/shop"),
}
DIRECTIVES = {**OF_THE_GROUP, **OF_THE_PROCESS}
# Directives that the role writes from a key of the app's.
KEYS = {
    "Environment": "env",
    "EnvironmentFile": "env",
    "ExecStart": "command",
    "ExecStartPre": "hooks.build or hooks.migrate",
    "ExecStartPost": "hooks.after",
    "LoadCredential": "credentials",
    "MemoryDenyWriteExecute": "sandbox.memory_deny_write_execute",
    "MemoryLimit": "sandbox.memory_max",
    "MemoryMax": "sandbox.memory_max",
    "PrivateNetwork": "sandbox.network",
    "ProcSubset": "sandbox.proc_subset",
    "ReadWritePaths": "sandbox.writable_paths",
    "RestrictAddressFamilies": "sandbox.network",
    "SystemCallFilter": "sandbox.allow_resources",
    "TimeoutStopSec": "graceful_timeout",
    "WorkingDirectory": "app_dir",
}
# And those that a release depends on: who it runs as, how it starts, ends and is watched, and what keeps it in.
OURS = re.compile(
    r"(?:Exec|Restart|Kill|Timeout|Watchdog|Protect|Private|Restrict|Capability|Ambient|SystemCall|Root|StateDirectory|Set|Load)\w*"
    r"|User|Group|DynamicUser|Type|NotifyAccess|UMask|NoNewPrivileges|Delegate|SupplementaryGroups|SyslogIdentifier"
    r"|PassEnvironment|UnsetEnvironment|RuntimeMaxSec|OOMPolicy|KeyringMode|LockPersonality|RemoveIPC|Standard\w+|Sockets"
)


def unit_directives(say: Say, key: str, value: Any) -> None:
    """Directives by name, each with a value or a list of them."""
    if not isinstance(value, Mapping):
        say(key, f"{show(value)} is not a mapping; give directives such as {{CPUQuota: 50%}}")
        return
    for name, given in value.items():
        if name not in DIRECTIVES:
            say(f"{key}.{name if isinstance(name, str) and name.isalnum() else show(name)}", _unknown(name))
            continue
        for each in given if is_list(given) else [given]:
            if not re.fullmatch(DIRECTIVES[name][0], text(each)):
                say(f"{key}.{name}", f"{show(each)} is no value that it takes; give {DIRECTIVES[name][1]}")


def _unknown(name: object) -> str:
    if isinstance(name, str) and name in KEYS:
        return f"the role writes it; give {KEYS[name]} in its place"
    if isinstance(name, str) and OURS.fullmatch(name):
        return "the role writes it, and a release depends on it; take it out"
    names = {each.lower(): each for each in DIRECTIVES}
    close = nearest(str(name), names)
    hint = f"did you mean {names[close]}? " if close else ""
    return f"it is no directive that an app's unit takes; {hint}docs/extending.md lists them"


def directives(given: Mapping[str, Any], *, image: bool) -> dict[str, list[str]]:
    """The values of each directive, as systemd reads them, for a mapping that was checked.

    Of an ``image`` those that its container obeys: a default of all apps may name others.
    """
    return {
        name: [text(each) for each in (value if is_list(value) else [value])]
        for name, value in given.items()
        if not (image and name in OF_THE_PROCESS)
    }


def text(value: object) -> str:
    """A value as systemd reads it; empty for what has no such form."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, (str, int, float)) else ""


def not_of_an_image(given: object) -> list[str]:
    """The directives that a container does not obey."""
    return sorted(OF_THE_PROCESS.keys() & given.keys()) if isinstance(given, Mapping) else []
