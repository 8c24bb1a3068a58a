"""Alpaca's words into ours. Raises Garbled for what its documents do not promise.

Source of every shape: Alpaca's OpenAPI documents, Trading API 2.0.1 and Market Data API 1.1.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from brokers import spreads
from brokers.errors import InvalidSymbol
from brokers.http import Garbled
from brokers.instrument_id import InstrumentId, InstrumentKind, venue_of
from brokers.json_values import quoted_text
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
    Fill,
    Instrument,
    Level,
    MarketDay,
    OptionContract,
    OptionRight,
    OrderBook,
    OrderClass,
    OrderRequest,
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
from brokers.unknown_words import UnknownWords

NEW_YORK = ZoneInfo("America/New_York")
_WITH_EXITS = re.compile("[0-9a-f]{32}(-[0-9a-f]{32}){1,2}")
_PAIRS_END_IN = ("USDT", "USDC", "USD", "BTC")

CLASSES = {"us_equity": AssetClass.STOCK, "crypto": AssetClass.CRYPTO, "us_option": AssetClass.OPTION}
"""Of what can be traded here."""
_CLASSES = {**CLASSES, "ipo": AssetClass.STOCK, "crypto_perp": AssetClass.PERPETUAL}
"""Of what an account can have."""
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
            *("pending_cancel", "pending_replace", "pending_review", "stopped", "suspended", "calculated"),
            "done_for_day",
        ),
        BrokerStatus.WORKING,
    ),
    "filled": BrokerStatus.FILLED,
    **dict.fromkeys(("canceled", "cancelled"), BrokerStatus.CANCELLED),
    "expired": BrokerStatus.EXPIRED,
    "replaced": BrokerStatus.CANCELLED,
    "rejected": BrokerStatus.REJECTED,
}
OPTION_EVENTS = ("OPEXC", "OPASN", "OPEXP", "OPTRD")
"""An exercise, an assignment and an expiry, which take contracts away, and the trade in shares of one."""
FILLS = ("FILL", *OPTION_EVENTS)
KINDS = {
    "trade": FILLS,
    "deposit": ("CSD",),
    "withdrawal": ("CSW",),
    "fee": ("FEE", "CFEE", "DIVFEE", "PTC"),
    "dividend": ("DIV", "DIVCGL", "DIVCGS", "DIVROC", "DIVTXEX", "CGD"),
    "tax": ("DIVFT", "DIVNRA", "DIVTW", "DIVWH", "INTNRA", "INTTW", "WH"),
    "interest": ("INT",),
    "split": ("SPLIT", "SSP"),
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


def word(value: Any) -> str:
    """One of Alpaca's own words, in whatever case it came; empty for none."""
    return value.strip().lower() if isinstance(value, str) else ""


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
        return _CLASSES[word(value)]
    except KeyError as error:
        raise Garbled(f"asset class {value}") from error


def guess_class(symbol: str) -> AssetClass:
    """From the symbol alone: activities do not name the class. An OCC option symbol ends in 15 fixed places."""
    tail = symbol[-15:]
    if spreads.parse(symbol) is not None:
        return AssetClass.OPTION
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
    cash, equity = number(told.get("cash")), number(told.get("equity") or told.get("portfolio_value"))
    free = optional_number(told.get("non_marginable_buying_power"))
    currency = text(told.get("currency"))
    worth = [optional_number(told.get(name)) for name in ("long_market_value", "short_market_value")]
    known = [each for each in worth if each is not None]
    margin = told.get("multiplier") is None or number(told["multiplier"]) != 1
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
        positions_value=sum(known, Decimal(0)) if len(known) == len(worth) else equity - cash,
        equity=equity,
        buying_power=number(told.get("buying_power")),
        as_of=now,
        initial_margin=optional_number(told.get("initial_margin")) if margin else None,
        maintenance_margin=optional_number(told.get("maintenance_margin")) if margin else None,
    )


def position(told: Mapping[str, Any], currency: str) -> Position:
    """Without a price of now it is shown at the last close or at what it cost, and its source says so."""
    kind = asset_class(told.get("asset_class"))
    size = abs(number(told.get("qty")))
    free = optional_number(told.get("qty_available"))
    quantity = -size if word(told.get("side")) == "short" else size
    average, worth = optional_number(told.get("avg_entry_price")), optional_number(told.get("market_value"))
    last, source = optional_number(told.get("current_price")), "Alpaca"
    units = quantity * multiplier(kind)
    if last is None and worth is not None and units:
        last = worth / units
    if last is None and (close := optional_number(told.get("lastday_price"))) is not None:
        last, source = close, "Alpaca, last close (no price)"
    if last is None and average is not None:
        last, source = average, "Alpaca, at cost (no price)"
    if last is None:
        raise Garbled("no price")
    return Position(
        symbol=pair(text(told.get("symbol")), kind),
        asset_class=kind,
        currency=currency,
        quantity=quantity,
        reserved=Decimal(0) if free is None else max(size - abs(free), Decimal(0)),
        average_price=average,
        last=last,
        market_value=units * last if worth is None else worth,
        unrealized_pnl=optional_number(told.get("unrealized_pl")),
        source=source,
    )


def position_name(told: Mapping[str, Any]) -> str:
    return f"position {told.get('symbol') or '?'}"


# -- orders ----------------------------------------------------------------------------------------------------


_PARENT, _WAITS = "parent_client_order_id", "waits_for_parent"
"""What is put into a leg's row here, from that of its order."""
OF_A_LEG = ("client_order_id", _PARENT)


def name_of(request: OrderRequest) -> str:
    """The client order id of an order at Alpaca. It gives an exit an id of its own, so our ids of them stand here:
    first the profit target, then the stop.
    """
    legs = sorted(request.legs, key=lambda leg: leg.order_type.needs_stop)
    return "-".join([request.client_order_id, *(leg.client_order_id for leg in legs)])


def our_ids(name: Any) -> list[str]:
    """Of an order and its exits, from its client order id at Alpaca."""
    text = str(name or "")
    return text.split("-") if _WITH_EXITS.fullmatch(text) else [text]


def with_legs(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The order, and each of its legs as a row that goes by our id."""
    own, *ids = our_ids(told.get("client_order_id"))
    rows = [{**told, "client_order_id": own}]
    legs = [each for each in told.get("legs") or () if isinstance(each, dict)]
    if is_spread(told):
        return [*rows, *({**each, "client_order_id": own, _PARENT: own} for each in legs)]
    for place, ours in enumerate(ids):
        stops = [word(each.get("type")) != "limit" for each in legs]
        fitting = [each for each, stop in zip(legs, stops, strict=True) if len(ids) == 1 or stop is bool(place)]
        newest = sorted(fitting, key=lambda each: str(each.get("created_at")))[-1:]
        waits = word(told.get("status")) != "filled" and word(told.get("order_class")) != "oco"
        rows += [{**each, "client_order_id": ours, _PARENT: own, _WAITS: waits} for each in newest]
    return rows


SPREAD = "mleg"
"""Alpaca's order class of several options in one order."""


def is_spread(told: Mapping[str, Any]) -> bool:
    """The order itself: it has no symbol of its own."""
    return word(told.get("order_class")) == SPREAD and not told.get("symbol")


def is_leg_of_spread(told: Mapping[str, Any]) -> bool:
    return word(told.get("order_class")) == SPREAD and bool(told.get("symbol"))


def legs_of(side: Side, spread: Spread) -> list[dict[str, str]]:
    """As they are sent. Whether a leg opens or closes a position is left to Alpaca, which knows the position."""
    traded = spread if side is Side.BUY else spread.turned
    return [
        {"symbol": leg.symbol, "side": "buy" if leg.sign > 0 else "sell", "ratio_qty": str(leg.ratio)}
        for leg in traded.legs
    ]


def net_price(side: Side, price: Decimal) -> Decimal:
    """A limit as Alpaca writes it for several legs: a debit is positive, a credit negative.

    Source: Alpaca's documents, "Options Level 3 Trading".
    """
    return price if side is Side.BUY else -price


def _spread_of(told: Mapping[str, Any]) -> tuple[Side, Spread] | None:
    """Which way it is traded, by the sign of its price, and the spread; None where its legs cannot be read."""
    legs = []
    for each in told.get("legs") or ():
        side, option = word(record(each).get("side")), parse_occ(str(each.get("symbol") or ""))
        ratio, of_whole = optional_number(each.get("ratio_qty")), optional_number(each.get("qty"))
        whole = optional_number(told.get("qty"))
        if ratio is None and of_whole and whole:
            ratio = of_whole / whole
        if option is None or side not in ("buy", "sell") or ratio is None or ratio % 1:
            return None
        legs.append(
            SpreadLeg(
                sign=1 if side == "buy" else -1,
                ratio=int(ratio),
                root=option.root,
                expiry=date.fromisoformat(option.expiry),
                right=option.right,
                strike=option.strike,
            )
        )
    try:
        made = spreads.make(legs)
    except ValueError:
        return None
    price = optional_number(told.get("limit_price")) or optional_number(told.get("filled_avg_price")) or Decimal(0)
    return (Side.SELL, made.turned) if price < 0 else (Side.BUY, made)


def may_be_leg(told: Mapping[str, Any]) -> bool:
    """Whether a row that is listed by itself can hang on another one."""
    if is_leg_of_spread(told):
        return True
    named = our_ids(told.get("client_order_id"))
    is_ours = len(named) > 1 or re.fullmatch("[0-9a-f]{32}", named[0]) is not None
    return word(told.get("order_class")) in ("bracket", "oco", "oto") and not is_ours


def order_name(told: Mapping[str, Any]) -> str:
    return f"order {told.get('id') or '?'}"


def order(told: Mapping[str, Any], fills: Sequence[Fill] = (), unknown: UnknownWords | None = None) -> BrokerOrder:
    """A status nobody knows is open: the order may still fill. What else nobody knows is left out and noted."""
    unknown = unknown or UnknownWords()
    name, theirs, filled = order_name(told), word(told.get("status")), optional_number(told.get("filled_qty"))
    filled, quantity = filled or Decimal(0), optional_number(told.get("qty"))
    status = _STATUSES.get(theirs)
    reason = {
        "rejected": "Alpaca rejected it.",
        "expired": "It expired.",
        "replaced": "Replaced by another order.",
    }.get(theirs, "")
    if status is None:
        unknown.add(name, f"status {told.get('status')}")
        reason = f"Alpaca reports the status {quoted_text(told.get('status'), 40)!r}, which is not known here."
        status = BrokerStatus.FILLED if quantity and filled == quantity else BrokerStatus.WORKING
    if status is BrokerStatus.WORKING and filled:
        status = BrokerStatus.FILLED if theirs == "calculated" and filled == quantity else BrokerStatus.PARTIALLY_FILLED
    legs = [each for each in told.get("legs") or () if isinstance(each, dict)]
    # An order of several legs in one has no symbol or side of its own.
    named = [str(each["symbol"]) for each in (told, *legs) if each.get("symbol")]
    symbol = named[0] if told.get("symbol") else " ".join(named)
    order_class = word(told.get("order_class"))
    spread = _spread_of(told) if is_spread(told) else None
    if spread is not None:
        symbol = spread[1].symbol
    elif is_spread(told) and legs:
        unknown.add(name, "order_class mleg: several legs in one order")
    limit, average = optional_number(told.get("limit_price")), optional_number(told.get("filled_avg_price"))
    stops = [optional_number(told.get("trail_price")), optional_number(told.get("trail_percent"))]
    made = told.get("created_at") or told.get("submitted_at")
    return BrokerOrder(
        broker_order_id=text(told.get("id")),
        client_order_id=our_ids(text(told.get("client_order_id")))[0],
        status=status,
        filled_quantity=filled,
        average_price=((average if spread is None else abs(average)) or None) if filled and average else None,
        fees=Decimal(0),
        updated_at=moment(told.get("updated_at") or made),
        reason=quoted_text(told.get("reject_reason")) or reason,
        fills=tuple(fills),
        symbol=pair(symbol, _class_of_order(told, symbol, unknown)),
        side=_side(told.get("side"), name, unknown) if spread is None else spread[0],
        order_type=_order_type(told, name, unknown),
        tif=_tif(told.get("time_in_force"), name, unknown),
        quantity=quantity,
        limit_price=abs(limit) if limit is not None and is_spread(told) and (spread or not legs) else limit,
        stop_price=optional_number(told.get("stop_price")),
        trail_amount=stops[0],
        trail_percent=stops[1],
        currency="USD",
        order_class=OrderClass(order_class) if order_class in tuple(OrderClass) else OrderClass.SIMPLE,
        parent_client_order_id=str(told.get(_PARENT) or ""),
        held=theirs == "held" and told.get(_WAITS, order_class != "oco"),
        created_at=None if made is None else moment(made),
    )


def _class_of_order(told: Mapping[str, Any], symbol: str, unknown: UnknownWords) -> AssetClass:
    if told.get("asset_class"):
        try:
            return asset_class(told["asset_class"])
        except Garbled as error:
            unknown.add(order_name(told), str(error))
    return guess_class(symbol)


def _side(value: Any, name: str, unknown: UnknownWords) -> Side | None:
    """``sell_short`` is a sale and ``buy_minus`` a purchase; of several legs the order has none."""
    found = {"buy": Side.BUY, "sell": Side.SELL}.get(word(value).partition("_")[0])
    if found is None and value:
        unknown.add(name, f"side {value}")
    return found


def _order_type(told: Mapping[str, Any], name: str, unknown: UnknownWords) -> OrderType | None:
    value = told.get("type") or told.get("order_type")
    found = _TYPES.get(word(value))
    if found is None:
        unknown.add(name, f"type {value}")
    return found


def _tif(value: Any, name: str, unknown: UnknownWords) -> TimeInForce | None:
    try:
        return TimeInForce(word(value).upper())
    except ValueError:
        unknown.add(name, f"time_in_force {value}")
        return None


def order_total(told: Mapping[str, Any]) -> Fill:
    """One fill for all that an order filled, for the moments in which its executions are not listed yet."""
    found = order(told)
    if found.side is None:
        raise Garbled("An order without a side.")
    return Fill(
        fill_id=f"{found.broker_order_id}:total",
        client_order_id=found.client_order_id,
        symbol=found.symbol,
        side=found.side,
        quantity=found.filled_quantity,
        price=number(told.get("filled_avg_price")),
        fee=Decimal(0),
        currency="USD",
        filled_at=found.updated_at,
        source="Alpaca, all executions of the order together",
    )


def activity_name(told: Mapping[str, Any]) -> str:
    return f"activity {told.get('id') or '?'}"


def is_cancelled(told: Mapping[str, Any]) -> bool:
    """An activity that was taken back: it moved nothing, or what it moved came back."""
    return word(told.get("status")) in ("canceled", "cancelled")


def fill(told: Mapping[str, Any], client_order_id: str) -> Fill:
    symbol = text(told.get("symbol"))
    side = _side(told.get("side"), activity_name(told), UnknownWords())
    if side is None:
        raise Garbled(f"side {told.get('side')}")
    return Fill(
        fill_id=text(told.get("id")),
        client_order_id=client_order_id,
        symbol=pair(symbol, guess_class(symbol)),
        side=side,
        quantity=abs(number(told.get("qty"))),
        price=number(told.get("price")),
        fee=Decimal(0),
        currency="USD",
        filled_at=moment(told.get("transaction_time")),
        source="Alpaca",
    )


def option_event(told: Mapping[str, Any]) -> Fill:
    """As a fill without an order: contracts leave at 0, shares come or go at the strike.

    Alpaca, "Non-Trade Activities for Option Events". Its example tells a price of 90 beside 30,000 for 200 shares: the
    money is right. Where no time of the day is told it is the end of the day in New York, after all that was traded.
    """
    symbol, moved = text(told.get("symbol")), number(told.get("qty"))
    paid, price = optional_number(told.get("net_amount")), optional_number(told.get("price"))
    is_trade = text(told.get("activity_type")).upper() == "OPTRD"
    if not moved or (is_trade and not paid and price is None):
        raise Garbled(f"qty {told.get('qty')}, net_amount {told.get('net_amount')}, price {told.get('price')}")
    created = told.get("created_at")
    if created:
        at = moment(created)
    else:
        at = datetime.combine(moment(told.get("date")).date(), time(23, 59, 59), NEW_YORK).astimezone(UTC)
    return Fill(
        fill_id=text(told.get("id")),
        client_order_id="",
        symbol=pair(symbol, guess_class(symbol)),
        side=Side.BUY if moved > 0 else Side.SELL,
        quantity=abs(moved),
        price=(abs(paid / moved) if paid else price or Decimal(0)) if is_trade else Decimal(0),
        fee=Decimal(0),
        currency="USD",
        filled_at=at,
        source="Alpaca",
    )


def transaction(told: Mapping[str, Any]) -> Transaction:
    theirs = text(told.get("activity_type")).upper()
    kind = _KINDS.get(theirs, "other")
    if theirs in FILLS:
        done = option_event(told) if theirs in OPTION_EVENTS else fill(told, "")
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
    kind = CLASSES.get(word(told.get("class")))
    if kind is None:
        raise Garbled(f"class {told.get('class')}")
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
    bid, ask, traded = (_price(each) for each in (top.get("bp"), top.get("ap"), trade.get("p")))
    last = traded or bid or ask
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


def _price(value: Any) -> Decimal | None:
    """None for 0, which is written where nobody quotes."""
    found = optional_number(value)
    return found if found is not None and found > 0 else None


def day(value: Any) -> date:
    try:
        return date.fromisoformat(text(value))
    except ValueError as error:
        raise Garbled("A day was expected.") from error


def dividend(told: Mapping[str, Any]) -> Dividend:
    """Of GET /v1/corporate-actions, ``cash_dividends``."""
    paid = told.get("payable_date")
    return Dividend(
        ex_date=day(told.get("ex_date")),
        amount=number(told.get("rate")),
        currency=str(told.get("currency") or "USD"),
        paid_on=day(paid) if paid else None,
    )


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
        status=TransferStatus.CANCELLED if is_cancelled(told) else TransferStatus.DONE,
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
    if not isinstance(told, dict) or not isinstance(told.get("message"), str):
        return None
    code = told.get("code")
    if isinstance(code, bool) or not re.fullmatch("[0-9]{1,12}", str(code)):
        return None
    return int(str(code)), _message(told["message"], secrets)


def message_alone(told: Any, *secrets: str) -> str:
    """The message of an error body without a code, as in ``{"message": "unauthorized"}``; empty for any other body."""
    if not isinstance(told, dict) or "code" in told or not isinstance(told.get("message"), str):
        return ""
    return _message(told["message"], secrets) or "no reason that can be shown"


def _message(value: str, secrets: Sequence[str]) -> str:
    message = "".join(each for each in value if each.isprintable())[:200]
    return "" if "://" in message or any(secret and secret in message for secret in secrets) else message
