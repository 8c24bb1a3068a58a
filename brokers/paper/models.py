"""The paper broker's own books, which nothing outside ``brokers.paper`` reads."""

from django.db import models

from brokers.decimals import ExactDecimalField
from brokers.types import AssetClass, BarSize, BrokerStatus, OrderClass, OrderType, Side, TimeInForce

OPEN_STATUSES = [status.value for status in BrokerStatus if status.is_open]


CLASSES = (AssetClass.STOCK, AssetClass.ETF, AssetClass.CRYPTO)


class PaperAccount(models.Model):
    key = models.CharField(max_length=16, unique=True)
    """Public account id: random, so it says nothing about its owner."""
    name = models.CharField(max_length=100)
    currency = models.CharField(max_length=3)
    starting_cash = ExactDecimalField()
    hours = models.CharField(max_length=8, choices=[("always", "Always open"), ("venue", "Exchange hours")])
    seed = models.PositiveBigIntegerField()
    """Accounts with the same seed see the same simulated prices."""
    kind = models.CharField(max_length=6, choices=[("cash", "Cash"), ("margin", "Margin")], default="cash")
    preset = models.CharField(max_length=16, default="standard")
    """Fees, slippage and volume limits: a name in ``costs.PRESETS``."""
    overrides = models.JSONField(default=dict)
    """What of the preset is different here: ``costs.TUNABLE`` names, values as text in percent or money."""
    settlement_days = models.PositiveSmallIntegerField(default=0)
    """Business days until the proceeds of a stock can be spent. 0: at once."""
    venue = models.CharField(max_length=16, blank=True, default="")
    """Whose live prices it trades at, a name in ``public_price_feed.VENUES``; empty: the recorded and simulated
    market.
    """
    acted_until = models.DateTimeField(null=True)
    """Corporate actions up to this time are in the books."""
    accrues_at = models.DateTimeField(null=True)
    """When the next day's borrowing is charged; null while nothing is borrowed."""
    created = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.name} ({self.key})"


class CashBalance(models.Model):
    account = models.ForeignKey(PaperAccount, on_delete=models.CASCADE, related_name="balances")
    currency = models.CharField(max_length=3)
    amount = ExactDecimalField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "currency"], name="paper_one_balance_per_currency")]

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"


class Holding(models.Model):
    """A position that is not zero, negative when it was sold short; a position sold out has no row."""

    account = models.ForeignKey(PaperAccount, on_delete=models.CASCADE, related_name="holdings")
    symbol = models.CharField(max_length=32)
    quantity = ExactDecimalField()
    average_price = ExactDecimalField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "symbol"], name="paper_one_holding_per_symbol")]

    def __str__(self) -> str:
        return f"{self.quantity} {self.symbol}"


class PaperOrder(models.Model):
    account = models.ForeignKey(PaperAccount, on_delete=models.CASCADE, related_name="orders")
    client_order_id = models.CharField(max_length=64)
    broker_order_id = models.CharField(max_length=24, unique=True)
    symbol = models.CharField(max_length=32)
    currency = models.CharField(max_length=3)
    side = models.CharField(max_length=4, choices=[(side.value, side.value) for side in Side])
    order_type = models.CharField(max_length=10, choices=[(kind.value, kind.value) for kind in OrderType])
    tif = models.CharField(max_length=3, choices=[(tif.value, tif.value) for tif in TimeInForce])
    quantity = ExactDecimalField()
    limit_price = ExactDecimalField(null=True)
    stop_price = ExactDecimalField(null=True)
    trail_amount = ExactDecimalField(null=True)
    trail_percent = ExactDecimalField(null=True)
    best = ExactDecimalField(null=True)
    """Trailing stop only: the best price it has followed so far."""
    triggered = models.BooleanField(default=False)
    """The stop was touched: the order is a limit or market order from now on."""
    reduce_only = models.BooleanField(default=False)
    outside_rth = models.BooleanField(default=False)
    order_class = models.CharField(
        max_length=8, choices=[(one.value, one.value) for one in OrderClass], default=OrderClass.SIMPLE.value
    )
    parent = models.ForeignKey("self", on_delete=models.CASCADE, null=True, related_name="legs")
    held = models.BooleanField(default=False)
    """It waits for its parent to fill and meets no bar."""
    follows = models.BooleanField(default=False)
    """Its quantity is what its parent has filled."""
    pair = models.CharField(max_length=24, blank=True)
    """What fills of one order of a pair is taken from the others, and the pair reserves only once."""
    status = models.CharField(max_length=16, choices=[(status.value, status.value) for status in BrokerStatus])
    filled_quantity = ExactDecimalField()
    average_price = ExactDecimalField(null=True)
    fees = ExactDecimalField()
    reserved_cash = ExactDecimalField()
    """Held while the order is open, fee included; zero once it has ended."""
    reserved_quantity = ExactDecimalField()
    reason = models.CharField(max_length=200, blank=True)
    created = models.DateTimeField()
    updated = models.DateTimeField()
    post_only = models.BooleanField(default=False)
    arrives_at = models.DateTimeField(null=True)
    """It, or its last change, is on its way until then and meets nothing; null once it is there."""
    cancels_at = models.DateTimeField(null=True)
    """When the cancel that was asked for arrives; null without one."""
    expires_at = models.DateTimeField(null=True)
    """Null once it has ended, as its bounds are: an index then finds open orders alone."""
    matched_until = models.DateTimeField()
    """Bars that ended by this time have been matched."""
    tape = models.CharField(max_length=64, default="")
    """Whose bars it meets: ``Tape.key``."""
    touch_below = models.FloatField(null=True)
    touch_above = models.FloatField(null=True)
    """No bar concerns it whose low is above the one and whose high is below the other. Only to find orders by:
    rounded away from the market, so that no order is missed. The exact prices decide."""

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "client_order_id"], name="paper_one_order_per_client_id"),
        ]
        indexes = [
            # Not partial: SQLite cannot use a partial index for a statement whose values are bound.
            models.Index(fields=["tape", "touch_below"], name="paper_touched_below"),
            models.Index(fields=["tape", "touch_above"], name="paper_touched_above"),
            models.Index(fields=["expires_at"], name="paper_expiring"),
            models.Index(fields=["arrives_at"], name="paper_arriving"),
            models.Index(fields=["cancels_at"], name="paper_cancelling"),
            models.Index(fields=["account", "status", "tape"], name="paper_orders_by_account"),
            models.Index(fields=["status"], name="paper_orders_by_status"),
        ]

    def __str__(self) -> str:
        return f"{self.side} {self.quantity} {self.symbol} {self.order_type} ({self.status})"


class ChangedOrder(models.Model):
    """An order that changed after it was placed: a row for each change, until whoever follows the order has read it."""

    account = models.ForeignKey(PaperAccount, on_delete=models.CASCADE, related_name="+")
    client_order_id = models.CharField(max_length=64)

    def __str__(self) -> str:
        return self.client_order_id


class PaperFill(models.Model):
    order = models.ForeignKey(PaperOrder, on_delete=models.CASCADE, related_name="fills")
    account = models.ForeignKey(PaperAccount, on_delete=models.CASCADE, related_name="+", db_index=False)
    """The order's, here too so that an index has the fills of an account by time."""
    fill_id = models.CharField(max_length=32, unique=True)
    price = ExactDecimalField()
    quantity = ExactDecimalField()
    fee = ExactDecimalField()
    source = models.CharField(max_length=100)
    model = models.CharField(max_length=24, default="standard/1")
    """The preset it was made under, with its version."""
    bar = models.BigIntegerField(default=-1)
    """The minute whose volume it took; -1 for fills older than this column."""
    recorded_at = models.DateTimeField(null=True)
    """Replay only: when the price was really traded."""
    at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["account", "at"], name="paper_fills_by_time"),
            models.Index(fields=["account", "bar"], name="paper_fills_of_bar"),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} at {self.price}"


class LedgerEntry(models.Model):
    """Append-only. The entries of an account sum to its balances and, by symbol, to its holdings."""

    KINDS = (
        ("deposit", "Deposit"),
        ("trade", "Trade"),
        ("fee", "Fee"),
        ("transfer", "Transfer"),
        ("dividend", "Dividend"),
        ("split", "Split"),
        ("borrow", "Borrow fee"),
        ("interest", "Interest"),
        ("reset", "Reset"),
    )

    account = models.ForeignKey(PaperAccount, on_delete=models.CASCADE, related_name="ledger")
    at = models.DateTimeField()
    kind = models.CharField(max_length=8, choices=KINDS)
    currency = models.CharField(max_length=3)
    amount = ExactDecimalField()
    symbol = models.CharField(max_length=32, blank=True)
    quantity = ExactDecimalField(null=True)
    price = ExactDecimalField(null=True)
    client_order_id = models.CharField(max_length=64, blank=True)
    settles_at = models.DateTimeField(null=True)
    """Proceeds of a sale: until then they cannot be spent."""

    class Meta:
        indexes = [
            models.Index(fields=["account", "at"], name="paper_ledger_by_time"),
            models.Index(fields=["account", "kind", "at"], name="paper_ledger_by_kind"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount} {self.currency}"


class ImportedSeries(models.Model):
    """Recorded bars that the operator brought. Never changed after the import."""

    symbol = models.CharField(max_length=32, unique=True)
    name = models.CharField(max_length=100)
    asset_class = models.CharField(max_length=8, choices=[(kind.value, kind.value) for kind in CLASSES])
    currency = models.CharField(max_length=3)
    tick = ExactDecimalField()
    lot = ExactDecimalField()
    minimum = ExactDecimalField()
    size = models.CharField(max_length=3, choices=[(BarSize.MINUTE.value, "Minute"), (BarSize.DAY.value, "Day")])
    exchange = models.CharField(max_length=8, blank=True, default="")
    """Whose hours it keeps where an account has exchange hours, a name in ``market_calendars.EXCHANGES``; empty:
    none.
    """
    imported = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.symbol} ({self.size})"


class ImportedBar(models.Model):
    series = models.ForeignKey(ImportedSeries, on_delete=models.CASCADE, related_name="bars")
    start = models.DateTimeField()
    open = ExactDecimalField()
    high = ExactDecimalField()
    low = ExactDecimalField()
    close = ExactDecimalField()
    volume = ExactDecimalField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["series", "start"], name="paper_one_bar_per_time")]

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d %H:%M} {self.close}"


class MatchedTape(models.Model):
    """How far one instrument's bars have been shown to every open order, so that nothing is looked at twice."""

    tape = models.CharField(max_length=64, unique=True)
    symbol = models.CharField(max_length=32)
    seed = models.PositiveBigIntegerField()
    hours = models.CharField(max_length=8)
    venue = models.CharField(max_length=16, blank=True, default="")
    """With ``seed`` and ``hours``: the market it belongs to, as an account has them."""
    seen = models.DateTimeField()
    next_at = models.DateTimeField(null=True, db_index=True)
    """When its next bar will be complete; null where bars come from a venue, and only their row says so."""

    def __str__(self) -> str:
        return f"{self.tape} until {self.seen:%Y-%m-%d %H:%M}"


class CorporateAction(models.Model):
    """A dividend or split that was announced before it took effect. Never changed after the import."""

    symbol = models.CharField(max_length=32)
    kind = models.CharField(max_length=8, choices=[("dividend", "Dividend"), ("split", "Split")])
    at = models.DateTimeField()
    """00:00 UTC of the ex-date: whoever holds the stock then is concerned."""
    value = ExactDecimalField()
    """Dividend: cash a share, in the instrument's currency. Split: new shares for one old."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["symbol", "kind", "at"], name="paper_one_action_per_day")]
        indexes = [models.Index(fields=["at"], name="paper_actions_by_time")]

    def __str__(self) -> str:
        return f"{self.symbol} {self.kind} {self.value}"


class LiveVenue(models.Model):
    """What a real venue lists, as it was last learnt."""

    name = models.CharField(max_length=16, unique=True)
    listing = models.TextField()
    """JSON: symbol, name, currency, tick, lot and minimum of each pair."""
    changed = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class LivePair(models.Model):
    """What is known of one instrument's live prices."""

    venue = models.CharField(max_length=16)
    symbol = models.CharField(max_length=32)
    known_until = models.DateTimeField()
    """Every bar that ended by then, and was wanted, is stored."""
    quoted_at = models.DateTimeField(null=True)
    """When the newest quote was made, by the venue's word where it gives one."""
    asked_at = models.DateTimeField(null=True)
    bid = ExactDecimalField(null=True)
    ask = ExactDecimalField(null=True)
    last = ExactDecimalField(null=True)
    open = ExactDecimalField(null=True)
    high = ExactDecimalField(null=True)
    low = ExactDecimalField(null=True)
    volume = ExactDecimalField(null=True)
    change = ExactDecimalField(null=True)
    change_percent = ExactDecimalField(null=True)
    bid_size = ExactDecimalField(null=True)
    ask_size = ExactDecimalField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["venue", "symbol"], name="paper_one_pair_per_venue")]

    def __str__(self) -> str:
        return f"{self.symbol} at {self.venue}"


class LiveBar(models.Model):
    """A complete minute with trades, as the venue gave it. Never changed."""

    pair = models.ForeignKey(LivePair, on_delete=models.CASCADE, related_name="bars")
    start = models.DateTimeField()
    open = ExactDecimalField()
    high = ExactDecimalField()
    low = ExactDecimalField()
    close = ExactDecimalField()
    volume = ExactDecimalField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["pair", "start"], name="paper_one_live_bar_per_time")]

    def __str__(self) -> str:
        return f"{self.start:%Y-%m-%d %H:%M} {self.close}"
