import hashlib
import json
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import models

from brokers import spreads
from brokers.decimals import ExactDecimalField
from brokers.types import (
    LONGEST_SYMBOL,
    BrokerStatus,
    LegRequest,
    OrderChanges,
    OrderClass,
    OrderRequest,
    OrderType,
    Side,
    TimeInForce,
)
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection, Policy
from console.elapsed import seconds_text, span_text
from console.halts import services as halts
from console.orders.states import AMENDMENT_LABELS, FROM_BROKER, STATUS_LABELS, UNSETTLED, AmendmentStatus, Status
from console.principal import Redeemer


class Action(models.TextChoices):
    """What a confirmation lets happen."""

    PLACE = "place", "Place"
    BATCH = "batch", "Place several"
    MODIFY = "modify", "Change"
    CLOSE = "close", "Close"
    REVERSE = "reverse", "Reverse"
    FLATTEN = "flatten", "Close everything"
    CANCEL = "cancel", "Cancel"
    PLAN = "plan", "Start a plan"


class StandingRule(models.Model):
    """What an owner lets go without their own approval of each order, on a connection where they approve.

    Made in the console with a proof of presence, and never changed: another one is made, and this one ended. Whether it
    is in force, and what it covers, is in ``console.orders.checks.standing_rules``.
    """

    public_id = models.CharField(max_length=40, unique=True)
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="standing_rules")
    app = models.ForeignKey(ConnectedApp, on_delete=models.PROTECT, null=True, related_name="standing_rules")
    """Whose orders it releases; None: those of every app there, but for apps that a management key made."""
    name = models.CharField(max_length=40)
    symbols = models.JSONField()
    """As the broker names them."""
    sides = models.JSONField()
    order_types = models.JSONField()
    currency = models.CharField(max_length=8)
    """The connection's, which the two values are in."""
    order_value = ExactDecimalField()
    """The most that one order may come to, fees not counted."""
    day_value = ExactDecimalField()
    """The most that all it releases in one day may come to, whatever becomes of them."""
    orders_a_day = models.PositiveSmallIntegerField()
    weekdays = models.JSONField()
    """0 is Monday."""
    starts = models.TimeField(null=True)
    """With ``ends``, the hours in which it releases; earlier than ``starts`` is on the next day. None: all day."""
    ends = models.TimeField(null=True)
    time_zone = models.CharField(max_length=40)
    """Whose days, weekdays and hours are meant: a name of the tz database."""
    made_at = models.DateTimeField()
    made_with = models.CharField(max_length=80)
    """How its owner proved who they are, in words."""
    made_from = models.CharField(max_length=45, blank=True)
    expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    """When its owner ended it."""

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "name"], condition=models.Q(ended_at=None), name="orders_one_rule_of_a_name"
            )
        ]

    def __str__(self) -> str:
        return self.name


class Confirmation(models.Model):
    """A promise to do exactly what was shown, once, before ``expires_at``, for the app it was shown to.

    It may cover a bounded plan: every order that hangs on it was shown with it.
    """

    action = models.CharField(max_length=10, choices=Action.choices, default=Action.PLACE)
    all_or_none = models.BooleanField(default=True)
    """Of several orders: none is released unless every one passes every check."""
    public_id = models.CharField(max_length=40, unique=True)
    app = models.ForeignKey(ConnectedApp, on_delete=models.PROTECT, related_name="confirmations")
    redeemer = models.CharField(
        max_length=5, choices=[(each.value, each.value) for each in Redeemer], default=Redeemer.OWNER.value
    )
    """Whose yes it takes at least, since it was prepared; see ``decided_by``."""
    rule = models.ForeignKey(StandingRule, on_delete=models.SET_NULL, null=True, related_name="+")
    """What only its owner releases, and this rule of theirs covered when it was shown: its app may confirm it."""
    plan_id = models.CharField(max_length=40, blank=True)
    """Of a trading plan: what it starts, or whose order it covers, which the plan alone releases; see
    ``console.plans``."""
    question = models.CharField(max_length=32, blank=True)
    """Which question its user is asked about it in their client: an id that only that client has, sealed; SEVERAL."""
    terms = models.JSONField()
    """What was shown: every value a person could judge the order by, as text."""
    terms_digest = models.CharField(max_length=64)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(db_index=True)
    redeemed_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True)
    """When its owner was written to about it."""

    def __str__(self) -> str:
        return self.public_id

    def decided_by(self, connection: Connection) -> Redeemer:
        """Whose yes releases it now. A policy that became stricter since counts; one that became looser does not."""
        return Redeemer.OWNER if connection.policy != Policy.TWO_STEP else Redeemer(self.redeemer)

    @property
    def lifetime_text(self) -> str:
        """How long it can be used, in words: ``120 s``, ``4 hours``."""
        seconds = round((self.expires_at - self.created_at).total_seconds())
        return f"{seconds} s" if seconds < 600 else span_text(seconds)

    @property
    def confirmed_after_ms(self) -> int | None:
        """Milliseconds between showing it and the yes; None while there is none."""
        if self.redeemed_at is None:
            return None
        return round((self.redeemed_at - self.created_at).total_seconds() * 1000)

    @property
    def confirmed_after(self) -> str:
        """The same in words, ``4.2 s``; nothing while there is none."""
        elapsed = self.confirmed_after_ms
        return "" if elapsed is None else seconds_text(elapsed)

    @property
    def starts_plan(self) -> bool:
        """It starts a trading plan and has no order of its own."""
        return self.action == Action.PLAN

    @property
    def is_about_an_order(self) -> bool:
        """It changes or cancels an open order and has no order of its own."""
        return self.action in (Action.MODIFY, Action.CANCEL)

    @property
    def at_halts(self) -> halts.GatedAction:
        """What its release is to a halt: the owner may close everything from the console while one stands."""
        if self.action == Action.CANCEL:
            return halts.GatedAction.CANCEL
        own = self.action == Action.FLATTEN and self.app.is_console
        return halts.GatedAction.FLATTEN if own else halts.GatedAction.RELEASE

    @property
    def order(self) -> "Order":
        """The one to look at: the first it covers, or the one it changes."""
        if self.is_about_an_order:
            changed: Order = self.modification.order
            return changed
        return self.orders.filter(parent=None).earliest("pk")


class Order(models.Model):
    """One order, the authoritative record. Written by ``console.orders.prepare`` alone."""

    public_id = models.CharField(max_length=40, unique=True)
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="orders")
    app = models.ForeignKey(ConnectedApp, on_delete=models.PROTECT, related_name="orders")
    confirmation = models.ForeignKey(Confirmation, on_delete=models.PROTECT, related_name="orders")
    parent = models.ForeignKey("self", on_delete=models.PROTECT, null=True, related_name="legs")
    """The order this leg is attached to: it is sent within that order's request, never alone."""
    account_id = models.CharField(max_length=64)
    client_order_id = models.CharField(max_length=64)
    """The caller's id for it; ours if the caller gave none."""
    wire_id = models.CharField(max_length=32, unique=True)
    """The client order id the broker sees: 32 hex digits, which every venue takes."""
    symbol = models.CharField(max_length=LONGEST_SYMBOL)
    """Of several options in one order, a name that says its legs: see ``brokers.spreads``."""
    asset_class = models.CharField(max_length=10)
    currency = models.CharField(max_length=8)
    side = models.CharField(max_length=4)
    order_type = models.CharField(max_length=10)
    tif = models.CharField(max_length=3)
    quantity = ExactDecimalField(null=True)
    """In units; None for an order by ``notional``."""
    notional = ExactDecimalField(null=True)
    limit_price = ExactDecimalField(null=True)
    stop_price = ExactDecimalField(null=True)
    trail_amount = ExactDecimalField(null=True)
    trail_percent = ExactDecimalField(null=True)
    outside_rth = models.BooleanField(default=False)
    reduce_only = models.BooleanField(default=False)
    post_only = models.BooleanField(default=False)
    order_class = models.CharField(max_length=8, default=OrderClass.SIMPLE)
    at_once = models.BooleanField(default=False)
    """Whoever asked for it means it though its trigger is met already."""
    position_shown = ExactDecimalField(null=True)
    """Signed position that the quantity of a closing or reversing order rests on; None for any other order."""
    shown_price = ExactDecimalField()
    """Price per unit the estimate rested on when the order was shown."""
    worst_notional = ExactDecimalField(null=True)
    """Its maximum value, in the connection's currency; what the daily limit counts while it is open."""
    status = models.CharField(max_length=24, choices=[(s.value, STATUS_LABELS[s]) for s in Status], db_index=True)
    filled_quantity = ExactDecimalField(default=Decimal(0))
    average_price = ExactDecimalField(null=True)
    fees = ExactDecimalField(default=Decimal(0))
    broker_order_id = models.CharField(max_length=64, blank=True)
    code = models.CharField(max_length=40, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField()
    moved_at = models.DateTimeField()
    """Last change of status."""
    released_at = models.DateTimeField(null=True)
    """When its intent, or that of a change to a larger order, was committed: the day and the minute it counts in."""
    sent_at = models.DateTimeField(null=True)
    looked_up_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    settled_by_hand_at = models.DateTimeField(null=True)
    """When its owner last recorded what they saw at the broker."""

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(
                fields=["connection", "released_at"], name="orders_released", condition=~models.Q(released_at=None)
            ),
            models.Index(fields=["connection", "symbol", "-id"], name="orders_by_symbol"),
            models.Index(fields=["connection", "-id"], name="orders_newest"),
            models.Index(fields=["connection", "status"], name="orders_by_state"),
            models.Index(fields=["status", "cancel_requested_at"], name="orders_to_cancel"),
            models.Index(fields=["broker_order_id"], name="orders_at_broker", condition=~models.Q(broker_order_id="")),
        ]
        constraints = [
            models.UniqueConstraint(fields=["connection", "client_order_id"], name="orders_client_order_id_once")
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def state(self) -> Status:
        return Status(self.status)

    @property
    def status_words(self) -> str:
        return STATUS_LABELS[self.state]

    @property
    def closes(self) -> bool:
        """Its quantity comes from a position, and it may make that smaller and no more."""
        return self.position_shown is not None and self.confirmation.action in (Action.CLOSE, Action.FLATTEN)

    @property
    def has_legs(self) -> bool:
        """Whether others may hang on it, by its own terms: nothing is read for it."""
        return self.order_class != OrderClass.SIMPLE and self.parent_id is None

    @property
    def spread(self) -> spreads.Spread | None:
        """The options it buys and sells as one; None for an order in one instrument."""
        return spreads.parse(self.symbol)

    def trades(self, symbol: str) -> bool:
        """Whether it is in that symbol, or in several options of which that is one."""
        return spreads.is_part(symbol, self.symbol)

    @property
    def traded_options(self) -> list[dict[str, Any]]:
        """What such an order does with each: ``symbol``, ``side`` and ``ratio``; empty for any other order."""
        if (spread := self.spread) is None:
            return []
        traded = spread if self.side == Side.BUY else spread.turned
        return [
            {"symbol": leg.symbol, "side": (Side.BUY if leg.sign > 0 else Side.SELL).value, "ratio": leg.ratio}
            for leg in traded.legs
        ]

    @property
    def request(self) -> OrderRequest:
        """What is sent for this order, its legs within it."""
        hanging = self.legs.order_by("pk") if self.has_legs else []
        return OrderRequest(
            client_order_id=self.wire_id,
            symbol=self.symbol,
            side=Side(self.side),
            order_type=OrderType(self.order_type),
            quantity=self.quantity,
            notional=self.notional,
            tif=TimeInForce(self.tif),
            limit_price=self.limit_price,
            stop_price=self.stop_price,
            trail_amount=self.trail_amount,
            trail_percent=self.trail_percent,
            outside_rth=self.outside_rth,
            reduce_only=self.reduce_only,
            post_only=self.post_only,
            order_class=OrderClass(self.order_class),
            legs=tuple(leg.as_leg for leg in hanging),
        )

    @property
    def as_leg(self) -> LegRequest:
        return LegRequest(
            client_order_id=self.wire_id,
            side=Side(self.side),
            order_type=OrderType(self.order_type),
            tif=TimeInForce(self.tif),
            limit_price=self.limit_price,
            stop_price=self.stop_price,
            trail_amount=self.trail_amount,
            trail_percent=self.trail_percent,
        )


class Modification(models.Model):
    """An amendment of a resting order, or its cancel where that waits for the owner: shown, confirmed, sent once.

    Written by ``console.orders.transitions.amendment_state`` alone.
    """

    public_id = models.CharField(max_length=40, unique=True)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="modifications")
    confirmation = models.OneToOneField(Confirmation, on_delete=models.PROTECT, related_name="modification")
    wire_id = models.CharField(max_length=32, unique=True)
    """What the order goes by afterwards at a broker that makes a new one of it."""
    quantity = ExactDecimalField(null=True)
    """None: unchanged. The same for every other term."""
    limit_price = ExactDecimalField(null=True)
    stop_price = ExactDecimalField(null=True)
    trail_amount = ExactDecimalField(null=True)
    trail_percent = ExactDecimalField(null=True)
    tif = models.CharField(max_length=3, blank=True)
    at_once = models.BooleanField(default=False)
    """As of an order: its new trigger may be met already."""
    cancels = models.BooleanField(default=False)
    """It cancels the order and changes none of its terms."""
    status = models.CharField(
        max_length=24, choices=[(s.value, AMENDMENT_LABELS[s]) for s in AmendmentStatus], db_index=True
    )
    code = models.CharField(max_length=40, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField()
    moved_at = models.DateTimeField()
    looked_up_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["order"],
                condition=models.Q(status__in=sorted(UNSETTLED)),
                name="orders_one_change_under_way",
            )
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def state(self) -> AmendmentStatus:
        return AmendmentStatus(self.status)

    @property
    def status_words(self) -> str:
        return "Released" if self.cancels and self.state is AmendmentStatus.DONE else AMENDMENT_LABELS[self.state]

    @property
    def asked(self) -> OrderChanges:
        return OrderChanges(
            quantity=self.quantity,
            limit_price=self.limit_price,
            stop_price=self.stop_price,
            trail_amount=self.trail_amount,
            trail_percent=self.trail_percent,
            tif=TimeInForce(self.tif) if self.tif else None,
        )


class Question(models.Model):
    """What the broker asks before it takes or changes an order. Only the order's owner answers, once, in the console.

    It is open while what it is about is ASKED and it has no answer.
    """

    public_id = models.CharField(max_length=40, unique=True)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="questions")
    modification = models.ForeignKey(Modification, on_delete=models.PROTECT, null=True, related_name="questions")
    """The change it is about; None: the order itself."""
    words = models.JSONField()
    """The broker's own, one text for each thing it asks."""
    token = models.CharField(max_length=64)
    """What the broker wants with the answer."""
    asked_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    answer = models.CharField(max_length=3, blank=True, choices=[("yes", "Yes"), ("no", "No")])
    answered_at = models.DateTimeField(null=True)
    told_at = models.DateTimeField(null=True)
    """When its owner was written to about it."""

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["order"],
                condition=models.Q(answer="", modification=None),
                name="orders_one_open_question",
            ),
            models.UniqueConstraint(
                fields=["modification"], condition=models.Q(answer=""), name="orders_one_open_question_of_a_change"
            ),
        ]

    def __str__(self) -> str:
        return self.public_id

    @property
    def digest(self) -> str:
        """Of what a person answers: these words, about this order or this change of it."""
        change = "" if self.modification is None else self.modification.public_id
        told = [self.public_id, self.order.public_id, change, self.words]
        return hashlib.sha256(json.dumps(told).encode()).hexdigest()

    @property
    def asker(self) -> ConnectedApp:
        """The app whose order it is, or that asks for the change."""
        return self.order.app if self.modification is None else self.modification.confirmation.app

    @property
    def terms(self) -> dict[str, Any]:
        """What was shown and released before the broker's question."""
        terms: dict[str, Any] = (self.modification or self.order).confirmation.terms
        return terms


class RuleRelease(models.Model):
    """One order that a standing rule released; kept to count them, and to say so of the order."""

    rule = models.ForeignKey(StandingRule, on_delete=models.CASCADE, related_name="releases")
    order = models.OneToOneField(Order, on_delete=models.CASCADE, related_name="by_rule")
    value = ExactDecimalField()
    """The most that the order could come to then, in the rule's currency."""
    at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["rule", "at"], name="orders_by_rule_of_a_day")]


class OrderEvent(models.Model):
    """One step in an order's life, committed with the change it describes."""

    order = models.ForeignKey(Order, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    before = models.CharField(max_length=24, blank=True)
    after = models.CharField(max_length=24)
    what = models.CharField(max_length=500)
    data = models.JSONField(default=dict)
    by = models.CharField(max_length=255, blank=True)
    request_id = models.CharField(max_length=40, blank=True)
    owner_id = models.BigIntegerField(null=True)
    """Whose connection the order is on, here once more: one person's events are read newest first, by an index."""

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["owner_id", "-at"], name="orders_event_by_owner")]

    @property
    def status_words(self) -> str:
        return STATUS_LABELS[Status(self.after)]


class OutsideOrder(models.Model):
    """An open order that was made elsewhere, as its broker last told. Written by
    ``console.orders.execution.external_orders`` alone.
    """

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="outside_orders")
    account_id = models.CharField(max_length=64)
    broker_order_id = models.CharField(max_length=64)
    client_order_id = models.CharField(max_length=128, blank=True)
    """By whoever made it; brokers need it to cancel."""
    status = models.CharField(max_length=16, choices=[(s.value, STATUS_LABELS[FROM_BROKER[s]]) for s in BrokerStatus])
    symbol = models.CharField(max_length=LONGEST_SYMBOL, blank=True)
    side = models.CharField(max_length=4, blank=True)
    order_type = models.CharField(max_length=10, blank=True)
    tif = models.CharField(max_length=3, blank=True)
    quantity = ExactDecimalField(null=True)
    limit_price = ExactDecimalField(null=True)
    stop_price = ExactDecimalField(null=True)
    trail_amount = ExactDecimalField(null=True)
    trail_percent = ExactDecimalField(null=True)
    filled_quantity = ExactDecimalField()
    average_price = ExactDecimalField(null=True)
    currency = models.CharField(max_length=8, blank=True)
    made_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "account_id", "broker_order_id"], name="orders_outside_once")
        ]

    def __str__(self) -> str:
        return self.broker_order_id

    @property
    def status_words(self) -> str:
        return STATUS_LABELS[FROM_BROKER[BrokerStatus(self.status)]]

    @property
    def can_be_cancelled(self) -> bool:
        return bool(self.client_order_id)


class LookedOutside(models.Model):
    """When a connection's broker was last asked for orders made elsewhere, and when it last told."""

    connection = models.OneToOneField(Connection, on_delete=models.CASCADE, related_name="looked_outside")
    tried_at = models.DateTimeField()
    looked_at = models.DateTimeField(null=True)


class Letter(models.Model):
    """One e-mail that asked an owner to look at what waits for approval; kept to count them."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["owner", "at"], name="orders_letters_lately")]


class NoLetters(models.Model):
    """The owner wants no e-mail about approvals on this connection."""

    connection = models.OneToOneField(Connection, on_delete=models.CASCADE, related_name="no_letters")
