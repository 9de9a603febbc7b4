"""A host whose only pages are its own. Prints its page, and what the Run menu's button queued."""

from __future__ import annotations

import sys

import django
from django.conf import settings

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": sys.argv[1]}},
    INSTALLED_APPS=[
        *("jobqueue", "django_q", "django.contrib.auth"),
        *("django.contrib.contenttypes", "django.contrib.sessions"),
    ],
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    ALLOWED_HOSTS=["testserver"],
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    Q_CLUSTER={"orm": "default", "timeout": 20, "retry": 60},
    ROOT_URLCONF=__name__,
    SECRET_KEY="of a host that keeps no secrets",
    USE_TZ=True,
)
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.template import RequestContext, Template  # noqa: E402
from django.test import Client  # noqa: E402
from django.urls import include, path  # noqa: E402

from jobqueue.api import Execution, Job  # noqa: E402


def page(request: HttpRequest) -> HttpResponse:
    """The host's page, with the Run menu."""
    template = Template("{% load jobqueue %}{% jobqueue_run_menu %}")
    return HttpResponse(template.render(RequestContext(request)))


urlpatterns = [path("page/", page), path("jobqueue/", include("jobqueue.urls"))]


def main() -> None:
    """Show the page, and press the button."""
    call_command("migrate", verbosity=0)
    job = Job.objects.create(name="nightly", argv=["true"], in_run_menu=True)
    client = Client()
    client.force_login(User.objects.create_superuser("anna"))
    print(client.get("/page/").text)
    assert client.post(f"/jobqueue/run/{job.pk}/").status_code == 302
    for execution in Execution.objects.all():
        print(f"{execution.label} asked for by {execution.requested_by}")


if __name__ == "__main__":
    main()
