"""What Coinbase converts one for one, without a market: fiat and the stablecoins that stand for it.

A conversion is asked for by a quote, which moves nothing, and made by committing that quote, once. Coinbase knows it by
the quote's id alone. Source: docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/convert/.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from brokers.crypto import parse, unknown_word_counts
from brokers.decimals import plain
from brokers.errors import BrokerUnavailable, InsufficientFunds, InsufficientPosition, InvalidOrder, NotSupported
from brokers.json_values import quoted_text
from brokers.types import (
    AssetClass,
    BrokerOrder,
    BrokerStatus,
    Fill,
    Instrument,
    OrderRequest,
    OrderType,
    Quote,
    Side,
)

_VENUE = "Coinbase"
_PAIRS = ("USDC/USD", "PYUSD/USD", "PYUSD/USDC", "EURC/EUR")
_CENT = Decimal("0.01")
_ONE = Decimal(1)
_LONGEST_ID = 64
_STATUSES = {
    "TRADE_STATUS_STARTED": BrokerStatus.WORKING,
    "TRADE_STATUS_COMPLETED": BrokerStatus.FILLED,
    # Nobody can cancel a conversion: it is Coinbase that did not make it.
    "TRADE_STATUS_CANCELED": BrokerStatus.REJECTED,
}
_NOT_COMMITTED = "TRADE_STATUS_CREATED"
_SPENT = "Coinbase would not convert exactly what was asked for: it names another amount. Nothing was converted."


def _instrument(symbol: str) -> Instrument:
    base, _, currency = symbol.partition("/")
    return Instrument(
        symbol=symbol,
        name=f"{base} in {currency}, converted one for one",
        asset_class=AssetClass.CRYPTO,
        exchange=_VENUE,
        currency=currency,
        tick=_CENT,
        lot=_CENT,
        minimum=_CENT,
        price_source="one for one, as Coinbase converts",
        hours="at all hours, every day",
        shortable=False,
        base=base,
        venue="coinbase",
    )


INSTRUMENTS: Mapping[str, Instrument] = {each: _instrument(each) for each in _PAIRS}


def pair_of(symbol: str) -> str:
    """The pair that converts the two currencies of ``symbol``, whichever stands first; "" where there is none."""
    asked = {parse.alphanumerics(each) for each in symbol.replace("-", "/").split("/")}
    return next((each for each in _PAIRS if set(each.split("/")) == asked), "")


def check_kind(request: OrderRequest) -> None:
    """Raises NotSupported for an order that would wait."""
    if request.order_type is not OrderType.MARKET or request.legs:
        raise NotSupported(f"Coinbase converts {request.symbol} at once: only MKT orders without exits.")


def price(found: Instrument, now: datetime) -> Quote:
    """Coinbase asks and pays one for one; what it charges is in the quote of an amount."""
    return Quote(
        symbol=found.symbol,
        currency=found.currency,
        last=_ONE,
        bid=_ONE,
        ask=_ONE,
        open=None,
        high=None,
        low=None,
        change_percent=None,
        as_of=now,
        source=found.price_source,
        instrument_id=found.instrument_id,
    )


def accounts(request: OrderRequest) -> dict[str, str]:
    """From which currency into which."""
    base, _, currency = request.symbol.partition("/")
    source, target = (currency, base) if request.side is Side.BUY else (base, currency)
    return {"from_account": source, "to_account": target}


def _amount(request: OrderRequest) -> Decimal:
    """What is converted, in the currency it is converted from."""
    found = request.notional if request.quantity is None else request.quantity
    assert found is not None  # checked: one of the two is there
    return found


def quote_body(request: OrderRequest) -> dict[str, str]:
    """Of POST /api/v3/brokerage/convert/quote."""
    return {**accounts(request), "amount": plain(_amount(request))}


def check_covered(request: OrderRequest, balance: parse.Answer) -> None:
    """Whether there is as much as is to be converted. Raises InsufficientFunds, InsufficientPosition."""
    source, amount = accounts(request)["from_account"], _amount(request)
    free = parse.number_or_zero(balance.get(source, {}).get("free"))
    if amount <= free:
        return
    words = f"There are {plain(free)} {source} free at Coinbase, and {plain(amount)} would be converted."
    if request.side is Side.BUY:
        raise InsufficientFunds(words, needed=amount, available=free)
    raise InsufficientPosition(words, available=free)


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """A trade of Coinbase's, a quote or one that was committed."""

    trade_id: str
    status: BrokerStatus | None
    """None: it was not committed."""
    units: Decimal
    """Of the pair's first currency, bought or sold."""
    fee: Decimal
    """In the pair's second currency, which is worth as much."""
    reason: str


def read(answer: Any, request: OrderRequest) -> Conversion:
    """Of an answer with a ``trade`` in it. Raises BrokerUnavailable for one that cannot be read."""
    try:
        return _read(answer["trade"], request)
    except parse.UNREADABLE as error:
        if isinstance(error, BrokerUnavailable):
            raise
        raise BrokerUnavailable("Coinbase gave a conversion that could not be read.") from None


def _read(trade: Mapping[str, Any], request: OrderRequest) -> Conversion:
    trade_id, word, why = str(trade["id"]), str(trade.get("status")), trade.get("cancellation_reason")
    if not 0 < len(trade_id) <= _LONGEST_ID:
        raise BrokerUnavailable("Coinbase gave a conversion without an id.")
    if word != _NOT_COMMITTED and word not in _STATUSES:
        unknown_word_counts.note(_VENUE, "status of a conversion", word)
        raise BrokerUnavailable(f"Coinbase gave this conversion a status that is not known ({quoted_text(word, 60)}).")
    fee = _value(trade.get("total_fee"), "amount") or Decimal(0)
    return Conversion(
        trade_id=trade_id,
        status=_STATUSES.get(word),
        units=_amount(request) - (fee if request.side is Side.BUY else Decimal(0)),
        fee=fee,
        reason=quoted_text(why.get("message")) if isinstance(why, dict) else "",
    )


def check_offer(answer: Any, request: OrderRequest, offered: Conversion) -> None:
    """Whether a quote does what the order says, before it is committed. Raises InvalidOrder, NotSupported."""
    trade = answer["trade"]
    amount, source = _amount(request), accounts(request)["from_account"]
    for name in ("user_entered_amount", "total"):
        told = trade.get(name)
        if _value(trade, name) is not None and told.get("currency") == source and _value(trade, name) != amount:
            raise InvalidOrder(_SPENT, "quantity" if request.notional is None else "notional")
    unit = trade.get("unit_price")
    rate = _value(trade, "exchange_rate")
    if rate is None and isinstance(unit, dict):
        rate = _value(unit.get("target_to_source"), "amount")
    if rate != _ONE:
        told_rate = "no rate" if rate is None else f"a rate of {plain(rate)}"
        raise NotSupported(
            f"Coinbase offers {told_rate} for {request.symbol}, where one for one was expected. Nothing was converted; "
            "convert it at Coinbase if you agree to that."
        )
    if offered.fee and request.side is Side.BUY and request.quantity is not None:
        raise InvalidOrder(
            f"Coinbase would keep {plain(offered.fee)} as its fee, so {plain(request.quantity)} would not arrive. Give "
            "a notional amount: what to spend, the fee in it.",
            "quantity",
        )
    if offered.units <= 0:
        raise InvalidOrder("Coinbase's fee would take all of this amount.", "quantity")


def check_fee(request: OrderRequest, offered: Conversion, most: Decimal | None) -> None:
    """Whether it costs no more than was shown. Raises InvalidOrder."""
    if most is not None and offered.fee > most:
        raise InvalidOrder(
            f"Coinbase now asks a fee of {plain(offered.fee)}, and {plain(most)} was shown. Nothing was converted; "
            "prepare it again to see what it costs now.",
            "quantity" if request.notional is None else "notional",
        )


def _value(whole: Any, name: str) -> Decimal | None:
    """Of an amount: its value, whatever its currency."""
    told = whole.get(name) if isinstance(whole, dict) else None
    return parse.number(told.get("value")) if isinstance(told, dict) else None


def order(found: Conversion, request: OrderRequest, instrument: Instrument) -> BrokerOrder:
    """Of a committed conversion. Coinbase tells no time of it: that of this look stands for it."""
    assert found.status is not None
    now, done = datetime.now(UTC), found.status is BrokerStatus.FILLED
    fill = Fill(
        fill_id=found.trade_id,
        client_order_id=request.client_order_id,
        symbol=instrument.symbol,
        side=request.side,
        quantity=found.units,
        price=_ONE,
        fee=found.fee,
        currency=instrument.currency,
        filled_at=now,
        source=_VENUE,
    )
    return BrokerOrder(
        broker_order_id=found.trade_id,
        client_order_id=request.client_order_id,
        status=found.status,
        filled_quantity=found.units if done else Decimal(0),
        average_price=_ONE if done else None,
        fees=found.fee if done else Decimal(0),
        updated_at=now,
        reason=found.reason if found.status is BrokerStatus.REJECTED else "",
        fills=(fill,) if done else (),
        symbol=instrument.symbol,
        side=request.side,
        order_type=OrderType.MARKET,
        tif=request.tif,
        quantity=found.units if done else request.quantity,
        currency=instrument.currency,
    )
