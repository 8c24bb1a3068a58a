"""The one writer of cash, holdings, fills and the ledger that explains them.

Whatever changes them runs inside the ``locked`` block of its caller.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import DEFAULT_DB_ALIAS, models, transaction

from brokers.decimals import DECIMAL_PLACES
from brokers.errors import InvalidAccount
from brokers.paper import exchange
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

    @property
    def available(self) -> Decimal:
        return self.total - self.reserved


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


def cash(account: PaperAccount) -> dict[str, Held]:
    """By currency, the account's own first."""
    reserved: dict[str, Decimal] = {}
    for currency, amount in _open_orders(account).values_list("currency", "reserved_cash"):
        reserved[currency] = reserved.get(currency, Decimal(0)) + amount
    balances = sorted(account.balances.all(), key=lambda row: (row.currency != account.currency, row.currency))
    return {row.currency: Held(row.amount, reserved.get(row.currency, Decimal(0))) for row in balances}


def cash_in(account: PaperAccount, currency: str) -> Held:
    return cash(account).get(currency, Held(Decimal(0), Decimal(0)))


def reserved_quantities(account: PaperAccount) -> dict[str, Decimal]:
    reserved: dict[str, Decimal] = {}
    for symbol, quantity in _open_orders(account).values_list("symbol", "reserved_quantity"):
        reserved[symbol] = reserved.get(symbol, Decimal(0)) + quantity
    return reserved


def held(account: PaperAccount, symbol: str) -> Held:
    row = account.holdings.filter(symbol=symbol).first()
    total = row.quantity if row else Decimal(0)
    return Held(total, reserved_quantities(account).get(symbol, Decimal(0)))


def new_order_id() -> str:
    return f"P-{new_code(12)}"


def fill(
    account: PaperAccount,
    order: PaperOrder,
    instrument: Instrument,
    *,
    price: Decimal,
    at: datetime,
    recorded_at: datetime | None,
) -> bool:
    """Fill the whole order and release what it held. False, and nothing changed, when the cash is short."""
    side = Side(order.side)
    change = exchange.cash_effect(side, instrument.asset_class, price, order.quantity)
    if change < 0 and cash_in(account, order.currency).available + order.reserved_cash + change < 0:
        return False
    fee = exchange.fee(instrument.asset_class, price, order.quantity)
    moved = order.quantity if side is Side.BUY else -order.quantity
    PaperFill.objects.create(
        order=order,
        fill_id=f"{order.broker_order_id}-1",
        price=price,
        quantity=order.quantity,
        fee=fee,
        source=instrument.price_source,
        recorded_at=recorded_at,
        at=at,
    )
    post(
        account,
        at=at,
        kind="trade",
        currency=order.currency,
        amount=change + fee,
        symbol=order.symbol,
        quantity=moved,
        price=price,
        client_order_id=order.client_order_id,
    )
    if fee:
        post(
            account,
            at=at,
            kind="fee",
            currency=order.currency,
            amount=-fee,
            symbol=order.symbol,
            client_order_id=order.client_order_id,
        )
    _move_holding(account, order.symbol, moved, price)
    order.filled_quantity, order.average_price, order.fees = order.quantity, price, fee
    end(order, BrokerStatus.FILLED, at=at)
    return True


def end(order: PaperOrder, status: BrokerStatus, *, at: datetime, reason: str = "") -> None:
    """The order is over: keep why, and release what it held."""
    order.status = status.value
    order.reason = reason
    order.reserved_cash = order.reserved_quantity = Decimal(0)
    order.updated = at
    order.save()


def post(account: PaperAccount, *, at: datetime, kind: str, currency: str, amount: Decimal, **trade: object) -> None:
    """A ledger entry and the balance it changes, always together."""
    LedgerEntry.objects.create(account=account, at=at, kind=kind, currency=currency, amount=amount, **trade)
    balance = account.balances.get(currency=currency)
    balance.amount += amount
    balance.save(update_fields=["amount"])


def _move_holding(account: PaperAccount, symbol: str, moved: Decimal, price: Decimal) -> None:
    row = account.holdings.filter(symbol=symbol).first()
    if row is None:
        Holding.objects.create(account=account, symbol=symbol, quantity=moved, average_price=price)
        return
    total = row.quantity + moved
    if total == 0:
        row.delete()
        return
    if moved > 0:
        row.average_price = ((row.quantity * row.average_price + moved * price) / total).quantize(_STEP)
    row.quantity = total
    row.save(update_fields=["quantity", "average_price"])


def _open_orders(account: PaperAccount) -> models.QuerySet[PaperOrder]:
    return account.orders.filter(status__in=OPEN_STATUSES)


def new_code(length: int) -> str:
    """Random, without letters and digits that look alike."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
