"""IBKR's OpenAPI document has texts where other documents and recorded answers have numbers, and the other way round.

Either way the adapter reads the same.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from brokers.ibkr.adapter import IbkrBroker
from tests.brokers.faults import Asked, Reply
from tests.brokers.ibkr.fake import APPLE, PAPER, FakeIbkr
from tests.brokers.paper.support import order

SYMBOL = f"AAPL@{APPLE}"
_AS_TEXT = frozenset(("orderId", "order_id", "conid", "size", "83"))
_AS_NUMBERS = frozenset(("price", "auxPrice", "commission", "maturityDate"))
_LEFT_OUT = frozenset(("multiplier", "maturity_date", "error", "warn", "value", "order_ref"))
"""Where they would be null."""


def _as_documented(value: Any) -> Any:
    if isinstance(value, list):
        return [_as_documented(each) for each in value]
    if not isinstance(value, dict):
        return value
    made = {name: _as_documented(each) for name, each in value.items() if each is not None or name not in _LEFT_OUT}
    for name, each in made.items():
        if name in _AS_TEXT and isinstance(each, int | float | Decimal):
            made[name] = str(each)
        elif name in _AS_NUMBERS and isinstance(each, str):
            made[name] = Decimal(each.replace(",", ""))
    return made


@contextmanager
def _documented(fake: FakeIbkr, patch: pytest.MonkeyPatch) -> Iterator[None]:
    before = fake.answer

    def answer(asked: Asked) -> Reply:
        status, body = before(asked)
        return status, _as_documented(body)

    with patch.context() as inside:
        inside.setattr(fake, "answer", answer)
        yield


def _everything(ibkr: IbkrBroker) -> list[Any]:
    (row,) = ibkr.quotes([SYMBOL])
    contract = ibkr.instrument(SYMBOL)
    return [
        [(each.broker_order_id, each.limit_price, each.stop_price, each.status) for each in ibkr.orders(PAPER)],
        [(each.fill_id, each.quantity, each.price, each.fee, each.symbol) for each in ibkr.fills(PAPER, limit=10)],
        [(each.symbol, each.quantity, each.average_price) for each in ibkr.positions(PAPER)],
        (row.bid, row.ask, row.last),
        (contract.symbol, contract.tick, contract.multiplier),
        ibkr.account_state(PAPER).buying_power,
    ]


def test_numbers_and_texts_are_read_alike(ibkr: IbkrBroker, fake: FakeIbkr, monkeypatch: pytest.MonkeyPatch) -> None:
    for asked in (
        order("BUY", "2", SYMBOL, limit="100.5"),
        order("BUY", "3", SYMBOL),
        order("BUY", "1", SYMBOL, stop="200"),
    ):
        ibkr.submit(PAPER, asked)
    before = _everything(ibkr)
    with _documented(fake, monkeypatch):
        assert _everything(ibkr) == before
        resting = order("SELL", "1", SYMBOL, limit="300")
        assert (
            ibkr.submit(PAPER, resting).broker_order_id == ibkr.cancel(PAPER, resting.client_order_id).broker_order_id
        )
