# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Shell commands as Dockerfiles, compose files, Procfiles and start scripts have them: taken apart, and what each is for."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from .project import Project

SERVERS = frozenset(
    {
        "uvicorn",
        "gunicorn",
        "hypercorn",
        "daphne",
        "granian",
        "fastapi",
        "litestar",
        "quart",
        "waitress-serve",
    }
)
# Another program that runs the rest of its arguments, with the number of words that it takes for itself.
WRAPPERS = {"exec": 0, "tini": 0, "dumb-init": 0, "ddtrace-run": 0, "opentelemetry-instrument": 0, "gosu": 1, "su-exec": 1,
            "newrelic-admin": 1, "nice": 0, "time": 0, "env": 0, "then": 0, "do": 0, "else": 0, "sudo": 0}  # fmt: skip
RUNNERS = frozenset({"poetry", "uv", "pdm", "pipenv", "hatch", "rye"})
SHELLS = frozenset({"sh", "bash", "ash", "dash", "zsh"})
ENTRY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*(?:\(.*\))?")
MIGRATIONS = re.compile(
    r"(?:alembic|aerich|yoyo)\s.*\b(?:upgrade|apply)\b|manage\.py (?:migrate|migrate_schemas|migrate_all)\b|"
    r"piccolo migrations forwards?|database upgrade\b"
)
BUILDS = re.compile(r"manage\.py (?:collectstatic|compilemessages|compress|tailwind build)\b")
DEPTH = 4


@dataclass(frozen=True)
class Command:
    """The words of one program's call, and where they stand."""

    words: tuple[str, ...]
    where: str
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def program(self) -> str:
        """The program's name without its folder."""
        return self.words[0].rpartition("/")[2]

    @property
    def text(self) -> str:
        """The call as a line of shell."""
        return " ".join(
            word if re.fullmatch(r"[\w@%+=:,./${}-]+", word) else shlex.quote(word) for word in self.words
        )

    @property
    def serves(self) -> bool:
        """Whether it starts a web server."""
        if self.program in ("fastapi", "litestar", "quart"):
            # Their tools do more than serve.
            return not {"run", "dev"}.isdisjoint(self.words) and "workers" not in self.words
        return self.program in SERVERS or "runserver" in self.words[:3]

    @property
    def migrates(self) -> bool:
        """Whether it brings a database up to date."""
        return bool(MIGRATIONS.search(self.text))

    @property
    def builds(self) -> bool:
        """Whether it makes files of a Django project."""
        return bool(BUILDS.search(self.text))


@dataclass
class Served:
    """What the call of a web server says of the app."""

    entry: str = ""
    """The import string."""
    path: str = ""
    """The file of the app, for `fastapi run`."""
    factory: bool = False
    app_dir: str = ""
    workers: int | None = None
    root_path: str = ""
    wsgi: bool = False
    rest: list[str] = field(default_factory=list)


def split(text: str, where: str, project: Project | None = None, depth: int = 0) -> list[Command]:
    """Every program's call in a text of shell, those in scripts of the project included."""
    found: list[Command] = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        for words in _calls(line):
            found += _resolve(words, where, project, depth)
    return found


def of_words(words: Sequence[str], where: str, project: Project | None = None) -> list[Command]:
    """The same of a list of words, as an exec form has them."""
    return _resolve([str(word) for word in words], where, project, 0) if words else []


def _calls(line: str) -> Iterator[list[str]]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    lexer.whitespace_split = True
    lexer.commenters = "#"
    words: list[str] = []
    try:
        for token in lexer:
            if token and set(token) <= set("();|&"):
                if words:
                    yield words
                words = []
            elif not set(token) <= set("<>"):
                words.append(token)
    except ValueError:
        return
    if words:
        yield words


def _resolve(words: list[str], where: str, project: Project | None, depth: int) -> list[Command]:
    words, variables = _bare(words)
    if not words:
        return []
    program = words[0].rpartition("/")[2]
    if program in SHELLS:
        rest = [word for word in words[1:] if not re.fullmatch(r"-[a-z]+", word)]
        if rest and any(re.fullmatch(r"-[a-z]*c", word) for word in words[1:3]):
            return split(rest[0], where, project, depth + 1) if depth < DEPTH else []
        words = rest or words
        program = words[0].rpartition("/")[2]
    script = _script(words[0], project)
    if script and project and depth < DEPTH:
        return split(project.text(script), script, project, depth + 1)
    return [Command(tuple(words), where, variables)]


def _bare(words: list[str]) -> tuple[list[str], tuple[tuple[str, str], ...]]:
    """The call without what runs it: variables before it, runners of tools, `python -m`."""
    variables: list[tuple[str, str]] = []
    while words:
        program = words[0].rpartition("/")[2]
        if match := re.fullmatch(r"([A-Za-z_]\w*)=(.*)", words[0], re.DOTALL):
            variables.append((match.group(1), match.group(2)))
            words = words[1:]
        elif program in WRAPPERS:
            words = words[1 + WRAPPERS[program] :]
            while words and words[0].startswith("-"):
                words = words[1:]
        elif program in RUNNERS and words[1:2] == ["run"]:
            words = _after_options(words[2:])
        elif (
            re.fullmatch(r"python[\d.]*|uvx", program)
            and words[1:2] == ["-m"]
            and words[2:3]
            and words[2] in SERVERS | {"alembic", "celery"}
        ):
            words = words[2:]
        elif program.startswith("python") and words[1:2] in (["-u"], ["-O"], ["-B"]):
            words = [words[0], *words[2:]]
        elif re.fullmatch(r"\./manage\.py|(?:.*/)?manage\.py", words[0]):
            return ["python", *words], tuple(variables)
        elif program.startswith("python3") or (program == "python" and program != words[0]):
            words = ["python", *words[1:]]
        else:
            break
    return words, tuple(variables)


def _after_options(words: list[str]) -> list[str]:
    """What a runner runs, behind options of its own."""
    with_value = {
        "--package",
        "--extra",
        "--group",
        "--directory",
        "--project",
        "--python",
        "-p",
        "--env-file",
        "--with",
        "--no-group",
    }
    while words and words[0].startswith("-"):
        words = words[2:] if words[0] in with_value else words[1:]
    return words


def _script(word: str, project: Project | None) -> str:
    """A script of the project that this word names, wherever its image has it."""
    if (
        project is None
        or not (word.endswith(".sh") or "/" in word or "." not in word)
        or word.startswith("-")
    ):
        return ""
    parts = [part for part in word.split("/") if part not in ("", ".", "..")]
    for start in range(len(parts)):
        tail = "/".join(parts[start:])
        if project.has(tail) and _is_shell(project.text(tail)):
            return tail
    same = (
        [path for path in project.files if parts and path.endswith(f"/{parts[-1]}")]
        if word.endswith(".sh")
        else []
    )
    return same[0] if len(same) == 1 else ""


def _is_shell(text: str) -> bool:
    return bool(re.match(r"#!.*\b(?:ba|da|a|z)?sh\b", text)) or text.lstrip().startswith(
        ("set -", "#", "exec ")
    )


def served(command: Command) -> Served:
    """What the call of a web server says."""
    words, found = list(command.words[1:]), Served()
    program = command.program
    if program == "fastapi" and words[:1] in (["run"], ["dev"]):
        words = words[1:]
    names = {"--workers": "workers", "-w": "workers", "--app-dir": "app_dir", "--chdir": "app_dir", "--root-path": "root_path",
             "--app": "app", "-A": "app", "-k": "kind", "--worker-class": "kind", "--interface": "kind", "-e": "app",
             "--entrypoint": "app"}  # fmt: skip
    given: dict[str, str] = {}
    number = 0
    while number < len(words):
        word, _sign, value = words[number].partition("=")
        if word in names:
            if not value and number + 1 < len(words):
                number += 1
                value = words[number]
            given[names[word]] = value
        elif word == "--factory":
            found.factory = True
        elif ENTRY.fullmatch(words[number]) and not found.entry:
            found.entry = words[number]
        elif word.endswith(".py") and program == "fastapi":
            found.path = word.removeprefix("./")
        number += 1
    if ENTRY.fullmatch(given.get("app", "")):
        found.entry = given["app"]
    found.app_dir = given.get("app_dir", "")
    found.root_path = given.get("root_path", "")
    workers = given.get("workers", "")
    found.workers = int(workers) if re.fullmatch(r"[1-9]\d?", workers) else None
    kind = given.get("kind", "")
    asynchronous = re.search(r"uvicorn|asgi", kind, re.IGNORECASE)
    found.wsgi = (program == "gunicorn" and not asynchronous) or program == "waitress-serve" or kind == "wsgi"
    return found
