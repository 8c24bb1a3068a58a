"""A broker whose prices a test sets, and that counts what it is asked."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from brokers.errors import BrokerUnavailable, InvalidSymbol
from brokers.types import Bar, BarSize, Quote
from console.alerts import evaluation, intake
from console.alerts.intake import Taken
from console.alerts.models import WatchedValue
from console.connected_apps.models import ConnectedApp
from console.connections import broker_access
from console.connections.models import Connection
from tests import clock as clocks
from tests.clock import Clock


class SetPrices:
    """Of every symbol the same, but those that were named; open around the clock."""

    def __init__(self, clock: Clock, real: Any) -> None:
        self._clock, self._real = clock, real
        self.price = Decimal(100)
        self.of: dict[str, Decimal] = {}
        self.spread = Decimal("0.1")
        self.as_of: datetime | None = None
        """None: now."""
        self.closes: list[Decimal] = [Decimal(100)] * 400
        self.gone: set[str] = set()
        self.is_away = False
        self.asked: list[tuple[str, ...]] = []
        """The symbols of each question for quotes."""
        self.asked_bars: list[tuple[str, str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def quotes(self, symbols: Sequence[str]) -> list[Quote]:
        self.asked.append(tuple(symbols))
        if self.is_away:
            raise BrokerUnavailable("The broker is away.")
        for symbol in symbols:
            if symbol in self.gone:
                raise InvalidSymbol(f"There is no {symbol}.")
        return [self._quote(symbol) for symbol in symbols]

    def _quote(self, symbol: str) -> Quote:
        price = self.of.get(symbol, self.price)
        return Quote(
            symbol=symbol,
            currency="USD",
            last=price,
            bid=price - self.spread / 2,
            ask=price + self.spread / 2,
            open=None,
            high=None,
            low=None,
            change_percent=None,
            as_of=self.as_of or self._clock(),
            source="set",
        )

    def bars(self, symbol: str, size: BarSize, *, limit: int = 100, end: Any = None, **more: Any) -> list[Bar]:
        """The closes that were set, the newest bar complete just now."""
        self.asked_bars.append((symbol, size.value))
        if self.is_away:
            raise BrokerUnavailable("The broker is away.")
        step = timedelta(seconds=size.seconds)
        last = self.as_of or self._clock()
        closes = self.closes[-limit:]
        return [
            Bar(start=last - step * (len(closes) - at), open=each, high=each, low=each, close=each, volume=Decimal(1))
            for at, each in enumerate(closes)
        ]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return clocks.install(monkeypatch)


@pytest.fixture
def market(clock: Clock, paper: Connection, monkeypatch: pytest.MonkeyPatch) -> SetPrices:
    made = SetPrices(clock, broker_access.broker_of(paper))
    monkeypatch.setattr(broker_access, "broker_of", lambda connection: made)
    return made


class Look:
    """One pass, a minute after the last."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(self, price: str = "", market: SetPrices | None = None, **later: float) -> int:
        self._clock.advance(**(later or {"seconds": 61}))
        if market is not None and price:
            market.price = Decimal(price)
        return evaluation.run()


@pytest.fixture
def look(clock: Clock, market: SetPrices) -> Look:
    return Look(clock)


def ask(connection: Connection, app: ConnectedApp | None = None, **given: Any) -> Taken:
    """An alert on the price of AAPL, unless it is said otherwise."""
    usual: dict[str, Any] = {"kind": "price", "condition": "above", "symbol": "AAPL", "value": Decimal(200)}
    asked = {**usual, **given}
    return intake.create(connection, {name: each for name, each in asked.items() if each is not None}, app=app)


def watched() -> WatchedValue:
    return WatchedValue.objects.get()
