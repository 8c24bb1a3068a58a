"""Indicators, the screener and the movers: what is worked out here from the broker's bars and quotes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, NotRequired

from django.utils import timezone
from typing_extensions import TypedDict

from brokers.decimals import plain
from brokers.types import AssetClass, Bar, BarSize, Instrument, Quote
from console import indicators
from console.connections import broker_access
from console.errors import Code, Refusal
from mcpserver.arguments.types import Filter, decide
from mcpserver.context import ToolCall
from mcpserver.shapes import Instant, Number
from mcpserver.tools import market, render
from mcpserver.tools.render import compact, moment

MOST_VALUES = 100
MOST_SCREENED = 200
"""Instruments one screen looks at."""

_DAY_SECONDS = 86_400
_FROM_QUOTE = ("price", "change_percent", "volume", "traded_value", "day_high", "day_low")
# Of daily bars; each by the definition in console.indicators.
_FROM_BARS = {
    "rsi_14": "RSI(14)",
    "sma_20": "SMA(20)",
    "sma_50": "SMA(50)",
    "sma_200": "SMA(200)",
    "ema_20": "EMA(20)",
    "atr_14": "ATR(14)",
}
FIELDS = (*_FROM_QUOTE, *_FROM_BARS)
# The field that sorts them, and whether its largest comes first.
_MOVERS = {
    "gainers": ("change_percent", True),
    "losers": ("change_percent", False),
    "most_active": ("traded_value", True),
}
MOVERS = tuple(_MOVERS)


class Values(TypedDict):
    start: Instant
    value: NotRequired[Number]
    macd: NotRequired[Number]
    signal: NotRequired[Number]
    histogram: NotRequired[Number]
    upper: NotRequired[Number]
    middle: NotRequired[Number]
    lower: NotRequired[Number]


class IndicatorOut(TypedDict):
    indicator: str
    values: list[Values]


class Indicators(TypedDict):
    symbol: str
    currency: str
    bar: str
    bars_used: int
    as_of: Instant
    delay_seconds: int
    source: str
    indicators: list[IndicatorOut]


class Match(TypedDict):
    symbol: str
    name: str
    asset_class: str
    currency: str
    price: Number
    change_percent: NotRequired[Number]
    volume: NotRequired[Number]
    traded_value: NotRequired[Number]
    day_high: NotRequired[Number]
    day_low: NotRequired[Number]
    rsi_14: NotRequired[Number]
    sma_20: NotRequired[Number]
    sma_50: NotRequired[Number]
    sma_200: NotRequired[Number]
    ema_20: NotRequired[Number]
    atr_14: NotRequired[Number]
    as_of: Instant
    delay_seconds: int
    source: str


class Screened(TypedDict):
    matches: list[Match]
    found: int
    screened: int
    truncated: NotRequired[bool]


@dataclass(slots=True)
class _Candidate:
    instrument: Instrument
    quote: Quote
    values: dict[str, Decimal | None] = field(default_factory=dict)


def get_indicators(call: ToolCall) -> dict[str, Any]:
    args = call.args
    size = BarSize(args.get("bar", BarSize.DAY.value))
    wanted = [_indicator(text, size) for text in args["indicators"]]
    since = timezone.now() - market.PERIODS[args["period"]] if "period" in args else None
    shown = args.get("last")
    if shown is None:
        shown = 1 if since is None else MOST_VALUES
    needed = max(_wants(each, size) for each in wanted) + shown - 1
    with broker_access.broker_for(call.principal) as broker:
        instrument = broker.instrument(args["symbol"])
        bars = broker.bars(instrument.symbol, size, limit=needed)
    if len(bars) < max(each.needs for each in wanted):
        longest = max(wanted, key=lambda each: each.needs)
        raise Refusal(
            Code.INVALID_ARGUMENT,
            f"{longest.name} needs {longest.needs} bars of {size.value}, and {instrument.symbol} has {len(bars)}.",
            field="indicators",
        )
    ends = bars[-1].start + timedelta(seconds=size.seconds)
    step = _step(instrument)
    return compact(
        symbol=instrument.symbol,
        currency=instrument.currency,
        bar=size.value,
        bars_used=len(bars),
        as_of=ends,
        delay_seconds=render.delay(ends),
        source=instrument.price_source,
        indicators=[
            {
                "indicator": each.name,
                "values": [
                    {"start": moment(bar.start)} | {name: _rounded(value, step) for name, value in row.items()}
                    for bar, row in _newest(bars, each.rows(bars), shown)
                    if since is None or bar.start >= since
                ],
            }
            for each in wanted
        ],
    )


def screen_securities(call: ToolCall) -> dict[str, Any]:
    """Every filter must hold. An instrument for which a value cannot be had does not match."""
    args = call.args
    filters: list[Filter] = args["filters"]
    sort: str = args.get("sort", "-traded_value")
    by = sort.lstrip("-")
    if by not in FIELDS or sort not in (by, f"-{by}"):
        raise Refusal(
            Code.INVALID_ARGUMENT,
            f"sort must be one of {', '.join(FIELDS)}, with - in front to reverse it.",
            field="sort",
        )
    used = {each.field for each in filters} | {str(each.value) for each in filters if isinstance(each.value, str)}
    candidates, truncated = _candidates(call, args.get("asset_class"), used | {by})
    matching = [each for each in candidates if all(_matches(condition, each.values) for condition in filters)]
    return _answer(matching, by, sort.startswith("-"), args.get("limit", 20), used | {by}, len(candidates), truncated)


def get_movers(call: ToolCall) -> dict[str, Any]:
    by, largest_first = _MOVERS[call.args["kind"]]
    candidates, truncated = _candidates(call, call.args.get("asset_class"), {by})
    moved = [each for each in candidates if _moved(each, call.args["kind"])]
    return _answer(moved, by, largest_first, call.args.get("limit", 10), {by}, len(candidates), truncated)


def _moved(candidate: _Candidate, kind: str) -> bool:
    change = candidate.quote.change_percent
    if kind == "most_active":
        return True
    return change is not None and (change > 0 if kind == "gainers" else change < 0)


def _answer(
    matching: list[_Candidate],
    by: str,
    largest_first: bool,
    limit: int,
    used: set[str],
    screened: int,
    truncated: bool,
) -> dict[str, Any]:
    known = [(value, each) for each in matching if (value := each.values[by]) is not None]
    known.sort(key=lambda pair: (-pair[0] if largest_first else pair[0], pair[1].instrument.symbol))
    return {
        "matches": [_match(each, used) for _, each in known[:limit]],
        "found": len(known),
        "screened": screened,
    } | compact(truncated=truncated or None)


def _match(candidate: _Candidate, used: set[str]) -> dict[str, Any]:
    instrument, quote = candidate.instrument, candidate.quote
    step = _step(instrument)
    values = {
        name: _rounded(value, step)
        for name in FIELDS
        if (name in used or name in ("price", "change_percent")) and (value := candidate.values[name]) is not None
    }
    return (
        compact(
            symbol=instrument.symbol,
            name=instrument.name,
            asset_class=instrument.asset_class.value,
            currency=instrument.currency,
        )
        | values
        | compact(as_of=quote.as_of, delay_seconds=render.delay(quote.as_of), source=quote.source)
    )


def _candidates(call: ToolCall, asset_class: str | None, used: set[str]) -> tuple[list[_Candidate], bool]:
    """Every instrument with the values asked for, and whether there were more than are looked at."""
    wanted = {name: indicators.parse(spec) for name, spec in _FROM_BARS.items() if name in used}
    needed = max((each.wants for each in wanted.values()), default=0)
    kind = AssetClass(asset_class) if asset_class else None
    with broker_access.broker_for(call.principal) as broker:
        found = broker.instruments(asset_class=kind, limit=MOST_SCREENED + 1)
        listed = found[:MOST_SCREENED]
        quotes = broker.quotes([each.symbol for each in listed])
        candidates = [_Candidate(each, quote, _of_quote(quote)) for each, quote in zip(listed, quotes, strict=True)]
        for number, each in enumerate(candidates, start=1):
            bars = broker.bars(each.instrument.symbol, BarSize.DAY, limit=needed) if needed else []
            each.values |= {name: _latest(indicator.rows(bars)) for name, indicator in wanted.items()}
            if needed:
                call.report(number, len(candidates), f"{each.instrument.symbol} is screened.")
    for each in candidates:
        each.values = {name: each.values.get(name) for name in FIELDS}
    return candidates, len(found) > MOST_SCREENED


def _of_quote(quote: Quote) -> dict[str, Decimal | None]:
    return {
        "price": quote.last,
        "change_percent": quote.change_percent,
        "volume": quote.volume,
        "traded_value": None if quote.volume is None else quote.volume * quote.last,
        "day_high": quote.high,
        "day_low": quote.low,
    }


def _latest(rows: Sequence[indicators.Row]) -> Decimal | None:
    return rows[-1]["value"] if rows else None


def _matches(condition: Filter, values: Mapping[str, Decimal | None]) -> bool:
    left = values[condition.field]
    right = values[condition.value] if isinstance(condition.value, str) else condition.value
    return left is not None and right is not None and decide(condition.op, left, right)


def _indicator(text: str, size: BarSize) -> indicators.Indicator:
    try:
        found = indicators.parse(text)
    except ValueError as error:
        raise Refusal(Code.INVALID_ARGUMENT, str(error), field="indicators") from None
    if _is_of_the_day(found) and size is BarSize.DAY:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            "VWAP is of one day and needs shorter bars. For daily bars give it a length, such as VWAP(20).",
            field="indicators",
        )
    return found


def _is_of_the_day(indicator: indicators.Indicator) -> bool:
    return indicator.kind == "VWAP" and not indicator.numbers


def _wants(indicator: indicators.Indicator, size: BarSize) -> int:
    return _DAY_SECONDS // size.seconds if _is_of_the_day(indicator) else indicator.wants


def _newest(bars: Sequence[Bar], rows: Sequence[indicators.Row], shown: int) -> list[tuple[Bar, indicators.Row]]:
    """The newest rows with the bars they belong to: the last row is that of the last bar."""
    return list(zip(bars[len(bars) - len(rows) :], rows, strict=True))[-shown:]


def _step(instrument: Instrument) -> Decimal:
    """Four more places than the price has, and never fewer than four."""
    places = min(0, int(instrument.tick.as_tuple().exponent))
    return Decimal(1).scaleb(places - 4)


def _rounded(value: Decimal, step: Decimal) -> str:
    return plain(value.quantize(step, ROUND_HALF_EVEN))
