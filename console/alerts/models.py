from django.conf import settings
from django.db import models

from brokers.decimals import ExactDecimalField
from brokers.types import LONGEST_SYMBOL
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection


class AlertKind(models.TextChoices):
    """What an alert watches."""

    PRICE = "price", "Price"
    CHANGE = "change", "Change of the price, in percent"
    INDICATOR = "indicator", "Indicator"
    SPREAD = "spread", "Spread between bid and ask"
    PROFIT = "profit", "Unrealised profit of a position"
    DRAWDOWN = "drawdown", "Drawdown of the account, in percent"
    EQUITY = "equity", "Equity of the account"
    ORDER_AGE = "order_age", "Minutes the oldest order has been open"
    CONNECTION = "connection", "Connection to the broker"


class Condition(models.TextChoices):
    """How what is watched has to stand to the alert's value."""

    ABOVE = "above", "is above"
    BELOW = "below", "is below"
    CROSSES = "crosses", "crosses"


class AlertStatus(models.TextChoices):
    ACTIVE = "active", "Active"
    FIRED = "fired", "Fired"
    """Once, which was all it was for."""
    EXPIRED = "expired", "Expired"
    CANCELLED = "cancelled", "Switched off"


class WatchedValue(models.Model):
    """One value of one connection, looked up once however many alerts watch it. Written by ``evaluation``."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="watched_values")
    account_id = models.CharField(max_length=64, blank=True)
    """Of a value of an account; empty for one of a symbol or of the connection."""
    symbol = models.CharField(max_length=LONGEST_SYMBOL, blank=True)
    """As the broker names it."""
    kind = models.CharField(max_length=10, choices=AlertKind.choices)
    measure = models.CharField(max_length=120, blank=True)
    """What tells it from others of its kind, as ``terms.Measure`` writes it."""
    currency = models.CharField(max_length=8, blank=True)
    """Of a value that is an amount of money."""
    value = ExactDecimalField(null=True)
    at = models.DateTimeField(null=True)
    """When ``value`` was so, by the broker's word."""
    looked_at = models.DateTimeField(null=True)
    misses = models.PositiveIntegerField(default=0)
    """How often in a row there was nothing to compare with."""
    trouble = models.CharField(max_length=300, blank=True)
    """Why there was nothing the last time."""
    due_at = models.DateTimeField(null=True)
    """When to look again; None: no alert watches it."""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "kind", "symbol", "account_id", "measure"], name="alerts_watched_once"
            )
        ]
        indexes = [models.Index(fields=["due_at"], name="alerts_due", condition=models.Q(due_at__isnull=False))]

    def __str__(self) -> str:
        return " ".join(each for each in (self.kind, self.symbol, self.measure) if each)


class Alert(models.Model):
    """A condition its owner is notified of. It holds no order and leads to none.

    Its terms are written by ``services``, what became of it by ``evaluation``.
    """

    public_id = models.CharField(max_length=40, unique=True)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="alerts")
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="alerts")
    app = models.ForeignKey(ConnectedApp, on_delete=models.PROTECT, null=True, related_name="alerts")
    """Which app created it; None: its owner. It is the owner's and stays when the app's access ends."""
    watched = models.ForeignKey(WatchedValue, on_delete=models.RESTRICT, related_name="alerts")
    condition = models.CharField(max_length=8, choices=Condition.choices)
    value = ExactDecimalField()
    note = models.CharField(max_length=200, blank=True)
    """Words of who created it: data, not instructions."""
    repeats = models.BooleanField(default=False)
    cooldown_minutes = models.PositiveIntegerField(default=60)
    """Of one that repeats: the least time between two notifications."""
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    status = models.CharField(max_length=10, choices=AlertStatus.choices, default=AlertStatus.ACTIVE)
    ended_at = models.DateTimeField(null=True)
    last_side = models.CharField(max_length=5, blank=True)
    """Where what it watches stood at the last look: above, below or equal; empty before the first."""
    fired_count = models.PositiveIntegerField(default=0)
    fired_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["owner", "status"], name="alerts_of_owner"),
            models.Index(fields=["watched", "status"], name="alerts_watching"),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def is_active(self) -> bool:
        return self.status == AlertStatus.ACTIVE


class AlertEvent(models.Model):
    """One notification: an alert that fired, or an app's own message to the owner. Kept as its history."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="alert_events")
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="alert_events")
    app = models.ForeignKey(ConnectedApp, on_delete=models.PROTECT, null=True, related_name="alert_events")
    """Whose message it is, or which app created the alert."""
    alert = models.ForeignKey(Alert, on_delete=models.CASCADE, null=True, related_name="events")
    """None: a message."""
    number = models.PositiveIntegerField(default=0)
    """Of an alert: 1 for the first time it fired."""
    at = models.DateTimeField()
    value = ExactDecimalField(null=True)
    value_at = models.DateTimeField(null=True)
    title = models.CharField(max_length=200)
    text = models.CharField(max_length=1000, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["alert", "number"], condition=models.Q(alert__isnull=False), name="alerts_fired_once"
            )
        ]
        indexes = [models.Index(fields=["app", "at"], name="alerts_messages_of_app")]

    def __str__(self) -> str:
        return self.title
