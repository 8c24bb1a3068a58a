"""Interactive Brokers' words into ours. Raises Garbled for what its documents do not promise.

Source of every shape: IBKR Web API 1.0 (OpenAPI) and the Web API documents at ibkrcampus.com.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from brokers.decimals import plain
from brokers.http import Garbled
from brokers.instrument_id import ticker_of, venue_of
from brokers.reading import code, epoch, number, optional_number, quoted_text, record, records, text
from brokers.symbol_lookup import parse_occ
from brokers.types import (
    AccountState,
    AssetClass,
    Bar,
    BarSize,
    BrokerOrder,
    BrokerStatus,
    Cash,
    Environment,
    Fill,
    FuturesContract,
    Instrument,
    OptionContract,
    OptionRight,
    OrderRequest,
    OrderType,
    Position,
    Quote,
    Side,
    TimeInForce,
)

SOURCE = "Interactive Brokers"

CLASSES = {
    "STK": AssetClass.STOCK,
    "OPT": AssetClass.OPTION,
    "FUT": AssetClass.FUTURE,
    "CASH": AssetClass.FOREX,
}
SEC_TYPES = {ours: theirs for theirs, ours in CLASSES.items()}
TYPES = {
    OrderType.MARKET: "MKT",
    OrderType.LIMIT: "LMT",
    OrderType.STOP: "STP",
    OrderType.STOP_LIMIT: "STOP_LIMIT",
    OrderType.TRAIL: "TRAIL",
}
# A list of orders writes the types out, sometimes with underscores, sometimes with spaces.
_TYPES = {
    "MKT": OrderType.MARKET,
    "MARKET": OrderType.MARKET,
    "LMT": OrderType.LIMIT,
    "LIMIT": OrderType.LIMIT,
    "STP": OrderType.STOP,
    "STOP": OrderType.STOP,
    "STOPLIMIT": OrderType.STOP_LIMIT,
    "STPLMT": OrderType.STOP_LIMIT,
    "TRAIL": OrderType.TRAIL,
    "TRAILINGSTOP": OrderType.TRAIL,
}
_WORKING = ("PendingSubmit", "PreSubmitted", "Submitted", "PendingCancel", "PreCancelled", "ApiPending", "Inactive")
_STATUSES = {
    **dict.fromkeys(_WORKING, BrokerStatus.WORKING),
    "Filled": BrokerStatus.FILLED,
    "Cancelled": BrokerStatus.CANCELLED,
    "ApiCancelled": BrokerStatus.CANCELLED,
    "Expired": BrokerStatus.EXPIRED,
    "Rejected": BrokerStatus.REJECTED,
}
BAR_SIZES = {
    BarSize.MINUTE: "1min",
    BarSize.FIVE_MINUTES: "5min",
    BarSize.FIFTEEN_MINUTES: "15min",
    BarSize.HOUR: "1h",
    BarSize.DAY: "1d",
}
QUOTE_FIELDS = ("31", "55", "70", "71", "82", "83", "84", "85", "86", "88", "7295", "7762")
"""Last, symbol, high, low, change, change %, bid, ask size, ask, bid size, open, volume."""

OPTION_FIELDS = ("31", "84", "86", "7308", "7309", "7310", "7311", "7633", "7638")
"""Last, bid, ask, delta, gamma, theta, vega, implied volatility in percent, open interest."""
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


# -- names -----------------------------------------------------------------------------------------------------------


def symbol_of(ticker: str, conid: str) -> str:
    """One ticker means several contracts at IBKR, so its number is part of our name for it."""
    return f"{ticker.replace(' ', '')}@{conid}"


def conid_of(symbol: str) -> str | None:
    """The contract number in one of our names; None for a bare ticker."""
    found = re.fullmatch(r"[^@]{1,24}@([0-9]{1,12})", symbol)
    return found[1] if found else None


def environment(account_id: str) -> Environment:
    """Paper accounts begin with D (DU, DF, DI), live ones with U, F or I. Raises Garbled for any other."""
    if re.fullmatch(r"D[UFI][0-9]+", account_id):
        return Environment.PAPER
    if re.fullmatch(r"[UFI][0-9]+", account_id):
        return Environment.LIVE
    raise Garbled("Unknown account number.")


# -- account ---------------------------------------------------------------------------------------------------------


def account_state(
    account_id: str, currency: str, ledger: Mapping[str, Any], summary: Mapping[str, Any], now: datetime
) -> AccountState:
    """Nothing is set aside for open orders: IBKR counts them in what can still be bought for."""
    base = record(ledger.get("BASE"))
    cash, equity = number(base.get("cashbalance")), number(base.get("netliquidationvalue"))
    purses = [(name, record(held)) for name, held in sorted(ledger.items()) if name != "BASE"]
    return AccountState(
        account_id=account_id,
        currency=currency,
        cash=tuple(
            Cash(
                currency=name,
                total=number(held.get("cashbalance")),
                reserved=Decimal(0),
                settled=optional_number(held.get("settledcash")),
            )
            for name, held in purses
        ),
        positions_value=equity - cash,
        equity=equity,
        buying_power=number(record(summary.get("buyingpower")).get("amount")),
        as_of=now,
    )


def position(told: Mapping[str, Any], now: datetime) -> Position | None:
    """None for one that was closed, and for a kind of security nobody here trades."""
    kind, quantity = CLASSES.get(str(told.get("assetClass"))), number(told.get("position"))
    if kind is None or not quantity:
        return None
    return Position(
        symbol=symbol_of(str(told.get("ticker") or told.get("contractDesc") or "?"), code(told.get("conid"))),
        asset_class=kind,
        currency=text(told.get("currency")),
        quantity=quantity,
        reserved=Decimal(0),
        average_price=optional_number(told.get("avgPrice")),
        last=number(told.get("mktPrice")),
        market_value=number(told.get("mktValue")),
        unrealized_pnl=optional_number(told.get("unrealizedPnl")),
        source=SOURCE,
        as_of=now,
    )


# -- orders ----------------------------------------------------------------------------------------------------------


def ticket(request: OrderRequest, conid: str) -> dict[str, Any]:
    """One order as it is sent."""
    told: dict[str, Any] = {
        "conid": int(conid),
        "orderType": TYPES[request.order_type],
        "side": request.side.value,
        "tif": request.tif.value,
        "quantity": request.units,
        "outsideRTH": request.outside_rth,
        "cOID": request.client_order_id,
    }
    if request.limit_price is not None:
        told["price"] = request.limit_price
    if request.stop_price is not None:
        # A stop alone is sent as the price; beside a limit it is the second one.
        told["price" if request.limit_price is None else "auxPrice"] = request.stop_price
    if request.trail_amount is not None:
        told |= {"trailingType": "amt", "trailingAmt": request.trail_amount}
    if request.trail_percent is not None:
        told |= {"trailingType": "%", "trailingAmt": request.trail_percent}
    return told


def order(told: Mapping[str, Any], fills: Iterable[Fill], *, dead: bool = False) -> BrokerOrder:
    """From the list of live orders. ``dead``: IBKR says of an inactive order that it cannot be cancelled."""
    status = _STATUSES.get(text(told.get("status")))
    if status is None:
        raise Garbled("Unknown order status.")
    filled = optional_number(told.get("filledQuantity")) or Decimal(0)
    if status is BrokerStatus.WORKING and dead:
        status = BrokerStatus.CANCELLED if filled else BrokerStatus.REJECTED
    if status is BrokerStatus.WORKING and filled:
        status = BrokerStatus.PARTIALLY_FILLED
    mine = tuple(fills)
    kind = order_type(told.get("origOrderType") or told.get("orderType"))
    price, second = optional_number(told.get("price")), optional_number(told.get("auxPrice") or told.get("stop_price"))
    stops = kind in (OrderType.STOP, OrderType.TRAIL)
    ended = told.get("order_cancellation_by_system_reason")
    moved = told.get("lastExecutionTime_r")
    return BrokerOrder(
        broker_order_id=code(told.get("orderId")),
        client_order_id=str(told.get("order_ref") or ""),
        status=status,
        filled_quantity=filled,
        average_price=average(mine, filled) or optional_number(told.get("avgPrice")),
        fees=sum((fill.fee for fill in mine), Decimal(0)),
        updated_at=epoch(moved) if moved else datetime.now(UTC),
        reason=quoted_text(ended),
        fills=mine,
        symbol=symbol_of(str(told.get("ticker") or "?"), code(told.get("conid"))),
        side=side(told.get("side")),
        order_type=kind,
        tif=tif(told.get("timeInForce")),
        quantity=optional_number(told.get("totalSize"))
        or filled + (optional_number(told.get("remainingQuantity")) or Decimal(0)),
        limit_price=None if stops else price,
        stop_price=(second or price) if stops else second,
        currency=str(told.get("cashCcy") or ""),
    )


def executed(client_order_id: str, fills: list[Fill]) -> BrokerOrder:
    """An order of an earlier day: IBKR lists it no more, only what was executed of it, and that is final."""
    done = sum((fill.quantity for fill in fills), Decimal(0))
    return BrokerOrder(
        broker_order_id="",
        client_order_id=client_order_id,
        status=BrokerStatus.FILLED,
        filled_quantity=done,
        average_price=average(tuple(fills), done),
        fees=sum((fill.fee for fill in fills), Decimal(0)),
        updated_at=max(fill.filled_at for fill in fills),
        fills=tuple(fills),
        symbol=fills[0].symbol,
        side=fills[0].side,
        currency=fills[0].currency,
    )


def average(fills: tuple[Fill, ...], quantity: Decimal) -> Decimal | None:
    """None unless the executions are all of it."""
    done = sum((fill.quantity for fill in fills), Decimal(0))
    if not quantity or done != quantity:
        return None
    return round(sum((fill.quantity * fill.price for fill in fills), Decimal(0)) / done, 12)


def fill(told: Mapping[str, Any], currency: str) -> Fill:
    return Fill(
        fill_id=text(told.get("execution_id")),
        client_order_id=str(told.get("order_ref") or ""),
        symbol=symbol_of(text(told.get("symbol")), code(told.get("conid"))),
        side=side(told.get("side")),
        quantity=number(told.get("size")),
        price=number(told.get("price")),
        fee=optional_number(told.get("commission")) or Decimal(0),
        currency=currency,
        filled_at=epoch(told.get("trade_time_r")),
        source=SOURCE,
    )


def side(value: Any) -> Side:
    found = {"B": Side.BUY, "BUY": Side.BUY, "S": Side.SELL, "SELL": Side.SELL}.get(str(value).upper())
    if found is None:
        raise Garbled("Unknown side.")
    return found


def order_type(value: Any) -> OrderType | None:
    return _TYPES.get(re.sub(r"[ _]", "", str(value)).upper())


def tif(value: Any) -> TimeInForce | None:
    try:
        return TimeInForce({"CLOSE": "DAY"}.get(str(value).upper(), str(value).upper()))
    except ValueError:
        return None


# -- contracts and prices --------------------------------------------------------------------------------------------


def instrument(told: Mapping[str, Any], now: datetime) -> Instrument:
    """From info-and-rules. Raises Garbled also for a kind of security nobody here trades."""
    kind = CLASSES.get(str(told.get("instrument_type")))
    if kind is None:
        raise Garbled("A kind of security that is not traded here.")
    rules = record(told.get("rules"))
    tick = optional_number(rules.get("increment"))
    steps = [optional_number(each.get("increment")) for each in records(rules.get("incrementRules") or [])]
    # Steps grow with the price: the smallest refuses nothing IBKR would take, and IBKR has the last word.
    known = [step for step in (tick, *steps) if step]
    if not known:
        raise Garbled("The price step is missing.")
    lot = optional_number(rules.get("sizeIncrement"))
    conid = code(told.get("con_id"))
    ticker = text(told.get("local_symbol") or told.get("symbol"))
    expiry = optional_number(told.get("maturity_date"))
    option = parse_occ(ticker) if kind is AssetClass.OPTION else None
    return Instrument(
        symbol=symbol_of(ticker, conid),
        name=str(told.get("company_name") or told.get("text") or ticker),
        asset_class=kind,
        exchange=str(told.get("exchange") or "SMART"),
        currency=text(told.get("currency")),
        tick=min(known),
        lot=Decimal(1) if kind is AssetClass.STOCK or not lot else lot,
        minimum=Decimal(1) if kind is AssetClass.STOCK or not lot else lot,
        price_source=SOURCE,
        multiplier=optional_number(told.get("multiplier")) or Decimal(1),
        hours="As the exchange trades",
        expires=None if expiry is None else day(plain(expiry)),
        fetched_at=now,
        ticker=option.root if option else ticker_of(str(told.get("symbol") or "")),
        venue="" if option or kind is AssetClass.FOREX else venue_of(str(told.get("exchange") or "")),
        expiry=option.expiry if option else month(told.get("contract_month")),
        right=option.right if option else "",
        strike=option.strike if option else None,
    )


def month(value: Any) -> str:
    """YYYY-MM of a month of delivery written YYYYMM; empty for none."""
    found = re.fullmatch(r"([0-9]{4})(0[1-9]|1[0-2])", str(value))
    return f"{found[1]}-{found[2]}" if found else ""


def near(listed: Iterable[tuple[str, str]], delivery: str) -> list[str]:
    """Contracts whose last day (YYYYMMDD) can be that of a month of delivery: of some it is weeks before it."""
    first = datetime.strptime(delivery, "%Y-%m").replace(tzinfo=UTC)
    return [conid for conid, last in listed if first - timedelta(45) <= day(last) <= first + timedelta(40)]


def day(value: str) -> datetime:
    """The end of a day written YYYYMMDD."""
    try:
        return datetime.strptime(value, "%Y%m%d").replace(tzinfo=UTC) + timedelta(days=1)
    except ValueError as error:
        raise Garbled("A day was expected.") from error


def date_of(value: Any) -> date:
    """Written YYYYMMDD, as a number or a text."""
    try:
        return datetime.strptime(plain(number(value)), "%Y%m%d").replace(tzinfo=UTC).date()
    except ValueError as error:
        raise Garbled("A day was expected.") from error


def month_of(value: date) -> str:
    """In the words of IBKR's search: DEC26."""
    return f"{_MONTHS[value.month - 1]}{value.year % 100:02d}"


def future(told: Mapping[str, Any]) -> FuturesContract:
    """Of GET /trsrv/futures."""
    last = told.get("ltd")
    return FuturesContract(
        symbol=symbol_of(text(told.get("symbol")), code(told.get("conid"))),
        expires=date_of(told.get("expirationDate")),
        last_trade=None if last in (None, "") else date_of(last),
    )


def option_contract(told: Mapping[str, Any], prices: Mapping[str, Any]) -> OptionContract:
    """Of GET /iserver/secdef/info, with its row of /iserver/marketdata/snapshot."""
    volatility = _greek(prices.get("7633"))
    return OptionContract(
        symbol=symbol_of(text(told.get("symbol")), code(told.get("conid"))),
        right=OptionRight.PUT if told.get("right") == "P" else OptionRight.CALL,
        strike=number(told.get("strike")),
        bid=price(prices.get("84")),
        ask=price(prices.get("86")),
        last=price(prices.get("31")),
        open_interest=_greek(prices.get("7638")),
        implied_volatility=None if volatility is None else volatility / 100,
        delta=_greek(prices.get("7308")),
        gamma=_greek(prices.get("7309")),
        theta=_greek(prices.get("7310")),
        vega=_greek(prices.get("7311")),
        as_of=epoch(prices["_updated"]) if prices.get("_updated") else None,
    )


def _greek(value: Any) -> Decimal | None:
    """None also for words and short forms such as 1.2K, which would not be exact."""
    try:
        return optional_number(value.removesuffix("%") if isinstance(value, str) else value)
    except Garbled:
        return None


def price(value: Any) -> Decimal | None:
    """A price may carry a letter: C for yesterday's close, H for a halt."""
    return optional_number(re.sub(r"^[A-Z]+", "", value) if isinstance(value, str) else value)


def has_prices(told: Mapping[str, Any]) -> bool:
    return any(price(told.get(field)) for field in ("31", "84", "86"))


def quote(told: Mapping[str, Any], known: Instrument) -> Quote:
    """A side nobody quotes is shown at the last trade, and the source says so."""
    bid, ask = price(told.get("84")), price(told.get("86"))
    last = price(told.get("31")) or bid or ask
    if not last:
        raise Garbled("There is no price.")
    closed = isinstance(told.get("31"), str) and str(told["31"]).startswith("C")
    source = SOURCE + (", yesterday's close" if closed else "")
    return Quote(
        symbol=known.symbol,
        currency=known.currency,
        last=last,
        bid=bid or last,
        ask=ask or last,
        open=price(told.get("7295")),
        high=price(told.get("70")),
        low=price(told.get("71")),
        change=price(told.get("82")),
        change_percent=price(told.get("83")),
        as_of=epoch(told.get("_updated")),
        source=source if bid and ask else f"{source}, last trade (no quote)",
        volume=price(told.get("7762")),
        bid_size=price(told.get("88")),
        ask_size=price(told.get("85")),
        instrument_id=known.instrument_id,
    )


def bars(told: Mapping[str, Any]) -> list[Bar]:
    factor = optional_number(told.get("volumeFactor")) or Decimal(1)
    return [
        Bar(
            start=epoch(each.get("t")),
            open=number(each.get("o")),
            high=number(each.get("h")),
            low=number(each.get("l")),
            close=number(each.get("c")),
            volume=number(each.get("v")) * factor,
        )
        for each in records(told.get("data"))
    ]


def money(value: Any) -> Decimal | None:
    """The last amount in words such as "1.1 ... 1.2 USD": of a range, the most."""
    found = re.findall(r"-?[0-9][0-9,]*\.?[0-9]*", value) if isinstance(value, str) else []
    return optional_number(found[-1]) if found else None
