from django.db import models
from django.db.models import Q

from console.connected_apps.models import ConnectedApp
from console.orders.models import Order
from console.signals.mapping import Template


class SenderProof(models.TextChoices):
    """How a sender proves that a message is theirs."""

    BODY = "body", "A secret in the text"
    SIGNATURE = "signature", "A signature over the text"


class SignalAddress(models.Model):
    """An address that takes signals for one connection. Who may do what is in its app, which it ends with."""

    app = models.OneToOneField(ConnectedApp, on_delete=models.CASCADE, related_name="signal_address")
    public_id = models.CharField(max_length=40, unique=True)
    path_digest = models.CharField(max_length=64, unique=True)
    """Of the last part of the address, which is shown once."""
    proof = models.CharField(max_length=10, choices=SenderProof.choices)
    secret_digest = models.CharField(max_length=64)
    """Of the secret, which is shown once."""
    sealed = models.TextField(blank=True)
    """The secret itself, sealed, where signatures are checked with it; empty where it comes in the text."""
    networks = models.JSONField(default=list)
    """Addresses of its senders, as CIDR; empty: from anywhere."""
    template = models.JSONField()
    """As ``Template.stored`` writes it."""
    per_minute = models.PositiveIntegerField()
    """At most so many signals a minute are taken."""
    same_after = models.PositiveIntegerField()
    """Seconds after which the same text is a new signal, where it has no id."""
    oldest = models.PositiveIntegerField()
    """Seconds: a signal sent longer ago is late."""
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return self.app.name

    @property
    def loaded(self) -> Template:
        return Template.load(self.template)

    @property
    def is_signed(self) -> bool:
        return self.proof == SenderProof.SIGNATURE


class SignalOutcome(models.TextChoices):
    WAITING = "waiting", "Being prepared"
    PREPARED = "prepared", "Order prepared"
    REFUSED = "refused", "Refused"


class Signal(models.Model):
    """One message to a signal address, and what came of it. Its text is not kept."""

    public_id = models.CharField(max_length=40, unique=True)
    address = models.ForeignKey(SignalAddress, on_delete=models.CASCADE, related_name="signals")
    at = models.DateTimeField()
    ip = models.CharField(max_length=45, blank=True)
    user_agent = models.CharField(max_length=200, blank=True)
    request_id = models.CharField(max_length=40)
    is_taken = models.BooleanField(default=False)
    """Proved to be its sender's, in time and new: it counts against the rate, and the same again is a repeat."""
    sender_id = models.CharField(max_length=100, blank=True)
    """The sender's own, where its text or its headers have one."""
    digest = models.CharField(max_length=64, blank=True)
    """Of the text."""
    sent_at = models.DateTimeField(null=True)
    """By the sender's own clock."""
    wanted = models.JSONField(default=dict)
    """What it asked for, as text: symbol, side, quantity, limit_price."""
    outcome = models.CharField(max_length=10, choices=SignalOutcome.choices)
    code = models.CharField(max_length=40, blank=True)
    message = models.CharField(max_length=500, blank=True)
    order = models.ForeignKey(Order, on_delete=models.SET_NULL, null=True, related_name="+")
    next_at = models.DateTimeField(null=True)
    """When it is worked on next, while it waits. Whoever works on it moves it ahead first."""
    more = models.PositiveIntegerField(default=0)
    """How many refused ones followed within the minute and have no row of their own."""

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["address", "digest"], name="signals_same_text"),
            models.Index(fields=["address", "sender_id"], name="signals_same_id"),
            models.Index(fields=["address", "at"], name="signals_lately"),
            models.Index(fields=["next_at"], condition=Q(outcome="waiting"), name="signals_due"),
        ]

    def __str__(self) -> str:
        return self.public_id
