"""Ask each app of the demo's host over HTTPS, and show what it just answered."""

from __future__ import annotations

import dataclasses
import http.client
import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HOST = "demo"
SECONDS = 10.0


@dataclasses.dataclass(frozen=True)
class Answer:
    """What one app answered."""

    app: str
    url: str
    status: int
    text: str
    client: str = "-"
    scheme: str = "-"


class Named(http.client.HTTPSConnection):
    """A connection to an address whose TLS name and Host header are those of a domain."""

    def __init__(self, domain: str, address: str, port: int) -> None:
        # The demo's certificates are self-signed: what is shown is the app's answer, not who signed it.
        trust = ssl.create_default_context()
        trust.check_hostname = False
        trust.verify_mode = ssl.CERT_NONE
        super().__init__(domain, port, timeout=SECONDS, context=trust)
        self._address = address
        self._trust = trust

    def connect(self) -> None:
        """Connect to the address, and name the domain in the handshake."""
        plain = socket.create_connection((self._address, self.port), SECONDS)
        self.sock = self._trust.wrap_socket(plain, server_hostname=self.host)


def ask(domain: str, path: str, where: tuple[str, int]) -> tuple[int, bytes]:
    """Return the status and body of one GET; status 0 and the reason if there is no answer."""
    connection = Named(domain, *where)
    try:
        connection.request("GET", path, headers={"Host": domain})
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error).encode()
    finally:
        connection.close()


def health_path(app: dict[str, Any]) -> str:
    """Return the path at which an app says that it is well."""
    health = app.get("health") or {}
    first = health[0] if isinstance(health, list) else health
    return str(first.get("path", "/"))


def visit(app: dict[str, Any], where: tuple[str, int]) -> Answer:
    """Ask an app who it takes us for; one that cannot say is asked whether it is well."""
    domain = app["domains"][0]
    mounted = str(app.get("root_path", "")).rstrip("/")
    path = f"{mounted}/whoami"
    status, body = ask(domain, path, where)
    if status == http.HTTPStatus.OK:
        try:
            said = json.loads(body)
            return Answer(app["name"], f"https://{domain}{path}", status, "", said["client"], said["scheme"])
        except (ValueError, KeyError, TypeError):
            pass
    path = f"{mounted}{health_path(app)}"
    status, body = ask(domain, path, where)
    return Answer(app["name"], f"https://{domain}{path}", status, body.decode(errors="replace")[:200])


def read(*argv: str) -> Any:
    """Return what a command prints as JSON."""
    return json.loads(subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def main() -> int:
    """Show the table and what to do next; return 0 if every app answered 200."""
    host = read(sys.executable, "tools/hosts.py", "facts", HOST)["hosts"][HOST]
    bin_folder = Path(sys.executable).parent
    variables = read(str(bin_folder / "ansible-inventory"), "-i", "inventories/demo", "--host", HOST)
    apps = [app for app in variables.get("asgi_host_apps", []) if app.get("state", "present") == "present"]
    address, port = host["reach"]["https"]
    answers = [visit(app, (address, port)) for app in apps if app.get("domains")]
    rows = [("app", "URL", "status", "client it saw", "scheme it saw")]
    rows += [(one.app, one.url, str(one.status or "none"), one.client, one.scheme) for one in answers]
    print(f"\n{table(rows)}\n")
    failed = [one for one in answers if one.status != http.HTTPStatus.OK]
    for one in failed:
        print(f"{one.app} did not answer 200: {one.text}")
    first = apps[0]["name"] if apps else "NAME"
    name = answers[0].url.split("/")[2] if answers else "DOMAIN"
    hints = [
        ("ask for yourself", f"curl --insecure --connect-to {name}:443:{address}:{port} https://{name}/"),
        ("a shell on the host", f"tools/hosts.py exec {HOST}"),
        ("an app's journal", f"tools/hosts.py exec {HOST} -- journalctl -t asgi-{first} -n 50"),
        ("the apps of the demo", "inventories/demo/group_vars/asgi_hosts.yml, then make demo again"),
        ("remove everything", "make clean"),
    ]
    print(table([(f"{what}:", how) for what, how in hints]))
    return 1 if failed or not answers else 0


if __name__ == "__main__":
    sys.exit(main())
