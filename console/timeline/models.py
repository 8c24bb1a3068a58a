from django.conf import settings
from django.db import models


class ViewPage(models.TextChoices):
    """A page whose filter can be saved."""

    TIMELINE = "timeline", "Timeline"
    ORDERS = "orders", "Orders"
    ERRORS = "errors", "Recent errors"


class SavedView(models.Model):
    """A filter that somebody named. It holds a query string, and nothing of what the filter finds."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="saved_views")
    page = models.CharField(max_length=10, choices=ViewPage.choices)
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=2000)
    is_default = models.BooleanField(default=False)
    """Whether the page opens with it."""

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["owner", "page", "name"], name="timeline_view_name"),
            models.UniqueConstraint(
                fields=["owner", "page"], condition=models.Q(is_default=True), name="timeline_one_default_view"
            ),
        ]

    def __str__(self) -> str:
        return self.name
