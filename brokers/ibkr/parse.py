"""Interactive Brokers' words into ours. Raises Garbled for what its documents do not promise.

Source of every shape: IBKR Web API 1.0 (OpenAPI) and the Web API documents at ibkrcampus.com.
"""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace as with_changes
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from brokers import spreads
from brokers.decimals import plain
from brokers.http import Garbled
from brokers.instrument_id import InstrumentId, InstrumentKind, ticker_of, venue_of
from brokers.json_values import code, epoch, number, optional_number, quoted_text, record, records, text
from brokers.spreads import Spread, SpreadLeg
from brokers.symbol_lookup import occ_symbol, parse_occ
from brokers.types import (
    AccountState,
    AssetClass,
    Bar,
    BarSize,
    BrokerOrder,
    BrokerStatus,
    Cash,
    Dividend,
    Environment,
    Fill,
    FuturesContract,
    Instrument,
    InstrumentEvents,
    MarginEffect,
    OptionContract,
    OptionRight,
    OrderRequest,
    OrderType,
    Position,
    Quote,
    Side,
    TimeInForce,
)
from brokers.unknown_words import UnknownWords

SOURCE = "Interactive Brokers"

CLASSES = {
    "STK": AssetClass.STOCK,
    "OPT": AssetClass.OPTION,
    "FUT": AssetClass.FUTURE,
    "CASH": AssetClass.FOREX,
}
SEC_TYPES = {ours: theirs for theirs, ours in CLASSES.items()}
HELD = {**CLASSES, "FOP": AssetClass.OPTION, "CRYPTO": AssetClass.CRYPTO}
"""What an account can have of the classes that are known here; not all of it is traded here."""
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
_STATUSES = {
    **dict.fromkeys(
        (
            *("pendingsubmit", "presubmitted", "submitted", "pendingcancel", "precancelled", "apipending", "inactive"),
            "warnstate",
        ),
        BrokerStatus.WORKING,
    ),
    "filled": BrokerStatus.FILLED,
    **dict.fromkeys(("cancelled", "canceled", "apicancelled"), BrokerStatus.CANCELLED),
    "expired": BrokerStatus.EXPIRED,
    "rejected": BrokerStatus.REJECTED,
}
BAR_SIZES = {
    BarSize.MINUTE: "1min",
    BarSize.FIVE_MINUTES: "5min",
    BarSize.FIFTEEN_MINUTES: "15min",
    BarSize.HOUR: "1h",
    BarSize.DAY: "1d",
}
_AMERICAN = frozenset({"SMART", "NASDAQ", "ISLAND", "NYSE", "AMEX", "ARCA", "BATS", "IEX", "PINK"})
"""Exchanges of US stocks, whose sizes are told in hundreds."""
EVENT_FIELDS = ("31", "84", "86", "7286", "7288", "7686")
_EVENT_DAYS = ("%Y%m%d", "%Y-%m-%d", "%b %d, %Y", "%b %d '%y", "%d %b %Y")
QUOTE_FIELDS = ("31", "55", "70", "71", "82", "83", "84", "85", "86", "88", "7295", "7762")
"""Last, symbol, high, low, change, change %, bid, ask size, ask, bid size, open, volume."""

OPTION_FIELDS = ("31", "84", "86", "7308", "7309", "7310", "7311", "7633", "7638")
"""Last, bid, ask, delta, gamma, theta, vega, implied volatility in percent, open interest."""
_UNSET = Decimal("1e300")
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
    """Paper accounts begin with D (DU, DF, DI, DUM, DUH, DUP), live ones with U, F or I. Raises Garbled for any other.

    A letter more at the end names a part of an adviser's account.
    """
    if re.fullmatch(r"D[UFI][A-Z]{0,2}[0-9]+[A-Z]?", account_id.upper()):
        return Environment.PAPER
    if re.fullmatch(r"[UFI][A-Z]{0,2}[0-9]+[A-Z]?", account_id.upper()):
        return Environment.LIVE
    raise Garbled(f"account number {account_id}")


def word(value: Any) -> str:
    """One of IBKR's own words without its case, spaces and underscores: it writes them in several ways."""
    return re.sub(r"[ _]", "", value).casefold() if isinstance(value, str) else ""


# -- account ---------------------------------------------------------------------------------------------------------


def account_state(
    account_id: str,
    currency: str,
    ledger: Mapping[str, Any],
    summary: Mapping[str, Any],
    now: datetime,
    unknown: UnknownWords,
) -> AccountState:
    """Nothing is set aside for open orders: IBKR counts them in what can still be bought for."""
    purses = {name.upper(): record(held) for name, held in sorted(ledger.items())}
    base = record(purses.pop("BASE", None))
    cash, equity = number(base.get("cashbalance")), number(base.get("netliquidationvalue"))
    power = _amount(summary, "buyingpower")
    power = _amount(summary, "availablefunds") if power is None else power
    if power is None:
        raise Garbled("The buying power is missing.")
    return AccountState(
        account_id=account_id,
        currency=currency,
        cash=tuple(unknown.read_each(purses.items(), _purse, lambda each: f"cash in {each[0]}")),
        positions_value=equity - cash,
        equity=equity,
        buying_power=power,
        as_of=now,
        initial_margin=_amount(summary, "initmarginreq"),
        maintenance_margin=_amount(summary, "maintmarginreq"),
    )


def _purse(told: tuple[str, Mapping[str, Any]]) -> Cash:
    name, held = told
    return Cash(
        currency=name,
        total=number(held.get("cashbalance")),
        reserved=Decimal(0),
        settled=optional_number(held.get("settledcash")),
    )


def _amount(summary: Mapping[str, Any], name: str) -> Decimal | None:
    told = summary.get(name)
    return optional_number(told.get("amount")) if isinstance(told, dict) and told.get("isNull") is not True else None


def position(told: Mapping[str, Any], now: datetime) -> Position | None:
    """None for one that was closed. Raises Garbled for a class nobody here knows.

    Without a price of now it is shown at what it is worth or at what it cost, and its source says so.
    """
    quantity = number(told.get("position"))
    if not quantity:
        return None
    theirs = str(told.get("assetClass") or "").upper()
    kind = HELD.get(theirs)
    if kind is None:
        raise Garbled(f"assetClass {told.get('assetClass')}, worth {told.get('mktValue')} {told.get('currency')}")
    last, worth = optional_number(told.get("mktPrice")), optional_number(told.get("mktValue"))
    average, source = optional_number(told.get("avgPrice")), SOURCE
    units = quantity * (optional_number(told.get("multiplier")) or Decimal(1))
    if last is None and worth is not None:
        last = worth / units
    if last is None and average is not None:
        last, source = average, f"{SOURCE}, at cost (no price)"
    if last is None:
        raise Garbled("no price")
    option = re.search(r"\[([A-Z0-9. ]{1,6}[0-9]{6}[CP][0-9]{8})\b", str(told.get("contractDesc") or ""))
    ticker = option[1] if option else str(told.get("ticker") or told.get("contractDesc") or "?")
    return Position(
        symbol=symbol_of(ticker, code(told.get("conid"))),
        asset_class=kind,
        currency=text(told.get("currency")),
        quantity=quantity,
        reserved=Decimal(0),
        average_price=average,
        last=last,
        market_value=units * last if worth is None else worth,
        unrealized_pnl=optional_number(told.get("unrealizedPnl")),
        source=source,
        as_of=now,
    )


def position_name(told: Mapping[str, Any]) -> str:
    return f"position {told.get('contractDesc') or told.get('ticker') or told.get('conid') or '?'}"


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


SPREAD_CONID = "28812380"
"""Stands for several contracts in US dollars in one order, and before their numbers; IBKR calls such an order a BAG."""


def spread_ticket(request: OrderRequest, spread: Spread, conids: Mapping[str, str]) -> dict[str, Any]:
    """One order of several options as it is sent: always bought, its legs turned around where it is sold, so that a
    debit is a price above zero and a credit one below. ``conids``: by the symbol of each leg.

    Source: IBKR's Web API documents, "Combo / Spread Orders"; its users' guide, "Notes on Combination Orders".
    """
    told = ticket(request, SPREAD_CONID)
    del told["conid"]
    traded = spread if request.side is Side.BUY else spread.turned
    legs = ",".join(f"{conids[leg.symbol]}/{leg.sign * leg.ratio}" for leg in traded.legs)
    told |= {"conidex": f"{SPREAD_CONID};;;{legs}", "side": Side.BUY.value}
    if request.limit_price is not None and request.side is Side.SELL:
        told["price"] = -request.limit_price
    return told


def spread_legs(told: Mapping[str, Any]) -> list[tuple[str, int]]:
    """The contracts of an order of several and how many of each, below zero for what it sells; empty for any other.

    Raises Garbled.
    """
    named = str(told.get("conidex") or "")
    if ";;;" not in named:
        return []
    legs = [re.fullmatch(r"([0-9]{1,12})/([+-]?[0-9]{1,3})", each) for each in named.partition(";;;")[2].split(",")]
    found = [(each[1], int(each[2])) for each in legs if each is not None]
    if len(found) != len(legs):
        raise Garbled(f"conidex {named}")
    way = -1 if side(told.get("side")) is Side.SELL else 1
    return [(conid, way * ratio) for conid, ratio in found]


def spread_of(legs: Iterable[tuple[Instrument, int]]) -> Spread | None:
    """What an order buys and sells; None where that is no spread of options."""
    made = []
    for known, signed in legs:
        if known.asset_class is not AssetClass.OPTION or known.strike is None or not known.expiry:
            return None
        made.append(
            SpreadLeg(
                sign=1 if signed > 0 else -1,
                ratio=abs(signed),
                root=known.ticker,
                expiry=date.fromisoformat(known.expiry),
                right=known.right,
                strike=known.strike,
            )
        )
    try:
        return spreads.make(made)
    except ValueError:
        return None


def order_of_spread(told: BrokerOrder, traded: Spread, fills: list[Fill]) -> BrokerOrder:
    """``told`` as an order of ``traded``, with the fills of its legs. Who receives money sells."""
    way = -1 if told.side is Side.SELL else 1  # traded has the side in it already, the price has not
    sells = way * (told.limit_price or told.average_price or Decimal(0)) < 0
    spread = traded.turned if sells else traded
    average = told.average_price
    if average is None and told.filled_quantity:
        average = _net_of(fills, traded, told.filled_quantity)
    limit = told.limit_price
    return with_changes(
        told,
        symbol=spread.symbol,
        side=Side.SELL if sells else Side.BUY,
        limit_price=None if limit is None else abs(limit),
        average_price=None if average is None else abs(average),
        fills=tuple(fills),
        fees=sum((fill.fee for fill in fills), Decimal(0)),
        currency=told.currency or "USD",
    )


def _net_of(fills: Iterable[Fill], spread: Spread, quantity: Decimal) -> Decimal | None:
    """What one of ``quantity`` spreads came to; None unless the fills are all of it."""
    cost, mine = Decimal(0), list(fills)
    for leg in spread.legs:
        of_leg = [fill for fill in mine if leg.is_called(fill.symbol)]
        if sum((fill.quantity for fill in of_leg), Decimal(0)) != quantity * leg.ratio:
            return None
        cost += leg.sign * sum((fill.quantity * fill.price for fill in of_leg), Decimal(0))
    return round(cost / quantity, 12)


def is_whole(told: Mapping[str, Any]) -> bool:
    """Whether an execution is of several contracts as one: those of its legs are told beside it."""
    named = str(told.get("conidEx") or "")
    return str(told.get("sec_type")).upper() == "BAG" or ";;;" in named or str(told.get("conid")) == SPREAD_CONID


def executed_spread(client_order_id: str, spread: Spread, fills: list[Fill], wholes: list[Fill]) -> BrokerOrder | None:
    """As ``executed``, of several options: as many as were told as one, else as its legs have filled. IBKR does not
    document which of the two it tells."""
    done = sum((fill.quantity for fill in wholes), Decimal(0))
    if not wholes:
        units = {leg: sum((f.quantity for f in fills if leg.is_called(f.symbol)), Decimal(0)) for leg in spread.legs}
        done = min(each // leg.ratio for leg, each in units.items())
    if not done:
        return None
    bought = {leg.sign if fill.side is Side.BUY else -leg.sign for fill in fills for leg in spread.legs
              if leg.is_called(fill.symbol)}  # fmt: skip
    net = _net_of(fills, spread, done)
    if net is None and wholes:
        net = sum((fill.quantity * fill.price for fill in wholes), Decimal(0)) / done
    every = fills or wholes
    return BrokerOrder(
        broker_order_id="",
        client_order_id=client_order_id,
        status=BrokerStatus.FILLED,
        filled_quantity=done,
        average_price=None if net is None else abs(net),
        fees=sum((fill.fee for fill in every), Decimal(0)),
        updated_at=max(fill.filled_at for fill in every),
        fills=tuple(fills),
        symbol=spread.symbol,
        side=(Side.BUY if bought == {1} else Side.SELL) if len(bought) == 1 else None,
        currency="USD",
    )


def order_name(told: Mapping[str, Any]) -> str:
    return f"order {told.get('orderId') or '?'}"


def order(
    told: Mapping[str, Any], fills: Iterable[Fill], *, dead: bool = False, unknown: UnknownWords | None = None
) -> BrokerOrder:
    """From the list of live orders. ``dead``: IBKR says of an inactive order that it cannot be cancelled.

    A status nobody knows is open: the order may still fill. What else nobody knows is left out and noted.
    """
    unknown, name = unknown or UnknownWords(), order_name(told)
    status, theirs = _STATUSES.get(word(told.get("status"))), told.get("status")
    filled = optional_number(told.get("filledQuantity")) or Decimal(0)
    left = optional_number(told.get("remainingQuantity"))
    reason = quoted_text(told.get("order_cancellation_by_system_reason")) or quoted_text(told.get("text"))
    if status is None:
        unknown.add(name, f"status {theirs}")
        reason = reason or f"{SOURCE} reports the status {quoted_text(theirs, 40)!r}, which is not known here."
        status = BrokerStatus.FILLED if filled and left == 0 else BrokerStatus.WORKING
    if status is BrokerStatus.WORKING and dead:
        status = BrokerStatus.CANCELLED if filled else BrokerStatus.REJECTED
    if status is BrokerStatus.WORKING and filled:
        status = BrokerStatus.PARTIALLY_FILLED
    mine = tuple(fills)
    kind_word = told.get("origOrderType") or told.get("orderType")
    kind = order_type(kind_word)
    if kind is None:
        unknown.add(name, f"orderType {kind_word}")
    price, second = _price(told, "price", unknown), _price(told, "auxPrice", unknown)
    second = _price(told, "stop_price", unknown) if second is None else second
    stops = kind in (OrderType.STOP, OrderType.TRAIL)
    return BrokerOrder(
        broker_order_id=code(told.get("orderId")),
        client_order_id=str(told.get("order_ref") or ""),
        status=status,
        filled_quantity=filled,
        average_price=average(mine, filled) or (_price(told, "avgPrice", unknown) if filled else None) or None,
        fees=sum((fill.fee for fill in mine), Decimal(0)),
        updated_at=_moved(told) or datetime.now(UTC),
        reason=reason,
        fills=mine,
        symbol=symbol_of(str(told.get("ticker") or "?"), code(told.get("conid") or _first_number(told))),
        side=side_or_none(told.get("side"), name, unknown),
        order_type=kind,
        tif=_tif_or_none(told.get("timeInForce"), name, unknown),
        quantity=optional_number(told.get("totalSize")) or filled + (left or Decimal(0)),
        limit_price=None if stops else price,
        stop_price=(second or price) if stops else second,
        currency=str(told.get("cashCcy") or ""),
    )


def _first_number(told: Mapping[str, Any]) -> Any:
    """Of an order of several contracts, which need not have another number."""
    return str(told.get("conidex") or "").partition(";")[0] or None


def _price(told: Mapping[str, Any], field: str, unknown: UnknownWords) -> Decimal | None:
    """None also for what is written where there is none: a word, or the largest number there is."""
    try:
        found = optional_number(told.get(field))
    except Garbled:
        unknown.add(order_name(told), f"{field} {told.get(field)}")
        return None
    return None if found is not None and abs(found) > _UNSET else found


def _moved(told: Mapping[str, Any]) -> datetime | None:
    """When an order last changed: in milliseconds, or written YYMMDDhhmmss."""
    with suppress(Garbled):
        if told.get("lastExecutionTime_r"):
            return epoch(told["lastExecutionTime_r"])
    with suppress(ValueError):
        return datetime.strptime(str(told.get("lastExecutionTime")), "%y%m%d%H%M%S").replace(tzinfo=UTC)
    return None


def side_or_none(value: Any, name: str, unknown: UnknownWords) -> Side | None:
    try:
        return side(value)
    except Garbled as error:
        unknown.add(name, str(error))
        return None


def _tif_or_none(value: Any, name: str, unknown: UnknownWords) -> TimeInForce | None:
    found = tif(value)
    if found is None:
        unknown.add(name, f"timeInForce {value}")
    return found


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
    fee, unit = optional_number(told.get("commission")) or Decimal(0), str(told.get("commission_currency") or currency)
    return Fill(
        fill_id=text(told.get("execution_id")),
        client_order_id=str(told.get("order_ref") or ""),
        symbol=symbol_of(text(told.get("symbol")), code(told.get("conid"))),
        side=side(told.get("side")),
        quantity=abs(number(told.get("size"))),
        price=number(told.get("price")),
        fee=fee if unit == currency else Decimal(0),
        currency=currency,
        filled_at=_traded(told),
        source=SOURCE,
        fee_asset="" if unit == currency else unit,
        fee_charged=None if unit == currency else fee,
    )


def without_corrected(fills: Iterable[Fill]) -> list[Fill]:
    """Each execution once, as it was last corrected: a correction has the same id but for what follows the last dot."""
    newest: dict[str, Fill] = {}
    for each in fills:
        stem = each.fill_id.rpartition(".")[0] or each.fill_id
        if stem not in newest or newest[stem].fill_id < each.fill_id:
            newest[stem] = each
    return list(newest.values())


def fill_name(told: Mapping[str, Any]) -> str:
    return f"execution {told.get('execution_id') or '?'}"


def _traded(told: Mapping[str, Any]) -> datetime:
    if told.get("trade_time_r"):
        return epoch(told["trade_time_r"])
    try:
        return datetime.strptime(str(told.get("trade_time")), "%Y%m%d-%H:%M:%S").replace(tzinfo=UTC)
    except ValueError as error:
        raise Garbled("A time was expected.") from error


_SIDES = {
    **dict.fromkeys(("B", "BUY", "BOT", "BOUGHT"), Side.BUY),
    **dict.fromkeys(("S", "SELL", "SLD", "SOLD", "SS", "SSHORT", "SLONG"), Side.SELL),
}
"""SSHORT and SLONG, sold short and sold of what is held, are sales."""


def side(value: Any) -> Side:
    found = _SIDES.get(str(value).upper())
    if found is None:
        raise Garbled(f"side {value}")
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
    """Of GET /iserver/secdef/info, with its row of /iserver/marketdata/snapshot. Named as the contract itself."""
    named = InstrumentId(
        kind=InstrumentKind.OPTION,
        name=text(told.get("tradingClass") or told.get("symbol")),
        currency="",
        expiry=date_of(told.get("maturityDate")).isoformat(),
        right="P" if told.get("right") == "P" else "C",
        strike=number(told.get("strike")),
    )
    volatility = _figure(prices.get("7633"))
    return OptionContract(
        symbol=symbol_of(occ_symbol(named), code(told.get("conid"))),
        right=OptionRight.PUT if told.get("right") == "P" else OptionRight.CALL,
        strike=number(told.get("strike")),
        bid=price(prices.get("84")),
        ask=price(prices.get("86")),
        last=price(prices.get("31")),
        open_interest=_figure(prices.get("7638")),
        implied_volatility=None if volatility is None else volatility / 100,
        delta=_figure(prices.get("7308")),
        gamma=_figure(prices.get("7309")),
        theta=_figure(prices.get("7310")),
        vega=_figure(prices.get("7311")),
        as_of=epoch(prices["_updated"]) if prices.get("_updated") else None,
    )


def _figure(value: Any) -> Decimal | None:
    """What one field of a snapshot says; None for words and for short forms such as 1.2K, which are not exact.

    It may carry a letter before it, C for yesterday's close and H for a halt, and a percent sign behind it.
    """
    try:
        return optional_number(re.sub(r"^[A-Z]+|%$", "", value.strip()) if isinstance(value, str) else value)
    except Garbled:
        return None


def price(value: Any) -> Decimal | None:
    """None also for 0 and -1, which stand where nobody quotes."""
    found = _figure(value)
    return None if found in (0, -1) else found


def margin(estimate: Mapping[str, Any], currency: str) -> MarginEffect | None:
    """Of POST /iserver/account/{id}/orders/whatif; None where a part of it is missing."""
    initial, maintenance = record(estimate.get("initial") or {}), record(estimate.get("maintenance") or {})
    equity = money(record(estimate.get("equity") or {}).get("current"))
    held = money(initial.get("current"))
    change, after = money(initial.get("change")), money(initial.get("after"))
    kept_change, kept_after = money(maintenance.get("change")), money(maintenance.get("after"))
    if equity is None or held is None or change is None or after is None or kept_change is None or kept_after is None:
        return None
    return MarginEffect(
        currency=currency,
        available=equity - held,
        initial_change=change,
        initial_after=after,
        maintenance_change=kept_change,
        maintenance_after=kept_after,
    )


def events(told: Mapping[str, Any], known: Instrument, today: date, unknown: UnknownWords) -> InstrumentEvents:
    """Of a snapshot of ``EVENT_FIELDS``. The price of an instrument that is halted has an H before it."""
    last, ex_date = told.get("31"), _event_day(told, "7288", "dividend date", known, unknown)
    dividend = None
    if ex_date is not None and ex_date >= today:
        dividend = Dividend(ex_date=ex_date, amount=_figure(told.get("7286")), currency=known.currency)
    earnings = _event_day(told, "7686", "earnings date", known, unknown)
    return InstrumentEvents(
        next_dividend=dividend,
        earnings_date=earnings if earnings is None or earnings >= today else None,
        is_halted=isinstance(last, str) and last.startswith("H"),
    )


def _event_day(told: Mapping[str, Any], field: str, what: str, known: Instrument, unknown: UnknownWords) -> date | None:
    """IBKR does not document how it writes these days: one that is not read is named, never guessed."""
    value = told.get(field)
    if not isinstance(value, str) or not value.strip():
        return None
    for form in _EVENT_DAYS:
        with suppress(ValueError):
            return datetime.strptime(value.strip(), form).replace(tzinfo=UTC).date()
    unknown.add(f"instrument {known.symbol}", f"{what} {value}")
    return None


def has_prices(told: Mapping[str, Any]) -> bool:
    return any(price(told.get(field)) for field in ("31", "84", "86"))


def quote(told: Mapping[str, Any], known: Instrument) -> Quote:
    """A side nobody quotes is shown at the last trade, and the source says so."""
    bid, ask = price(told.get("84")), price(told.get("86"))
    last = price(told.get("31")) or bid or ask
    if not last:
        raise Garbled("There is no price.")
    letter = str(told.get("31"))[:1] if isinstance(told.get("31"), str) else ""
    source = SOURCE + {"C": ", yesterday's close", "H": ", trading halted"}.get(letter, "")
    moved = told.get("_updated")
    return Quote(
        symbol=known.symbol,
        currency=known.currency,
        last=last,
        bid=bid or last,
        ask=ask or last,
        open=price(told.get("7295")),
        high=price(told.get("70")),
        low=price(told.get("71")),
        change=_figure(told.get("82")),
        change_percent=_figure(told.get("83")),
        as_of=epoch(moved) if moved else datetime.now(UTC),
        source=source if bid and ask else f"{source}, last trade (no quote)",
        volume=_figure(told.get("7762")),
        bid_size=_size(told.get("88"), known),
        ask_size=_size(told.get("85"), known),
        instrument_id=known.instrument_id,
    )


def _size(value: Any, known: Instrument) -> Decimal | None:
    """In units: of US stocks IBKR tells hundreds."""
    found = _figure(value)
    american = known.asset_class is AssetClass.STOCK and known.currency == "USD" and known.exchange.upper() in _AMERICAN
    return None if found is None or found < 0 else found * 100 if american else found


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
