"""The people's connections with past prices that a test sets."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from brokers.paper.adapter import PaperBroker
from brokers.types import Bar, BarSize
from console.strategies import services
from console.strategies.models import Backtest
from console.strategies.services import Asked

FROM, UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)


class Prices:
    """Bars of every symbol: up and down again every ten bars. ``asked`` are the calls."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, datetime, datetime]] = []
        self.error: Exception | None = None
        self.at_call: Any = None

    def bars(self, symbol: str, size: BarSize, start: datetime, end: datetime, limit: int) -> list[Bar]:
        self.asked.append((symbol, start, end))
        if self.at_call is not None:
            self.at_call()
        if self.error is not None:
            raise self.error
        step, made = timedelta(seconds=size.seconds), []
        place = -(-(start - datetime(1970, 1, 1, tzinfo=UTC)) // step)
        while (at := datetime(1970, 1, 1, tzinfo=UTC) + place * step) < end:
            price = Decimal(100 + abs(place % 20 - 10))
            made.append(Bar(start=at, open=price, high=price + 1, low=price - 1, close=price, volume=Decimal(10**6)))
            place += 1
        return made[-limit:]


@pytest.fixture
def prices(monkeypatch: pytest.MonkeyPatch) -> Prices:
    made = Prices()

    def bars(_: object, symbol: str, size: BarSize, *, start: Any, end: Any, limit: int) -> Sequence[Bar]:
        return made.bars(symbol, size, start, end, limit)

    monkeypatch.setattr(PaperBroker, "bars", bars)
    return made


RULES = services.rules_of_library("sma-crossover")
SHORT = (
    '{"name": "Short", "universe": ["BTC/USD"], "timeframe": "1h", "size": {"percent_of_equity": 50},'
    ' "entry": {"left": "close", "is": "above", "right": 105}, "exit": {"left": "close", "is": "below", "right": 105}}'
)


def asked(rules: str = SHORT, **more: Any) -> Asked:
    return Asked(rules=rules, **{"starts_at": FROM, "ends_at": UNTIL, **more})


@pytest.fixture
def waiting(paper: Any, prices: Prices) -> Backtest:
    return services.create(paper, asked(), app=None)
