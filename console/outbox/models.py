from django.conf import settings
from django.db import models
from django.db.models import Q


class OutgoingMail(models.Model):
    """A message to a person, from the moment it is decided until it is sent or given up. A sweep finds it."""

    class Kind(models.TextChoices):
        RECOVERY = "recovery", "A link to set a new password"
        GRANT = "grant", "An app got access"
        ORDERS = "orders", "Orders wait for an answer"
        TOKEN_REUSED = "token_reused", "An old sign-in of an app was used again"
        NEWS = "news", "News"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="+")
    """Nobody: somebody typed an address that has no account here, which costs as much time as one that has."""
    kind = models.CharField(max_length=20, choices=Kind.choices)
    channel = models.ForeignKey(
        "notifications.NotificationChannel", on_delete=models.CASCADE, null=True, related_name="+"
    )
    """Where it goes; None: the person's e-mail address."""
    is_urgent = models.BooleanField(default=False)
    """Somebody has little time to answer it: it is sent before others, and tried again sooner."""
    sealed = models.TextField(blank=True)
    """Subject and text, or the message, sealed; empty until it is written, and again when it is sent or given up."""
    created_at = models.DateTimeField(auto_now_add=True)
    good_until = models.DateTimeField()
    """After that the letter would say what is over."""
    next_at = models.DateTimeField()
    """When it is tried next. Whoever tries moves it ahead first, so that no two send it."""
    attempts = models.PositiveSmallIntegerField(default=0)
    sent_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    failure = models.CharField(max_length=200, blank=True)
    """What the last attempt met."""

    class Meta:
        indexes = [
            models.Index(fields=["next_at"], condition=Q(sent_at=None, failed_at=None), name="outbox_due"),
            models.Index(fields=["failed_at"], condition=Q(failed_at__isnull=False), name="outbox_failed"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} ({self.pk})"
