#!/usr/bin/env bash
# ccxt 4.5.90 at Kraken Futures: the list of open orders (GET openorders) has a limit order's price as limitPrice, and how much of it is
# left as unfilledSize.
# Expected: price is read. Seen: price is None and everything else is there, so an open limit order looks like one at the market.
# For us: the adapter reads limitPrice and stopPrice itself; an order of which it cannot read the type or price is told as that.
source "$(dirname "$0")/lib/common.sh"
venv py ccxt==4.5.90
"$dir/py/bin/python" - << 'PY'
import ccxt

futures = ccxt.krakenfutures()
market = {
    **{"id": "PF_XBTUSD", "symbol": "BTC/USD:USD", "base": "BTC", "quote": "USD", "settle": "USD", "baseId": "BTC", "quoteId": "USD"},
    **{"type": "swap", "spot": False, "contract": True, "swap": True, "future": False, "option": False, "active": True},
    **{"linear": True, "inverse": False, "contractSize": 1, "precision": {"amount": 1e-4, "price": 0.5}, "limits": {}, "info": {}},
}
futures.set_markets([market])
row = {
    **{"order_id": "59302619-41d2-4f0b-941f-7e7914760ad3", "symbol": "PF_XBTUSD", "side": "buy", "orderType": "lmt"},
    **{"limitPrice": 10640, "unfilledSize": 0.5, "filledSize": 0.0, "status": "untouched", "reduceOnly": True},
    **{"receivedTime": "2019-09-05T17:01:17.410Z", "lastUpdateTime": "2019-09-05T17:01:17.410Z"},
}
seen = futures.parse_order(row, futures.market("BTC/USD:USD"))
print("ccxt", ccxt.__version__, {name: seen[name] for name in ("type", "amount", "status", "price")})
assert (seen["type"], seen["amount"], seen["status"], seen["price"]) == ("limit", 0.5, "open", None)
PY
