"""Alpaca's words into ours. Raises Garbled for what its documents do not promise.

Source of every shape: Alpaca's OpenAPI documents, Trading API 2.0.1 and Market Data API 1.1.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from brokers.errors import InvalidSymbol
from brokers.http import Garbled
from brokers.instrument_id import InstrumentId, InstrumentKind, venue_of
from brokers.symbol_lookup import occ_symbol, parse_occ
from brokers.types import (
    AccountState,
    AssetClass,
    Bar,
    BarSize,
    BrokerOrder,
    BrokerStatus,
    Cash,
    Fill,
    Instrument,
    Level,
    MarketDay,
    OptionContract,
    OptionRight,
    OrderBook,
    OrderType,
    Position,
    Print,
    Quote,
    SessionState,
    Side,
    TimeInForce,
    Transaction,
    Transfer,
    TransferKind,
    TransferStatus,
)

NEW_YORK = ZoneInfo("America/New_York")
_PAIRS_END_IN = ("USDT", "USDC", "USD", "BTC")

CLASSES = {"us_equity": AssetClass.STOCK, "crypto": AssetClass.CRYPTO, "us_option": AssetClass.OPTION}
TYPES = {
    OrderType.MARKET: "market",
    OrderType.LIMIT: "limit",
    OrderType.STOP: "stop",
    OrderType.STOP_LIMIT: "stop_limit",
    OrderType.TRAIL: "trailing_stop",
}
_TYPES = {theirs: ours for ours, theirs in TYPES.items()}
_STATUSES = {
    **dict.fromkeys(
        (
            *("new", "accepted", "pending_new", "accepted_for_bidding", "held", "partially_filled"),
            *("pending_cancel", "pending_replace", "stopped", "suspended", "calculated", "done_for_day"),
        ),
        BrokerStatus.WORKING,
    ),
    "filled": BrokerStatus.FILLED,
    "canceled": BrokerStatus.CANCELLED,
    "expired": BrokerStatus.EXPIRED,
    "replaced": BrokerStatus.CANCELLED,
    "rejected": BrokerStatus.REJECTED,
}
KINDS = {
    "trade": ("FILL", "OPTRD"),
    "deposit": ("CSD",),
    "withdrawal": ("CSW",),
    "fee": ("FEE", "CFEE", "DIVFEE", "PTC"),
    "dividend": ("DIV", "DIVCGL", "DIVCGS", "DIVROC", "DIVTXEX", "CGD"),
    "tax": ("DIVFT", "DIVNRA", "DIVTW", "INTNRA", "INTTW"),
    "interest": ("INT",),
    "transfer": ("JNL", "JNLC", "JNLS", "ACATC", "ACATS", "FOPT"),
}
"""Our word for a transaction → Alpaca's activity types. What is in none of them is ``other``."""
_KINDS = {theirs: ours for ours, each in KINDS.items() for theirs in each}

_MOVES = {
    "CSD": TransferKind.DEPOSIT,
    "CSW": TransferKind.WITHDRAWAL,
    **dict.fromkeys(("ACATC", "ACATS"), None),
    **dict.fromkeys(("JNL", "JNLC", "JNLS"), TransferKind.INTERNAL),
}
"""Activity type → what it is; None: by the sign of what it moved, from or to another broker."""
MOVES = tuple(_MOVES)

TIMEFRAMES = {
    BarSize.MINUTE: "1Min",
    BarSize.FIVE_MINUTES: "5Min",
    BarSize.FIFTEEN_MINUTES: "15Min",
    BarSize.HOUR: "1Hour",
    BarSize.DAY: "1Day",
}


# -- pieces ----------------------------------------------------------------------------------------------------


def record(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Garbled("An object was expected.")
    return value


def records(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise Garbled("A list was expected.")
    return [record(each) for each in value]


def number(value: Any) -> Decimal:
    """Exact, from the text Alpaca sends for money and from the numbers of its market data."""
    known = optional_number(value)
    if known is None:
        raise Garbled("A number is missing.")
    return known


def optional_number(value: Any) -> Decimal | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise Garbled("A number was expected.")
    try:
        found = Decimal(value)
    except InvalidOperation as error:
        raise Garbled("A number was expected.") from error
    if not found.is_finite():
        raise Garbled("A finite number was expected.")
    return found


def text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise Garbled("A text was expected.")
    return value


def moment(value: Any) -> datetime:
    try:
        found = datetime.fromisoformat(text(value))
    except ValueError as error:
        raise Garbled("A time was expected.") from error
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def stamp(value: datetime) -> str:
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def pair(symbol: str, kind: AssetClass) -> str:
    """Positions and activities write a pair of coins without its stroke: BTCUSD is BTC/USD."""
    if kind is not AssetClass.CRYPTO or "/" in symbol:
        return symbol
    ending = next((quote for quote in _PAIRS_END_IN if symbol.endswith(quote) and symbol != quote), None)
    return symbol if ending is None else f"{symbol.removesuffix(ending)}/{ending}"


def asset_class(value: Any) -> AssetClass:
    try:
        return CLASSES[text(value)]
    except KeyError as error:
        raise Garbled("Unknown asset class.") from error


def guess_class(symbol: str) -> AssetClass:
    """From the symbol alone: activities do not name the class. An OCC option symbol ends in 15 fixed places."""
    tail = symbol[-15:]
    if len(symbol) > 15 and tail[6] in "CP" and (tail[:6] + tail[7:]).isdecimal():
        return AssetClass.OPTION
    if "/" in symbol or (len(symbol) > 5 and symbol.endswith(_PAIRS_END_IN)):
        return AssetClass.CRYPTO
    return AssetClass.STOCK


def multiplier(kind: AssetClass) -> Decimal:
    return Decimal(100) if kind is AssetClass.OPTION else Decimal(1)


# -- account ---------------------------------------------------------------------------------------------------


def account_state(told: Mapping[str, Any], now: datetime) -> AccountState:
    """What Alpaca holds back of the cash is the difference to its cash buying power."""
    cash = number(told.get("cash"))
    free = optional_number(told.get("non_marginable_buying_power"))
    currency = text(told.get("currency"))
    return AccountState(
        account_id=text(told.get("account_number")),
        currency=currency,
        cash=(
            Cash(
                currency=currency,
                total=cash,
                reserved=Decimal(0) if free is None else max(cash - free, Decimal(0)),
            ),
        ),
        positions_value=number(told.get("long_market_value")) + number(told.get("short_market_value")),
        equity=number(told.get("equity")),
        buying_power=number(told.get("buying_power")),
        as_of=now,
    )


def position(told: Mapping[str, Any], currency: str) -> Position:
    kind = asset_class(told.get("asset_class"))
    size = abs(number(told.get("qty")))
    free = optional_number(told.get("qty_available"))
    sign = -1 if told.get("side") == "short" else 1
    return Position(
        symbol=pair(text(told.get("symbol")), kind),
        asset_class=kind,
        currency=currency,
        quantity=sign * size,
        reserved=Decimal(0) if free is None else max(size - abs(free), Decimal(0)),
        average_price=number(told.get("avg_entry_price")),
        last=number(told.get("current_price")),
        market_value=number(told.get("market_value")),
        unrealized_pnl=number(told.get("unrealized_pl")),
        source="Alpaca",
    )


# -- orders ----------------------------------------------------------------------------------------------------


def order(told: Mapping[str, Any], fills: Sequence[Fill] = ()) -> BrokerOrder:
    theirs, filled = text(told.get("status")), number(told.get("filled_qty"))
    try:
        status = _STATUSES[theirs]
        order_type = _TYPES[text(told.get("type"))]
        tif = TimeInForce(text(told.get("time_in_force")).upper())
        side = Side(text(told.get("side")).upper())
    except (KeyError, ValueError) as error:
        raise Garbled("Unknown order status.") from error
    quantity = optional_number(told.get("qty"))
    if status is BrokerStatus.WORKING and filled:
        status = BrokerStatus.FILLED if theirs == "calculated" and filled == quantity else BrokerStatus.PARTIALLY_FILLED
    reason = {
        "rejected": "Alpaca rejected it.",
        "expired": "It expired.",
        "replaced": "Replaced by another order.",
    }.get(theirs, "")
    kind = asset_class(told["asset_class"]) if told.get("asset_class") else guess_class(text(told.get("symbol")))
    return BrokerOrder(
        broker_order_id=text(told.get("id")),
        client_order_id=text(told.get("client_order_id")),
        status=status,
        filled_quantity=filled,
        average_price=optional_number(told.get("filled_avg_price")),
        fees=Decimal(0),
        updated_at=moment(told.get("updated_at") or told.get("created_at")),
        reason=reason,
        fills=tuple(fills),
        symbol=pair(text(told.get("symbol")), kind),
        side=side,
        order_type=order_type,
        tif=tif,
        quantity=quantity,
        limit_price=optional_number(told.get("limit_price")),
        stop_price=optional_number(told.get("stop_price")),
        trail_amount=optional_number(told.get("trail_price")),
        trail_percent=optional_number(told.get("trail_percent")),
        currency="USD",
        created_at=moment(told.get("created_at")),
    )


def order_total(told: Mapping[str, Any]) -> Fill:
    """One fill for all that an order filled, for the moments in which its executions are not listed yet."""
    found = order(told)
    return Fill(
        fill_id=f"{found.broker_order_id}:total",
        client_order_id=found.client_order_id,
        symbol=found.symbol,
        side=Side(found.side or Side.BUY),
        quantity=found.filled_quantity,
        price=number(told.get("filled_avg_price")),
        fee=Decimal(0),
        currency="USD",
        filled_at=found.updated_at,
        source="Alpaca, all executions of the order together",
    )


def fill(told: Mapping[str, Any], client_order_id: str) -> Fill:
    symbol = text(told.get("symbol"))
    # "sell_short" is a sale too.
    return Fill(
        fill_id=text(told.get("id")),
        client_order_id=client_order_id,
        symbol=pair(symbol, guess_class(symbol)),
        side=Side.BUY if text(told.get("side")) == "buy" else Side.SELL,
        quantity=number(told.get("qty")),
        price=number(told.get("price")),
        fee=Decimal(0),
        currency="USD",
        filled_at=moment(told.get("transaction_time")),
        source="Alpaca",
    )


def transaction(told: Mapping[str, Any]) -> Transaction:
    kind = _KINDS.get(text(told.get("activity_type")), "other")
    if told.get("activity_type") == "FILL":
        done = fill(told, "")
        sign = 1 if done.side is Side.BUY else -1
        return Transaction(
            transaction_id=done.fill_id,
            at=done.filled_at,
            kind=kind,
            currency="USD",
            amount=-sign * done.quantity * done.price * multiplier(guess_class(done.symbol)),
            symbol=done.symbol,
            quantity=sign * done.quantity,
            price=done.price,
        )
    symbol = told.get("symbol") or ""
    return Transaction(
        transaction_id=text(told.get("id")),
        at=moment(told.get("created_at") or told.get("date")),
        kind=kind,
        currency=told.get("currency") or "USD",
        amount=optional_number(told.get("net_amount")) or Decimal(0),
        symbol=pair(symbol, guess_class(symbol)) if symbol else "",
        # Of a dividend it is the shares that were held, which did not move.
        quantity=None if kind in ("dividend", "tax", "interest") else optional_number(told.get("qty")),
    )


# -- instruments and prices --------------------------------------------------------------------------------------


def instrument(told: Mapping[str, Any], now: datetime) -> Instrument:
    kind = asset_class(told.get("class"))
    coin = kind is AssetClass.CRYPTO
    lot = Decimal("0.000000001") if told.get("fractionable") else Decimal(1)
    if coin:
        lot = number(told.get("min_trade_increment"))
    symbol = pair(text(told.get("symbol")), kind)
    return Instrument(
        symbol=symbol,
        name=str(told.get("name") or symbol),
        asset_class=kind,
        exchange=str(told.get("exchange") or "Alpaca"),
        currency=symbol.partition("/")[2] or "USD",
        tick=number(told.get("price_increment")) if coin else Decimal("0.01"),
        lot=lot,
        minimum=number(told.get("min_order_size")) if coin else lot,
        price_source="Alpaca market data",
        hours="At all hours" if coin else "Weekdays 09:30 to 16:00 New York time",
        shortable=bool(told.get("shortable")),
        fetched_at=now,
        venue="alpaca" if coin else venue_of(str(told.get("exchange") or "")),
    )


def option(told: Mapping[str, Any], now: datetime) -> Instrument:
    symbol = text(told.get("symbol"))
    said = parse_occ(symbol)
    if said is None:
        raise Garbled("The symbol of an option was expected.")
    return Instrument(
        symbol=symbol,
        name=str(told.get("name") or told["symbol"]),
        asset_class=AssetClass.OPTION,
        exchange="OPRA",
        currency="USD",
        tick=Decimal("0.01"),
        lot=Decimal(1),
        minimum=Decimal(1),
        price_source="Alpaca market data",
        multiplier=number(told.get("multiplier")),
        hours="Weekdays 09:30 to 16:00 New York time",
        shortable=False,
        fetched_at=now,
        ticker=said.root,
        expiry=said.expiry,
        right=said.right,
        strike=said.strike,
    )


def native_symbol(wanted: InstrumentId) -> str:
    """What Alpaca calls it. Raises InvalidSymbol for a kind that it does not trade."""
    if wanted.is_share:
        return wanted.name
    if wanted.kind is InstrumentKind.CRYPTO:
        return wanted.pair
    if wanted.kind is InstrumentKind.OPTION:
        return occ_symbol(wanted)
    raise InvalidSymbol(f"Alpaca has no instrument {wanted}.")


def quote(told: Mapping[str, Any], symbol: str, source: str) -> Quote:
    """From a snapshot. A side nobody quotes is shown at the last trade, and the source says so."""
    trade, top = record(told.get("latestTrade") or {}), record(told.get("latestQuote") or {})
    day, before = record(told.get("dailyBar") or {}), record(told.get("prevDailyBar") or {})
    bid, ask = optional_number(top.get("bp")), optional_number(top.get("ap"))
    last = optional_number(trade.get("p")) or bid or ask
    if not last:
        raise Garbled("There is no price.")
    if not (bid and ask):
        source += ", last trade (no quote)"
    close = optional_number(before.get("c"))
    change = None if not close else last - close
    return Quote(
        symbol=symbol,
        currency=symbol.partition("/")[2] or "USD",
        last=last,
        bid=bid or last,
        ask=ask or last,
        open=optional_number(day.get("o")),
        high=optional_number(day.get("h")),
        low=optional_number(day.get("l")),
        change=change,
        change_percent=None if change is None or not close else round(change / close * 100, 2),
        as_of=moment(top.get("t") or trade.get("t")),
        source=source,
        volume=optional_number(day.get("v")),
        bid_size=optional_number(top.get("bs")),
        ask_size=optional_number(top.get("as")),
    )


def day(value: Any) -> date:
    try:
        return date.fromisoformat(text(value))
    except ValueError as error:
        raise Garbled("A day was expected.") from error


def chain_row(contract: Mapping[str, Any], snapshot: Mapping[str, Any]) -> OptionContract:
    """Of GET /v2/options/contracts and, where it has prices, of GET /v1beta1/options/snapshots."""
    try:
        right = OptionRight(text(contract.get("type")))
    except ValueError as error:
        raise Garbled("A call or a put was expected.") from error
    top, trade = record(snapshot.get("latestQuote") or {}), record(snapshot.get("latestTrade") or {})
    greeks = record(snapshot.get("greeks") or {})
    when = top.get("t") or trade.get("t")
    return OptionContract(
        symbol=text(contract.get("symbol")),
        right=right,
        strike=number(contract.get("strike_price")),
        bid=optional_number(top.get("bp")),
        ask=optional_number(top.get("ap")),
        last=optional_number(trade.get("p")),
        open_interest=optional_number(contract.get("open_interest")),
        implied_volatility=optional_number(snapshot.get("impliedVolatility")),
        delta=optional_number(greeks.get("delta")),
        gamma=optional_number(greeks.get("gamma")),
        theta=optional_number(greeks.get("theta")),
        vega=optional_number(greeks.get("vega")),
        rho=optional_number(greeks.get("rho")),
        as_of=moment(when) if when else None,
    )


def transfer(told: Mapping[str, Any]) -> Transfer:
    """Of GET /v2/account/activities, those of ``MOVES``."""
    moved, units = optional_number(told.get("net_amount")) or Decimal(0), optional_number(told.get("qty"))
    value = units if not moved and units is not None else moved
    kind = _MOVES.get(text(told.get("activity_type")))
    return Transfer(
        transfer_id=text(told.get("id")),
        at=moment(told.get("created_at") or told.get("date")),
        kind=kind or (TransferKind.WITHDRAWAL if value < 0 else TransferKind.DEPOSIT),
        status=TransferStatus.CANCELLED if told.get("status") == "canceled" else TransferStatus.DONE,
        asset=str(told.get("symbol") or "") if value is units else str(told.get("currency") or "USD"),
        amount=abs(value),
    )


def bar(told: Mapping[str, Any]) -> Bar:
    opened, high, low, close, volume = (number(told.get(name)) for name in "ohlcv")
    return Bar(start=moment(told.get("t")), open=opened, high=high, low=low, close=close, volume=volume)


def one_print(told: Mapping[str, Any]) -> Print:
    return Print(at=moment(told.get("t")), price=number(told.get("p")), size=number(told.get("s")))


def book(told: Mapping[str, Any], symbol: str, depth: int) -> OrderBook:
    def levels(name: str, *, falling: bool) -> tuple[Level, ...]:
        rows = [Level(number(each.get("p")), number(each.get("s"))) for each in records(told.get(name) or [])]
        standing = [level for level in rows if level.size]
        return tuple(sorted(standing, key=lambda level: level.price, reverse=falling)[:depth])

    return OrderBook(
        symbol=symbol,
        currency=symbol.partition("/")[2] or "USD",
        bids=levels("b", falling=True),
        asks=levels("a", falling=False),
        as_of=moment(told.get("t")),
        source="Alpaca crypto order book",
        simulated=False,
    )


# -- hours -----------------------------------------------------------------------------------------------------


def us_day(calendar: Sequence[Mapping[str, Any]], clock: Mapping[str, Any], day: date, until: date) -> MarketDay:
    """``calendar`` covers ``day`` to ``until``; days without a session are not in it."""
    sessions = {date.fromisoformat(text(each.get("date"))): _hours(each) for each in calendar}
    exceptions = []
    for offset in range((until - day).days + 1):
        each = day + timedelta(days=offset)
        if each not in sessions and each.weekday() < 5:
            exceptions.append((each, "holiday"))
        elif each in sessions and sessions[each][1].astimezone(NEW_YORK).time() < time(16):
            exceptions.append((each, "early_close"))
    opens, closes = sessions.get(day, (None, None))
    if opens is None:
        why = "weekend" if day.weekday() >= 5 else "holiday"
    else:
        why = "early_close" if (day, "early_close") in exceptions else "regular"
    return MarketDay(
        market="US",
        name="US stocks and options",
        time_zone="America/New_York",
        day=day,
        opens=opens,
        closes=closes,
        why=why,
        state=SessionState.OPEN if clock.get("is_open") is True else SessionState.CLOSED,
        next_open=moment(clock.get("next_open")),
        next_close=moment(clock.get("next_close")),
        exceptions=tuple(exceptions),
        asset_classes=frozenset({AssetClass.STOCK, AssetClass.ETF, AssetClass.OPTION}),
    )


def _hours(told: Mapping[str, Any]) -> tuple[datetime, datetime]:
    day = date.fromisoformat(text(told.get("date")))
    opens, closes = (time.fromisoformat(text(told.get(name))) for name in ("open", "close"))
    return tuple(datetime.combine(day, at, NEW_YORK).astimezone(UTC) for at in (opens, closes))  # type: ignore[return-value]


def error_details(told: Any, *secrets: str) -> tuple[int, str] | None:
    """Code and message of Alpaca's own error body; None for any other body."""
    if not isinstance(told, dict) or not isinstance(told.get("code"), int) or not isinstance(told.get("message"), str):
        return None
    message = "".join(each for each in told["message"] if each.isprintable())[:200]
    if "://" in message or any(secret and secret in message for secret in secrets):
        message = ""
    return told["code"], message
