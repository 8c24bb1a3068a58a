from datetime import timedelta

from django.conf import settings
from django.db import models

from console.connected_apps.models import ConnectedApp


class Secret(models.Model):
    """One secret text. Only a hash is kept; ``hint`` is what a person recognises it by."""

    public_id = models.CharField(max_length=16, unique=True)
    digest = models.CharField(max_length=64, db_index=True)
    hint = models.CharField(max_length=40)
    note = models.CharField(max_length=200, blank=True)
    networks = models.JSONField(default=list)
    """Addresses it works from, as CIDR; empty: from anywhere."""
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True)
    never_reason = models.CharField(max_length=200, blank=True)
    """Why it has no end; empty where it has one."""
    revoked_at = models.DateTimeField(null=True)
    revoked_reason = models.CharField(max_length=200, blank=True)
    """For its owner. What a caller is told is the app's reason."""
    last_used_at = models.DateTimeField(null=True)
    last_used_ip = models.CharField(max_length=45, blank=True)

    class Meta:
        abstract = True
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.hint


class ApiKey(Secret):
    """A secret that proves to be its app. An app has several while one is being replaced by the next."""

    app = models.ForeignKey(ConnectedApp, on_delete=models.CASCADE, related_name="api_keys")
    is_default = models.BooleanField(default=False)
    """The read-only key that came with the connection."""
    replaced_by = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, related_name="replaces")
    grace_seconds = models.PositiveIntegerField(null=True)
    """Of one that is being replaced: how long it works on once the new one is used. ``expires_at`` is then its latest
    end. None: nothing waits for that."""
    made_by = models.ForeignKey("ManagementKey", on_delete=models.CASCADE, null=True, related_name="made")
    """The management key that made it, with which it ends; None: a person did."""

    @property
    def grace(self) -> timedelta:
        return timedelta(seconds=self.grace_seconds or 0)


class ManagementKey(Secret):
    """A secret that manages its owner's account through /api/v1. It is no app: it reaches no broker and no tool."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="management_keys")
    name = models.CharField(max_length=100)
    makes_trade_keys = models.BooleanField(default=False)
    """Whether its owner lets it make keys that may trade."""
