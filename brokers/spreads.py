"""A spread of options as one instrument: its symbol says its legs, so that whatever has a symbol can stand for it.

``AAPL+261218C250-C260`` is one call bought and one sold. Buying it buys what has a plus and sells what has a minus;
selling it does the opposite. A price is that of one spread bought, and never negative: who buys pays it (a net debit),
who sells receives it (a net credit).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal, InvalidOperation
from math import gcd

LONGEST = 64
"""Characters of a symbol; longer ones are refused."""
MOST_RATIO, MOST_LEGS = 99, 4
_SPREAD = re.compile(
    r"([A-Z0-9.]{1,6})((?:[+-](?:[0-9]{1,2}\*)?(?:[0-9]{6})?[CP][0-9]{1,5}(?:\.[0-9]{1,3})?){2,"
    rf"{MOST_LEGS}}})"
)
_LEG = re.compile(r"([+-])(?:([0-9]{1,2})\*)?([0-9]{6})?([CP])([0-9.]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadLeg:
    sign: int
    """1: bought with the spread; -1: sold."""
    ratio: int
    """Contracts for one spread."""
    root: str
    expiry: date
    right: str
    """``C`` or ``P``."""
    strike: Decimal

    @property
    def symbol(self) -> str:
        """Of the option alone (OCC, Options Symbology Initiative)."""
        return f"{self.root}{self.expiry:%y%m%d}{self.right}{int(self.strike * 1000):08d}"

    def is_called(self, symbol: str) -> bool:
        """Whether a broker's name means this option: some write a number of their own behind its symbol, after an @."""
        return symbol.partition("@")[0].upper() == self.symbol

    def value_at(self, price: Decimal) -> Decimal:
        """Of one, if it is exercised with the underlying at ``price``."""
        gain = price - self.strike if self.right == "C" else self.strike - price
        return max(gain, Decimal(0))

    @property
    def words(self) -> str:
        """``AAPL 2026-12-18 250 call``."""
        strike = format(self.strike.normalize(), "f")
        return f"{self.root} {self.expiry} {strike} {'call' if self.right == 'C' else 'put'}"


@dataclass(frozen=True, slots=True)
class Spread:
    legs: tuple[SpreadLeg, ...]
    """By expiry, right and strike."""

    @property
    def root(self) -> str:
        return self.legs[0].root

    @property
    def symbol(self) -> str:
        text, day = self.root, None
        for leg in self.legs:
            ratio = "" if leg.ratio == 1 else f"{leg.ratio}*"
            expiry = "" if leg.expiry == day else f"{leg.expiry:%y%m%d}"
            text += f"{'+' if leg.sign > 0 else '-'}{ratio}{expiry}{leg.right}{format(leg.strike.normalize(), 'f')}"
            day = leg.expiry
        return text

    def trades(self, *, buys: bool) -> list[str]:
        """What becomes of each leg: ``buy 1 AAPL 2026-12-18 250 call``."""
        traded = self if buys else self.turned
        return [f"{'buy' if leg.sign > 0 else 'sell'} {leg.ratio} {leg.words}" for leg in traded.legs]

    @property
    def turned(self) -> "Spread":
        """What selling it buys."""
        return Spread(tuple(replace(leg, sign=-leg.sign) for leg in self.legs))

    def owed(self, *, buys: bool) -> Decimal | None:
        """What who buys one, or sells one, can come to owe, before its price is counted; see ``most_owed``."""
        return self.most_owed if buys else self.turned.most_owed

    def lost(self, price: Decimal, *, buys: bool) -> Decimal | None:
        """The most that one can lose that was opened at ``price``, for one unit of the underlying; None: unbounded."""
        owed = self.owed(buys=buys)
        if owed is None:
            return None
        return price + owed if buys else max(owed - price, Decimal(0))

    @property
    def most_owed(self) -> Decimal | None:
        """What who bought one can come to owe beside the price that was paid, for one unit of the underlying. None:
        nothing bounds it.

        The legs are worth no less than their exercise as long as none that was bought ends before one that was sold.
        """
        bought = [leg.expiry for leg in self.legs if leg.sign > 0]
        sold = [leg.expiry for leg in self.legs if leg.sign < 0]
        if sold and (not bought or min(bought) < max(sold)):
            return None
        if sum(leg.sign * leg.ratio for leg in self.legs if leg.right == "C") < 0:
            return None  # it loses with every step up
        turns = [Decimal(0), *(leg.strike for leg in self.legs)]
        least = min(sum((leg.sign * leg.ratio * leg.value_at(at) for leg in self.legs), Decimal(0)) for at in turns)
        return max(-least, Decimal(0))


def make(legs: Sequence[SpreadLeg]) -> Spread:
    """Raises ValueError for what is not one spread."""
    if not 2 <= len(legs) <= MOST_LEGS:
        raise ValueError(f"A spread has 2 to {MOST_LEGS} legs.")
    if len({leg.root for leg in legs}) > 1:
        raise ValueError("All legs must be options on the same underlying.")
    if len({leg.symbol for leg in legs}) < len(legs):
        raise ValueError("Each option may be in one leg only; give it a ratio.")
    if not all(1 <= leg.ratio <= MOST_RATIO for leg in legs):
        raise ValueError(f"A ratio is a whole number from 1 to {MOST_RATIO}.")
    if gcd(*(leg.ratio for leg in legs)) > 1:
        raise ValueError("The ratios must be in lowest terms: give 1 and 2, not 2 and 4, and a larger quantity.")
    made = Spread(tuple(sorted(legs, key=lambda leg: (leg.expiry, leg.right, leg.strike))))
    if len(made.symbol) > LONGEST:
        raise ValueError(f"The legs take more than {LONGEST} characters to write; use fewer of them.")
    return made


def is_part(symbol: str, name: str) -> bool:
    """Whether what is traded as ``name`` is ``symbol``, or a spread that has it as a leg."""
    if symbol == name:
        return True
    spread = parse(name)
    return spread is not None and any(leg.is_called(symbol) for leg in spread.legs)


def parse(symbol: str) -> Spread | None:
    """The spread that ``symbol`` names, however its legs are ordered; None for any other symbol."""
    if len(symbol) > LONGEST or (told := _SPREAD.fullmatch(symbol.strip().upper())) is None:
        return None
    legs: list[SpreadLeg] = []
    day: date | None = None
    try:
        for sign, ratio, expiry, right, strike in _LEG.findall(told[2]):
            if expiry:
                day = date(2000 + int(expiry[:2]), int(expiry[2:4]), int(expiry[4:]))
            if day is None:
                return None
            legs.append(
                SpreadLeg(
                    sign=1 if sign == "+" else -1,
                    ratio=int(ratio or 1),
                    root=told[1],
                    expiry=day,
                    right=right,
                    strike=Decimal(strike),
                )
            )
        return make(legs)
    except (ValueError, InvalidOperation):
        return None
