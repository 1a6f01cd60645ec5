"""Questions, and the choices that are voted for."""

from django.db import models


class Question(models.Model):
    """What is asked."""

    text = models.CharField(max_length=200)
    asked_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return str(self.text)


class Choice(models.Model):
    """One possible answer and how often it was given."""

    question = models.ForeignKey(Question, on_delete=models.CASCADE, related_name="choices")
    text = models.CharField(max_length=200)
    votes = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return str(self.text)
