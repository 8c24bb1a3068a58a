#!/usr/bin/env bash
# ccxt 4.5.90: an order whose answer names no fill is "filled" in full at Coinbase and OKX once its status is final; the same answer
# of Binance is filled 0. For a limit order the cost of those fills is reckoned at the limit, also where part was filled before a cancel.
# Expected: None where the venue said nothing. Seen: filled 10, remaining 0, and for a limit of 2 a cost of 20.
# For us: fills and average prices are read from the venue's own fields and from its fills; what it did not say stays unknown.
source "$(dirname "$0")/lib/common.sh"
venv py ccxt==4.5.90
"$dir/py/bin/python" -W ignore - << 'PY'
import ccxt

answers = {
    "coinbase": {
        "order_id": "1", "product_id": "BTC-USD", "side": "BUY", "status": "FILLED", "order_type": "MARKET",
        "order_configuration": {"market_market_ioc": {"base_size": "10"}}, "created_time": "2024-01-01T00:00:00Z",
    },
    "okx": {"ordId": "1", "instId": "BTC-USDT", "side": "buy", "state": "filled", "ordType": "limit", "sz": "10", "px": "2"},
    "binance": {"symbol": "BTCUSDT", "orderId": 1, "status": "FILLED", "type": "LIMIT", "side": "BUY", "origQty": "10", "price": "2"},
}
expected = {"coinbase": (10.0, 0.0, None, None), "okx": (10.0, 0.0, 20.0, None), "binance": (0.0, 10.0, 0.0, None)}
for name, answer in answers.items():
    order = getattr(ccxt, name)().parse_order(answer)
    seen = tuple(order[field] for field in ("filled", "remaining", "cost", "average"))
    print(f"ccxt 4.5.90, {name}: filled, remaining, cost, average =", seen)
    assert order["status"] == "closed" and seen == expected[name]

part = ccxt.kraken().safe_order(
    {"id": "1", "amount": "10", "filled": "4", "status": "canceled", "type": "limit", "side": "buy", "price": "2"}
)
print("4 of 10 filled, limit 2, no average told: cost", part["cost"])
assert part["cost"] == 8.0 and part["average"] is None
PY
