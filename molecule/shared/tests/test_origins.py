"""Where a release comes from: git, archives, wheels, locks, indexes; and what of it is refused."""

from __future__ import annotations

import base64
import functools
import hashlib
import http.server
import io
import json
import os
import re
import subprocess
import tarfile
import threading
import time
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playbook import play
from shop import APP, Shop
from targets import Target, hostvars

pytestmark = [pytest.mark.scenario("release"), pytest.mark.lane, pytest.mark.in_turn]

PASSWORD = "s3cr3t-of-the-index"
UV = "$(ls -d /usr/local/lib/asgi-host/uv-*/bin/uv)"
PIP = "/usr/share/python-wheels/pip-*.whl"
# What the app and its server need at run time, and for building a project.
NEEDED = ("gunicorn==27.0.1", "uvicorn[standard]==0.54.0", "uvicorn-worker==0.4.0", "fastapi", "humanize")


def git(folder: Path, *argv: str) -> str:
    """Run git as somebody."""
    who = ("-c", "user.name=Tester", "-c", "user.email=tester@example.com", "-c", "init.defaultBranch=main")
    return subprocess.run(
        ["git", "-C", str(folder), *who, *argv], check=True, capture_output=True, text=True
    ).stdout.strip()


def commit(shop: Shop) -> tuple[str, str]:
    """A new version of the code, committed; returns the commit and the version."""
    version = shop.new_version()
    if not (shop.source / ".git").exists():
        git(shop.source, "init", "--quiet")
    git(shop.source, "add", ".")
    git(shop.source, "commit", "--quiet", "-m", f"Version {version}")
    return git(shop.source, "rev-parse", "HEAD"), version


def ledger(shop: Shop) -> dict[str, Any]:
    return shop.target.release(APP)


def unchanged(shop: Shop, before: dict[str, Any]) -> None:
    """The same processes serve, and nothing of the attempt is left."""
    assert shop.answers()["release"] == before["release"]
    assert shop.running() == {before["release"]}
    assert not [name for name in shop.releases() if name > before["release"]]


# -- git -------------------------------------------------------------------------------------------------------


def test_git_branch_follows_its_commits(shop: Shop) -> None:
    first, version = commit(shop)
    source = {"git": {"repo": str(shop.source), "version": "main"}}
    shop.succeeded(shop.deploy(source=source))
    assert shop.answers()["version"] == version
    assert ledger(shop)["version"] == first
    shop.new_version()  # not committed: not what is deployed
    again = shop.succeeded(shop.deploy(source=source))
    assert again.changed(shop.target.name) == 0
    second, version = commit(shop)
    shop.succeeded(shop.deploy(source=source))
    assert shop.answers()["version"] == version
    assert ledger(shop)["version"] == second != first
    assert shop.target.run(f"ls -a /srv/asgi/{APP}/current/src | grep -c '^.git$' || true").strip() == "0"


@pytest.mark.parametrize("how", ["tag", "commit", "abbreviated"])
def test_git_version(shop: Shop, how: str) -> None:
    wanted, version = commit(shop)
    git(shop.source, "tag", "-a", "-m", "for a test", f"v{version}")
    commit(shop)
    name = {"tag": f"v{version}", "commit": wanted, "abbreviated": wanted[:10]}[how]
    shop.succeeded(shop.deploy(source={"git": {"repo": f"file://{shop.source}", "version": name}}))
    assert shop.answers()["version"] == version
    assert ledger(shop)["version"] == wanted


def test_git_without_that_version(shop: Shop) -> None:
    commit(shop)
    before = shop.answers()
    message = shop.failed(shop.deploy(source={"git": {"repo": str(shop.source), "version": "v99"}}))
    assert "has no version v99; give a branch, a tag or a commit (there are: main" in message
    unchanged(shop, before)


def test_git_down(shop: Shop) -> None:
    """What is deployed goes on serving; the failure names the repository, without the password in its address."""
    before = shop.answers()
    repo = f"http://deployer:{PASSWORD}@127.0.0.1:9/shop.git"
    run = shop.deploy(source={"git": {"repo": repo, "version": "main"}})
    message = shop.failed(run)
    assert "git could not read http://127.0.0.1:9/shop.git" in message
    assert "What served before serves as it did." in message
    assert PASSWORD not in run.output
    unchanged(shop, before)


@pytest.fixture(scope="module")
def forge() -> dict[str, Any]:
    """Another host, with git and an account that only a deploy key opens."""
    facts: dict[str, Any] = json.loads(Path(os.environ["ASGI_HOSTS_JSON"]).read_text())["client"]
    return facts


def on_forge(forge: dict[str, Any], script: str, stdin: bytes = b"") -> str:
    done = subprocess.run(
        ["ssh", "-F", forge["ssh_config"], forge["name"], script],
        input=stdin, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_git_by_deploy_key(
    shop: Shop, forge: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = f"-o UserKnownHostsFile={tmp_path}/known_hosts -o StrictHostKeyChecking=accept-new"
    monkeypatch.setenv("GIT_SSH_COMMAND", f"ssh -o BatchMode=yes {known}")
    wanted, version = commit(shop)
    key = tmp_path / "deploy_key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    key.chmod(0o644)  # as a checkout of an inventory leaves it
    git(shop.source, "bundle", "create", "--quiet", str(tmp_path / "all"), "--all")
    account = f"forge-{shop.target.name}"
    home = f"/home/{account}"
    on_forge(
        forge,
        "set -e; flock /run/forge sh -c 'command -v git || { apt-get -qq update; apt-get -qq install -y "
        "--no-install-recommends git; }' >/dev/null 2>&1;"
        f"id {account} >/dev/null 2>&1 || useradd --create-home --shell /usr/bin/git-shell {account}; rm -rf {home}/*;"
        f"cat > {home}/all; git clone --quiet --bare {home}/all {home}/shop.git; mkdir -p {home}/.ssh;"
        f"chown -R {account}: {home}; chmod 700 {home}/.ssh",
        (tmp_path / "all").read_bytes(),
    )
    keys = f"{home}/.ssh/authorized_keys"
    on_forge(forge, f"cat > {keys}; chown {account}: {keys}", key.with_suffix(".pub").read_bytes())
    address, port = forge["reach"]["ssh"]
    repo = f"ssh://{account}@{address}:{port}{home}/shop.git"
    before = shop.answers()
    closed = {"git": {"repo": repo, "version": "main"}}
    message = shop.failed(shop.deploy(source=closed))
    assert "Permission denied" in message
    assert "key_file" in message
    unchanged(shop, before)
    opened = {"git": {**closed["git"], "key_file": str(key)}}
    shop.succeeded(shop.deploy(source=opened))
    assert shop.answers()["version"] == version
    assert ledger(shop)["version"] == wanted
    secret = key.read_text().splitlines()[1]
    assert not shop.target.run(f"grep -rIlF {secret} /srv/asgi /etc/asgi /root 2>/dev/null || true")


# -- archives and wheels ---------------------------------------------------------------------------------------


def archive(shop: Shop, path: Path, top: str = "") -> Path:
    """Pack the source below a folder ``top``."""
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as packed:
            for file in sorted(shop.source.rglob("*")):
                if file.is_file() and ".git" not in file.parts:
                    packed.write(file, Path(top) / file.relative_to(shop.source))
    else:
        with tarfile.open(path, "w:gz") as tar:
            tar.add(shop.source, top or ".", filter=lambda item: None if "/.git" in item.name else item)
    return path


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def served(folder: Path, password: str = "", address: str = "127.0.0.1") -> Iterator[str]:
    """A web server on a folder, which asks for a password if there is one."""
    wanted = "Basic " + base64.b64encode(f"bot:{password}".encode()).decode()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if password and self.headers.get("Authorization") != wanted:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="index"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            super().do_GET()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer((address, 0), functools.partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield str(server.server_port)
    finally:
        server.shutdown()


@pytest.mark.parametrize(("name", "top"), [("shop-3.1.tar.gz", "shop-3.1"), ("shop-3.1.zip", "")])
def test_archive(shop: Shop, tmp_path: Path, name: str, top: str) -> None:
    version = shop.new_version()
    path = archive(shop, tmp_path / name, top)
    with served(tmp_path) as port:
        url = f"http://127.0.0.1:{port}/{name}"
        shop.succeeded(shop.deploy(source={"archive": {"url": url, "sha256": sha256(path)}}))
        assert shop.answers()["version"] == version
        assert ledger(shop)["version"] == "shop-3.1"
        again = shop.deploy(source={"archive": {"url": url, "sha256": sha256(path)}})
        assert shop.succeeded(again).changed(shop.target.name) == 0
    # The server is gone: a host that is as wanted does not ask for it.
    shop.succeeded(shop.deploy(source={"archive": {"url": url, "sha256": sha256(path)}}))


def test_archive_with_another_digest(shop: Shop, tmp_path: Path) -> None:
    before = shop.answers()
    archive(shop, tmp_path / "shop-3.2.tar.gz")
    with served(tmp_path) as port:
        source = {"archive": {"url": f"http://127.0.0.1:{port}/shop-3.2.tar.gz", "sha256": "0" * 64}}
        message = shop.failed(shop.deploy(source=source))
    assert f"has the SHA-256 {sha256(tmp_path / 'shop-3.2.tar.gz')}, not {'0' * 64}" in message
    unchanged(shop, before)


def test_archive_that_climbs(shop: Shop, tmp_path: Path) -> None:
    before = shop.answers()
    path = archive(shop, tmp_path / "shop-3.3.tar.gz")
    with tarfile.open(path, "w:gz") as tar:
        tar.add(shop.source / APP, APP)
        member = tarfile.TarInfo("../../etc/cron.d/evil")
        tar.addfile(member, io.BytesIO(b""))
    message = shop.failed(shop.deploy(source={"archive": {"path": str(path)}}))
    assert "leads out of it" in message
    unchanged(shop, before)


def build_wheel(folder: Path, version: str, package: Path) -> Path:
    """A wheel of the app as its build backend would make it, with an extra."""
    info = f"parcels-{version}.dist-info"
    files = {f"{APP}/{path.name}": path.read_bytes() for path in sorted(package.glob("*.py"))}
    files[f"{info}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: parcels\nVersion: {version}\nRequires-Dist: fastapi>=0.115\n"
        "Provides-Extra: human\nRequires-Dist: humanize; extra == 'human'\n"
    ).encode()
    files[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = "".join(
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}\n"
        for name, data in files.items()
    )
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    path = folder / f"parcels-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return path


def test_wheel(shop: Shop, tmp_path: Path) -> None:
    version = shop.new_version()
    wheel = build_wheel(tmp_path, f"{version}.0", shop.source / APP)
    source = {"archive": {"path": str(wheel)}, "extras": ["human"]}
    shop.succeeded(shop.deploy(source=source))
    seen = shop.answers()
    assert seen["version"] == version
    assert seen["humanize"]
    assert ledger(shop)["version"] == f"{version}.0"
    assert shop.succeeded(shop.deploy(source=source)).changed(shop.target.name) == 0


# -- locks, hashes, extras and groups ----------------------------------------------------------------------------


PROJECT = """\
[project]
name = "shop-project"
version = "1.0"
requires-python = "{python}"
dependencies = ["fastapi>=0.115"]

[project.optional-dependencies]
human = ["humanize==4.12.0"]

[dependency-groups]
ops = ["humanize==4.11.0"]
dev = ["ruff"]

[tool.uv]
conflicts = [[{{extra = "human"}}, {{group = "ops"}}]]
"""


@pytest.fixture
def project(shop: Shop) -> Iterator[Shop]:
    """The source as a project without requirements.txt."""
    kept = (shop.source / "requirements.txt").read_bytes()
    (shop.source / "requirements.txt").unlink()
    (shop.source / "pyproject.toml").write_text(PROJECT.format(python=">=3.11"))
    yield shop
    for name in ("pyproject.toml", "uv.lock"):
        (shop.source / name).unlink(missing_ok=True)
    (shop.source / "requirements.txt").write_bytes(kept)


def environment(target: Target) -> str:
    """What uv and pip need on a host beside a mirror of its own."""
    index = hostvars()[target.name].get("asgi_host_package_index", "")
    words = "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt PIP_CERT=/etc/ssl/certs/ca-certificates.crt"
    return f"{words} UV_DEFAULT_INDEX={index} PIP_INDEX_URL={index}" if index else words


def lock(shop: Shop) -> None:
    """Make uv.lock: with the host's uv, for it holds the index that it was made with."""
    text = shop.target.run(
        f"d=$(mktemp -d); cat > $d/pyproject.toml; {environment(shop.target)} {UV} lock --quiet --no-config --project=$d "
        "--no-cache >&2; cat $d/uv.lock; rm -r $d",
        stdin=(shop.source / "pyproject.toml").read_text(),
    )
    (shop.source / "uv.lock").write_text(text)


@pytest.mark.parametrize("locked", [True, False], ids=["uv.lock", "pyproject.toml"])
def test_project_with_extras_and_groups(project: Shop, locked: bool) -> None:
    if locked:
        lock(project)
    version = project.new_version()
    plain = {"path": str(project.source)}
    project.succeeded(project.deploy(source=plain))
    assert project.answers()["version"] == version
    assert project.answers()["humanize"] is None
    for keys, expected in (({"extras": ["human"]}, "4.12.0"), ({"groups": ["ops"]}, "4.11.0")):
        project.succeeded(project.deploy(source={**plain, **keys}))
        assert project.answers()["humanize"] == expected


def test_lock_that_does_not_fit_the_interpreter(project: Shop) -> None:
    before = project.answers()
    lock(project)
    for path in (project.source / "uv.lock", project.source / "pyproject.toml"):
        text = re.sub(
            r'^requires-python = ".*"', 'requires-python = ">=3.14"', path.read_text(), flags=re.MULTILINE
        )
        path.write_text(text)
    message = project.failed(project.deploy(source={"path": str(project.source)}))
    assert (
        "python: the project is for Python >=3.14 (requires-python of uv.lock), and the app would run on 3."
        in message
    )
    assert 'python: "3.14" and asgi_host_python_mirror' in message
    unchanged(project, before)


def as_of_poetry(lock: str, **other: str) -> str:
    """A poetry.lock with what a uv.lock holds; of the projects in ``other`` another version, without hashes."""
    text = ""
    for package in tomllib.loads(lock)["package"]:
        name = package["name"]
        if "registry" not in package["source"] or f'name = "{name}"' in text:
            continue
        files = [] if name in other else [file["hash"] for file in package["wheels"]]
        listed = ", ".join(f'{{hash = "{each}"}}' for each in files)
        version = other.get(name, package["version"])
        text += f'[[package]]\nname = "{name}"\nversion = "{version}"\nfiles = [{listed}]\n'
    return text


def test_lock_of_another_tool(project: Shop) -> None:
    """What poetry.lock says is installed, and one that is older than its project is refused."""
    lock(project)
    path = project.source / "poetry.lock"
    path.write_text(as_of_poetry((project.source / "uv.lock").read_text(), idna="3.10"))
    (project.source / "uv.lock").unlink()
    source = {"path": str(project.source)}
    try:
        version = project.new_version()
        project.succeeded(project.deploy(source=source))
        before = project.answers()
        assert before["version"] == version
        assert "idna==3.10\n" in project.target.run(f"cat /srv/asgi/{APP}/current/requirements.lock")
        path.write_text(path.read_text().replace('"fastapi"', '"another"'))
        message = project.failed(project.deploy(source=source))
        assert "poetry.lock is older than pyproject.toml: it does not know the dependency fastapi" in message
        unchanged(project, before)
    finally:
        path.unlink()


def test_hashes_of_requirements_are_enforced(shop: Shop) -> None:
    before = shop.answers()
    path = shop.source / "requirements.txt"
    kept = path.read_text()
    start = kept.index("starlette==")
    broken = kept[:start] + re.sub(r"sha256:[0-9a-f]{64}", f"sha256:{'1' * 64}", kept[start:], count=2)
    path.write_text(broken)
    try:
        message = shop.failed(shop.deploy())
    finally:
        path.write_text(kept)
    assert "hash" in message.lower()
    assert "starlette" in message
    unchanged(shop, before)


def test_source_without_the_module(shop: Shop) -> None:
    before = shop.answers()
    message = shop.failed(shop.deploy(app="shop.main:app"))
    assert "neither the source nor what it installs has a module shop" in message
    assert "the source has: parcels" in message
    unchanged(shop, before)


def test_hook_that_is_not_executable(shop: Shop) -> None:
    before = shop.answers()
    (shop.source / "prepare.sh").write_text("#!/bin/sh\ntrue\n")
    try:
        message = shop.failed(shop.deploy(hooks={"build": ["./prepare.sh"]}))
    finally:
        (shop.source / "prepare.sh").unlink()
    assert "prepare.sh" in message
    assert "chmod +x" in message
    unchanged(shop, before)


# -- indexes -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheels(shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels that the app needs on this host, uv included."""
    folder = tmp_path_factory.mktemp("wheels")
    packed = shop.target.run(
        f"d=$(mktemp -d); python=$(dirname {UV})/python; export PYTHONPATH=$(echo {PIP}); {environment(shop.target)} $python -m pip download --quiet "
        f"--disable-pip-version-check --only-binary=:all: --dest=$d {' '.join(NEEDED)} >&2; "
        f"{environment(shop.target)} $python -m pip download --quiet --disable-pip-version-check --no-deps --dest=$d "
        "--requirement=/usr/local/lib/asgi-host/uv-requirements.txt >&2; tar -C $d -c . | base64; rm -r $d"
    )
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(packed))) as tar:
        tar.extractall(folder, filter="data")
    return folder


def simple_index(wheels: Path, folder: Path) -> None:
    """The pages of an index for a folder of wheels (PEP 503)."""
    projects: dict[str, list[Path]] = {}
    for path in wheels.glob("*.whl"):
        projects.setdefault(re.sub(r"[-_.]+", "-", path.name.partition("-")[0]).lower(), []).append(path)
    for name, files in projects.items():
        page = folder / "simple" / name
        page.mkdir(parents=True)
        links = [f'<a href="{path.name}#sha256={sha256(path)}">{path.name}</a><br>' for path in files]
        (page / "index.html").write_text("<!DOCTYPE html><html><body>" + "\n".join(links) + "</body></html>")
        for path in files:
            (page / path.name).hardlink_to(path)


def plain_requirements(shop: Shop) -> None:
    (shop.source / "requirements.txt").write_text("fastapi\nhumanize\n")


@pytest.mark.in_turn(0)
def test_private_index(shop: Shop, wheels: Path, tmp_path: Path) -> None:
    """Its credentials are in no log, in no file of the host, and in no output of the play, however verbose."""
    simple_index(wheels, tmp_path)
    kept = (shop.source / "requirements.txt").read_text()
    plain_requirements(shop)
    version = shop.new_version()
    # A write sets a file's ctime, and nobody sets that back. The host is a container: it has this clock.
    since = f"-newerct @{time.time() - 2:.0f}"
    address = shop.target.door.source_address()
    shop.target.run("rm -rf /var/cache/private/asgi-build/*")
    before = shop.answers()
    try:
        with served(tmp_path, PASSWORD, "0.0.0.0") as port:
            inventory = shop.inventory(source={"path": str(shop.source)})
            text = json.loads(inventory.read_text())
            variables = text["asgi_hosts"]["hosts"][shop.target.name]
            variables["asgi_host_package_index"] = f"http://bot:wrong-{PASSWORD}@{address}:{port}/simple/"
            inventory.write_text(json.dumps(text))
            refused = play("-vvv", inventory=inventory, targets=[shop.target])
            message = shop.failed(refused)
            unchanged(shop, before)
            variables["asgi_host_package_index"] = f"http://bot:{PASSWORD}@{address}:{port}/simple/"
            inventory.write_text(json.dumps(text))
            run = shop.succeeded(play("-vvv", "--diff", inventory=inventory, targets=[shop.target]))
    finally:
        (shop.source / "requirements.txt").write_text(kept)
    assert "401" in message or "credentials" in message.lower() or "Unauthorized" in message, message
    assert shop.answers()["version"] == version
    assert PASSWORD not in refused.output
    assert PASSWORD not in run.output
    assert PASSWORD not in shop.target.run("journalctl --no-pager")
    places = "/srv /etc /var /root /tmp /run/asgi* /usr/local"
    search = f"find {places} -type f {since} -print0 2>/dev/null | xargs -0 -r grep -Il {{}} || true"
    assert "/requirements.lock" in shop.target.run(search.format("humanize=="))
    assert not shop.target.run(search.format(PASSWORD)).strip()


# Of the same wheels, which are brought once.
@pytest.mark.in_turn(0)
def test_wheels_with_no_index(shop: Shop, wheels: Path) -> None:
    """A host that reaches no index installs everything, uv included, from a folder of the controller."""
    kept = (shop.source / "requirements.txt").read_text()
    plain_requirements(shop)
    before = shop.answers()
    nowhere = ["-e", "asgi_host_package_index=", "-e", f"asgi_host_wheels={wheels}"]
    shop.target.run("rm -rf /var/cache/private/asgi-build/* /usr/local/lib/asgi-host/uv-*")
    version = shop.new_version()
    try:
        cut = shop.inventory(source={"path": str(shop.source)}, requirements=["humanize"])
        run = play(*nowhere, inventory=cut, targets=[shop.target])
        shop.succeeded(run)
        assert shop.answers()["version"] == version
        again = shop.succeeded(play("-vvv", *nowhere, inventory=cut, targets=[shop.target]))
        assert again.changed(shop.target.name) == 0
        assert again.modules()["copy"] == 0
        served_by = shop.answers()
        missing = next(wheels.glob("humanize-*.whl"))
        missing.rename(wheels / "kept-aside")
        lacking = shop.inventory(source={"path": str(shop.source)}, requirements=["humanize>4"])
        message = shop.failed(play(*nowhere, inventory=lacking, targets=[shop.target]))
        assert "humanize" in message
        assert "asgi_host_wheels" in message
        unchanged(shop, served_by)
        (wheels / "kept-aside").rename(missing)
    finally:
        (shop.source / "requirements.txt").write_text(kept)
    assert before["release"] != served_by["release"]
    both = play(
        "-e", f"asgi_host_wheels={wheels}", "-e", "asgi_host_package_index=https://index.example/simple"
    )
    assert "are both set" in both.output


def test_wheels_without_uv(shop: Shop, tmp_path: Path) -> None:
    run = play("-e", "asgi_host_package_index=", "-e", f"asgi_host_wheels={tmp_path}", targets=[shop.target])
    assert "has no wheel of uv" in shop.failed(run)
