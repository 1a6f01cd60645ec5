"""What several hosts do together."""

from __future__ import annotations

import http.server
import threading
import time
from pathlib import Path

import pytest
from playbook import changed_inventory, play
from shop import APP
from targets import APPS, Target, wait_for

pytestmark = pytest.mark.scenario("release")


class Database(http.server.BaseHTTPRequestHandler):
    """Stands for a database that all hosts share: it counts the migrations, and those at the same time."""

    running = 0
    most = 0
    total = 0

    def do_POST(self) -> None:
        cls = type(self)
        cls.running += 1
        cls.total += 1
        cls.most = max(cls.most, cls.running)
        time.sleep(1.5)
        cls.running -= 1
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


DRAINS = f"systemctl list-units --plain --no-legend --state=deactivating 'asgi-{APP}@*'"
MIGRATE = "python -c \"import urllib.request as r; r.urlopen(r.Request('http://{address}:{port}/', method='POST'), timeout=20)\""


def test_fleet_is_migrated_once_and_in_turns(
    all_targets: list[Target], target: Target, tmp_path: Path
) -> None:
    """A shared database by one host; one in the data folder by each host, and never two at a time."""
    if target != all_targets[0] or len(all_targets) < 2:
        pytest.skip("for all hosts together")
    Database.total = Database.most = 0
    server = http.server.ThreadingHTTPServer(("0.0.0.0", 0), Database)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    call = MIGRATE.format(address=target.door.source_address(), port=server.server_port)
    source = {"path": str(APPS / APP)}
    try:
        for hook, expected in ((call, 1), (f"{call} && date > $STATE_DIRECTORY/database", len(all_targets))):
            # What drains writes to the data folder, as a migration would.
            for each in all_targets:
                wait_for(lambda each=each: not each.run(DRAINS))  # type: ignore[misc]
            Database.total = Database.most = 0
            change = {APP: {"hooks": {"migrate": [hook]}, "source": source, "env": {"GREETING": hook[-9:]}}}
            run = play(inventory=changed_inventory(tmp_path, all_targets, change=change))
            assert run.status == 0, run.output[-4000:]
            assert (Database.total, Database.most) == (expected, 1)
        failing = {
            APP: {"hooks": {"migrate": ["echo the database is locked; exit 1"]}, "env": {"GREETING": "x"}}
        }
        run = play(inventory=changed_inventory(tmp_path, all_targets, change=failing))
        messages = [run.messages(each.name) for each in all_targets]
        assert all("the database is locked" in message for message in messages)
        assert sum("not tried on this host" in message for message in messages) == len(all_targets) - 1
    finally:
        server.shutdown()
