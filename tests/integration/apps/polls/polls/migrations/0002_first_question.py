"""Asks the first question, so that a new site has something to vote on."""

from typing import Any, ClassVar

from django.db import migrations


def ask(apps: Any, schema_editor: Any) -> None:
    """One question with three choices."""
    question = apps.get_model("polls", "Question").objects.create(text="How did this release go live?")
    choice = apps.get_model("polls", "Choice")
    for text in ("Without a lost request", "With one", "I did not notice"):
        choice.objects.create(question=question, text=text)


class Migration(migrations.Migration):
    """Data only."""

    dependencies: ClassVar[list[tuple[str, str]]] = [("polls", "0001_initial")]
    operations: ClassVar[list[Any]] = [migrations.RunPython(ask, migrations.RunPython.noop)]
