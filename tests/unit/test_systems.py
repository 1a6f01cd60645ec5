# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which systems the role takes, by what they have: refused before anything is changed, or named in a warning."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import known_systems
import pytest
from ansible_collections.asgi.host.plugins.module_utils import _apps, _host, _python, _systems
from ansible_collections.asgi.host.plugins.plugin_utils import _settings

PYTHON = {"path": "/usr/bin/python3", "version": "3.13.5"}
# What each supported release of Debian, the next one, and others of its kind have.
FORKY = {
    "distribution": "debian",
    "release": "",
    "codename": "forky",
    "versions": {"apt": "3.3.3", "systemd": "262", "OpenSSL": "3.6.5"},
    "python": {"path": "/usr/bin/python3", "version": "3.14.8"},
    "nginx": {"version": None, "candidate": "1.30.6"},
}
UBUNTU = {
    "distribution": "ubuntu",
    "release": "24.04",
    "codename": "noble",
    "versions": {"apt": "2.8.3", "systemd": "255.4", "OpenSSL": "3.0.13"},
    "python": {"path": "/usr/bin/python3", "version": "3.12.3"},
    "nginx": {"version": None, "candidate": "1.24.0"},
}
STATUS = """\
Package: apt
Status: install ok installed
Architecture: amd64
Version: 2.6.1

Package: systemd
Status: install ok installed
Architecture: amd64
Version: 252.39-1~deb12u2

Package: libssl1.1
Status: install ok installed
Architecture: amd64
Version: 1.1.1w-0+deb11u3

Package: libssl3t64
Status: install ok installed
Architecture: amd64
Version: 3.5.4-1~deb13u1

Package: libssl-dev
Status: install ok installed
Architecture: amd64
Version: 9.9.9-1
"""


def with_versions(**versions: str | None) -> dict[str, Any]:
    return {**UBUNTU, "versions": {**UBUNTU["versions"], **versions}}  # type: ignore[dict-item]


@pytest.mark.parametrize("system", [known_systems.BOOKWORM, known_systems.TRIXIE])
def test_tested_system_is_nothing_to_talk_about(system: dict[str, Any]) -> None:
    facts = {**system, "python": PYTHON, "nginx": {"version": None, "candidate": None}}
    assert _systems.problems(facts, proxy=True) == []
    assert _systems.warnings(facts) == []


def test_next_release_of_debian_is_a_preview() -> None:
    assert _systems.problems(FORKY, proxy=True) == []
    (warning,) = _systems.warnings(FORKY)
    assert warning.startswith("preview: only some of the role's tests run on debian forky;")


@pytest.mark.parametrize("facts", [UBUNTU, {**FORKY, "codename": "duke"}])
def test_other_system_that_lacks_nothing_is_taken_and_named_untested(facts: dict[str, Any]) -> None:
    assert _systems.problems(facts, proxy=True) == []
    (warning,) = _systems.warnings(facts)
    assert warning.startswith(f"untested: none of the role's tests runs on {facts['distribution']} ")


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (with_versions(apt="1.8.2.3"), "apt 1.9.11 or later (it has 1.8.2.3)"),
        (with_versions(systemd="247.3"), "systemd 248 or later (it has 247.3)"),
        (with_versions(systemd=None), "systemd 248 or later (it has none)"),
        (with_versions(OpenSSL="1.1.0"), "OpenSSL 1.1.1 or later (it has 1.1.0)"),
        ({**UBUNTU, "python": {**PYTHON, "version": "3.10.12"}}, "Python 3.11 or later (it has 3.10.12)"),
        ({**UBUNTU, "nginx": {"version": "1.18.0"}}, "nginx 1.19.10 or later (it has 1.18.0)"),
        (
            {**UBUNTU, "nginx": {"version": None, "candidate": "1.18.0"}},
            "nginx 1.19.10 or later (it has 1.18.0)",
        ),
        (
            {**UBUNTU, "nginx": {"version": None, "candidate": None}},
            "nginx 1.19.10 or later (it has none)",
        ),
        # A tested system of which a part is somebody's own.
        (
            {**known_systems.BOOKWORM, "python": PYTHON, "nginx": {"version": "1.18.0"}},
            "nginx 1.19.10 or later (it has 1.18.0)",
        ),
    ],
)
def test_what_is_too_old_is_named_with_what_is_needed(facts: dict[str, Any], words: str) -> None:
    (message,) = _systems.problems(facts, proxy=True)
    assert words in message
    assert f"the host runs {facts['distribution']}" in message
    assert "use a host with Debian 12 (bookworm) or 13 (trixie)" in message
    assert _apps.host_problems([], facts) == [message]


def test_least_version_itself_is_enough() -> None:
    least = {part: ".".join(map(str, numbers)) for part, numbers in _systems.LEAST.items()}
    facts = {
        **with_versions(**{part: least[part] for part in ("apt", "systemd", "OpenSSL")}),
        "python": {**PYTHON, "version": f"{least['Python']}.0"},
        "nginx": {"version": least["nginx"]},
    }
    assert _systems.problems(facts, proxy=True) == []


def test_all_that_lacks_is_one_message() -> None:
    facts = {**with_versions(systemd="247.3", apt="1.8.2"), "nginx": {"version": "1.14.2"}}
    (message,) = _systems.problems(facts, proxy=True)
    assert all(part in message for part in ("apt 1.9.11", "systemd 248", "nginx 1.19.10"))


def test_nginx_that_is_left_alone_may_be_any() -> None:
    facts = {**UBUNTU, "nginx": {"version": "1.14.2"}}
    assert _systems.problems(facts, proxy=False) == []


def test_system_without_apt_is_told_so_alone() -> None:
    versions = {"apt": None, "systemd": None, "OpenSSL": None}
    facts = {**UBUNTU, "distribution": "fedora", "release": "43", "versions": versions}
    (message,) = _systems.problems(facts, proxy=True)
    assert message.startswith("the host runs fedora 43, which has no apt")


def test_what_nginx_is_told_goes_by_versions_and_not_by_names() -> None:
    assert not _settings.http2_directive(UBUNTU)
    assert _settings.http2_directive(FORKY)
    assert not _systems.post_quantum(UBUNTU)
    assert _systems.post_quantum(FORKY)
    assert _systems.post_quantum(with_versions(OpenSSL="3.5.0"))
    assert not _systems.post_quantum(with_versions(OpenSSL="3.4.9"))


def test_versions_are_dpkgs(tmp_path: Path) -> None:
    status = tmp_path / "status"
    status.write_text(STATUS, encoding="utf-8")
    found = _host.versions(_host.installed(status))
    assert found == {"apt": "2.6.1", "systemd": "252.39", "OpenSSL": "3.5.4"}


def test_host_without_dpkg_has_no_versions(tmp_path: Path) -> None:
    found = _host.versions(_host.installed(tmp_path / "status"))
    assert set(found.values()) == {None}


def test_apt_is_asked_without_changing_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bare host has no lists: they are fetched to where they are away again. And a question alone writes a cache."""
    for name, script in {
        "apt-cache": f'echo "$*" >> {tmp_path}/log; case "$*" in *State*) echo "  Candidate: 1:1.30.6-2";; esac',
        "apt-get": f'echo "$*" >> {tmp_path}/log',
    }.items():
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert _host.candidate("nginx") == "1.30.6"
    calls = (tmp_path / "log").read_text(encoding="utf-8").splitlines()
    folder = Path(calls[1].partition("Dir::State::Lists=")[2].split()[0])
    assert len(calls) == 3
    assert all(f"-oDir::Cache={folder}" in call for call in calls)
    assert not folder.exists()


def test_interpreter_that_is_too_old_ends_the_module_in_words() -> None:
    assert _python.problem((3, 11, 0), "/usr/bin/python3") == ""
    assert _python.problem((3, 9, 2), "/usr/bin/python3.9") == (
        "the host's Python is 3.9.2 (/usr/bin/python3.9), and the role needs 3.11 or later; use a host with Debian 12 "
        "(bookworm) or 13 (trixie), or name a newer one of the host's in ansible_python_interpreter"
    )


def test_nothing_newer_loads_before_the_interpreter_is_looked_at() -> None:
    """What an older Python cannot import must come after that."""
    source = Path(_python.__file__).parents[1].joinpath("modules", "host.py").read_text(encoding="utf-8")
    ours = [line for line in source.splitlines() if line.startswith("from ansible_collections")]
    assert ours[0].split("#")[0].strip().endswith("import _python")
    old = "import sys; sys.version_info = (3, 9, 2, 'final', 0); "
    script = f"{old}exec(open({str(_python.__file__)!r}).read())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert '"failed": true' in done.stdout
