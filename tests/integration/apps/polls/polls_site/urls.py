"""The site's paths."""

from django.urls import path
from polls import views

urlpatterns = [
    path("", views.index, name="index"),
    path("healthz", views.healthz, name="healthz"),
    path("whoami", views.whoami, name="whoami"),
    path("port", views.port, name="port"),
    path("vote/<int:choice_id>", views.vote, name="vote"),
]
