"""From what a caller wrote to the one instrument meant: an adapter's first step of every look-up. Guesses nothing."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from brokers import instrument_id
from brokers.errors import AmbiguousSymbol, InvalidSymbol
from brokers.instrument_id import InstrumentId, InstrumentKind
from brokers.types import Instrument, candidate

MOST_CANDIDATES = 8
_OCC = re.compile(r"([A-Z0-9.]{1,6}) *([0-9]{6})([CP])([0-9]{8})")


def parse_instrument_id(symbol: str) -> InstrumentId | None:
    """None for a symbol of the broker's own. Raises InvalidSymbol for an instrument_id that cannot be read."""
    if not instrument_id.is_instrument_id(symbol):
        return None
    try:
        return instrument_id.parse(symbol)
    except ValueError as error:
        raise InvalidSymbol(
            f"{symbol.strip()[: instrument_id.LONGEST]!r} is not an instrument_id. Copy it from search_security, for "
            "example"
            " STK:AAPL.USD@XNAS, CRY:BTC/USDT or OPT:AAPL.USD:2026-12-18:C:250."
        ) from error


def check_match(wanted: InstrumentId | None, found: Instrument) -> Instrument:
    """``found``, if it may be what was asked for by its instrument_id. Raises InvalidSymbol."""
    if wanted is None or (found.identity is not None and wanted.agrees(found.identity)):
        return found
    raise InvalidSymbol(f"There is no {wanted} here: {found.symbol} is {found.instrument_id or 'another instrument'}.")


def single_match(wanted: str, found: Sequence[Instrument], where: str) -> Instrument:
    """The one that was found. Raises InvalidSymbol when there is none, AmbiguousSymbol when there are several."""
    if not found:
        raise InvalidSymbol(f"{where} has no instrument {wanted[: instrument_id.LONGEST]!r}.")
    if len(found) == 1:
        return found[0]
    raise ambiguous(wanted, found, where)


def ambiguous(wanted: str, found: Sequence[Instrument], where: str) -> AmbiguousSymbol:
    shown = found[:MOST_CANDIDATES]
    choices = ", ".join(f"{each.symbol} ({each.name}, {each.exchange})" for each in shown)
    more = f" and {len(found) - len(shown)} more" if len(found) > len(shown) else ""
    return AmbiguousSymbol(
        f"{wanted[: instrument_id.LONGEST]!r} matches several instruments of {where}. Use one of: {choices}{more}.",
        tuple(candidate(each) for each in shown),
    )


@dataclass(frozen=True, slots=True)
class OptionSymbol:
    root: str
    expiry: str
    right: str
    strike: Decimal


def parse_occ(occ: str) -> OptionSymbol | None:
    """What an option's symbol says (OCC, Options Symbology Initiative): root, yymmdd, C or P, strike in thousandths."""
    told = _OCC.fullmatch(occ.strip().upper())
    if told is None:
        return None
    root, day, right, strike = told.groups()
    try:
        expiry = date(2000 + int(day[:2]), int(day[2:4]), int(day[4:])).isoformat()
    except ValueError:
        return None
    return OptionSymbol(root, expiry, right, Decimal(strike) / 1000)


def occ_symbol(wanted: InstrumentId) -> str:
    """The symbol of an option, without blanks."""
    assert wanted.kind is InstrumentKind.OPTION and wanted.strike is not None
    return f"{wanted.name}{wanted.expiry[2:].replace('-', '')}{wanted.right}{int(wanted.strike * 1000):08d}"
