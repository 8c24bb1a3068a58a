"""One name per instrument, the same at every broker: ``STK:AAPL.USD@XNAS``. Text in, text out; asks nobody.

=======================================  =============================================================
``STK:AAPL.USD@XNAS``, ``ETF:SPY.USD``   a share or a fund, its currency, and where it is listed
``OPT:AAPL.USD:2026-12-18:C:250``        root, currency, last day, call or put, strike
``FUT:ES.USD:2026-09@XCME``              root, currency, month of delivery
``FUT:BTC/USDT:USDT:2026-12-25@okx``     of coins: what it pays out in, and the last day
``CRY:BTC/USDT@kraken``                  coins that are held
``PERP:BTC/USDT:USDT@okx``               a perpetual contract, and what it pays out in
``FX:EUR/USD``                           two currencies
=======================================  =============================================================

The venue is a market identifier code (ISO 10383), for coins the exchange's own name; it is left out where the broker
does not tell it. Case does not matter in what is read. A class of shares is written with a dot: ``BRK.B``.
"""

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from brokers.decimals import plain

LONGEST = 64
"""Characters of the longest name."""


class InstrumentKind(StrEnum):
    STOCK = "STK"
    ETF = "ETF"
    OPTION = "OPT"
    FUTURE = "FUT"
    CRYPTO = "CRY"
    PERPETUAL = "PERP"
    FOREX = "FX"


_SHARES = frozenset({InstrumentKind.STOCK, InstrumentKind.ETF})

_SHARE = r"(?P<name>[A-Z0-9][A-Z0-9.-]{0,14})\.(?P<currency>[A-Z]{3})"
_PAIR = r"(?P<name>[A-Z0-9][A-Z0-9._-]{0,14})/(?P<currency>[A-Z0-9][A-Z0-9._-]{0,9})"
_DAY = r"(?P<expiry>[0-9]{4}-[0-9]{2}-[0-9]{2})"
_SETTLE = r"(?P<settle>[A-Z0-9][A-Z0-9._-]{0,9})"
_VENUE = r"(@(?P<venue>[A-Z0-9]{2,14}))?"
_FORMS = {
    InstrumentKind.STOCK: (_SHARE,),
    InstrumentKind.ETF: (_SHARE,),
    InstrumentKind.OPTION: (rf"{_SHARE}:{_DAY}:(?P<right>[CP]):(?P<strike>[0-9]{{1,8}}(\.[0-9]{{1,4}})?)",),
    InstrumentKind.FUTURE: (rf"{_SHARE}:(?P<expiry>[0-9]{{4}}-[0-9]{{2}})", rf"{_PAIR}:{_SETTLE}:{_DAY}"),
    InstrumentKind.CRYPTO: (_PAIR,),
    InstrumentKind.PERPETUAL: (rf"{_PAIR}:{_SETTLE}",),
    InstrumentKind.FOREX: (r"(?P<name>[A-Z]{3})/(?P<currency>[A-Z]{3})",),
}
_READ = {kind: tuple(re.compile(form + _VENUE) for form in forms) for kind, forms in _FORMS.items()}

# Brokers' own words for exchanges, and the code of each (ISO 10383). A word that is not here says nothing.
_VENUES = {
    "AEB": "XAMS",
    "AMEX": "XASE",
    "ARCA": "ARCX",
    "ASX": "XASX",
    "BATS": "BATS",
    "CBOT": "XCBT",
    "CFE": "XCBF",
    "CME": "XCME",
    "COMEX": "XCEC",
    "EBS": "XSWX",
    "EUREX": "XEUR",
    "GLOBEX": "XCME",
    "IBIS": "XETR",
    "IEX": "IEXG",
    "LSE": "XLON",
    "MEXI": "XMEX",
    "NASDAQ": "XNAS",
    "NYBOT": "IFUS",
    "NYMEX": "XNYM",
    "NYSE": "XNYS",
    "SBF": "XPAR",
    "SEHK": "XHKG",
    "TSE": "XTSE",
    "TSEJ": "XTKS",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentId:
    """Which instrument is meant. ``str()`` is its name."""

    kind: InstrumentKind
    name: str
    """Ticker, root of an option or a future, or what is bought of a pair."""
    currency: str
    """What it is priced in."""
    settle: str = ""
    """What a contract on a coin pays out in."""
    expiry: str = ""
    """``2026-12-18``, or a month of delivery, ``2026-09``."""
    right: str = ""
    """``C`` or ``P``."""
    strike: Decimal | None = None
    venue: str = ""

    def __str__(self) -> str:
        pair = "." if self.kind in _SHARES or self.kind is InstrumentKind.OPTION or self._is_listed_future else "/"
        parts = [f"{self.kind}:{self.name}{pair}{self.currency}", self.settle, self.expiry, self.right]
        if self.strike is not None:
            parts.append(plain(self.strike))
        return ":".join(part for part in parts if part) + (f"@{self.venue}" if self.venue else "")

    @property
    def _is_listed_future(self) -> bool:
        return self.kind is InstrumentKind.FUTURE and not self.settle

    @property
    def is_share(self) -> bool:
        return self.kind in _SHARES

    @property
    def pair(self) -> str:
        """``BTC/USDT``"""
        return f"{self.name}/{self.currency}"

    def agrees(self, other: "InstrumentId") -> bool:
        """Whether both may be one instrument: a venue that one of them does not tell is no difference."""
        return self._key == other._key and (not self.venue or not other.venue or self.venue == other.venue)

    def covers(self, other: "InstrumentId") -> bool:
        """Whether ``other`` is surely one of those that this names: a venue asked for must be told."""
        return self._key == other._key and self.venue in ("", other.venue)

    @property
    def _key(self) -> tuple[object, ...]:
        # Not every broker tells a fund from a share, and a listing is one of the two.
        kind = InstrumentKind.STOCK if self.is_share else self.kind
        return kind, self.name, self.currency, self.settle, self.expiry, self.right, self.strike


def is_instrument_id(text: str) -> bool:
    """Whether it begins as such a name does. No symbol of any broker does."""
    kind, colon, _ = text.strip().partition(":")
    return bool(colon) and kind.upper() in _KINDS


_KINDS = frozenset(kind.value for kind in InstrumentKind)


def parse(text: str) -> InstrumentId:
    """Raises ValueError for what is no such name."""
    asked = text.strip().upper()
    kind, _, body = asked.partition(":")
    if kind not in _KINDS or len(asked) > LONGEST or not asked.isascii():
        raise ValueError(f"{text[:LONGEST]!r} is not an instrument.")
    for form in _READ[InstrumentKind(kind)]:
        if told := form.fullmatch(body):
            return _read(InstrumentKind(kind), {name: value or "" for name, value in told.groupdict().items()})
    raise ValueError(f"{text[:LONGEST]!r} is not an instrument.")


def _read(kind: InstrumentKind, told: dict[str, str]) -> InstrumentId:
    expiry, strike = told.get("expiry", ""), told.get("strike", "")
    if expiry:
        date.fromisoformat(expiry if len(expiry) == 10 else f"{expiry}-01")
    if strike and not Decimal(strike):
        raise ValueError("A strike must be greater than zero.")
    settle, venue = told.get("settle", ""), told["venue"]
    return InstrumentId(
        kind=kind,
        name=told["name"],
        currency=told["currency"],
        settle=settle,
        expiry=expiry,
        right=told.get("right", ""),
        strike=Decimal(plain(Decimal(strike))) if strike else None,
        venue=venue.lower() if kind is InstrumentKind.CRYPTO or settle else venue,
    )


def venue_of(word: str) -> str:
    """The code of an exchange that a broker names in its own word; empty for one that is not known."""
    return _VENUES.get(word.upper(), "")


def ticker_of(word: str) -> str:
    """A ticker as it is written here: classes of shares behind a dot, where brokers have a space or a slash."""
    return re.sub(r"[ /]+", ".", word.strip().upper())
