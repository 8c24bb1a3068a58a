#!/usr/bin/env bash
# ib_async 2.1.0: a change of an order that TWS holds as Inactive (one to sell short, for which no shares can be borrowed yet) is sent, and
# then placeOrder raises AssertionError, because Inactive counts among the states in which an order is done.
# Expected: what raises has sent nothing. Seen: one message has left with the new price when the error comes, so whoever takes the error
# for a refusal believes in the old price while the new one stands.
# For us: a change is sent by the client below, not by placeOrder, and counts as made only once TWS shows it.
source "$(dirname "$0")/lib/common.sh"
venv py ib_async==2.1.0
"$dir/py/bin/python" -W ignore - << 'PY' 2> /dev/null
from ib_async import IB, LimitOrder, Stock

ib, sent = IB(), []
# In place of a connection to TWS: what would be sent is kept, and nothing is answered.
ib.client.send = lambda *fields, **more: sent.append(fields)
ib.client.isConnected = lambda: True
ib.client._serverVersion = 178
ib.client.clientId = ib.wrapper.clientId = 1
order = LimitOrder("SELL", 10, 200.0, orderId=7)
stock = Stock("AAPL", "SMART", "USD", conId=265598)
ib.placeOrder(stock, order)
ib.wrapper.orderStatus(7, "Inactive", 0, 10, 0, 1, 0, 0, 1, "", 0)
before = len(sent)
order.lmtPrice = 201.0
try:
    ib.placeOrder(stock, order)
    raised = ""
except AssertionError:
    raised = "AssertionError"
left = sent[before:]
print("ib_async 2.1.0, change of an Inactive order:", raised, "; messages that left:", len(left), "; the new price in it:", 201.0 in left[0])
assert raised == "AssertionError" and len(left) == 1 and 201.0 in left[0]
PY
