"""``ansible-playbook`` by a fork of a process that has imported Ansible: each run is spared half of its processor time.

This file is the process as well, which the tests start as a program and which ends with them. It has one thread, unlike
the tests, so that a fork of it is whole. A fork becomes what the command would be: its arguments, folder, environment,
standard files, temporary folder and exit status are those of a run of its own.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# What every play imports beyond the command itself. Plugins that choose by the environment are left to the play.
IMPORTED = (
    "ansible.cli.playbook",
    "ansible.executor.process.worker",
    "ansible.module_utils.urls",
    "ansible.playbook.handler_task_include",
    "ansible.playbook.role_include",
    "ansible.plugins.action.validate_argument_spec",
    "ansible.plugins.become.sudo",
    "ansible.plugins.cache.memory",
    "ansible.plugins.callback.default",
    "ansible.plugins.connection.local",
    "ansible.plugins.connection.ssh",
    "ansible.plugins.inventory.auto",
    "ansible.plugins.inventory.host_list",
    "ansible.plugins.inventory.ini",
    "ansible.plugins.inventory.script",
    "ansible.plugins.inventory.toml",
    "ansible.plugins.inventory.yaml",
    "ansible.plugins.shell.sh",
    "ansible.plugins.strategy.linear",
    "ansible.plugins.vars.host_group_vars",
    "cryptography.x509",
    "email.policy",
    "multiprocessing.popen_fork",
    "multiprocessing.shared_memory",
    "multiprocessing.synchronize",
    "xml.dom.minidom",
)
# Where Ansible keeps the modules that it has packed, below its temporary folder.
PACKED = "ansiballz_cache"
ROOT = Path(__file__).resolve().parents[3]
# pytest changes it from test to test, and nothing of Ansible reads it.
PASSED_OVER = "PYTEST_CURRENT_TEST"


class Plays:
    """The process with Ansible in it, as the tests see it: started with the first play, and anew for another environment.

    Ansible reads its settings when it is imported, from the environment and from the folder that it is started in.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began_with: tuple[dict[str, str], Path] | None = None
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.end)

    def _server(self, environment: dict[str, str], folder: Path) -> socket.socket:
        running = self._process is not None and self._process.poll() is None
        if self._control is None or not running or self._began_with != (environment, folder):
            self.end()
            ours, theirs = socket.socketpair()
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, __file__],
                    cwd=folder,
                    env=environment,
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                )
            self._control, self._began_with = ours, (environment, folder)
        return self._control

    def end(self) -> None:
        """End the process, if it was started."""
        if self._control is not None and self._process is not None:
            self._control.close()
            self._process.wait()

    def run(
        self, argv: Sequence[str], *, folder: Path, environment: Mapping[str, str], seconds: float
    ) -> tuple[int, str]:
        """Run ``ansible-playbook`` with these words; return its exit status and all that it printed.

        Raises subprocess.TimeoutExpired after ``seconds``; the play is then killed.
        """
        own = {name: value for name, value in environment.items() if name != PASSED_OVER}
        ours, theirs = socket.socketpair()
        with ours, tempfile.TemporaryFile() as output:
            with theirs, self._lock:
                control = self._server(own, folder)
                socket.send_fds(control, [b"+"], [theirs.fileno(), output.fileno()])
            ours.sendall(json.dumps({"argv": list(argv), "environment": dict(environment)}).encode() + b"\n")
            with ours.makefile("r", encoding="ascii") as answer:
                pid = int(answer.readline())
                ours.settimeout(seconds)
                try:
                    status = int(answer.readline())
                except TimeoutError:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                    raise subprocess.TimeoutExpired(list(argv), seconds) from None
            output.seek(0)
            # As text of a process is read.
            return status, output.read().decode().replace("\r\n", "\n").replace("\r", "\n")


def serve(control: socket.socket) -> dict[str, Any]:
    """Fork for each play that is asked for; return, in the fork alone, what the play is. Ends when the tests have."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those that wait for a play need nobody to wait for them
    while True:
        byte, descriptors, _flags, _address = socket.recv_fds(control, 1, 2)
        if not byte:
            raise SystemExit
        if os.fork() == 0:
            break
        for descriptor in descriptors:
            os.close(descriptor)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    control.close()
    with socket.socket(fileno=descriptors[0]) as asked:
        with asked.makefile("r", encoding="utf-8") as lines:
            wanted: dict[str, Any] = json.loads(lines.readline())
        started = os.fork()
        if started:
            with contextlib.suppress(BrokenPipeError):
                asked.sendall(f"{started}\n".encode())
                _pid, status = os.waitpid(started, 0)
                asked.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())
            os._exit(0)
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    for standard in (1, 2):
        os.dup2(descriptors[1], standard)
    os.close(descriptors[1])
    return wanted


def main() -> None:
    """Import Ansible, and become one play after the other."""
    control = socket.socket(fileno=os.dup(0))
    sys.path[0] = str(Path(sys.executable).parent)  # as for the command: no module of the tests is in the way
    for name in IMPORTED:
        importlib.import_module(name)
    constants = importlib.import_module("ansible.constants")
    command = importlib.import_module("ansible.cli.playbook").main
    cleanup = importlib.import_module("ansible.config.manager").cleanup_tmp_file
    loader = importlib.import_module("ansible.plugins.loader")
    # The command has no option for the paths of collections: they are the same for every play. Ansible compiles the modules
    # of a collection anew in each process; its plugins are left to each play, with what Ansible says of them.
    loader.init_plugin_loader()
    importlib.import_module("ansible_collections.ansible.builtin")
    for path in sorted((ROOT / "plugins" / "plugin_utils").glob("_*.py")):
        if path.stem != "__init__":
            importlib.import_module(f"ansible_collections.asgi.host.plugins.plugin_utils.{path.stem}")

    wanted = serve(control)
    os.environ.clear()
    os.environ.update(wanted["environment"])
    # A folder of its own for what it writes; that of the import is removed with the process that imported.
    atexit.unregister(cleanup)
    common = Path(vars(constants)["DEFAULT_LOCAL_TMP"])
    folder = tempfile.mkdtemp(prefix=f"ansible-local-{os.getpid()}", dir=common.parent)
    # Modules are packed by the first play that sends them; Ansible locks the file of each while it packs.
    (common / PACKED).mkdir(exist_ok=True)
    (Path(folder) / PACKED).symlink_to(common / PACKED)
    vars(constants)["DEFAULT_LOCAL_TMP"] = folder
    atexit.register(cleanup, folder, warn=True)
    # Done above, and Ansible warns of a second time.
    vars(loader)["_configure_collection_loader"] = lambda _paths: None
    sys.argv = wanted["argv"]
    command()


if __name__ == "__main__":
    main()
