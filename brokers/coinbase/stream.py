"""Coinbase's channel ``user`` of Advanced Trade, with ``heartbeats`` beside it, which keep it open
(docs.cdp.coinbase.com, "Advanced Trade WebSocket Channels"). Every frame of a connection has a number.
"""

import json
import secrets

import jwt

from brokers.errors import AuthFailed
from brokers.order_streams import NOTHING, FrameMeaning, OrderStream, StreamAddress, names, record, records

HOST = "wss://advanced-trade-ws-user.coinbase.com"
_TOKEN_SECONDS = 120


def token(key_name: str, secret: str, now: float) -> str:
    """Signed as Coinbase's own client does for a stream: without an address. Raises AuthFailed."""
    claims = {"sub": key_name, "iss": "cdp", "nbf": int(now), "exp": int(now) + _TOKEN_SECONDS}
    try:
        made: str = jwt.encode(
            claims, secret, algorithm="ES256", headers={"kid": key_name, "nonce": secrets.token_hex(8)}
        )
    except (jwt.PyJWTError, ValueError, TypeError):
        raise AuthFailed("The secret is no private key that this connection can sign with.") from None
    return made


class CoinbaseStream(OrderStream):
    silent_after = 15.0

    def __init__(self, url: str, signed: str) -> None:
        wanted = [{"type": "subscribe", "channel": each, "jwt": signed} for each in ("heartbeats", "user")]
        super().__init__(StreamAddress(url=url), tuple(json.dumps(each) for each in wanted))
        self._last: int | None = None
        self._is_up = False

    def heard(self, frame: str) -> FrameMeaning:
        told = record(frame)
        if told.get("type") == "error":
            if not self._is_up:
                raise AuthFailed("Coinbase refused the key.")
            return FrameMeaning(broken="Coinbase ended the subscription.")
        number = told.get("sequence_num")
        if isinstance(number, int):
            if self._last is not None and number != self._last + 1:
                return FrameMeaning(broken="Some of Coinbase's updates are missing.")
            self._last = number
        events = records(told.get("events"))
        match told.get("channel"):
            case "subscriptions":
                named = [each.get("subscriptions") for each in events]
                has_user = any(isinstance(each, dict) and "user" in each for each in named)
                if self._is_up and not has_user:
                    return FrameMeaning(broken="Coinbase ended the subscription.")
                self._is_up = has_user
                return FrameMeaning(ready=has_user)
            case "user":
                orders = [
                    order for each in events if each.get("type") != "snapshot" for order in records(each.get("orders"))
                ]
                return FrameMeaning(moved=bool(orders), client_order_ids=names(orders, "client_order_id"))
        return NOTHING
