"""What is shown of tracebacks: those of real apps on Debian's Python 3.11 and 3.13, and those that Python makes here."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.asgi.host.plugins.module_utils._release import tracebacks

REAL = Path(__file__).parent / "tracebacks"
CHAIN = "During handling of the above exception, another exception occurred:"


def real(name: str) -> str:
    return tracebacks.excerpt((REAL / f"{name}.txt").read_text(encoding="utf-8"))


@pytest.mark.parametrize("python", ["3.11", "3.13"])
@pytest.mark.parametrize("server", ["gunicorn", "uvicorn"])
def test_missing_setting_of_pydantic(server: str, python: str) -> None:
    text = real(f"pydantic-{server}-{python}")
    assert "pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings" in text
    assert text.count("payment_api_key") == 1
    assert '  File "src/main.py", line 10, in <module>\n    settings = Settings()\n' in text
    assert "frames of" in text
    assert "importlib" in text
    assert "2 frames of pydantic_settings, pydantic\n" in text
    assert len(text.splitlines()) < 15
    assert "Started" not in text
    assert "Worker exiting" not in text


@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_chain_of_django_is_whole(python: str) -> None:
    text = real(f"django-gunicorn-{python}")
    assert text.count(CHAIN) == 2
    parts = ["No module named 'psycopg'", "No module named 'psycopg2'", 'File "src/site1/asgi.py", line 6']
    places = [
        text.index(part) for part in [*parts, "ImproperlyConfigured: Error loading psycopg2 or psycopg"]
    ]
    assert places == sorted(places)
    assert "… 22 frames of django, importlib" in text
    assert len(text.splitlines()) < 22


def made(folder: Path, code: str, *, journal: bool = True) -> str:
    """What Python says of a module below a release's source; the journal drops empty lines."""
    source = folder / "shop" / "releases" / "20261130T072020-f67cba" / "src"
    source.mkdir(parents=True, exist_ok=True)
    (source / "main.py").write_text(code)
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {str(source)!r}); import importlib; importlib.import_module('main')",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = done.stderr.splitlines()
    return "\n".join(line for line in lines if line.strip() or not journal)


@pytest.mark.parametrize("journal", [True, False])
def test_direct_cause(tmp_path: Path, journal: bool) -> None:
    code = "try:\n    {}['a']\nexcept KeyError as error:\n    raise RuntimeError('no a') from error\n"
    text = tracebacks.excerpt(made(tmp_path, code, journal=journal))
    assert (
        "KeyError: 'a'\nThe above exception was the direct cause of the following exception:\nTraceback"
        in text
    )
    assert text.splitlines()[-1] == "RuntimeError: no a"
    assert 'main.py", line 4' in text


@pytest.mark.parametrize("journal", [True, False])
def test_group_of_exceptions(tmp_path: Path, journal: bool) -> None:
    code = (
        "def one():\n    raise ValueError('first\\nof two lines')\n\n"
        "found = []\nfor each in (one, lambda: {}['b']):\n    try:\n        each()\n"
        "    except Exception as error:\n        found.append(error)\n"
        "raise ExceptionGroup('two of them', found)\n"
    )
    text = tracebacks.excerpt(made(tmp_path, code, journal=journal))
    for words in (
        "ExceptionGroup: two of them (2 sub-exceptions)",
        "| ValueError: first",
        "\nof two lines\n",
        "| KeyError: 'b'",
    ):
        assert words in text, text
    assert 'main.py", line 2, in one' in text
    assert "importlib" in text


def test_syntax_error_with_its_caret(tmp_path: Path) -> None:
    text = tracebacks.excerpt(made(tmp_path, "x = 1\ndef broken(:\n    pass\n"))
    assert 'main.py", line 2\n    def broken(:\n' in text
    assert "^" in text
    assert text.splitlines()[-1].startswith("SyntaxError: ")


def test_deep_recursion_is_short(tmp_path: Path) -> None:
    code = "def down(n):\n    return up(n)\n\ndef up(n):\n    if not n:\n        raise RuntimeError('deep')\n    return down(n - 1)\n\ndown(60)\n"
    text = tracebacks.excerpt(made(tmp_path, code))
    assert "frames of the app" in text
    assert text.splitlines()[-1] == "RuntimeError: deep"
    assert len(text.splitlines()) < 45


def test_what_every_worker_says_is_shown_once_and_what_differs_as_well() -> None:
    one = 'Traceback (most recent call last):\n  File "/srv/x.py", line 1, in <module>\n    a()\nValueError: {}\n'
    log = "[2026-11-30 07:20:42 +0000] [{}] [ERROR] Exception in worker process\n"
    same = tracebacks.excerpt("".join(log.format(pid) + one.format("bad") for pid in (1, 2, 3)))
    assert same.count("ValueError: bad") == 1
    both = tracebacks.excerpt(one.format("first") + one.format("second") + one.format("third"))
    assert "ValueError: first" in both
    assert "… 1 other error\n" in both
    assert "ValueError: third" in both


def test_gunicorns_own_end_is_no_cause() -> None:
    own = 'Traceback (most recent call last):\n  File "/srv/x.py", line 1, in <module>\n    a()\nValueError: bad\n'
    halt = (
        'Traceback (most recent call last):\n  File "/v/lib/python3.13/site-packages/gunicorn/arbiter.py", line 1, in run\n'
        "    a()\ngunicorn.errors.HaltServer: <HaltServer 'Worker failed to boot.' 3>\n"
    )
    assert "HaltServer" not in tracebacks.excerpt(halt + own + halt)


def test_app_that_is_installed_is_no_library() -> None:
    """A wheel or a package: its code lies among the libraries."""
    place = "/srv/asgi/shop/releases/20261130T072020-f67cba/venv/lib/python3.13/site-packages"
    text = tracebacks.excerpt(
        "Traceback (most recent call last):\n"
        f'  File "{place}/gunicorn/util.py", line 420, in import_app\n    mod = importlib.import_module(module)\n'
        '  File "/usr/lib/python3.13/importlib/__init__.py", line 88, in import_module\n    return x\n'
        f'  File "{place}/shop/main.py", line 3, in <module>\n    import settings\n'
        f'  File "{place}/pydantic/main.py", line 280, in __init__\n    validate()\n'
        "ValueError: bad\n"
    )
    assert 'site-packages/shop/main.py", line 3' in text
    assert "1 frame of pydantic" in text


def test_traceback_behind_words_of_a_log() -> None:
    text = tracebacks.excerpt(
        'ERROR:    Traceback (most recent call last):\n  File "/srv/a/src/main.py", line 5, in lifespan\n'
        "    raise RuntimeError('x')\nRuntimeError: x\nERROR:    Application startup failed. Exiting.\n"
    )
    assert text.splitlines()[-1] == "RuntimeError: x"


def test_no_traceback() -> None:
    assert tracebacks.excerpt("ERROR: nothing\nat all\n") == ""


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("|" + "-" * 48_000 + "x", id="a line of a group"),
        pytest.param("+" + "- " * 24_000 + "x", id="with spaces"),
        pytest.param("    " + "/" * 48_000, id="a path"),
        pytest.param('  File "' + "=/" * 24_000 + '", line 1, in f', id="paths"),
    ],
)
def test_long_lines_of_an_app_hold_nobody_up(line: str) -> None:
    """A line of 48 kB took minutes of root's time; an app may write a thousand of them."""
    own = '  File "/srv/asgi/a/releases/20261130T102020-acdce0/src/a.py", line 1, in f'
    text = f"Traceback (most recent call last):\n{own}\n{line}\nE: x\n{line}\n{line}"
    began = time.process_time()
    tracebacks.excerpt(f"{text}\n" * 5)
    tracebacks.excerpt("Traceback (most recent call last):\nE: x\n" + "word\n" * 20_001)
    assert time.process_time() - began < 5
