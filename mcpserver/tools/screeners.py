"""Indicators, the screener and the movers: what is worked out here from the broker's bars and quotes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, NotRequired

from django.utils import timezone
from typing_extensions import TypedDict

from brokers.decimals import plain
from brokers.types import AssetClass, Bar, Instrument, Quote
from console import indicators
from console.connections import bar_series, broker_access
from console.connections.bar_series import BarSpan
from console.errors import Code, Refusal
from mcpserver.arguments.types import Filter, decide
from mcpserver.context import ToolCall
from mcpserver.result_schemas import Instant, Number, Rows
from mcpserver.tools import market, render
from mcpserver.tools.render import compact, moment

MOST_VALUES = 100
MOST_SCREENED = 200
"""Instruments one screen looks at."""

_DAY_SECONDS = 86_400
_HUNDREDTH = Decimal("0.01")
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
_PERCENT = ("change_percent", "rsi_14")
FIELDS = (*_FROM_QUOTE, *_FROM_BARS)
# The field that sorts them, and whether its largest comes first.
_MOVERS = {
    "gainers": ("change_percent", True),
    "losers": ("change_percent", False),
    "most_active": ("traded_value", True),
}
MOVERS = tuple(_MOVERS)


class Indicators(TypedDict):
    symbol: str
    currency: str
    bar: str
    bars_used: int
    as_of: Instant
    delay_seconds: int
    source: str
    note: NotRequired[str]
    """Which of them had fewer bars before than they want, so that they still depend on where the bars begin."""
    values: Rows[dict[str, str]]
    """A row for each bar, oldest first: its ``start``, and a column for each indicator by its name; for MACD and BBANDS
    one for each of their lines, such as ``MACD(12,26,9).signal``."""


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
    matches: Rows[Match]
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
    span = BarSpan(args.get("bar", BarSpan.DAY.value))
    wanted = [_indicator(text, span) for text in args["indicators"]]
    since = timezone.now() - market.PERIODS[args["period"]] if "period" in args else None
    shown = args.get("last")
    if shown is None:
        shown = 1 if since is None else MOST_VALUES
    needed = max(_wants(each, span) for each in wanted) + shown - 1
    with broker_access.broker_for(call.principal) as broker:
        instrument = broker.instrument(args["symbol"])
        bars = bar_series.read(broker, instrument.symbol, span, limit=needed)
    longest = max(wanted, key=lambda each: each.needs)
    if len(bars) < longest.needs:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            f"{longest.name} needs {longest.needs} bars of {span.value}, and {instrument.symbol} has {len(bars)}.",
            field="indicators",
        )
    ends = span.end_of(bars[-1])
    return compact(
        symbol=instrument.symbol,
        currency=instrument.currency,
        bar=span.value,
        bars_used=len(bars),
        as_of=ends,
        delay_seconds=render.delay(ends),
        source=instrument.price_source,
        note=_too_few(wanted, span, len(bars) - shown + 1),
        values=[
            {"start": moment(bars[place].start)} | values
            for place, values in sorted(_values(wanted, bars, shown, instrument).items())
            if since is None or bars[place].start >= since
        ],
    )


def _values(
    wanted: Sequence[indicators.Indicator], bars: Sequence[Bar], shown: int, instrument: Instrument
) -> dict[int, dict[str, str]]:
    """The newest values of all of them, by the place of their bar and then by name."""
    found: dict[int, dict[str, str]] = {}
    for each in wanted:
        rows, step = each.rows(bars), _step(instrument) if each.is_of_prices else _HUNDREDTH
        for place in range(max(len(bars) - shown, len(bars) - len(rows)), len(bars)):
            for line, value in rows[place - len(bars)].items():
                column = each.name if line == "value" else f"{each.name}.{line}"
                found.setdefault(place, {})[column] = _rounded(value, step)
    return found


def _too_few(wanted: Sequence[indicators.Indicator], span: BarSpan, before: int) -> str | None:
    """``before``: bars up to and with that of the first value shown."""
    short = [each for each in wanted if before < _wants(each, span) and not _is_of_the_day(each)]
    if not short:
        return None
    said = ", ".join(f"{each.name} wants {_wants(each, span)} bars up to its first value" for each in short)
    return f"{said}; the broker has {before}. Until then a value depends on where the bars begin."


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
        name: _rounded(value, _HUNDREDTH if name in _PERCENT else step)
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
            bars = bar_series.read(broker, each.instrument.symbol, BarSpan.DAY, limit=needed) if needed else []
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


def _indicator(text: str, span: BarSpan) -> indicators.Indicator:
    try:
        found = indicators.parse(text)
    except ValueError as error:
        raise Refusal(Code.INVALID_ARGUMENT, str(error), field="indicators") from None
    if _is_of_the_day(found) and span.seconds >= _DAY_SECONDS:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            "VWAP is of one day and needs shorter bars. For these give it a length, such as VWAP(20).",
            field="indicators",
        )
    return found


def _is_of_the_day(indicator: indicators.Indicator) -> bool:
    return indicator.kind == "VWAP" and not indicator.numbers


def _wants(indicator: indicators.Indicator, span: BarSpan) -> int:
    return _DAY_SECONDS // span.seconds if _is_of_the_day(indicator) else indicator.wants


def _step(instrument: Instrument) -> Decimal:
    """Two more places than the price has: what a mean of prices can tell."""
    places = min(0, int(instrument.tick.as_tuple().exponent))
    return Decimal(1).scaleb(places - 2)


def _rounded(value: Decimal, step: Decimal) -> str:
    return plain(value.quantize(step, ROUND_HALF_EVEN))
