"""What a site's way to its certificate asks of the host."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import known_systems
import pytest
from ansible_collections.asgi.host.plugins.module_utils._acme import Site
from ansible_collections.asgi.host.plugins.module_utils._apps import normalize
from ansible_collections.asgi.host.plugins.plugin_utils._plan import certificates, nginx, system

ACME = {"acme": {"email": "ops@example.com", "dns": "exec", "dns_env": {"TOKEN": 7}}}


def app(name: str = "shop", **keys: Any) -> dict[str, Any]:
    return {"name": name, "app": "a:b", "source": {"path": "x"}, "domains": [f"{name}.example.com"], **keys}


def host(*sites: str, set_up: bool = True) -> dict[str, Any]:
    nginx = {
        "version": "1.26.3",
        "packaged_default": False,
        "foreign_default_servers": [],
        "foreign_files": [],
    }
    return {
        **known_systems.TRIXIE,
        "apps": [],
        "nginx": nginx,
        "acme": {"sites": list(sites), "set_up": set_up},
    }


def proxy(
    *apps: dict[str, Any], on: dict[str, Any] | None = None, failed: tuple[str, ...] = ()
) -> dict[str, Any]:
    return nginx.proxy(
        normalize(apps),
        host=on or host(set_up=False),
        root="/srv/asgi",
        failed=list(failed),
        bases=["."],
        tls_policy="intermediate",
        proxy_protocol=[],
    )


def gone(stage: dict[str, Any]) -> set[str]:
    return {step["absent"] for step in stage["steps"] if "absent" in step}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"tls": ACME}, True),
        ({}, False),
        ({"tls": ACME, "domains": []}, False),
        ({"tls": ACME, "state": "absent"}, False),
    ],
)
def test_lego_is_installed_for_those_who_need_it(keys: dict[str, Any], expected: bool) -> None:
    apps = normalize([app(**keys)])
    assert ("lego" in system.packages(apps, [], proxy=True)) is expected
    assert "lego" not in system.packages(apps, [], proxy=False)


def test_order_is_what_the_program_reads_and_secret() -> None:
    stage = proxy(app(tls=ACME))
    site = Site.from_json(stage["private"]["shop acme"])
    assert (site.name, site.domains, site.dns, site.dns_check) == ("shop", ["shop.example.com"], "exec", True)
    assert site.directory.startswith("https://acme-v02.")
    assert dict(site.dns_env) == {"TOKEN": "7"}
    assert str(site.folder) == "/etc/nginx/asgi/tls/shop/acme"
    step = next(step for step in stage["steps"] if step.get("file") == "/etc/asgi/shop/acme.json")
    assert (step["private"], step["mode"]) == ("shop acme", "0600")
    # Written by us, by the mark that spares it a backup.
    assert "asgi.host" in stage["private"]["shop acme"][:100]


def test_port_80_answers_the_authority_and_redirects_the_rest() -> None:
    def site(**keys: Any) -> str:
        steps = proxy(app(**keys))["steps"]
        return next(
            str(step["content"]) for step in steps if step.get("file", "").endswith("asgi-app-shop.conf")
        )

    assert site(tls=ACME).count("acme-challenge") == 1
    assert "acme-challenge" not in site()
    assert site().count("return 301") == site(tls=ACME).count("return 301") == 1


def test_acme_leaves_with_the_last_site_that_used_it() -> None:
    assert "/var/lib/asgi-acme" in gone(proxy(app(), on=host("shop")))
    assert "/etc/asgi/shop/acme.json" in gone(proxy(app(), app("blog", tls=ACME), on=host("shop", "blog")))
    kept = proxy(app(), app("blog", tls=ACME), on=host("shop", "blog"))
    assert "/var/lib/asgi-acme" not in gone(kept)
    assert "/etc/asgi/blog/acme.json" not in gone(kept)
    # Another inventory's site has a certificate to be renewed.
    assert "/var/lib/asgi-acme" not in gone(proxy(app(), on=host("shop", "other")))
    assert "/var/lib/asgi-acme" not in gone(proxy(app()))


def test_site_of_an_app_that_failed_is_left_as_it_is() -> None:
    stage = proxy(app(), app("blog", tls=ACME), on=host("shop"), failed=("shop", "blog"))
    assert not [path for path in gone(stage) if "shop" in path or "blog" in path]
    assert "/etc/asgi/blog/acme.json" not in [step.get("file") for step in stage["steps"]]


@pytest.mark.parametrize("files", [True, False])
def test_first_certificate_is_that_of_before_or_self_signed(tmp_path: Path, files: bool) -> None:
    (tmp_path / "acme").mkdir()
    for part in ("certificate", "key") if files else ():
        (tmp_path / f"{part}.pem").write_text(f"the {part} of before\n")
    script = certificates._first_certificate({"folder": str(tmp_path), "names": ["a.test", "*.a.test"]})
    for _turn in range(2):  # also when it was cut off
        subprocess.run(["sh", "-c", script], check=True, capture_output=True)
    serving = tmp_path / "acme" / "serving"
    assert ("of before" in (serving / "key.pem").read_text()) is files
    assert (serving / "key.pem").stat().st_mode & 0o077 == 0
    assert (serving / "certificate.pem").exists()
