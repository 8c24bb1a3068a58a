#!/usr/bin/env bash
# ccxt 4.5.90 at OKX: an order that a stop placed when it was triggered has two ids in OKX's answer, ordId of its own and algoId of the
# stop (www.okx.com/docs-v5, order details).
# Expected: the unified id is that of the order. Seen: it is that of the stop, so what is cancelled or looked up by it is another thing,
# in another list, and has ended.
# For us: the adapter reads ordId and algoId itself, and both orders by our own id.
source "$(dirname "$0")/lib/common.sh"
venv py ccxt==4.5.90
"$dir/py/bin/python" - << 'PY'
import ccxt

okx = ccxt.okx()
market = {
    **{"id": "BTC-USDT", "symbol": "BTC/USDT", "base": "BTC", "quote": "USDT", "baseId": "BTC", "quoteId": "USDT"},
    **{"type": "spot", "spot": True, "contract": False, "swap": False, "future": False, "option": False, "active": True},
    **{"precision": {"amount": 1e-8, "price": 0.1}, "limits": {}, "info": {}},
}
okx.set_markets([market])
row = {
    **{"instType": "SPOT", "instId": "BTC-USDT", "ordId": "2510789768709120", "algoId": "1753184812254216192"},
    **{"clOrdId": "", "algoClOrdId": "", "ordType": "market", "side": "sell", "sz": "0.1", "px": "", "state": "filled"},
    **{"accFillSz": "0.1", "avgPx": "29000", "fee": "-2.9", "feeCcy": "USDT", "tdMode": "cash", "reduceOnly": "false"},
    **{"cTime": "1700000000000", "uTime": "1700000000001", "tag": "", "category": "normal", "source": "7"},
}
seen = okx.parse_order(row, okx.market("BTC/USDT"))["id"]
print("ccxt", ccxt.__version__, "id of the order:", seen, "; ordId is", row["ordId"])
assert seen == row["algoId"]
PY
