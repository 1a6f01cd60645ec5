# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where an app's code comes from: each kind says what it is, and makes the one file that a host needs of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from ansible_collections.asgi.host.plugins.module_utils._private import without_passwords
from ansible_collections.asgi.host.plugins.module_utils._release.live import dependencies
from ansible_collections.asgi.host.plugins.module_utils._release.requirements import UnreadableError
from ansible_collections.asgi.host.plugins.plugin_utils import (
    _archives,
    _git,
    _sent,
    _sources,
    _versions_from_git,
)
from ansible_collections.asgi.host.plugins.plugin_utils._git_command import Checkout as GitCheckout

SourceError = _sources.SourceError


class Origin(Protocol):
    """One app's source. Both functions raise SourceError."""

    def describe(self) -> dict[str, Any]:
        """``kind`` (as the host treats it: tree, wheel or package), ``digest``, ``describe`` and ``version``."""

    def parcel(self, scratch: Path) -> Path | None:
        """The file to upload, made below ``scratch`` if need be; None where the host needs none."""

    def tree(self, scratch: Path) -> Path | None:
        """The folder with the source's files, made below ``scratch`` if need be; None where the controller has none."""

    def own_version(self, source: Mapping[str, Any], /) -> dict[str, str]:
        """``name`` and ``version`` of a project that has its version from git; ``source`` is the app's."""


def origin(
    app: Mapping[str, Any],
    bases: list[str],
    read_key: Callable[[str], bytes] = lambda path: Path(path).read_bytes(),
) -> Origin:
    """The origin of a normalized app. ``read_key`` gives a deploy key's content by its path."""
    given = app["source"]
    if app["reload"]:
        return Mount(given["mount"]) if given.get("mount") else LiveFolder(given, bases)
    if given.get("package"):
        return Packages(given["package"])
    if given.get("git"):
        repository = _git.Repository(given["git"], bases, read_key)
        return Checkout(repository, given["git"].get("folder"), given["exclude"])
    if given.get("image"):
        return image(given["image"], bases)
    if given.get("archive"):
        return Archive(given["archive"], bases, module=app["app"].partition(":")[0], app_dir=app["app_dir"])
    return Folder(given["path"], bases, given["include"], given["exclude"])


def not_sent(source: Origin) -> str:
    """That files of a folder are not sent, in words; empty where all are, and for every other source."""
    return source.not_sent() if isinstance(source, Folder) else ""


class Unasked:
    """The source of an app that goes back to an earlier release: it may be gone, or its server down."""

    def describe(self) -> dict[str, Any]:
        """Describe nothing."""
        return {"kind": "none", "digest": "", "describe": "", "version": ""}

    def parcel(self, scratch: Path) -> None:
        """Make nothing."""

    def tree(self, scratch: Path) -> None:
        """There is none."""

    def own_version(self, _source: Mapping[str, Any]) -> dict[str, str]:
        """There is none."""
        return {}


class Packages:
    """Requirements that the host installs from the index."""

    def __init__(self, packages: list[str]) -> None:
        self._packages = packages

    def describe(self) -> dict[str, Any]:
        """Describe it by its requirements; the version is known when they are resolved."""
        return {
            "kind": "package",
            "package": self._packages,
            "digest": hashlib.sha256(json.dumps(self._packages).encode()).hexdigest(),
            "describe": "package " + without_passwords(", ".join(self._packages)),
        }

    def parcel(self, scratch: Path) -> None:
        """Make nothing."""

    def tree(self, scratch: Path) -> None:
        """There is none."""

    def own_version(self, _source: Mapping[str, Any]) -> dict[str, str]:
        """There is none."""
        return {}


class Folder:
    """A folder on the controller, as it is at this moment."""

    def __init__(
        self, path: str, bases: list[str], include: Sequence[str] = (), exclude: Sequence[str] = ()
    ) -> None:
        self._folder = _sources.locate(path, bases)
        if not self._folder.is_dir():
            raise SourceError(f"{self._folder} is a file; give the folder that holds the app")
        self._selection = _sent.Selection(self._folder, include, exclude)

    def entries(self) -> list[tuple[str, Path]]:
        """The files that are sent. Raises SourceError, UnfitError for what no later try would mend."""
        found = self._selection.entries
        _sent.must_be_whole(found)
        return found

    def problems(self) -> list[str]:
        """Patterns to include that bring nothing, each with its key: what they name was not built yet, say."""
        return [
            f"source.include[{number}]: brings no file of {self._folder}; build what it names first, correct it, or name "
            "a database, a key or a .env file by its own name"
            for number in self._selection.unmatched()
        ]

    def not_sent(self) -> str:
        """What is left out though nobody excluded it, in words; empty where there is nothing."""
        return _sent.in_words(self._selection.left_out(), self._folder)

    def dockerfile(self, wanted: str | None) -> str:
        """The Dockerfile to build from, by its place in the folder. Raises SourceError where there is none."""
        names = [wanted] if wanted else ["Dockerfile", "Containerfile"]
        found = next((name for name in names if (self._folder / name).is_file()), None)
        if not found:
            raise SourceError(
                f"{self._folder} has no file {' or '.join(names)}; name the one that it has in source.image.dockerfile"
            )
        return found

    def describe(self) -> dict[str, Any]:
        """Describe it by its content, and by what git calls it."""
        return {
            "kind": "tree",
            "digest": _sources.digest(self.entries()),
            "describe": f"path {self._folder.name}",
            "version": _sources.version(self._folder),
        }

    def tree(self, _scratch: Path) -> Path:
        """The folder itself."""
        return self._folder

    def own_version(self, source: Mapping[str, Any]) -> dict[str, str]:
        """By the checkout that the folder is in."""
        name = _versions_from_git.name_of(self._folder, source)
        if name is None:
            return {}
        tag, commits, changed = GitCheckout(self._folder).described()
        version = _versions_from_git.version(tag, commits=commits, changed=changed)
        return {"name": name, "version": version} if version else {}

    def parcel(self, scratch: Path) -> Path:
        """Pack the folder."""
        return _packed(self.entries(), scratch)


class Context(Folder):
    """The folder of a Dockerfile: `.dockerignore` says what an image gets of it, and git nothing."""

    def entries(self) -> list[tuple[str, Path]]:
        """All but what any tool leaves behind."""
        return list(_sources.entries(self._folder))


class LiveFolder(Folder):
    """A folder on the controller that is sent to a live folder of the host whenever it changed."""

    def __init__(self, source: Mapping[str, Any], bases: list[str]) -> None:
        super().__init__(source["path"], bases, source["include"], source["exclude"])
        self._source = source

    def describe(self) -> dict[str, Any]:
        """Describe it by what decides its virtualenv alone; ``content`` stands for all of it."""
        known = super().describe()
        try:
            digest = dependencies(self._folder, self._source)
        except (UnreadableError, OSError) as error:
            raise SourceError(str(error)) from error
        return {
            **known,
            "digest": digest,
            "content": known["digest"],
            "describe": f"live {known['describe']}",
        }


class Mount:
    """A folder that is on the host."""

    def __init__(self, folder: str) -> None:
        self._mounted = folder

    def describe(self) -> dict[str, Any]:
        """Describe it by its name; what is in it shows on the host."""
        return {"kind": "tree", "digest": "", "describe": f"mount {self._mounted}", "version": ""}

    def parcel(self, scratch: Path) -> None:
        """Make nothing."""

    def tree(self, scratch: Path) -> None:
        """There is none."""

    def own_version(self, _source: Mapping[str, Any]) -> dict[str, str]:
        """There is none."""
        return {}


class Checkout:
    """A commit of a git repository, or a folder of it; without what patterns ``exclude``."""

    def __init__(
        self, repository: _git.Repository, folder: str | None = None, exclude: Sequence[str] = ()
    ) -> None:
        self._repository = repository
        self._folder, self._exclude = folder, list(exclude)

    def describe(self) -> dict[str, Any]:
        """Describe it by its commit."""
        commit = self._repository.commit()
        narrowed = json.dumps([self._folder, self._exclude]) if self._folder or self._exclude else ""
        within = f" {self._folder}" if self._folder else ""
        return {
            "kind": "tree",
            "digest": hashlib.sha256(f"git {commit}{narrowed}".encode()).hexdigest(),
            "describe": f"git {self._repository.shown} {self._repository.version}{within}",
            "version": commit,
            "ref": self._repository.ref(),
        }

    def tree(self, _scratch: Path) -> Path:
        """The folder with all that is committed. Raises SourceError where the commit has no such folder."""
        commit = self._repository.commit()
        tree = self._repository.checkout(commit)
        folder = tree / (self._folder or "")
        if not folder.is_dir() or not folder.resolve().is_relative_to(tree.resolve()):
            raise _sources.UnfitError(
                f"source.git.folder: {self._repository.shown} has no folder {self._folder} at {commit[:9]}; name one that it "
                "has"
            )
        return folder

    def own_version(self, source: Mapping[str, Any]) -> dict[str, str]:
        """By the repository's tags."""
        commit = self._repository.commit()
        name = _versions_from_git.name_of(self.tree(Path()), source)
        if name is None:
            return {}
        tag, commits, _changed = self._repository.described(commit)
        return {"name": name, "version": _versions_from_git.version(tag, commits=commits)}

    def parcel(self, scratch: Path) -> Path:
        """Pack all that is committed."""
        folder = self.tree(scratch)
        found = _sent.without(_sources.entries(folder, frozenset({".git"})), self._exclude)
        if _sent.pointers(found):
            self._repository.bring_large_files(self._repository.checkout(self._repository.commit()))
            _sent.must_be_whole(found)
        return _packed(found, scratch)


class Archive:
    """A tar, a zip or a wheel."""

    def __init__(self, archive: Mapping[str, Any], bases: list[str], *, module: str, app_dir: str) -> None:
        self._archive, self._bases = archive, bases
        self._module, self._app_dir = module.partition(".")[0], app_dir

    def describe(self) -> dict[str, Any]:
        """Describe it by its digest and name."""
        name, wheel = _archives.file_name(self._archive), _archives.wheel(self._archive)
        if name.endswith(".whl") and not wheel:
            raise SourceError(
                f"{name} is not the name of a wheel; give the file under the name that it was built with"
            )
        known: dict[str, Any] = {
            "kind": "wheel" if wheel else "tree",
            "digest": _archives.digest(self._archive, self._bases),
            "describe": f"archive {name}",
        }
        if wheel:
            return {**known, "wheel": name, "project": wheel["name"], "version": wheel["version"]}
        return {**known, "version": name.partition(".tar")[0].removesuffix(".zip").removesuffix(".tgz")}

    def parcel(self, scratch: Path) -> Path:
        """Give a wheel as it is; pack anew what an archive holds."""
        path = _archives.fetch(self._archive, self._bases)
        if _archives.wheel(self._archive):
            return path
        found = list(_sources.entries(self.tree(scratch)))
        _sent.must_be_whole(found)
        return _packed(found, scratch)

    def tree(self, scratch: Path) -> Path:
        """The folder with what an archive holds, unpacked below ``scratch``."""
        into = scratch / "unpacked"
        into.mkdir()
        path = _archives.fetch(self._archive, self._bases)
        return _archives.unpack(path, into, module=self._module, app_dir=self._app_dir)

    def own_version(self, _source: Mapping[str, Any]) -> dict[str, str]:
        """There is none: an archive has no repository."""
        return {}


def image(given: Mapping[str, Any], bases: list[str]) -> Origin:
    """The origin of an app in an image, by the one of its three kinds that is given."""
    if given["path"]:
        return BuiltImage(given, bases)
    return ImageFile(given, bases) if given["archive"] else NamedImage(given["name"])


class BuiltImage:
    """A folder with a Dockerfile, which the host builds."""

    def __init__(self, given: Mapping[str, Any], bases: list[str]) -> None:
        self._given = given
        self._folder = Context(given["path"], bases)

    def describe(self) -> dict[str, Any]:
        """Describe it by the folder's content and what the build is told. Raises SourceError without a Dockerfile."""
        folder = self._folder.describe()
        told = {key: self._given[key] for key in ("target", "build_args")}
        told["dockerfile"] = self._folder.dockerfile(self._given["dockerfile"])
        return {
            "kind": "image",
            "image": {"from": "build", **told},
            "digest": hashlib.sha256(
                json.dumps([folder["digest"], told], sort_keys=True).encode()
            ).hexdigest(),
            "describe": f"image of {folder['describe']}",
            "version": folder["version"],
        }

    def parcel(self, scratch: Path) -> Path:
        """Pack the folder."""
        return self._folder.parcel(scratch)

    def tree(self, scratch: Path) -> None:
        """There is none."""

    def own_version(self, _source: Mapping[str, Any]) -> dict[str, str]:
        """There is none."""
        return {}


class ImageFile:
    """An archive that docker save or podman save has written."""

    def __init__(self, given: Mapping[str, Any], bases: list[str]) -> None:
        self._path = _sources.locate(given["archive"], bases)
        self._sha256 = (given["sha256"] or "").lower()
        if not self._path.is_file():
            raise SourceError(f"{self._path} is no file; give what docker save or podman save has written")

    def describe(self) -> dict[str, Any]:
        """Describe it by its digest. Raises SourceError when that is another than was named."""
        with self._path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if self._sha256 not in ("", digest):
            raise SourceError(
                f"{self._path} has the digest {digest}, not {self._sha256}; correct sha256, or the file"
            )
        return {
            "kind": "image",
            "image": {"from": "archive"},
            "digest": digest,
            "describe": f"image archive {self._path.name}",
            "version": self._path.name.partition(".tar")[0],
        }

    def parcel(self, _scratch: Path) -> Path:
        """Give it as it is."""
        return self._path

    def tree(self, scratch: Path) -> None:
        """There is none."""

    def own_version(self, _source: Mapping[str, Any]) -> dict[str, str]:
        """There is none."""
        return {}


class NamedImage:
    """An image in a registry, which the host asks."""

    def __init__(self, name: str) -> None:
        self._name = name

    def describe(self) -> dict[str, Any]:
        """Describe it by its name; what a tag stands for the host finds out."""
        name, _sign, digest = self._name.partition("@sha256:")
        tag = name.rpartition("/")[2].partition(":")[2]
        return {
            "kind": "image",
            "image": {"from": "registry", "name": self._name, "pinned": bool(digest)},
            "digest": hashlib.sha256(self._name.encode()).hexdigest(),
            "describe": f"image {self._name}",
            "version": tag or digest[:12],
        }

    def parcel(self, scratch: Path) -> None:
        """Make nothing."""

    def tree(self, scratch: Path) -> None:
        """There is none."""

    def own_version(self, _source: Mapping[str, Any]) -> dict[str, str]:
        """There is none."""
        return {}


def _packed(found: _sources.Entries, scratch: Path) -> Path:
    archive = scratch / "source.tar.gz"
    _sources.pack(found, archive)
    return archive
