"""The ecosystem's checks of a collection, each in the place and form that it asks for.

``sanity`` is ansible-test sanity, ``importer`` is galaxy-importer, which Galaxy itself asks, ``docs`` is antsibull-docs.
Run it with the Python of ``.cache/checks``, which `tools/setup checks` makes.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from ansible import release as ansible_release

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
WORK = ROOT / ".cache" / "checks-work"
# A line of `pip config list`.
SETTING = re.compile(r"^[\w:]+\.([\w-]+)=('.*')$", re.MULTILINE)
# What galaxy-importer says is not as it must be; its exit status tells of broken tarballs alone.
FINDING = re.compile(r"^(WARNING|ERROR|CRITICAL): ", re.MULTILINE)
COMPLETE = "Importer processing completed successfully"
# Its ansible-lint, by its own options.
SKIPPED = "yaml,var-naming,avoid-dot-notation,import-task-no-when,single-entry-point,use-loop"
AS_GALAXY_LINTS = (
    "ansible-lint",
    "--profile",
    "production",
    "--strict",
    "--nocolor",
    "--offline",
    "-x",
    SKIPPED,
)
# ansible-test fills its virtualenvs with this version of pip, by a script that it downloads.
PIP = re.compile(r"^ +pip='([\d.]+)',$", re.MULTILINE)
# What stands in for it comes from where this machine has its packages. It brings a newer pip, for older ones heed no
# hashes of constraints.
GET_PIP = '''"""Install pip into the virtualenv that runs this."""

import subprocess
import sys

pip = [{python!r}, "-m", "pip", "--python", sys.executable]
sys.exit(subprocess.call([*pip, "install", "--quiet", "--disable-pip-version-check", {pip!r}]))
'''


class CheckError(Exception):
    """A check could not be made."""


def copy(target: Path) -> None:
    """Copy the project's files to ``target``, anew: those of git, and new ones that it does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    shutil.rmtree(target, ignore_errors=True)
    for name in filter(None, listed.split("\0")):
        source, place = ROOT / name, target / name
        if source.is_symlink() or source.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, place, follow_symlinks=False)


def repository(target: Path) -> None:
    """Copy the project, as a repository: tools that ask git would hear of the one around it, which ignores the copy."""
    copy(target)
    subprocess.run(["git", "init", "--quiet"], cwd=target, check=True)


def environment() -> dict[str, str]:
    """Return the environment in which tools find one another."""
    return {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


def call(argv: Sequence[str], folder: Path, env: Mapping[str, str] | None = None) -> int:
    """Run one of the tools of ``.cache/checks``; its exit status."""
    return subprocess.call([str(BIN / argv[0]), *argv[1:]], cwd=folder, env=environment() | dict(env or {}))


def requirements_of_ansible_test() -> Path:
    """The file of ansible-test that says which pip it wants."""
    installed = Path(ansible_release.__file__).parents[1]
    return installed / "ansible_test" / "_internal" / "python_requirements.py"


def home_of_ansible_test() -> Path:
    """Make the home in which ansible-test has its virtualenvs, filled by this machine's pip with what the lock has.

    ansible-test hands its HOME to pip, and no other variable that steers it.
    """
    core = ".".join(ansible_release.__version__.split(".")[:2])
    lock = ROOT / "requirements" / f"sanity-{core}.txt"
    if not lock.is_file():
        raise CheckError(f"there is no {lock.relative_to(ROOT)}: run `make update`")
    home = WORK / "home"
    pip = [sys.executable, "-m", "pip"]
    said = subprocess.run([*pip, "config", "list"], stdout=subprocess.PIPE, text=True, check=True).stdout
    settings = {key: " ".join(ast.literal_eval(value).split()) for key, value in SETTING.findall(said)}
    settings["constraint"] = str(lock)
    config = home / ".config" / "pip" / "pip.conf"
    config.parent.mkdir(parents=True, exist_ok=True)
    lines = ["[global]", *(f"{key} = {value}" for key, value in settings.items())]
    config.write_text("\n".join([*lines, ""]), encoding="utf-8")
    cache = home / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    source = requirements_of_ansible_test().read_text(encoding="utf-8")
    script = GET_PIP.format(python=sys.executable, pip=f"pip=={metadata.version('pip')}")
    for version in PIP.findall(source):
        (cache / f"get_pip_{version.replace('.', '_')}.py").write_text(script, encoding="utf-8")
    return home


def sanity(wanted: Sequence[str]) -> int:
    """Run ansible-test sanity, all of it or some of its tests, on the whole project."""
    collection = WORK / "sanity" / "ansible_collections" / "asgi" / "host"
    repository(collection)
    # The link by which a clone finds itself has no use there, and ansible-test refuses links to folders.
    shutil.rmtree(collection / "collections")
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    argv = ["ansible-test", "sanity", "--python", python, "--color", "no"]
    argv += [word for name in wanted for word in ("--test", name)]
    return call(argv, collection, {"HOME": str(home_of_ansible_test())})


def importer() -> int:
    """Build the tarball and hand it to galaxy-importer; each warning and error is a failure."""
    folder = WORK / "importer"
    copy(folder / "clone")
    build = ["ansible-galaxy", "collection", "build", "--force", "--output-path", ".."]
    if status := call(build, folder / "clone"):
        return status
    (tarball,) = folder.glob("*.tar.gz")
    # It gives ansible-lint three minutes, which are not enough on a busy machine.
    done = subprocess.run(
        [sys.executable, "-m", "galaxy_importer.main", tarball.name],
        cwd=folder,
        env={**environment(), "GALAXY_IMPORTER_RUN_ANSIBLE_LINT": "false"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    print(done.stdout, flush=True)
    found = len(FINDING.findall(done.stdout))
    print(f"galaxy-importer: {found} warnings and errors", flush=True)
    linted = folder / "ansible_collections" / "asgi" / "host"
    shutil.rmtree(linted, ignore_errors=True)
    with tarfile.open(tarball) as tar:
        tar.extractall(linted, filter="data")
    tarball.unlink()
    status = call(AS_GALAXY_LINTS, linted, {"ANSIBLE_COLLECTIONS_PATH": str(folder)})
    return int(status != 0 or done.returncode != 0 or found > 0 or COMPLETE not in done.stdout)


def docs() -> int:
    """Lint what ansible-doc shows of the plugins and the role; each line is a failure."""
    collections = WORK / "docs"
    collection = collections / "ansible_collections" / "asgi" / "host"
    repository(collection)
    argv = ["antsibull-docs", "lint-collection-docs", "--plugin-docs", str(collection)]
    return call(argv, collection, {"ANSIBLE_COLLECTIONS_PATH": str(collections)})


def main(argv: Sequence[str]) -> int:
    """Make one check; return 0 if it passed."""
    parser = argparse.ArgumentParser(prog="tools/checks.py", description=(__doc__ or "").splitlines()[0])
    checks = parser.add_subparsers(dest="check", required=True)
    one = checks.add_parser("sanity", help="ansible-test sanity")
    one.add_argument("tests", nargs="*", metavar="TEST", help="some of its tests; all without")
    checks.add_parser("importer", help="galaxy-importer on the built tarball")
    checks.add_parser("docs", help="antsibull-docs lint-collection-docs")
    one = checks.add_parser("copy", help="copy the project as a clone of it would be")
    one.add_argument("target", type=Path, metavar="FOLDER")
    chosen = parser.parse_args(argv)
    try:
        if chosen.check == "sanity":
            return sanity(chosen.tests)
        if chosen.check == "copy":
            copy(chosen.target)
            return 0
        return importer() if chosen.check == "importer" else docs()
    except CheckError as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
