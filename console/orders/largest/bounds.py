"""What bounds the size of an order, and the largest one that passes, in values and in words."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from brokers.decimals import grouped, money
from brokers.types import Instrument, OrderRequest, Preview, Side
from console.errors import Refusal
from console.limits import TITLES
from console.orders.checks.pipeline import CheckResult

LARGEST_STEPS = 10**15
"""Beyond it no order is taken anyway."""


class BoundKind(StrEnum):
    FUNDS = "funds"
    """Cash or buying power, by whichever the broker measures such an order."""
    MARGIN = "margin"
    POSITION = "position"
    """What can be sold: the holding without what other open orders reserve."""
    LIMIT = "limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeBound:
    """The largest order by one thing alone."""

    kind: BoundKind
    of: str
    """Whose it is: the account, the connection by its name or the app by its name."""
    size: Decimal
    """In units, or in money where ``MaxOrder.by_value``."""
    name: str = ""
    """Of a limit: its field."""
    has: Decimal | None = None
    """What there is of it: money that is available, units that can be sold, or the limit's value."""
    unit: str = ""
    reserved: Decimal | None = None
    """Of a position: what other open orders hold of it, not in ``has``."""
    sells: bool = True
    refusal: Refusal | None = None
    """What an order of one step more is answered with before it is sent; None: the broker refuses it when it is."""
    is_exact: bool = True
    """Whether one step more is known not to pass; else it is near that."""

    @property
    def bound(self) -> str:
        """Its kind, or the limit's field."""
        return self.name or self.kind.value

    @property
    def is_checked(self) -> bool:
        """Whether one step more is refused before it is sent."""
        return self.refusal is not None

    @property
    def title(self) -> str:
        match self.kind:
            case BoundKind.LIMIT:
                return f"the limit “{TITLES[self.name].lower()}” of {self.of}"
            case BoundKind.POSITION:
                return f"what {self.of} can sell" if self.sells else f"the short position of {self.of}"
            case BoundKind.MARGIN | BoundKind.FUNDS:
                return f"the {self.kind} available in {self.of}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxOrder:
    account_id: str
    request: OrderRequest
    """Its terms, in any size."""
    instrument: Instrument
    size: Decimal | None
    """In units, 0 where no size passes; None where nothing that is known here bounds it."""
    by_value: bool
    """``size`` is an amount of money: its broker takes such an order by ``notional`` alone."""
    step: Decimal
    """What ``size`` is a multiple of."""
    preview: Preview | None
    """The broker's estimate of an order of that size; None where there is none."""
    bound: SizeBound | None
    """The one that binds."""
    bounds: tuple[SizeBound, ...]
    is_exact: bool
    """Whether one step more is known not to pass; else it is near that."""
    refused: tuple[CheckResult, ...]
    """Checks that refuse an order of any size now, such as a halt."""
    unknown: str
    """What may bind, too, and is not known here, in words; empty where all of it is."""

    @property
    def summary(self) -> str:
        """In a sentence or two, for a person."""
        return _summary(self)


def _summary(found: MaxOrder) -> str:
    symbol, currency = found.instrument.symbol, found.instrument.currency
    does = "Buy" if found.request.side is Side.BUY else "Sell"
    if found.size == 0 and found.refused:
        return f"No order to {does.lower()} {symbol} passes now: {found.refused[0].refusal}"
    if found.size is None:
        text = f"Nothing that is known here bounds an order to {does.lower()} {symbol}."
    elif not found.size:
        text = f"No order to {does.lower()} {symbol} passes now: even the smallest is more than {_by(found)}."
    else:
        size = f"{money(found.size)} {currency} of" if found.by_value else grouped(found.size)
        text = f"{does} at most {size} {symbol}"
        if found.preview is not None:
            worth = "" if found.by_value else f", {money(round(found.preview.notional, 2))} {currency}"
            fee = f"a fee of {money(round(found.preview.fee, 2))} {currency}"
            text += f"{worth} and {fee}" if worth else f", and {fee}"
        text += f". More is over {_by(found)}."
    if found.unknown:
        text += f" {found.unknown}"
    if found.refused:
        text += f" An order of any size would be refused now: {found.refused[0].refusal}"
    return text


def _by(found: MaxOrder) -> str:
    return "its limits" if found.bound is None else found.bound.title
