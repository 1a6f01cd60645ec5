# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The variables that a project's settings read, and what the inventory gives them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.asgi.host.plugins.plugin_utils._new import settings_names, values, variable_calls
from ansible_collections.asgi.host.plugins.plugin_utils._new.code import Code
from ansible_collections.asgi.host.plugins.plugin_utils._new.project import Project
from new_projects import lay, make

APP = {
    "main.py": "from fastapi import FastAPI\napp = FastAPI()\n@app.get('/')\ndef home(): ...\n",
    "requirements.txt": "fastapi\n",
}


def names(folder: Path, text: str, **files: str) -> dict[str, tuple[bool, str | None]]:
    lay(folder, {"config.py": text, **{name.replace("_py", ".py"): each for name, each in files.items()}})
    return {
        name: (read.required, read.default)
        for name, read in settings_names.read(Code(Project(folder))).items()
    }


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("import os\nX = os.environ['ONE']", {"ONE": (True, None)}),
        ("import os\nX = os.getenv('ONE', '7')", {"ONE": (False, "7")}),
        ("import os\nX = os.environ.get('ONE')", {"ONE": (False, None)}),
        (
            "from os import environ, getenv\nX, Y = environ['ONE'], getenv('TWO')",
            {"ONE": (True, None), "TWO": (False, None)},
        ),
        ("import os\nif 'ONE' in os.environ:\n    X = os.environ['ONE']", {"ONE": (False, None)}),
        ("import os\nif debug:\n    X = os.environ['ONE']", {"ONE": (False, None)}),
        ("import os\nX = os.environ['ONE']\nY = os.environ.get('ONE', 'a')", {"ONE": (False, "a")}),
        ("import os\nos.environ['ONE'] = '1'", {}),
        ("import os\nX = os.environ['PATH'], os.environ['HOME']", {}),
        (
            "import os\ndef flag(name, default=False):\n    return os.getenv(name, default)\nX = flag('ONE', True)",
            {"ONE": (False, "True")},
        ),
        (
            "import os\ndef get(key):\n    return os.getenv(key)\ndef env(key, default):\n    return lambda: get(key=key)\nX = env('ONE', 'x')",
            {"ONE": (False, "x")},
        ),
        (
            "import environ\nenv = environ.Env(DEBUG=(bool, False))\nX = env('ONE')\nY = env('DEBUG')\nZ = env.int('TWO', default=3)",
            {"ONE": (True, None), "DEBUG": (False, "False"), "TWO": (False, "3")},
        ),
        (
            "import environ\nenv = environ.Env()\nD = {'default': env.db()}\nC = env.cache()",
            {"DATABASE_URL": (True, None), "CACHE_URL": (True, None)},
        ),
        (
            "from environs import Env\nenv = Env()\nX = env.str('ONE')\nenv.read_env('.env')",
            {"ONE": (True, None)},
        ),
        (
            "from decouple import config\nX = config('ONE', default='a', cast=str)\nY = config('TWO')",
            {"ONE": (False, "a"), "TWO": (True, None)},
        ),
        (
            "from starlette.config import Config\nconfig = Config('.env')\nX = config('ONE', cast=bool, default=False)\nY = config('TWO', cast=str)",
            {"ONE": (False, "False"), "TWO": (True, None)},
        ),
        (
            "import dj_database_url\nD = {'default': dj_database_url.config(default='sqlite:///x.db')}",
            {"DATABASE_URL": (False, "sqlite:///x.db")},
        ),
        (
            "from pydantic_settings import BaseSettings\nclass S(BaseSettings):\n    one: str\n    two: int = 3\n    _three: str",
            {"ONE": (True, None), "TWO": (False, "3")},
        ),
        (
            (
                "from pydantic_settings import BaseSettings, SettingsConfigDict\nclass S(BaseSettings):\n  "
                "  model_config = SettingsConfigDict(env_prefix='SHOP_')\n    one: str"
            ),
            {"SHOP_ONE": (True, None)},
        ),
        (
            "from pydantic import BaseSettings\nclass S(BaseSettings):\n    one: str\n    class Config:\n        env_prefix = 'shop_'",
            {"SHOP_ONE": (True, None)},
        ),
        (
            (
                "from pydantic_settings import BaseSettings\nclass Base(BaseSettings):\n    model_config = "
                "{'env_prefix': 'A_'}\nclass S(Base):\n    one: str"
            ),
            {"A_ONE": (True, None)},
        ),
        (
            (
                "from pydantic import Field, AliasChoices\nfrom pydantic_settings import BaseSettings\nclass "
                "S(BaseSettings):\n    one: str = Field(..., alias='UN')\n    two: str = Field('x', validation_alias=AliasChoices('ZWEI',"
                " 'DEUX'))\n    three: list = Field(default_factory=list)"
            ),
            {"UN": (True, None), "ZWEI": (False, "x"), "THREE": (False, None)},
        ),
        (
            (
                "from pydantic import BaseModel\nfrom pydantic_settings import BaseSettings\nclass Db(BaseModel):\n"
                "    host: str\nclass S(BaseSettings):\n    db: Db = Db()"
            ),
            {},
        ),
        ("class Settings:\n    one: str", {}),
        ("print('unfinished", {}),
    ],
)
def test_names(tmp_path: Path, text: str, wanted: dict[str, Any]) -> None:
    assert names(tmp_path, text) == wanted


def test_a_reader_of_another_file(tmp_path: Path) -> None:
    found = names(
        tmp_path,
        "from readers import env\nX = env('ONE')\n",
        readers_py="import environ\nenv = environ.Env()\n",
    )
    assert found == {"ONE": (True, None)}


def test_tests_and_manage_py_read_nothing_that_counts(tmp_path: Path) -> None:
    lay(
        tmp_path,
        {
            "tests/x.py": "import os\nos.environ['ONE']\n",
            "manage.py": "import os\nos.environ['TWO']\n",
            "test_x.py": "import os\nos.environ['THREE']\n",
        },
    )
    assert settings_names.read(Code(Project(tmp_path))) == {}


def given(
    name: str,
    *,
    required: bool = True,
    default: str | None = None,
    kind: str = "str",
    shown: str | None = None,
    choices: tuple[str, ...] = (),
) -> values.Given:
    return values.of(
        variable_calls.Read(name, "config.py:1", required, default, kind, choices),
        domain="shop.example.com",
        shown=shown,
    )


@pytest.mark.parametrize(
    "name",
    [
        "SECRET_KEY",
        "DJANGO_SECRET_KEY",
        "JWT_SECRET",
        "SESSION_SECRET",
        "APP_SECRET_KEY",
        "COOKIE_KEY",
        "SECRET",
        "PASSWORD_SALT",
    ],
)
def test_secrets_that_can_be_made(name: str) -> None:
    one, other = given(name), given(name, required=False, default="changethis")
    assert one.secret
    assert one.value
    assert len(one.value) >= 50
    assert one.value != other.value


def test_a_key_of_fernet_has_its_form() -> None:
    value = given("FERNET_KEY").value
    assert value
    assert len(base64.urlsafe_b64decode(value)) == 32


@pytest.mark.parametrize(
    "name",
    [
        "GITHUB_CLIENT_SECRET",
        "AWS_SECRET_ACCESS_KEY",
        "STRIPE_API_KEY",
        "DATABASE_URL",
        "REDIS_URL",
        "POSTGRES_PASSWORD",
        "SENDGRID_API_KEY",
    ],
)
def test_secrets_that_others_give_are_marked(name: str) -> None:
    found = given(name)
    assert (found.secret, found.marked, found.value) == (True, True, None)
    assert not given(name, required=False, default="").marked


@pytest.mark.parametrize(
    "name",
    [
        "ACCESS_TOKEN_EXPIRE_MINUTES",
        "PASSWORD_MIN_LENGTH",
        "TOKEN_URL",
        "JWT_ALGORITHM",
        "AWS_ACCESS_KEY_ID",
        "SECRET_KEY_FILE",
        "PASSWORD_HASHER",
    ],
)
def test_names_that_only_sound_secret(name: str) -> None:
    assert not values.is_secret(name)


@pytest.mark.parametrize(
    ("name", "keys", "wanted"),
    [
        ("ALLOWED_HOSTS", {}, "{domain}"),
        ("ALLOWED_HOSTS", {"kind": "list[str]"}, '["{domain}"]'),
        ("CSRF_TRUSTED_ORIGINS", {}, "https://{domain}"),
        ("DEBUG", {"required": False, "default": "True"}, "False"),
        ("DEBUG", {"required": False, "default": "true"}, "false"),
        ("DEBUG", {"required": False, "default": "1"}, "0"),
        ("APP_DEBUG", {}, "False"),
        ("DEBUG", {"required": False, "default": "False"}, None),
        (
            "ENVIRONMENT",
            {"required": False, "default": "local", "choices": ("local", "production")},
            "production",
        ),
        ("ENV", {"required": False, "default": "dev"}, "production"),
        ("BASE_URL", {"required": False, "default": "http://localhost:8000"}, "https://{domain}"),
        ("DATABASE_URL", {"required": False, "default": "sqlite:///./shop.db"}, "sqlite:///{data}/shop.db"),
        (
            "DATABASE_URL",
            {"required": False, "default": "sqlite+aiosqlite:///shop.db"},
            "sqlite+aiosqlite:///{data}/shop.db",
        ),
        ("DATA_DIR", {"required": False, "default": "/app/data"}, "{data}"),
        ("UPLOAD_DIR", {"required": False, "default": "uploads"}, "{data}/upload"),
        ("POSTGRES_PORT", {}, "5432"),
        ("PROJECT_NAME", {}, "shop"),
        ("THEME", {"shown": "dark"}, "dark"),
        ("THEME", {"shown": "<your theme>"}, None),
        ("PAGE_SIZE", {"required": False, "default": "20"}, None),
    ],
)
def test_values_that_are_known(name: str, keys: dict[str, Any], wanted: str | None) -> None:
    assert given(name, **keys).value == wanted


def test_a_database_of_a_developers_machine_is_marked() -> None:
    assert given("WRITER_DB_URL", required=False, default="mysql://shop:shop@localhost:3306/shop").marked


def test_the_password_of_a_database_beside_the_app_is_marked(tmp_path: Path) -> None:
    config = "import os\nX = os.getenv('POSTGRES_PASSWORD', 'postgres')\n"
    made = make(
        tmp_path,
        {**APP, "config.py": config, "compose.yml": "services: {web: {build: .}, db: {image: postgres}}"},
    )
    assert made.plan.marked == ["vault_shop_postgres_password in the vault"]


def test_lines(tmp_path: Path) -> None:
    made = make(
        tmp_path,
        {
            **APP,
            "config.py": """
                from pydantic_settings import BaseSettings
                class Settings(BaseSettings):
                    SECRET_KEY: str
                    STRIPE_KEY_ID: str
                    LOG_LEVEL: str = "info"
                    PAGE_SIZE: int = 20
                    SMTP_PASSWORD: str | None = None
            """,
        },
    )
    assert made.app["env"] == {"STRIPE_KEY_ID": "CHANGE_ME: STRIPE_KEY_ID, str"}
    assert made.app["secrets"] == {"SECRET_KEY": "{{ vault_shop_secret_key }}"}
    assert "# LOG_LEVEL: info  # config.py:5, its default" in made.text
    assert '# SMTP_PASSWORD: "{{ vault_shop_smtp_password }}"' in made.text
    assert "# The code reads 1 further variable, and has a default for it: PAGE_SIZE" in made.text
    assert made.plan.marked == ["env.STRIPE_KEY_ID"]
    assert list(made.vault) == ["vault_shop_secret_key"]


def test_a_word_of_the_project_for_production(tmp_path: Path) -> None:
    made = make(
        tmp_path,
        {**APP, "config.py": "import os\nENV = os.getenv('ENV', 'local')\nKNOWN = {'local': 1, 'prod': 2}\n"},
    )
    assert made.app["env"] == {"ENV": "prod"}
