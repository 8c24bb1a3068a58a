"""Several orders at once: what they cost in one currency is never held against what is there of another."""

from dataclasses import replace
from decimal import Decimal

import pytest

from brokers.paper.adapter import PaperBroker
from brokers.types import OrderRequest, Preview
from console.errors import Code, Refusal
from console.orders import desk
from console.orders.desk import Item
from console.principal import Principal
from tests.console.orders.conftest import bitcoin

pytestmark = pytest.mark.django_db

Told = list[tuple[str, str, str]]  # currency, cost and buying power of each order


def prepare(trader: Principal, monkeypatch: pytest.MonkeyPatch, told: Told) -> None:
    real, left = PaperBroker.preview, list(told)

    def preview(self: PaperBroker, account_id: str, request: OrderRequest) -> Preview:
        currency, cost, there = left.pop(0)
        found = real(self, account_id, request)
        return replace(
            found,
            cash_effect=-Decimal(cost),
            buying_power=Decimal(there),
            quote=replace(found.quote, currency=currency),
        )

    monkeypatch.setattr(PaperBroker, "preview", preview)
    desk.prepare_plan(trader, [Item(terms=bitcoin("0.01", limit="100")) for _ in told])


@pytest.mark.parametrize(
    ("told", "code"),
    [
        ([("USD", "60", "100"), ("USD", "60", "100")], Code.INSUFFICIENT_FUNDS),
        ([("USD", "60", "100"), ("EUR", "60", "50")], Code.INSUFFICIENT_FUNDS),
        ([("JPY", "60", "9000"), ("EUR", "60", "100"), ("EUR", "60", "100")], Code.INSUFFICIENT_FUNDS),
        # One account's buying power, told in its own currency.
        ([("USD", "10", "100"), ("EUR", "10", "100")], Code.LIMIT_UNPROVABLE),
    ],
)
def test_what_is_not_there_of_a_currency_is_refused(
    trader: Principal, monkeypatch: pytest.MonkeyPatch, told: Told, code: Code
) -> None:
    with pytest.raises(Refusal) as caught:
        prepare(trader, monkeypatch, told)
    assert caught.value.code is code


@pytest.mark.parametrize(
    "told",
    [
        [("EUR", "60", "100"), ("JPY", "9000", "10000")],
        [("USD", "60", "100"), ("EUR", "-60", "100")],
        [("EUR", "60", "100"), ("EUR", "40", "40")],
    ],
)
def test_what_is_there_of_each_goes(trader: Principal, monkeypatch: pytest.MonkeyPatch, told: Told) -> None:
    prepare(trader, monkeypatch, told)
