#!/usr/bin/env bash
# tastytrade 13.2.3: the sign of a limit price says who pays. A purchase of stock at 190.25, written as every other client
# writes it, goes out as a credit; only -190.25 goes out as the debit that a purchase is. An exponent goes out as it is written.
# Expected: the side of the leg decides, or a contradiction is refused before it is sent. Seen: neither.
# For us: a price is never negative; side and price stand apart, and an adapter writes each in its broker's own form.
source "$(dirname "$0")/lib/common.sh"
venv py tastytrade==13.2.3
"$dir/py/bin/python" -W ignore - << 'PY'
import json
from decimal import Decimal

from tastytrade.order import InstrumentType, Leg, NewOrder, OrderAction, OrderTimeInForce, OrderType


def sent(price: str) -> tuple[str, str]:
    leg = Leg(instrument_type=InstrumentType.EQUITY, symbol="AAPL", action=OrderAction.BUY_TO_OPEN, quantity=Decimal(1))
    order = NewOrder(
        time_in_force=OrderTimeInForce.DAY, order_type=OrderType.LIMIT, legs=[leg], price=Decimal(price)
    )
    body = json.loads(order.model_dump_json(exclude_none=True, by_alias=True))
    return body["price"], body["price-effect"]


seen = {price: sent(price) for price in ("190.25", "-190.25", "1E+2")}
print("tastytrade 13.2.3 sends a purchase as", seen)
assert seen == {"190.25": ("190.25", "Credit"), "-190.25": ("190.25", "Debit"), "1E+2": ("1E+2", "Credit")}
PY
