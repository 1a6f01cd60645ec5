"""Background processes as units: the command line to the last sign, and who is told to end."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.module_utils import _apps
from ansible_collections.asgi.host.plugins.plugin_utils import _background, _settings
from ansible_collections.asgi.host.plugins.plugin_utils._render import render

HOST = {"cores": 2, "memory_mb": 2048}


def rendered(**keys: Any) -> tuple[dict[str, str], str]:
    """The units of an app's processes, and the drop-in of the app's own."""
    app = {"name": "shop", "app": "shop.main:app", "source": {"path": "../shop"}, **keys}
    full = _apps.normalize([app])[0]
    values: dict[str, Any] = {"app": full, "root": "/srv/asgi", "settings": _settings.derived(full, HOST)}
    return _background.unit_files(full, values), render("systemd/release.conf.j2", **values)


def settings(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^([A-Za-z]+)=(.*)$", text, re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("network", ["any", "local", "none"])
@pytest.mark.parametrize("server", ["gunicorn", "command"])
def test_runs_where_the_app_runs(network: str, server: str) -> None:
    files, app = rendered(
        server=server,
        command="./serve" if server == "command" else None,
        app_dir="code",
        credentials={"token": "x"},
        sandbox={"network": network, "memory_max": "512M", "writable_paths": ["/srv/exchange"]},
        processes=[{"name": "worker", "command": ["work"]}],
    )
    own, its = settings(files["worker"]), settings(app)
    differ = {name for name in own | its if own.get(name) != its.get(name)}
    assert differ - {"Environment"} == {
        # Of the unit, and of every unit of the app's.
        "After", "Description", "JoinsNamespaceOf", "Documentation", "LimitNOFILE", "OOMPolicy", "StartLimitIntervalSec", "UMask", "User", "Group",
        "StateDirectory", "SyslogIdentifier", "WantedBy",
        # Of its process.
        "ExecCondition", "ExecStart", "KillMode", "Restart", "RestartSec", "TimeoutStartSec", "TimeoutStopSec",
        "Type", "UnsetEnvironment",
    }  # fmt: skip
    # What servers read of their own accord.
    assert {each for each in its["Environment"] if not each.startswith("WEB_")} == set(own["Environment"])


def test_its_own_user_and_folder_are_those_of_the_unit_of_the_app() -> None:
    files, _drop_in = rendered(processes=[{"name": "worker", "command": ["work"]}])
    text = next(iter(files.values()))
    app = {"name": "shop", "user": "asgi-shop"}
    unit = settings(render("systemd/asgi-app@.service.j2", app=app, root="/srv/asgi"))
    for name in ("User", "Group", "UMask", "StateDirectory", "OOMPolicy", "Restart", "RestartSec"):
        assert settings(text)[name] == unit[name]


def test_instances_and_stop_timeouts() -> None:
    files, _drop_in = rendered(
        graceful_timeout=7,
        processes=[
            {"name": "worker", "command": ["work"], "instances": 3},
            {"name": "scheduler", "command": ["plan"], "stop_timeout": 90},
        ],
    )
    assert list(files) == ["worker", "worker.2", "worker.3", "scheduler"]
    assert [settings(text)["TimeoutStopSec"] for text in files.values()] == [["7"]] * 3 + [["90"]]
    assert settings(files["worker.2"])["SyslogIdentifier"] == ["asgi-shop.worker.2"]


def test_tokens_are_those_of_the_release() -> None:
    command = ["work", "--data={data}", "{source}/x", "{venv}", "{release}", "{domain}", "{other}"]
    files, _drop_in = rendered(
        processes=[{"name": "worker", "command": command}], domains=["shop.example.com"]
    )
    releases = "/srv/asgi/shop/releases/%i"
    words = ["work", "--data=/var/lib/asgi/shop", f"{releases}/src/x", f"{releases}/venv", releases]
    shown = " ".join(f'"{word}"' for word in [*words, "shop.example.com", "{other}"])
    assert settings(files["worker"])["ExecStart"] == [f":/usr/bin/env {shown}"]


def test_condition_names_the_release_and_its_trial() -> None:
    files, _drop_in = rendered(processes=[{"name": "worker", "command": ["work"]}])
    assert settings(files["worker"])["ExecCondition"] == [
        "/usr/bin/test /srv/asgi/shop/current -ef /srv/asgi/shop/releases/%i -o -e /run/asgi-shop@%i.trial"
    ]


@pytest.mark.parametrize(
    ("word", "written"),
    [
        ("plain", '"plain"'),
        ("", '""'),
        ('a "b" \\c', '"a \\"b\\" \\\\c"'),
        ("100%", '"100%%"'),
        ("$HOME", '"$HOME"'),
        ("one\ntwo\t", '"one\\x0atwo\\x09"'),
        ("für", '"für"'),
    ],
)
def test_word_of_a_unit_file(word: str, written: str) -> None:
    assert _background.systemd_word(word) == written


@pytest.mark.parametrize(
    "command",
    [
        "python -m shop.worker",
        "./work --name 'a; b' > {data}/log",
        'celery -A shop worker -n "$HOSTNAME"',
        "{venv}/bin/work",
        "work 2>&1",
    ],
)
def test_one_program_takes_the_place_of_the_shell(command: str) -> None:
    assert _background.started_as(command) == (["/bin/sh", "-c", f"exec {command}"], "mixed")


@pytest.mark.parametrize(
    "command",
    [
        "cd sub && python worker.py",
        "cd sub; python worker.py",
        "work | tee log",
        "work &",
        "NAME=value work",
        "exec work",
        "(work)",
        "echo $(work)",
        "echo `work`",
        "while true; do work; done",
        "work\nrest",
        "work 'and the quote",
        "trap : TERM",
    ],
)
def test_of_several_commands_all_are_told_to_end(command: str) -> None:
    assert _background.started_as(command) == (["/bin/sh", "-c", command], "control-group")


def test_list_is_no_business_of_the_shell() -> None:
    assert _background.started_as(["work", "a b"]) == (["/usr/bin/env", "work", "a b"], "mixed")


def test_nginx_waits_while_processes_are_tried_in_place() -> None:
    app = {"name": "shop", "app": "a:b", "source": {"path": "x"}, "strategy": "restart"}
    plain = _apps.normalize([app])[0]
    slow = {"name": "worker", "command": "work", "stop_timeout": 100}
    full = _apps.normalize([{**app, "processes": [slow]}])[0]
    assert _settings.read_timeout(full) - _settings.read_timeout(plain) == 12
