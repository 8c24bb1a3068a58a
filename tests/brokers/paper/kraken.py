"""Kraken's public prices on loopback, as docs.kraken.com/api describes them under Spot REST, Market Data."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from tests.brokers.faults import Asked, FakeBroker, Reply

_MINUTE = 60
_MOST_BARS = 720
_PAIRS = {
    "XXBTZUSD": ("XBTUSD", "XBT/USD", "XXBT", "ZUSD", 1, 8, "0.0001"),
    "XETHZUSD": ("ETHUSD", "ETH/USD", "XETH", "ZUSD", 2, 8, "0.002"),
    "XXBTZEUR": ("XBTEUR", "XBT/EUR", "XXBT", "ZEUR", 1, 8, "0.0001"),
    "EURUSD": ("EURUSD", "EUR/USD", "ZEUR", "ZUSD", 5, 8, "0.5"),
    "ADAUSDT": ("ADAUSDT", "ADA/USDT", "ADA", "USDT", 6, 8, "4"),
}
Row = tuple[str, str, str, str, str]


class PublicKraken(FakeBroker):
    """Its bars follow ``clock``; a minute nobody scripted has no trades, which Kraken tells as a flat bar."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__()
        self.clock = clock
        self.skew = 0
        """Seconds its clock is ahead of ours."""
        self.quote = ("60000.0", "60010.0", "60005.0")
        """Bid, ask and last of every pair."""
        self.bars: dict[int, Row] = {}
        """Start in seconds since 1970 → open, high, low, close, volume, of every pair."""

    def script(self, start: datetime, *bars: str) -> None:
        """Minute bars in a row, each "open high low close volume"."""
        for place, bar in enumerate(bars):
            self.bars[int(start.timestamp()) + place * _MINUTE] = tuple(bar.split())  # type: ignore[assignment]

    def asked_for(self, path: str) -> int:
        return sum(each.endswith(path) for _, each in self.received)

    def answer(self, asked: Asked) -> Reply:
        if asked.method != "GET" or not asked.path.startswith("/0/public/"):
            return 404, {"error": ["EGeneral:Unknown method"]}
        name = asked.path.removeprefix("/0/public/")
        pair = asked.query.get("pair", "")
        match name:
            case "Time":
                return _result({"unixtime": int(time.time()) + self.skew, "rfc1123": "Sat, 21 Nov 26 00:00:00 +0000"})
            case "AssetPairs":
                return _result({key: _pair(*row) for key, row in _PAIRS.items()})
        if pair not in _PAIRS:
            return 200, {"error": ["EQuery:Unknown asset pair"]}
        match name:
            case "Ticker":
                bid, ask, last = self.quote
                return _result({pair: _ticker(bid, ask, last)})
            case "OHLC":
                rows = self._ohlc(int(asked.query["interval"]), int(asked.query.get("since", 0)))
                return _result({pair: rows, "last": rows[-1][0] - _MINUTE})
            case "Depth":
                bid, ask, _ = self.quote
                return _result({pair: {"asks": [[ask, "1.250", 1770000000]], "bids": [[bid, "0.750", 1770000001]]}})
        return 404, {"error": ["EGeneral:Unknown method"]}

    def other(self) -> Any:
        return {"error": [], "result": {"unixtime": 1}}

    def duplicate(self) -> Reply:
        return 200, {"error": ["EGeneral:Internal error"]}

    def _ohlc(self, interval: int, since: int) -> list[list[Any]]:
        """The newest 720 after ``since``; the last is the one under way, with what it has so far."""
        length = interval * _MINUTE
        now = int(self.clock().timestamp()) + self.skew
        rows: list[list[Any]] = []
        close = self.quote[2]
        first = max(since + 1, now - _MOST_BARS * length)
        for start in range(first + -first % length, now + 1, length):
            opened, high, low, close, volume = self.bars.get(start, (close, close, close, close, "0.00000000"))
            if start + length > now:
                high = low = close = opened
            rows.append([start, opened, high, low, close, "0.0", volume, 0 if volume == "0.00000000" else 3])
        return rows


def _result(result: Any) -> Reply:
    return 200, {"error": [], "result": result}


def _pair(altname: str, wsname: str, base: str, quote: str, price: int, lot: int, minimum: str) -> dict[str, Any]:
    return {
        "altname": altname,
        "wsname": wsname,
        "aclass_base": "currency",
        "base": base,
        "aclass_quote": "currency",
        "quote": quote,
        "lot": "unit",
        "cost_decimals": 5,
        "pair_decimals": price,
        "lot_decimals": lot,
        "lot_multiplier": 1,
        "leverage_buy": [],
        "leverage_sell": [],
        "fees": [[0, 0.4]],
        "fees_maker": [[0, 0.25]],
        "fee_volume_currency": "ZUSD",
        "margin_call": 80,
        "margin_stop": 40,
        "ordermin": minimum,
        "costmin": "0.5",
        "tick_size": f"{10**-price:.{price}f}",
        "status": "online",
    }


def _ticker(bid: str, ask: str, last: str) -> dict[str, Any]:
    return {
        "a": [ask, "1", "1.000"],
        "b": [bid, "2", "2.000"],
        "c": [last, "0.00067643"],
        "v": ["4083.67001100", "4412.73601799"],
        "p": [last, last],
        "t": [34619, 38907],
        "l": ["59000.0", "59000.0"],
        "h": ["61000.0", "61000.0"],
        "o": "59500.0",
    }
