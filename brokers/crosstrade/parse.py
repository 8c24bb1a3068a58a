"""CrossTrade's words into ours. Raises Garbled for what its documents do not promise.

Source of every shape: the answers shown at crosstrade.io/docs/api, and NinjaTrader 8's OrderState.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from brokers.http import Garbled
from brokers.instrument_id import InstrumentId, InstrumentKind, venue_of
from brokers.json_values import epoch, number, optional_number, quoted_text, record, records, text
from brokers.types import (
    AccountState,
    AssetClass,
    Bar,
    BarSize,
    BrokerOrder,
    BrokerStatus,
    Cash,
    Instrument,
    OrderRequest,
    OrderType,
    Position,
    Quote,
    Side,
    TimeInForce,
)
from brokers.unknown_words import UnknownWords

SOURCE = "NinjaTrader through CrossTrade"

TYPES = {
    OrderType.MARKET: "MARKET",
    OrderType.LIMIT: "LIMIT",
    OrderType.STOP: "STOPMARKET",
    OrderType.STOP_LIMIT: "STOPLIMIT",
}
_TYPES = {theirs: ours for ours, theirs in TYPES.items()}
_TIFS = {"day": TimeInForce.DAY, "gtc": TimeInForce.GTC, "ioc": TimeInForce.IOC}
_STATES = {
    **dict.fromkeys(
        (
            *("initialized", "submitted", "accepted", "acceptedbyrisk", "triggerpending", "working"),
            *("changepending", "changesubmitted", "cancelpending", "cancelsubmitted", "partfilled", "unknown"),
        ),
        BrokerStatus.WORKING,
    ),
    "filled": BrokerStatus.FILLED,
    **dict.fromkeys(("cancelled", "canceled"), BrokerStatus.CANCELLED),
    "rejected": BrokerStatus.REJECTED,
}
_CURRENCIES = {
    "UsDollar": "USD",
    "Euro": "EUR",
    "BritishPound": "GBP",
    "CanadianDollar": "CAD",
    "AustralianDollar": "AUD",
    "JapaneseYen": "JPY",
    "SwissFranc": "CHF",
}
# A quote does not name its currency, so only exchanges that trade in one are taken.
_EXCHANGES = {
    **dict.fromkeys(("Globex", "Nymex", "Comex", "Cbot", "Cme", "Cfe", "Nybot"), "USD"),
    "Eurex": "EUR",
}
BAR_SIZES = {
    BarSize.MINUTE: ("minute", 1),
    BarSize.FIVE_MINUTES: ("minute", 5),
    BarSize.FIFTEEN_MINUTES: ("minute", 15),
    BarSize.HOUR: ("minute", 60),
    BarSize.DAY: ("day", 1),
}


_DATED = re.compile(r"([A-Z0-9]{1,8}) (0[1-9]|1[0-2])-([0-9]{2})")


def is_dated(symbol: str) -> bool:
    """A future by its month, such as ``ES 12-26``. A bare root means another contract after each roll."""
    return _DATED.fullmatch(symbol) is not None


def native_symbol(wanted: InstrumentId) -> str:
    """NinjaTrader's name of a future, ``ES 12-26``; empty for what is none."""
    if wanted.kind is not InstrumentKind.FUTURE or wanted.settle:
        return ""
    year, month = wanted.expiry.split("-")
    return f"{wanted.name} {month}-{year[2:]}"


def currency(told: Mapping[str, Any]) -> str:
    try:
        return _CURRENCIES[text(told.get("denomination"))]
    except KeyError as error:
        raise Garbled("Unknown currency.") from error


def account_state(account_id: str, told: Mapping[str, Any], now: datetime) -> AccountState:
    item, unit = record(told.get("item")), currency(told)
    cash, equity = number(item.get("cashValue")), number(item.get("netLiquidation"))
    # The simulator leaves the buying power at zero and counts the free margin.
    power = optional_number(item.get("buyingPower")) or number(item.get("excessInitialMargin"))
    return AccountState(
        account_id=account_id,
        currency=unit,
        cash=(Cash(currency=unit, total=cash, reserved=Decimal(0)),),
        positions_value=equity - cash,
        equity=equity,
        buying_power=power,
        as_of=now,
    )


def position_name(told: Mapping[str, Any]) -> str:
    return f"position {told.get('instrument') or '?'}"


def position(told: Mapping[str, Any], known: Instrument, now: datetime) -> Position:
    """Without a price of now it is shown at what it cost, and its source says so. Raises Garbled."""
    sign = {"long": 1, "short": -1}.get(_word(told.get("marketPosition")))
    if sign is None:
        raise Garbled(f"marketPosition {told.get('marketPosition')}")
    average, last = optional_number(told.get("averagePrice")), optional_number(told.get("marketPrice"))
    source = SOURCE
    if not last and average:
        last, source = average, f"{SOURCE}, at cost (no price)"
    if not last:
        raise Garbled("no price")
    quantity = sign * abs(number(told.get("quantity")))
    return Position(
        symbol=known.symbol,
        asset_class=known.asset_class,
        currency=known.currency,
        quantity=quantity,
        reserved=Decimal(0),
        average_price=average,
        last=last,
        market_value=quantity * last * known.multiplier,
        unrealized_pnl=optional_number(told.get("unrealizedProfitLoss")),
        source=source,
        as_of=now,
    )


def _word(value: Any) -> str:
    """One of NinjaTrader's own words without its case and spaces."""
    return value.replace(" ", "").casefold() if isinstance(value, str) else ""


def ticket(request: OrderRequest, symbol: str) -> dict[str, Any]:
    """One order as it is sent. ``orderId`` is our name for it: what NinjaTrader calls it may change."""
    told: dict[str, Any] = {
        "instrument": symbol,
        "action": request.side.value,
        "quantity": int(request.units),
        "orderType": TYPES[request.order_type],
        "timeInForce": request.tif.value,
        "orderId": request.client_order_id,
    }
    if request.limit_price is not None:
        told["limitPrice"] = request.limit_price
    if request.stop_price is not None:
        told["stopPrice"] = request.stop_price
    return told


def order_name(told: Mapping[str, Any]) -> str:
    return f"order {told.get('orderId') or '?'}"


def order(told: Mapping[str, Any], client_order_id: str, unknown: UnknownWords) -> BrokerOrder:
    """A state nobody knows is open: the order may still fill. What else nobody knows is left out and noted."""
    name, theirs = order_name(told), told.get("orderState")
    status, filled, quantity = _STATES.get(_word(theirs)), number(told.get("filled")), number(told.get("quantity"))
    reason = quoted_text(told.get("nativeError")) or quoted_text(told.get("comment"))
    if status is None:
        unknown.add(name, f"orderState {theirs}")
        reason = f"NinjaTrader reports the state {quoted_text(theirs, 40)!r}, which is not known here."
        status = BrokerStatus.FILLED if filled and filled == quantity else BrokerStatus.WORKING
    if status is BrokerStatus.WORKING and filled:
        status = BrokerStatus.PARTIALLY_FILLED
    action = _word(told.get("orderAction") or told.get("action"))
    side = next((side for word, side in (("buy", Side.BUY), ("sell", Side.SELL)) if action.startswith(word)), None)
    kind, tif = _TYPES.get(_word(told.get("orderType")).upper()), _TIFS.get(_word(told.get("timeInForce")))
    for field, found in (("orderAction", side), ("orderType", kind), ("timeInForce", tif)):
        if found is None and told.get(field) is not None:
            unknown.add(name, f"{field} {told[field]}")
    moved = told.get("epoch")
    return BrokerOrder(
        broker_order_id=text(told.get("orderId")),
        client_order_id=client_order_id,
        status=status,
        filled_quantity=filled,
        average_price=(optional_number(told.get("averageFillPrice")) or None) if filled else None,
        fees=Decimal(0),
        updated_at=epoch(moved) if moved else datetime.now(UTC),
        reason=reason,
        symbol=text(told.get("instrument")),
        side=side,
        order_type=kind,
        tif=tif,
        quantity=quantity,
        limit_price=optional_number(told.get("limitPrice")) if kind and kind.needs_limit else None,
        stop_price=optional_number(told.get("stopPrice")) if kind and kind.needs_stop else None,
    )


def instrument(told: Mapping[str, Any], now: datetime) -> Instrument:
    """From a quote. Raises Garbled for what is no future or trades in a currency the quote does not give away."""
    unit = _EXCHANGES.get(str(told.get("exchange")))
    if told.get("type") != "Future" or unit is None:
        raise Garbled("This is no future of an exchange whose currency is known.")
    symbol = text(told.get("instrument"))
    dated = _DATED.fullmatch(symbol)
    if dated is None:
        raise Garbled("A future with its month was expected.")
    return Instrument(
        symbol=symbol,
        name=str(told.get("description") or symbol),
        asset_class=AssetClass.FUTURE,
        exchange=text(told.get("exchange")),
        currency=unit,
        tick=number(told.get("tickSize")),
        lot=Decimal(1),
        minimum=Decimal(1),
        price_source=SOURCE,
        multiplier=number(told.get("pointValue")),
        hours=str(told.get("tradingHours") or ""),
        fetched_at=now,
        ticker=dated[1],
        expiry=f"20{dated[3]}-{dated[2]}",
        venue=venue_of(text(told.get("exchange"))),
    )


def quote(told: Mapping[str, Any], known: Instrument) -> Quote:
    bid, ask, last = (_price(told.get(name)) for name in ("bid", "ask", "last"))
    last, before = last or bid or ask, optional_number(told.get("close"))
    if last is None:
        raise Garbled("There is no price.")
    change = last - before if before else None
    feed = told.get("dataSource")
    live = not isinstance(feed, dict) or feed.get("status") in (None, "Live")
    source = SOURCE if live else f"{SOURCE}, data feed not live"
    return Quote(
        symbol=known.symbol,
        currency=known.currency,
        last=last,
        bid=bid or last,
        ask=ask or last,
        open=optional_number(told.get("open")),
        high=optional_number(told.get("high")),
        low=optional_number(told.get("low")),
        change=change,
        change_percent=round(change / before * 100, 2) if change is not None and before else None,
        as_of=epoch(told.get("epoch"), per_second=1),
        source=source if bid and ask else f"{source}, last trade (no quote)",
        volume=optional_number(told.get("volume")),
        instrument_id=known.instrument_id,
    )


def _price(value: Any) -> Decimal | None:
    """None also for 0, which stands where nobody quotes."""
    return optional_number(value) or None


def bars(told: Mapping[str, Any], size: BarSize) -> list[Bar]:
    """NinjaTrader stamps a bar with its end."""
    return [
        Bar(
            start=epoch(each.get("epoch")) - timedelta(seconds=size.seconds),
            open=number(each.get("open")),
            high=number(each.get("high")),
            low=number(each.get("low")),
            close=number(each.get("close")),
            volume=number(each.get("volume")),
        )
        for each in records(told.get("bars"))
    ]
