"""The brokers that can be linked, each as a server on this computer with credentials it takes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from unittest import mock

from django.test import override_settings

from brokers import http
from brokers.ibkr import session
from brokers.tws import api_connection
from console.connections import bulkhead
from tests.brokers.alpaca import fake as alpaca
from tests.brokers.binance import fake as binance
from tests.brokers.coinbase import fake as coinbase
from tests.brokers.crosstrade import fake as crosstrade
from tests.brokers.ibkr import fake as ibkr
from tests.brokers.kraken import fake as kraken
from tests.brokers.krakenfutures import fake as krakenfutures
from tests.brokers.okx import fake as okx
from tests.brokers.tws import fake as tws
from tests.patience import lasting

WRONG_KEY = "does not accept this key. Copy all of it again"
NO_ANSWER = "could not be reached, so nothing was saved. Try again in a minute."
NO_GATEWAY = "is running there, or nobody is signed in to it. Start it, sign in, then try again. Nothing was saved."
_TIMEOUTS = {"connect": lasting(0.5), "read": lasting(0.5), "total": lasting(1)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Linkable:
    broker: str
    make: Callable[[], Any]
    environment: str
    symbol: str
    keys: dict[str, str] = field(default_factory=dict)
    """What must be seen nowhere again."""
    own: Callable[[Any], dict[str, str]] = lambda fake: {}
    """What is typed besides, by the fake that is meant."""
    wrong: dict[str, str] = field(default_factory=lambda: {"secret": "d3Jvbmctc2VjcmV0"})
    told_wrong: str = WRONG_KEY
    """What the page then says."""
    hints: Callable[[Any], dict[str, Any]] = lambda fake: {"base_url": fake.url}
    """What an adapter is told so that it takes the fake for the broker."""
    quick: dict[str, Any] = field(default_factory=lambda: {"timeout": lasting(0.5), "per_second": 1000})
    slug: str = ""

    @property
    def page(self) -> str:
        return f"/connections/add/{self.slug or self.broker}/"

    def credentials(self, fake: Any) -> dict[str, str]:
        return self.keys | self.own(fake)

    def form(self, fake: Any, **more: Any) -> dict[str, Any]:
        """What a person types."""
        limits = {"order_notional": "5000", "daily_notional": "20,000"} if self.environment == "live" else {}
        typed = {"name": "Mine", "environment": self.environment, "trading_enabled": "on"}
        return {**typed, **self.credentials(fake), **limits, **more}

    @contextmanager
    def running(self) -> Iterator[Any]:
        """The fake, in the place of the broker for this process."""
        pauses = mock.patch.multiple("brokers.ibkr.session", LIST_EVERY=0.0)
        with (
            self.make() as fake,
            pauses,
            override_settings(BROKER_OVERRIDES=self.overrides(fake), GATEWAYS_OF_EVERYBODY=True),
        ):
            bulkhead._compartments.clear()  # another test's connection of the same number has spent its calls
            yield fake
            session.close_shared()
            api_connection.close_shared()
            http.close_shared()

    def overrides(self, fake: Any) -> dict[str, dict[str, Any]]:
        return {self.broker: self.hints(fake) | self.quick}


ALPACA = Linkable(
    broker="alpaca",
    make=alpaca.FakeAlpaca,
    environment="paper",
    keys={"key_id": alpaca.KEY_ID, "secret": alpaca.SECRET},
    symbol="AAPL",
    hints=lambda fake: {"trading_url": fake.url, "data_url": fake.url},
    quick={"timeouts": _TIMEOUTS},
)
OKX = Linkable(
    broker="okx",
    make=okx.OkxFake,
    environment="paper",
    keys={"api_key": okx.KEY, "secret": okx.SECRET, "passphrase": okx.PASSPHRASE},
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
    keys={"api_key": binance.KEY, "secret": binance.SECRET},
    symbol="BTC/USDT",
)
KRAKEN = Linkable(
    broker="kraken",
    make=kraken.KrakenFake,
    environment="live",
    keys={"api_key": kraken.KEY, "secret": kraken.SECRET},
    symbol="BTC/USD",
)
COINBASE = Linkable(
    broker="coinbase",
    make=coinbase.CoinbaseFake,
    environment="live",
    keys={"api_key": coinbase.KEY, "secret": coinbase.SECRET.strip()},
    symbol="BTC/USD",
    wrong={"secret": coinbase.WRONG_SECRET.strip()},
)
KRAKEN_FUTURES = Linkable(
    broker="krakenfutures",
    make=krakenfutures.KrakenFuturesFake,
    environment="paper",
    keys={"api_key": krakenfutures.KEY, "secret": krakenfutures.SECRET},
    symbol="BTC/USD:USD",
)
IBKR = Linkable(
    broker="ibkr",
    slug="ibkr-gateway",
    make=ibkr.FakeIbkr,
    environment="paper",
    own=lambda fake: {"base_url": fake.url + ibkr.BASE},
    symbol=f"AAPL@{ibkr.APPLE}",
    wrong={"base_url": "http://127.0.0.1:9/v1/api"},
    told_wrong=NO_GATEWAY,
    hints=lambda fake: {},
    quick={"timeouts": _TIMEOUTS},
)
TWS = Linkable(
    broker="tws",
    make=tws.FakeTws,
    environment="paper",
    own=lambda fake: {"host": "127.0.0.1", "port": str(fake.port), "client_id": "7"},
    symbol=f"AAPL@{ibkr.APPLE}",
    wrong={"port": "9"},
    told_wrong=NO_GATEWAY,
    hints=lambda fake: {},
    quick={"timeout": lasting(0.5)},
)
CROSSTRADE = Linkable(
    broker="crosstrade",
    make=crosstrade.FakeCrossTrade,
    environment="paper",
    keys={"token": crosstrade.TOKEN},
    own=lambda fake: {"account": crosstrade.ACCOUNT},
    symbol="ES 12-26",
    wrong={"token": "xt-wr0ng"},
    quick={"timeouts": _TIMEOUTS},
)


@cache
def _oauth_keys() -> ibkr.Keys:
    return ibkr.make_keys()


def ibkr_oauth() -> Linkable:
    """Made when it is asked for: RSA keys take a moment."""
    return Linkable(
        broker="ibkr",
        slug="ibkr-oauth",
        make=lambda: ibkr.FakeIbkr(_oauth_keys()),
        environment="paper",
        keys=_oauth_keys().settings,
        symbol=f"AAPL@{ibkr.APPLE}",
        wrong={"consumer_key": "WRONGKEYS"},
        hints=lambda fake: {"base_url": fake.url + ibkr.BASE},
        quick={"timeouts": _TIMEOUTS},
    )


ALL = (ALPACA, OKX, BINANCE, KRAKEN, COINBASE, KRAKEN_FUTURES, IBKR, TWS, CROSSTRADE)
"""All but one: Interactive Brokers by OAuth is ``ibkr_oauth``."""
