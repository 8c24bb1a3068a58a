from datetime import date
from decimal import Decimal

from django.conf import settings
from django.db import models

from brokers.decimals import ExactDecimalField
from brokers.types import Environment
from console import limits
from console.limits import Limits


class Policy(models.TextChoices):
    """Who releases an order, the loosest first."""

    TWO_STEP = "two_step", "The assistant confirms after you agree"
    OWNER_APPROVAL = "owner_approval", "You approve each order in the console"


LIVE_CONFIRMATION_DELAY = 3
"""Seconds, where the owner set nothing else: about as long as it takes to read an order."""
LONGEST_CONFIRMATION_DELAY = 60
"""Seconds: a confirmation has to be usable before it expires."""
SHORTEST_APPROVAL_WAIT, LONGEST_APPROVAL_WAIT = 120, 24 * 3600
"""Seconds that what waits for its owner can wait."""


def default_policy(environment: Environment) -> Policy:
    """What is not known to be paper asks its owner."""
    return Policy.TWO_STEP if environment is Environment.PAPER else Policy.OWNER_APPROVAL


class Connection(models.Model):
    """One broker account set a person linked. Paper or live for good: ``environment`` never changes."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="connections")
    name = models.CharField(max_length=60)
    broker = models.CharField(max_length=20)
    environment = models.CharField(max_length=8, choices=[(e.value, e.value) for e in Environment])
    settings = models.JSONField(default=dict)
    """The adapter's own record, opaque to everyone else. No secret."""
    sealed = models.TextField(blank=True)
    """The broker's credentials as ``vault.seal`` writes them, for this row alone; nothing where there are none."""
    default_account = models.CharField(max_length=64, blank=True)
    """Account used when neither the call nor the app names one."""
    trading_enabled = models.BooleanField(default=False)
    policy = models.CharField(max_length=16, choices=Policy.choices, default=Policy.TWO_STEP)
    confirmation_delay = models.PositiveSmallIntegerField(null=True)
    """Seconds; None: as ``least_confirmation_seconds`` has it for the environment."""
    approval_wait = models.PositiveIntegerField(null=True)
    """Seconds; None: as long as any confirmation lives. Read through ``approval_seconds``."""
    policy_set_at = models.DateTimeField(null=True)
    """When ``policy`` last changed: what its owner allowed under the one before has ended with it."""
    limits = models.JSONField(default=dict)
    """As ``Limits.stored`` writes them, in ``currency``; read through ``limited``."""
    created_at = models.DateTimeField(auto_now_add=True)
    paused_at = models.DateTimeField(null=True)
    closed_at = models.DateTimeField(null=True)

    # The last thing the broker said, for pages: a page never waits for a broker.
    equity = ExactDecimalField(null=True)
    day = models.DateField(null=True)
    """The UTC day that ``day_equity`` and ``day_change_percent`` speak of."""
    day_equity = ExactDecimalField(null=True)
    """Equity when the day began: the last that was known before it."""
    day_change_percent = ExactDecimalField(null=True)
    currency = models.CharField(max_length=8, blank=True)
    detail = models.CharField(max_length=120, blank=True)
    checked_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=300, blank=True)
    next_step = models.CharField(max_length=200, blank=True)
    """What to do about ``last_error``."""
    needs_sign_in = models.BooleanField(default=False)
    """The session at the broker has ended, and only a person can begin a new one."""
    check_after = models.DateTimeField(null=True)
    unknown_words = models.JSONField(default=dict)
    """What it answered at the last full check that its adapter does not know → how often; nothing of it is secret."""

    # What the broker said of its key when it was last asked; None where it does not tell, or there is no key.
    key_can_trade = models.BooleanField(null=True)
    key_can_withdraw = models.BooleanField(null=True)
    key_expires = models.DateTimeField(null=True)
    key_note = models.CharField(max_length=300, blank=True)
    key_checked_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["name", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "name"],
                condition=models.Q(closed_at=None),
                name="connections_name_per_owner",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_live(self) -> bool:
        return self.environment != Environment.PAPER

    @property
    def has_key(self) -> bool:
        return self.key_checked_at is not None

    @property
    def why_read_only(self) -> str:
        """Why its key keeps trading switched off; nothing where it does not."""
        if self.key_can_withdraw:
            return "Its key can withdraw money, so it is read only until you replace the key with one that cannot."
        if self.key_can_trade is False:
            return "Its key cannot trade at the broker, so it is read only until you replace the key."
        return ""

    @property
    def limited(self) -> Limits:
        return limits.parse(self.limits)

    @property
    def least_confirmation_seconds(self) -> int:
        """How long after it was shown an app may confirm an order by itself, at the earliest."""
        if self.confirmation_delay is not None:
            return self.confirmation_delay
        return LIVE_CONFIRMATION_DELAY if self.is_live else 0

    @property
    def approval_seconds(self) -> int:
        """How long what only its owner releases waits for that."""
        return settings.CONFIRMATION_SECONDS if self.approval_wait is None else self.approval_wait

    def equity_at_start_of(self, day: date) -> Decimal | None:
        """The last equity that was known before the UTC day began; None where none was."""
        began: Decimal | None = self.day_equity if self.day == day else self.equity
        return began


class OrderStreamStatus(models.Model):
    """Whether a worker hears the broker's own order updates; written by ``console.connections.order_streams`` alone."""

    connection = models.OneToOneField(
        Connection, on_delete=models.CASCADE, related_name="order_stream", primary_key=True
    )
    is_up = models.BooleanField(default=False)
    since = models.DateTimeField()
    """When ``is_up`` last changed."""
    seen_at = models.DateTimeField()
    """When its worker last said so: one that died says nothing."""
    trouble = models.CharField(max_length=300, blank=True)
    """Why it is down."""

    def __str__(self) -> str:
        return f"Order updates of {self.connection_id}: {'up' if self.is_up else 'down'}"


class EquitySnapshot(models.Model):
    """What one account was worth in one slot of time; written by ``console.connections.equity`` alone."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="equity_snapshots")
    account_id = models.CharField(max_length=64)
    currency = models.CharField(max_length=8)
    slot = models.DateTimeField()
    """Start of the time the row covers, a multiple of ``grain`` since 1970."""
    grain = models.PositiveIntegerField()
    """Seconds the row covers: 300, 3600 or 86400."""
    opened_at = models.DateTimeField()
    opened = ExactDecimalField()
    """The equity that was read first in the slot, and when."""
    at = models.DateTimeField()
    """When ``equity`` and ``cash`` were last read in the slot."""
    equity = ExactDecimalField()
    high = ExactDecimalField()
    low = ExactDecimalField()
    cash = ExactDecimalField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "account_id", "grain", "slot"], name="connections_one_snapshot_per_slot"
            )
        ]
        indexes = [
            models.Index(fields=["connection", "account_id", "at"], name="connections_equity_by_time"),
            models.Index(fields=["grain", "slot"], name="connections_equity_to_thin"),
        ]

    def __str__(self) -> str:
        return f"{self.equity} {self.currency} at {self.at:%Y-%m-%d %H:%M}"


class EquityMarks(models.Model):
    """The highest, the lowest and the deepest fall among all readings of an account, in their order.

    Kept as they are read, because thinning loses the order within a slot; written by ``console.connections.equity``.
    """

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="+")
    account_id = models.CharField(max_length=64)
    high = ExactDecimalField()
    high_at = models.DateTimeField()
    low = ExactDecimalField()
    low_at = models.DateTimeField()
    peak = ExactDecimalField(null=True)
    """Where the fall began that was largest in percent of it; null while there was none."""
    peak_at = models.DateTimeField(null=True)
    trough = ExactDecimalField(null=True)
    trough_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "account_id"], name="connections_one_row_of_marks")
        ]

    def __str__(self) -> str:
        return f"Between {self.low} and {self.high}"
