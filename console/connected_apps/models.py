from django.conf import settings
from django.db import models

from console import limits, scopes
from console.clients.models import Client
from console.connections.models import Connection
from console.limits import Limits
from console.scopes import Scope, Source
from console.toolsets import Toolset, switched_on


def end_message(reason: str) -> str:
    """The recorded reason of an end of access, as it is told wherever the app is refused."""
    return f"This app's access has ended. {reason}." if reason else "This app's access has ended."


class ConnectedApp(models.Model):
    """The one noun for permission: who may act on which connection, and how far.

    A grant or a key only proves to be one; whether it still holds is read from this row on every call.
    """

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="connected_apps")
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="connected_apps")
    source = models.CharField(max_length=16, choices=[(s.value, s.value) for s in Source if s is not Source.MANAGEMENT])
    client = models.ForeignKey(Client, on_delete=models.PROTECT, null=True, related_name="connected_apps")
    name = models.CharField(max_length=255)
    scopes = models.CharField(max_length=100)
    toolsets = models.JSONField(null=True)
    """Names of the toolsets that are switched on; None: those of the default."""
    ask_in_assistant = models.BooleanField(default=True)
    """Whether its user is asked about each order in their client, where that can ask; their answer then decides."""
    limits = models.JSONField(default=dict)
    """As ``Limits.stored`` writes them, in the connection's currency, on top of the connection's own."""
    calls_per_minute = models.PositiveIntegerField(null=True)
    """At most so many calls a minute, of those the user may make; None: no limit of its own. Cancels do not count."""
    current_account = models.CharField(max_length=64, blank=True)
    """Account used when a call names none; empty: the connection's own default."""
    created_at = models.DateTimeField(auto_now_add=True)
    activated_at = models.DateTimeField(null=True)
    """When its first credential was issued. None: nothing can act as it, so no list of apps has it: an OAuth grant
    that was allowed but never redeemed, or the owner at the browser."""
    last_used_at = models.DateTimeField(null=True)
    last_used_ip = models.CharField(max_length=45, blank=True)
    last_used_agent = models.CharField(max_length=200, blank=True)
    paused_at = models.DateTimeField(null=True)
    revoked_at = models.DateTimeField(null=True)
    revoked_reason = models.CharField(max_length=100, blank=True)
    made_by_key = models.BooleanField(default=False)
    """A management key made it, not its owner: it counts the orders of every app there against its own limits of a day
    and a minute, so that making one more app makes no more room."""
    still_binds = models.BooleanField(default=False)
    """It ended, and not by its owner in person: what the owner set on it holds for what comes in its place."""

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["connection"],
                condition=models.Q(source=Source.CONSOLE.value, revoked_at=None),
                name="connected_apps_one_console",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def granted(self) -> frozenset[Scope]:
        return scopes.parse(self.scopes)

    @property
    def scope_label(self) -> str:
        return scopes.label(self.granted)

    @property
    def toolset_names(self) -> list[str]:
        """Of the sets of tools that are switched on."""
        return [each.value for each in Toolset if switched_on(self.toolsets, each)]

    @property
    def same(self) -> models.Q:
        """Which rows are this app: its own, and those of its client before that signed in again on the connection."""
        if self.client_id is None:
            return models.Q(pk=self.pk)
        return models.Q(client_id=self.client_id, connection_id=self.connection_id, owner_id=self.owner_id)

    def is_same(self, other: "ConnectedApp") -> bool:
        """As ``same`` says, of two rows at hand."""
        mine, its = ((each.client_id, each.connection_id, each.owner_id) for each in (self, other))
        return self.pk == other.pk or (self.client_id is not None and mine == its)

    @property
    def why_ended(self) -> str:
        """For the app and for people; empty while its access lasts."""
        return "" if self.revoked_at is None else end_message(self.revoked_reason)

    @property
    def is_console(self) -> bool:
        """It stands for the owner at the browser, and no credential for it."""
        return self.source == Source.CONSOLE

    @property
    def is_signal(self) -> bool:
        """It stands for the messages to one signal address: what they prepare is its owner's to release."""
        return self.source == Source.SIGNAL

    @property
    def can_trade(self) -> bool:
        return Scope.TRADE in self.granted

    @property
    def limited(self) -> Limits:
        return limits.parse(self.limits)
