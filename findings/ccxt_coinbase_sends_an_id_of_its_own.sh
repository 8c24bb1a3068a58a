#!/usr/bin/env bash
# ccxt 4.5.90 at Coinbase: create_order takes the id of a client as clientOrderId at OKX, Binance and Kraken.
# Expected: the same name does the same here. Seen: it is dropped without a word and a new random id goes out; only Coinbase's own
# spelling, client_order_id, is used. Who repeats an order after a lost answer, trusting the id to be refused as a duplicate, has two.
# For us: the adapter writes the body itself and looks the order up by the id in it; `make mutations` spoils that field.
source "$(dirname "$0")/lib/common.sh"
venv py ccxt==4.5.90
"$dir/py/bin/python" - << 'PY'
import ccxt

coinbase, sent = ccxt.coinbase({"apiKey": "key", "secret": "secret"}), []
market = {
    **{"id": "BTC-USD", "symbol": "BTC/USD", "base": "BTC", "quote": "USD", "baseId": "BTC", "quoteId": "USD"},
    **{"type": "spot", "spot": True, "contract": False, "swap": False, "future": False, "option": False, "active": True},
    **{"precision": {"amount": 1e-8, "price": 0.01}, "limits": {}, "info": {}},
}
coinbase.set_markets([market])


def taken(body):
    sent.append(body)
    return {"success": True, "success_response": {"order_id": "1", "client_order_id": body["client_order_id"]}}


coinbase.v3PrivatePostBrokerageOrders = taken
for name in ("clientOrderId", "client_order_id"):
    coinbase.create_order("BTC/USD", "limit", "buy", 0.1, 100, {name: "ours"})
ids = [body["client_order_id"] for body in sent]
print("ccxt", ccxt.__version__, "sent for clientOrderId:", ids[0][:5] + "...", "; for client_order_id:", ids[1])
assert ids[0] != "ours" and "clientOrderId" not in sent[0] and ids[1] == "ours"
PY
