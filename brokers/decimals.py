"""Exact decimals: text in, text out, and a database column that keeps every digit."""

import decimal
from collections.abc import Iterable
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, NoReturn

from django.db import models

MAX_DIGITS = 38
DECIMAL_PLACES = 18

# The default of 28 digits would round quantity x price silently. New threads copy DefaultContext.
decimal.DefaultContext.prec = 2 * MAX_DIGITS
decimal.setcontext(decimal.DefaultContext.copy())


def refuse_constant(name: str) -> NoReturn:
    """For ``json``'s ``parse_constant``: NaN and Infinity are no JSON (RFC 8259, section 6). Raises ValueError."""
    raise ValueError(f"{name} is not JSON.")


def plain(value: Decimal) -> str:
    """Shortest plain notation: ``Decimal("1E+2")`` → ``"100"``, ``Decimal("0.10")`` → ``"0.1"``."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def grouped(value: Decimal) -> str:
    """Thousands apart and not a digit lost: ``Decimal("12430.50")`` → ``"12,430.5"``."""
    text = format(value, ",f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def money(value: Decimal) -> str:
    """The same with at least two decimals: ``Decimal("5411.5")`` → ``"5,411.50"``."""
    whole, _, decimals = grouped(value).partition(".")
    return f"{whole}.{decimals.ljust(2, '0')}"


_DECIMALS = {
    **dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
"""Where ISO 4217 has other than two."""
_COINS = frozenset(
    {"AAVE", "ADA", "ATOM", "AVAX", "BCH", "BNB", "BTC", "DOGE", "DOT", "ETC", "ETH", "LINK", "LTC", "MATIC", "NEAR"}
    | {"POL", "SHIB", "SOL", "SUI", "TON", "TRX", "UNI", "XBT", "XDG", "XLM", "XMR", "XRP"}
)
"""Currencies that are divided further than anybody counts: shown with up to eight decimals."""


def amount(value: Decimal, currency: str) -> str:
    """An amount of money as a person reads it: ``12430.5``, ``USD`` → ``"12,430.50 USD"``; yen have no decimals.

    Coins keep up to eight decimals. What would round to nothing keeps two digits: ``0.002 USD``, not ``0.00 USD``.
    """
    return f"{rounded(value, currency)} {currency}".rstrip()


def rounded(value: Decimal, currency: str) -> str:
    """The same without its currency."""
    decimals = 8 if currency in _COINS else _DECIMALS.get(currency, 2)
    if value and abs(value) < Decimal(5).scaleb(-decimals - 1):
        value = value.quantize(Decimal(1).scaleb(value.adjusted() - 1))
        return grouped(value)
    text = f"{value:,.{decimals}f}"
    if decimals == 8:
        whole, _, rest = text.partition(".")
        text = f"{whole}.{rest.rstrip('0').ljust(2, '0')}"
    return text.removeprefix("-") if not value else text


_HUNDREDTH = Decimal("0.01")


def to_cents(value: Decimal) -> Decimal:
    """For sums that rest on an average."""
    return value.quantize(_HUNDREDTH, ROUND_HALF_EVEN)


def percent_of(part: Decimal, whole: Decimal) -> Decimal | None:
    """To two decimals; None where there is nothing to compare with."""
    return (part / whole * 100).quantize(_HUNDREDTH, ROUND_HALF_EVEN) if whole > 0 else None


def is_multiple(value: Decimal, step: Decimal) -> bool:
    return value % step == 0


def nearest_steps(value: Decimal, step: Decimal) -> str:
    """What lies on a step beside ``value``, as the end of a refusal: ``The nearest are 181.5 and 181.51.``"""
    below = value // step * step
    if below <= 0:
        return f"The nearest is {plain(step)}."
    return f"The nearest are {plain(below)} and {plain(below + step)}."


if TYPE_CHECKING:
    _Field = models.Field[Any, Any]
else:  # generic for the type checker only
    _Field = models.Field


class ExactDecimalField(_Field):
    """numeric(38, 18) on PostgreSQL; text on SQLite, whose own decimals are floats past 15 digits.

    The text does not sort as a number, so no query may order by or compare on it.
    """

    def db_type(self, connection: Any) -> str:
        return f"numeric({MAX_DIGITS}, {DECIMAL_PLACES})" if connection.vendor == "postgresql" else "text"

    def get_internal_type(self) -> str:
        return "ExactDecimalField"

    def from_db_value(self, value: Any, expression: Any, connection: Any) -> Decimal | None:
        return None if value is None else self.to_python(value)

    def to_python(self, value: Any) -> Decimal | None:
        if value is None or value == "":
            return None
        if isinstance(value, float):
            raise TypeError("A float cannot be an exact decimal.")
        try:
            return Decimal(plain(Decimal(value)))
        except InvalidOperation as error:
            raise ValueError(f"{value!r} is not a decimal number.") from error

    def get_prep_value(self, value: Any) -> Any:
        number = self.to_python(super().get_prep_value(value))
        return None if number is None else plain(number)

    def value_to_string(self, obj: models.Model) -> str:
        value = self.value_from_object(obj)
        return "" if value is None else plain(value)


def closest(values: Iterable[Decimal], to: Decimal, count: int) -> list[Decimal]:
    """The ``count`` of them that lie nearest, each once, lowest first."""
    return sorted(sorted(set(values), key=lambda each: (abs(each - to), each))[: max(count, 0)])
