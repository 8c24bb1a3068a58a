"""The one writer of cash, holdings, fills and the ledger that explains them.

Whatever changes them runs inside the ``locked`` block of its caller.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from functools import cached_property
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import CharField, Func, OuterRef, Q, QuerySet, Subquery

from brokers.compiled_queries import Insertion, RowUpdate, Statement
from brokers.decimals import DECIMAL_PLACES, ExactDecimalField
from brokers.errors import InvalidAccount
from brokers.paper import costs, fill_rules
from brokers.paper.models import (
    OPEN_STATUSES,
    CashBalance,
    ChangedOrder,
    Holding,
    LedgerEntry,
    MatchedTape,
    PaperAccount,
    PaperFill,
    PaperOrder,
)
from brokers.types import BrokerStatus, Instrument, Side

LARGEST = Decimal(10) ** 12
"""Beyond this a price, quantity or deposit is a mistake, and its products might not fit a column."""

_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_STEP = Decimal(1).scaleb(-DECIMAL_PLACES)


@dataclass(frozen=True, slots=True)
class Balance:
    total: Decimal
    reserved: Decimal
    unsettled: Decimal = Decimal(0)

    @property
    def available(self) -> Decimal:
        return self.total - self.reserved - self.unsettled


class OpenOrder(NamedTuple):
    """What reading an account needs to know of an order that may still fill."""

    pk: int
    status: str
    client_order_id: str
    pair: str
    currency: str
    symbol: str
    reserved_cash: Decimal
    reserved_quantity: Decimal
    held: bool
    tape: str
    touch_below: float | None
    touch_above: float | None
    matched_until: datetime
    expires_at: datetime | None
    arrives_at: datetime | None
    cancels_at: datetime | None
    seen: datetime | None
    """``MatchedTape.seen`` of its tape; None where the tape has no row."""


_ACCOUNT_FIELDS = [field.attname for field in PaperAccount._meta.concrete_fields]
_ACCOUNTS = Statement(lambda key: PaperAccount.objects.filter(key=key).values_list(*_ACCOUNT_FIELDS))
_LOCKED = Statement(lambda key: PaperAccount.objects.select_for_update().filter(key=key).values_list(*_ACCOUNT_FIELDS))
_SEEN = Subquery(MatchedTape.objects.filter(tape=OuterRef("tape")).values("seen"))
_OPEN_ORDERS = Statement(
    lambda named, first, second, account: PaperOrder.objects.filter(
        Q(client_order_id=named) | Q(status__in=[first, second]), account=account
    ).values_list(*OpenOrder._fields[:-1], _SEEN)
)


def _storage_key(text: str) -> Func:
    return Func(template=f"'{text}'", output_field=CharField())


_NO_PRICE = Func(template="NULL", output_field=ExactDecimalField())


_Rows = QuerySet[Any, tuple[Any, ...]]


def _in_hand(holder: int, payer: int) -> tuple[_Rows, _Rows]:
    """What kind of row, its symbol or currency, how much, and for a position at what price."""
    cash = CashBalance.objects.filter(account=payer)
    held = Holding.objects.filter(account=holder)
    return (
        held.values_list(_storage_key("held"), "symbol", "quantity", "average_price"),
        cash.values_list(_storage_key("cash"), "currency", "amount", _NO_PRICE),
    )


def _book(holder: int, payer: int) -> _Rows:
    held, cash = _in_hand(holder, payer)
    return held.union(cash, all=True)


def _book_with_unsettled(holder: int, payer: int, seller: int, at: datetime) -> _Rows:
    held, cash = _in_hand(holder, payer)
    coming = LedgerEntry.objects.filter(account=seller, settles_at__gt=at)
    return held.union(cash, coming.values_list(_storage_key("unsettled"), "currency", "amount", _NO_PRICE), all=True)


_BOOK, _BOOK_WITH_UNSETTLED = Statement(_book), Statement(_book_with_unsettled)
_ORDER_FIELDS = [field.attname for field in PaperOrder._meta.concrete_fields]
_ORDERS = Statement(
    lambda account, named: PaperOrder.objects.filter(account=account, client_order_id=named).values_list(*_ORDER_FIELDS)
)
_FILL_FIELDS = [field.attname for field in PaperFill._meta.concrete_fields]
_NEW_FILLS = Insertion(PaperFill)
_NEW_ORDERS = Insertion(PaperOrder)
_CHANGES = Insertion(ChangedOrder)
_NEW_BALANCE = RowUpdate(CashBalance, "account_id", "currency")
_NEW_POSITION = RowUpdate(Holding, "account_id", "symbol")
_FILLS = Statement(lambda order: PaperFill.objects.filter(order=order).order_by("pk").values_list(*_FILL_FIELDS))


def order(account: PaperAccount, client_order_id: str) -> PaperOrder | None:
    row = _ORDERS.first(account.pk, client_order_id)
    return None if row is None else PaperOrder.from_db(DEFAULT_DB_ALIAS, _ORDER_FIELDS, row)


def fills(order: PaperOrder) -> list[PaperFill]:
    """The oldest first."""
    return [PaperFill.from_db(DEFAULT_DB_ALIAS, _FILL_FIELDS, row) for row in _FILLS.rows(order.pk)]


def account(key: str) -> PaperAccount:
    """Raises InvalidAccount."""
    return _account(_ACCOUNTS.first(key))


def _account(row: tuple[Any, ...] | None) -> PaperAccount:
    if row is None:
        raise InvalidAccount("There is no such paper account.")
    return PaperAccount.from_db(DEFAULT_DB_ALIAS, _ACCOUNT_FIELDS, row)


@contextmanager
def locked(account: PaperAccount | str) -> Iterator[PaperAccount]:
    """One transaction that alone may change this account, or the one with this key. SQLite has no row locks; its
    writers queue. Raises InvalidAccount."""
    with transaction.atomic():
        yield _account(_LOCKED.first(account if isinstance(account, str) else account.key))


_BookRow = tuple[str, str, Decimal, Decimal | None]
"""What kind of row, its symbol or currency, how much, and for a position at what price."""


class AccountSnapshot:
    """What an account has at one time, and what its open orders hold of it: each read once, when it is first needed.

    Whoever has booked something since takes another. Inside the ``locked`` block all of it is of one moment.
    """

    def __init__(
        self,
        account: PaperAccount,
        at: datetime,
        *,
        named: str = "",
        orders: list[OpenOrder] | None = None,
        book: list[_BookRow] | None = None,
    ) -> None:
        """``named``: a client order id to look for with the open orders. ``orders``, ``book``: where they were read."""
        self.account, self.at = account, at
        self.named, self._known_orders, self._known_book = named, orders, book

    @cached_property
    def _orders(self) -> list[OpenOrder]:
        if self._known_orders is not None:
            return self._known_orders
        return [OpenOrder(*row) for row in _OPEN_ORDERS.rows(self.named, *OPEN_STATUSES, self.account.pk)]

    @property
    def orders(self) -> list[OpenOrder]:
        """The open ones."""
        return [order for order in self._orders if order.status in OPEN_STATUSES]

    @property
    def knows_name(self) -> bool:
        """Whether an order, open or not, has the client order id that was looked for."""
        return any(order.client_order_id == self.named for order in self._orders)

    @cached_property
    def _book(self) -> list[_BookRow]:
        if self._known_book is not None:
            return self._known_book
        pk = self.account.pk
        # Where nothing settles later the ledger is not searched for it: it only grows.
        settles_later = self.account.settlement_days > 0
        rows = _BOOK_WITH_UNSETTLED.rows(pk, pk, pk, self.at) if settles_later else _BOOK.rows(pk, pk)
        return [(row[0], row[1], row[2], row[3]) for row in rows]

    @cached_property
    def holdings(self) -> dict[str, tuple[Decimal, Decimal]]:
        """(units, average price) by symbol, in order of it; units are negative for a short position."""
        rows = sorted(
            (symbol, units, price) for kind, symbol, units, price in self._book if kind == "held" and price is not None
        )
        return {symbol: (units, price) for symbol, units, price in rows}

    def cash(self, *, but: PaperOrder | None = None) -> dict[str, Balance]:
        """By currency, the account's own first. ``but`` leaves out what that order, or its pair, holds."""
        reserved = self._sums(lambda order: (order.currency, order.reserved_cash), but)
        unsettled: dict[str, Decimal] = {}
        for kind, currency, amount, _ in self._book:
            if kind == "unsettled":
                unsettled[currency] = unsettled.get(currency, Decimal(0)) + amount
        own, none = self.account.currency, Decimal(0)
        balances = sorted(
            ((currency, amount) for kind, currency, amount, _ in self._book if kind == "cash"),
            key=lambda row: (row[0] != own, row[0]),
        )
        return {
            currency: Balance(amount, reserved.get(currency, none), unsettled.get(currency, none))
            for currency, amount in balances
        }

    def total(self, currency: str) -> Decimal:
        """Cash, what open orders hold of it included."""
        held = (amount for kind, name, amount, _ in self._book if kind == "cash" and name == currency)
        return sum(held, Decimal(0))

    def cash_in(self, currency: str, *, but: PaperOrder | None = None) -> Balance:
        return self.cash(but=but).get(currency, Balance(Decimal(0), Decimal(0)))

    def reserved_quantities(self, *, but: PaperOrder | None = None) -> dict[str, Decimal]:
        return self._sums(lambda order: (order.symbol, order.reserved_quantity), but)

    def held(self, symbol: str, *, but: PaperOrder | None = None) -> Balance:
        """``total`` is negative for a short position."""
        total, _ = self.holdings.get(symbol, (Decimal(0), Decimal(0)))
        return Balance(total, self.reserved_quantities(but=but).get(symbol, Decimal(0)))

    def _sums(self, of: Callable[[OpenOrder], tuple[str, Decimal]], but: PaperOrder | None) -> dict[str, Decimal]:
        """Over open orders; of a pair only the largest counts, because only one of it can fill."""
        pairs: dict[tuple[str, str], Decimal] = {}
        for order in self.orders:
            if but is None or (order.pk != but.pk and (not order.pair or order.pair != but.pair)):
                name, amount = of(order)
                slot = (name, order.pair or str(order.pk))
                pairs[slot] = max(pairs.get(slot, Decimal(0)), amount)
        sums: dict[str, Decimal] = {}
        for (name, _), amount in pairs.items():
            sums[name] = sums.get(name, Decimal(0)) + amount
        return sums


def volume_taken(account: PaperAccount, symbol: str, bar: int) -> Decimal:
    """Units that the account's orders took of one bar."""
    fills = PaperFill.objects.filter(account=account, order__symbol=symbol, bar=bar)
    return sum(fills.values_list("quantity", flat=True), Decimal(0))


def new_order_id() -> str:
    return f"P-{new_code(12)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FillDetails:
    """What happened to an order in one bar, or on arrival."""

    price: Decimal
    quantity: Decimal
    at: datetime
    bar: int
    maker: bool
    recorded_at: datetime | None
    settles_at: datetime | None


def fill(
    state: AccountSnapshot, order: PaperOrder, instrument: Instrument, preset: costs.Preset, done: FillDetails
) -> PaperFill:
    """Write one fill and release the part of the reservation it used. The caller knows that it can be paid.

    ``state`` was read since the last booking, under the lock; it is out of date afterwards.
    """
    account = state.account
    side = Side(order.side)
    fee = costs.fee(
        preset, instrument.asset_class, done.price, done.quantity, filled=order.filled_quantity, maker=done.maker
    )
    amount = costs.notional_of(done.price, done.quantity)
    moved = done.quantity if side is Side.BUY else -done.quantity
    fill_id = f"{order.broker_order_id}-{(order.fills.count() if order.filled_quantity else 0) + 1}"
    # The order first, so that one that fills as it comes is written once.
    before = order.quantity - order.filled_quantity
    paid = (order.average_price or Decimal(0)) * order.filled_quantity + done.price * done.quantity
    order.filled_quantity += done.quantity
    order.average_price = done.price if before == order.quantity else (paid / order.filled_quantity).quantize(_STEP)
    order.fees += fee
    order.updated = done.at
    if order.filled_quantity == order.quantity:
        end(order, BrokerStatus.FILLED, at=done.at)
    else:
        order.status = BrokerStatus.PARTIALLY_FILLED.value
        shrink(order, before)
        save(order)
    made = _NEW_FILLS.create(
        order=order,
        account_id=order.account_id,
        fill_id=fill_id,
        price=done.price,
        quantity=done.quantity,
        fee=fee,
        source=instrument.price_source,
        model=preset.stamp,
        bar=done.bar,
        recorded_at=done.recorded_at,
        at=done.at,
    )
    common = {
        "account": account,
        "at": done.at,
        "currency": order.currency,
        "symbol": order.symbol,
        "client_order_id": order.client_order_id,
    }
    entries = [
        LedgerEntry(
            **common,
            kind="trade",
            amount=-amount if side is Side.BUY else amount,
            quantity=moved,
            price=done.price,
            settles_at=done.settles_at if side is Side.SELL else None,
        )
    ]
    if fee:
        entries.append(LedgerEntry(**common, kind="fee", amount=-fee))
    _post(state, order.currency, entries)
    _move_holding(state, order.symbol, moved, done.price)
    return made


def save(order: PaperOrder) -> None:
    """And tell of its change, where it is not new: whoever places one is answered. Raises IntegrityError for a new one
    whose client order id is taken."""
    if order._state.adding:
        _NEW_ORDERS.insert(order)
    else:
        order.save()
        _CHANGES.create(account_id=order.account_id, client_order_id=order.client_order_id)


def shrink(order: PaperOrder, before: Decimal) -> None:
    """Reserve in proportion to what is left of the order, of which ``before`` units were. Saves nothing."""
    left = order.quantity - order.filled_quantity
    order.reserved_cash = (order.reserved_cash * left / before).quantize(fill_rules.CENT, ROUND_CEILING)
    order.reserved_quantity = min(order.reserved_quantity, left)


def end(order: PaperOrder, status: BrokerStatus, *, at: datetime, reason: str = "") -> None:
    """The order is over: keep why, and release what it held."""
    order.status = status.value
    order.reason = reason
    order.reserved_cash = order.reserved_quantity = Decimal(0)
    order.touch_below = order.touch_above = order.expires_at = order.arrives_at = order.cancels_at = None
    order.updated = at
    save(order)


def post(account: PaperAccount, *, at: datetime, kind: str, currency: str, amount: Decimal, **trade: object) -> None:
    """A ledger entry and the balance it changes, always together."""
    entry = LedgerEntry(account=account, at=at, kind=kind, currency=currency, amount=amount, **trade)
    _post(AccountSnapshot(account, at), currency, [entry])


def _post(state: AccountSnapshot, currency: str, entries: list[LedgerEntry]) -> None:
    LedgerEntry.objects.bulk_create(entries)
    total = sum((entry.amount for entry in entries), Decimal(0))
    if total:
        balance = state.cash()[currency].total
        _NEW_BALANCE.make(state.account.pk, currency, amount=balance + total)


@dataclass(frozen=True, slots=True)
class AccountBalances:
    """What an account has: cash by currency, and (units, average price) by symbol, nothing that is zero."""

    cash: dict[str, Decimal]
    holdings: dict[str, tuple[Decimal, Decimal]]


def account_balances(account: PaperAccount) -> AccountBalances:
    """As it is kept."""
    return AccountBalances(
        {row.currency: row.amount for row in account.balances.all() if row.amount},
        {row.symbol: (row.quantity, row.average_price) for row in account.holdings.all()},
    )


def rebuild(account: PaperAccount, until: datetime | None = None) -> AccountBalances:
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
            after = after_split(*held, entry.quantity)
        else:
            after = after_trade(*held, entry.quantity, entry.price or Decimal(0))
        if after[0]:
            holdings[entry.symbol] = after
    return AccountBalances({currency: amount for currency, amount in cash.items() if amount}, holdings)


def after_trade(total: Decimal, average: Decimal, by: Decimal, price: Decimal) -> tuple[Decimal, Decimal]:
    """Units and average price after a trade. What adds to a position is averaged, what crosses zero starts anew."""
    after = total + by
    if not after or total * by >= 0:
        added = (total * average + by * price) / after if after else Decimal(0)
        return after, added.quantize(_STEP)
    return after, average if after * total > 0 else price


def after_split(total: Decimal, average: Decimal, by: Decimal) -> tuple[Decimal, Decimal]:
    """Units and average price after a split that added ``by`` units: what was paid stays the same."""
    after = total + by
    return after, (total * average / after).quantize(_STEP) if after else Decimal(0)


def move_holding(account: PaperAccount, symbol: str, by: Decimal, price: Decimal, at: datetime) -> None:
    _move_holding(AccountSnapshot(account, at), symbol, by, price)


def _move_holding(state: AccountSnapshot, symbol: str, by: Decimal, price: Decimal) -> None:
    _set_holding(state, symbol, lambda total, average: after_trade(total, average, by, price))


def split_holding(account: PaperAccount, symbol: str, by: Decimal, at: datetime) -> None:
    _set_holding(AccountSnapshot(account, at), symbol, lambda total, average: after_split(total, average, by))


def _set_holding(
    state: AccountSnapshot, symbol: str, change: Callable[[Decimal, Decimal], tuple[Decimal, Decimal]]
) -> None:
    before = state.holdings.get(symbol)
    quantity, average_price = change(*(before or (Decimal(0), Decimal(0))))
    mine = Holding.objects.filter(account=state.account, symbol=symbol)
    if before is None:
        if quantity:
            mine.create(account=state.account, symbol=symbol, quantity=quantity, average_price=average_price)
    elif quantity:
        _NEW_POSITION.make(state.account.pk, symbol, quantity=quantity, average_price=average_price)
    else:
        mine.delete()


def new_code(length: int) -> str:
    """Random, without letters and digits that look alike."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
