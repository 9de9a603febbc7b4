"""django-q2 alone: the same database and cluster, without our app."""

from benchmarks.settings import (
    DATABASES,
    DEFAULT_AUTO_FIELD,
    Q_CLUSTER,
    SECRET_KEY,
    TIME_ZONE,
    USE_TZ,
)

__all__ = [
    "DATABASES",
    "DEFAULT_AUTO_FIELD",
    "INSTALLED_APPS",
    "Q_CLUSTER",
    "SECRET_KEY",
    "TIME_ZONE",
    "USE_TZ",
]

INSTALLED_APPS = ["django.contrib.contenttypes", "django_q"]
