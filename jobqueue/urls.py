"""Addresses outside the admin: ``path("jobqueue/", include("jobqueue.urls"))``."""

from django.urls import path

from . import views

app_name = "jobqueue"
urlpatterns = [
    path("run/<int:pk>/", views.run, name="run"),
    path("health", views.health, name="health"),
    path("metrics", views.metrics, name="metrics"),
]
