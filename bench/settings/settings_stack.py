"""Runs on the benchmark's host: a copy of the app's unit and of nginx before it, with some lines changed.

usage: settings_stack.py NAME PORT EDITS      EDITS in JSON: [file, pattern, replacement] each; prints nothing

Files are `nginx` (every file of its configuration), `nginx unit`, `unit`, `socket` and `worker` (gunicorn.conf.py). What
is copied is what the role made of the app `shop`; the two copies that are compared differ in the edits alone.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

UNITS = Path("/etc/systemd/system")
NGINX = Path("/etc/nginx")
CURRENT = Path("/srv/asgi/shop/current")

Edits = list[list[str]]


def edited(kind: str, text: str, edits: Edits, done: set[int]) -> str:
    """The text with the edits of this kind; what was found is added to ``done``."""
    for number, (target, pattern, replacement) in enumerate(edits):
        if target == kind:
            text, times = re.subn(pattern, replacement, text, flags=re.MULTILINE)
            if times:
                done.add(number)
    return text


def app(name: str, edits: Edits, done: set[int]) -> None:
    """The release, its socket and its service."""
    release = CURRENT.resolve()
    copy = Path("/srv/bench") / name
    shutil.rmtree(copy, ignore_errors=True)
    copy.parent.mkdir(exist_ok=True)
    # Of the same files: what differs must not be where they lie in the page cache.
    subprocess.run(["cp", "-al", str(release), str(copy)], check=True)
    (copy / "app.sock").unlink()
    conf = copy / "gunicorn.conf.py"
    text = edited("worker", conf.read_text(encoding="utf-8"), edits, done)
    conf.unlink()
    conf.write_text(text, encoding="utf-8")
    for kind, folder, wanted in (("socket", UNITS, "socket"), ("unit", UNITS, "service")):
        text = (folder / f"asgi-shop@.{wanted}").read_text(encoding="utf-8")
        if wanted == "service":
            drop_in = folder / f"asgi-shop@{release.name}.service.d" / "release.conf"
            text += drop_in.read_text(encoding="utf-8")
        text = text.replace("/etc/asgi/shop/%i", f"/etc/asgi/shop/{release.name}")
        text = text.replace("/srv/asgi/shop/releases/%i", str(copy)).replace("asgi-shop@%i", f"bench-{name}")
        (UNITS / f"bench-{name}.{wanted}").write_text(edited(kind, text, edits, done), encoding="utf-8")


def nginx(name: str, port: str, edits: Edits, done: set[int]) -> None:
    """An nginx of its own, on ports of its own."""
    copy = Path(f"/etc/nginx-{name}")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(NGINX, copy, symlinks=True)
    for other in (copy / "conf.d").glob("*.conf"):
        if other.name not in {"asgi-00-shared.conf", "asgi-app-shop.conf"}:
            other.unlink()
    for file in (*copy.glob("asgi/*.conf"), *copy.glob("conf.d/*.conf"), copy / "nginx.conf"):
        text = file.read_text(encoding="utf-8")
        text = text.replace(f"{NGINX}/", f"{copy}/").replace("/run/nginx.pid", f"/run/nginx-{name}.pid")
        text = text.replace(f"{CURRENT}/", f"/srv/bench/{name}/")
        text = re.sub(r"listen (\[::\]:)?443", rf"listen \g<1>{port}", text)
        text = re.sub(r"listen (\[::\]:)?80\b", rf"listen \g<1>{int(port) + 1000}", text)
        file.write_text(edited("nginx", text, edits, done), encoding="utf-8")
    unit = Path("/usr/lib/systemd/system/nginx.service").read_text(encoding="utf-8")
    unit += "".join(
        each.read_text(encoding="utf-8") for each in sorted((UNITS / "nginx.service.d").glob("*.conf"))
    )
    unit = unit.replace("/run/nginx.pid", f"/run/nginx-{name}.pid")
    unit = unit.replace("/usr/sbin/nginx ", f"/usr/sbin/nginx -c {copy}/nginx.conf ")
    (UNITS / f"bench-nginx-{name}.service").write_text(
        edited("nginx unit", unit, edits, done), encoding="utf-8"
    )


def main() -> None:
    """Make and start."""
    name, port, edits = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    units = [f"bench-nginx-{name}.service", f"bench-{name}.service", f"bench-{name}.socket"]
    subprocess.run(["systemctl", "stop", *units], check=False, capture_output=True)
    done: set[int] = set()
    app(name, edits, done)
    nginx(name, port, edits, done)
    missed = [edit for number, edit in enumerate(edits) if number not in done]
    if missed:
        raise SystemExit(f"nothing to edit: {missed}")
    subprocess.run(["systemctl", "daemon-reload"], check=True)
    for unit in reversed(units):
        subprocess.run(["systemctl", "start", unit], check=True)


if __name__ == "__main__":
    main()
