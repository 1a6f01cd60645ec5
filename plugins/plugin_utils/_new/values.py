# Copyright: (c) 2026, the asgi.host authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a variable is given: a value that can be known, one that can be made, or a mark for a person."""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from .variable_calls import Read

SECRET = re.compile(
    r"SECRET|PASSWORD|PASSWD|PASSPHRASE|TOKEN|API_?KEY|PRIVATE_KEY|CREDENTIALS?\b|(?:^|_)SALT|(?:^|_)DSN$|"
    r"ACCESS_KEY$|ENCRYPTION_KEY|AUTH_KEY|FERNET|"
    r"(?:SIGNING|JWT|SESSION|COOKIE|CSRF|HASH|MASTER|LICENSE|ACCOUNT|APP|METRICS|ADMIN)_?KEY$",
    re.IGNORECASE,
)
NO_SECRET = re.compile(
    r"EXPIR|_TTL|LIFETIME|ALGORITHM|_MINUTES|_SECONDS|_HOURS|_DAYS|_LENGTH|(?:^|_)M(?:IN|AX)_|_LIMIT|"
    r"_URL_PATH|TOKEN_URL|TOKEN_TYPE|_HEADER|_NAME$|_FILE$|_PATH$|_DIR$|ENABLE|DISABLE|_REQUIRED|ALLOW|"
    r"KEY_ID$|_ENDPOINT$|VALIDATOR|HASHER|_TIMEOUT|_ROUNDS|_SCHEME|_PREFIX|_AGE$|_LOCK_TIME|_USE_",
    re.IGNORECASE,
)
# An address with a login in it is a secret.
ADDRESS = re.compile(
    r"(?:DATABASE|DB|POSTGRES(?:QL)?|PG|MYSQL|MARIADB|MONGO(?:DB)?|REDIS|VALKEY|BROKER|AMQP|RABBITMQ|CELERY\w*|CACHE|SQLALCHEMY\w*)_?(?:URL|URI|DSN|BACKEND)$|"
    r"(?:^|_)(?:URL_)?DATABASE_UR[LI]|_DB_URL$|ASYNC_DATABASE_URL",
    re.IGNORECASE,
)
MADE = re.compile(
    r"(?:^|_)SECRET(?:_KEY)?(?:_BASE)?$|SECRET_KEY|JWT_(?:SECRET|KEY|SIGNING_KEY)|SESSION_(?:SECRET|KEY)|"
    r"(?:^|_)SALT$|COOKIE_(?:SECRET|KEY)|CSRF_(?:SECRET|KEY)|SIGNING_KEY|HASH_KEY|^APP_KEY$|TOKEN_SECRET|"
    r"ENCRYPTION_KEY|FERNET",
    re.IGNORECASE,
)
# Secrets that another service has given out: none that is made here would open anything.
GIVEN = re.compile(
    r"CLIENT|OAUTH|GITHUB|GITLAB|GOOGLE|FACEBOOK|AWS|S3|AZURE|GCS?_|STRIPE|PAYPAL|TWILIO|SENDGRID|MAILGUN|"
    r"SENTRY|SLACK|DISCORD|TELEGRAM|OPENAI|ANTHROPIC|RECAPTCHA|TURNSTILE|SMTP|EMAIL|MAIL|LDAP|POSTGRES|"
    r"MYSQL|DB_|DATABASE|REDIS|RABBIT|MINIO|WEBHOOK|OIDC|SAML|DATADOG|CLOUD|VAPID|RSA",
    re.IGNORECASE,
)
ACCOUNT = re.compile(r"(?:SUPERUSER|ADMIN|FIRST_USER|ROOT_USER)\w*PASSWORD$", re.IGNORECASE)
LOCAL = re.compile(
    r"localhost|127\.0\.0\.1|host\.docker\.internal|"
    r"@(?:db|postgres|mysql|redis|database|mongo|mariadb|rabbitmq)\b|"
    r"//(?:db|redis|postgres|rabbitmq|broker)\b",
)
HOSTS = re.compile(r"(?<!CORS)(?:^|_)(?:ALLOWED|TRUSTED)_HOSTS$")
ADDRESSES = re.compile(
    r"(?:\w+_)?(?:BASE_URL|SITE_URL|PUBLIC_URL|SITE_ROOT|APP_URL|SERVER_URL|BACKEND_URL|FRONTEND_HOST|EXTERNAL_URL|ROOT_URL|WEB_URL)",
)
DOMAINS = re.compile(
    r"(?:\w+_)?(?:SITE_DOMAIN|PRIMARY_HOST|SERVER_NAME|DOMAIN|DOMAIN_NAME|SITE_HOST)",
)
# The opposite of a default in its own spelling, for projects that take no other. Python's own is read by all libraries.
OFF = {"true": "false", "1": "0", "yes": "no", "on": "off", "TRUE": "FALSE", "Yes": "No", "On": "Off"}
PORTS = {
    "POSTGRES": "5432",
    "PG": "5432",
    "MYSQL": "3306",
    "MARIADB": "3306",
    "REDIS": "6379",
    "RABBIT": "5672",
    "MONGO": "27017",
}


@dataclass(frozen=True)
class Given:
    """What the inventory says of a variable. ``value`` None: nothing, the code's default is good."""

    value: str | None
    why: str
    secret: bool = False
    marked: bool = False


def is_secret(name: str, kind: str = "", default: str | None = None) -> bool:
    """Whether nobody but the app may know it."""
    if "Secret" in kind:
        return True
    if re.match(r"(?:int|float|bool)\b", kind) or re.search(r"\bbool\b", kind) or NO_SECRET.search(name):
        return False
    return bool(
        SECRET.search(name)
        or ADDRESS.search(name)
        or (default and re.search(r"://[^/\s:@]*:[^/\s@]+@", default))
    )


def made(name: str) -> str:
    """A secret that is new and nobody's: characters of URLs alone, so that no file or shell takes it for something else."""
    if "FERNET" in name.upper():
        return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    return secrets.token_urlsafe(48)


def of(
    read: Read,
    *,
    domain: str,
    shown: str | None = None,
    words: Mapping[str, str] | None = None,
    database: str = "",
) -> Given:
    """What a variable gets.

    ``shown`` is what an example or a compose file gives it, for a developer's machine; ``words`` are what files of the
    project call the environment of production. ``database`` says ``file`` where it is
    one, and so nobody needs the login of another, and names the kinds that are run beside the
    project.
    """
    upper = read.name.upper()
    if is_secret(read.name, read.kind, read.default):
        return _secret(read, None if database == "file" else shown, beside=_beside(database, upper))
    return _known(read, upper, domain, words or {}) or _of_folder(read, upper) or _needed(read, upper, shown)


def _of_folder(read: Read, upper: str) -> Given | None:
    """Folders that an app writes to."""
    if re.search(r"(?:^|_)(?:DATA_(?:DIR|PATH|ROOT|FOLDER)|DATADIR)$", upper) and not read.kind.startswith(
        "int"
    ):
        return Given("{data}", "the folder that outlives a release")
    if match := re.search(
        r"(?:^|_)(UPLOAD|MEDIA|STORAGE|CACHE|LOGS?|BACKUP|DOWNLOAD)S?_(?:DIR|PATH|ROOT|FOLDER)$", upper
    ):
        return Given(f"{{data}}/{match.group(1).lower()}", "below the folder that outlives a release")
    return None


def _needed(read: Read, upper: str, shown: str | None) -> Given:
    """What the code cannot do without: the usual port, what an example says, or a mark."""
    if not read.required:
        return Given(None, "")
    port = (
        next((number for part, number in PORTS.items() if part in upper), "")
        if upper.endswith("PORT")
        else ""
    )
    if port:
        return Given(port, "the usual port")
    value = usable(shown)
    return (
        Given(None, "", marked=True) if value is None else Given(value, "as the project's own example has it")
    )


def _beside(kinds: str, upper: str) -> bool:
    """Whether a database of the kind that a variable is named after is run beside the project."""
    if re.search(r"MYSQL|MARIADB", upper):
        return bool(re.search(r"MySQL|MariaDB", kinds))
    return "PostgreSQL" in kinds if re.search(r"POSTGRES|(?:^|_)PG", upper) else bool(kinds)


def _secret(read: Read, shown: str | None, *, beside: bool) -> Given:
    upper = read.name.upper()
    if (MADE.search(upper) and not GIVEN.search(upper)) or (
        ACCOUNT.search(upper) and (read.required or read.default)
    ):
        return Given(made(read.name), "made just now", secret=True)
    if ADDRESS.search(upper) or (read.default and "://" in read.default):
        if read.default and (file := _sqlite(read.default)):
            return Given(file, "the code's default is a file of the source; this one outlives a release")
        needed = (
            read.required
            or (read.default is not None and LOCAL.search(read.default))
            or (shown and read.default is None and "sqlite" not in shown)
        )
        return Given(
            None, "the address of a server that you have, with its login", secret=True, marked=bool(needed)
        )
    # A password of a database that the project is run with, whose default is that of a developer's machine.
    of_database = (
        bool(re.search(r"POSTGRES|MYSQL|MARIADB|(?:^|_)(?:DB|DATABASE|PG)_", upper)) and "PASS" in upper
    )
    needed = read.required or (of_database and (bool(shown) or (beside and read.default is not None)))
    return Given(None, "a secret that only you know", secret=True, marked=bool(needed))


def _sqlite(default: str) -> str:
    """The address of a SQLite file as one in the app's data folder."""
    match = re.match(r"(sqlite(?:\+\w+)?):/{2,3}(?!/)\.?/?([\w./-]+)$", default)
    return f"{match.group(1)}:///{{data}}/{match.group(2).rpartition('/')[2]}" if match else ""


def _known(read: Read, upper: str, domain: str, words: Mapping[str, str]) -> Given | None:
    """What follows from the name, by the first of the rules that has something to say."""
    return _of_site(read, upper, domain) or _of_mode(read, upper, words)


def _of_site(read: Read, upper: str, domain: str) -> Given | None:
    """Names of hosts and addresses of the site."""
    listed = bool(re.match(r"(?:list|List|set|tuple|Sequence|frozenset)\b.", read.kind))
    hosts, origins = ('["{domain}"]', '["https://{domain}"]') if listed else ("{domain}", "https://{domain}")
    local = read.required or bool(LOCAL.search(read.default or ""))
    # A list of pydantic with a star is as often one of origins.
    if HOSTS.search(upper) and not (listed and "*" in (read.default or "")):
        return Given(hosts, "the names that the site is asked by")
    if upper.endswith("CSRF_TRUSTED_ORIGINS"):
        return Given(origins, "forms of the site itself")
    if ADDRESSES.fullmatch(upper) and local:
        return Given("https://{domain}", "where the site is")
    if DOMAINS.fullmatch(upper) and local:
        return Given("{domain}", "where the site is")
    if re.fullmatch(r"(?:PROJECT|APP|SITE)_NAME", upper) and read.required:
        return Given(domain.partition(".")[0] or "site", "a name for people; change it as you like")
    return None


def _of_mode(read: Read, upper: str, words: Mapping[str, str]) -> Given | None:
    """What tells production from development."""
    default = (read.default or "").lower()
    production = next((word for word in read.choices if word.lower() in ("production", "prod")), "")
    if re.fullmatch(r"(?:\w+_)?DEBUG(?:_MODE)?", upper) and (
        read.required or default not in ("false", "0", "off", "no", "")
    ):
        why = f"the code's default is {read.default}" if read.default else "not for production"
        return Given(OFF.get(read.default or "", "False"), why)
    if production and read.default != production:
        return Given(production, f"one of {', '.join(read.choices[:6])}")
    if re.fullmatch(r"(?:\w+_)?(?:ENV|ENVIRONMENT|STAGE)", upper) and default in (
        "local",
        "dev",
        "development",
    ):
        word = words.get(read.where.rpartition(":")[0], "production")
        return Given(word, f"the code's default is {read.default}")
    if re.fullmatch(r"(?:\w+_)?BEHIND_(?:HTTPS_)?PROXY", upper):
        return Given("True", "nginx is before it")
    return None


def usable(shown: str | None) -> str | None:
    """A value of an example, where it does not speak of the example's machine."""
    if (
        shown is None
        or shown == ""
        or LOCAL.search(shown)
        or re.search(r"[<>{}$]|example|change|your[-_ ]|password|secret", shown, re.IGNORECASE)
    ):
        return None
    return shown
