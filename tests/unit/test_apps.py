# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the list of apps may hold, its complete form, and what a host must have for it."""

from __future__ import annotations

import copy
import json
from typing import Any

import known_systems
import pytest
from ansible_collections.asgi.host.plugins.module_utils import _apps

SHOP: dict[str, Any] = {
    "name": "shop",
    "app": "shop.main:app",
    "source": {"path": "../shop"},
    "domains": ["shop.example.com"],
}
FACTS: dict[str, Any] = {
    **known_systems.BOOKWORM,
    "nginx": {"version": None},
    "python": {"path": "/usr/bin/python3", "version": "3.11.2"},
    "pythons": [
        {"path": "/usr/bin/python3.11", "version": "3.11.2"},
        {"path": "/usr/local/bin/python3.9", "version": "3.9.18"},
        {"path": "/usr/local/bin/python3.13", "version": "3.13.1"},
    ],
    "listeners": [{"port": 22, "process": "sshd"}, {"port": 80, "process": "nginx"}],
}


def full(**keys: Any) -> dict[str, Any]:
    return _apps.normalize([SHOP | keys])[0]


# Every value that interface.md gives as an example and this release has.
@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"app": 'shop.main:create_app("x")'},
        {"app": 'shop.main:create_app(["x"], debug=True, name="a b; {c}")'},
        {"app": "shop.main:site.app"},
        {"app": "shop:app", "factory": True},
        {"source": {"package": "datasette"}},
        {
            "source": {
                "package": [
                    "datasette[test]>=0.65,<2; python_version > '3.9'",
                    "x @ https://example.com/x.whl",
                ]
            }
        },
        {
            "source": {
                "path": "x",
                "requirements": "requirements/prod.txt",
                "extras": ["pg"],
                "groups": ["prod"],
            }
        },
        {"source": {"path": "x", "requirements": "{source}/requirements.txt"}},
        {"requirements": ["httpx", "django~=5.2"], "server_requirements": ["gunicorn<27"]},
        {
            "shared": [{"path": "uploads", "data": "uploads"}],
            "packages": ["libpq5", "libstdc++6"],
            "app_dir": "src",
        },
        {"python": "/usr/bin/python3.13"},
        {"python": "3.13"},
        {"python": 3.12},
        {"python": ">=3.12"},
        {"python": ">=3.11, <3.14,!=3.12.*"},
        {"server": "gunicorn", "workers": "auto", "timeout": 120, "graceful_timeout": 200},
        {"workers": "cores", "max_requests": 1000, "max_requests_jitter": 50, "reload": False},
        {"workers": 1},
        {"workers": "4"},
        {"env": {"A": "{data}", "B": 1, "C": True, "_d": 1.5, "PORT": 1, "E": "", "J": '{"a": {}}'}},
        {
            "secrets": {"KEY": "$ % ' \" # @ \n"},
            "credentials": {"token.json": "{}", "key": {"file": "keys/a.pem"}},
        },
        {
            "hooks": {
                "build": ["a b"],
                "migrate": [["a", "b"]],
                "after": [{"command": "x", "creates": "{data}/db"}],
            }
        },
        {"health": {"path": "/health", "status": 204, "timeout": 300, "text": "ok"}},
        {"health": [{"path": "/health?full=1"}, {"path": "/", "status": [200, 302]}]},
        {"domains": []},
        {"domains": ["*.example.com", "xn--bcher-kva.example.com", "localhost"], "root_path": "/shop/v1"},
        {"static": [{"url": "/static/", "path": "static"}, {"url": "/media/", "path": "{data}/media"}]},
        {"static": [{"url": "/a/", "path": "/srv/files"}]},
        {"tls": {"mode": "self_signed"}},
        {"tls": {"mode": "files", "files": {"certificate": "a.pem", "key": "a.key"}}},
        {"tls": {"files": {"certificate": "a.pem", "key": "a.key"}}},
        {"proxy": {"body_limit": "10m", "read_timeout": 60, "stream_paths": ["/events"], "http3": False}},
        {
            "proxy": {
                "body_limit": 0,
                "trusted_proxies": ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"],
                "extra": "a;\n",
            }
        },
        {"proxy": {"headers": {"Content-Security-Policy": "default-src 'self'; img-src *", "X-N": 1}}},
        {"sandbox": {"memory_deny_write_execute": False, "proc_subset": "all", "network": "local"}},
        {"sandbox": {"writable_paths": ["/var/spool/shop"], "memory_max": "512M", "allow_resources": True}},
        {"keep_releases": 1},
        {"state": "absent", "purge": True},
    ],
)
def test_valid(keys: dict[str, Any]) -> None:
    assert _apps.problems([SHOP | keys]) == []
    normal = _apps.normalize([SHOP | keys])
    json.dumps(normal)


def test_absent_needs_its_name_alone() -> None:
    gone = {"name": "old", "state": "absent"}
    assert _apps.problems([gone, SHOP]) == []
    assert _apps.normalize([gone]) == [{"name": "old", "state": "absent", "purge": False, "user": "asgi-old"}]
    assert len(_apps.problems([{"state": "absent", "purge": "perhaps", "nam": "x"}])) == 3


def test_absent_app_leaves_its_domain() -> None:
    assert _apps.problems([SHOP, SHOP | {"name": "old", "state": "absent"}]) == []


def test_shared_domain() -> None:
    blog = SHOP | {"name": "blog", "root_path": "/blog"}
    assert _apps.problems([SHOP, blog]) == []
    files = {"files": {"certificate": "a", "key": "b"}}
    assert "tls: differs" in _apps.problems([SHOP, blog | {"tls": files}])[0]
    static = {"static": [{"url": "/s/", "path": "s"}]}
    # Each below its own mount point.
    assert _apps.problems([SHOP | static, blog | static]) == []
    same = {"static": [{"url": "/blog/s/", "path": "s"}]}
    assert "static[0].url" in _apps.problems([SHOP | same, blog | static])[0]


def test_without_a_proxy_sites_cannot_clash() -> None:
    assert _apps.problems([SHOP, SHOP | {"name": "blog"}], proxy=False) == []


def test_normal_form_of_the_smallest_app() -> None:
    normal = full()
    assert set(normal) == {"name", "user", *_apps.APP_DEFAULTS}
    assert normal == _apps.APP_DEFAULTS | SHOP | {
        "user": "asgi-shop",
        "source": {
            "path": "../shop",
            "include": [],
            "exclude": [],
            "requirements": None,
            "extras": [],
            "groups": [],
            "member": None,
            "install": True,
        },
        "health": [{"path": "/", "status": [200], "timeout": 30, "text": None}],
    }


def test_normal_form_has_one_type_each() -> None:
    normal = full(
        source={"package": "datasette"},
        python=3.12,
        workers="4",
        timeout="60",
        env={"A": True, "B": 5, "C": 1.5},
        secrets={"D": False},
        credentials={"a": "x", "b": {"file": "y"}},
        hooks={"build": ["a", ["b", "c"]], "after": [{"command": "d", "creates": "e"}, {"command": ["f"]}]},
        health=[{"status": 204}, {"path": "/x"}],
        shared=[{"path": "up"}],
        proxy={"body_limit": 0, "http3": "no"},
        tls={"files": {"certificate": "c", "key": "k"}},
        watch="20",
    )
    assert normal["source"]["package"] == ["datasette"]
    assert (normal["python"], normal["workers"], normal["timeout"]) == ("3.12", 4, 60)
    assert normal["env"] == {"A": "true", "B": "5", "C": "1.5"}
    assert normal["secrets"] == {"D": "false"}
    assert normal["credentials"] == {"a": "x", "b": {"file": "y"}}
    hook = {"creates": None, "every_host": None}
    assert normal["hooks"] == {
        "build": [{**hook, "command": "a"}, {**hook, "command": ["b", "c"]}],
        "migrate": [],
        "after": [{**hook, "command": "d", "creates": "e"}, {**hook, "command": ["f"]}],
        "after_failure": "keep",
    }
    assert normal["watch"] == {"seconds": 20, "errors": 5}
    assert normal["health"] == [
        {"path": "/", "status": [204], "timeout": 30, "text": None},
        {"path": "/x", "status": [200], "timeout": 30, "text": None},
    ]
    assert normal["shared"] == [{"path": "up", "data": "up"}]
    assert normal["proxy"]["body_limit"] == "0"
    assert normal["proxy"]["http3"] is False
    assert normal["tls"]["mode"] == "files"


def test_processes_in_their_normal_form() -> None:
    given = [
        {"name": "worker", "command": ["python", "-m", "shop.worker"], "instances": "2"},
        {"name": "scheduler", "command": "python -m shop.plan", "stop_timeout": 5},
    ]
    assert full(processes=given, graceful_timeout=12)["processes"] == [
        {
            "name": "worker",
            "command": ["python", "-m", "shop.worker"],
            "stop_timeout": 12,
            "instances": 2,
        },
        {"name": "scheduler", "command": "python -m shop.plan", "stop_timeout": 5, "instances": 1},
    ]


def test_processes_of_an_image_are_refused() -> None:
    worker = {"name": "worker", "command": "./work"}
    found = _apps.problems([SHOP | {"server": "image", "processes": [worker]}])
    assert any("processes: are not available with server: image" in message for message in found)


def test_defaults_lie_under_every_app() -> None:
    defaults = {
        "workers": 2,
        "env": {"A": "1", "B": "2"},
        "source": {"package": "x", "extras": ["y"]},
        "health": {"path": "/health", "timeout": 90},
        "proxy": {"body_limit": "1m"},
        "tls": {"files": {"certificate": "c", "key": "k"}},
    }
    app = SHOP | {"env": {"B": "3"}, "health": {"status": 204}, "proxy": {"read_timeout": 5}}
    kept = copy.deepcopy((app, defaults))
    normal = _apps.normalize([app], defaults)[0]
    assert (app, defaults) == kept
    assert normal["workers"] == 2
    assert normal["env"] == {"A": "1", "B": "3"}
    source = _apps.APP_DEFAULTS["source"] | {"path": "../shop", "extras": ["y"]}
    assert normal["source"] == source
    assert normal["health"] == [{"path": "/health", "status": [204], "timeout": 90, "text": None}]
    assert (normal["proxy"]["body_limit"], normal["proxy"]["read_timeout"]) == ("1m", 5)
    assert normal["tls"]["files"] == {"certificate": "c", "key": "k"}
    signed = _apps.normalize([SHOP | {"tls": {"mode": "self_signed"}}], defaults)[0]["tls"]
    assert signed == _apps.APP_DEFAULTS["tls"]
    listed = _apps.normalize([SHOP | {"health": [{"path": "/a"}]}], defaults)[0]["health"]
    assert listed == [{"path": "/a", "status": [200], "timeout": 90, "text": None}]


def test_changing_a_result_changes_no_default() -> None:
    kept = copy.deepcopy(_apps.APP_DEFAULTS)
    normal = full()
    for value in (normal["env"], normal["proxy"]["headers"], normal["tls"]["files"]):
        value["X"] = "y"
    for value in (
        normal["requirements"],
        normal["source"]["extras"],
        normal["hooks"]["build"],
        normal["static"],
    ):
        value.append("x")
    normal["health"][0]["status"].append(500)
    assert kept == _apps.APP_DEFAULTS


def test_normalize_refuses_what_has_problems() -> None:
    with pytest.raises(_apps.InputError, match=r"asgi_host_apps\[0\] \(shop\): workers: 0"):
        full(workers=0)


def test_user_name_fits() -> None:
    assert _apps.user_name("s" * 26) == "asgi-" + "s" * 26
    long = {_apps.user_name("s" * 27), _apps.user_name("s" * 31), _apps.user_name("s" * 30 + "t")}
    assert len(long) == 3
    assert all(len(user) <= 31 and user.startswith("asgi-sss") for user in long)


def test_first_domain() -> None:
    assert _apps.first_domain(["a.example.com", "b.example.com"]) == "a.example.com"
    assert _apps.first_domain(["*.example.com"]) == "www.example.com"
    assert _apps.first_domain([]) == "localhost"


@pytest.mark.parametrize(
    ("value", "cores", "memory_mb", "number"),
    [
        ("auto", 2, 4000, 5),
        ("auto", 8, 1000, 10),
        ("auto", 1, 50, 1),
        ("cores", 4, 100, 4),
        (7, 1, 100, 7),
        ("7", 1, 100, 7),
    ],
)
def test_workers(value: int | str, cores: int, memory_mb: int, number: int) -> None:
    assert _apps.workers(value, cores=cores, memory_mb=memory_mb) == number


@pytest.mark.parametrize("value", [0, -1, "many", True, ""])
def test_workers_refused(value: int | str) -> None:
    with pytest.raises(_apps.InputError, match="number of workers"):
        _apps.workers(value, cores=2, memory_mb=4000)


def test_good_host() -> None:
    assert _apps.host_problems([full(python=">=3.12"), full()], FACTS) == []
    assert _apps.host_problems([full()], FACTS | known_systems.TRIXIE) == []


def test_host_without_systemd_is_refused_by_the_name_of_its_first_process() -> None:
    assert _apps.host_problems([full()], FACTS | {"init": "systemd"}) == []
    (message,) = _apps.host_problems([full()], FACTS | {"init": "sleep"})
    assert message.startswith("PID 1 of the host is sleep, not systemd")
    assert "use a host that boots with systemd" in message


def test_play_that_is_not_root_is_told_so_and_nothing_else() -> None:
    (message,) = _apps.host_problems([full()], FACTS | {"user": "deploy", "release": "11"})
    assert message == "the play is deploy on the host, not root; set become: true in the play"


def test_ports_taken() -> None:
    facts = FACTS | {"listeners": [{"port": 80, "process": "apache2"}, {"port": 443, "process": ""}]}
    http, https = _apps.host_problems([full()], facts)
    assert all(words in http for words in ("port 80", "apache2", "asgi_host_proxy: false"))
    assert all(words in https for words in ("port 443", "an unknown program"))
    assert _apps.host_problems([full()], facts, proxy=False) == []
    assert _apps.host_problems(_apps.normalize([{"name": "a", "state": "absent"}]), facts) == []


@pytest.mark.parametrize(
    ("wanted", "path"),
    [
        (None, "/usr/bin/python3"),
        ("3", "/usr/bin/python3"),
        ("3.11", "/usr/bin/python3"),
        ("3.13", "/usr/local/bin/python3.13"),
        ("3.1", None),
        ("3.13.1", "/usr/local/bin/python3.13"),
        ("/usr/local/bin/python3.9", "/usr/local/bin/python3.9"),
        ("/opt/python", None),
        (">=3.12", "/usr/local/bin/python3.13"),
        (">3.11.2", "/usr/local/bin/python3.13"),
        ("<3.11", "/usr/local/bin/python3.9"),
        ("<=3.11.2", "/usr/bin/python3"),
        ("~=3.9", "/usr/bin/python3"),
        ("~=3.9.2", "/usr/local/bin/python3.9"),
        ("==3.13.*", "/usr/local/bin/python3.13"),
        ("!=3.11.*", "/usr/local/bin/python3.13"),
        (">=3.12,<3.13", None),
    ],
)
def test_python(wanted: str | None, path: str | None) -> None:
    found = _apps.find_python(wanted, FACTS)
    assert (found or {}).get("path") == path
    messages = _apps.host_problems([full(python=wanted)], FACTS)
    assert bool(messages) == (path is None)
    assert all("python: the host has no Python for" in message for message in messages)


def test_host_without_python() -> None:
    facts = FACTS | {"python": {"path": "/usr/bin/python3", "version": None}, "pythons": []}
    (message,) = _apps.host_problems([full()], facts)
    assert "it has: none" in message
