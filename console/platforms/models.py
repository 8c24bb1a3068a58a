from django.conf import settings
from django.db import models

from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection


class Platform(models.Model):
    """A product that embeds this Tradelatch: it makes users and mints one-hour tokens for them."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="platforms")
    """The operator who answers for it."""
    name = models.CharField(max_length=100)
    client_id = models.CharField(max_length=40, unique=True)
    digest = models.CharField(max_length=64)
    credential_version = models.PositiveIntegerField(default=1)
    """Tokens carry it. Whatever is to end them all at once raises it."""
    created_at = models.DateTimeField(auto_now_add=True)
    disabled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["name", "id"]

    def __str__(self) -> str:
        return self.name


class PlatformUser(models.Model):
    """A user of a platform: one of ours too, without a password."""

    platform = models.ForeignKey(Platform, on_delete=models.PROTECT, related_name="users")
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="platform_user")
    public_id = models.CharField(max_length=40, unique=True)
    reference = models.CharField(max_length=100, blank=True)
    """What the platform calls this user."""
    digest = models.CharField(max_length=64)
    credential_version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField(auto_now_add=True)
    disabled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["platform", "reference"],
                condition=~models.Q(reference=""),
                name="platforms_reference_per_platform",
            )
        ]

    def __str__(self) -> str:
        return self.public_id


class Access(models.Model):
    """The one app behind all tokens of a platform user for a connection and a set of scopes.

    ``scopes`` is what was asked for: an app that was narrowed since stays the app for that set, narrow.
    """

    platform_user = models.ForeignKey(PlatformUser, on_delete=models.CASCADE, related_name="accesses")
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="platform_accesses")
    scopes = models.CharField(max_length=100)
    app = models.OneToOneField(ConnectedApp, on_delete=models.CASCADE, related_name="platform_access")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["platform_user", "connection", "scopes"], name="platforms_one_app_per_scope_set"
            )
        ]
