"""Paper accounts, and how their resting orders meet the bars completed since they were last looked at.

What happens to an order depends only on the bars, never on when anybody looked: matching every second and
matching once a week leave the same books.
"""

import logging
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from brokers.paper import exchange, hours, ledger, prices
from brokers.paper.listings import market_of
from brokers.paper.models import OPEN_STATUSES, CashBalance, PaperAccount, PaperOrder
from brokers.types import Bar, BrokerStatus, OrderType, Side

logger = logging.getLogger(__name__)

DEFAULT_SEED = 1
"""Accounts share one simulated market unless somebody asks for another."""

_OUT_OF_CASH = "The price moved past what was held for this order, and the cash left could not pay for it."
_EXPIRED = "A DAY order ends with the trading day."


@dataclass(frozen=True, slots=True)
class _Event:
    at: datetime
    price: Decimal | None
    """None: it expired."""
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Outlook:
    event: _Event | None
    triggered: bool
    matched_until: datetime


def open_account(
    name: str,
    starting_cash: Decimal,
    currency: str = "USD",
    hours: str = hours.ALWAYS,
    *,
    seed: int = DEFAULT_SEED,
    now: datetime | None = None,
) -> PaperAccount:
    """A new account with its first deposit. ``hours`` is "always" or "venue". Raises ValueError."""
    now = now or timezone.now()
    _check_opening(name, starting_cash, currency, hours)
    with transaction.atomic():
        account = PaperAccount.objects.create(
            key=ledger.new_code(8),
            name=name.strip(),
            currency=currency,
            starting_cash=starting_cash,
            hours=hours,
            seed=seed,
            created=now,
        )
        CashBalance.objects.create(account=account, currency=currency, amount=Decimal(0))
        ledger.post(account, at=now, kind="deposit", currency=currency, amount=starting_cash)
    return account


def match_resting(now: datetime) -> int:
    """Match every open order; returns how many ended. An account in trouble does not delay the others."""
    waiting = PaperOrder.objects.filter(_waiting(now))
    ended = 0
    for account in PaperAccount.objects.filter(pk__in=waiting.values("account")).order_by("pk"):
        try:
            ended += catch_up(account, now)
        except Exception:
            logger.exception("Matching the orders of paper account %s failed.", account.key)
    return ended


def catch_up(account: PaperAccount, now: datetime) -> int:
    """Bring one account up to ``now``. Takes the lock only when a bar was completed since the last time."""
    if not account.orders.filter(_waiting(now)).exists():
        return 0
    with ledger.locked(account) as mine:
        return match_locked(mine, now)


def match_locked(account: PaperAccount, now: datetime) -> int:
    """As ``catch_up``, within the caller's transaction and lock."""
    market = market_of(account)
    due: list[tuple[datetime, int, PaperOrder, prices.Tape, _Event]] = []
    for order in account.orders.filter(status__in=OPEN_STATUSES).order_by("pk"):
        tape = market.tape(order.symbol)
        outlook = _look(order, tape, now)
        if (outlook.matched_until, outlook.triggered) != (order.matched_until, order.triggered):
            order.matched_until, order.triggered = outlook.matched_until, outlook.triggered
            order.save(update_fields=["matched_until", "triggered"])
        if outlook.event is not None:
            due.append((outlook.event.at, order.pk, order, tape, outlook.event))
    # In order of time over all orders, because a sale may pay for a later purchase.
    for at, _, order, tape, event in sorted(due, key=lambda item: item[:2]):
        if event.price is None:
            ledger.end(order, BrokerStatus.EXPIRED, at=at, reason=_EXPIRED)
        elif not ledger.fill(account, order, tape.instrument, price=event.price, at=at, recorded_at=event.recorded_at):
            ledger.end(order, BrokerStatus.CANCELLED, at=at, reason=_OUT_OF_CASH)
    return len(due)


def first_match(tape: prices.Tape, placed: datetime) -> datetime:
    """Start of the first bar that begins at or after ``placed``: the one under way has older trades in it."""
    minute = hours.minute_from(placed)
    return hours.at_minute(minute + -minute % tape.step)


def terms_of(order: PaperOrder) -> exchange.Terms:
    return exchange.Terms(
        side=Side(order.side),
        order_type=OrderType(order.order_type),
        quantity=order.quantity,
        limit_price=order.limit_price,
        stop_price=order.stop_price,
        triggered=order.triggered,
    )


def _waiting(now: datetime) -> Q:
    """Open orders that a bar or the end of their day may have reached."""
    return Q(status__in=OPEN_STATUSES) & (Q(matched_until__lte=now - timedelta(minutes=1)) | Q(expires_at__lte=now))


def _look(order: PaperOrder, tape: prices.Tape, now: datetime) -> _Outlook:
    """What the bars since ``matched_until`` do to this order."""
    terms = terms_of(order)
    minute = hours.minute_of(order.matched_until)
    end = prices.completed(tape, now)
    if order.expires_at is not None:
        last = hours.minute_of(order.expires_at)
        end = min(end, last - last % tape.step)
    while minute < end:
        stretch = min(end, (minute // hours.DAY_MINUTES + 1) * hours.DAY_MINUTES)
        # One look at the whole stretch spares a look at each of its bars when its price never came near.
        if _meet(terms, tape, minute, stretch) == exchange.Match(triggered=terms.triggered):
            minute = stretch
            continue
        while minute < stretch:
            match = _meet(terms, tape, minute, minute + tape.step)
            terms = replace(terms, triggered=match.triggered)
            if match.price is not None:
                at = hours.at_minute(minute + tape.step)
                return _Outlook(_Event(at, match.price, tape.recorded_at(minute)), terms.triggered, at)
            minute += tape.step
    reached = max(order.matched_until, hours.at_minute(minute))
    expiry = None
    if order.expires_at is not None and now >= order.expires_at:
        expiry = _Event(order.expires_at, None)
    return _Outlook(expiry, terms.triggered, reached)


def _meet(terms: exchange.Terms, tape: prices.Tape, first: int, end: int) -> exchange.Match:
    traded = tape.aggregate(first, end)
    if traded is None:
        return exchange.Match(triggered=terms.triggered)
    return exchange.in_bar(terms, Bar(start=hours.at_minute(first), **traded._asdict()))


def _check_opening(name: str, starting_cash: Decimal, currency: str, kind: str) -> None:
    if not name.strip() or len(name.strip()) > 100:
        raise ValueError("The account needs a name of at most 100 characters.")
    if not starting_cash.is_finite() or not 0 < starting_cash <= ledger.LARGEST:
        raise ValueError("The starting cash must be more than 0 and at most 1,000,000,000,000.")
    if starting_cash % exchange.CENT:
        raise ValueError("The starting cash must be in whole cents.")
    if len(currency) != 3 or not currency.isascii() or not currency.isalpha() or not currency.isupper():
        raise ValueError("The currency must be a three-letter code such as USD.")
    if kind not in (hours.ALWAYS, hours.VENUE):
        raise ValueError('The hours must be "always" or "venue".')
