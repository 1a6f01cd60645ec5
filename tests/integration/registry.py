"""A container registry for tests: serves one folder in the layout of the Open Container Initiative, to who logs in.

``registry.py FOLDER [--port N] [--login NAME:PASSWORD]`` on a loopback address. Read-only, and without TLS: podman and skopeo
take it when a file of ``/etc/containers/registries.conf.d`` says ``insecure = true`` of its location.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TAG = "org.opencontainers.image.ref.name"
ASKED = re.compile(r"/v2/[a-z0-9/._-]+/(manifests|blobs)/([A-Za-z0-9_.:-]+)")


class Registry(BaseHTTPRequestHandler):
    """Answers what is asked to pull an image."""

    protocol_version = "HTTP/1.1"
    folder: Path
    login: str

    def do_HEAD(self) -> None:
        """As GET, without the content."""
        self.do_GET()

    def do_GET(self) -> None:
        """The version check, a manifest by tag or digest, or a blob."""
        wanted = f"Basic {base64.b64encode(self.login.encode()).decode()}"
        if self.login and self.headers["Authorization"] != wanted:
            self._answer(401, b"{}", "application/json", [("WWW-Authenticate", 'Basic realm="tests"')])
            return
        if self.path == "/v2/":
            self._answer(200, b"{}", "application/json")
            return
        asked = ASKED.fullmatch(self.path)
        kind, digest = "application/octet-stream", asked[2] if asked else ""
        for entry in json.loads((self.folder / "index.json").read_text(encoding="utf-8"))["manifests"]:
            if digest in (entry["digest"], entry.get("annotations", {}).get(TAG)):
                kind, digest = entry["mediaType"], entry["digest"]
        blob = self.folder / "blobs" / Path(*digest.split(":"))
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest) or not blob.is_file():
            self._answer(404, b'{"errors": [{"code": "MANIFEST_UNKNOWN"}]}', "application/json")
            return
        self._answer(200, blob.read_bytes(), kind, [("Docker-Content-Digest", digest)])

    def _answer(self, status: int, body: bytes, kind: str, more: list[tuple[str, str]] | None = None) -> None:
        self.send_response(status)
        for name, value in [("Content-Type", kind), ("Content-Length", str(len(body))), *(more or [])]:
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


def main() -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--login", default="", metavar="NAME:PASSWORD")
    given = parser.parse_args()
    Registry.folder, Registry.login = given.folder, given.login
    ThreadingHTTPServer(("127.0.0.1", given.port), Registry).serve_forever()


if __name__ == "__main__":
    main()
