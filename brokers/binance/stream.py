"""Binance's user data stream of spot, subscribed to by a signature on its WebSocket API
(developers.binance.com, "User Data Stream requests"). Listen keys, which came before, were taken out of service.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from brokers.errors import AuthFailed
from brokers.order_streams import NOTHING, FrameMeaning, OrderStream, StreamAddress, names, record

LIVE, TESTNET = "wss://ws-api.binance.com:443", "wss://ws-api.testnet.binance.vision"
PATH = "/ws-api/v3"
_ASKED = "subscribe"
_REFUSALS = frozenset({-1022, -2014, -2015})
"""No valid signature; no valid key; key, address or permission."""


class BinanceStream(OrderStream):
    def __init__(self, url: str, settings: Mapping[str, Any], now: float) -> None:
        """``now`` is the venue's time, in seconds since 1970."""
        signed = {"apiKey": settings["api_key"], "timestamp": int(now * 1000)}
        text = "&".join(f"{name}={signed[name]}" for name in sorted(signed)).encode()
        signature = hmac.new(str(settings["secret"]).encode(), text, hashlib.sha256).hexdigest()
        asked = {
            "id": _ASKED,
            "method": "userDataStream.subscribe.signature",
            "params": {**signed, "signature": signature},
        }
        super().__init__(StreamAddress(url=url), (json.dumps(asked),))

    def heard(self, frame: str) -> FrameMeaning:
        told = record(frame)
        if told.get("id") == _ASKED:
            if told.get("status") == 200:
                return FrameMeaning(ready=True)
            error = told.get("error")
            if isinstance(error, dict) and error.get("code") in _REFUSALS:
                raise AuthFailed("Binance refused the key.")
            return FrameMeaning(broken="Binance refused the subscription.")
        event = told.get("event")
        if not isinstance(event, dict):
            return NOTHING
        match event.get("e"):
            case "executionReport":
                # Of a cancel "c" is the cancel's own id, and "C" the order's.
                return FrameMeaning(moved=True, client_order_ids=names([event], "c", "C"))
            case "listStatus":
                return FrameMeaning(moved=True)
            case "eventStreamTerminated" | "serverShutdown":
                return FrameMeaning(broken="Binance ended the subscription.")
        return NOTHING
