"""Limits: how far a connection or an app may go. A frozen value with an order of tightness; no database.

Amounts are in the connection's currency, shares and the collar in percent. ``None`` is no limit. The loosest value
of every field is its default, so ``Limits()`` limits nothing.
"""

import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from typing import Any

from brokers import instrument_id, underlyings
from brokers.decimals import DECIMAL_PLACES, plain
from brokers.instrument_id import InstrumentId, InstrumentKind
from brokers.types import AssetClass, Instrument, OrderType
from console.errors import Code, Refusal

MOST_SYMBOLS = 200
MOST_PER_MINUTE = 1000
_LARGEST = Decimal(10) ** 15
_SYMBOL = re.compile(r"[A-Z0-9][A-Z0-9./:_@-]{0,39}")

AMOUNTS = ("order_notional", "daily_notional", "position_value", "daily_loss")
PERCENTS = ("equity_share", "price_collar")
NUMBERS = (*AMOUNTS, *PERCENTS)
LISTS = ("symbols", "denied_symbols", "asset_classes", "order_types")
LIVE_NEEDS = ("order_notional", "daily_notional")
"""What a live connection is never without."""

TITLES: dict[str, str] = {
    "order_notional": "Value of one order",
    "daily_notional": "Value of all orders in a day",
    "position_value": "Value of one position",
    "equity_share": "Position as share of equity",
    "daily_loss": "Loss in a day",
    "price_collar": "Price collar",
    "orders_per_minute": "Orders in a minute",
    "symbols": "Only these symbols",
    "denied_symbols": "Never these symbols",
    "asset_classes": "Only these kinds of instrument",
    "order_types": "Only these order types",
    "trading_hours_only": "Only while the market is open",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    order_notional: Decimal | None = None
    daily_notional: Decimal | None = None
    """Over all orders released since midnight UTC."""
    position_value: Decimal | None = None
    equity_share: Decimal | None = None
    daily_loss: Decimal | None = None
    """Equity now against equity when the UTC day began."""
    price_collar: Decimal | None = None
    orders_per_minute: int | None = None
    symbols: frozenset[str] | None = None
    """Symbols as the broker has them, tickers and instrument_ids; see ``allows``."""
    denied_symbols: frozenset[str] = frozenset()
    """The same; see ``denies``."""
    asset_classes: frozenset[AssetClass] | None = None
    order_types: frozenset[OrderType] | None = None
    trading_hours_only: bool = False

    @property
    def limits_nothing(self) -> bool:
        return self == NONE

    def allows(self, symbol: str, known: InstrumentId | None) -> bool:
        """Whether ``symbols`` names this instrument beyond doubt: by its broker's symbol, its instrument_id, the
        ticker of a share or the two sides of a pair. ``known`` is None where the broker tells too little."""
        if self.symbols is None or symbol.upper() in self.symbols:
            return True
        if known is None:
            return False
        plain_names = {known.name} if known.is_share else {known.pair} if known.kind in _PAIRS else set()
        return not plain_names.isdisjoint(self.symbols) or any(each.covers(known) for each in _ids(self.symbols))

    def denies(
        self, symbol: str, known: InstrumentId | None, *, asset_class: AssetClass, told: tuple[str, ...] = ()
    ) -> bool | None:
        """Whether ``denied_symbols`` may name this instrument: a plain name also stands for what is built on it, such
        as the options of a ticker and the contracts on a coin, however it is punctuated, and for every pair that has
        it on either side, as an order brings one side in for the other; an instrument_id for one instrument alone. None
        where that cannot be told. ``told``: as ``names_of`` gives them."""
        if not self.denied_symbols:
            return False
        own = symbol.upper()
        names = {own, own.partition("@")[0]}
        roots = {each.upper() for each in told if each}
        has_sides = asset_class in _TWO_SIDED or (known is not None and bool(known.settle))
        if known is not None:
            names.add(known.pair)
            roots |= {known.name, known.currency, known.settle} if has_sides else {known.name}
        elif has_sides:
            roots |= set(re.split(r"[/:-]", own))
        # After a split or a merger an option's root has a digit: AAPL1.
        names |= {*roots, *(root.rstrip("0123456789") or root for root in roots)}
        for root in roots:
            names |= underlyings.underlyings_of_coin(root) if has_sides else underlyings.underlyings_of_root(root)
        plain_ones = [each for each in self.denied_symbols if not instrument_id.is_instrument_id(each)]
        listed = {alphanumerics(word) for each in plain_ones for word in (each, underlyings.usual_pair(each))}
        if not listed.isdisjoint(alphanumerics(name) for name in names if name):
            return True
        ids = _ids(self.denied_symbols)
        if known is None:
            return None if ids or asset_class in _BUILT_ON_ANOTHER else False
        return any(each.agrees(known) for each in ids)

    def stored(self) -> dict[str, Any]:
        """For a JSON column: what limits something, decimals as text, sets in order."""
        made: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if value == each.default:
                continue
            if isinstance(value, Decimal):
                value = plain(value)
            elif isinstance(value, frozenset):
                value = sorted(str(item) for item in value)
            made[each.name] = value
        return made

    def as_text(self) -> dict[str, Any]:
        """For the journal, whose lists are short: many symbols on few lines."""
        return {
            name: textwrap.wrap(", ".join(value), 180) if isinstance(value, list) else value
            for name, value in self.stored().items()
        }


_PAIRS = (InstrumentKind.CRYPTO, InstrumentKind.FOREX)
_TWO_SIDED = (AssetClass.CRYPTO, AssetClass.FOREX, AssetClass.PERPETUAL)
"""Each is one thing against another, and both come into or leave the account."""
_BUILT_ON_ANOTHER = (AssetClass.OPTION, AssetClass.FUTURE, AssetClass.PERPETUAL)
"""Their brokers' symbols need not say what they are built on."""


def _ids(names: frozenset[str]) -> list[InstrumentId]:
    return [instrument_id.parse(name) for name in names if instrument_id.is_instrument_id(name)]


def names_of(instrument: Instrument) -> tuple[str, ...]:
    """What an instrument is called beside its symbol, what it is built on, and both sides of a pair."""
    sides = (instrument.currency, instrument.settle)
    has_sides = instrument.asset_class in _TWO_SIDED or bool(instrument.settle)
    return (instrument.ticker, instrument.base, *(sides if has_sides else ()))


def alphanumerics(symbol: str) -> str:
    """Its letters and digits alone, so that punctuation makes no difference."""
    return "".join(character for character in symbol.upper() if character.isalnum())


NONE = Limits()


def combine(one: Limits, other: Limits) -> Limits:
    """What both allow: the tightest of two, field by field."""
    return Limits(
        **{name: _least(getattr(one, name), getattr(other, name)) for name in (*NUMBERS, "orders_per_minute")},
        **{
            name: _both(getattr(one, name), getattr(other, name))
            for name in ("symbols", "asset_classes", "order_types")
        },
        denied_symbols=one.denied_symbols | other.denied_symbols,
        trading_hours_only=one.trading_hours_only or other.trading_hours_only,
    )


def is_tighter_or_equal(new: Limits, old: Limits) -> bool:
    """Whether ``new`` allows nothing that ``old`` did not: such a change needs no further proof of who asks."""
    return combine(new, old) == new


def _least(one: Any, other: Any) -> Any:
    return other if one is None else one if other is None else min(one, other)


def _both(one: Any, other: Any) -> Any:
    return other if one is None else one if other is None else one & other


def parse(given: Mapping[str, Any]) -> Limits:
    """Limits from the form that ``stored`` gives. Raises Refusal, naming the field; an unknown name is refused."""
    made: dict[str, Any] = {}
    for name, value in given.items():
        if name not in TITLES:
            raise Refusal(
                Code.UNKNOWN_ARGUMENT,
                f"There is no limit {name[:60]!r}. There are: {', '.join(TITLES)}.",
                field=name[:60],
            )
        if value is not None:
            made[name] = _parsed(name, value)
    return Limits(**made)


def _parsed(name: str, value: Any) -> Any:
    if name in NUMBERS:
        return _number(name, value)
    if name == "orders_per_minute":
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MOST_PER_MINUTE:
            raise _wrong(name, f"must be a whole number from 1 to {MOST_PER_MINUTE}.")
        return value
    if name == "trading_hours_only":
        if not isinstance(value, bool):
            raise _wrong(name, "must be true or false.")
        return value
    if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
        raise _wrong(name, "must be a list of text.")
    if name == "asset_classes":
        return _members(name, AssetClass, value)
    if name == "order_types":
        return _members(name, OrderType, value)
    return _symbols(name, value)


def _number(name: str, value: Any) -> Decimal:
    try:
        number = Decimal(value) if isinstance(value, str | Decimal) else None
    except InvalidOperation:
        number = None
    if number is None or not number.is_finite():
        raise _wrong(name, 'must be a decimal number as text, such as "1000".')
    if not 0 < number < _LARGEST:
        raise _wrong(name, "must be greater than zero, with at most 15 digits. To stop all orders, halt instead.")
    exponent = number.normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > DECIMAL_PLACES:
        raise _wrong(name, f"has more than {DECIMAL_PLACES} decimals.")
    return Decimal(plain(number))


def _members(name: str, kind: Any, value: Any) -> frozenset[Any]:
    known = {each.value: each for each in kind}
    if not value or any(item not in known for item in value):
        raise _wrong(name, f"must name at least one of {', '.join(known)}, and nothing else.")
    return frozenset(known[item] for item in value)


def _symbols(name: str, value: Any) -> frozenset[str]:
    symbols = frozenset(_symbol(name, item) for item in value)
    if len(symbols) > MOST_SYMBOLS:
        raise _wrong(name, f"may name at most {MOST_SYMBOLS} symbols.")
    if name == "symbols" and not symbols:
        raise _wrong(name, "must name at least one symbol. To stop all orders, halt instead.")
    return symbols


def _symbol(name: str, item: str) -> str:
    """In one spelling, so that equal ones are equal."""
    if instrument_id.is_instrument_id(item):
        try:
            return str(instrument_id.parse(item))
        except ValueError as error:
            raise _wrong(name, f"has {item.strip()[:64]!r}, which is not an instrument_id.") from error
    symbol = item.strip().upper()
    if not _SYMBOL.fullmatch(symbol):
        raise _wrong(name, f"has {symbol[:40]!r}, which is not a symbol.")
    return symbol


def _wrong(name: str, what: str) -> Refusal:
    return Refusal(Code.INVALID_ARGUMENT, f"{name} {what}", field=name)
