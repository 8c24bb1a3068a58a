"""Making, pausing and closing connections."""

from decimal import Decimal

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from brokers.paper import books, feed
from brokers.types import Environment
from console import limits as bounds
from console.accounts.models import User
from console.audit import journal
from console.connections import equity
from console.connections.models import Connection, Policy, default_policy
from console.errors import Code, Refusal
from console.limits import LIVE_NEEDS, TITLES, Limits

HOURS = {
    "always": "Open at all hours",
    "venue": "Trade only while the real exchange is open",
}
PRICES = {venue: feed.title(venue) for venue in feed.VENUES}
"""Venues whose live public prices a paper account can have."""


def link_paper(
    owner: User,
    *,
    name: str,
    starting_cash: Decimal,
    currency: str = "USD",
    hours: str = "always",
    trading_enabled: bool = True,
    prices: str = "",
    kind: str = "cash",
    preset: str = "standard",
    settlement_days: int = 0,
) -> Connection:
    """A new paper account and its connection. The venue of ``prices`` is not asked for anything yet.

    ``prices`` is one of PRICES or empty for recorded and simulated ones; the rest is as ``books.open_account`` has it.
    Raises Refusal when the owner has a connection of that name, or the account could not trade.
    """
    if prices:
        _check_prices(prices, currency, hours, kind)
    try:
        with transaction.atomic():
            account = books.open_account(
                name=name,
                starting_cash=starting_cash,
                currency=currency,
                hours=hours,
                kind=kind,
                preset=preset,
                settlement_days=settlement_days,
                venue=prices,
            )
            now = timezone.now()
            connection = Connection.objects.create(
                owner=owner,
                name=name,
                broker="paper",
                environment=Environment.PAPER,
                settings={"account": account.key},
                default_account=account.key,
                trading_enabled=trading_enabled,
                policy=default_policy(Environment.PAPER),
                currency=currency,
                equity=starting_cash,
                detail=f"Live prices of {PRICES[prices]}" if prices else HOURS[hours],
                checked_at=now,
            )
            equity.record(connection, account.key, currency=currency, equity=starting_cash, cash=starting_cash, now=now)
            journal.record_change(
                owner, "added", "connection", connection.pk, name, broker="paper", trading=trading_enabled
            )
    except IntegrityError as error:
        raise Refusal(Code.INVALID_ARGUMENT, f"You have a connection called {name} already.", field="name") from error
    return connection


def _check_prices(prices: str, currency: str, hours: str, kind: str) -> None:
    if prices not in PRICES:
        raise Refusal(Code.INVALID_ARGUMENT, f"There are no live prices of {prices!r} here.", field="prices")
    if currency not in feed.currencies(prices):
        known = " or ".join(feed.currencies(prices))
        raise Refusal(
            Code.INVALID_ARGUMENT, f"At {PRICES[prices]} coins are traded for {known} here.", field="currency"
        )
    if kind != "cash":
        raise Refusal(Code.INVALID_ARGUMENT, "Coins are traded from a cash account.", field="kind")
    if hours != "always":
        raise Refusal(Code.INVALID_ARGUMENT, "Coins are traded at all hours.", field="hours")


def _change(connection: Connection, by: User, action: str, condition: Q, **fields: object) -> bool:
    with transaction.atomic():
        if not Connection.objects.filter(condition, pk=connection.pk, closed_at=None).update(**fields):
            return False
        journal.record_change(by, action, "connection", connection.pk, connection.name)
    connection.refresh_from_db()
    return True


def pause(connection: Connection, *, by: User) -> bool:
    return _change(connection, by, "paused", Q(paused_at=None), paused_at=timezone.now())


def resume(connection: Connection, *, by: User) -> bool:
    return _change(connection, by, "resumed", Q(paused_at__isnull=False), paused_at=None)


def enable_trading(connection: Connection, *, by: User) -> bool:
    return _change(connection, by, "trading enabled", Q(trading_enabled=False), trading_enabled=True)


def disable_trading(connection: Connection, *, by: User) -> bool:
    return _change(connection, by, "trading disabled", Q(trading_enabled=True), trading_enabled=False)


def set_limits(connection: Connection, limits: Limits, *, by: User, may_widen: bool = False) -> bool:
    """False when nothing changed. ``may_widen``: the owner has just proved, in the console, who they are.

    Raises Refusal when it would allow anything more without that, or leave a live connection without what it needs.
    """
    with transaction.atomic():
        mine = Connection.objects.select_for_update().get(pk=connection.pk)
        before = mine.limited
        if limits == before:
            return False
        if mine.is_live and (missing := [name for name in LIVE_NEEDS if getattr(limits, name) is None]):
            named = " and ".join(TITLES[name].lower() for name in missing)
            raise Refusal(
                Code.LIMITS_REQUIRED, f"A live connection always needs a limit for: {named}.", field=missing[0]
            )
        if not may_widen and not bounds.is_tighter_or_equal(limits, before):
            raise Refusal(
                Code.RE_AUTHENTICATION_REQUIRED,
                "This allows more than before, so only the owner can do it, in the console, with a fresh sign-in. "
                "Nothing was changed.",
            )
        Connection.objects.filter(pk=mine.pk).update(limits=limits.stored())
        journal.record_change(
            by, "limits changed", "connection", mine.pk, mine.name, before=before.told(), after=limits.told()
        )
    connection.refresh_from_db()
    return True


_LOOSENESS = list(Policy)


def set_policy(connection: Connection, policy: Policy, *, by: User, may_loosen: bool = False) -> bool:
    """False when it was so already. No token leads here. ``may_loosen``: the owner has just proved who they are."""
    with transaction.atomic():
        mine = Connection.objects.select_for_update().get(pk=connection.pk)
        before = Policy(mine.policy)
        if policy is before:
            return False
        if not may_loosen and _LOOSENESS.index(policy) < _LOOSENESS.index(before):
            raise Refusal(
                Code.RE_AUTHENTICATION_REQUIRED,
                "This lets orders go without the owner's own approval, so it takes a fresh sign-in. Nothing was "
                "changed.",
            )
        Connection.objects.filter(pk=mine.pk).update(policy=policy)
        journal.record_change(
            by, "policy changed", "connection", mine.pk, mine.name, before=before.value, after=policy.value
        )
    connection.refresh_from_db()
    return True
