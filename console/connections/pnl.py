"""Profit and loss from fills, by average cost.

A purchase that adds to a position moves its average price; a sale realizes the difference to it, and the other way
round for a short position. A fill through zero closes the one side and opens the other at its own price. Fees count
when they are paid, so realized less fees, plus unrealized, is what trading has earned so far.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from brokers.base import Broker
from brokers.types import Ability, Fill, Side, Transaction
from console.errors import Code, Refusal

ZERO = Decimal(0)
MOST_FILLS = 100_000
_PAGE = 2_000


@dataclass(frozen=True, slots=True)
class Realized:
    """What one fill realized before fees, exact."""

    fill: Fill
    profit: Decimal
    closed: Decimal
    """Units of an earlier position it closed; 0 for a fill that only opened."""


@dataclass(slots=True)
class Sum:
    profit: Decimal = ZERO
    fees: Decimal = ZERO
    fills: int = 0

    @property
    def net(self) -> Decimal:
        return self.profit - self.fees

    def add(self, realized: Realized) -> None:
        self.profit += realized.profit
        self.fees += realized.fill.fee
        self.fills += 1


@dataclass(slots=True)
class _Position:
    quantity: Decimal = ZERO
    """Negative when short."""
    cost: Decimal = field(default=ZERO)
    """Average price times quantity, of the same sign."""


def history(broker: Broker, account_id: str) -> list[Fill | Transaction]:
    """Every fill of the account and every split and transfer of a position, oldest first.

    A practice account that was reset begins there. Raises BrokerError, and Refusal when there are too many.
    """
    found: list[Fill] = []
    began, shifts = None, list[Transaction]()
    if Ability.TRANSACTIONS in broker.capabilities.abilities:
        for each in _moves(broker, account_id):
            if each.kind == "reset":
                began = each.at
                break
            shifts.append(each)
        shifts = [each for each in shifts if each.quantity and (began is None or each.at > began)]
    start = began + timedelta(microseconds=1) if began else None
    after = ""
    while page := broker.fills(account_id, start=start, limit=_PAGE, after=after):
        found += page
        after = page[-1].fill_id
        if len(found) > MOST_FILLS:
            raise Refusal(
                Code.INVALID_REQUEST,
                f"This account has more than {MOST_FILLS} fills, and they are still being copied. Try again in a few "
                "minutes.",
            )
        if len(page) < _PAGE:
            break
    found.reverse()
    # What was brought in or split is there before anything is traded at that moment.
    return sorted([*_whole_splits(reversed(shifts)), *found], key=_at)


def _moves(broker: Broker, account_id: str) -> Iterator[Transaction]:
    """Newest first."""
    after, kinds = "", ("transfer", "split", "reset")
    while page := broker.transactions(account_id, start=None, end=None, limit=_PAGE, kinds=kinds, after=after):
        yield from page
        after = page[-1].transaction_id
        if len(page) < _PAGE:
            break


def _one(symbol: str) -> Decimal:
    return Decimal(1)


def realize(fills: Iterable[Fill | Transaction], multiplier: Callable[[str], Decimal] = _one) -> Iterator[Realized]:
    """``fills`` from the first the account ever had, oldest first, with what else moved its positions.

    ``multiplier`` tells how many units a contract of a symbol is for: a price is that of one unit.
    """
    held: dict[str, _Position] = {}
    for fill in fills:
        if isinstance(fill, Transaction):
            _shift(held.setdefault(fill.symbol, _Position()), fill)
            continue
        position = held.setdefault(fill.symbol, _Position())
        moved = fill.quantity if fill.side is Side.BUY else -fill.quantity
        profit = closed = ZERO
        if position.quantity * moved < 0:
            closed = min(abs(moved), abs(position.quantity))
            share = position.cost * closed / abs(position.quantity)
            proceeds = fill.price * closed if position.quantity > 0 else -fill.price * closed
            profit = (proceeds - share) * multiplier(fill.symbol)
            part = closed if moved > 0 else -closed
            position.quantity += part
            position.cost -= share
            moved -= part
        position.quantity += moved
        position.cost += fill.price * moved
        if position.quantity == 0:
            position.cost = ZERO
        yield Realized(fill, profit, closed)


def _at(row: Fill | Transaction) -> datetime:
    return row.at if isinstance(row, Transaction) else row.filled_at


def _shift(position: _Position, moved: Transaction) -> None:
    """Units that came or went without a fill: a split leaves the cost as it is, a transfer brings or takes its own.

    As the journal has it: a split of what is not held changes nothing, and one that leaves nothing ends the position.
    """
    units, held = moved.quantity or ZERO, position.quantity
    if moved.kind == "split":
        is_left = (held + units) * held > 0
        position.quantity, position.cost = (held + units, position.cost) if is_left else (ZERO, ZERO)
        return
    if held * units < 0:
        taken = min(abs(units), abs(held)).copy_sign(units)
        position.cost += position.cost * taken / held
        position.quantity += taken
        units -= taken
    position.cost += units * (moved.price or ZERO)
    position.quantity += units


def _whole_splits(shifts: Iterable[Transaction]) -> list[Transaction]:
    """Oldest first. A split that is told as the old units leaving and the new ones coming is one."""
    found: dict[tuple[str, ...], Transaction] = {}
    for each in shifts:
        key = (each.symbol, each.at.isoformat()) if each.kind == "split" else ("", each.transaction_id)
        told = found.get(key)
        units = (each.quantity or ZERO) + (ZERO if told is None else told.quantity or ZERO)
        found[key] = replace(each if told is None else told, quantity=units)
    return list(found.values())


def totals(
    realized: Iterable[Realized],
    key: Callable[[Fill], str],
    *,
    start: datetime | None = None,
    end: datetime | None = None,
) -> dict[tuple[str, str], Sum]:
    """By currency and key, of the fills in [start, end)."""
    found: dict[tuple[str, str], Sum] = {}
    for each in realized:
        at = each.fill.filled_at
        if (start is None or at >= start) and (end is None or at < end):
            found.setdefault((each.fill.currency, key(each.fill)), Sum()).add(each)
    return found
