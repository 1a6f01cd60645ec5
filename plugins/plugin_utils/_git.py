# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A git repository as the source of a release, fetched by the controller.

So the deploy key stays on the controller, hosts need neither git nor a way to the repository, and all hosts of a
run get the same commit: a version is resolved once a run, whatever the number of hosts.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ansible_collections.asgi.host.plugins.module_utils._private import without_passwords
from ansible_collections.asgi.host.plugins.module_utils._words import safe
from ansible_collections.asgi.host.plugins.plugin_utils._fleet import run_folder
from ansible_collections.asgi.host.plugins.plugin_utils._git_command import (
    DESCRIBE,
    SUBMODULE_GUARDS,
    command,
    environment,
)
from ansible_collections.asgi.host.plugins.plugin_utils._sources import (
    SourceError,
    UnreachableError,
    locate,
)

COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# The server of a repository that is reached by SSH, as both forms of an address begin.
SSH_ADDRESS = re.compile(
    r"ssh://(?:[^@/\s=]+@)?(?P<host>[\w.-]+)(?::\d+)?/|(?![a-z+]+://)(?:[^@/:\s=]+@)?(?P<name>[\w.-]+):"
)
ABBREVIATED = re.compile(r"[0-9a-f]{7,39}")
SSH = "ssh -o BatchMode=yes -o ConnectTimeout=15 -o StrictHostKeyChecking=accept-new"
# Without them git-lfs takes itself for not installed, and leaves its pointers.
LARGE_FILES = {
    "filter.lfs.clean": "git-lfs clean -- %f",
    "filter.lfs.smudge": "git-lfs smudge -- %f",
    "filter.lfs.process": "git-lfs filter-process",
}
# Seconds that one call of git may take; a clone of a large repository takes long.
LIMIT = 600
# Names that are shown to somebody who asked for one that is not there.
SHOWN = 10


class Repository:
    """One repository with its key. Raises SourceError for what goes wrong, without the secrets of its address."""

    def __init__(
        self, given: Mapping[str, str | None], bases: list[str], read_key: Callable[[str], bytes]
    ) -> None:
        self._address = _address(str(given["repo"]), bases)
        self.version = given.get("version") or "HEAD"
        self.shown = without_passwords(str(given["repo"]))
        name = hashlib.sha256(self._address.encode()).hexdigest()[:16]
        self._folder = run_folder() / f"git-{name}"
        # Nobody is there to answer a question; ssh would ask at the terminal and wait.
        self._env = {"GIT_SSH_COMMAND": SSH, **environment()}
        self._has_key = bool(given.get("key_file"))
        if given.get("key_file"):
            self._use_key(read_key(str(locate(str(given["key_file"]), bases))))

    def _use_key(self, content: bytes) -> None:
        """Copy the key: ssh refuses one that others can read, and one whose last line has no end."""
        key = self._folder.with_suffix(".key")
        if not key.exists():
            handle = os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(handle, "wb") as stream:
                stream.write(content.replace(b"\r\n", b"\n").rstrip(b"\n") + b"\n")
        self._env["GIT_SSH_COMMAND"] += f" -i {shlex.quote(str(key))} -o IdentitiesOnly=yes"

    def commit(self) -> str:
        """The full name of the commit that the version stands for. One that is given in full asks nobody."""
        return self._resolved()[0]

    def ref(self) -> str:
        """The branch or tag that the version is; empty for a commit."""
        return self._resolved()[1]

    def _resolved(self) -> tuple[str, str]:
        """The commit, and the branch or tag."""
        if COMMIT.fullmatch(self.version):
            return self.version, ""
        with self._locked():
            note = self._folder / f"asgi-{hashlib.sha256(self.version.encode()).hexdigest()[:16]}"
            if not note.exists():
                note.write_text("\n".join(self._resolve()), encoding="utf-8")
            commit, _sign, ref = note.read_text(encoding="utf-8").partition("\n")
            return commit, ref

    def _resolve(self) -> tuple[str, str]:
        listed = self._git("ls-remote", "--symref", self._address)
        pairs = [line.partition("\t") for line in listed.splitlines()]
        refs = {name: commit for commit, _sign, name in pairs if not commit.startswith("ref: ")}
        # Which branch HEAD is.
        meant = {name: ref.removeprefix("ref: ") for ref, _sign, name in pairs if ref.startswith("ref: ")}
        for name in (
            self.version,
            f"refs/tags/{self.version}^{{}}",  # an annotated tag's commit, before the tag itself
            f"refs/tags/{self.version}",
            f"refs/heads/{self.version}",
        ):
            if name in refs:
                return refs[name], _short(meant.get(name, name))
        if ABBREVIATED.fullmatch(self.version):
            self._fetch_all()
            try:
                return self._git("rev-parse", "--verify", "--quiet", f"{self.version}^{{commit}}").strip(), ""
            except SourceError:
                pass  # told below, with what there is
        names = [name.split("/", 2)[2] for name in refs if name.startswith(("refs/heads/", "refs/tags/"))]
        there = ", ".join([name for name in names if not name.endswith("^{}")][:SHOWN]) or "no branch or tag"
        raise SourceError(
            f"{self.shown} has no version {self.version}; give a branch, a tag or a commit (there are: {there})"
        )

    def checkout(self, commit: str) -> Path:
        """A folder with the files of a commit, submodules included; made once a run."""
        with self._locked():
            tree = self._folder / f"tree-{commit}"
            if tree.is_dir():
                return tree
            try:
                self._git("fetch", "--quiet", "--depth=1", self._address, commit)
            except SourceError:
                # A server may refuse to be asked for a commit that no name points to.
                self._fetch_all()
            try:
                self._git("cat-file", "-e", f"{commit}^{{commit}}")
            except SourceError:
                raise SourceError(
                    f"{self.shown} has no commit {commit}; give one that it has, or a branch or tag"
                ) from None
            part = tree.with_suffix(".part")
            # What a checkout left that did not come to its end: its submodules could not be fetched, say.
            shutil.rmtree(part, ignore_errors=True)
            self._git("worktree", "prune")
            self._git("worktree", "add", "--quiet", "--force", "--detach", str(part), commit)
            if (part / ".gitmodules").is_file():
                self._git("submodule", "update", "--quiet", "--init", "--recursive", "--depth=1", inside=part)
            part.rename(tree)
            return tree

    def bring_large_files(self, tree: Path) -> None:
        """Have Git LFS put the content of its files into a checkout, where the controller has git-lfs."""
        with self._locked():
            if self._has_large_files():
                self._git("lfs", "pull", "origin", inside=tree)

    def _has_large_files(self) -> bool:
        try:
            self._git("lfs", "version")
        except SourceError:
            return False
        return True

    def described(self, commit: str) -> tuple[str, str, bool]:
        """For a version: what git says of the nearest tag, ``NUMBER COMMIT`` of the commits, and that no file differs.

        The checkout has one commit alone; for this its history and the tags are fetched, once a run.
        """
        with self._locked():
            deeper = ["--unshallow"] if (self._folder / "shallow").exists() else []
            self._git("fetch", "--quiet", *deeper, self._address, commit, "+refs/tags/*:refs/tags/*")
            try:
                return self._git(*DESCRIBE, commit).strip(), "", False
            except SourceError:
                count = self._git("rev-list", "--count", commit).strip()
                return "", f"{count} {self._git('rev-parse', '--short', commit).strip()}", False

    def _fetch_all(self) -> None:
        self._git("fetch", "--quiet", "--force", self._address, "+refs/*:refs/asgi/*")

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One process of the run at a time; makes the empty repository for it."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        with (self._folder / "asgi.lock").open("w") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            if not (self._folder / "HEAD").exists():
                self._git("init", "--quiet", "--bare", str(self._folder))
                # What the relative addresses of submodules are relative to.
                self._git("config", "remote.origin.url", self._address)
            yield

    def _guards(self) -> dict[str, str]:
        """What holds for submodules; they may come without TLS where the repository itself does."""
        plain = {"protocol.http.allow": "always"} if self._address.startswith("http://") else {}
        return {**SUBMODULE_GUARDS, **plain, **(self._by_key() if self._has_key else {})}

    def _by_key(self) -> dict[str, str]:
        """Submodules that are on the repository's own server by HTTPS: by SSH, where the deploy key opens them."""
        found = SSH_ADDRESS.match(self._address)
        return {f"url.{found[0]}.insteadOf": f"https://{found['host'] or found['name']}/"} if found else {}

    def _settings(self, command: str) -> dict[str, str] | None:
        """The configuration of one of git's commands that needs some."""
        return {"submodule": self._guards(), "lfs": LARGE_FILES}.get(command)

    def _git(self, *argv: str, inside: Path | None = None) -> str:
        where = ["-C", str(inside)] if inside else [f"--git-dir={self._folder}"]
        try:
            done = subprocess.run(
                command(argv, where, self._settings(argv[0])),
                env=self._env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=LIMIT,
                check=False,
                encoding="utf-8",
                errors="replace",
            )
        except FileNotFoundError:
            raise SourceError("the controller has no git, which source.git needs; install it there") from None
        except subprocess.TimeoutExpired:
            raise UnreachableError(
                f"git took longer than {LIMIT} s for {self.shown}; is the server up?"
            ) from None
        if done.returncode:
            # A server's greeting as well.
            said = safe(without_passwords(done.stderr.strip())).replace(
                without_passwords(self._address), self.shown
            )
            raise UnreachableError(
                f"git could not read {self.shown}: {said}\nCheck source.git.repo, key_file, and that the server is up."
            )
        return done.stdout


def _short(ref: str) -> str:
    """The name of a branch or tag; empty for what is neither."""
    name = ref.removesuffix("^{}")
    return name.removeprefix("refs/heads/").removeprefix("refs/tags/") if name != "HEAD" else ""


def _address(repo: str, bases: list[str]) -> str:
    """What git is given: an address as it is, a folder of the controller with its whole path."""
    if "://" in repo or re.match(r"[^/]+:", repo):
        return repo
    return str(locate(repo, bases))
