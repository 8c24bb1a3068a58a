"""An order that names no time in force gets the broker's usual one, so that coins can be traded and closed anywhere."""

from collections.abc import Iterator
from decimal import Decimal

import pytest

from brokers import registry
from brokers.types import AssetClass, OrderType, Side, TimeInForce
from console.accounts.models import User
from console.authority import bearer
from console.keys import minting
from console.orders import prepare as preparing
from console.orders.terms import Terms
from console.principal import Principal
from console.scopes import Scope
from tests.chaos.exchange import Exchange
from tests.chaos.venues import Alpaca

COIN = "BTC/USD"


@pytest.mark.parametrize("broker", sorted(registry.NAMES))
def test_what_is_usual_at_a_broker_is_what_it_takes(broker: str) -> None:
    known = registry.capabilities(broker)
    assert known is not None
    for order_type in known.order_types:
        for asset_class in known.asset_classes:
            usual = known.usual_tif(order_type, asset_class)
            assert known.takes(order_type, usual)
            assert asset_class is not AssetClass.CRYPTO or usual in known.coins


def test_the_day_is_usual_where_it_is_taken() -> None:
    known = registry.capabilities("alpaca")
    assert known is not None
    assert known.usual_tif(OrderType.LIMIT, AssetClass.STOCK) is TimeInForce.DAY
    assert known.usual_tif(OrderType.LIMIT, AssetClass.CRYPTO) is TimeInForce.GTC


@pytest.fixture
def trader(owner: User, monkeypatch: pytest.MonkeyPatch) -> Iterator[Principal]:
    """An app on an account at Alpaca with half a coin."""
    monkeypatch.setattr(registry, "CALLS_PER_MINUTE", {})
    with Exchange() as exchange:
        account = Alpaca(owner, exchange.url).connection
        account.settings.pop("timeouts")
        account.save()
        exchange.held[COIN] += Decimal("0.5")  # type: ignore[assignment]  # as the counter's stub has it, whole numbers
        yield bearer.authenticate(minting.mint(owner, account, frozenset({Scope.TRADE}), name="trades")[1])


@pytest.mark.django_db(transaction=True)
def test_a_coin_is_bought_closed_and_flattened_without_naming_one(trader: Principal) -> None:
    bought = preparing.prepare(trader, Terms(symbol=COIN, side=Side.BUY, quantity=Decimal("0.1")))
    closed = preparing.prepare_close(trader, COIN)
    flattened, *_ = preparing.prepare_flatten(trader)
    assert {each.order.tif for each in (bought, closed, flattened)} == {TimeInForce.GTC}
    assert closed.order.quantity == flattened.order.quantity == Decimal("0.5")
