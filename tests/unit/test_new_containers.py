# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Lines of Dockerfiles, compose files, Procfiles, fly.toml and Kamal's deploy.yml, and the keys that come of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.asgi.host.plugins.plugin_utils._new import commands
from new_projects import make

APP = {
    "shop/__init__.py": "",
    "shop/main.py": "from fastapi import FastAPI\nimport shop\napp = FastAPI()\n@app.get('/')\ndef home(): ...\nother = FastAPI()\n",
    "requirements.txt": "fastapi\n",
}
DOCKERFILE = """
    ARG VERSION=3.12
    FROM python:${VERSION}-slim AS base
    RUN apt-get update && \\
        # fonts
        apt-get install -y --no-install-recommends \\
            fonts-dejavu libpq5 curl tini && rm -rf /var/lib/apt/lists/*
    FROM base AS builder
    RUN apt-get install -y build-essential libxml2-dev
    RUN pip install -r requirements.txt
    FROM base
    WORKDIR /code
    ENV SHOP_THEME=dark PYTHONUNBUFFERED=1 \\
        SHOP_MODE="x y"
    VOLUME /code/uploads
    HEALTHCHECK CMD curl -f http://localhost:8000/healthz || exit 1
    CMD ["uvicorn", "shop.main:other", "--host", "0.0.0.0", "--workers", "3"]
"""


def test_dockerfile(tmp_path: Path) -> None:
    made = make(tmp_path, {**APP, "Dockerfile": DOCKERFILE})
    assert made.app["app"] == "shop.main:other"
    assert made.app["packages"] == ["fonts-dejavu", "libpq5"]
    assert made.app["workers"] == 3
    assert made.app["env"] == {"SHOP_THEME": "dark", "SHOP_MODE": "x y"}
    assert made.app["health"] == {"path": "/healthz"}
    assert made.app["shared"] == [{"path": "uploads"}]
    assert '# python: "3.12"' in made.text
    assert "# Dockerfile:3 installs it" in made.text


def test_package_that_an_image_removes_by_its_name_is_none(tmp_path: Path) -> None:
    line = "RUN apt-get install -y libexif12 openssh-server- g++-12"
    found = make(tmp_path, {**APP, "Dockerfile": f"FROM python:3.13\n{line}\n"}).app["packages"]
    assert found == ["libexif12", "g++-12"]


def test_packages_in_a_variable_of_the_shell(tmp_path: Path) -> None:
    line = 'RUN RUN_DEPS=" \\\n  libexif12 \\\n  make \\\n " && BUILD="libpng-dev" && apt-get install -y $RUN_DEPS $BUILD && apt-get purge -y $BUILD\n'
    assert make(tmp_path, {**APP, "Dockerfile": f"FROM python:3.13\n{line}"}).app["packages"] == ["libexif12"]


def test_a_start_script_migrates_and_serves(tmp_path: Path) -> None:
    made = make(
        tmp_path,
        {
            **APP,
            "Dockerfile": 'FROM python:3.13\nENTRYPOINT ["/app/scripts/start.sh"]\n',
            "scripts/start.sh": "#!/bin/sh\nset -e\n# first\nalembic upgrade head\nexec gunicorn shop.main:app -k uvicorn.workers.UvicornWorker -w 2\n",
            "alembic.ini": "[alembic]\nscript_location = alembic\n",
        },
    )
    assert (made.app["app"], made.app["workers"], made.get("hooks.migrate")) == (
        "shop.main:app",
        2,
        ["alembic upgrade head"],
    )


COMPOSE = """
    x-env: &env
      SHOP_THEME: ${SHOP_THEME:-light}
    services:
      web:
        build: {context: ., dockerfile: docker/Dockerfile}
        command: sh -c "python -m uvicorn shop.main:app --reload --workers 1"
        environment:
          <<: *env
          BROKER: redis
          SECRET_TOKEN: dev
        healthcheck: {test: ["CMD", "curl", "http://localhost:8000/up"]}
        volumes: ["./shop:/code/shop", "./files:/code/files", "data:/code/data", "/etc/localtime:/etc/localtime:ro"]
        depends_on: [db, redis]
      worker:
        build: {context: ., dockerfile: docker/Dockerfile}
        command: ["celery", "-A", "shop.tasks", "worker"]
      prestart:
        build: {context: ., dockerfile: docker/Dockerfile}
        command: bash prestart.sh
      vite:
        build: frontend
        command: npm run dev
      db: {image: "postgres:17"}
      redis: {image: "valkey/valkey:8"}
"""


def test_compose(tmp_path: Path) -> None:
    made = make(
        tmp_path,
        {
            **APP,
            "compose.yml": COMPOSE,
            "compose.dev.yml": "services: {}",
            "docker/Dockerfile": "FROM python:3.13\nWORKDIR /code\n",
            "prestart.sh": "#!/bin/bash\nalembic upgrade head\npython shop/seed.py\n",
            "shop/seed.py": "",
            "alembic.ini": "",
        },
    )
    assert made.app["env"] == {"SHOP_THEME": "light"}
    assert made.app["processes"] == [{"name": "worker", "command": "celery -A shop.tasks worker"}]
    assert made.get("hooks.migrate") == ["alembic upgrade head", "python shop/seed.py"]
    assert made.app["health"] == {"path": "/up"}
    assert made.app["shared"] == [{"path": "files"}, {"path": "data"}]
    assert "workers" not in made.app
    assert [note for note in made.plan.notes if "PostgreSQL" in note]
    assert [note for note in made.plan.notes if "Redis" in note]


def test_procfile(tmp_path: Path) -> None:
    text = "web: uvicorn shop.main:app --port $PORT\nrelease: alembic upgrade head\nworker: python -m shop.worker\n"
    made = make(tmp_path, {**APP, "Procfile": text, "alembic.ini": ""})
    assert made.app["processes"] == [{"name": "worker", "command": "python -m shop.worker"}]
    assert made.get("hooks.migrate") == ["alembic upgrade head"]


def test_fly(tmp_path: Path) -> None:
    text = """
        [env]
        SHOP_THEME = "dark"
        PORT = 8080
        [deploy]
        release_command = "python -m shop.migrate"
        [processes]
        app = "uvicorn shop.main:app"
        jobs = "arq shop.jobs.Settings"
        [[http_service.checks]]
        path = "/fly"
        [mounts]
        destination = "/app/files"
    """
    made = make(tmp_path, {**APP, "fly.toml": text})
    assert made.app["env"] == {"SHOP_THEME": "dark"}
    assert made.get("hooks.migrate") == ["python -m shop.migrate"]
    assert made.app["processes"] == [{"name": "jobs", "command": "arq shop.jobs.Settings"}]
    assert made.app["health"] == {"path": "/fly"}
    assert made.app["shared"] == [{"path": "files"}]


def test_kamal(tmp_path: Path) -> None:
    text = """
        service: shop
        servers:
          web: [192.0.2.1]
          job: {hosts: [192.0.2.1], cmd: python -m shop.worker}
        proxy: {healthcheck: {path: /up}}
        env:
          clear: {SHOP_THEME: dark}
          secret: [MAIL_TOKEN, SECRET_KEY]
        accessories:
          db: {image: "postgres:17"}
    """
    made = make(tmp_path, {**APP, "config/deploy.yml": text})
    assert made.app["env"] == {"SHOP_THEME": "dark"}
    assert made.app["secrets"] == {
        "MAIL_TOKEN": "{{ vault_shop_mail_token }}",
        "SECRET_KEY": "{{ vault_shop_secret_key }}",
    }
    assert made.plan.marked == ["vault_shop_mail_token in the vault"]
    assert made.app["processes"] == [{"name": "job", "command": "python -m shop.worker"}]
    assert made.app["health"] == {"path": "/up"}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("uvicorn shop.main:app --host 0.0.0.0", ("shop.main:app", False, None, False)),
        ("poetry run uvicorn --factory shop:make -w 4", ("shop:make", True, None, False)),
        ("uv run --no-dev fastapi run shop/main.py --workers 4", ("", False, 4, False)),
        ("exec gunicorn -k uvicorn_worker.UvicornWorker -w 3 shop.asgi", ("", False, 3, False)),
        ("gunicorn shop.wsgi:application", ("shop.wsgi:application", False, None, True)),
        ("PORT=1 python -m hypercorn shop.main:app", ("shop.main:app", False, None, False)),
        ("daphne -b 0.0.0.0 shop.asgi:application", ("shop.asgi:application", False, None, False)),
        ("granian --interface asgi shop.main:app --workers 2", ("shop.main:app", False, 2, False)),
        ("litestar --app shop.main:app run", ("shop.main:app", False, None, False)),
    ],
)
def test_servers(text: str, wanted: tuple[str, bool, int | None, bool]) -> None:
    (command,) = commands.split(text, "here")
    found = commands.served(command)
    assert command.serves
    assert (found.entry, found.factory, found.workers, found.wsgi) == (
        wanted[0],
        wanted[1],
        wanted[2] if "-w 4" not in text else 4,
        wanted[3],
    )


def test_a_script_that_calls_itself_ends(tmp_path: Path) -> None:
    made = make(
        tmp_path,
        {**APP, "Dockerfile": "FROM python:3.13\nCMD ./a.sh\n", "a.sh": "#!/bin/sh\n./a.sh && ./a.sh\n"},
    )
    assert made.app["app"] == "shop.main:app"


@pytest.mark.parametrize(
    "text",
    [
        "services: [",
        "services: {web: 7}",
        "- 1",
        "a: &a [*a, *a]",
        "services: {web: {command: {a: b}, build: 3, volumes: 4}}",
    ],
)
def test_compose_files_that_are_none(tmp_path: Path, text: str) -> None:
    assert make(tmp_path, {**APP, "compose.yml": text}).app["app"] == "shop.main:app"


def test_merges_without_end_are_no_compose_file(tmp_path: Path) -> None:
    lines = [
        "a0: &a0 {k: v}",
        *(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 12)),
    ]
    assert make(tmp_path, {**APP, "compose.yml": "\n".join(lines)}).app["app"] == "shop.main:app"
