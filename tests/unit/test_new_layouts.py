# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Each layout of a project that docs/new.md names: the app, its folder, and where its dependencies are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.plugin_utils._new.lines import NewError
from new_projects import make

FASTAPI = "from fastapi import FastAPI\n\napp = FastAPI()\n\n@app.get('/healthz')\ndef healthz(): ...\n"
LOCK = 'version = 1\nrequires-python = ">=3.11"\n'
PROJECT = '[project]\nname = "shop"\nrequires-python = ">=3.11"\ndependencies = ["fastapi"]\n'

LAYOUTS: dict[str, tuple[dict[str, str], dict[str, Any]]] = {
    "one file": (
        {"main.py": FASTAPI, "requirements.txt": "fastapi\n"},
        {
            "app": "main:app",
            "app_dir": None,
            "source.path": "../shop",
            "health.path": "/healthz",
            "python": None,
        },
    ),
    "a package at the top": (
        {
            "shop/__init__.py": "",
            "shop/main.py": FASTAPI,
            "shop/models.py": "from shop import main\n",
            "uv.lock": LOCK,
            "pyproject.toml": PROJECT,
        },
        {"app": "shop.main:app", "app_dir": None, "python": ">=3.11"},
    ),
    "a src layout": (
        {
            "src/shop/__init__.py": "",
            "src/shop/main.py": FASTAPI,
            "src/shop/x.py": "import shop.main\n",
            "pyproject.toml": PROJECT,
        },
        {"app": "shop.main:app", "app_dir": "src"},
    ),
    "a package without __init__": (
        {
            "svc/main.py": "from svc.core import x\n" + FASTAPI,
            "svc/core.py": "x = 1\n",
            "requirements.txt": "fastapi",
        },
        {"app": "svc.main:app", "app_dir": None},
    ),
    "a project in a sub-folder": (
        {
            "backend/app/main.py": "from app.x import y\n" + FASTAPI,
            "backend/app/x.py": "y = 1\n",
            "backend/requirements.txt": "fastapi",
            "frontend/package.json": "{}",
        },
        {"app": "app.main:app", "app_dir": None, "source.path": "../shop/backend"},
    ),
    "a sub-folder with the lock above it": (
        {
            "backend/app/main.py": "from app.x import y\n" + FASTAPI,
            "backend/app/x.py": "y = 1\n",
            "requirements.txt": "fastapi",
        },
        {"app": "app.main:app", "app_dir": "backend", "source.path": "../shop"},
    ),
    "a factory": (
        {
            "shop/app.py": "from litestar import Litestar\n\ndef create_app() -> Litestar:\n    return Litestar([])\n",
            "pyproject.toml": PROJECT,
        },
        {"app": "shop.app:create_app", "factory": True, "health.path": "/schema/openapi.json"},
    ),
    "a factory that is called": (
        {
            "shop/app.py": "from fastapi import FastAPI\ndef create_app():\n    app = FastAPI()\n    return app\n",
            "shop/asgi.py": "from .app import create_app\napplication = create_app()\n",
            "requirements.txt": "fastapi",
        },
        {"app": "shop.asgi:application", "factory": None, "health.path": "/openapi.json"},
    ),
    "Starlette": (
        {
            "site.py": (
                "from starlette.applications import Starlette\nfrom starlette.routing import Route\napp = Starlette(routes=[Route('/',"
                " home)])\n"
            ),
            "requirements.txt": "starlette",
        },
        {"app": "site:app", "health.path": "/"},
    ),
    "Quart": (
        {
            "src/chat/__init__.py": "",
            "src/chat/main.py": "from quart import Quart\napp = Quart(__name__)\n@app.route('/health')\nasync def h(): ...\n",
            "pyproject.toml": PROJECT,
        },
        {"app": "chat.main:app", "app_dir": "src", "health.path": "/health"},
    ),
    "Falcon": (
        {"shop.py": "import falcon.asgi\napp = falcon.asgi.App()\n", "requirements.txt": "falcon"},
        {"app": "shop:app", "health.path": "CHANGE_ME: a path that answers 200 without a login"},
    ),
    "BlackSheep": (
        {
            "server.py": "from blacksheep import Application\napp = Application()\n@app.router.get('/')\ndef home(): ...\n",
            "requirements.txt": "blacksheep",
        },
        {"app": "server:app"},
    ),
    "a class of its own": (
        {
            "web.py": "from fastapi import FastAPI\nclass Shop(FastAPI): ...\napp = Shop()\n",
            "requirements.txt": "fastapi",
        },
        {"app": "web:app"},
    ),
    "mounted apps": (
        {
            "main.py": "from fastapi import FastAPI\napi = FastAPI()\napp = FastAPI()\napp.mount('/api', api)\n@api.get('/ping')\ndef p(): ...\n",
            "requirements.txt": "fastapi",
        },
        {"app": "main:app", "health.path": "/api/ping"},
    ),
    "tool.fastapi": (
        {
            "a/main.py": FASTAPI,
            "b/main.py": FASTAPI,
            "pyproject.toml": PROJECT + '[tool.fastapi]\nentrypoint = "b.main:app"\n',
        },
        {"app": "b.main:app"},
    ),
    "uvicorn.run": (
        {
            "run.py": "import uvicorn\nuvicorn.run('shop.server:make', factory=True)\n",
            "shop/server.py": "def make(): ...\n",
            "requirements.txt": "fastapi",
        },
        {"app": "shop.server:make", "factory": True},
    ),
    "uvicorn.run from inside of the package": (
        {
            "meal/__init__.py": "",
            "meal/app.py": "from meal.core import x\nimport uvicorn\n" + FASTAPI + "uvicorn.run('app:app')\n",
            "meal/core.py": "x = 1\n",
            "requirements.txt": "fastapi",
        },
        {"app": "meal.app:app", "app_dir": None},
    ),
    "no file names dependencies": (
        {"main.py": FASTAPI},
        {"requirements": ["CHANGE_ME: what the project imports, such as fastapi"]},
    ),
    "requirements in a folder": (
        {
            "main.py": FASTAPI,
            "requirements/base.txt": "fastapi\n",
            "requirements/production.txt": "-r base.txt\npsycopg2\n",
        },
        {"source.requirements": "requirements/production.txt", "packages": ["libpq-dev"]},
    ),
    "poetry": (
        {
            "main.py": FASTAPI,
            "poetry.lock": "",
            "pyproject.toml": '[tool.poetry.dependencies]\npython = "^3.10"\nfastapi = "*"\npsycopg = {version = "*", extras = ["c"]}\n',
        },
        {"python": ">=3.10,<4.0", "packages": ["libpq-dev"], "source.requirements": None},
    ),
    "pipenv": (
        {"main.py": FASTAPI, "Pipfile": "", "Pipfile.lock": "{}"},
        {"requirements": None, "source.requirements": None},
    ),
    "a requirement from git, for which the role brings git": (
        {
            "main.py": FASTAPI,
            "requirements.txt": "fastapi\ninner @ git+https://git.example.com/inner.git@v2\n",
        },
        {"packages": None},
    ),
}


@pytest.mark.parametrize("name", LAYOUTS)
def test_layout(name: str, tmp_path: Path) -> None:
    files, wanted = LAYOUTS[name]
    made = make(tmp_path, files)
    assert {key: made.get(key) for key in wanted} == wanted


def test_a_workspace_of_uv_keeps_the_lock_of_its_root(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": '[tool.uv.workspace]\nmembers = ["api", "libs/*"]\n',
        "uv.lock": LOCK,
        "api/pyproject.toml": PROJECT.replace('"shop"', '"shop-api"'),
        "api/shop_api/main.py": "from shop_api import x\n" + FASTAPI,
        "api/shop_api/x.py": "",
    }
    made = make(tmp_path, files)
    assert (made.get("app"), made.get("app_dir"), made.get("source.path")) == (
        "shop_api.main:app",
        "api",
        "../shop",
    )
    assert made.get("source.member") == "shop-api"


def test_routers_of_other_files_have_their_prefix(tmp_path: Path) -> None:
    made = make(
        tmp_path,
        {
            "requirements.txt": "fastapi",
            "shop/config.py": "class Settings:\n    API: str = '/api'\nsettings = Settings()\n",
            "shop/main.py": (
                "from fastapi import FastAPI\nfrom shop.config import settings\nfrom shop.routes import router\n"
                "app = FastAPI()\napp.include_router(router, prefix=f'{settings.API}/v1')\n"
            ),
            "shop/routes/__init__.py": (
                "from fastapi import APIRouter\nfrom . import utils\nrouter = APIRouter()\nrouter.include_router(utils.router,"
                " prefix='/utils')\n"
            ),
            "shop/routes/utils.py": "from fastapi import APIRouter\nrouter = APIRouter(prefix='/x')\n@router.get('/health-check/')\ndef h(): ...\n",
        },
    )
    assert made.get("health.path") == "/api/v1/utils/x/health-check/"


def test_static_folders_of_starlette(tmp_path: Path) -> None:
    made = make(
        tmp_path,
        {
            "main.py": FASTAPI
            + "app.mount('/static', StaticFiles(directory='static'), name='static')\napp.mount('/gone', StaticFiles(directory='gone'))\n",
            "static/site.css": "",
            "requirements.txt": "fastapi",
        },
    )
    assert made.get("static") == [{"url": "/static/", "path": "static"}]


DJANGO_MANAGE = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n"
DJANGO_SETTINGS = """
    from pathlib import Path
    import environ
    env = environ.Env(DEBUG=(bool, True))
    BASE_DIR = Path(__file__).resolve().parent.parent
    DEBUG = env("DEBUG")
    SECRET_KEY = env("SECRET_KEY")
    ALLOWED_HOSTS = env.list("ALLOWED_HOSTS")
    ROOT_URLCONF = "shop.urls"
    STATIC_URL = "static/"
    STATIC_ROOT = BASE_DIR / "staticfiles"
    MEDIA_URL = "/media/"
    MEDIA_ROOT = BASE_DIR / "media"
    DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
"""
DJANGO = {
    "manage.py": DJANGO_MANAGE,
    "shop/__init__.py": "",
    "shop/settings.py": DJANGO_SETTINGS,
    "shop/urls.py": "from django.urls import include, path\nurlpatterns = [path('', home), path('api/', include('shop.api'))]\n",
    "shop/api.py": "from django.urls import path\nurlpatterns = [path('health/', h)]\n",
    "requirements.txt": "django\n",
}
ASGI = (
    "import os\nfrom django.core.asgi import get_asgi_application\nos.environ.setdefault('DJANGO_SETTINGS_MODULE',"
    " 'shop.settings')\napplication = get_asgi_application()\n"
)


def test_django(tmp_path: Path) -> None:
    made = make(tmp_path, {**DJANGO, "shop/asgi.py": ASGI})
    assert made.app["app"] == "shop.asgi:application"
    assert made.app["env"] == {"ALLOWED_HOSTS": "{domain}", "DEBUG": "False"}
    assert made.app["secrets"] == {"SECRET_KEY": "{{ vault_shop_secret_key }}"}
    assert len(made.vault["vault_shop_secret_key"]) > 50
    assert made.app["hooks"] == {
        "build": ["python manage.py collectstatic --noinput"],
        "migrate": ["python manage.py migrate --noinput"],
    }
    assert made.app["static"] == [
        {"url": "/static/", "path": "staticfiles"},
        {"url": "/media/", "path": "{data}/media"},
    ]
    assert made.app["shared"] == [{"path": "media"}, {"path": "db.sqlite3"}]
    assert made.app["health"] == {"path": "/api/health/"}
    assert made.plan.marked == []


def test_django_without_asgi_py(tmp_path: Path) -> None:
    made = make(tmp_path, DJANGO)
    assert (made.app["app"], made.get("env.DJANGO_SETTINGS_MODULE")) == (
        "django.core.asgi:get_asgi_application()",
        "shop.settings",
    )


def test_django_below_a_folder(tmp_path: Path) -> None:
    files = {
        f"src/{name}" if name != "requirements.txt" else name: text
        for name, text in {**DJANGO, "shop/asgi.py": ASGI}.items()
    }
    made = make(tmp_path, files)
    assert (made.app["app"], made.app["app_dir"]) == ("shop.asgi:application", "src")
    assert made.get("hooks.migrate") == ["python manage.py migrate --noinput"]
    assert made.get("static")[0]["path"] == "src/staticfiles"


def test_django_with_settings_for_production(tmp_path: Path) -> None:
    files = {name: text for name, text in DJANGO.items() if name != "shop/settings.py"}
    files["shop/settings/__init__.py"] = ""
    files["shop/settings/base.py"] = DJANGO_SETTINGS.replace("parent.parent", "parent.parent.parent")
    files["shop/settings/dev.py"] = "from .base import *\n"
    files["shop/settings/production.py"] = "from .base import *\nimport os\nHOOK = os.environ['HOOK_URL']\n"
    files["shop/asgi.py"] = ASGI.replace("shop.settings", "shop.settings.dev")
    made = make(tmp_path, files)
    assert made.get("env.DJANGO_SETTINGS_MODULE") == "shop.settings.production"
    assert made.get("static")[0]["path"] == "staticfiles"


def test_django_with_channels(tmp_path: Path) -> None:
    files = {
        **DJANGO,
        "shop/asgi.py": ASGI,
        "shop/routing.py": "from channels.routing import ProtocolTypeRouter\napplication = ProtocolTypeRouter({})\n",
    }
    files["shop/settings.py"] = DJANGO_SETTINGS + '    ASGI_APPLICATION = "shop.asgi.application"\n'
    assert make(tmp_path, files).app["app"] == "shop.asgi:application"


def test_wsgi_is_refused_with_the_way_to_asgi(tmp_path: Path) -> None:
    with pytest.raises(
        NewError, match=r"shop\.py:2 makes an app of Flask, which is WSGI.*WsgiToAsgi.*-e entry="
    ):
        make(tmp_path, {"shop.py": "from flask import Flask\napp = Flask(__name__)\n"})


def test_no_app_is_refused_with_the_way_to_name_it(tmp_path: Path) -> None:
    with pytest.raises(NewError, match=r"no ASGI app is in it.*-e entry=MODULE:NAME"):
        make(
            tmp_path,
            {"README.md": "", "tool.py": "print(1)\n", "broken.py": "def (:\n", "tests/test_app.py": FASTAPI},
        )


def test_an_entry_that_is_named_wins(tmp_path: Path) -> None:
    made = make(
        tmp_path,
        {"main.py": FASTAPI, "other/site.py": "app = wonder()\n", "requirements.txt": ""},
        entry_text="other.site:app",
    )
    assert made.app["app"] == "other.site:app"
    with pytest.raises(NewError, match="entry: 'nowhere:app' names no module of the project"):
        make(tmp_path, {}, entry_text="nowhere:app")
