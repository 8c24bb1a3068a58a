"""Our values as JSON a model reads: decimals as text, times as ISO 8601 in UTC, nothing that says nothing."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
from django.utils import timezone

from brokers.decimals import percent_of, plain
from brokers.types import Bar, BrokerOrder, Instrument, OrderClass, Position, Quote, Transaction, Unreadable
from console.errors import Code, Refusal
from console.orders.models import Modification, Order


def moment(value: datetime) -> str:
    written = orjson.dumps(value.astimezone(UTC))[1:24].decode()
    return f"{written}Z" if value.microsecond else f"{written[:19]}.000Z"


def compact(**fields: Any) -> dict[str, Any]:
    """The fields that say something, decimals and times as text."""
    made: dict[str, Any] = {}
    for name, value in fields.items():
        if type(value) is str:
            if value:
                made[name] = value
            continue
        if value is None or value == "":
            continue
        if isinstance(value, Decimal):
            value = plain(value)
        elif isinstance(value, datetime):
            value = moment(value)
        made[name] = value
    return made


def day_of(value: datetime) -> str:
    return value.astimezone(UTC).date().isoformat()


def check_span(args: Mapping[str, Any]) -> None:
    """Raises Refusal for a time that ends before it starts."""
    if args.get("start") and args.get("end") and args["start"] >= args["end"]:
        raise Refusal(Code.INVALID_ARGUMENT, "start must be before end.", field="start")


def delay(as_of: datetime) -> int:
    """Whole seconds since the price was made."""
    return max(0, int((timezone.now() - as_of).total_seconds()))


_quotes: dict[int, tuple[Quote, dict[str, Any]]] = {}
_MOST_QUOTES = 1024


def quote(value: Quote) -> dict[str, Any]:
    """A broker that answers with the same quote again, until there is a newer one, has it rendered once."""
    known = _quotes.get(id(value))
    if known is None or known[0] is not value:
        if len(_quotes) >= _MOST_QUOTES:
            _quotes.clear()
        known = _quotes[id(value)] = value, _quote(value)
    return known[1] | {"delay_seconds": delay(value.as_of)}


def _quote(value: Quote) -> dict[str, Any]:
    return compact(
        symbol=value.symbol,
        instrument_id=value.instrument_id,
        currency=value.currency,
        last=value.last,
        bid=value.bid,
        bid_size=value.bid_size,
        ask=value.ask,
        ask_size=value.ask_size,
        day_open=value.open,
        day_high=value.high,
        day_low=value.low,
        day_volume=value.volume,
        change=value.change,
        change_percent=value.change_percent,
        as_of=value.as_of,
        delay_seconds=0,
        source=value.source,
        recorded_at=value.recorded_at,
    )


def instrument(value: Instrument) -> dict[str, Any]:
    return compact(
        symbol=value.symbol,
        instrument_id=value.instrument_id,
        name=value.name,
        asset_class=value.asset_class.value,
        exchange=value.exchange,
        currency=value.currency,
        tick=value.tick,
        lot=value.lot,
        minimum=value.minimum,
        source=value.price_source,
    )


def bar(value: Bar) -> dict[str, Any]:
    return compact(
        start=value.start,
        open=value.open,
        high=value.high,
        low=value.low,
        close=value.close,
        volume=value.volume,
    )


def position(value: Position) -> dict[str, Any]:
    return compact(
        symbol=value.symbol,
        asset_class=value.asset_class.value,
        currency=value.currency,
        quantity=value.quantity,
        reserved=value.reserved,
        average_price=value.average_price,
        last=value.last,
        market_value=value.market_value,
        unrealized_pnl=value.unrealized_pnl,
        unrealized_percent=None
        if value.unrealized_pnl is None or value.average_price is None
        else percent_of(value.unrealized_pnl, abs(value.average_price * value.quantity)),
        leverage=value.leverage,
        margin_mode=value.margin_mode or None,
        as_of=value.as_of,
        delay_seconds=delay(value.as_of) if value.as_of else None,
        source=value.source,
    )


def not_known(found: Sequence[Unreadable]) -> dict[str, list[str]]:
    """What a broker listed that its adapter does not know; nothing where all of it is."""
    return {"not_known": [str(each) for each in found]} if found else {}


def transaction(value: Transaction) -> dict[str, Any]:
    return compact(
        transaction_id=value.transaction_id,
        at=value.at,
        type=value.kind,
        currency=value.currency,
        amount=value.amount,
        symbol=value.symbol,
        quantity=value.quantity,
        price=value.price,
    )


def order(value: Order) -> dict[str, Any]:
    return compact(
        order_id=value.public_id,
        client_order_id=value.client_order_id,
        status=value.status,
        symbol=value.symbol,
        side=value.side,
        order_type=value.order_type,
        tif=value.tif,
        quantity=value.quantity,
        notional=value.notional,
        limit_price=value.limit_price,
        stop_price=value.stop_price,
        trail_amount=value.trail_amount,
        trail_percent=value.trail_percent,
        outside_rth=value.outside_rth or None,
        reduce_only=value.reduce_only or None,
        post_only=value.post_only or None,
        order_class=value.order_class if value.order_class != OrderClass.SIMPLE else None,
        spread=value.traded_options or None,
        parent_order_id=value.parent.public_id if value.parent else None,
        filled_quantity=value.filled_quantity,
        average_price=value.average_price,
        fees=value.fees,
        currency=value.currency,
        account_id=value.account_id,
        code=value.code,
        reason=value.reason,
        created_at=value.created_at,
        updated_at=value.moved_at,
    )


def modification(value: Modification) -> dict[str, Any]:
    """A change of an order: what was to be new, and what became of it."""
    return compact(
        status=value.status,
        quantity=value.quantity,
        limit_price=value.limit_price,
        stop_price=value.stop_price,
        trail_amount=value.trail_amount,
        trail_percent=value.trail_percent,
        tif=value.tif,
        cancels=value.cancels or None,
        code=value.code,
        reason=value.reason,
        at=value.moved_at,
    )


def external(value: BrokerOrder) -> dict[str, Any]:
    """An order that was made elsewhere, in the words of its broker."""
    return compact(
        broker_order_id=value.broker_order_id,
        status=value.status.value,
        symbol=value.symbol,
        side=value.side and value.side.value,
        order_type=value.order_type and value.order_type.value,
        tif=value.tif and value.tif.value,
        quantity=value.quantity,
        limit_price=value.limit_price,
        stop_price=value.stop_price,
        trail_amount=value.trail_amount,
        trail_percent=value.trail_percent,
        filled_quantity=value.filled_quantity,
        average_price=value.average_price,
        currency=value.currency,
        created_at=value.created_at,
    )
