"""Kraken's channel ``executions`` of its WebSocket API v2 (docs.kraken.com, "Executions").

It sends a heartbeat about once a second, and numbers what it says of orders one by one.
"""

import json

from brokers.errors import AuthFailed
from brokers.order_streams import NOTHING, FrameMeaning, OrderStream, StreamAddress, names, record

HOST = "wss://ws-auth.kraken.com"
PATH = "/v2"


class KrakenStream(OrderStream):
    beat = json.dumps({"method": "ping"})
    silent_after = 15.0

    def __init__(self, url: str, token: str) -> None:
        """``token`` of GetWebSocketsToken; it is used once."""
        wanted = {"channel": "executions", "token": token, "snap_orders": False, "snap_trades": False}
        super().__init__(StreamAddress(url=url), (json.dumps({"method": "subscribe", "params": wanted}),))
        self._last: int | None = None

    def heard(self, frame: str) -> FrameMeaning:
        told = record(frame)
        match told.get("method"):
            case "subscribe" if told.get("success") is True:
                return FrameMeaning(ready=True)
            case "subscribe":
                raise AuthFailed("Kraken refused the token.")
            case "unsubscribe":
                return FrameMeaning(broken="Kraken ended the subscription.")
        if told.get("channel") != "executions":
            return NOTHING
        number = told.get("sequence")
        if isinstance(number, int):
            if self._last is not None and number != self._last + 1:
                return FrameMeaning(broken="Some of Kraken's updates are missing.")
            self._last = number
        if told.get("type") == "snapshot":
            return NOTHING
        return FrameMeaning(moved=True, client_order_ids=names(told.get("data"), "cl_ord_id"))
