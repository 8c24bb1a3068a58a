"""What a sender's text asks for: named values out of JSON or of ``name=value`` pairs, and one order made of them.

Nothing in a text is evaluated. A template says under which names the values are, and which instruments and sides are
allowed; everything else of an order is fixed by the template.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self

from brokers.decimals import plain
from brokers.types import OrderType, Side
from console.errors import Code, Refusal
from console.orders.terms import Terms
from console.untrusted_text import escape_hidden, truncate

MOST_NAMES = 50
LONGEST_NAME = 60
"""Characters of a sender's name of an instrument, and of the name of a value."""
_NAME_OF_VALUE = re.compile(r"[A-Za-z0-9_-]{1,30}(\.[A-Za-z0-9_-]{1,30}){0,4}")
_PAIR = re.compile(r"([A-Za-z0-9_.-]{1,60})\s*[=:]\s*(\"[^\"\r\n]*\"|[^\s,;\"]+)")
_BETWEEN_PAIRS = re.compile(r"[\s,;]*")
_NUMBER = re.compile(r"\d{1,20}(\.\d{1,18})?")
_ID = re.compile(r"[!-~]{1,100}")
_LARGEST = Decimal(10) ** 15
_MILLISECONDS = 10**11
"""Seconds since 1970 reach this in the year 5138: a larger number counts milliseconds."""
SIDES = {"buy": Side.BUY, "sell": Side.SELL}


class TextForm(StrEnum):
    JSON = "json"
    PAIRS = "pairs"


CONTENT_TYPES = {
    TextForm.JSON: frozenset({"application/json", "text/plain"}),
    TextForm.PAIRS: frozenset({"text/plain"}),
}
"""TradingView sends JSON as application/json and any other text as text/plain; some senders call all of it text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """Under which names the values of one order are; "" where a value is not in the text."""

    form: TextForm = TextForm.JSON
    symbol: str = "symbol"
    side: str = "side"
    quantity: str = ""
    fixed_quantity: Decimal | None = None
    """In units. Either this or ``quantity``."""
    price: str = ""
    """The limit price; without it the order is a market order."""
    id: str = ""
    time: str = ""
    secret: str = ""
    instruments: Mapping[str, str] = field(default_factory=dict)
    """The sender's name of each instrument, in capitals, and its symbol at the broker."""
    sides: frozenset[Side] = frozenset(Side)

    @property
    def order_type(self) -> OrderType:
        return OrderType.LIMIT if self.price else OrderType.MARKET

    @property
    def sides_text(self) -> str:
        return " and ".join(side.value for side in Side if side in self.sides)

    @property
    def symbols(self) -> frozenset[str]:
        return frozenset(self.instruments.values())

    @property
    def optional_names(self) -> list[str]:
        """Of what else the text has besides symbol and side."""
        return [name for name in (self.secret, self.quantity, self.price, self.time, self.id) if name]

    def stored(self) -> dict[str, Any]:
        """For a JSON column."""
        return {
            **{name: getattr(self, name) for name in (*_NAMED, "secret")},
            "form": self.form.value,
            "fixed_quantity": None if self.fixed_quantity is None else plain(self.fixed_quantity),
            "instruments": dict(self.instruments),
            "sides": sorted(side.value for side in self.sides),
        }

    @classmethod
    def load(cls, kept: Mapping[str, Any]) -> Self:
        fixed = kept["fixed_quantity"]
        return cls(
            **{name: kept[name] for name in (*_NAMED, "secret")},
            form=TextForm(kept["form"]),
            fixed_quantity=None if fixed is None else Decimal(fixed),
            instruments=kept["instruments"],
            sides=frozenset(map(Side, kept["sides"])),
        )


_NAMED = ("symbol", "side", "quantity", "price", "id", "time")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """One text as its template reads it."""

    terms: Terms
    sender_id: str
    sent_at: datetime | None


def is_name(text: str) -> bool:
    """Whether a value can be found by it: names with a point between them lead into objects of JSON."""
    return _NAME_OF_VALUE.fullmatch(text) is not None


def instruments_of(text: str) -> dict[str, str]:
    """From what a person typed: a line for each, ``NASDAQ:AAPL = AAPL`` or one name alone. Raises ValueError."""
    found: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.splitlines())):
        theirs, _, ours = (part.strip() for part in line.partition("="))
        if not theirs or len(theirs) > LONGEST_NAME or len(ours) > LONGEST_NAME or ("=" in line and not ours):
            raise ValueError(f"Write one instrument per line, such as AAPL or NASDAQ:AAPL = AAPL, not {line[:60]}")
        if found.setdefault(theirs.upper(), (ours or theirs).upper()) != (ours or theirs).upper():
            raise ValueError(f"{theirs} stands for two instruments.")
    if len(found) > MOST_NAMES:
        raise ValueError(f"Give at most {MOST_NAMES} instruments.")
    return found


# -- a text --------------------------------------------------------------------------------------------------


def unreadable(message: str) -> Refusal:
    return Refusal(Code.SIGNAL_UNREADABLE, f"{message} Nothing was prepared.")


def values_of(form: TextForm, body: bytes) -> Mapping[str, Any]:
    """The named values of a text. Raises Refusal."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise unreadable("The text is not UTF-8.") from error
    if form is TextForm.PAIRS:
        return _once_each(_pairs(text))
    try:
        found = json.loads(
            text, parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=lambda pairs: _once_each(pairs)
        )
    except (ValueError, RecursionError) as error:
        raise unreadable("The text is not JSON.") from error
    if not isinstance(found, dict):
        raise unreadable("The text is no JSON object.")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _pairs(text: str) -> Iterable[tuple[str, str]]:
    place = _after_blank(text, 0)
    while place < len(text):
        found = _PAIR.match(text, place)
        if found is None:
            raise unreadable("The text is no list of name=value.")
        yield found[1], found[2].strip('"')
        place = _after_blank(text, found.end())


def _after_blank(text: str, place: int) -> int:
    found = _BETWEEN_PAIRS.match(text, place)
    return found.end() if found else place


def _once_each(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Two values under one name could be read either way, so neither is."""
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise unreadable("The text has two values under one name.")
        found[name] = value
    return found


def value_at(values: Mapping[str, Any], name: str) -> Any:
    """What is under a name, in objects within objects for one with points; None where there is nothing."""
    if name in values:
        return values[name]
    found: Any = values
    for part in name.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = found[part]
    return found


# -- the order -----------------------------------------------------------------------------------------------


def order_of(template: Template, values: Mapping[str, Any]) -> Mapped:
    """The one order that these values ask for. Raises Refusal."""
    return Mapped(
        terms=Terms(
            symbol=_symbol(template, values),
            side=_side(template, values),
            quantity=_number(values, template.quantity) if template.quantity else template.fixed_quantity,
            order_type=template.order_type,
            limit_price=_number(values, template.price) if template.price else None,
        ),
        sender_id=_sender_id(values, template.id) if template.id else "",
        sent_at=_moment(values, template.time) if template.time else None,
    )


def _given(values: Mapping[str, Any], name: str) -> Any:
    value = value_at(values, name)
    if value is None or value == "":
        there = ", ".join(_shown(each) for each in list(values)[:10]) or "nothing"
        raise unreadable(f"The text has no value {name}. It has: {there}.")
    return value


def _text(values: Mapping[str, Any], name: str) -> str:
    value = _given(values, name)
    if not isinstance(value, str):
        raise unreadable(f"The value {name} is no text.")
    return value.strip()


def _symbol(template: Template, values: Mapping[str, Any]) -> str:
    told = _text(values, template.symbol)
    symbol = template.instruments.get(told.upper())
    if symbol is None:
        raise Refusal(
            Code.OUTSIDE_LIMITS,
            f"This address takes no signals for {_shown(told)}. It takes: {', '.join(sorted(template.instruments))}. "
            "Nothing was prepared.",
        )
    return symbol


def _side(template: Template, values: Mapping[str, Any]) -> Side:
    told = _text(values, template.side)
    side = SIDES.get(told.lower())
    if side is None:
        raise unreadable(f"The value {template.side} is {_shown(told)}, which is neither buy nor sell.")
    if side not in template.sides:
        raise Refusal(
            Code.OUTSIDE_LIMITS, f"This address takes no signals to {side.value.lower()}. Nothing was prepared."
        )
    return side


def _number(values: Mapping[str, Any], name: str) -> Decimal:
    value = _given(values, name)
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = Decimal(value.strip())
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST:
        value = Decimal(value)
    if not isinstance(value, Decimal) or value.adjusted() > 15 or value.adjusted() < -18 or not 0 < value < _LARGEST:
        raise unreadable(f"The value {name} is no number above zero.")
    return value


def _sender_id(values: Mapping[str, Any], name: str) -> str:
    value = _given(values, name)
    told = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not _ID.fullmatch(told):
        raise unreadable(f"The value {name} is no id: up to 100 visible ASCII characters.")
    return told


def _moment(values: Mapping[str, Any], name: str) -> datetime:
    value = _given(values, name)
    told = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
    moment = moment_of(told)
    if moment is None:
        raise unreadable(
            f"The value {name} is no time: ISO 8601 with its zone, such as 2026-11-30T14:30:00Z, or seconds or "
            "milliseconds since 1970."
        )
    return moment


def moment_of(text: str) -> datetime | None:
    """A time as a sender writes it; None for what is none."""
    try:
        if text.isascii() and text.isdecimal() and len(text) <= 14:
            number = int(text)
            return datetime.fromtimestamp(number / 1000 if number >= _MILLISECONDS else number, UTC)
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo is not None else None
    except (ValueError, OverflowError, OSError):
        return None


def _shown(text: str) -> str:
    """A word of a sender's, in a sentence of ours."""
    return truncate(escape_hidden(text), LONGEST_NAME)
