"""The same orders on the same real bars, by our matching rules and by an engine of somebody else.

``backtesting_fills.json`` holds what backtesting.py 0.6.6 did with 600 orders; ``record_backtesting`` made it. Every
order that fills at another bar or price here must be of one of these kinds, and each kind must occur as often as said:

==============  =====  ===============================================================================================
kind            times  why the two differ
==============  =====  ===============================================================================================
on arrival        211  Ours meets the quote when it comes, as at a broker: it fills, or its stop is reached already.
                       Theirs waits for the next bar.
gap over stop      26  The bar opens beyond the stop of a stop-limit. Theirs fills at the stop, where nothing traded
                       any more; ours at the open, or at the limit if that is worse for the open.
doubtful order     52  The stop is touched within the bar, and the limit is not beyond it. Theirs never fills in that
                       bar; ours does where it is certain: at the stop if the limit is the same, else at the limit if
                       the close, which comes last, is through it.
==============  =====  ===============================================================================================

NautilusTrader 1.221.0 differs in one more rule: it was seen to fill a limit order at its limit where the next bar
opened beyond it. Ours fills at the open, and so does backtesting.py. Trailing stops and volume limits are not compared:
backtesting.py has neither, and the oracle beside this file has.
"""

import json
import re
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any

from brokers import market_hours
from brokers.paper import fill_rules
from brokers.types import Bar, OrderType, Quote, Side

from . import record_backtesting

Fill = tuple[int, Decimal] | None
"""Bar, -1 for the moment it came, and price."""
RECORD: dict[str, Any] = json.loads(record_backtesting.FILE.read_text())
TABLE = {name.strip(): int(times) for name, times in re.findall(r"^(\w[\w ]+?)  +(\d+)  ", __doc__ or "", re.MULTILINE)}
"""The table above, so that it cannot say anything else than what is so."""
ALIKE = 305
"""Orders that both fill, at the same bar and price."""
BARS = [
    Bar(start=market_hours.at_minute(place), open=bar[0], high=bar[1], low=bar[2], close=bar[3], volume=bar[4])
    for place, bar in enumerate(record_backtesting.bars())
]


def on_arrival(terms: fill_rules.RestingOrder, first: int) -> Fill:
    last = BARS[first].close
    quote = Quote(
        symbol="BTC/USD", currency="USD", last=last, bid=last, ask=last, open=last, high=last, low=last,
        change_percent=Decimal(0), as_of=BARS[first].start, source="test",
    )  # fmt: skip
    match = fill_rules.on_arrival(terms, quote)
    if match.price is not None:
        return -1, match.price
    return at_rest(replace(terms, triggered=match.triggered, best=match.best), first)


def at_rest(terms: fill_rules.RestingOrder, first: int) -> Fill:
    for place, bar in enumerate(BARS[first + 1 : first + 1 + record_backtesting.WATCHED]):
        match = fill_rules.in_bar(terms, bar)
        if match.price is not None:
            return place, match.price
        terms = replace(terms, triggered=match.triggered, best=match.best)
    return None


def kind_of(terms: fill_rules.RestingOrder, first: int, mine: Fill, theirs: Fill) -> str:
    """Which line of the table explains that the two differ; "unexplained" is none of them."""
    resting = at_rest(terms, first)
    if mine != resting:
        alone = resting == theirs or kind_of(terms, first, resting, theirs) != "unexplained"
        return "on arrival" if alone else "unexplained"
    if mine is not None and terms.order_type is OrderType.STOP_LIMIT:
        bar, sign = BARS[first + 1 + mine[0]], 1 if terms.side is Side.BUY else -1
        gap = sign * (bar.open - terms.stop) >= 0
        worse = min(sign * bar.open, sign * terms.limit) * sign
        if sign * (terms.limit - terms.stop) > 0:
            if gap and mine[1] == worse and theirs == (mine[0], terms.stop):
                return "gap over stop"
        elif theirs is None or theirs[0] > mine[0]:
            reached = gap or sign * ((bar.high if sign == 1 else bar.low) - terms.stop) >= 0
            through = gap or terms.limit == terms.stop or sign * (bar.close - terms.limit) <= 0
            if reached and through and mine[1] == (worse if gap else terms.limit):
                return "doubtful order"
    return "unexplained"


def test_every_difference_to_another_engine_is_one_of_those_in_the_table() -> None:
    assert RECORD["bars"] == record_backtesting.digest(), "The record was made on other bars."
    drawn, found, alike = record_backtesting.drawn(), Counter[str](), 0
    assert [tuple(row[:5]) for row in RECORD["orders"]] == drawn, "The record was made with other orders."
    for (first, side, kind, limit, stop), row in zip(drawn, RECORD["orders"], strict=True):
        terms = fill_rules.RestingOrder(
            side=Side(side),
            order_type=OrderType(kind),
            quantity=Decimal(1),
            limit_price=None if limit is None else Decimal(limit),
            stop_price=None if stop is None else Decimal(stop),
        )
        theirs = None if row[5] is None else (int(row[5][0]), Decimal(row[5][1]))
        mine = on_arrival(terms, first)
        if mine == theirs:
            alike += mine is not None
        else:
            named = kind_of(terms, first, mine, theirs)
            found[named if named in TABLE else f"{terms}: {mine}, theirs {theirs}"] += 1
    assert dict(found) == TABLE
    assert alike == ALIKE
