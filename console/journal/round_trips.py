"""Round trips from what moved a position, by average cost. Pure: no database, no broker.

A trip begins when a flat position is opened and ends when it is flat again. A fill through zero ends one trip and
begins the next, its fee shared by units. Average cost and first-in-first-out earn the same over a whole trip; while
one is open, what it has realized so far is by average cost, as ``get_pnl`` has it.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from brokers.decimals import DECIMAL_PLACES
from brokers.types import Bar

ZERO = Decimal(0)
_STEP = Decimal(1).scaleb(-DECIMAL_PLACES)

SHIFTS = ("transfer", "split", "reset")
"""Ledger entries that move a position without a fill, in the order they come before fills of the same moment;
a reset comes after them."""
_ORDER = {"transfer": 0, "split": 0, "fill": 1, "reset": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionStep:
    at: datetime
    place: int
    ref: str
    """The fill's or the entry's id."""
    kind: str
    """``fill`` or one of ``SHIFTS``."""
    quantity: Decimal
    """Signed."""
    price: Decimal
    fee: Decimal = ZERO

    @property
    def order(self) -> tuple[datetime, int, int]:
        return (self.at, _ORDER[self.kind], self.place)


@dataclass(frozen=True, slots=True)
class TripState:
    """Where a trip stood from a moment on."""

    at: datetime
    held: Decimal
    """Signed."""
    average: Decimal
    realized: Decimal
    price: Decimal | None
    """Of the fill that led there."""


@dataclass(slots=True, kw_only=True)
class Trip:
    first: str
    is_long: bool
    opened_at: datetime
    fresh_start: bool
    closed_at: datetime | None = None
    entered: Decimal = ZERO
    paid: Decimal = ZERO
    """Price times units of what was entered; times ``multiplier`` it is money."""
    left: Decimal = ZERO
    """Units that fills took out again."""
    got: Decimal = ZERO
    held: Decimal = ZERO
    cost: Decimal = ZERO
    """Of what is held, of its sign."""
    realized: Decimal = ZERO
    fees: Decimal = ZERO
    fills: int = 0
    ended_by: str = ""
    path: list[TripState] = field(default_factory=list)

    @property
    def entry_price(self) -> Decimal:
        return rounded(self.paid / self.entered)

    @property
    def exit_price(self) -> Decimal | None:
        return rounded(self.got / self.left) if self.left else None


def rounded(value: Decimal) -> Decimal:
    """To what a column keeps."""
    return value.quantize(_STEP, ROUND_HALF_EVEN)


class TripMatcher:
    """Follows the position of one symbol, step by step in their order, from flat or from where an earlier one stood."""

    def __init__(
        self, multiplier: Decimal = Decimal(1), *, now: Trip | None = None, last: datetime | None = None
    ) -> None:
        self._multiplier = multiplier
        self.now = now
        """The trip that is open."""
        self.last = last
        """When the last step was."""

    def take(self, step: PositionStep) -> tuple[Decimal, list[Trip]]:
        """What it realized before fees, and the trips it touched, each in its state after it.

        A split of what is not held, as any shift, changes nothing.
        """
        moved, fee, earned, crossed = step.quantity, step.fee, ZERO, self.now is not None
        touched = [self.now] if self.now is not None else []
        if self.now is not None and step.kind == "split":
            _split(self.now, moved)
        elif self.now is not None and step.kind == "reset":
            self.now.held = self.now.cost = ZERO
            self.now.ended_by = "reset"
        elif step.kind in ("fill", "transfer"):
            if self.now is not None and self.now.held * moved < 0:
                out = min(abs(moved), abs(self.now.held))
                share = rounded(fee * out / abs(moved)) if out < abs(moved) else fee
                earned = _take_out(self.now, out, step, self._multiplier)
                self.now.fees, fee = self.now.fees + share, fee - share
                moved += out if moved < 0 else -out
                self.now.fills += step.kind == "fill"
            self.now = _ended(self.now, step)
            if moved:
                if self.now is None:
                    fresh = not crossed and (self.last is None or self.last < step.at)
                    self.now = Trip(first=step.ref, is_long=moved > 0, opened_at=step.at, fresh_start=fresh)
                    touched.append(self.now)
                _put_in(self.now, moved, step.price)
                self.now.fees += fee
                self.now.fills += step.kind == "fill"
        self.now = _ended(self.now, step)
        if self.now is not None:
            _state_after(self.now, step)
        self.last = step.at
        return rounded(earned), touched


def match(steps: Iterable[PositionStep], multiplier: Decimal = Decimal(1)) -> tuple[list[Trip], dict[str, Decimal]]:
    """The trips of one symbol, oldest first, and what each fill realized before fees.

    ``steps`` begin where the position was flat.
    """
    made: list[Trip] = []
    realized: dict[str, Decimal] = {}
    matcher = TripMatcher(multiplier)
    for step in sorted(steps, key=lambda each: each.order):
        earned, touched = matcher.take(step)
        made += [trip for trip in touched if not made or trip is not made[-1]]
        if step.kind == "fill":
            realized[step.ref] = earned
    return made, realized


_EXACT = ("entered", "paid", "left", "got", "held", "cost", "realized", "fees")


def checkpoint_of(trip: Trip, through: datetime) -> dict[str, Any]:
    """An open trip after all that happened until ``through``, to the last digit, as JSON."""
    return {
        "through": through.isoformat(),
        "first": trip.first,
        "is_long": trip.is_long,
        "opened_at": trip.opened_at.isoformat(),
        "fresh_start": trip.fresh_start,
        "fills": trip.fills,
        **{name: str(getattr(trip, name)) for name in _EXACT},
    }


def resume(told: Mapping[str, Any]) -> tuple[Trip, datetime]:
    """A trip from its checkpoint, and the time it stands at. Its path begins there."""
    trip = Trip(
        first=told["first"],
        is_long=told["is_long"],
        opened_at=datetime.fromisoformat(told["opened_at"]),
        fresh_start=told["fresh_start"],
    )
    trip.fills = told["fills"]
    for name in _EXACT:
        setattr(trip, name, Decimal(told[name]))
    return trip, datetime.fromisoformat(told["through"])


def extremes(
    trip: Trip, bars: Sequence[tuple[datetime, Bar]], multiplier: Decimal = Decimal(1)
) -> tuple[Decimal, Decimal]:
    """The best and the worst a trip stood at, before fees: never below and never above zero.

    ``bars`` with the time each ends. Of them only those count within which nothing of the trip happened; what
    happened itself counts at its own price.
    """
    found = [ZERO]
    for stand in trip.path:
        found.append(stand.realized)
        if stand.price is not None:
            found.append(stand.realized + stand.held * (stand.price - stand.average) * multiplier)
    times = [stand.at for stand in trip.path]
    for end, bar in bars:
        after = bisect_right(times, bar.start)
        until = times[after] if after < len(times) else trip.closed_at
        if after and until is not None and end <= until:
            stand = trip.path[after - 1]
            found += [
                stand.realized + stand.held * (price - stand.average) * multiplier for price in (bar.high, bar.low)
            ]
    return rounded(max(found)), rounded(min(found))


def _put_in(trip: Trip, moved: Decimal, price: Decimal) -> None:
    trip.entered += abs(moved)
    trip.paid += abs(moved) * price
    trip.held += moved
    trip.cost += moved * price


def _take_out(trip: Trip, out: Decimal, step: PositionStep, multiplier: Decimal) -> Decimal:
    """``out`` units of what is held; what that earned. A transfer takes them at cost."""
    share = trip.cost * out / abs(trip.held)
    signed = out if trip.held > 0 else -out
    trip.held -= signed
    trip.cost = trip.cost - share if trip.held else ZERO
    if step.kind != "fill":
        return ZERO
    earned = (step.price * signed - share) * multiplier
    trip.left += out
    trip.got += out * step.price
    trip.realized += earned
    return earned


def _split(trip: Trip, added: Decimal) -> None:
    """As many more units at the same cost. Where none are left, they are gone without having earned anything."""
    if (trip.held + added) * trip.held <= 0:
        trip.held = trip.cost = ZERO
        return
    ratio = (trip.held + added) / trip.held
    trip.held += added
    trip.entered, trip.left = trip.entered * ratio, trip.left * ratio


def _ended(trip: Trip | None, step: PositionStep) -> Trip | None:
    if trip is None or trip.held:
        return trip
    trip.closed_at = step.at
    _state_after(trip, step)
    return None


def _state_after(trip: Trip, step: PositionStep) -> None:
    average = trip.cost / trip.held if trip.held else ZERO
    price = step.price if step.kind == "fill" else None
    trip.path.append(TripState(step.at, trip.held, average, trip.realized, price))
