"""OKX's channel ``orders`` of API v5 (www.okx.com/docs-v5/en/, "WebSocket" and "Order channel").

Algo orders, such as stops, are told only on another address, and by this channel once they have become an order.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from brokers.errors import AuthFailed
from brokers.order_streams import NOTHING, FrameMeaning, OrderStream, StreamAddress, names, record

PATH = "/ws/v5/private"
_HOSTS = {
    ("", False): "wss://ws.okx.com:8443",
    ("", True): "wss://wspap.okx.com:8443",
    ("eea", False): "wss://wseea.okx.com:8443",
    ("eea", True): "wss://wseeapap.okx.com:8443",
    ("us", False): "wss://wsus.okx.com:8443",
    ("us", True): "wss://wsuspap.okx.com:8443",
}
_SUBSCRIBE = json.dumps({"op": "subscribe", "args": [{"channel": "orders", "instType": "ANY"}]})


def host(region: str, *, demo: bool) -> str:
    return _HOSTS.get((region, demo), _HOSTS["", demo])


class OkxStream(OrderStream):
    beat = "ping"
    silent_after = 50.0

    def __init__(self, url: str, settings: Mapping[str, Any], now: float) -> None:
        """``now`` is the venue's time, in seconds since 1970."""
        stamp = str(int(now))
        text = f"{stamp}GET/users/self/verify".encode()
        sign = base64.b64encode(hmac.new(str(settings["secret"]).encode(), text, hashlib.sha256).digest()).decode()
        login = {"apiKey": settings["api_key"], "passphrase": settings["passphrase"], "timestamp": stamp, "sign": sign}
        super().__init__(StreamAddress(url=url), (json.dumps({"op": "login", "args": [login]}),))
        self._is_signed_in = False

    def heard(self, frame: str) -> FrameMeaning:
        if frame == "pong":
            return NOTHING
        told = record(frame)
        about = told.get("arg")
        match told.get("event"):
            case "login" if told.get("code") == "0":
                self._is_signed_in = True
                return FrameMeaning(send=(_SUBSCRIBE,))
            case "login" | "error" if not self._is_signed_in:
                raise AuthFailed("OKX refused the key.")
            case "subscribe":
                return FrameMeaning(ready=True)
            case "error" | "unsubscribe" | "channel-conn-count-error":
                return FrameMeaning(broken="OKX ended the subscription.")
            case "notice":
                return FrameMeaning(broken="OKX is about to end the connection.")
        if isinstance(about, dict) and about.get("channel") == "orders" and "data" in told:
            return FrameMeaning(moved=True, client_order_ids=names(told["data"], "clOrdId"))
        return NOTHING
