"""Instruments and prices. Each price says where it comes from."""

from datetime import timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from django.utils import timezone

from brokers.types import AssetClass, BarSize
from console.connections import reads
from console.errors import Code, Refusal
from mcpserver.call import Call
from mcpserver.tools import render
from mcpserver.tools.render import compact

PERIODS = {
    "1h": timedelta(hours=1),
    "1d": timedelta(days=1),
    "1w": timedelta(weeks=1),
    "1m": timedelta(days=30),
    "3m": timedelta(days=91),
    "1y": timedelta(days=365),
}
# A bar size that gives a period its ends without more than a few hundred bars.
_BAR_OF = {
    "1h": BarSize.MINUTE,
    "1d": BarSize.FIVE_MINUTES,
    "1w": BarSize.HOUR,
    "1m": BarSize.HOUR,
    "3m": BarSize.DAY,
    "1y": BarSize.DAY,
}
MOST_BARS = 500


def search_security(call: Call) -> dict[str, Any]:
    asset_class = call.args.get("asset_class")
    with reads.broker_for(call.principal) as broker:
        found = broker.find_instruments(
            call.args["query"],
            asset_class=AssetClass(asset_class) if asset_class else None,
            limit=call.args.get("limit", 10),
        )
    return {"instruments": [render.instrument(each) for each in found]}


def get_quote(call: Call) -> dict[str, Any]:
    with reads.broker_for(call.principal) as broker:
        quotes = broker.quotes(call.args["symbols"])
    return {"quotes": [render.quote(each) for each in quotes]}


def get_history(call: Call) -> dict[str, Any]:
    args = call.args
    size = BarSize(args.get("bar", BarSize.DAY.value))
    start, end = args.get("start"), args.get("end")
    if start and end and start >= end:
        raise Refusal(Code.INVALID_ARGUMENT, "start must be before end.", field="start")
    if start is None and "period" in args:
        start = (end or timezone.now()) - PERIODS[args["period"]]
    with reads.broker_for(call.principal) as broker:
        instrument = broker.instrument(args["symbol"])
        bars = broker.bars(instrument.symbol, size, start=start, end=end, limit=args.get("limit", 100))
    return compact(
        symbol=instrument.symbol,
        currency=instrument.currency,
        bar=size.value,
        source=instrument.price_source,
    ) | {"bars": [render.bar(each) for each in bars]}


def get_change(call: Call) -> dict[str, Any]:
    period = call.args.get("period", "1d")
    now = timezone.now()
    changes = []
    with reads.broker_for(call.principal) as broker:
        for symbol in call.args["symbols"]:
            instrument = broker.instrument(symbol)
            bars = broker.bars(instrument.symbol, _BAR_OF[period], start=now - PERIODS[period], limit=MOST_BARS * 2)
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
                    source=instrument.price_source,
                )
            )
    return {"changes": changes}
