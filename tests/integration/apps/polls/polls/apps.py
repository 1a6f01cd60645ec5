"""The app's entry in `INSTALLED_APPS`."""

from django.apps import AppConfig


class PollsConfig(AppConfig):
    """Questions and choices."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "polls"
