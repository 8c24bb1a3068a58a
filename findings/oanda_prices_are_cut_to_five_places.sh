#!/usr/bin/env bash
# oandapyV20 0.7.2: every price is written with exactly five decimals, whatever the instrument, and a limit order that names no
# time in force is good till cancelled.
# Expected: the price as given (or the instrument's own precision). Seen: 0.0000123 is sent as 0.00001, a fifth lower;
# 151.23 as 151.23000.
# (It also needs requests and six, which its metadata does not name.)
# For us: an adapter asks the broker for the tick of each instrument and refuses a price that does not fit it.
source "$(dirname "$0")/lib/common.sh"
venv py oandapyV20==0.7.2 requests==2.32.5 six==1.17.0
"$dir/py/bin/python" -W ignore - << 'PY'
from oandapyV20.contrib.requests import LimitOrderRequest

body = {price: LimitOrderRequest("EUR_USD", units=1, price=price).data["order"] for price in (0.0000123, 151.23, 1.123456)}
print("oandapyV20 0.7.2 sends", {price: (order["price"], order["timeInForce"]) for price, order in body.items()})
assert [order["price"] for order in body.values()] == ["0.00001", "151.23000", "1.12346"]
assert {order["timeInForce"] for order in body.values()} == {"GTC"}
PY
