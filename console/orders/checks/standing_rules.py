"""What an owner's standing rules cover: a yes given beforehand, to orders that they describe and to no others.

A rule stands in for the owner's approval alone. Permission, halts, limits, funds and price are checked as for any other
order, and what it has released today is counted under the locks of the release, as limits are. It covers no change and
no cancel of an order, no closing of everything, and no answer to a broker.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db.models import Q, QuerySet
from django.utils import timezone

from brokers.types import LegRequest, OrderClass, OrderRequest, OrderType
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection, Policy
from console.errors import Code, Refusal
from console.orders.checks.check_subject import Authorize
from console.orders.checks.confirmation_delay import check_delay
from console.orders.models import Action, Confirmation, Order, RuleRelease, StandingRule
from console.principal import Redeemer

COVERED = frozenset({Action.PLACE, Action.BATCH, Action.CLOSE, Action.REVERSE})
"""Everything else is its owner's alone: what changes or takes away an order, and what closes everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """One order that might go by a rule."""

    request: OrderRequest
    worst: Decimal | None
    """The most it can come to, in the connection's currency, as limits count it; None: not known."""
    at_once: bool = False
    """Its trigger may be met already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleUse:
    """What a rule has released on one of its days."""

    value: Decimal
    orders: int


# -- in force ------------------------------------------------------------------------------------------------


def of(connection: Connection) -> QuerySet[StandingRule]:
    """Those that may be in force there, the oldest first."""
    since = Q() if connection.policy_set_at is None else Q(made_at__gte=connection.policy_set_at)
    found = StandingRule.objects.filter(since, connection=connection, ended_at=None, expires_at__gt=timezone.now())
    return found.select_related("app").order_by("pk")


def why_over(rule: StandingRule, connection: Connection, now: datetime) -> str:
    """Why it will release nothing any more, as the end of a sentence; nothing while it may."""
    if rule.ended_at is not None:
        return "was ended"
    if rule.expires_at <= now:
        return "has ended"
    if connection.policy != Policy.OWNER_APPROVAL or (
        connection.policy_set_at is not None and connection.policy_set_at > rule.made_at
    ):
        return "ended when you changed who releases an order"
    if rule.app is not None and rule.app.revoked_at is not None:
        return f"ended with the access of {rule.app.name}"
    if rule.currency != connection.currency:
        return f"counts in {rule.currency}, which is no longer the account's currency"
    return ""


def why_not_now(rule: StandingRule, now: datetime) -> str:
    """Why it releases nothing at this moment: its weekdays and hours, in its own time zone."""
    here = now.astimezone(ZoneInfo(rule.time_zone))
    day = here.weekday()
    if rule.starts is not None and rule.ends is not None:
        at, starts, ends = here.time(), rule.starts, rule.ends
        if starts < ends:
            within = starts <= at < ends
        else:  # over midnight: the weekday is that on which it began
            within = at >= starts or at < ends
            day = (day - 1) % 7 if at < ends else day
        if not within:
            return f"releases orders from {starts:%H:%M} to {ends:%H:%M} ({rule.time_zone})"
    return "" if day in rule.weekdays else "releases nothing on this weekday"


def used(rule: StandingRule, now: datetime) -> RuleUse:
    """What it has released since its day began. To decide by it, under the lock of the connection's row."""
    zone = ZoneInfo(rule.time_zone)
    began = datetime.combine(now.astimezone(zone).date(), time(), zone)
    values = list(RuleRelease.objects.filter(rule=rule, at__gte=began).values_list("value", flat=True))
    return RuleUse(value=sum(values, Decimal(0)), orders=len(values))


# -- covered -------------------------------------------------------------------------------------------------


def describes(rule: StandingRule, app: ConnectedApp, wanted: Wanted) -> bool:
    """Whether it is about such an order of that app, whatever it is worth.

    One for any app is not about apps that a management key made, nor about signals: what those prepare is released by
    the owner, or by a rule that names them.
    """
    request = wanted.request
    return (
        not app.is_console
        and (rule.app_id == app.pk or (rule.app_id is None and not app.made_by_key and not app.is_signal))
        and request.symbol in rule.symbols
        and request.side in rule.sides
        and request.order_type in rule.order_types
        and (not wanted.at_once or _ONCE_MET.get(request.order_type, request.order_type) in rule.order_types)
        and all(_goes_with(rule, leg, request) for leg in request.legs)
    )


_ONCE_MET = {
    OrderType.STOP: OrderType.MARKET,
    OrderType.TRAIL: OrderType.MARKET,
    OrderType.STOP_LIMIT: OrderType.LIMIT,
}
"""What an order is whose trigger is met already: it goes under no other name."""


def _goes_with(rule: StandingRule, leg: LegRequest, request: OrderRequest) -> bool:
    """An exit gives back no more than its order takes. Of a pair either half may fill, so the rule describes both."""
    if request.order_class == OrderClass.OCO:
        return leg.side in rule.sides and leg.order_type in rule.order_types
    size = request.quantity
    return leg.side != request.side and (leg.quantity is None or (size is not None and leg.quantity <= size))


def why_over_bounds(rule: StandingRule, wanted: Sequence[Wanted], use: RuleUse) -> str:
    """Which of its bounds such orders would pass together, as the end of a sentence; nothing where they fit."""
    values: list[Decimal] = []
    for each in wanted:
        if each.worst is None:
            return "needs an order whose maximum value is known"
        if each.worst > rule.order_value:
            return (
                f"allows {rule.order_value:,.2f} {rule.currency} an order, and this one can come to "
                f"{each.worst:,.2f} {rule.currency}"
            )
        values.append(each.worst)
    if use.orders >= rule.orders_a_day or use.value >= rule.day_value:
        return "is used up for today"
    if use.orders + len(values) > rule.orders_a_day:
        left = rule.orders_a_day - use.orders
        return f"has {left} order{'' if left == 1 else 's'} left today"
    left_value = rule.day_value - use.value
    if sum(values) > left_value:
        return f"has {left_value:,.2f} {rule.currency} left today"
    return ""


def covering(
    app: ConnectedApp, connection: Connection, action: Action, wanted: Sequence[Wanted]
) -> StandingRule | None:
    """The rule that would release all of these now. Decides nothing: that is done under the locks."""
    if action not in COVERED or app.is_console or connection.policy != Policy.OWNER_APPROVAL:
        return None
    now = timezone.now()
    for rule in of(connection):
        if (
            all(describes(rule, app, each) for each in wanted)
            and not why_over(rule, connection, now)
            and not why_not_now(rule, now)
            and not why_over_bounds(rule, wanted, used(rule, now))
        ):
            return rule
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class NearMiss:
    """A rule that describes an order and does not release it now."""

    rule: StandingRule
    why: str
    """The end of a sentence that begins with the rule."""


def near_misses(app: ConnectedApp, connection: Connection, action: Action, wanted: Sequence[Wanted]) -> list[NearMiss]:
    """Rules that would have released all of these, were it not for the hour or one of their bounds."""
    if action not in COVERED or connection.policy != Policy.OWNER_APPROVAL:
        return []
    now, found = timezone.now(), []
    for rule in of(connection):
        if all(describes(rule, app, each) for each in wanted) and not why_over(rule, connection, now):
            why = why_not_now(rule, now) or why_over_bounds(rule, wanted, used(rule, now))
            if why:
                found.append(NearMiss(rule=rule, why=why))
    return found


# -- at release ----------------------------------------------------------------------------------------------


def redeemable_by(by: Redeemer, confirmation: Confirmation, rule: StandingRule) -> Authorize:
    """Whether the app's own yes is enough, because the rule gave its owner's: as the rule is whenever it is called."""

    def check(connection: Connection) -> None:
        now = timezone.now()
        current = StandingRule.objects.select_related("app").get(pk=rule.pk)
        why = why_over(current, connection, now) or why_not_now(current, now)
        if why:
            raise left_to_owner(current, why)
        check_delay(confirmation, connection, by)

    return check


def check_release(rule: StandingRule, app: ConnectedApp, order: Order, worst: Decimal | None) -> None:
    """Under the locks: it describes this very order, and there is room in its day. Raises Refusal."""
    wanted = Wanted(request=order.request, worst=worst, at_once=order.at_once)
    if not describes(rule, app, wanted):
        raise left_to_owner(rule, "does not describe this order")
    if why := why_over_bounds(rule, [wanted], used(rule, timezone.now())):
        raise left_to_owner(rule, why)


def left_to_owner(rule: StandingRule, why: str) -> Refusal:
    return Refusal(
        Code.APPROVAL_REQUIRED,
        f"The standing rule {rule.name} {why}, so only the owner can release this, in the console. Nothing was sent; "
        "it waits for the owner until its confirmation expires.",
    )
