"""A copy of what the broker says happened, and the round trips worked out from it. ``sync`` is the one writer.

Trips can be thrown away and worked out again: they get the same ids. Notes are kept by those ids, not by rows. Sums of
both are kept by day, month and year (``ProfitRollup``), written in the transaction that writes what they sum.
"""

from datetime import timedelta
from decimal import Decimal

from django.db import models

from brokers.decimals import ExactDecimalField
from console.connections.models import Connection

FILLS, LEDGER = "fills", "ledger"


class Progress(models.Model):
    """How far one list of one account has been copied.

    A walk goes from the newest row down to ``floor``, page by page and over several calls; where it is done, the
    next begins at the top again.
    """

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="journal_progress")
    account_id = models.CharField(max_length=64)
    what = models.CharField(max_length=6, choices=[(FILLS, "Fills"), (LEDGER, "Ledger")])
    walk = models.PositiveIntegerField(default=0)
    """Number of the walk: later ones find later rows."""
    began_at = models.DateTimeField(null=True)
    """When the walk that is under way began; null between two."""
    floor = models.DateTimeField(null=True)
    """How far down it goes; null: to the first row of all."""
    after = models.CharField(max_length=128, blank=True)
    """The broker's id of the last row it copied."""
    copied = models.PositiveIntegerField(default=0)
    """Rows it has seen."""
    whole_at = models.DateTimeField(null=True)
    """When the last complete walk began: nothing from before then is missing."""
    looked_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "account_id", "what"], name="journal_one_progress_per_list")
        ]

    def __str__(self) -> str:
        return f"{self.what} of {self.account_id}"


class _Copied(models.Model):
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="+")
    account_id = models.CharField(max_length=64)
    at = models.DateTimeField()
    place = models.BigIntegerField()
    """Order among rows of the same moment: the later, the larger."""
    symbol = models.CharField(max_length=40, blank=True)
    currency = models.CharField(max_length=8)
    wire_id = models.CharField(max_length=64, blank=True)
    """The client order id the broker knows the order by."""
    matched = models.BooleanField(default=False)
    """Whether the round trips say it already; true for what moves no position."""

    class Meta:
        abstract = True


class Execution(_Copied):
    fill_id = models.CharField(max_length=128)
    side = models.CharField(max_length=4)
    quantity = ExactDecimalField()
    price = ExactDecimalField()
    fee = ExactDecimalField()
    source = models.CharField(max_length=100, blank=True)
    model = models.CharField(max_length=24, blank=True)
    realized = ExactDecimalField(default=Decimal(0))
    """What it earned before fees, by average cost."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "account_id", "fill_id"], name="journal_one_row_per_fill")
        ]
        indexes = [
            models.Index(fields=["connection", "account_id", "symbol", "at"], name="journal_fills_of_symbol"),
            models.Index(
                fields=["connection", "account_id"], name="journal_fills_to_match", condition=models.Q(matched=False)
            ),
            models.Index(fields=["connection", "at", "place"], name="journal_fills_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} {self.symbol}"


class LedgerLine(_Copied):
    entry_id = models.CharField(max_length=128)
    kind = models.CharField(max_length=20)
    amount = ExactDecimalField()
    quantity = ExactDecimalField(null=True)
    price = ExactDecimalField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "account_id", "entry_id"], name="journal_one_row_per_entry")
        ]
        indexes = [
            models.Index(fields=["connection", "account_id", "at"], name="journal_ledger_by_time"),
            models.Index(fields=["connection", "account_id", "kind", "at"], name="journal_ledger_by_kind"),
            models.Index(fields=["connection", "at", "place"], name="journal_ledger_in_order"),
            models.Index(
                fields=["connection", "account_id"], name="journal_ledger_to_match", condition=models.Q(matched=False)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount} {self.currency}"


class RoundTrip(models.Model):
    """A position from flat to flat; the last one of a symbol may still be open."""

    public_id = models.CharField(max_length=40, unique=True)
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="round_trips")
    account_id = models.CharField(max_length=64)
    symbol = models.CharField(max_length=40)
    currency = models.CharField(max_length=8)
    side = models.CharField(max_length=5, choices=[("long", "Long"), ("short", "Short")])
    opened_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)
    fresh_start = models.BooleanField()
    """Nothing of an earlier trip happened at its first moment, so that matching can begin with it."""
    quantity = ExactDecimalField()
    """Total units entered."""
    held = ExactDecimalField()
    """Units still held: 0 once it is closed."""
    entry_price = ExactDecimalField()
    """Average over all that was entered."""
    exit_price = ExactDecimalField(null=True)
    realized = ExactDecimalField()
    """Before fees."""
    fees = ExactDecimalField()
    fills = models.PositiveIntegerField()
    won = models.BooleanField(null=True)
    """Whether a closed trip earned more than its fees."""
    ended_by = models.CharField(max_length=10, blank=True)
    """"reset" where the position was written off, not traded away."""
    best = ExactDecimalField(null=True)
    worst = ExactDecimalField(null=True)
    """Highest and lowest it stood at on the way, before fees (MFE and MAE); null until it is measured."""
    measured_by = models.CharField(max_length=5, blank=True)
    """Size of the bars it was measured with; "fills" where there were none."""
    checkpoint = models.JSONField(null=True)
    """While it is open: the trip unrounded and until when, so that matching goes on from there."""

    class Meta:
        indexes = [
            models.Index(fields=["connection", "account_id", "symbol", "opened_at"], name="journal_trips_of_symbol"),
            models.Index(fields=["connection", "opened_at"], name="journal_trips_by_time"),
            models.Index(fields=["connection", "symbol", "opened_at"], name="journal_trips_by_symbol"),
            # By what is null, not by a value: SQLite uses no partial index for a value that is bound.
            models.Index(
                fields=["connection", "account_id", "closed_at"],
                name="journal_trips_to_measure",
                condition=models.Q(best__isnull=True, closed_at__isnull=False),
            ),
            models.Index(
                fields=["connection", "opened_at"],
                name="journal_open_trips",
                condition=models.Q(closed_at__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def net(self) -> Decimal:
        """Profit so far, after fees."""
        earned: Decimal = self.realized - self.fees
        return earned

    @property
    def holding_time(self) -> timedelta | None:
        return None if self.closed_at is None else self.closed_at - self.opened_at


class ProfitRollup(models.Model):
    """What matched fills earned and cost in one UTC day, month or year: exactly the sum of those rows.

    Written by ``profit_rollups`` alone. A row without a symbol sums all symbols of the account.
    """

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="+")
    account_id = models.CharField(max_length=64)
    symbol = models.CharField(max_length=40, blank=True)
    currency = models.CharField(max_length=8)
    grain = models.CharField(max_length=5, choices=[("day", "Day"), ("month", "Month"), ("year", "Year")])
    start = models.DateField()
    """Its first day."""
    realized = ExactDecimalField()
    """Before fees."""
    fees = ExactDecimalField()
    fills = models.PositiveIntegerField()
    trips = models.PositiveIntegerField()
    """Round trips that were closed then; ``won`` of them earned more than their fees."""
    won = models.PositiveIntegerField()
    trips_net = ExactDecimalField()
    """What those trips earned after fees, from their first fill on."""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "account_id", "symbol", "grain", "start", "currency"],
                name="journal_one_rollup_per_period",
            )
        ]
        indexes = [
            models.Index(fields=["connection", "account_id", "grain", "start"], name="journal_rollups_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.symbol or 'all symbols'}, {self.grain} of {self.start}: {self.realized} {self.currency}"


class Note(models.Model):
    """A remark on a round trip or an order, by the owner or by an app; an app's words are its own."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="notes")
    about = models.CharField(max_length=40)
    """Public id of the round trip or the order."""
    at = models.DateTimeField()
    text = models.CharField(max_length=1000)
    tags = models.JSONField(default=list)
    app_id = models.BigIntegerField(null=True)
    """Null: the owner wrote it."""
    by = models.CharField(max_length=255)

    class Meta:
        ordering = ["pk"]
        indexes = [models.Index(fields=["connection", "about"], name="journal_notes_about")]

    def __str__(self) -> str:
        return self.text[:60]
