"""The PROXY protocol, and who may say who the client is: what is refused, what is rendered, whose sites are in the way."""

from __future__ import annotations

import re
from typing import Any

import known_systems
import pytest
from ansible_collections.asgi.host.plugins.module_utils import _apps, _host
from ansible_collections.asgi.host.plugins.plugin_utils._plan import nginx

HOST = {
    **known_systems.BOOKWORM,
    "users": [],
    "apps": [],
    "acme": {"sites": [], "set_up": False},
    "nginx": {
        "version": "1.22.1",
        "packaged_default": False,
        "foreign_default_servers": [],
        "foreign_sites": [],
        "foreign_files": [],
    },
}


def app(**proxy: Any) -> dict[str, Any]:
    return {
        "name": "shop",
        "app": "shop:app",
        "source": {"path": "x"},
        "domains": ["shop.test"],
        "proxy": proxy,
    }


def rendered(proxy_protocol: list[str], **proxy: Any) -> str:
    """The texts of both files of nginx."""
    apps = _apps.normalize([app(**proxy)])
    stage = nginx.proxy(
        apps,
        host=HOST,
        root="/srv",
        failed=[],
        bases=[],
        tls_policy="intermediate",
        proxy_protocol=proxy_protocol,
    )
    return "\n".join(step["content"] for step in stage["steps"] if "conf.d" in step.get("file", ""))


@pytest.mark.parametrize("everybody", ["0.0.0.0/0", "::/0"])
def test_nobody_trusts_everybody(everybody: str) -> None:
    for found in (
        _apps.problems([app(trusted_proxies=[everybody])]),
        _apps.problems([app()], proxy_protocol=[everybody]),
    ):
        assert len(found) == 1
        assert f"'{everybody}' is every address, so anybody could say who the client is" in found[0]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("10.0.0.1", "asgi_host_proxy_protocol: '10.0.0.1' is not a list"),
        (["lb"], "asgi_host_proxy_protocol[0]: 'lb' is not an address range"),
        (["10.1.2.3/8"], "did you mean 10.0.0.0/8?"),
        (["10.0.0.0/8", "10.0.0.0/8"], "asgi_host_proxy_protocol[1]:"),
        (None, "asgi_host_proxy_protocol: an empty value is not a list"),
    ],
)
def test_wrong_list_is_refused(given: Any, words: str) -> None:
    found = _apps.problems([app()], proxy_protocol=given)
    assert any(words in each for each in found), found


def test_two_ways_to_say_who_the_client_is() -> None:
    found = _apps.problems([app(trusted_proxies=["10.0.0.0/8"])], proxy_protocol=["192.0.2.0/24"])
    assert [each.partition(": ")[2].partition(":")[0] for each in found] == ["proxy.trusted_proxies"]
    assert "keep one of the two" in found[0]
    inherited = {"proxy": {"trusted_proxies": ["10.0.0.0/8"]}}
    assert _apps.problems([app()], inherited, proxy_protocol=["192.0.2.0/24"])
    assert not _apps.problems([app(trusted_proxies=["10.0.0.0/8"])])


def test_without_it_nothing_speaks_it() -> None:
    assert "proxy_protocol" not in rendered([])
    assert "set_real_ip_from" not in rendered([])


def test_with_it_every_server_speaks_it_and_only_the_named_are_believed() -> None:
    text = rendered(["192.0.2.0/24", "2001:db8:1::/48"])
    listens = re.findall(r"^ *listen (.*);", text, re.MULTILINE)
    assert len(listens) == 8
    assert all(each.endswith(" proxy_protocol") for each in listens)
    # The sites' servers: who connects to another name gets no answer, whoever it is.
    assert text.count("real_ip_header proxy_protocol;") == 2
    assert text.count("set_real_ip_from 2001:db8:1::/48;") == 2


def test_chain_is_followed_for_the_trusted_alone() -> None:
    text = rendered([], trusted_proxies=["10.0.0.0/8", "2001:db8:1::/48"])
    assert re.findall(r"set_real_ip_from (.*);", text) == ["10.0.0.0/8", "2001:db8:1::/48"]
    assert "real_ip_header X-Forwarded-For;" in text
    assert "real_ip_recursive on;" in text


@pytest.mark.parametrize(
    ("listen", "shared"),
    [
        ("listen 80;", True),
        ("listen [::]:443 ssl http2;", True),
        ("listen *:443 ssl;", True),
        ("listen 0.0.0.0:80 default_server;", True),
        ("listen [::];", True),
        ("", True),
        ("listen 8080;", False),
        ("listen 10.0.0.1:443 ssl;", False),
        ("listen 127.0.0.1;", False),
        ("listen unix:/run/x.sock;", False),
        ("listen 443 ssl proxy_protocol;", False),
        ("# listen 80;\n listen 81;", False),
    ],
)
def test_sites_of_others_on_the_same_ports(listen: str, shared: bool) -> None:
    assert _host.on_our_ports(f"server {{\n {listen}\n server_name x; }}\n") is shared


def test_file_without_a_server_is_no_site() -> None:
    assert not _host.on_our_ports("gzip on;\n")


def test_site_of_another_is_a_problem_with_its_fix() -> None:
    facts = {
        **known_systems.BOOKWORM,
        "python": {"path": "/usr/bin/python3", "version": "3.11.2"},
        "nginx": {"version": "1.22.1", "foreign_sites": ["/etc/nginx/conf.d/blog.conf"]},
    }
    apps = _apps.normalize([app()])
    assert _apps.host_problems(apps, facts) == []
    (found,) = _apps.host_problems(apps, facts, proxy_protocol=["192.0.2.1"])
    assert "asgi_host_proxy_protocol: the site /etc/nginx/conf.d/blog.conf" in found
    assert "add proxy_protocol to its listen lines" in found
    assert _apps.host_problems(apps, facts, proxy=False, proxy_protocol=["192.0.2.1"]) == []
