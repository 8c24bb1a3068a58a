"""What a tool takes: each argument declared once, for the schema a model reads and for the check we make.

The check is ours, so that every refusal has a stable code, names the argument and says what would fit.
"""

import functools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any, ClassVar

from brokers.types import LONGEST_SYMBOL
from console import untrusted_text
from console.errors import Code, Refusal
from mcpserver.arguments import lenient

_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_MAX_TEXT = 200
_DIGITS = 15
"""That every JSON number keeps on its way (IEEE 754 double)."""


class InexactNumber(float):
    """A JSON number with more digits than it keeps: what was meant can no longer be told from it."""


def parse_number(text: str) -> float:
    """A JSON number that is no integer, as ``json`` parses it. What was lost is not forgotten."""
    value = float(text)
    try:
        is_exact = math.isfinite(value) and Decimal(text) == Decimal(repr(value))
    except InvalidOperation:  # an exponent beyond what Decimal has
        is_exact = False
    return value if is_exact else InexactNumber(value)


_SEND_TEXT = 'has more digits than a JSON number keeps; send it as text, such as "0.1".'


def _has_too_many_digits(text: str) -> bool:
    return len(Decimal(text).normalize().as_tuple().digits) > _DIGITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Arg:
    name: str
    required: bool = False
    about: str = ""
    in_schema: bool = True
    """One that stands in no schema is still parsed, so that who knows its name hears why it is refused."""
    is_structured: ClassVar[bool] = False
    """A list or an object, which is taken as its JSON text too."""

    def schema(self) -> dict[str, Any]:
        raise TypeError("Declare one of the kinds below.")

    def parse(self, value: Any) -> Any:
        raise TypeError("Declare one of the kinds below.")

    def words(self) -> str:
        """What fits, for a person who reads the documentation."""
        return "text"

    def _described(self, schema: dict[str, Any]) -> dict[str, Any]:
        return schema | {"description": self.about} if self.about else schema

    def _wrong(self, what: str) -> Refusal:
        return Refusal(Code.INVALID_ARGUMENT, f"{self.name} {what}", field=self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Arg):
    longest: int = _MAX_TEXT

    def schema(self) -> dict[str, Any]:
        return self._described({"type": "string"})

    def parse(self, value: Any) -> str:
        if isinstance(value, list):
            raise self._wrong("takes one value here, not a list. Call once for each.")
        if not isinstance(value, str) or not value.strip():
            raise self._wrong("must be non-empty text.")
        if len(value) > self.longest:
            raise self._wrong(f"can have at most {self.longest} characters.")
        if places := untrusted_text.find_hidden(value):
            raise self._wrong(f"has an invisible character: {untrusted_text.escape_character(value[places[0]])}.")
        return value.strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Symbols(Arg):
    """One symbol or several; models send either."""

    is_structured = True
    most: int = 20

    def schema(self) -> dict[str, Any]:
        return self._described({"type": "array", "items": {"type": "string"}, "maxItems": self.most})

    def words(self) -> str:
        return f"list of up to {self.most} symbols"

    def parse(self, value: Any) -> list[str]:
        items = value.split(",") if isinstance(value, str) else value
        if not isinstance(items, list) or not items:
            raise self._wrong('must be a list of symbols, such as ["AAPL", "BTC/USD"].')
        if len(items) > self.most:
            raise self._wrong(f"can have at most {self.most} symbols.")
        one = _symbol(self.name)
        return [one.parse(item) for item in items]


@functools.cache
def _symbol(name: str) -> Text:
    return Text(name=name, longest=LONGEST_SYMBOL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount(Arg):
    """An exact decimal, as text. A JSON number is taken where it says the same: floats past 15 digits do not."""

    def schema(self) -> dict[str, Any]:
        return self._described({"type": "string"})

    def words(self) -> str:
        return "decimal text"

    def parse(self, value: Any) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self._wrong('must be a decimal number as text, such as "0.1".')
        if isinstance(value, float):
            if not math.isfinite(value):
                raise self._wrong("must be a finite number.")
            text = repr(value)
            if isinstance(value, InexactNumber) or _has_too_many_digits(text):
                raise self._wrong(_SEND_TEXT)
        elif isinstance(value, int):
            # A longer one takes Python too long to write, and no program means it.
            text = str(value) if abs(value) < 10**30 else ""
            if text and _has_too_many_digits(text):
                raise self._wrong(_SEND_TEXT)
        else:
            text = value.strip()
        if len(text) > 60 or not _NUMBER.fullmatch(text):
            raise self._wrong('must be a plain decimal number, such as "0.1" or "250".')
        try:
            number = Decimal(text)
        except InvalidOperation as error:
            raise self._wrong("is not a decimal number.") from error
        if abs(number.adjusted()) > 40:
            raise self._wrong("is too large or too small to be an amount.")
        return number


@dataclass(frozen=True, slots=True, kw_only=True)
class Whole(Arg):
    least: int = 1
    most: int = 500

    def schema(self) -> dict[str, Any]:
        # Where it begins and ends costs every model's context more than the rare refusal, which names both.
        return self._described({"type": "integer"})

    def words(self) -> str:
        return f"whole number, {self.least} to {self.most}"

    def parse(self, value: Any) -> int:
        value = lenient.whole_number(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self._wrong("must be a whole number.")
        if not self.least <= value <= self.most:
            raise self._wrong(f"must be from {self.least} to {self.most}.")
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Arg):
    choices: tuple[str, ...]
    also: Mapping[str, str] | None = None
    """Other spellings taken at call time, not listed."""
    is_listed: bool = True
    """False where the choices are too many for every model's context; ``about`` then says what they are."""

    def schema(self) -> dict[str, Any]:
        return self._described({"type": "string"} | ({"enum": list(self.choices)} if self.is_listed else {}))

    def words(self) -> str:
        return f"one of {', '.join(self.choices)}"

    def parse(self, value: Any) -> str:
        if isinstance(value, str):
            for choice in self.choices:
                if value.strip().casefold() == choice.casefold():
                    return choice
            if self.also and (meant := self.also.get(value.strip().upper())):
                return meant
        raise self._wrong(f"must be one of {', '.join(self.choices)}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment(Arg):
    """A UTC date or an ISO 8601 time with its zone."""

    def schema(self) -> dict[str, Any]:
        return self._described({"type": "string"})

    def words(self) -> str:
        return "date, or time with UTC offset"

    def parse(self, value: Any) -> datetime:
        if isinstance(value, str) and len(value) <= 40:
            try:
                if len(value) == 10:
                    return datetime.combine(date.fromisoformat(value), time(), tzinfo=UTC)
                moment = datetime.fromisoformat(value)
            except ValueError:
                pass
            else:
                if moment.tzinfo is not None and 1970 < moment.year < 2200:
                    return moment.astimezone(UTC)
        raise self._wrong(
            "must be a date such as 2026-11-20, or a time with its UTC offset, such as 2026-11-20T14:30:00Z."
        )


def schema(args: tuple[Arg, ...]) -> dict[str, Any]:
    """The closed JSON schema of a tool's arguments."""
    made: dict[str, Any] = {
        "type": "object",
        "properties": {arg.name: arg.schema() for arg in args if arg.in_schema},
        "additionalProperties": False,
    }
    if required := [arg.name for arg in args if arg.required]:
        made["required"] = required
    return made


def parse(args: tuple[Arg, ...], given: Mapping[str, Any]) -> dict[str, Any]:
    """Every argument parsed; those left out (or null) are absent. Raises Refusal at the first that does not fit."""
    known = {arg.name: arg for arg in args}
    given = lenient.by_our_names(given, known)
    for name in given:
        if name not in known:
            raise _unknown(str(name), args)
    parsed = {name: _parsed(known[name], value) for name, value in given.items() if value is not None}
    for arg in args:
        if arg.required and arg.name not in parsed:
            raise Refusal(Code.MISSING_ARGUMENT, f"{arg.name} is required.", field=arg.name)
    return parsed


def _parsed(arg: Arg, value: Any) -> Any:
    is_text = arg.is_structured and isinstance(value, str)
    return arg.parse(lenient.from_json_text(value, parse_number) if is_text else value)


def _unknown(name: str, args: tuple[Arg, ...]) -> Refusal:
    listed = [arg.name for arg in args if arg.in_schema]
    meant = lenient.nearest(name, listed)
    return Refusal(
        Code.UNKNOWN_ARGUMENT,
        f"This tool takes no argument {name[:60]!r}. {f'Did you mean {meant}? ' if meant else ''}"
        f"It takes: {', '.join(listed) or 'none'}.",
        field=name[:60],
    )
