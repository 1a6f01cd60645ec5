"""Settings of a production site: what differs from host to host comes from the environment."""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
# The app's data folder on the host; beside the source on a developer's machine.
DATA_DIR = Path(os.environ.get("STATE_DIRECTORY", "").split(":")[0] or BASE_DIR / "var")
# The app's root_path, for what Django makes without a request: in commands, and in STATIC_URL.
MOUNT = os.environ.get("DJANGO_MOUNT", "")

DEBUG = False
SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]
ALLOWED_HOSTS = os.environ["DJANGO_ALLOWED_HOSTS"].split()
# Other sites whose forms may be sent here, with their scheme; the site itself need not be named.
CSRF_TRUSTED_ORIGINS = os.environ.get("DJANGO_TRUSTED_ORIGINS", "").split()

# nginx overwrites this header, so it can be trusted. Host is the client's; no X-Forwarded-Host is looked at.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_SSL_REDIRECT = True
SECURE_HSTS_SECONDS = int(os.environ.get("DJANGO_HSTS_SECONDS", "3600"))
SECURE_HSTS_INCLUDE_SUBDOMAINS = True
SECURE_HSTS_PRELOAD = True
SESSION_COOKIE_SECURE = True
CSRF_COOKIE_SECURE = True

FORCE_SCRIPT_NAME = MOUNT or None
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = f"{MOUNT}/"

# Without a leading slash it is below FORCE_SCRIPT_NAME. The folder is in the source, and so a part of the release.
STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "static"

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA_DIR / "polls.sqlite3",
        # The write-ahead log lets the old release read while the new one migrates.
        "OPTIONS": {
            "timeout": 20,
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=wal;",
        },
    }
}

INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.staticfiles", "polls"]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "polls_site.urls"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
    }
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "handlers": {"stderr": {"class": "logging.StreamHandler"}},
    "root": {"handlers": ["stderr"], "level": "WARNING"},
}
