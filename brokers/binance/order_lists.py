"""Orders of Binance that belong together: the call that takes them, its body, and what a list tells of each order.

Source: developers.binance.com/docs/binance-spot-api-docs/ (rest-api, trading endpoints; faqs/order lists, faqs/opo).
"""

from collections.abc import Mapping
from typing import Any

from brokers.decimals import plain
from brokers.errors import NotSupported
from brokers.types import LegRequest, OrderClass, OrderRequest, OrderType, Side, TimeInForce

PREFIX = "l-"
"""Before our id of the first order: a list has an id of its own, which is not that of one of its orders."""
NONE = "-1"
"""``orderListId`` of an order that belongs to no list."""
Row = Mapping[str, Any]


def check(request: OrderRequest, market: Row) -> None:
    """By what Binance says of the pair (``info`` of ccxt's market). Raises NotSupported."""
    symbol, kinds = request.symbol, market.get("orderTypes") or ()
    orders: tuple[OrderRequest | LegRequest, ...] = (request, *request.legs)
    for each in orders:
        if each.order_type is OrderType.TRAIL:
            if market.get("allowTrailingStop") is not True:
                raise NotSupported(f"Binance accepts no trailing stops in {symbol}.")
            if each.trail_percent is None or each.trail_percent * 100 % 1:
                raise NotSupported("Binance accepts trail_percent, in steps of 0.01, and no trail_amount.")
        if each.order_type in (OrderType.STOP, OrderType.TRAIL) and "STOP_LOSS" not in kinds:
            raise NotSupported(
                f"Binance accepts no stops at the market price in {symbol}. Give the stop a limit price."
            )
    if request.order_class is OrderClass.SIMPLE:
        return
    needed = {OrderClass.OCO: ("ocoAllowed",), OrderClass.OTO: ("otoAllowed",)}
    if any(market.get(each) is not True for each in needed.get(request.order_class, ("ocoAllowed", "otoAllowed"))):
        raise NotSupported(f"Binance accepts no {request.order_class} orders in {symbol}.")
    if request.order_type is not OrderType.LIMIT:
        raise NotSupported("Binance accepts exits only beside a LMT order.")


def needs_coins(request: OrderRequest, market: Row) -> bool:
    """Whether its exits sell coins that Binance locks when the order is placed: all but those that sell what arrives
    (faqs/opo, "the only balance requirement")."""
    buys = request.order_class in (OrderClass.BRACKET, OrderClass.OTO) and request.side is Side.BUY
    return buys and market.get("opoAllowed") is not True


def call(request: OrderRequest, instrument_id: str, market: Row) -> tuple[str, dict[str, str]]:
    """Of a purchase the exits sell what arrived, its fee taken off, where the pair has that (OPO)."""
    body = {
        "symbol": instrument_id,
        "listClientOrderId": PREFIX + request.client_order_id,
        "newOrderRespType": "RESULT",
    }
    if request.order_class is OrderClass.OCO:
        (other,) = request.legs
        limit, trigger = ("above", "below") if request.side is Side.SELL else ("below", "above")
        body |= {"side": request.side.value, "quantity": plain(request.units)}
        return "private_post_orderlist_oco", body | _half(limit, request) | _half(trigger, other)
    side = request.side.opposite
    body |= _entry(request) | {"pendingSide": side.value}
    pays = request.side is Side.BUY and market.get("opoAllowed") is True
    if not pays:
        body["pendingQuantity"] = plain(request.units)
    if request.order_class is OrderClass.OTO:
        (leg,) = request.legs
        pending = _half("pending", leg)
        if leg.order_type is OrderType.LIMIT:
            pending |= {"pendingType": "LIMIT", "pendingTimeInForce": TimeInForce.GTC.value}
        return f"private_post_orderlist_{'opo' if pays else 'oto'}", body | pending
    profit, stop = request.take_profit, request.stop_loss
    assert profit is not None
    assert stop is not None
    above, below = (profit, stop) if side is Side.SELL else (stop, profit)
    halves = _half("pendingAbove", above) | _half("pendingBelow", below)
    return f"private_post_orderlist_{'opoco' if pays else 'otoco'}", body | halves


def _entry(request: OrderRequest) -> dict[str, str]:
    assert request.limit_price is not None
    return {
        "workingType": "LIMIT_MAKER" if request.post_only else "LIMIT",
        "workingSide": request.side.value,
        "workingClientOrderId": request.client_order_id,
        "workingPrice": plain(request.limit_price),
        "workingQuantity": plain(request.units),
        **({} if request.post_only else {"workingTimeInForce": request.tif.value}),
    }


def kind_of(order: OrderRequest | LegRequest) -> str:
    """What Binance calls a stop."""
    return "STOP_LOSS_LIMIT" if order.order_type is OrderType.STOP_LIMIT else "STOP_LOSS"


def _half(name: str, order: OrderRequest | LegRequest) -> dict[str, str]:
    limit = order.order_type is OrderType.LIMIT
    body = {f"{name}Type": "LIMIT_MAKER" if limit else kind_of(order), f"{name}ClientOrderId": order.client_order_id}
    if order.order_type is OrderType.STOP_LIMIT:
        body[f"{name}TimeInForce"] = order.tif.value
    if order.limit_price is not None:
        body[f"{name}Price"] = plain(order.limit_price)
    if order.stop_price is not None:
        body[f"{name}StopPrice"] = plain(order.stop_price)
    if order.trail_percent is not None:
        body[f"{name}TrailingDelta"] = plain(order.trail_percent * 100)
    return body


def created(answer: Any, client_order_id: str) -> str:
    """Binance's id of the first order; "" where the answer does not prove that the list stands."""
    orders = answer.get("orders") if isinstance(answer, dict) else None
    if not isinstance(orders, list) or answer.get("listClientOrderId") != PREFIX + client_order_id:
        return ""
    mine = (each for each in orders if isinstance(each, dict) and each.get("clientOrderId") == client_order_id)
    return str(next(mine, {}).get("orderId") or "")


def id_of(row: Row) -> str:
    """The list an order belongs to; "" for none."""
    found = str(row.get("orderListId", NONE))
    return "" if found == NONE else found


def place_in(told: Row, client_order_id: str) -> tuple[OrderClass, str]:
    """Of a list: how its orders belong together, and our id of the first one, "" for the first one itself. Of a list
    that was sent elsewhere it is not known which is the first."""
    orders = told.get("orders") or ()
    kinds = {"OCO": OrderClass.OCO, "OTO": OrderClass.OTO if len(orders) == 2 else OrderClass.BRACKET}
    name = str(told.get("listClientOrderId") or "")
    first = name.removeprefix(PREFIX) if name.startswith(PREFIX) else ""
    ours = first if first in {str(each.get("clientOrderId")) for each in orders} else ""
    return kinds.get(str(told.get("contingencyType")), OrderClass.SIMPLE), "" if ours == client_order_id else ours
