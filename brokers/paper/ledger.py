"""The one writer of cash, holdings, fills and the ledger that explains them.

Whatever changes them runs inside the ``locked`` block of its caller.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, Decimal

from django.db import DEFAULT_DB_ALIAS, transaction

from brokers.decimals import DECIMAL_PLACES
from brokers.errors import InvalidAccount
from brokers.paper import costs, exchange
from brokers.paper.models import (
    OPEN_STATUSES,
    Holding,
    LedgerEntry,
    PaperAccount,
    PaperFill,
    PaperOrder,
)
from brokers.statements import Statement
from brokers.types import BrokerStatus, Instrument, Side

LARGEST = Decimal(10) ** 12
"""Beyond this a price, quantity or deposit is a mistake, and its products might not fit a column."""

_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_STEP = Decimal(1).scaleb(-DECIMAL_PLACES)


@dataclass(frozen=True, slots=True)
class Held:
    total: Decimal
    reserved: Decimal
    unsettled: Decimal = Decimal(0)

    @property
    def available(self) -> Decimal:
        return self.total - self.reserved - self.unsettled


_ACCOUNT_FIELDS = [field.attname for field in PaperAccount._meta.concrete_fields]
_ACCOUNTS = Statement(lambda key: PaperAccount.objects.filter(key=key).values_list(*_ACCOUNT_FIELDS))


def account(key: str) -> PaperAccount:
    """Raises InvalidAccount."""
    row = _ACCOUNTS.first(key)
    if row is None:
        raise InvalidAccount("There is no such paper account.")
    return PaperAccount.from_db(DEFAULT_DB_ALIAS, _ACCOUNT_FIELDS, row)


@contextmanager
def locked(account: PaperAccount) -> Iterator[PaperAccount]:
    """One transaction that alone may change this account. SQLite has no row locks; its writers queue."""
    with transaction.atomic():
        yield PaperAccount.objects.select_for_update().get(pk=account.pk)


def cash(account: PaperAccount, at: datetime, *, but: PaperOrder | None = None) -> dict[str, Held]:
    """By currency, the account's own first. ``but`` leaves out what that order, or its pair, holds."""
    reserved = _sums(account, "currency", "reserved_cash", but)
    unsettled: dict[str, Decimal] = {}
    for currency, amount in account.ledger.filter(settles_at__gt=at).values_list("currency", "amount"):
        unsettled[currency] = unsettled.get(currency, Decimal(0)) + amount
    balances = sorted(account.balances.all(), key=lambda row: (row.currency != account.currency, row.currency))
    none = Decimal(0)
    return {
        row.currency: Held(row.amount, reserved.get(row.currency, none), unsettled.get(row.currency, none))
        for row in balances
    }


def cash_in(account: PaperAccount, currency: str, at: datetime, *, but: PaperOrder | None = None) -> Held:
    return cash(account, at, but=but).get(currency, Held(Decimal(0), Decimal(0)))


def reserved_quantities(account: PaperAccount, *, but: PaperOrder | None = None) -> dict[str, Decimal]:
    return _sums(account, "symbol", "reserved_quantity", but)


def held(account: PaperAccount, symbol: str, *, but: PaperOrder | None = None) -> Held:
    """``total`` is negative for a short position."""
    row = account.holdings.filter(symbol=symbol).first()
    total = row.quantity if row else Decimal(0)
    return Held(total, reserved_quantities(account, but=but).get(symbol, Decimal(0)))


def taken(account: PaperAccount, symbol: str, bar: int) -> Decimal:
    """Units that the account's orders took of one bar."""
    fills = PaperFill.objects.filter(order__account=account, order__symbol=symbol, bar=bar)
    return sum(fills.values_list("quantity", flat=True), Decimal(0))


def new_order_id() -> str:
    return f"P-{new_code(12)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """What happened to an order in one bar, or on arrival."""

    price: Decimal
    quantity: Decimal
    at: datetime
    bar: int
    maker: bool
    recorded_at: datetime | None
    settles_at: datetime | None


def fill(
    account: PaperAccount, order: PaperOrder, instrument: Instrument, preset: costs.Preset, done: Execution
) -> None:
    """Write one fill and release the part of the reservation it used. The caller knows that it can be paid."""
    side = Side(order.side)
    fee = costs.fee(
        preset, instrument.asset_class, done.price, done.quantity, filled=order.filled_quantity, maker=done.maker
    )
    amount = costs.gross(done.price, done.quantity)
    moved = done.quantity if side is Side.BUY else -done.quantity
    PaperFill.objects.create(
        order=order,
        fill_id=f"{order.broker_order_id}-{order.fills.count() + 1}",
        price=done.price,
        quantity=done.quantity,
        fee=fee,
        source=instrument.price_source,
        model=preset.stamp,
        bar=done.bar,
        recorded_at=done.recorded_at,
        at=done.at,
    )
    post(
        account,
        at=done.at,
        kind="trade",
        currency=order.currency,
        amount=-amount if side is Side.BUY else amount,
        symbol=order.symbol,
        quantity=moved,
        price=done.price,
        client_order_id=order.client_order_id,
        settles_at=done.settles_at if side is Side.SELL else None,
    )
    if fee:
        post(
            account,
            at=done.at,
            kind="fee",
            currency=order.currency,
            amount=-fee,
            symbol=order.symbol,
            client_order_id=order.client_order_id,
        )
    move_holding(account, order.symbol, moved, done.price)
    before = order.quantity - order.filled_quantity
    paid = (order.average_price or Decimal(0)) * order.filled_quantity + done.price * done.quantity
    order.filled_quantity += done.quantity
    order.average_price = done.price if before == order.quantity else (paid / order.filled_quantity).quantize(_STEP)
    order.fees += fee
    order.updated = done.at
    if order.filled_quantity == order.quantity:
        end(order, BrokerStatus.FILLED, at=done.at)
        return
    order.status = BrokerStatus.PARTIALLY_FILLED.value
    shrink(order, before)
    order.save()


def shrink(order: PaperOrder, before: Decimal) -> None:
    """Reserve in proportion to what is left of the order, of which ``before`` units were. Saves nothing."""
    left = order.quantity - order.filled_quantity
    order.reserved_cash = (order.reserved_cash * left / before).quantize(exchange.CENT, ROUND_CEILING)
    order.reserved_quantity = min(order.reserved_quantity, left)


def end(order: PaperOrder, status: BrokerStatus, *, at: datetime, reason: str = "") -> None:
    """The order is over: keep why, and release what it held."""
    order.status = status.value
    order.reason = reason
    order.reserved_cash = order.reserved_quantity = Decimal(0)
    order.touch_below = order.touch_above = order.expires_at = order.arrives_at = order.cancels_at = None
    order.updated = at
    order.save()


def post(account: PaperAccount, *, at: datetime, kind: str, currency: str, amount: Decimal, **trade: object) -> None:
    """A ledger entry and the balance it changes, always together."""
    LedgerEntry.objects.create(account=account, at=at, kind=kind, currency=currency, amount=amount, **trade)
    if not amount:
        return
    balance = account.balances.get(currency=currency)
    balance.amount += amount
    balance.save(update_fields=["amount"])


@dataclass(frozen=True, slots=True)
class Book:
    """What an account has: cash by currency, and (units, average price) by symbol, nothing that is zero."""

    cash: dict[str, Decimal]
    holdings: dict[str, tuple[Decimal, Decimal]]


def book(account: PaperAccount) -> Book:
    """As it is kept."""
    return Book(
        {row.currency: row.amount for row in account.balances.all() if row.amount},
        {row.symbol: (row.quantity, row.average_price) for row in account.holdings.all()},
    )


def rebuild(account: PaperAccount, until: datetime | None = None) -> Book:
    """As it follows from the ledger alone, entry by entry, up to and including ``until``."""
    entries = account.ledger.order_by("pk")
    if until is not None:
        entries = entries.filter(at__lte=until)
    cash: dict[str, Decimal] = {}
    holdings: dict[str, tuple[Decimal, Decimal]] = {}
    for entry in entries:
        cash[entry.currency] = cash.get(entry.currency, Decimal(0)) + entry.amount
        if entry.quantity is None:
            continue
        held = holdings.pop(entry.symbol, (Decimal(0), Decimal(0)))
        if entry.kind == "split":
            after = split(*held, entry.quantity)
        else:
            after = moved(*held, entry.quantity, entry.price or Decimal(0))
        if after[0]:
            holdings[entry.symbol] = after
    return Book({currency: amount for currency, amount in cash.items() if amount}, holdings)


def moved(total: Decimal, average: Decimal, by: Decimal, price: Decimal) -> tuple[Decimal, Decimal]:
    """Units and average price after a trade. What adds to a position is averaged, what crosses zero starts anew."""
    after = total + by
    if not after or total * by >= 0:
        added = (total * average + by * price) / after if after else Decimal(0)
        return after, added.quantize(_STEP)
    return after, average if after * total > 0 else price


def split(total: Decimal, average: Decimal, by: Decimal) -> tuple[Decimal, Decimal]:
    """Units and average price after a split that added ``by`` units: what was paid stays the same."""
    after = total + by
    return after, (total * average / after).quantize(_STEP) if after else Decimal(0)


def move_holding(account: PaperAccount, symbol: str, by: Decimal, price: Decimal) -> None:
    _set_holding(account, symbol, lambda total, average: moved(total, average, by, price))


def split_holding(account: PaperAccount, symbol: str, by: Decimal) -> None:
    _set_holding(account, symbol, lambda total, average: split(total, average, by))


def _set_holding(
    account: PaperAccount, symbol: str, change: Callable[[Decimal, Decimal], tuple[Decimal, Decimal]]
) -> None:
    row = account.holdings.filter(symbol=symbol).first()
    row = row or Holding(account=account, symbol=symbol, quantity=Decimal(0), average_price=Decimal(0))
    row.quantity, row.average_price = change(row.quantity, row.average_price)
    if row.quantity:
        row.save()
    elif row.pk is not None:
        row.delete()


def _sums(account: PaperAccount, by: str, what: str, but: PaperOrder | None) -> dict[str, Decimal]:
    """Over open orders; of a pair only the largest counts, because only one of it can fill."""
    pairs: dict[tuple[str, str], Decimal] = {}
    for pk, pair, name, amount in account.orders.filter(status__in=OPEN_STATUSES).values_list("pk", "pair", by, what):
        if but is None or (pk != but.pk and (not pair or pair != but.pair)):
            slot = (name, pair or str(pk))
            pairs[slot] = max(pairs.get(slot, Decimal(0)), amount)
    sums: dict[str, Decimal] = {}
    for (name, _), amount in pairs.items():
        sums[name] = sums.get(name, Decimal(0)) + amount
    return sums


def new_code(length: int) -> str:
    """Random, without letters and digits that look alike."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
