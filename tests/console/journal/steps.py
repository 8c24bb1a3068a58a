"""What the tests of the journal share."""

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

import pytest

from brokers.paper.adapter import PaperBroker
from brokers.types import Fill, Instrument, Side, Transaction
from console.connections.models import Connection
from tests.brokers.paper.support import order
from tests.clock import Clock


def deal(connection: Connection, side: str, quantity: str, symbol: str, clock: Clock) -> None:
    broker = PaperBroker.open(connection.settings, clock=clock)
    answer = broker.submit(connection.default_account, order(side, quantity, symbol))
    assert answer.filled_quantity == Decimal(quantity)


class ToldBroker:
    """What the paper broker tells from now on, in the place of its books. Fills and moves are told newest first."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rows: list[Fill] = []
        self.moves: list[Transaction] = []
        self.multipliers: dict[str, Decimal] = {}
        told, instrument = self, PaperBroker.instrument

        def fills(
            broker: PaperBroker,
            account_id: str,
            *,
            start: datetime | None = None,
            end: datetime | None = None,
            limit: int,
            after: str = "",
            **named: str,
        ) -> list[Fill]:
            rows = sorted(told.rows, key=lambda row: row.filled_at)[::-1]
            return _page(rows, lambda row: row.filled_at, lambda row: row.fill_id, start, end, limit, after)

        def transactions(
            broker: PaperBroker,
            account_id: str,
            *,
            start: datetime | None,
            end: datetime | None,
            limit: int,
            kinds: Collection[str] = (),
            after: str = "",
        ) -> list[Transaction]:
            rows = [row for row in sorted(told.moves, key=lambda row: row.at)[::-1] if not kinds or row.kind in kinds]
            return _page(rows, lambda row: row.at, lambda row: row.transaction_id, start, end, limit, after)

        def found(broker: PaperBroker, symbol: str) -> Instrument:
            multiplier = told.multipliers.get(symbol, Decimal(1))
            return replace(instrument(broker, "AAPL"), symbol=symbol, multiplier=multiplier)

        monkeypatch.setattr(PaperBroker, "fills", fills)
        monkeypatch.setattr(PaperBroker, "transactions", transactions)
        monkeypatch.setattr(PaperBroker, "instrument", found)

    def deal(
        self, at: datetime, side: str, quantity: object, symbol: str, price: object, fee: object = 0, **other: str
    ) -> Fill:
        row = Fill(
            fill_id=f"F-{len(self.rows)}",
            client_order_id="",
            symbol=symbol,
            side=Side(side),
            quantity=Decimal(str(quantity)),
            price=Decimal(str(price)),
            fee=Decimal(str(fee)),
            currency=other.get("currency", "USD"),
            filled_at=at,
            source="",
        )
        self.rows.append(row)
        return row

    def move(self, at: datetime, kind: str, symbol: str, quantity: object, price: object = 0) -> None:
        self.moves.append(
            Transaction(
                transaction_id=f"T-{len(self.moves)}",
                at=at,
                kind=kind,
                currency="USD",
                amount=Decimal(0),
                symbol=symbol,
                quantity=Decimal(str(quantity)),
                price=Decimal(str(price)),
            )
        )


Row = TypeVar("Row")


def _page(
    rows: list[Row],
    at: Callable[[Row], datetime],
    name: Callable[[Row], str],
    start: datetime | None,
    end: datetime | None,
    limit: int,
    after: str,
) -> list[Row]:
    if after:
        rows = rows[[name(row) for row in rows].index(after) + 1 :]
    return [row for row in rows if (start is None or at(row) >= start) and (end is None or at(row) < end)][:limit]
