"""Alpaca's ``trade_updates`` (docs.alpaca.markets, "Websocket Streaming" of the Trading API).

The live address sends text, the paper one the same JSON as binary frames. It says nothing while nothing moves, and
answers the protocol's own pings.
"""

import json

from brokers.errors import AuthFailed
from brokers.order_streams import NOTHING, FrameMeaning, OrderStream, StreamAddress, names, record, socket_url

_UPDATES = "trade_updates"


class AlpacaStream(OrderStream):
    def __init__(self, trading_url: str, key_id: str, secret: str) -> None:
        sign_in = {"action": "auth", "key": key_id, "secret": secret}
        super().__init__(StreamAddress(url=socket_url(trading_url, "/stream")), (json.dumps(sign_in),))

    def heard(self, frame: str) -> FrameMeaning:
        told = record(frame)
        data = told.get("data")
        if not isinstance(data, dict):
            return NOTHING
        match told.get("stream"):
            case "authorization":
                if data.get("status") != "authorized":
                    raise AuthFailed("Alpaca refused the key.")
                return FrameMeaning(send=(json.dumps({"action": "listen", "data": {"streams": [_UPDATES]}}),))
            case "listening":
                if _UPDATES not in (data.get("streams") or ()):
                    return FrameMeaning(broken="Alpaca ended the subscription.")
                return FrameMeaning(ready=True)
            case "trade_updates":
                return FrameMeaning(moved=True, client_order_ids=names([data.get("order")], "client_order_id"))
        return NOTHING
