"""Shares by value: a market order buys and sells parts of a share, and a position that has one can be closed."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from brokers.errors import InsufficientPosition, InvalidOrder
from brokers.paper import accounts
from brokers.paper.adapter import PaperBroker
from brokers.paper.models import PaperAccount
from brokers.types import BrokerStatus, OrderRequest, OrderType, TimeInForce

from .support import Clock, new_id, open_broker, order

pytestmark = pytest.mark.django_db

MILLIONTH = Decimal("0.000001")


@pytest.fixture
def paper() -> tuple[PaperBroker, PaperAccount]:
    return open_broker(Clock(datetime(2026, 11, 20, 15, 0, tzinfo=UTC)))


def of(side: str, **terms: Any) -> OrderRequest:
    return replace(order(side, "1"), client_order_id=new_id(), **terms)


def by_value(side: str, amount: str) -> OrderRequest:
    return of(side, quantity=None, notional=Decimal(amount))


def held(broker: PaperBroker, account: PaperAccount) -> Decimal:
    return next((each.quantity for each in broker.positions(account.key) if each.symbol == "AAPL"), Decimal(0))


def test_a_value_buys_the_part_of_a_share_that_it_pays_for(paper: tuple[PaperBroker, PaperAccount]) -> None:
    broker, account = paper
    ask = broker.quotes(["AAPL"])[0].ask
    seen = broker.preview(account.key, by_value("BUY", "50"))
    bought = broker.submit(account.key, by_value("BUY", "50"))
    assert bought.status is BrokerStatus.FILLED
    assert bought.filled_quantity == (50 / ask).quantize(MILLIONTH, "ROUND_DOWN") < 1
    assert Decimal("49.99") <= seen.notional <= 50
    assert broker.account_state(account.key).cash[0].total == account.starting_cash + seen.cash_effect


def test_a_part_is_sold_by_value_or_with_its_position(paper: tuple[PaperBroker, PaperAccount]) -> None:
    broker, account = paper
    broker.submit(account.key, by_value("BUY", "1000"))
    broker.submit(account.key, by_value("SELL", "300"))
    rest = held(broker, account)
    assert rest % 1
    sold = broker.submit(account.key, of("SELL", quantity=rest, reduce_only=True))
    assert sold.status is BrokerStatus.FILLED
    assert held(broker, account) == 0


def test_a_part_that_is_bought_or_rests_is_refused(paper: tuple[PaperBroker, PaperAccount]) -> None:
    broker, account = paper
    broker.submit(account.key, by_value("BUY", "1000"))
    part = Decimal("0.5")
    for bad in (
        of("BUY", quantity=part),
        of("SELL", quantity=part, order_type=OrderType.LIMIT, limit_price=Decimal(9000), tif=TimeInForce.GTC),
        of("SELL", quantity=Decimal("0.0000001")),
    ):
        with pytest.raises(InvalidOrder) as refused:
            broker.submit(account.key, bad)
        assert refused.value.field == "quantity"
    with pytest.raises(InsufficientPosition):
        broker.submit(account.key, by_value("SELL", "5000"))


def test_only_whole_shares_are_sold_short() -> None:
    clock = Clock(datetime(2026, 11, 20, 15, 0, tzinfo=UTC))
    account = accounts.open_account("M", Decimal(10_000), kind="margin", preset="frictionless", now=clock.now)
    broker = PaperBroker.open({"account": account.key}, clock=clock)
    with pytest.raises(InvalidOrder, match="only whole shares can be sold short") as refused:
        broker.submit(account.key, by_value("SELL", "500"))
    assert refused.value.field == "notional"
