"""The stand-alone site's settings, read from the environment.

To change more than the environment can, write a module of your own that begins with
``from botsproject.settings import *`` and name it in ``DJANGO_SETTINGS_MODULE``.
"""

import os
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import environ
from django.core.exceptions import ImproperlyConfigured

from botsproject import secret_key
from botsproject.mail import mail_settings, managers

env = environ.Env()

BASE_DIR = Path(__file__).resolve().parent.parent
_IS_CHECKOUT = (BASE_DIR / "manage.py").exists()

# Database, logs, run files and sockets. Installations with different ones never meet.
DATA_DIR = Path(
    env.str("DATA_DIR", default="") or (BASE_DIR if _IS_CHECKOUT else Path.cwd()) / "var"
).absolute()
try:
    DATA_DIR.mkdir(parents=True, exist_ok=True)
    # For `collectstatic`, which only a web server that takes static files over needs.
    (STATIC_ROOT := DATA_DIR / "static").mkdir(exist_ok=True)
except OSError as error:
    raise ImproperlyConfigured(f"DATA_DIR {DATA_DIR} can't be made: {error.strerror}") from None

# ------------------------------------------------------------------------------------- the site

# Every host that shares the database needs the same key: django-q2 signs its messages with it.
# (Not by `env`, which takes a leading `$` for the name of another variable.)
SECRET_KEY = os.environ.get("SECRET_KEY") or secret_key.kept_in(DATA_DIR / "secret_key")
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS: list[str] = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])

# A proxy in front speaks https, and says so in X-Forwarded-Proto.
HTTPS = env.bool("HTTPS", default=False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_SSL_REDIRECT = HTTPS
SECURE_HSTS_SECONDS = 24 * 60 * 60 if HTTPS else 0
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
# Subdomains and browsers' preload lists are the business of those who own the whole domain.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]

INSTALLED_APPS = [
    "botsproject",
    "jobqueue",
    "dirmonitor",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_q",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "jobqueue.middleware.ViewerTimeZone",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
ROOT_URLCONF = "botsproject.urls"
WSGI_APPLICATION = "botsproject.wsgi.application"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# A browser gets the one of these that it prefers, and this one where it prefers none of them.
LANGUAGES = [("en", "English"), ("de", "Deutsch"), ("nl", "Nederlands")]
LANGUAGE_CODE = env.str("LANGUAGE_CODE", default="") or "en"
USE_TZ = True
TIME_ZONE = env.str("TIME_ZONE", default="") or "UTC"

STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True  # straight from the packages

_email = env.email_url_config(env.str("EMAIL_URL", default="") or "consolemail://")
vars().update(mail_settings(_email))
# Who is told when a Job goes wrong, where the Job or its queue names nobody; and by whom.
MANAGERS = managers(env.list("MANAGERS", default=[]))
SERVER_EMAIL = DEFAULT_FROM_EMAIL = env.str("MAIL_FROM", default="") or "root@localhost"

# --------------------------------------------------------------------------------- the database

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
_SQLITE, _MYSQL = "django.db.backends.sqlite3", "django.db.backends.mysql"
_DATABASE_OPTIONS: dict[str, dict[str, Any]] = {
    # Accepting a request is durable (FULL); writers wait for each other instead of failing.
    _SQLITE: {
        "timeout": 20,
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    },
    _MYSQL: {
        "charset": "utf8mb4",
        "init_command": "SET sql_mode='STRICT_TRANS_TABLES'",
    },
}

environ.Env.DB_SCHEMES["mariadb"] = _MYSQL
_database: dict[str, Any] = env.db_url_config(
    env.str("DATABASE_URL", default="") or f"sqlite:///{quote(str(DATA_DIR / 'db.sqlite3'))}"
)
_engine = _database["ENGINE"]
_database["OPTIONS"] = _DATABASE_OPTIONS.get(_engine, {}) | _database.get("OPTIONS", {})
DATABASES: dict[str, dict[str, Any]] = {
    "default": {"CONN_MAX_AGE": 60, "CONN_HEALTH_CHECKS": True} | _database
}

if _engine == _MYSQL:
    try:
        import MySQLdb  # noqa: F401  (mysqlclient, the faster one)
    except ImportError:
        import pymysql

        pymysql.install_as_MySQLdb()

# ------------------------------------------------------------------------------------ the queue

# Wake-ups only: a run is not bound by this timeout.
Q_CLUSTER: dict[str, Any] = {
    "name": "bots",
    "label": "Django Q",
    "workers": 1,
    "timeout": 20,
    "retry": 60,
    "max_attempts": 1,
    "catch_up": False,
    "save_limit": 100,
    # By default as many as workers²: with 1, a stop hangs when the worker has just been recycled.
    "queue_limit": 10,
}
if _redis := env.str("REDIS_URL", default=""):
    Q_CLUSTER["redis"] = _redis
else:
    Q_CLUSTER["orm"] = "default"

JOBQUEUE: dict[str, Any] = {
    "DATA_DIR": DATA_DIR,
    "HOST": env.str("JOBQUEUE_HOST", default="") or socket.gethostname(),
    "HEALTH": env.bool("HEALTH", default=False),
    "METRICS_TOKEN": os.environ.get("METRICS_TOKEN") or None,
    "SITE_URL": env.str("SITE_URL", default=""),
}

# --------------------------------------------------------------------------------------- logging

JOBQUEUE_LOG_SIZE = env.int("JOBQUEUE_LOG_SIZE", default=10 * 1024 * 1024)  # bytes
JOBQUEUE_LOG_COUNT = env.int("JOBQUEUE_LOG_COUNT", default=10)  # old files kept

# One line of text for each event, or one JSON object.
LOG_FORMAT = env.str("LOG_FORMAT", default="") or "text"
if LOG_FORMAT not in ("text", "json"):
    raise ImproperlyConfigured(f"LOG_FORMAT is {LOG_FORMAT!r}; it takes 'text' or 'json'.")
_FORMATTER = "json" if LOG_FORMAT == "json" else "line"

# The services tell their console what they do; a command is there for what it prints itself.
_CONSOLE_LEVEL = "INFO" if sys.argv[1:2] in (["qcluster"], ["dirmonitor"]) else "WARNING"

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"cluster": {"()": "botsproject.logs.ClusterFilter"}},
    "formatters": {
        "line": {
            "()": "botsproject.logs.LineFormatter",
            "format": "%(asctime)s %(levelname)s %(message)s",
        },
        "json": {"()": "jobqueue.logs.JsonFormatter"},
    },
    "handlers": {
        "jobqueue": {
            "class": "botsproject.logs.SharedRotatingFileHandler",
            "filename": DATA_DIR / "logs" / "jobqueue.log",
            "max_bytes": JOBQUEUE_LOG_SIZE,
            "count": JOBQUEUE_LOG_COUNT,
            "formatter": _FORMATTER,
        },
        "console": {
            "class": "logging.StreamHandler",
            "formatter": _FORMATTER,
            "level": _CONSOLE_LEVEL,
        },
        "mail_admins": {"class": "django.utils.log.AdminEmailHandler", "level": "ERROR"},
    },
    "root": {"handlers": ["console"]},
    "loggers": {
        "jobqueue": {"handlers": ["jobqueue"], "level": "INFO"},
        "dirmonitor": {"handlers": ["jobqueue"], "level": "INFO"},
        "django": {"handlers": ["mail_admins"], "level": "INFO"},
        "django-q": {"filters": ["cluster"], "level": "INFO"},
    },
}
