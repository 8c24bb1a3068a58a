"""The brokers that can be linked, each as a server on this computer with credentials it takes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.test import override_settings

from brokers import http
from tests.brokers.alpaca import fake as alpaca
from tests.brokers.binance import fake as binance
from tests.brokers.coinbase import fake as coinbase
from tests.brokers.faults import FakeBroker
from tests.brokers.kraken import fake as kraken
from tests.brokers.krakenfutures import fake as krakenfutures
from tests.brokers.okx import fake as okx


@dataclass(frozen=True, slots=True, kw_only=True)
class Linkable:
    broker: str
    make: Callable[[], Any]
    environment: str
    credentials: dict[str, str]
    symbol: str
    wrong: dict[str, str] = field(default_factory=lambda: {"secret": "d3Jvbmctc2VjcmV0"})
    hints: tuple[str, ...] = ("base_url",)

    def form(self, **more: Any) -> dict[str, Any]:
        """What a person types."""
        limits = {"order_notional": "5000", "daily_notional": "20,000"} if self.environment == "live" else {}
        typed = {"name": "Mine", "environment": self.environment, "trading_enabled": "on"}
        return {**typed, **self.credentials, **limits, **more}

    @contextmanager
    def running(self) -> Iterator[Any]:
        """The fake, in the place of the broker for this process."""
        fake: FakeBroker
        with self.make() as fake:
            told: dict[str, object] = dict.fromkeys(self.hints, fake.url)
            if self.broker == "alpaca":
                told["timeouts"] = {"connect": 0.5, "read": 0.5, "total": 1.0}
            else:
                told |= {"timeout": 0.5, "per_second": 1000}
            with override_settings(BROKER_OVERRIDES={self.broker: told}):
                yield fake
            http.close_shared()


ALPACA = Linkable(
    broker="alpaca",
    make=alpaca.FakeAlpaca,
    environment="paper",
    credentials={"key_id": alpaca.KEY_ID, "secret": alpaca.SECRET},
    symbol="AAPL",
    hints=("trading_url", "data_url"),
)
OKX = Linkable(
    broker="okx",
    make=okx.OkxFake,
    environment="paper",
    credentials={"api_key": okx.KEY, "secret": okx.SECRET, "passphrase": okx.PASSPHRASE},
    symbol="BTC/USDT",
)


def _live_binance() -> binance.BinanceFake:
    fake = binance.BinanceFake()
    fake.live = True
    return fake


BINANCE = Linkable(
    broker="binance",
    make=_live_binance,
    environment="live",
    credentials={"api_key": binance.KEY, "secret": binance.SECRET},
    symbol="BTC/USDT",
)
KRAKEN = Linkable(
    broker="kraken",
    make=kraken.KrakenFake,
    environment="live",
    credentials={"api_key": kraken.KEY, "secret": kraken.SECRET},
    symbol="BTC/USD",
)
COINBASE = Linkable(
    broker="coinbase",
    make=coinbase.CoinbaseFake,
    environment="live",
    credentials={"api_key": coinbase.KEY, "secret": coinbase.SECRET.strip()},
    symbol="BTC/USD",
    wrong={"secret": coinbase.WRONG_SECRET.strip()},
)
KRAKEN_FUTURES = Linkable(
    broker="krakenfutures",
    make=krakenfutures.KrakenFuturesFake,
    environment="paper",
    credentials={"api_key": krakenfutures.KEY, "secret": krakenfutures.SECRET},
    symbol="BTC/USD:USD",
)
ALL = (ALPACA, OKX, BINANCE, KRAKEN, COINBASE, KRAKEN_FUTURES)
