"""Several orders at once: what they cost is held against what is there for them, in the currency that is told in."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from brokers.errors import NoRate
from brokers.paper.adapter import PaperBroker
from brokers.types import MarginEffect, OrderRequest, Preview, Rate
from console.connections import services as connections
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.limits import parse
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.prepare import PlanItem
from console.principal import Principal
from tests.console.orders.conftest import bitcoin

pytestmark = pytest.mark.django_db

Told = list[tuple[str, str, str]]
"""Of each order its currency, its cost, and the buying power with the currency that is told in."""

RATES = {("EUR", "USD"): "1.25", ("JPY", "USD"): "0.01", ("GBP", "USD"): "0", ("CHF", "USD"): "NaN"}


@pytest.fixture(autouse=True)
def rates(monkeypatch: pytest.MonkeyPatch) -> None:
    def rate(self: PaperBroker, base: str, quote: str) -> Rate:
        if (base, quote) not in RATES:
            raise NoRate("There is none.")
        return Rate(base=base, quote=quote, rate=Decimal(RATES[base, quote]), as_of=datetime.now(UTC), source="test")

    monkeypatch.setattr(PaperBroker, "exchange_rate", rate)


def prepare(trader: Principal, monkeypatch: pytest.MonkeyPatch, told: Told, *, all_or_none: bool = True) -> str:
    real, left = PaperBroker.preview, list(told)

    def preview(self: PaperBroker, account_id: str, request: OrderRequest) -> Preview:
        currency, cost, there = left.pop(0)
        left.append((currency, cost, there))  # the release asks again
        found = real(self, account_id, request)
        power, counted_in = there.split()
        return replace(
            found,
            cash_effect=-Decimal(cost),
            buying_power=Decimal(power),
            buying_power_currency=counted_in,
            quote=replace(found.quote, currency=currency),
        )

    monkeypatch.setattr(PaperBroker, "preview", preview)
    items = [PlanItem(terms=bitcoin("0.01", limit="100")) for _ in told]
    return preparing.prepare_plan(trader, items, all_or_none=all_or_none).confirmation.public_id


REFUSED: list[tuple[Told, Code]] = [
    ([("USD", "60", "100 USD"), ("USD", "60", "100 USD")], Code.INSUFFICIENT_FUNDS),
    ([("USD", "60", "100 USD"), ("EUR", "60", "50 EUR")], Code.INSUFFICIENT_FUNDS),
    ([("JPY", "60", "9000 JPY"), ("EUR", "60", "100 EUR"), ("EUR", "60", "100 EUR")], Code.INSUFFICIENT_FUNDS),
    # One buying power over all currencies: 60 + 40 * 1.25, and 9000 * 0.01 + 9 * 1.25.
    ([("USD", "60", "109.99 USD"), ("EUR", "40", "109.99 USD")], Code.INSUFFICIENT_FUNDS),
    ([("JPY", "9000", "101 USD"), ("EUR", "9", "101 USD")], Code.INSUFFICIENT_FUNDS),
    # No rate is known, or it is none.
    ([("USD", "1", "100 USD"), ("SEK", "1", "100 USD")], Code.LIMIT_UNPROVABLE),
    ([("USD", "1", "100 USD"), ("GBP", "1", "100 USD")], Code.LIMIT_UNPROVABLE),
    ([("USD", "1", "100 USD"), ("CHF", "1", "100 USD")], Code.LIMIT_UNPROVABLE),
    # Coins are bought with the 50 in cash, shares with credit, too.
    ([("USD", "40", "50 USD"), ("USD", "40", "50 USD"), ("USD", "1", "100 USD")], Code.INSUFFICIENT_FUNDS),
    ([("USD", "40", "50 USD"), ("USD", "70", "100 USD")], Code.INSUFFICIENT_FUNDS),
]


@pytest.mark.parametrize(("told", "code"), REFUSED)
def test_what_is_not_there_for_all_together_is_refused(
    trader: Principal, monkeypatch: pytest.MonkeyPatch, told: Told, code: Code
) -> None:
    with pytest.raises(Refusal) as caught:
        prepare(trader, monkeypatch, told)
    assert caught.value.code is code


@pytest.mark.parametrize(
    "told",
    [
        [("EUR", "60", "100 EUR"), ("JPY", "9000", "10000 JPY")],
        [("USD", "60", "100 USD"), ("EUR", "-60", "100 USD")],
        [("EUR", "60", "100 EUR"), ("EUR", "40", "40 EUR")],
        # Two currencies that happen to show equal balances are not one account's buying power.
        [("USD", "60", "100 USD"), ("SEK", "60", "100 SEK")],
        [("USD", "60", "110 USD"), ("EUR", "40", "110 USD")],
        # A single order is its broker's to weigh, whatever it costs.
        [("SEK", "60", "100 USD"), ("SEK", "60", "100 SEK")],
        [("USD", "40", "50 USD"), ("USD", "60", "100 USD")],
    ],
)
def test_what_is_there_of_each_goes(trader: Principal, monkeypatch: pytest.MonkeyPatch, told: Told) -> None:
    prepare(trader, monkeypatch, told)


def test_of_a_plan_that_may_go_in_part_what_is_not_there_for_it_any_more_stays_behind(
    trader: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [("USD", "60", "100 USD"), ("EUR", "40", "100 USD"), ("EUR", "32", "100 USD")]
    confirmation_id = prepare(trader, monkeypatch, told, all_or_none=False)
    lead = order_actions.confirm(trader, confirmation_id)
    plan = lead.confirmation.orders.order_by("pk")
    assert [order.code for order in plan] == ["", Code.INSUFFICIENT_FUNDS, ""]


@pytest.mark.parametrize("currency", ["GBP", "CHF"])
def test_what_is_no_exchange_rate_lets_nothing_through_a_limit(
    trader: Principal, paper: Connection, monkeypatch: pytest.MonkeyPatch, currency: str
) -> None:
    monkeypatch.setitem(RATES, ("USD", currency), RATES[currency, "USD"])
    connections.set_limits(paper, parse({"order_notional": "100000"}), by=paper.owner)
    Connection.objects.filter(pk=paper.pk).update(currency=currency)
    with pytest.raises(Refusal) as caught:
        preparing.prepare(trader, bitcoin("0.01", limit="100"))
    assert caught.value.code is Code.LIMIT_UNPROVABLE


def margined(trader: Principal, monkeypatch: pytest.MonkeyPatch, told: list[str]) -> str:
    """``told``: how each order changes the initial margin, of which 100 USD are free. None costs cash."""
    real, left = PaperBroker.preview, list(told)

    def preview(self: PaperBroker, account_id: str, request: OrderRequest) -> Preview:
        left.append(change := left.pop(0))
        margin = MarginEffect(
            currency="USD",
            available=Decimal(100),
            initial_change=Decimal(change),
            initial_after=Decimal(change),
            maintenance_change=Decimal(0),
            maintenance_after=Decimal(0),
        )
        return replace(real(self, account_id, request), cash_effect=Decimal(1), margin=margin)

    monkeypatch.setattr(PaperBroker, "preview", preview)
    items = [PlanItem(terms=bitcoin("0.01", limit="100")) for _ in told]
    return preparing.prepare_plan(trader, items, all_or_none=True).confirmation.public_id


@pytest.mark.parametrize("told", [["60", "60"], ["40", "40", "21"], ["60", "-30", "41"]])
def test_margin_that_is_free_for_each_order_but_not_for_all_is_refused(
    trader: Principal, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    with pytest.raises(Refusal, match=r"of initial margin, and 100\.00 is free") as caught:
        margined(trader, monkeypatch, told)
    assert caught.value.code is Code.INSUFFICIENT_FUNDS


@pytest.mark.parametrize("told", [["60", "40"], ["-60", "100"], ["-60", "-60"]])
def test_margin_that_is_free_for_all_orders_lets_them_go(
    trader: Principal, monkeypatch: pytest.MonkeyPatch, told: list[str]
) -> None:
    confirmation_id = margined(trader, monkeypatch, told)
    assert order_actions.confirm(trader, confirmation_id).code == ""
