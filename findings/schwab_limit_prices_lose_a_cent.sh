#!/usr/bin/env bash
# schwab-py 1.5.1: a limit price given as a float is cut after multiplying by a hundred, so that some whole cents lose one.
# Expected: 4.35 is sent as 4.35. Seen: 4.34; 8.2 is sent as 8.19, 64.1 as 64.09, 0.57 as 0.5699. The same price as text is sent whole.
# For us: prices and quantities are text end to end; one off the tick is refused, none is ever rounded.
source "$(dirname "$0")/lib/common.sh"
venv py schwab-py==1.5.1
"$dir/py/bin/python" -W ignore - << 'PY'
from schwab.orders.equities import equity_buy_limit

sent = {price: equity_buy_limit("AAPL", 1, price).build()["price"] for price in (4.35, 8.2, 64.1, 0.57, "4.35")}
print("schwab-py 1.5.1 sends", sent)
assert sent == {4.35: "4.34", 8.2: "8.19", 64.1: "64.09", 0.57: "0.5699", "4.35": "4.35"}
PY
