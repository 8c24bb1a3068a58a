"""What Binance documents of the calls we make, and of what a wallet can be asked.

Compared with spot_api.yaml of github.com/binance/binance-api-swagger, commit 64b327c (October 2024); recvWindow of
account/commission is from developers.binance.com alone.
"""

from tests.brokers.requests import NUMBER, TEXT, WHOLE, Call

_SIGNED = {"timestamp": WHOLE, "signature": "[0-9a-f]{64}"}
_WINDOW = {"recvWindow": WHOLE}
_SYMBOL = {"symbol": "[A-Z0-9]{1,20}"}
_ID = "[.A-Z:/a-z0-9_-]{1,36}"
_ORDER = {
    "timeInForce": "GTC|IOC|FOK",
    "quantity": NUMBER,
    "quoteOrderQty": NUMBER,
    "price": NUMBER,
    "newClientOrderId": _ID,
    "stopPrice": NUMBER,
    "trailingDelta": WHOLE,
    "newOrderRespType": "ACK|RESULT|FULL",
}
_KIND = {
    "side": "SELL|BUY",
    "type": "LIMIT|MARKET|STOP_LOSS|STOP_LOSS_LIMIT|TAKE_PROFIT|TAKE_PROFIT_LIMIT|LIMIT_MAKER",
}
_STOP = "STOP_LOSS|STOP_LOSS_LIMIT|TAKE_PROFIT|TAKE_PROFIT_LIMIT"
_WORKING = {
    "workingType": "LIMIT|LIMIT_MAKER",
    "workingSide": "SELL|BUY",
    "workingPrice": NUMBER,
    "workingQuantity": NUMBER,
    "pendingSide": "SELL|BUY",
}


def _half(name: str) -> dict[str, str]:
    return {
        f"{name}ClientOrderId": _ID,
        f"{name}Price": NUMBER,
        f"{name}StopPrice": NUMBER,
        f"{name}TrailingDelta": WHOLE,
        f"{name}TimeInForce": "GTC|IOC|FOK",
    }


def _list(needs: dict[str, str], *halves: str, **more: str) -> Call:
    takes = {name: form for half in halves for name, form in _half(half).items()}
    about = {"listClientOrderId": _ID, "newOrderRespType": "ACK|RESULT|FULL", **_WINDOW}
    return Call(needs={**_SYMBOL, **needs, **_SIGNED}, takes={**takes, **about, **more})


_PAIR = {"pendingAboveType": f"LIMIT_MAKER|{_STOP}"}
_PAIR_HALVES = ("pendingAbove", "pendingBelow")
_ENTRY = {"workingClientOrderId": _ID, "workingTimeInForce": "GTC|IOC|FOK"}
_BELOW = {"pendingBelowType": f"LIMIT_MAKER|{_STOP}"}
_QUANTITY = {"pendingQuantity": NUMBER}
_MOVED = Call(
    needs=_SIGNED,
    takes={"coin": TEXT, "startTime": WHOLE, "endTime": WHOLE, "offset": WHOLE, "limit": WHOLE, **_WINDOW},
)
_EARN = Call(needs=_SIGNED, takes={"asset": TEXT, "current": WHOLE, "size": WHOLE, **_WINDOW})

CALLS = {
    "GET /api/v3/time": Call(),
    "GET /api/v3/exchangeInfo": Call(takes={"symbol": TEXT, "symbols": TEXT, "permissions": TEXT}),
    "GET /api/v3/ticker/24hr": Call(takes={**_SYMBOL, "type": "FULL|MINI"}),
    "GET /api/v3/depth": Call(needs=_SYMBOL, takes={"limit": "[1-9][0-9]{0,3}"}),
    "GET /api/v3/aggTrades": Call(
        needs=_SYMBOL, takes={"fromId": WHOLE, "startTime": WHOLE, "endTime": WHOLE, "limit": WHOLE}
    ),
    "GET /api/v3/klines": Call(
        needs={**_SYMBOL, "interval": "1s|1m|3m|5m|15m|30m|1h|2h|4h|6h|8h|12h|1d|3d|1w|1M"},
        takes={"startTime": WHOLE, "endTime": WHOLE, "limit": WHOLE},
    ),
    "GET /api/v3/account": Call(needs=_SIGNED, takes=_WINDOW),
    "GET /api/v3/account/commission": Call(needs={**_SYMBOL, **_SIGNED}, takes=_WINDOW),
    "GET /api/v3/openOrders": Call(needs=_SIGNED, takes={**_SYMBOL, **_WINDOW}),
    "GET /api/v3/myTrades": Call(
        needs={**_SYMBOL, **_SIGNED},
        takes={"orderId": WHOLE, "startTime": WHOLE, "endTime": WHOLE, "fromId": WHOLE, "limit": WHOLE, **_WINDOW},
    ),
    "POST /api/v3/order": Call(needs={**_SYMBOL, **_KIND, **_SIGNED}, takes={**_ORDER, **_WINDOW}),
    "GET /api/v3/order": Call(
        needs={**_SYMBOL, **_SIGNED}, takes={"orderId": WHOLE, "origClientOrderId": _ID, **_WINDOW}
    ),
    "DELETE /api/v3/order": Call(
        needs={**_SYMBOL, **_SIGNED}, takes={"orderId": WHOLE, "origClientOrderId": _ID, **_WINDOW}
    ),
    "POST /api/v3/order/cancelReplace": Call(
        needs={**_SYMBOL, **_KIND, "cancelReplaceMode": "STOP_ON_FAILURE|ALLOW_FAILURE", **_SIGNED},
        takes={
            **_ORDER,
            "cancelOrderId": WHOLE,
            "cancelOrigClientOrderId": _ID,
            "cancelRestrictions": "ONLY_NEW|ONLY_PARTIALLY_FILLED",
            **_WINDOW,
        },
    ),
    "GET /api/v3/orderList": Call(needs=_SIGNED, takes={"orderListId": WHOLE, "origClientOrderId": _ID, **_WINDOW}),
    "GET /api/v3/openOrderList": Call(needs=_SIGNED, takes=_WINDOW),
    "POST /api/v3/orderList/oco": _list(
        {
            "side": "SELL|BUY",
            "quantity": NUMBER,
            "aboveType": f"LIMIT_MAKER|{_STOP}",
            "belowType": f"LIMIT_MAKER|{_STOP}",
        },
        "above",
        "below",
    ),
    "POST /api/v3/orderList/oto": _list(
        {**_WORKING, **_QUANTITY, "pendingType": f"LIMIT|MARKET|LIMIT_MAKER|{_STOP}"}, "pending", **_ENTRY
    ),
    "POST /api/v3/orderList/opo": _list(
        {**_WORKING, "pendingType": f"LIMIT|MARKET|LIMIT_MAKER|{_STOP}"}, "pending", **_ENTRY
    ),
    "POST /api/v3/orderList/otoco": _list({**_WORKING, **_QUANTITY, **_PAIR}, *_PAIR_HALVES, **_ENTRY, **_BELOW),
    "POST /api/v3/orderList/opoco": _list({**_WORKING, **_PAIR}, *_PAIR_HALVES, **_ENTRY, **_BELOW),
    "GET /sapi/v1/account/apiRestrictions": Call(needs=_SIGNED, takes=_WINDOW),
    "GET /sapi/v1/capital/config/getall": Call(needs=_SIGNED, takes=_WINDOW),
    "GET /sapi/v1/capital/deposit/hisrec": _MOVED,
    "GET /sapi/v1/capital/withdraw/history": _MOVED,
    "GET /sapi/v1/capital/deposit/address/list": Call(
        needs={"coin": TEXT, **_SIGNED}, takes={"network": TEXT, **_WINDOW}
    ),
    "GET /sapi/v1/simple-earn/flexible/list": _EARN,
    "GET /sapi/v1/simple-earn/locked/list": _EARN,
    "GET /sapi/v1/simple-earn/flexible/position": _EARN,
    "GET /sapi/v1/simple-earn/locked/position": _EARN,
}
