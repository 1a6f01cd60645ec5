"""A hook: notes that it ran, as whom, where and with what; fails without the app's environment."""

import json
import os
import sys
from pathlib import Path

step = sys.argv[1]
setting = os.environ["HOOKS_SETTING"]
record = {
    "step": step,
    "setting": setting,
    "uid": os.getuid(),
    "cwd": str(Path.cwd()),
    "prefix": sys.prefix,
    "home": os.environ.get("HOME"),
}
state = Path(os.environ["STATE_DIRECTORY"].split(":")[0])
if step == "init":
    # A second run would lose data, as `init-db` commands do: the inventory's `creates` keeps it to one.
    (state / "initialised").touch(exist_ok=False)
with (state / "hooks.jsonl").open("a") as log:
    log.write(json.dumps(record) + "\n")
