"""The adapters that the contract is held to. A new one is one more ``Case`` in ``CASES``, and nothing else.

The first half, ``test_reads``, needs no trading: an adapter in the making passes it alone.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from typing import Any

from brokers.base import Broker
from brokers.errors import Outcome
from brokers.okx.adapter import OkxBroker
from brokers.paper import books
from brokers.paper.adapter import PaperBroker
from brokers.types import OrderRequest, OrderType, Side, TimeInForce
from tests.brokers.exchange import CryptoFake
from tests.brokers.faults import SENDING, Fault
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
    fake: CryptoFake | None = None
    secrets: tuple[str, ...] = ()
    market_by_units: bool = True
    """A market buy can be given in units."""
    exact_symbol: str = ""
    """An instrument with a tick and a lot of 1E-18."""

    @property
    def account_id(self) -> str:
        return self.broker.accounts()[0].account_id

    @property
    def low_price(self) -> Decimal:
        """A price nobody sells at now, on the instrument's tick."""
        tick = self.broker.instrument(self.symbol).tick
        return self.price / 2 // tick * tick

    @property
    def wire(self) -> CryptoFake:
        assert self.fake is not None
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


class PaperCase(Case):
    name = "paper"

    @contextmanager
    def opened(self) -> Iterator[Rig]:
        account = books.open_account("Practice", Decimal("1000000"), hours="always", seed=1)
        broker = PaperBroker.open({"account": account.key})
        yield Rig(broker=broker, symbol="AAPL", price=broker.quotes(["AAPL"])[0].last, quantity=Decimal(2))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Venue:
    fake: type[CryptoFake]
    adapter: type[Any]
    settings: Mapping[str, str]
    symbol: str = "BTC/USDT"
    exact_symbol: str = "TINY/USDT"
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    order_path: str
    cancel: tuple[str, str]
    """Method and how the path begins."""
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
                secrets=tuple(value for name, value in self.venue.settings.items() if name != "environment"),
                exact_symbol=self.venue.exact_symbol,
                market_by_units=self.venue.market_by_units,
            )

    def with_wrong_key(self, rig: Rig) -> Broker:
        return self._open(rig.wire, secret=self.venue.wrong_secret or "wrong" + self.venue.settings["secret"])

    def without_secret(self, rig: Rig) -> Broker:
        return self._open(rig.wire, secret="")

    def _open(self, fake: CryptoFake, **other: str) -> Broker:
        made: Broker = self.venue.adapter.open(
            {**self.venue.settings, "base_url": fake.url, "timeout": 0.3, "per_second": 1000, **other}
        )
        return made


OKX = CryptoCase(
    "okx",
    _Venue(
        fake=okx.OkxFake,
        adapter=OkxBroker,
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

CASES: tuple[Case, ...] = (PaperCase(), OKX)
WIRED = tuple(case for case in CASES if case.sending)
"""Those that speak over a network."""
