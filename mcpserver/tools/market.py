"""Instruments and prices. Each price says where it comes from."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, NotRequired

from django.utils import timezone
from typing_extensions import TypedDict

from brokers.errors import InvalidSymbol
from brokers.types import (
    Adjustment,
    AssetClass,
    Bar,
    Capabilities,
    Dividend,
    InstrumentEvent,
    MarketDay,
)
from console.connections import bar_series, broker_access, instrument_events
from console.connections.bar_series import BarSpan
from console.connections.instrument_events import EventReport
from console.errors import Code, Refusal
from console.help import error_links
from mcpserver import result_tables
from mcpserver.arguments.types import cursor
from mcpserver.context import ToolCall
from mcpserver.result_schemas import CandidateOut, Instant, Number, Rows
from mcpserver.tools import render
from mcpserver.tools.render import compact, moment

PERIODS = {
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
    "1w": timedelta(weeks=1),
    "1m": timedelta(days=30),
    "3m": timedelta(days=91),
    "1y": timedelta(days=365),
}
SAME_PERIODS = {"24H": "1d", "7D": "1w", "30D": "1m", "1MO": "1m", "90D": "3m", "3MO": "3m", "12M": "1y", "365D": "1y"}
SAME_BARS = {
    "1MIN": "1m",
    "5MIN": "5m",
    "15MIN": "15m",
    "30MIN": "30m",
    "60M": "1h",
    "60MIN": "1h",
    "240M": "4h",
    "1HOUR": "1h",
    "4HOUR": "4h",
    "1DAY": "1d",
    "DAILY": "1d",
    "DAY": "1d",
    "1WEEK": "1w",
    "WEEKLY": "1w",
    "WEEK": "1w",
    "7D": "1w",
    "1MONTH": "1mo",
    "MONTHLY": "1mo",
    "MONTH": "1mo",
}
# A bar size that gives a change its ends without more than a few hundred bars.
_BAR_OF = {
    "1h": BarSpan.MINUTE,
    "1d": BarSpan.FIVE_MINUTES,
    "1w": BarSpan.HOUR,
    "1m": BarSpan.HOUR,
    "3m": BarSpan.DAY,
    "1y": BarSpan.DAY,
}
_USUAL_BARS = 100
_CLOSED = timedelta(days=5)
"""How long a market may be closed."""
_FEW = 120
"""Bars of a period that are given where no bar size is asked for: what every host shows whole."""
BARS = "bars"
"""What the cursor of a history is of."""
MOST_BARS = 500
MOST_LEVELS = 20
MOST_PRINTS = 100
_EVENT_NAMES = {
    InstrumentEvent.DIVIDEND: "next_dividend",
    InstrumentEvent.EARNINGS: "earnings_date",
    InstrumentEvent.HALT: "trading_halted",
}
ADJUSTMENTS = tuple(each.value for each in Adjustment)


class InstrumentOut(TypedDict):
    symbol: str
    instrument_id: NotRequired[str]
    name: str
    asset_class: str
    exchange: str
    currency: str
    tick: Number
    lot: Number
    minimum: Number
    multiplier: NotRequired[Number]
    minimum_notional: NotRequired[Number]
    expires: NotRequired[Instant]
    hours: NotRequired[str]
    shortable: NotRequired[bool]
    rules_as_of: NotRequired[Instant]
    """When the broker told tick, lot and minimum."""
    source: str


class DividendOut(TypedDict):
    ex_date: str
    amount: NotRequired[Number]
    """A unit, in ``currency``."""
    currency: str
    paid_on: NotRequired[str]


class EventsOut(TypedDict):
    next_dividend: NotRequired[DividendOut]
    earnings_date: NotRequired[str]
    trading_halted: NotRequired[bool]
    not_reported: NotRequired[list[str]]
    """What this broker does not report; what is neither here nor above is not announced."""
    unavailable: NotRequired[str]


class Instruments(TypedDict):
    instruments: Rows[InstrumentOut]


class OneInstrument(TypedDict):
    instrument: InstrumentOut
    events: NotRequired[EventsOut]
    """Of a stock or a fund."""


class QuoteOut(TypedDict):
    symbol: str
    instrument_id: NotRequired[str]
    currency: str
    last: Number
    bid: Number
    bid_size: NotRequired[Number]
    ask: Number
    ask_size: NotRequired[Number]
    day_open: NotRequired[Number]
    day_high: NotRequired[Number]
    day_low: NotRequired[Number]
    day_volume: NotRequired[Number]
    change: NotRequired[Number]
    change_percent: NotRequired[Number]
    as_of: Instant
    delay_seconds: int
    source: str
    recorded_at: NotRequired[Instant]


class NotFound(TypedDict):
    """A symbol of a list that names no instrument, or several."""

    symbol: str
    code: str
    message: str
    help: str
    candidates: NotRequired[list[CandidateOut]]


class Quotes(TypedDict):
    quotes: list[QuoteOut]
    not_found: NotRequired[list[NotFound]]


class LevelOut(TypedDict):
    price: Number
    size: Number


class BookOut(TypedDict):
    symbol: str
    currency: str
    bids: Rows[LevelOut]
    asks: Rows[LevelOut]
    simulated: bool
    as_of: Instant
    delay_seconds: int
    source: str


class BarOut(TypedDict):
    start: Instant
    open: Number
    high: Number
    low: Number
    close: Number
    volume: Number


class Bars(TypedDict):
    symbol: str
    currency: str
    bar: str
    adjusted: str
    first: NotRequired[Instant]
    """When the oldest bar began; the newest ended at ``as_of``."""
    next_cursor: NotRequired[str]
    left_out: NotRequired[str]
    """What of the time asked for is not in the answer, and why."""
    as_of: NotRequired[Instant]
    delay_seconds: NotRequired[int]
    source: str
    bars: Rows[BarOut]


class PriceChange(TypedDict):
    symbol: str
    period: NotRequired[str]
    first: NotRequired[Number]
    last: NotRequired[Number]
    change_percent: NotRequired[Number]
    start: NotRequired[Instant]
    as_of: NotRequired[Instant]
    delay_seconds: NotRequired[int]
    source: NotRequired[str]
    note: NotRequired[str]


class PriceChanges(TypedDict):
    changes: list[PriceChange]
    not_found: NotRequired[list[NotFound]]


class PrintOut(TypedDict):
    at: Instant
    price: Number
    size: Number


class PrintsOut(TypedDict):
    symbol: str
    currency: str
    trades: Rows[PrintOut]
    delay_seconds: NotRequired[int]
    source: str
    note: NotRequired[str]


class ExceptionOut(TypedDict):
    day: str
    what: str


class MarketOut(TypedDict):
    market: str
    name: str
    state: str
    day: str
    what: str
    opens: NotRequired[Instant]
    closes: NotRequired[Instant]
    time_zone: str
    next_open: NotRequired[Instant]
    next_close: NotRequired[Instant]
    exceptions: NotRequired[list[ExceptionOut]]
    note: NotRequired[str]


class Markets(TypedDict):
    markets: list[MarketOut]


class RateOut(TypedDict):
    base: str
    quote: str
    rate: Number
    as_of: Instant
    delay_seconds: int
    source: str


def search_security(call: ToolCall) -> dict[str, Any]:
    asset_class = call.args.get("asset_class")
    with broker_access.broker_for(call.principal) as broker:
        found = broker_access.search(
            broker,
            call.args["query"],
            asset_class=AssetClass(asset_class) if asset_class else None,
            limit=call.args.get("limit", 10),
            by_name=call.args.get("by_name", False),
        )
    return {"instruments": [render.instrument(each) for each in found]}


def get_security(call: ToolCall) -> dict[str, Any]:
    with broker_access.broker_for(call.principal) as broker:
        found = broker.instrument(call.args["symbol"])
        events = instrument_events.read(broker, found)
    shown = render.instrument(found) | compact(
        multiplier=found.multiplier,
        minimum_notional=found.minimum_notional,
        expires=found.expires,
        hours=found.hours,
        shortable=found.shortable,
        rules_as_of=found.fetched_at,
    )
    return compact(instrument=shown, events=events and _events(events))


def _events(found: EventReport) -> dict[str, Any]:
    events = found.events
    return compact(
        next_dividend=events.next_dividend and _dividend(events.next_dividend),
        earnings_date=events.earnings_date and events.earnings_date.isoformat(),
        trading_halted=events.is_halted,
        not_reported=[_EVENT_NAMES[each] for each in found.not_reported] or None,
        unavailable=found.unavailable,
    )


def _dividend(dividend: Dividend) -> dict[str, Any]:
    return compact(
        ex_date=dividend.ex_date.isoformat(),
        amount=dividend.amount,
        currency=dividend.currency,
        paid_on=dividend.paid_on and dividend.paid_on.isoformat(),
    )


def get_quote(call: ToolCall) -> dict[str, Any]:
    """A symbol of a list that names nothing does not lose the others; alone, or with others like it, it is refused."""
    wanted, missing = call.args["symbols"], list[tuple[str, Refusal]]()
    with broker_access.broker_for(call.principal) as broker:
        try:
            quotes = broker.quotes(wanted)
        except InvalidSymbol:
            known, missing = broker_access.find_known(broker, wanted)
            quotes = broker.quotes([each.symbol for each in known])
    shown = {"quotes": [render.quote(each) for each in quotes]}
    return shown | {"not_found": _not_found(missing)} if missing else shown


def _not_found(missing: Sequence[tuple[str, Refusal]]) -> list[dict[str, Any]]:
    return [
        compact(
            symbol=symbol,
            code=refusal.code.value,
            message=str(refusal),
            help=error_links.error_page_url(refusal.code),
            candidates=[dict(each) for each in refusal.candidates] or None,
        )
        for symbol, refusal in missing
    ]


def get_history(call: ToolCall) -> dict[str, Any]:
    args = call.args
    adjusted = Adjustment(args.get("adjust", Adjustment.NONE.value))
    render.check_span(args)
    now = timezone.now()
    start, end = args.get("start"), args.get("end")
    if start is None and "period" in args:
        start = (end or now) - PERIODS[args["period"]]
    span = BarSpan(args["bar"]) if "bar" in args else _fitting(args.get("period"))
    if "cursor" in args:
        end = _moment_of(args["cursor"])
    limit = args.get("limit", _USUAL_BARS if start is None else MOST_BARS)
    with broker_access.broker_for(call.principal) as broker:
        _check_honoured(broker.capabilities, adjusted, outside_rth=args.get("outside_rth", False))
        instrument = broker.instrument(args["symbol"])
        found = bar_series.read(broker, instrument.symbol, span, start=start, end=end, limit=limit + 1)
    shown = [render.bar(each) for each in found[-limit:]]
    # The newest are worth most, so what has no room is left out at the other end.
    fit = result_tables.how_many_fit(shown[::-1], is_default=start is None and "limit" not in args)
    shown, bars = shown[len(shown) - fit :], found[len(found) - fit :]
    more = len(found) > len(bars)
    return compact(
        symbol=instrument.symbol,
        currency=instrument.currency,
        bar=span.value,
        adjusted=adjusted.value,
        first=bars[0].start if bars else None,
        next_cursor=cursor(BARS, moment(bars[0].start)) if more else None,
        left_out=_left_out(bars, start, span, more=more),
        **_newest(bars, span),
        source=instrument.price_source,
    ) | {"bars": shown}


def _fitting(period: str | None) -> BarSpan:
    """The smallest bars of which a period has few enough."""
    if period is None:
        return BarSpan.DAY
    seconds = PERIODS[period].total_seconds()
    return next(span for span in BarSpan if seconds / span.seconds <= _FEW)


def _moment_of(row: str) -> datetime:
    try:
        return datetime.fromisoformat(row)
    except ValueError:
        raise Refusal(
            Code.INVALID_ARGUMENT, "cursor must be the next_cursor of this tool's last answer.", field="cursor"
        ) from None


def _left_out(bars: Sequence[Bar], start: datetime | None, span: BarSpan, *, more: bool) -> str | None:
    if start is None:
        return None
    if more:
        return f"Bars from {moment(start)} to the first one here: call again with next_cursor, or with a larger bar."
    if not bars:
        return "The broker has no complete bar in this time."
    if bars[0].start - start > timedelta(seconds=span.seconds) + _CLOSED:
        return f"The broker has no bars of this size from {moment(start)} to the first one here."
    return None


def _check_honoured(can: Capabilities, adjusted: Adjustment, *, outside_rth: bool) -> None:
    """Bars that are not what was asked for would be worse than none. Raises Refusal."""
    if outside_rth and not can.bars_outside_hours:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            "This broker has no separate bars outside regular hours. Leave outside_rth out.",
            field="outside_rth",
        )
    if adjusted not in can.adjustments:
        known = ", ".join(sorted(each.value for each in can.adjustments))
        raise Refusal(
            Code.INVALID_ARGUMENT,
            f"This broker's bars cannot be adjusted for {adjusted.value}. Available: {known}.",
            field="adjust",
        )


def get_order_book(call: ToolCall) -> dict[str, Any]:
    with broker_access.broker_for(call.principal) as broker:
        book = broker.order_book(call.args["symbol"], call.args.get("depth", 5))
    return compact(
        symbol=book.symbol,
        currency=book.currency,
        bids=[compact(price=each.price, size=each.size) for each in book.bids],
        asks=[compact(price=each.price, size=each.size) for each in book.asks],
        simulated=book.simulated,
        as_of=book.as_of,
        delay_seconds=render.delay(book.as_of),
        source=book.source,
    )


def get_trades(call: ToolCall) -> dict[str, Any]:
    with broker_access.broker_for(call.principal) as broker:
        found = broker.prints(call.args["symbol"], call.args.get("limit", 20))
    return compact(
        symbol=found.symbol,
        currency=found.currency,
        trades=[compact(at=each.at, price=each.price, size=each.size) for each in found.prints],
        delay_seconds=render.delay(found.prints[0].at) if found.prints else None,
        source=found.source,
        note=found.note,
    )


def get_market_hours(call: ToolCall) -> dict[str, Any]:
    with broker_access.broker_for(call.principal) as broker:
        found = broker.market_hours(day=call.args.get("date"), market=call.args.get("market", ""))
    return {"markets": [_market(each) for each in found]}


def get_exchange_rate(call: ToolCall) -> dict[str, Any]:
    with broker_access.broker_for(call.principal) as broker:
        found = broker.exchange_rate(call.args["base"], call.args["quote"])
    return compact(
        base=found.base,
        quote=found.quote,
        rate=found.rate,
        as_of=found.as_of,
        delay_seconds=render.delay(found.as_of),
        source=found.source,
    )


def _newest(bars: Sequence[Bar], span: BarSpan) -> dict[str, Any]:
    """When the newest bar ended, and how long ago that is."""
    if not bars:
        return {}
    ended = span.end_of(bars[-1])
    return {"as_of": ended, "delay_seconds": render.delay(ended)}


def _market(value: MarketDay) -> dict[str, Any]:
    return compact(
        market=value.market,
        name=value.name,
        state=value.state.value,
        day=value.day.isoformat(),
        what=value.why,
        opens=value.opens,
        closes=value.closes,
        time_zone=value.time_zone,
        next_open=value.next_open,
        next_close=value.next_close,
        exceptions=[{"day": day.isoformat(), "what": why} for day, why in value.exceptions] or None,
        holidays_known_until=value.known_until.isoformat() if value.known_until else None,
        note=value.note,
    )


def get_change(call: ToolCall) -> dict[str, Any]:
    period = call.args.get("period", "1d")
    now = timezone.now()
    changes = []
    with broker_access.broker_for(call.principal) as broker:
        known, missing = broker_access.find_known(broker, call.args["symbols"])
        for instrument in known:
            bars = bar_series.read(
                broker, instrument.symbol, _BAR_OF[period], start=now - PERIODS[period], limit=MOST_BARS * 2
            )
            if not bars:
                changes.append(compact(symbol=instrument.symbol, note="No bars in this period."))
                continue
            first, last = bars[0], bars[-1]
            percent = ((last.close / first.open - 1) * 100).quantize(Decimal("0.01"), ROUND_HALF_EVEN)
            changes.append(
                compact(
                    symbol=instrument.symbol,
                    period=period,
                    first=first.open,
                    last=last.close,
                    change_percent=percent,
                    start=first.start,
                    **_newest(bars, _BAR_OF[period]),
                    source=instrument.price_source,
                )
            )
    return compact(changes=changes, not_found=_not_found(missing) or None)
