"""OKX's options: what is listed on a coin and quoted now, to read. They settle in the coin and are not traded here.

Source: www.okx.com/docs-v5/en/ (public data: instruments, option market data, open interest; market data: tickers).
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date
from decimal import Decimal
from typing import Any

from brokers.crypto import parse
from brokers.decimals import closest
from brokers.errors import BrokerUnavailable
from brokers.json_values import quoted_text
from brokers.types import OptionChain, OptionContract, OptionExpiration, OptionRight

Row = Mapping[str, Any]
_RIGHTS = {"C": OptionRight.CALL, "P": OptionRight.PUT}
_NEEDED = ("instId", "stk", "optType", "expTime")


def contracts(rows: Iterable[Row]) -> list[Row]:
    """Of GET public/instruments: those that are listed, and say what they are."""
    told = [row for row in rows if row.get("state") in ("live", "suspend", "preopen")]
    return parse.readable(told, _known, "OKX", "option")


def _known(row: Row) -> Row:
    if any(not row.get(name) for name in _NEEDED) or row["optType"] not in _RIGHTS:
        raise BrokerUnavailable("OKX sent an option that could not be read.")
    _strike(row)
    _day(row)
    return row


def _strike(row: Row) -> Decimal:
    return parse.number_or_zero(row["stk"])


def _day(row: Row) -> date:
    at = parse.moment(row["expTime"])
    if at is None:
        raise BrokerUnavailable("OKX sent an option that could not be read.")
    return at.astimezone(UTC).date()


def expirations(rows: Iterable[Row]) -> list[OptionExpiration]:
    strikes: dict[date, set[Decimal]] = {}
    for row in rows:
        strikes.setdefault(_day(row), set()).add(_strike(row))
    return [
        OptionExpiration(day=day, strikes=len(some), lowest_strike=min(some), highest_strike=max(some))
        for day, some in sorted(strikes.items())
    ]


def of_day(rows: Iterable[Row], day: date, right: OptionRight | None) -> list[Row]:
    return [row for row in rows if _day(row) == day and right in (None, _RIGHTS[row["optType"]])]


def chain(
    coin: str,
    day: date,
    rows: list[Row],
    price: Decimal,
    strikes: int,
    tickers: Iterable[Row],
    summary: Iterable[Row],
    interest: Iterable[Row],
) -> OptionChain:
    """Of one day. ``price`` is the coin's index, in dollars as the strikes are; what an option costs is in the coin."""
    near = set(closest(map(_strike, rows), price, strikes))
    kept = [row for row in rows if _strike(row) in near]
    by_name = [{str(row.get("instId")): row for row in each} for each in (tickers, summary, interest)]
    sizes = {parse.number_or_zero(row.get("ctVal")) * parse.number_or_zero(row.get("ctMult")) for row in kept}
    found = [_contract(row, *(each.get(str(row["instId"]), {}) for each in by_name)) for row in kept]
    return OptionChain(
        underlying=coin,
        underlying_price=price,
        day=day,
        currency=coin,
        multiplier=max(sizes, default=Decimal(1)),
        contracts=tuple(sorted(found, key=lambda each: (each.strike, each.right, each.symbol))),
        source="OKX",
        note=f"Prices are in {coin} and strikes in USD. Options at OKX are shown here and cannot be traded from here.",
    )


def _contract(row: Row, ticker: Row, summary: Row, interest: Row) -> OptionContract:
    """The Greeks by Black and Scholes, in dollars."""
    return OptionContract(
        symbol=quoted_text(row["instId"], 40),
        right=_RIGHTS[row["optType"]],
        strike=_strike(row),
        bid=parse.positive(ticker.get("bidPx")),
        ask=parse.positive(ticker.get("askPx")),
        last=parse.positive(ticker.get("last")),
        open_interest=parse.number(interest.get("oi")),
        implied_volatility=parse.positive(summary.get("markVol")),
        delta=parse.number(summary.get("deltaBS")),
        gamma=parse.number(summary.get("gammaBS")),
        theta=parse.number(summary.get("thetaBS")),
        vega=parse.number(summary.get("vegaBS")),
        as_of=parse.moment(ticker.get("ts")),
    )
