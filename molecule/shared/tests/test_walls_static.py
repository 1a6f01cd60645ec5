"""Static files: those of earlier pages stay, and nothing is served that lies elsewhere or is hidden."""

from __future__ import annotations

import http.client
import json
import threading
import time
from pathlib import Path

import pytest
from playbook import ROLLBACK, changed_inventory, converge, play
from targets import App, Target

# They are served alike on both releases of Debian; the other host has test_walls_inventory.
pytestmark = [pytest.mark.scenario("walls"), pytest.mark.lane, pytest.mark.in_turn(0)]

NAME, DOMAIN = "bundle", "bundle.test"
CODE = '''
"""A page that names the files of its own release."""

import json
import os
from pathlib import Path

FILES = sorted(path.name for path in (Path(__file__).parents[1] / "static").iterdir() if path.name.startswith("app."))
MEDIA = Path(os.environ["STATE_DIRECTORY"]) / "media"


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(FILES).encode()})
'''


class Bundle:
    """The app, of which each version has files of its own, as a bundler names them."""

    def __init__(self, target: Target, folder: Path) -> None:
        self.target, self.folder = target, folder
        self.source = folder / "source"
        self.static = self.source / "static"
        (self.source / "bundle").mkdir(parents=True)
        (self.source / "bundle" / "__init__.py").touch()
        (self.source / "bundle" / "main.py").write_text(CODE)
        (self.source / "requirements.txt").touch()
        self.static.mkdir()
        (self.static / "a").mkdir()
        for name in (".env", ".git", "a/.htpasswd"):
            (self.static / name).write_text("hidden")
        for name, to in {
            "out.py": "../bundle/main.py",
            "inside.txt": "same.txt",
            "up": "..",
        }.items():
            (self.static / name).symlink_to(to)

    def version(self, number: int) -> None:
        """Files of this version in place of the last one's."""
        for old in self.static.glob("app.*"):
            old.unlink()
        for kind in ("js", "css", "js.gz"):
            (self.static / f"app.{number:08x}.{kind}").write_text(f"{kind} of {number}")
        (self.static / "same.txt").write_text(f"{number}")

    def deploy(self, **keys: object) -> None:
        """One play."""
        app: App = {
            "name": NAME,
            "app": "bundle.main:app",
            "source": {"path": str(self.source)},
            "domains": [DOMAIN],
            "workers": 1,
            "graceful_timeout": 2,
            "keep_releases": 1,
            "static": [
                {"url": "/static/", "path": "static", "cache": "immutable"},
                {"url": "/media/", "path": "{data}/media"},
            ],
            **keys,
        }
        converge([self.target], inventory=self.inventory([app]))

    def roll_back(self) -> None:
        """Another play."""
        inventory = self.folder / "hosts.json"
        back = play("-e", f"app={NAME}", playbook=ROLLBACK, inventory=inventory, targets=[self.target])
        assert back.status == 0, back.output[-3000:]

    def inventory(self, apps: list[App]) -> Path:
        """That of the tests, with this app."""
        return changed_inventory(self.folder, [self.target], add=apps)

    def get(self, path: str) -> tuple[int, str]:
        """Status and body."""
        answer = self.target.door.ask(DOMAIN, path)
        return answer.status, answer.text


@pytest.fixture(scope="module")
def bundle(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Its first version serves."""
    made = Bundle(target, tmp_path_factory.mktemp("bundle"))
    made.version(1)
    made.deploy()
    return made


class Browser(threading.Thread):
    """Loads pages, and asks again and again for the files of every page that it has loaded."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__(daemon=True)
        self.bundle, self.over = bundle, threading.Event()
        self.pages: dict[str, list[str]] = {}
        self.asked, self.lost = 0, list[str]()

    def run(self) -> None:
        """Until it is over."""
        while not self.over.is_set():
            try:
                status, body = self.bundle.get("/")
                if status == 200:
                    self.pages[body] = json.loads(body)
                for name in [name for page in self.pages.values() for name in page]:
                    self.asked += 1
                    status, _body = self.bundle.get(f"/static/{name}")
                    if status != 200:
                        self.lost.append(f"{name}: {status}")
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(str(error))
            time.sleep(0.3)


def test_hidden_files_and_links_are_not_served(bundle: Bundle) -> None:
    """A link is what it leads to, where that lies in the folder."""
    paths = (
        "/.env",
        "/%2eenv",
        "/.git",
        "/a/.htpasswd",
        "/a/../.env",
        "/out.py",
        "/up/bundle/main.py",
        # Of what out.py leads to.
        "/__pycache__/out.cpython-311.pyc",
        "/__pycache__/out.cpython-313.pyc",
        "/no",
    )
    statuses = {path: bundle.get(f"/static{path}")[0] for path in paths}
    assert statuses == dict.fromkeys(paths, 404)
    assert bundle.get("/static/same.txt") == (200, "1")
    assert bundle.get("/static/inside.txt") == (200, "1")
    answer = bundle.target.door.ask(DOMAIN, "/static/app.00000001.js")
    assert answer.headers["cache-control"].endswith("immutable")


def test_media_folder_that_becomes_a_link_serves_nothing(bundle: Bundle) -> None:
    """An app may swap it for a link to what nginx can read: logs, and the code of its neighbours."""
    user, data = "runuser -u asgi-bundle --", f"/var/lib/asgi/{NAME}"
    run = bundle.target.run
    run(f"{user} sh -c 'umask 022; echo own > {data}/media/own.txt; echo no > {data}/media/.own'")
    assert bundle.get("/media/own.txt") == (200, "own\n")
    assert bundle.get("/media/.own")[0] == 404
    log = "/var/log/nginx/asgi-victim.access.log"
    run(
        f"{user} ln -s {log} {data}/media/log; {user} ln -s own.txt {data}/media/link.txt; test -s {log} || echo x > {log}"
    )
    assert bundle.get("/media/link.txt") == (200, "own\n")
    assert bundle.get("/media/log")[0] == 403
    for elsewhere, asked in {
        "/var/log/nginx": "asgi-victim.access.log",
        "/srv/asgi/victim/current/src": "parcels/main.py",
        "/etc": "passwd",
    }.items():
        run(f"{user} sh -c 'cd {data} && mv -T media was && ln -s {elsewhere} media'")
        try:
            assert bundle.get(f"/media/{asked}")[0] in (403, 404), elsewhere
        finally:
            run(f"{user} sh -c 'cd {data} && rm media && mv -T was media'")
    assert bundle.get("/media/own.txt") == (200, "own\n")


def test_pages_from_before_five_switches_find_their_files(bundle: Bundle) -> None:
    """Three deploys, each of which prunes the release before the last, and two rollbacks."""
    workers = "pgrep -f 'nginx: worker process'"
    before = bundle.target.run(workers)
    browser = Browser(bundle)
    browser.start()
    try:
        for number, serves in ((2, "2"), (3, "3"), (0, "2"), (0, "3"), (4, "4")):
            if number:
                bundle.version(number)
                bundle.deploy()
            else:
                bundle.roll_back()
            assert bundle.get("/static/same.txt") == (200, serves)
    finally:
        browser.over.set()
        browser.join()
    assert browser.lost == []
    assert len(browser.pages) == 4
    there = bundle.target.run(f"ls /srv/asgi/{NAME}/releases").split()
    print(f"\n{browser.asked} files asked for, of {len(browser.pages)} pages; {len(there)} releases are left")
    assert len(there) < 4
    assert bundle.get("/static/app.ffffffff.js")[0] == 404
    assert bundle.get("/static/inside.txt") == (200, "4")
    assert bundle.target.run(workers) == before, "nginx was reloaded"
    # No copy of them: each file in the pool is one of a release, or the last name of one.
    links = bundle.target.run(f"stat -c '%h %n' /srv/asgi/{NAME}/static/static/app.00000004.js")
    assert links.startswith("2 ")
