"""ccxt's unified answers into our words. Every number comes as text and leaves as a Decimal."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from brokers.crypto import unknown_word_counts
from brokers.errors import BrokerUnavailable
from brokers.instrument_id import InstrumentId, InstrumentKind
from brokers.json_values import quoted_text
from brokers.types import (
    AssetClass,
    Bar,
    BrokerOrder,
    BrokerStatus,
    Fill,
    Instrument,
    Level,
    OrderBook,
    OrderClass,
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
TIFS = {"GTC": TimeInForce.GTC, "PO": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK}
_ADDRESS = re.compile(r"[!-~]{8,256}")
_TRANSFER = {
    "ok": TransferStatus.DONE,
    "failed": TransferStatus.FAILED,
    "canceled": TransferStatus.CANCELLED,
}
_PLACED_WITHIN = timedelta(minutes=2)
_LEDGER = {"trade": "trade", "fee": "fee", "deposit": "deposit", "withdrawal": "withdrawal"}


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueTerms:
    """What an order is, as its venue wrote it. ``order_type`` and ``tif`` are None for what has no word here."""

    order_type: OrderType | None
    tif: TimeInForce | None = TimeInForce.GTC
    quantity: Decimal | None = None
    limit_price: Decimal | None = None
    stop_price: Decimal | None = None
    """The trigger, that of a take-profit too."""
    trail_amount: Decimal | None = None
    trail_percent: Decimal | None = None
    reason: str = ""
    """The venue's words on why it ended early."""
    order_class: OrderClass = OrderClass.SIMPLE
    parent_client_order_id: str = ""
    held: bool = False
    """It waits for its parent to fill."""


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


def positive(value: Any) -> Decimal | None:
    """A price or a size; None also for 0 and for the negative numbers by which venues say that there is none."""
    found = number(value)
    return found if found is not None and found > 0 else None


def number_or_zero(value: Any) -> Decimal:
    """0 for what was left out, where the venue leaves out zeros."""
    return number(value) or Decimal(0)


def address(value: Any) -> str:
    """Where coins are sent, to the letter. Raises BrokerUnavailable for text that can be none."""
    if not isinstance(value, str) or not _ADDRESS.fullmatch(value):
        raise BrokerUnavailable("The broker sent an address that cannot be read.")
    return value


def moment(milliseconds: Any) -> datetime | None:
    """None for a time that was left out; 0 and less stand for that too."""
    at = positive(str(milliseconds)) if milliseconds not in (None, "") else None
    return None if at is None else at_milliseconds(at)


def at_milliseconds(value: Decimal) -> datetime:
    """Raises BrokerUnavailable for a time that no calendar has."""
    try:
        return _EPOCH + timedelta(milliseconds=int(value))
    except OverflowError:
        raise BrokerUnavailable("The broker sent a time that cannot be read.") from None


def iso_moment(text: Any) -> datetime | None:
    """Of RFC 3339 with any number of decimals; None for what is no time, or the year 1."""
    try:
        at = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return at if at.year > 1970 else None


def milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)


def instrument(market: Answer, venue: str, fetched_at: datetime, *, base_is: str = "") -> Instrument | None:
    """None for what we do not offer: options, and contracts that settle in the coin itself.

    ``asset_class`` comes from an adapter whose venue has more than coins among its spot markets. ``base_is`` is what is
    traded, where that is no coin: ``stock``.
    """
    if market.get("swap"):
        kind = AssetClass.PERPETUAL
    elif market.get("future"):
        kind = AssetClass.FUTURE
    else:
        kind = AssetClass(market.get("asset_class", AssetClass.CRYPTO))
    offered = market.get("spot") or (market.get("linear") and (market.get("swap") or market.get("future")))
    tick, lot = number(market["precision"]["price"]), number(market["precision"]["amount"])
    if not offered or market.get("active") is False or not tick or not lot:
        return None
    limits, expires = market["limits"], moment(market.get("expiry"))
    return Instrument(
        symbol=market["symbol"],
        name=_name(market, kind, base_is),
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
        shortable=not market.get("spot"),
        base=market["base"],
        settle=market.get("settle") or "",
        expires=expires,
        fetched_at=fetched_at,
        venue="" if kind is AssetClass.FOREX else venue.replace(" ", "").lower(),
        expiry=f"{expires:%Y-%m-%d}" if expires and kind is AssetClass.FUTURE else "",
    )


def native_symbol(wanted: InstrumentId) -> str:
    """ccxt's name of it; empty for a kind that no venue here has."""
    if wanted.kind in (InstrumentKind.CRYPTO, InstrumentKind.FOREX):
        return wanted.pair
    if wanted.kind is InstrumentKind.PERPETUAL:
        return f"{wanted.pair}:{wanted.settle}"
    if wanted.kind is InstrumentKind.FUTURE and wanted.settle:
        return f"{wanted.pair}:{wanted.settle}-{wanted.expiry[2:].replace('-', '')}"
    return ""


def alphanumerics(symbol: str) -> str:
    return "".join(character for character in symbol.upper() if character.isalnum())


def _name(market: Answer, kind: AssetClass, base_is: str) -> str:
    pair = f"{market['base']} in {market['quote']}"
    on = f" on a {base_is}" if base_is else ""
    spot = f"{pair}, tokenised {base_is}" if base_is else pair
    return {AssetClass.PERPETUAL: f"{pair}, perpetual{on}", AssetClass.FUTURE: f"{pair}, future{on}"}.get(kind, spot)


def quote(ticker: Answer, found: Instrument, now: datetime) -> Quote:
    last = positive(ticker.get("last"))
    bid, ask = positive(ticker.get("bid")), positive(ticker.get("ask"))
    if last is None or bid is None or ask is None:
        raise BrokerUnavailable(f"{found.exchange} quotes no price for {found.symbol} now.")
    return Quote(
        symbol=found.symbol,
        currency=found.currency,
        last=last,
        bid=bid,
        ask=ask,
        open=positive(ticker.get("open")),
        high=positive(ticker.get("high")),
        low=positive(ticker.get("low")),
        change=number(ticker.get("change")),
        change_percent=number(ticker.get("percentage")),
        volume=number(ticker.get("baseVolume")),
        bid_size=positive(ticker.get("bidVolume")),
        ask_size=positive(ticker.get("askVolume")),
        as_of=moment(ticker.get("timestamp")) or now,
        source=found.price_source,
        instrument_id=found.instrument_id,
    )


def bar(row: list[Any]) -> Bar:
    start, prices = moment(row[0]), [positive(each) for each in row[1:5]]
    first, high, low, close = prices
    if start is None or first is None or high is None or low is None or close is None:
        raise BrokerUnavailable("The broker sent a bar without its time or its prices.")
    return Bar(start=start, open=first, high=high, low=low, close=close, volume=number_or_zero(row[5]))


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
    at, price = moment(trade.get("timestamp")), positive(trade.get("price"))
    if at is None or price is None:
        raise BrokerUnavailable("The broker sent a trade without its time or its price.")
    return Print(at=at, price=price, size=number_or_zero(trade.get("amount")))


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
    price, at, side = number_or_zero(trade.get("price")), moment(trade.get("timestamp")), side_of(trade.get("side"))
    if at is None or side is None:
        raise BrokerUnavailable("The broker sent a fill without its time or its side.")
    fee, asset, charged = fee_of(trade, found, price)
    return Fill(
        fill_id=str(trade["id"]),
        client_order_id=client_order_id,
        symbol=found.symbol,
        side=side,
        quantity=number_or_zero(trade.get("amount")),
        price=price,
        fee=fee,
        fee_asset=asset,
        fee_charged=charged,
        currency=found.currency,
        filled_at=at,
        source=found.price_source,
    )


def side_of(word: Any) -> Side | None:
    """None for what is neither of the two."""
    try:
        return Side(str(word).upper())
    except ValueError:
        return None


class Readable(list[Any]):
    """What could be read of a page, and how many rows it had."""

    rows = 0


UNREADABLE = (BrokerUnavailable, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What reading a row raises that is not in the form its documents give it."""


def readable(rows: Iterable[Any], read: Callable[[Any], Any], venue: str, what: str) -> Readable:
    """Each as ``read`` has it; an unreadable row is counted and left out, and never takes the rest with it."""
    found = Readable()
    for row in rows:
        found.rows += 1
        try:
            found.append(read(row))
        except UNREADABLE:
            unknown_word_counts.note(venue, f"unreadable {what}")
    return found


def status(answer: Answer, filled: Decimal, venue: str = "") -> BrokerStatus:
    """A word we do not know is an order that is still watched."""
    found = _STATUS.get(str(answer.get("status")))
    if found is None:
        found = BrokerStatus.WORKING
        if answer.get("status") not in _STILL_OPEN:
            unknown_word_counts.note(venue, "order status", answer.get("status"))
    return BrokerStatus.PARTIALLY_FILLED if found is BrokerStatus.WORKING and filled else found


_STILL_OPEN = frozenset({"canceling", "CANCEL_QUEUED", "EDIT_QUEUED", "PENDING", "QUEUED", "PENDING_NEW"})
_ENDED_EARLY = (BrokerStatus.CANCELLED, BrokerStatus.EXPIRED, BrokerStatus.REJECTED)


def unplaced_exit(venue: str, filled: Decimal, ended: datetime | None, now: datetime) -> tuple[str, str]:
    """What became of an exit that its venue placed nothing of, and why. Its order ended then, having filled so much."""
    if not filled:
        return "canceled", "Its order ended before it filled."
    if ended is None or now - ended > _PLACED_WITHIN:
        return "rejected", f"{venue} lists no exit of this order: look there whether one is open."
    return "open", ""


def order(answer: Answer, found: Instrument, now: datetime, fills: tuple[Fill, ...] = ()) -> BrokerOrder:
    """``answer`` is ccxt's reading of it with the venue's own ``terms``, which say what kind of order it is."""
    terms: VenueTerms = answer["terms"]
    filled = positive(answer.get("filled")) or Decimal(0)
    average = positive(answer.get("average")) if filled else None
    if filled and average is None and fills and (units := sum((each.quantity for each in fills), Decimal(0))):
        average = sum((each.price * each.quantity for each in fills), Decimal(0)) / units
    stamps = [moment(answer.get(name)) for name in ("lastUpdateTimestamp", "lastTradeTimestamp", "timestamp")]
    fee, _, _ = fee_of(answer, found, average)
    stands = status(answer, filled, found.exchange)
    # Of an order by what to spend it is known once it has filled.
    quantity = terms.quantity or (filled if filled and stands is BrokerStatus.FILLED else None)
    return BrokerOrder(
        broker_order_id=str(answer.get("id") or ""),
        client_order_id=str(answer.get("clientOrderId") or ""),
        status=stands,
        filled_quantity=filled,
        average_price=average,
        fees=sum((each.fee for each in fills), Decimal(0)) if fills else fee,
        updated_at=max((each for each in stamps if each), default=now),
        reason=terms.reason if stands in _ENDED_EARLY else "",
        fills=fills,
        symbol=found.symbol,
        side=side_of(answer.get("side")),
        order_type=terms.order_type,
        tif=terms.tif,
        quantity=quantity,
        limit_price=terms.limit_price,
        stop_price=terms.stop_price,
        trail_amount=terms.trail_amount,
        trail_percent=terms.trail_percent,
        order_class=terms.order_class,
        parent_client_order_id=terms.parent_client_order_id,
        held=terms.held and stands.is_open,
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
