"""Binance's words. Source: developers.binance.com/docs/binance-spot-api-docs/ (rest-api, errors)."""

from collections.abc import Mapping
from typing import Any

from brokers.crypto.outcomes import Codes, Meaning
from brokers.decimals import plain
from brokers.types import OrderRequest, OrderType

_M = Meaning
DUPLICATE = "Duplicate order sent."
MEANINGS: Mapping[str, Meaning] = {
    "-1000": _M.UNKNOWN,  # unknown error while processing
    "-1001": _M.UNKNOWN,  # disconnected: unable to process
    "-1006": _M.UNKNOWN,  # unexpected response from the message bus: execution status unknown
    "-1007": _M.UNKNOWN,  # timeout waiting for the backend: execution status unknown
    "-1002": _M.AUTH,
    "-1003": _M.RATE,
    "-1008": _M.RATE,  # overloaded: the request was not taken
    "-1015": _M.RATE,  # too many new orders
    "-1013": _M.ORDER,  # a filter of the market
    "-1016": _M.REJECTED,
    "-1020": _M.REJECTED,
    "-1021": _M.CLOCK,
    "-1022": _M.AUTH,
    "-1034": _M.RATE,
    "-1100": _M.ORDER,
    "-1102": _M.ORDER,
    "-1111": _M.ORDER,  # more decimals than the market has
    "-1121": _M.SYMBOL,
    f"-2010 {DUPLICATE}": _M.DUPLICATE,
    "-2010 Account has insufficient balance for requested action.": _M.FUNDS,
    "-2010 Market is closed.": _M.CLOSED,
    "-2010": _M.REJECTED,
    "-2011": _M.NOT_FOUND,  # of a cancel
    "-2013": _M.NOT_FOUND,
    "-2021": _M.REJECTED,  # of a replacement: the old order was cancelled, the new one refused
    "-2022": _M.REJECTED,  # of a replacement: neither half was done
    "-2014": _M.AUTH,
    "-2015": _M.AUTH,  # key, address or permission
}


def codes(answer: Any) -> list[str]:
    """With its words first: one code stands for a duplicate and for a rejection."""
    if not isinstance(answer, dict) or "code" not in answer:
        return []
    found = [code for each in _halves(answer) for code in codes(each)]
    code = str(answer["code"])
    return [*found, f"{code} {answer.get('msg', '')}", code]


def _halves(answer: Mapping[str, Any]) -> list[Any]:
    """Of a replacement that failed: why each half did, the new order's first. A half that was done says no code."""
    told = answer.get("data")
    return [told.get("newOrderResponse"), told.get("cancelResponse")] if isinstance(told, dict) else []


CODES = Codes(venue="Binance", found=codes, meanings=MEANINGS)


def order_body(request: OrderRequest, instrument_id: str) -> dict[str, Any]:
    """Of POST /api/v3/order."""
    body: dict[str, Any] = {
        "symbol": instrument_id,
        "side": request.side.value,
        "newClientOrderId": request.client_order_id,
        "newOrderRespType": "RESULT",
    }
    if request.order_type is OrderType.MARKET:
        body["type"] = "MARKET"
    elif request.order_type is OrderType.STOP_LIMIT:
        body["type"], body["timeInForce"] = "STOP_LOSS_LIMIT", request.tif.value
    elif request.post_only:
        body["type"] = "LIMIT_MAKER"
    else:
        body["type"], body["timeInForce"] = "LIMIT", request.tif.value
    for name, value in (
        ("quantity", request.quantity),
        ("quoteOrderQty", request.notional),
        ("price", request.limit_price),
        ("stopPrice", request.stop_price),
    ):
        if value is not None:
            body[name] = plain(value)
    return body


def replace_body(wanted: OrderRequest, instrument_id: str, order_id: str) -> dict[str, Any]:
    """Of POST /api/v3/order/cancelReplace: no new order unless the old one could be cancelled before its first fill."""
    return order_body(wanted, instrument_id) | {
        "cancelReplaceMode": "STOP_ON_FAILURE",
        "cancelOrderId": order_id,
        "cancelRestrictions": "ONLY_NEW",
    }


def replaced(answer: Any, client_order_id: str) -> bool:
    done = isinstance(answer, dict) and answer.get("cancelResult") == answer.get("newOrderResult") == "SUCCESS"
    return done and bool(created(answer.get("newOrderResponse"), client_order_id))


def created(answer: Any, client_order_id: str) -> str:
    ours = isinstance(answer, dict) and answer.get("clientOrderId") == client_order_id
    return str(answer.get("orderId") or "") if ours else ""
