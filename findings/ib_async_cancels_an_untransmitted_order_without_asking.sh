#!/usr/bin/env bash
# ib_async 2.1.0: cancelling an order that was sent with transmit=False makes it Cancelled at once, though the request has only left and
# TWS has said nothing. And once an error code has made an order Cancelled, later codes for it, TWS's own 202 included, are missing from
# the order's log.
# Expected: PendingCancel until TWS answers, as for any other order; every code in the log.
# For us: an order of TWS has ended when TWS says so in a status or by a code of refusal, never by the word of the library; codes are read
# from its error event.
source "$(dirname "$0")/lib/common.sh"
venv py ib_async==2.1.0
"$dir/py/bin/python" -W ignore - << 'PY' 2> /dev/null
from ib_async import IB, LimitOrder, Stock

ib, sent = IB(), []
# In place of a connection to TWS: what would be sent is kept, and nothing is answered.
ib.client.send = lambda *fields, **more: sent.append(fields[0])
ib.client.isConnected = lambda: True
ib.client._serverVersion = 178
ib.client.clientId = ib.wrapper.clientId = 1


def placed(order_id, **terms):
    stock = Stock("AAPL", "SMART", "USD", conId=265598)
    return ib.placeOrder(stock, LimitOrder("BUY", 1, 100, orderId=order_id, **terms))


held, other = placed(7, transmit=False), placed(8)
for trade in (held, other):
    ib.cancelOrder(trade.order)
seen = {"transmit=False": held.orderStatus.status, "transmit=True": other.orderStatus.status}
print("ib_async 2.1.0, cancelled and not yet answered:", seen)
assert seen == {"transmit=False": "Cancelled", "transmit=True": "PendingCancel"}
assert sent.count(4) == 2, "both requests have left"

standing = placed(9)
ib.wrapper.orderStatus(9, "Submitted", 0, 1, 0, 1, 0, 0, 1, "", 0)
ib.wrapper.error(9, 10349, "Order TIF was set to DAY based on order preset.", "")
ib.wrapper.error(9, 202, "Order Canceled - reason:", "")
codes = [entry.errorCode for entry in standing.log if entry.errorCode]
print("the log after codes 10349 and 202:", codes)
assert codes == [10349]
PY
