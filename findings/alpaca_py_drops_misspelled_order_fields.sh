#!/usr/bin/env bash
# alpaca-py 0.44.0: an order request takes any field and drops what it does not know, without a word.
# Expected: an error, as for a missing price. Seen: client_orderid (for client_order_id) is gone, so a repeated request is a second
# order; extended_hour is gone; a negative quantity passes; and a change of an order takes whole shares only, though orders may be
# fractions.
# For us: a misspelled argument is refused by name with the right spelling beside it, and the client order id is ours, not optional.
source "$(dirname "$0")/lib/common.sh"
venv py alpaca-py==0.44.0
"$dir/py/bin/python" -W ignore - << 'PY'
from alpaca.trading.requests import LimitOrderRequest, MarketOrderRequest, ReplaceOrderRequest
from pydantic import ValidationError

order = {"symbol": "AAPL", "qty": 1, "side": "buy", "time_in_force": "day"}
sent = LimitOrderRequest(**order, limit_price=5, extended_hour=True, client_orderid="mine").to_request_fields()
print("alpaca-py 0.44.0 sends", sorted(sent))
assert sorted(sent) == ["limit_price", "qty", "side", "symbol", "time_in_force", "type"]

negative = MarketOrderRequest(**{**order, "qty": -1}).to_request_fields()["qty"]
print("and a quantity of", negative)
assert negative == -1

assert MarketOrderRequest(**{**order, "qty": 0.5}).to_request_fields()["qty"] == 0.5
try:
    ReplaceOrderRequest(qty=0.5)
except ValidationError as error:
    print("but changes none of 0.5:", error.errors()[0]["type"])
    assert error.errors()[0]["type"] == "int_from_float"
else:
    raise SystemExit("a change to 0.5 shares is taken now")
PY
