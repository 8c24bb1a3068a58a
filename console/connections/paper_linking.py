"""Linking a paper account."""

from decimal import Decimal

from django.db import IntegrityError, transaction
from django.utils import timezone

from brokers.paper import accounts, public_price_feed
from brokers.types import Environment
from console import untrusted_text
from console.accounts.models import User
from console.audit import log as audit_log
from console.connections import equity
from console.connections.models import Connection, default_policy
from console.errors import Code, Refusal

HOURS = {
    "always": "Open at all hours",
    "venue": "Trades only while the real exchange is open",
}
PRICES = {venue: public_price_feed.title(venue) for venue in public_price_feed.VENUES}


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

    ``prices`` is one of PRICES or empty for recorded and simulated ones; the rest is as ``accounts.open_account`` has
    it. Raises Refusal when the owner has a connection of that name, or the account could not trade.
    """
    name = untrusted_text.check_text(name, field="name")
    if prices:
        _check_prices(prices, currency, hours, kind)
    try:
        with transaction.atomic():
            account = accounts.open_account(
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
            audit_log.record_change(
                owner,
                "added",
                "connection",
                connection.pk,
                name,
                after={"broker": "paper", "environment": "paper", "trading_enabled": trading_enabled},
            )
    except IntegrityError as error:
        raise name_taken(name) from error
    return connection


def name_taken(name: str) -> Refusal:
    return Refusal(Code.INVALID_ARGUMENT, f"You already have a connection called {name}.", field="name")


def _check_prices(prices: str, currency: str, hours: str, kind: str) -> None:
    if prices not in PRICES:
        raise Refusal(Code.INVALID_ARGUMENT, f"There are no live prices from {prices!r} here.", field="prices")
    if currency not in public_price_feed.currencies(prices):
        known = " or ".join(public_price_feed.currencies(prices))
        raise Refusal(Code.INVALID_ARGUMENT, f"At {PRICES[prices]} coins trade against {known} here.", field="currency")
    if kind != "cash":
        raise Refusal(Code.INVALID_ARGUMENT, "Live prices need a cash account.", field="kind")
    if hours != "always":
        raise Refusal(Code.INVALID_ARGUMENT, "Coins are traded at all hours.", field="hours")
