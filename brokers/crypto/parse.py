"""ccxt's unified answers into our words. Every number comes as text and leaves as a Decimal."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from brokers.errors import BrokerUnavailable
from brokers.instrument_id import InstrumentId, InstrumentKind
from brokers.reading import quoted_text
from brokers.types import (
    AssetClass,
    Bar,
    BrokerOrder,
    BrokerStatus,
    Fill,
    Instrument,
    Level,
    OrderBook,
    OrderType,
    Print,
    Quote,
    Side,
    TimeInForce,
    Transaction,
    Transfer,
    TransferKind,
    TransferStatus,
)

Answer = Mapping[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATUS = {
    "open": BrokerStatus.WORKING,
    "closed": BrokerStatus.FILLED,
    "canceled": BrokerStatus.CANCELLED,
    "cancelled": BrokerStatus.CANCELLED,
    "expired": BrokerStatus.EXPIRED,
    "rejected": BrokerStatus.REJECTED,
}
_TIF = {"GTC": TimeInForce.GTC, "PO": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK}
_ADDRESS = re.compile(r"[!-~]{8,256}")
_TRANSFER = {
    "ok": TransferStatus.DONE,
    "failed": TransferStatus.FAILED,
    "canceled": TransferStatus.CANCELLED,
}
_LEDGER = {"trade": "trade", "fee": "fee", "deposit": "deposit", "withdrawal": "withdrawal"}


def number(value: Any) -> Decimal | None:
    """None for what the venue left out. Raises BrokerUnavailable for text that is no finite number."""
    if value is None or value == "":
        return None
    if isinstance(value, float):
        raise TypeError("A float has lost digits already.")
    try:
        found = Decimal(value)
    except InvalidOperation:
        found = Decimal("nan")
    if not found.is_finite():
        raise BrokerUnavailable("The broker sent a number that cannot be read.")
    return found


def number_or_zero(value: Any) -> Decimal:
    """0 for what was left out, where the venue leaves out zeros."""
    return number(value) or Decimal(0)


def address(value: Any) -> str:
    """Where coins are sent, to the letter. Raises BrokerUnavailable for text that can be none."""
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
        raise BrokerUnavailable("The broker sent an address that cannot be read.")
    return value


def moment(milliseconds: Any) -> datetime | None:
    return None if milliseconds in (None, "") else _EPOCH + timedelta(milliseconds=int(milliseconds))


def milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)


def instrument(market: Answer, venue: str, fetched_at: datetime) -> Instrument | None:
    """None for what we do not offer: options, and contracts that settle in the coin itself."""
    if market.get("swap"):
        kind = AssetClass.PERPETUAL
    elif market.get("future"):
        kind = AssetClass.FUTURE
    else:
        kind = AssetClass.CRYPTO
    offered = market.get("spot") or (market.get("linear") and (market.get("swap") or market.get("future")))
    tick, lot = number(market["precision"]["price"]), number(market["precision"]["amount"])
    if not offered or market.get("active") is False or not tick or not lot:
        return None
    limits, expires = market["limits"], moment(market.get("expiry"))
    return Instrument(
        symbol=market["symbol"],
        name=_name(market, kind),
        asset_class=kind,
        exchange=venue,
        currency=market["quote"],
        tick=tick,
        lot=lot,
        minimum=number(limits["amount"].get("min")) or lot,
        minimum_notional=number(limits["cost"].get("min")),
        price_source=venue,
        multiplier=number(market.get("contractSize")) or Decimal(1),
        hours="at all hours, every day",
        shortable=kind is not AssetClass.CRYPTO,
        base=market["base"],
        settle=market.get("settle") or "",
        expires=expires,
        fetched_at=fetched_at,
        venue=venue.replace(" ", "").lower(),
        expiry=f"{expires:%Y-%m-%d}" if expires and kind is AssetClass.FUTURE else "",
    )


def native_symbol(wanted: InstrumentId) -> str:
    """ccxt's name of it; empty for a kind that no venue here has."""
    if wanted.kind is InstrumentKind.CRYPTO:
        return wanted.pair
    if wanted.kind is InstrumentKind.PERPETUAL:
        return f"{wanted.pair}:{wanted.settle}"
    if wanted.kind is InstrumentKind.FUTURE and wanted.settle:
        return f"{wanted.pair}:{wanted.settle}-{wanted.expiry[2:].replace('-', '')}"
    return ""


def alphanumerics(symbol: str) -> str:
    return "".join(character for character in symbol.upper() if character.isalnum())


def _name(market: Answer, kind: AssetClass) -> str:
    pair = f"{market['base']} in {market['quote']}"
    return {AssetClass.PERPETUAL: f"{pair}, perpetual", AssetClass.FUTURE: f"{pair}, future"}.get(kind, pair)


def quote(ticker: Answer, found: Instrument, now: datetime) -> Quote:
    last = number(ticker.get("last"))
    bid, ask = number(ticker.get("bid")), number(ticker.get("ask"))
    if last is None or bid is None or ask is None:
        raise BrokerUnavailable(f"{found.exchange} quotes no price for {found.symbol} now.")
    return Quote(
        symbol=found.symbol,
        currency=found.currency,
        last=last,
        bid=bid,
        ask=ask,
        open=number(ticker.get("open")),
        high=number(ticker.get("high")),
        low=number(ticker.get("low")),
        change=number(ticker.get("change")),
        change_percent=number(ticker.get("percentage")),
        volume=number(ticker.get("baseVolume")),
        bid_size=number(ticker.get("bidVolume")),
        ask_size=number(ticker.get("askVolume")),
        as_of=moment(ticker.get("timestamp")) or now,
        source=found.price_source,
        instrument_id=found.instrument_id,
    )


def bar(row: list[Any]) -> Bar:
    start = moment(row[0])
    if start is None:
        raise BrokerUnavailable("The broker sent a bar without its time.")
    first, high, low, close, volume = (number_or_zero(each) for each in row[1:6])
    return Bar(start=start, open=first, high=high, low=low, close=close, volume=volume)


def book(answer: Answer, found: Instrument, depth: int, now: datetime) -> OrderBook:
    bids, asks = (
        tuple(Level(number_or_zero(level[0]), number_or_zero(level[1])) for level in answer[side][:depth])
        for side in ("bids", "asks")
    )
    return OrderBook(
        symbol=found.symbol,
        currency=found.currency,
        bids=bids,
        asks=asks,
        as_of=moment(answer.get("timestamp")) or now,
        source=found.price_source,
        simulated=False,
    )


def print_of(trade: Answer) -> Print:
    at = moment(trade.get("timestamp"))
    if at is None:
        raise BrokerUnavailable("The broker sent a trade without its time.")
    return Print(at=at, price=number_or_zero(trade.get("price")), size=number_or_zero(trade.get("amount")))


def fee_of(answer: Answer, found: Instrument, price: Decimal | None) -> tuple[Decimal, str, Decimal | None]:
    """The fee's worth in the instrument's currency; what it was charged in and how much, where that is another."""
    fees = [each for each in (answer.get("fees") or [answer.get("fee")]) if each and each.get("cost") not in (None, "")]
    total, asset, charged = Decimal(0), "", None
    for each in fees:
        cost, currency = number_or_zero(str(each["cost"])), each.get("currency") or found.currency
        if currency == found.currency:
            total += cost
            continue
        asset, charged = currency, (charged or Decimal(0)) + cost
        if currency == found.base and price is not None:
            total += cost * price
    return total, asset, charged


def fill(trade: Answer, found: Instrument, client_order_id: str) -> Fill:
    price, at = number_or_zero(trade.get("price")), moment(trade.get("timestamp"))
    if at is None:
        raise BrokerUnavailable("The broker sent a fill without its time.")
    fee, asset, charged = fee_of(trade, found, price)
    return Fill(
        fill_id=str(trade["id"]),
        client_order_id=client_order_id,
        symbol=found.symbol,
        side=Side(str(trade["side"]).upper()),
        quantity=number_or_zero(trade.get("amount")),
        price=price,
        fee=fee,
        fee_asset=asset,
        fee_charged=charged,
        currency=found.currency,
        filled_at=at,
        source=found.price_source,
    )


def status(answer: Answer, filled: Decimal) -> BrokerStatus:
    """A word we do not know is an order that is still watched."""
    found = _STATUS.get(str(answer.get("status")), BrokerStatus.WORKING)
    return BrokerStatus.PARTIALLY_FILLED if found is BrokerStatus.WORKING and filled else found


def order(answer: Answer, found: Instrument, now: datetime, fills: tuple[Fill, ...] = ()) -> BrokerOrder:
    filled = number_or_zero(answer.get("filled"))
    average = (number(answer.get("average")) or None) if filled else None
    stop = number(answer.get("triggerPrice")) or number(answer.get("stopLossPrice")) or None
    limit = number(answer.get("price")) or None
    kind = str(answer.get("type") or "")
    if stop is not None:
        order_type = OrderType.STOP if "market" in kind or limit is None else OrderType.STOP_LIMIT
    else:
        order_type = OrderType.MARKET if kind == "market" else OrderType.LIMIT
    stamp = answer.get("lastUpdateTimestamp") or answer.get("lastTradeTimestamp") or answer.get("timestamp")
    side = answer.get("side")
    fee, _, _ = fee_of(answer, found, average)
    return BrokerOrder(
        broker_order_id=str(answer.get("id") or ""),
        client_order_id=str(answer.get("clientOrderId") or ""),
        status=status(answer, filled),
        filled_quantity=filled,
        average_price=average,
        fees=sum((each.fee for each in fills), Decimal(0)) if fills else fee,
        updated_at=moment(stamp) or now,
        fills=fills,
        symbol=found.symbol,
        side=Side(str(side).upper()) if side else None,
        order_type=order_type,
        tif=_TIF.get(str(answer.get("timeInForce") or "GTC").upper(), TimeInForce.GTC),
        quantity=number(answer.get("amount")),
        limit_price=limit if order_type.needs_limit else None,
        stop_price=stop,
        currency=found.currency,
        created_at=moment(answer.get("timestamp")),
    )


def transaction(entry: Answer) -> Transaction:
    at = moment(entry.get("timestamp"))
    if at is None:
        raise BrokerUnavailable("The broker sent an entry without its time.")
    amount = number_or_zero(entry.get("amount"))
    if (direction := entry.get("direction")) is not None:
        amount = -abs(amount) if direction == "out" else abs(amount)
    kind = str(entry.get("type") or "other")
    if kind == "transaction":
        kind = "deposit" if amount >= 0 else "withdrawal"
    return Transaction(
        transaction_id=str(entry["id"]),
        at=at,
        kind=_LEDGER.get(kind, kind),
        currency=str(entry.get("currency") or ""),
        amount=amount,
    )


def transfer(answer: Answer) -> Transfer:
    """A deposit or withdrawal. A status we do not know is one that is not over."""
    at = moment(answer.get("timestamp"))
    if at is None:
        raise BrokerUnavailable("The broker sent a transfer without its time.")
    fee = (answer.get("fee") or {}).get("cost")
    return Transfer(
        transfer_id=str(answer.get("id") or answer.get("txid") or ""),
        at=at,
        kind=TransferKind.WITHDRAWAL if answer.get("type") == "withdrawal" else TransferKind.DEPOSIT,
        status=_TRANSFER.get(str(answer.get("status")), TransferStatus.PENDING),
        asset=str(answer.get("currency") or ""),
        amount=abs(number_or_zero(answer.get("amount"))),
        fee=None if fee is None else abs(number_or_zero(str(fee))),
        network=quoted_text(answer.get("network")),
        transaction_hash=quoted_text(answer.get("txid")),
    )
