"""An app may change an order that another app of the same connection placed, and gets round nobody's limits by it."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from brokers.types import OrderChanges
from console import limits
from console.accounts.models import User
from console.authority import bearer
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.keys import minting
from console.orders import desk, review
from console.orders.models import Confirmation, Modification, Order
from console.orders.states import Change
from console.principal import Principal
from console.scopes import Scope
from tests.console.orders.conftest import bitcoin

pytestmark = pytest.mark.django_db


@pytest.fixture
def second(owner: User, paper: Connection) -> Principal:
    _, raw = minting.mint(owner, paper, frozenset({Scope.TRADE}), name="second app")
    return bearer.authenticate(raw)


def limit(app: Principal, owner: User, **given: str) -> None:
    grants.set_limits(ConnectedApp.objects.get(pk=app.app_id), limits.parse(given), by=owner, may_widen=True)


def go(app: Principal, price: str) -> Order:
    return desk.confirm(app, desk.prepare(app, bitcoin("1", limit=price)).confirmation.public_id)


def change(app: Principal, order: Order, price: str) -> Modification:
    return desk.prepare_change(app, order.public_id, OrderChanges(limit_price=Decimal(price)))


def refused(act: Callable[[], object]) -> str:
    """Whose limit says no."""
    with pytest.raises(Refusal) as caught:
        act()
    assert caught.value.code is Code.LIMIT_EXCEEDED
    return str((caught.value.limit or {})["of"])


def test_what_it_made_of_them_takes_of_its_own_day(trader: Principal, second: Principal, owner: User) -> None:
    one, two = go(trader, "10"), go(trader, "10")
    limit(second, owner, daily_notional="150")
    waiting = change(second, two, "100")
    done = change(second, one, "100")
    desk.confirm(second, done.confirmation.public_id)
    assert Modification.objects.get(pk=done.pk).state is Change.DONE
    assert refused(lambda: change(second, two, "60")) == "the app second app"
    assert refused(lambda: desk.prepare(second, bitcoin("1", limit="60"))) == "the app second app"
    assert refused(lambda: desk.confirm(second, waiting.confirmation.public_id)) == "the app second app"
    change(second, two, "50")


@pytest.mark.parametrize("name", ["order_notional", "daily_notional", "position_value"])
def test_the_limits_of_the_app_that_placed_it_still_hold(
    trader: Principal, second: Principal, owner: User, name: str
) -> None:
    order = go(trader, "10")
    waiting = change(second, order, "100")
    limit(trader, owner, **{name: "99"})
    assert refused(lambda: change(second, order, "100")) == f"the app {trader.app_label}"
    fresh = Confirmation.objects.get(pk=waiting.confirmation.pk)
    assert any(f"the app {trader.app_label}" in said for said in review.look(fresh).standing)
    assert refused(lambda: desk.confirm(second, waiting.confirmation.public_id)) == f"the app {trader.app_label}"
    done = change(second, order, "99")
    desk.confirm(second, done.confirmation.public_id)
    order.refresh_from_db()
    assert order.limit_price == 99
