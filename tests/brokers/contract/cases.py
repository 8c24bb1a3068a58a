"""The adapters that the contract is held to. A new one is one more ``Case`` in ``CASES``, and nothing else.

The first half, ``test_reads``, needs no trading: an adapter in the making passes it alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache
from itertools import count
from typing import Any

import pytest

from brokers import http
from brokers.alpaca.adapter import AlpacaBroker
from brokers.base import Broker
from brokers.binance.adapter import BinanceBroker
from brokers.coinbase.adapter import CoinbaseBroker
from brokers.errors import Outcome
from brokers.ibkr import adapter as ibkr_adapter
from brokers.ibkr import session as ibkr_session
from brokers.ibkr.adapter import IbkrBroker
from brokers.kraken.adapter import KrakenBroker
from brokers.krakenfutures.adapter import KrakenFuturesBroker
from brokers.okx.adapter import OkxBroker
from brokers.paper import books
from brokers.paper.adapter import PaperBroker
from brokers.types import OrderRequest, OrderType, Side, TimeInForce
from tests.brokers.alpaca import fake as alpaca
from tests.brokers.alpaca.conftest import settings_for
from tests.brokers.binance import fake as binance
from tests.brokers.coinbase import fake as coinbase
from tests.brokers.exchange import CryptoFake
from tests.brokers.faults import SENDING, FakeBroker, Fault
from tests.brokers.ibkr import fake as ibkr
from tests.brokers.ibkr.conftest import settings_for as ibkr_settings
from tests.brokers.kraken import fake as kraken
from tests.brokers.krakenfutures import fake as krakenfutures
from tests.brokers.okx import fake as okx

_ids = count(1)


def new_id() -> str:
    return f"c0ffee{next(_ids):026x}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """One adapter against something that answers it."""

    broker: Broker
    symbol: str
    price: Decimal
    """About what ``symbol`` costs now."""
    quantity: Decimal
    fake: FakeBroker | None = None
    sent: Callable[[str], int] = lambda client_order_id: 0
    """How often an order of this id arrived at the broker."""
    stands: Callable[[str], bool] = lambda client_order_id: False
    """Whether the broker took it."""
    secrets: tuple[str, ...] = ()
    market_by_units: bool = True
    """A market buy can be given in units."""
    exact_symbol: str = ""
    """An instrument with a tick and a lot of 1E-18."""
    perpetual: str = ""
    root: str = ""
    """What it has futures on."""

    @property
    def account_id(self) -> str:
        return self.broker.accounts()[0].account_id

    @property
    def low_price(self) -> Decimal:
        """A price nobody sells at now, on the instrument's tick."""
        tick = self.broker.instrument(self.symbol).tick
        return self.price / 2 // tick * tick

    @property
    def server(self) -> FakeBroker:
        assert self.fake is not None
        return self.fake

    @property
    def wire(self) -> CryptoFake:
        assert isinstance(self.fake, CryptoFake)
        return self.fake

    def order(self, **terms: Any) -> OrderRequest:
        """A limit order to buy far below the price, or what ``terms`` make of it."""
        asked: dict[str, Any] = {
            "client_order_id": new_id(),
            "symbol": self.symbol,
            "side": Side.BUY,
            "order_type": OrderType.LIMIT,
            "quantity": self.quantity,
            "tif": TimeInForce.GTC,
            "limit_price": self.low_price,
        }
        return OrderRequest(**{**asked, **terms})


class Case(ABC):
    name: str
    sending: tuple[Fault, ...] = ()
    """What can go wrong on the way to it; nothing for a broker without a wire."""
    outcomes: Mapping[str, Outcome] = {}
    """Fault → what it means here, where that is not UNKNOWN."""
    order_path = ""
    cancel: tuple[str, str] = ("", "")
    """Method of a cancel, and how its path begins."""
    tells_duplicates = True
    """The broker refuses an id it has."""

    @abstractmethod
    def opened(self) -> AbstractContextManager[Rig]: ...

    def with_wrong_key(self, rig: Rig) -> Broker:
        """Opened with a credential that the broker does not know. Only of those with a wire."""
        raise NotImplementedError

    def without_secret(self, rig: Rig) -> Broker:
        raise NotImplementedError


class PaperCase(Case):
    name = "paper"

    @contextmanager
    def opened(self) -> Iterator[Rig]:
        account = books.open_account("Practice", Decimal("1000000"), hours="always", seed=1)
        broker = PaperBroker.open({"account": account.key})
        yield Rig(broker=broker, symbol="AAPL", price=broker.quotes(["AAPL"])[0].last, quantity=Decimal(2))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Venue:
    fake: Callable[[], CryptoFake]
    adapter: type[Any]
    settings: Mapping[str, str]
    symbol: str = "BTC/USDT"
    exact_symbol: str = "TINY/USDT"
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    order_path: str
    cancel: tuple[str, str]
    """Method and how the path begins."""
    perpetual: str = ""
    root: str = ""
    wrong_secret: str = ""
    """Of the right form, where the form is checked."""
    market_by_units: bool = True


class CryptoCase(Case):
    def __init__(
        self, name: str, venue: _Venue, *, without: tuple[str, ...] = (), tells_duplicates: bool = True
    ) -> None:
        self.name = name
        self.venue = venue
        self.sending = tuple(each for each in SENDING if each.kind not in without)
        self.outcomes = venue.outcomes
        self.order_path = venue.order_path
        self.cancel = venue.cancel
        self.tells_duplicates = tells_duplicates

    @contextmanager
    def opened(self) -> Iterator[Rig]:
        with self.venue.fake() as fake:
            yield Rig(
                broker=self._open(fake),
                symbol=self.venue.symbol,
                price=Decimal(30000),
                quantity=Decimal("0.5"),
                fake=fake,
                sent=lambda client_order_id: fake.sent[client_order_id],
                stands=lambda client_order_id: fake.by_client(client_order_id) is not None,
                secrets=tuple(value for name, value in self.venue.settings.items() if name != "environment"),
                exact_symbol=self.venue.exact_symbol,
                market_by_units=self.venue.market_by_units,
                perpetual=self.venue.perpetual,
                root=self.venue.root,
            )

    def with_wrong_key(self, rig: Rig) -> Broker:
        return self._open(rig.server, secret=self.venue.wrong_secret or "wrong" + self.venue.settings["secret"])

    def without_secret(self, rig: Rig) -> Broker:
        return self._open(rig.server, secret="")

    def _open(self, fake: FakeBroker, **other: str) -> Broker:
        made: Broker = self.venue.adapter.open(
            {**self.venue.settings, "base_url": fake.url, "timeout": 0.3, "per_second": 1000, **other}
        )
        return made


class AlpacaCase(Case):
    name = "alpaca"
    sending = SENDING
    order_path = "/v2/orders"
    cancel = ("DELETE", "/v2/orders/")

    @contextmanager
    def opened(self) -> Iterator[Rig]:
        with alpaca.FakeAlpaca() as fake:
            yield Rig(
                broker=AlpacaBroker.open(settings_for(fake.url)),
                symbol="AAPL",
                price=fake.prices["AAPL"],
                quantity=Decimal(2),
                fake=fake,
                sent=lambda ours: sum(body.get("client_order_id") == ours for body in fake.sent),
                stands=lambda ours: any(each["client_order_id"] == ours for each in fake.orders.values()),
                secrets=(alpaca.KEY_ID, alpaca.SECRET),
            )
            http.close_shared()

    def with_wrong_key(self, rig: Rig) -> Broker:
        return AlpacaBroker.open(settings_for(rig.server.url, secret="another"))

    def without_secret(self, rig: Rig) -> Broker:
        return AlpacaBroker.open(settings_for(rig.server.url, secret=""))


class IbkrCase(Case):
    """With OAuth, so that there are secrets and signatures."""

    name = "ibkr"
    sending = SENDING
    order_path = f"{ibkr.BASE}/iserver/account/{ibkr.PAPER}/orders"
    cancel = ("DELETE", f"{ibkr.BASE}/iserver/account/{ibkr.PAPER}/order/")

    @contextmanager
    def opened(self) -> Iterator[Rig]:
        keys = _ibkr_keys()
        with ibkr.FakeIbkr(keys) as fake, pytest.MonkeyPatch.context() as patch:
            patch.setattr(ibkr_session, "LIST_EVERY", 0.0)
            patch.setattr(ibkr_adapter, "_PRICE_PAUSE", 0.0)
            yield Rig(
                broker=IbkrBroker.open(ibkr_settings(fake)),
                symbol=f"AAPL@{ibkr.APPLE}",
                price=fake.price,
                quantity=Decimal(2),
                fake=fake,
                sent=lambda ours: sum(ticket["cOID"] == ours for ticket in fake.sent),
                stands=lambda ours: any(each["order_ref"] == ours for each in fake.live.values()),
                secrets=tuple(value for name, value in keys.settings.items() if name != "consumer_key"),
                root="ES",
            )
            ibkr_session.close_shared()
            http.close_shared()

    def with_wrong_key(self, rig: Rig) -> Broker:
        assert isinstance(rig.server, ibkr.FakeIbkr)
        return IbkrBroker.open(ibkr_settings(rig.server, signature_key=ibkr.make_keys().settings["signature_key"]))

    def without_secret(self, rig: Rig) -> Broker:
        assert isinstance(rig.server, ibkr.FakeIbkr)
        return IbkrBroker.open(ibkr_settings(rig.server, signature_key=""))


@cache
def _ibkr_keys() -> ibkr.Keys:
    return ibkr.make_keys()


OKX = CryptoCase(
    "okx",
    _Venue(
        fake=okx.OkxFake,
        adapter=OkxBroker,
        perpetual="BTC/USDT:USDT",
        root="BTC",
        order_path="/api/v5/trade/order",
        cancel=("POST", "/api/v5/trade/cancel-order"),
        settings={
            "api_key": okx.KEY,
            "secret": okx.SECRET,
            "passphrase": okx.PASSPHRASE,
            "environment": "paper",
        },
    ),
)

BINANCE = CryptoCase(
    "binance",
    _Venue(
        fake=binance.BinanceFake,
        adapter=BinanceBroker,
        order_path="/api/v3/order",
        cancel=("DELETE", "/api/v3/order"),
        settings={"api_key": binance.KEY, "secret": binance.SECRET, "environment": "paper"},
    ),
)

KRAKEN = CryptoCase(
    "kraken",
    _Venue(
        fake=kraken.KrakenFake,
        adapter=KrakenBroker,
        symbol="BTC/USD",
        exact_symbol="TINY/USD",
        order_path="/0/private/AddOrder",
        cancel=("POST", "/0/private/CancelOrder"),
        settings={"api_key": kraken.KEY, "secret": kraken.SECRET, "environment": "live"},
        wrong_secret="d3Jvbmc=",
    ),
)

COINBASE = CryptoCase(
    "coinbase",
    _Venue(
        fake=coinbase.CoinbaseFake,
        adapter=CoinbaseBroker,
        symbol="BTC/USD",
        exact_symbol="TINY/USD",
        order_path="/api/v3/brokerage/orders",
        cancel=("POST", "/api/v3/brokerage/orders/batch_cancel"),
        settings={"api_key": coinbase.KEY, "secret": coinbase.SECRET, "environment": "live"},
        wrong_secret=coinbase.WRONG_SECRET,
        market_by_units=False,
    ),
    without=("duplicate",),
    tells_duplicates=False,
)

KRAKEN_FUTURES = CryptoCase(
    "krakenfutures",
    _Venue(
        fake=krakenfutures.KrakenFuturesFake,
        adapter=KrakenFuturesBroker,
        symbol="BTC/USD:USD",
        exact_symbol="TINY/USD:USD",
        perpetual="BTC/USD:USD",
        root="BTC",
        order_path="/derivatives/api/v3/sendorder",
        cancel=("POST", "/derivatives/api/v3/cancelorder"),
        settings={"api_key": krakenfutures.KEY, "secret": krakenfutures.SECRET, "environment": "paper"},
        wrong_secret="d3Jvbmc=",
    ),
)

CRYPTO = (OKX, BINANCE, KRAKEN, COINBASE, KRAKEN_FUTURES)
"""Those whose fakes list an instrument with 18 decimals."""
CASES: tuple[Case, ...] = (PaperCase(), AlpacaCase(), IbkrCase(), *CRYPTO)
WIRED = tuple(case for case in CASES if case.sending)
"""Those that speak over a network."""
