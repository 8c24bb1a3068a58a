from django.conf import settings
from django.db import models

from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection


class HaltScope(models.TextChoices):
    """Whose orders a halt stops, the narrowest first."""

    APP = "app", "One app"
    CONNECTION = "connection", "One connection"
    USER = "user", "One person"
    INSTANCE = "instance", "Everybody"


class Halt(models.Model):
    """No order goes out where it stands, until a person lifts it. Written by ``console.halts.services`` alone."""

    scope = models.CharField(max_length=10, choices=HaltScope.choices)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, related_name="halts")
    """Whose orders it stops; None: everybody's."""
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, null=True, related_name="halts")
    app = models.ForeignKey(ConnectedApp, on_delete=models.CASCADE, null=True, related_name="halts")
    account_id = models.CharField(max_length=64, blank=True)
    """One account of the connection; empty: all of them."""
    reason = models.CharField(max_length=300, blank=True)
    by_app = models.ForeignKey(ConnectedApp, on_delete=models.SET_NULL, null=True, related_name="+")
    """The app that asked for it: the reason is its words, to be shown as quoted. None: a person did."""
    by_label = models.CharField(max_length=255)
    by_operator = models.BooleanField(default=False)
    """An operator stopped somebody else: only an operator lifts that."""
    at = models.DateTimeField()
    lifted_at = models.DateTimeField(null=True)
    lifted_by = models.CharField(max_length=254, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["owner"], name="halts_standing", condition=models.Q(lifted_at=None))]

    @property
    def is_quoted(self) -> bool:
        return self.by_app_id is not None

    @property
    def what(self) -> str:
        """What it stops, in words."""
        match self.scope:
            case HaltScope.APP if self.app is not None:
                return f"orders of {self.app.name} on {self.app.connection.name}"
            case HaltScope.CONNECTION if self.connection is not None:
                account = f", account {self.account_id}" if self.account_id else ""
                return f"orders on {self.connection.name}{account}"
            case HaltScope.USER if self.owner is not None:
                return f"all orders of {self.owner.email}"
        return "all orders of everyone"
