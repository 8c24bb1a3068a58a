"""Standing rules, as their owner makes and ends them. Only the console leads here: no token of any kind does.

A rule is made with a proof of presence for that very rule, a passkey's where real money is involved. Ending one takes
none: it only ever stops something.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from brokers.errors import BrokerError
from brokers.types import OrderType, Side
from console import ids
from console.accounts.models import User
from console.audit import log as audit_log
from console.connected_apps.models import ConnectedApp
from console.connections import broker_access
from console.connections.models import Connection, Policy
from console.errors import Code, Refusal, refusal_of_read
from console.halts import services as halts
from console.halts.services import Proof
from console.orders.checks import standing_rules
from console.orders.checks.standing_rules import NearMiss, Wanted
from console.orders.models import Action, Confirmation, RuleRelease, StandingRule
from console.orders.owner.approvals import Evidence
from console.orders.owner.review import Review

CREATED, ENDED = "standing rule created", "standing rule ended"
"""What the audit log calls the two."""
MOST_SYMBOLS, MOST_A_DAY, MOST_ON_A_CONNECTION = 20, 500, 20
LONGEST = timedelta(days=90)
"""How far ahead the last day of a rule may lie."""
TYPE_NAMES = {
    OrderType.MARKET: "market",
    OrderType.LIMIT: "limit",
    OrderType.STOP: "stop",
    OrderType.STOP_LIMIT: "stop-limit",
    OrderType.TRAIL: "trailing stop",
}
_OPTION = re.compile(r"(?:\d{6}[CP]\d{8}|[ -]\d+(?:\.\d+)?[ -][CP])$", re.ASCII)
"""The end of an option's symbol: ``AAPL270115C00150000``, ``GOOGL 18SEP26 312.5 C``, ``BTC-27DEC26-50000-C``."""
DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTerms:
    """What a rule describes, before it is one; amounts in the currency of the connection."""

    name: str
    app: ConnectedApp | None
    symbols: tuple[str, ...]
    sides: tuple[Side, ...]
    order_types: tuple[OrderType, ...]
    order_value: Decimal
    day_value: Decimal
    orders_a_day: int
    weekdays: tuple[int, ...]
    starts: time | None
    ends: time | None
    time_zone: str
    last_day: date
    """The rule ends with it, in ``time_zone``."""


# -- whose ---------------------------------------------------------------------------------------------------


def visible(owner: User) -> QuerySet[StandingRule]:
    """Every rule of this person, ended ones too, on connections that are still linked."""
    mine = StandingRule.objects.filter(connection__owner=owner, connection__closed_at=None)
    return mine.select_related("connection", "app")


# -- made and ended ------------------------------------------------------------------------------------------


def checked(connection: Connection, wanted: RuleTerms) -> RuleTerms:
    """With the symbols as the broker names them. Asks the broker, writes nothing. Raises Refusal, naming the field."""
    _check(connection, wanted)
    found: list[str] = []
    try:
        broker = broker_access.broker_of(connection)
        for name in wanted.symbols:
            try:
                symbol = broker.instrument(name).symbol
            except BrokerError as error:
                refusal = refusal_of_read(error)
                refusal.field = "symbols"
                raise refusal from error
            if symbol not in found:
                found.append(symbol)
    except BrokerError as error:
        raise refusal_of_read(error) from error
    return replace(wanted, symbols=tuple(found))


def _check(connection: Connection, wanted: RuleTerms) -> None:
    """Raises Refusal."""

    def refuse(field: str, why: str) -> Refusal:
        return Refusal(Code.INVALID_ARGUMENT, f"{why} Nothing was created.", field=field)

    if connection.policy != Policy.OWNER_APPROVAL:
        raise Refusal(
            Code.NOT_PERMITTED,
            f"On {connection.name} the assistant confirms orders itself, so there is nothing for a rule to release. "
            "Nothing was created.",
        )
    if not connection.currency:
        raise Refusal(
            Code.LIMIT_UNPROVABLE,
            f"The currency of {connection.name} is not known yet. Check the connection on its page, then try again.",
        )
    if not 1 <= len(wanted.symbols) <= MOST_SYMBOLS:
        raise refuse("symbols", f"Name 1 to {MOST_SYMBOLS} symbols.")
    if wanted.app is not None and (wanted.app.connection_id != connection.pk or wanted.app.revoked_at is not None):
        raise refuse("app", "Choose an app of this connection that has access.")
    for field in ("sides", "order_types", "weekdays"):
        if not getattr(wanted, field):
            raise refuse(field, "Choose at least one.")
    if not 0 < wanted.order_value <= wanted.day_value:
        raise refuse("order_value", "It has to be above 0, and no more than the value of a day.")
    if not 1 <= wanted.orders_a_day <= MOST_A_DAY:
        raise refuse("orders_a_day", f"Write a whole number from 1 to {MOST_A_DAY}.")
    if (wanted.starts is None) != (wanted.ends is None) or (wanted.starts is not None and wanted.starts == wanted.ends):
        raise refuse("ends", "Give two different times, or neither for the whole day.")
    today = timezone.now().astimezone(ZoneInfo(wanted.time_zone)).date()
    if not today <= wanted.last_day <= today + LONGEST:
        raise refuse("last_day", f"Choose a day from today to {today + LONGEST:%d %b %Y}, at most {LONGEST.days} days.")


def create(connection: Connection, wanted: RuleTerms, *, by: User, evidence: Evidence) -> StandingRule:
    """``wanted`` as ``checked`` gave it, which the owner has just proved, for these very values, to want.

    Raises Refusal: when this person or this proof may not, and as ``checked`` does.
    """
    if connection.owner_id != by.pk:
        raise Refusal(Code.NOT_PERMITTED, "Only the owner of the connection can make a standing rule.")
    if connection.is_live and evidence.proof is not Proof.PASSKEY:
        raise Refusal(
            Code.RE_AUTHENTICATION_REQUIRED,
            "Real money: you need a passkey to create a standing rule. Nothing was created.",
        )
    with transaction.atomic():
        mine = Connection.objects.select_for_update().get(pk=connection.pk)
        _check(mine, wanted)
        standing = standing_rules.of(mine)
        if standing.filter(name=wanted.name).exists():
            raise Refusal(Code.INVALID_ARGUMENT, "Another rule on this connection has this name.", field="name")
        # One that is over in another way would keep its name from the next.
        StandingRule.objects.filter(connection=mine, name=wanted.name, ended_at=None).update(ended_at=timezone.now())
        if standing.count() >= MOST_ON_A_CONNECTION:
            raise Refusal(
                Code.INVALID_ARGUMENT,
                f"A connection can have {MOST_ON_A_CONNECTION} rules. End one first.",
                field="name",
            )
        zone = ZoneInfo(wanted.time_zone)
        rule = StandingRule.objects.create(
            public_id=ids.new("rul"),
            connection=mine,
            app=wanted.app,
            name=wanted.name,
            symbols=list(wanted.symbols),
            sides=[each.value for each in wanted.sides],
            order_types=[each.value for each in wanted.order_types],
            currency=mine.currency,
            order_value=wanted.order_value,
            day_value=wanted.day_value,
            orders_a_day=wanted.orders_a_day,
            weekdays=list(wanted.weekdays),
            starts=wanted.starts,
            ends=wanted.ends,
            time_zone=wanted.time_zone,
            made_at=timezone.now(),
            made_with=evidence.label[:80],
            made_from=evidence.ip[:45],
            expires_at=datetime.combine(wanted.last_day + timedelta(days=1), time(), zone),
        )
        audit_log.record_change(
            by,
            CREATED,
            "standing rule",
            rule.public_id,
            f"{rule.name} on {mine.name}",
            after={"rule": text_of(wanted, mine.currency)},
            connection_id=mine.pk,
            environment=mine.environment,
            how=evidence.label,
            credential=evidence.credential,
        )
    return rule


def end(rule: StandingRule, *, by: User) -> bool:
    """From now on it releases nothing; what it covered waits for its owner. False when it had ended. Raises Refusal."""
    if rule.connection.owner_id != by.pk:
        raise Refusal(Code.NOT_PERMITTED, "Only the owner of the connection can end a standing rule.")
    with transaction.atomic():
        # A release under way holds this row: it is over before the answer says that the rule has ended.
        Connection.objects.select_for_update().get(pk=rule.connection_id)
        if not StandingRule.objects.filter(pk=rule.pk, ended_at=None).update(ended_at=timezone.now()):
            return False
        Confirmation.objects.filter(rule=rule, redeemed_at=None).update(rule=None)
        audit_log.record_change(
            by,
            ENDED,
            "standing rule",
            rule.public_id,
            f"{rule.name} on {rule.connection.name}",
            before={"rule": text_of(rule, rule.currency)},
            connection_id=rule.connection_id,
            environment=rule.connection.environment,
        )
    rule.refresh_from_db()
    return True


# -- as people read them -------------------------------------------------------------------------------------


def text_of(wanted: RuleTerms | StandingRule, currency: str) -> str:
    """All it allows, in one sentence."""
    sides = [Side(each) for each in wanted.sides]
    kinds = [TYPE_NAMES[OrderType(each)] for each in wanted.order_types]
    whose = "any app that you let trade" if wanted.app is None else wanted.app.name
    what = " or ".join(each.value.lower() for each in sides).capitalize()
    last = wanted.last_day if isinstance(wanted, RuleTerms) else last_day(wanted)
    count = f"{wanted.orders_a_day} order{'' if wanted.orders_a_day == 1 else 's'}"
    return (
        f"{what} {_listed(wanted.symbols)}, {_listed(kinds)} orders of {whose}, on every account of the connection: "
        f"at most {wanted.order_value:,.2f} {currency} an order, {wanted.day_value:,.2f} {currency} and {count} a day; "
        f"{_hours(wanted)}; until the end of {last.day} {last:%b %Y}.{_warning(wanted)}"
    )


def _warning(wanted: RuleTerms | StandingRule) -> str:
    """What the amounts of a rule do not bound."""
    options = [symbol for symbol in wanted.symbols if _OPTION.search(symbol)]
    if not options or Side.SELL not in [Side(each) for each in wanted.sides]:
        return ""
    return f" Selling {_listed(options)} can open a short option, which can lose more than these amounts."


def _listed(names: Sequence[str]) -> str:
    return " or ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _hours(wanted: RuleTerms | StandingRule) -> str:
    days = sorted(wanted.weekdays)
    named = "every day" if len(days) == len(DAY_NAMES) else ", ".join(DAY_NAMES[day] for day in days)
    if days == [0, 1, 2, 3, 4]:
        named = "Mon to Fri"
    if wanted.starts is None or wanted.ends is None:
        return f"{named}, all day ({wanted.time_zone})"
    return f"{named}, {wanted.starts:%H:%M} to {wanted.ends:%H:%M} ({wanted.time_zone})"


def last_day(rule: StandingRule) -> date:
    """The day it ends with, in its own time zone."""
    return (rule.expires_at.astimezone(ZoneInfo(rule.time_zone)) - timedelta(seconds=1)).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleView:
    """A rule as its pages show it."""

    rule: StandingRule
    text: str
    state: str
    """``In force``, or why it releases nothing now."""
    is_over: bool
    """It will release nothing any more."""
    is_ready: bool
    """It would release an order at this moment."""
    used_value: Decimal
    used_orders: int


def shown(rule: StandingRule, now: datetime | None = None) -> RuleView:
    now = now or timezone.now()
    connection, use = rule.connection, standing_rules.used(rule, now)
    over = standing_rules.why_over(rule, connection, now)
    why = over or _paused(rule) or standing_rules.why_not_now(rule, now)
    if not why and (use.orders >= rule.orders_a_day or use.value >= rule.day_value):
        why = "is used up for today"
    return RuleView(
        rule=rule,
        text=text_of(rule, rule.currency),
        state=f"It {why}." if why else "In force",
        is_over=bool(over),
        is_ready=not why,
        used_value=use.value,
        used_orders=use.orders,
    )


def _paused(rule: StandingRule) -> str:
    if halts.halts_on(rule.connection).exists():
        return "is paused while trading is halted"
    if rule.connection.paused_at is not None or (rule.app is not None and rule.app.paused_at is not None):
        return "is paused with its connection or app"
    return "" if rule.connection.trading_enabled else "is paused while trading is off"


def released(rule: StandingRule, most: int) -> list[RuleRelease]:
    """The newest orders that it released."""
    return list(rule.releases.select_related("order__connection", "order__app", "order__parent")[:most])


def on(connection: Connection) -> list[RuleView]:
    """Those that are not over there, the newest first."""
    views = [shown(rule) for rule in visible(connection.owner).filter(connection=connection, ended_at=None)]
    return [view for view in views if not view.is_over]


def near_misses(review: Review) -> list[NearMiss]:
    """Rules that describe what waits for its owner, and do not release it now."""
    confirmation = review.confirmation
    if confirmation.is_about_an_order or confirmation.rule_id is not None:
        return []
    wanted = [Wanted(request=each.request, worst=each.worst, at_once=each.order.at_once) for each in review.items]
    return standing_rules.near_misses(confirmation.app, review.lead.connection, Action(confirmation.action), wanted)
