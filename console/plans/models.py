from django.db import models

from brokers.decimals import ExactDecimalField
from brokers.types import LONGEST_SYMBOL
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.orders.models import Confirmation, Order
from console.plans.states import CHILD_LABELS, NOT_OVER, PLAN_LABELS, ChildStatus, PlanStatus
from console.principal import Redeemer


class PlanKind(models.TextChoices):
    TWAP = "twap", "TWAP"
    VWAP = "vwap", "VWAP"
    DCA = "dca", "Recurring order"
    GRID = "grid", "Grid"
    TIME_EXIT = "time_exit", "Exit at a time"


class AtRefusal(models.TextChoices):
    """What becomes of a plan of which one order is refused for good."""

    SKIP = "skip", "Skip that order"
    STOP = "stop", "Stop the plan"


class WhenSilent(models.TextChoices):
    """What becomes of a plan whose app has not called for too long."""

    PAUSE = "pause", "Pause the plan"
    CANCEL = "cancel", "Cancel the plan"


class TradingPlan(models.Model):
    """Orders that go by themselves at their times, within bounds, once somebody confirmed the whole.

    Written by ``console.plans.preparing`` and ``console.plans.transitions`` alone.
    """

    public_id = models.CharField(max_length=40, unique=True)
    connection = models.ForeignKey(Connection, on_delete=models.PROTECT, related_name="trading_plans")
    app = models.ForeignKey(ConnectedApp, on_delete=models.PROTECT, related_name="trading_plans")
    confirmation = models.OneToOneField(Confirmation, on_delete=models.PROTECT, related_name="trading_plan")
    account_id = models.CharField(max_length=64)
    kind = models.CharField(max_length=10, choices=PlanKind.choices)
    symbol = models.CharField(max_length=LONGEST_SYMBOL)
    currency = models.CharField(max_length=8)
    """The instrument's."""
    details = models.JSONField(default=dict)
    """What its kind needs beside its orders, as text: the levels of a grid."""
    at_refusal = models.CharField(max_length=5, choices=AtRefusal.choices)
    most_value = ExactDecimalField()
    """The most that all its orders together may come to, in the connection's currency: never passed."""
    most_orders = models.PositiveIntegerField()
    """Never passed either."""
    starts_after = models.DateTimeField(null=True)
    """Nothing goes before; None: it begins when it is confirmed."""
    lasts_seconds = models.PositiveIntegerField()
    """From its beginning until nothing of it is sent any more."""
    ends_at = models.DateTimeField(null=True)
    """The same as a time, once it is known."""
    silent_minutes = models.PositiveIntegerField(null=True)
    """How long its app may be silent; None: as long as it likes."""
    when_silent = models.CharField(max_length=6, choices=WhenSilent.choices, default=WhenSilent.PAUSE)
    status = models.CharField(
        max_length=24, choices=[(each.value, PLAN_LABELS[each]) for each in PlanStatus], db_index=True
    )
    code = models.CharField(max_length=40, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    """Why it stands as it does."""
    released_value = ExactDecimalField()
    """The most that the orders sent so far could come to, whatever became of them."""
    released_orders = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    moved_at = models.DateTimeField()
    confirmed_at = models.DateTimeField(null=True)
    confirmed_by = models.CharField(max_length=5, blank=True, choices=[(each.value, each.value) for each in Redeemer])
    confirmed_with = models.CharField(max_length=80, blank=True)
    """How its owner proved who they are, in words."""
    heard_since = models.DateTimeField(null=True)
    """From when on its app's silence counts: it was started or resumed then."""

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["connection", "-id"], name="plans_newest")]

    def __str__(self) -> str:
        return self.public_id

    @property
    def state(self) -> PlanStatus:
        return PlanStatus(self.status)

    @property
    def status_words(self) -> str:
        return PLAN_LABELS[self.state]

    @property
    def is_over(self) -> bool:
        return self.state not in NOT_OVER

    @property
    def kind_words(self) -> str:
        return PlanKind(self.kind).label

    @property
    def heading(self) -> str:
        return str(self.confirmation.terms["heading"])


class PlanChild(models.Model):
    """One order of a plan: the row first, then the order, and never a second one at its broker."""

    plan = models.ForeignKey(TradingPlan, on_delete=models.CASCADE, related_name="children")
    number = models.PositiveIntegerField()
    """From 1; with the plan it makes the client order id."""
    after_seconds = models.PositiveIntegerField()
    """When it is due, counted from the beginning of the plan."""
    due_at = models.DateTimeField(null=True)
    """The same as a time, once it is known."""
    not_before = models.DateTimeField(null=True)
    """When it is tried again."""
    side = models.CharField(max_length=4)
    order_type = models.CharField(max_length=10)
    quantity = ExactDecimalField(null=True)
    """None: by ``notional``; with neither, what the position is when it is due."""
    notional = ExactDecimalField(null=True)
    limit_price = ExactDecimalField(null=True)
    level = models.PositiveSmallIntegerField(null=True)
    """Of a grid: at which of its prices, from 0."""
    recalled = models.BooleanField(default=False)
    """Its order is taken back because the plan pauses: what is left of it goes again when the plan does."""
    kept = models.BooleanField(default=False)
    """Its order guards a position where the owner releases orders, so it stays open when its app stops the plan."""
    status = models.CharField(max_length=10, choices=[(each.value, CHILD_LABELS[each]) for each in ChildStatus])
    attempt = models.PositiveSmallIntegerField(default=0)
    """Counted on only when the order of the last one was never sent and cannot be any more."""
    claimed_at = models.DateTimeField(null=True)
    """When a process began to work on it."""
    order = models.OneToOneField(Order, on_delete=models.PROTECT, null=True, related_name="plan_child")
    code = models.CharField(max_length=40, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    moved_at = models.DateTimeField()

    class Meta:
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["plan", "number"], name="plans_one_child_of_a_number")]
        indexes = [
            models.Index(
                fields=["status"],
                name="plans_children_at_work",
                condition=models.Q(status__in=[ChildStatus.WORKING, ChildStatus.OPEN]),
            )
        ]

    def __str__(self) -> str:
        return f"{self.plan_id}/{self.number}"

    @property
    def state(self) -> ChildStatus:
        return ChildStatus(self.status)

    @property
    def status_words(self) -> str:
        return self.order.status_words if self.order is not None else CHILD_LABELS[self.state]

    @property
    def client_order_id(self) -> str:
        """The same for the same attempt, whichever process asks: so its order is found again, and made once."""
        again = f"-{self.attempt}" if self.attempt else ""
        return f"{self.plan.public_id}-{self.number}{again}"


class PlanEvent(models.Model):
    """One line of a plan's history, committed with what it tells."""

    plan = models.ForeignKey(TradingPlan, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField()
    what = models.CharField(max_length=500)
    by = models.CharField(max_length=255, blank=True)
    number = models.PositiveIntegerField(null=True)
    """The order it is about, by its number in the plan."""

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return self.what
