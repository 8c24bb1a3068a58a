"""Public prices of Coinbase, Binance and OKX on loopback: bars that a test writes, told by each venue's own rules.

Coinbase leaves out minutes without a trade and tells the newest first, for at most 350 minutes. Binance tells such
minutes flat, the oldest first, 500 unless asked and 1,000 at most. OKX tells them flat, the newest first, 100 unless
asked and 300 at most, those of the day before at another address. All three tell the bar under way as well.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from tests.brokers.binance.fake import BinanceFake
from tests.brokers.coinbase.fake import CoinbaseFake
from tests.brokers.exchange import Asked, CryptoFake, Listing, Reply
from tests.brokers.okx.fake import OkxFake

_MINUTE = 60
Row = tuple[int, str, str, str, str, str]
"""Start in seconds since 1970, open, high, low, close, volume."""


class Scripted(CryptoFake):
    """Its bars follow ``watch``, and its clock is ours and ``skew_ms`` on."""

    watch: Callable[[], datetime]
    quote_currency = "EUR"

    def listed(self, watch: Callable[[], datetime], wire: str) -> None:
        self.watch = watch
        self.bars: dict[int, tuple[str, ...]] = {}
        self.asked: list[Asked] = []
        coin = {"tick": "0.01", "lot": "0.00001", "minimum": "0.0001"}
        prices = {"bid": "60000.00", "ask": "60010.00", "last": "60005.00"}
        pairs = [("BTC", self.quote_currency), ("ETH", self.quote_currency), ("BTC", "USDT")]
        self.listings = {
            wire.format(base, quote): Listing(
                symbol=f"{base}/{quote}", wire=wire.format(base, quote), base=base, quote=quote, **coin, **prices
            )
            for base, quote in pairs
        }

    def script(self, start: datetime, *bars: str) -> None:
        """Minute bars in a row, each "open high low close volume"."""
        for place, bar in enumerate(bars):
            self.bars[int(start.timestamp()) + place * _MINUTE] = tuple(bar.split())

    def answer(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        return super().answer(asked)

    def told(self, first: int, end: int, *, flat: bool) -> Iterator[Row]:
        """The minutes that start in [first, end), seconds since 1970, up to the one under way."""
        now, close = int(self.watch().timestamp()), "60005.00"
        for start in range(first + -first % _MINUTE, min(end, now + 1), _MINUTE):
            if start in self.bars:
                opened, high, low, close, volume = self.bars[start]
                yield start, opened, high, low, close, volume
            elif flat:
                yield start, close, close, close, close, "0"


class PublicBinance(BinanceFake, Scripted):
    def __init__(self, watch: Callable[[], datetime]) -> None:
        super().__init__()
        self.listed(watch, "{}{}")

    def _klines(self, query: Any) -> Reply:
        first, count = int(query["startTime"]) // 1000, min(int(query.get("limit", 500)), 1000)
        assert query["interval"] == "1m" and query["symbol"] in self.listings
        rows = list(self.told(first, 10**12, flat=True))[:count]
        return 200, [
            [start * 1000, *four, volume, start * 1000 + 59_999, "0", 3, "0", "0", "0"] for start, *four, volume in rows
        ]


class PublicCoinbase(CoinbaseFake, Scripted):
    quote_currency = "USD"

    def __init__(self, watch: Callable[[], datetime]) -> None:
        super().__init__()
        self.listed(watch, "{}-{}")

    def _public(self, path: str, query: Any) -> Reply:
        if not path.endswith("/candles"):
            return super()._public(path, query)
        assert query["granularity"] == "ONE_MINUTE"
        first, end = int(query["start"]), int(query["end"])
        if (end - first) // _MINUTE > 350:
            return 400, {"error": "INVALID_ARGUMENT", "message": "number of candles requested should be less than 350"}
        rows = list(self.told(first, end + 1, flat=False))
        return 200, {"candles": [
            {"start": str(start), "open": opened, "high": high, "low": low, "close": close, "volume": volume}
            for start, opened, high, low, close, volume in reversed(rows)
        ]}  # fmt: skip


class PublicOkx(OkxFake, Scripted):
    def __init__(self, watch: Callable[[], datetime]) -> None:
        super().__init__()
        self.listed(watch, "{}-{}")

    def _public(self, asked: Asked) -> Reply:
        if not asked.path.endswith("candles"):
            return super()._public(asked)
        query = asked.query
        assert query["bar"] == "1m"
        # "before" are those newer than it, "after" those older.
        first, end = int(query["before"]) // 1000 + 1, -(-int(query["after"]) // 1000)
        rows = list(self.told(first, end, flat=True))
        newest = rows[-min(int(query.get("limit", 100)), 300) :]
        now = int(self.watch().timestamp())
        data = [
            [str(start * 1000), *four, volume, "0", "0", "0" if start + _MINUTE > now else "1"]
            for start, *four, volume in reversed(newest)
        ]
        return 200, {"code": "0", "msg": "", "data": data}
