"""What an order took of a day's limit once it has ended: never less than what it moved."""

from decimal import Decimal

import pytest

from brokers.types import AssetClass, OrderClass
from console import limits
from console.accounts.models import User
from console.connections import services as connections
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.checks import daily_usage
from console.orders.models import Order
from console.orders.states import Status
from console.principal import Principal
from tests.console.orders.conftest import bitcoin

pytestmark = pytest.mark.django_db


@pytest.fixture
def order(trader: Principal) -> Order:
    """Of 2 units, released, and at most 1000 in the connection's currency."""
    released = order_actions.confirm(
        trader, preparing.prepare(trader, bitcoin("2", limit="100")).confirmation.public_id
    )
    Order.objects.filter(pk=released.pk).update(worst_notional=Decimal(1000))
    return released


def used(paper: Connection, order: Order, **what: object) -> Decimal | None:
    """Of the day, by the connection's only order."""
    Order.objects.filter(pk=order.pk).update(**what)
    return daily_usage.connection_usage(paper, order.moved_at).today


@pytest.mark.parametrize("asset_class", [AssetClass.FUTURE, AssetClass.OPTION, AssetClass.PERPETUAL, AssetClass.FOREX])
def test_a_contract_keeps_its_multiplier_once_it_has_filled(
    paper: Connection, order: Order, asset_class: AssetClass
) -> None:
    filled = {"asset_class": asset_class, "average_price": Decimal(100)}
    assert used(paper, order, status=Status.FILLED, filled_quantity=Decimal(2), **filled) == 1000
    assert used(paper, order, status=Status.CANCELLED, filled_quantity=Decimal("0.5"), **filled) == 250


def test_an_order_in_another_currency_keeps_its_rate_once_it_has_filled(paper: Connection, order: Order) -> None:
    filled = {"currency": "EUR", "average_price": Decimal(100)}
    assert used(paper, order, status=Status.FILLED, filled_quantity=Decimal(2), **filled) == 1000
    assert used(paper, order, status=Status.EXPIRED, filled_quantity=Decimal(1), **filled) == 500


def test_coins_and_shares_count_at_exactly_what_they_cost(paper: Connection, order: Order) -> None:
    filled = {"filled_quantity": Decimal(2), "average_price": Decimal("99.5")}
    assert used(paper, order, status=Status.FILLED, **filled) == 199


def test_a_fill_whose_price_nobody_told_is_not_free(paper: Connection, order: Order) -> None:
    assert used(paper, order, status=Status.FILLED, filled_quantity=Decimal(2), average_price=None) == 1000
    assert used(paper, order, status=Status.CANCELLED, filled_quantity=Decimal(1)) == 500
    assert used(paper, order, status=Status.CANCELLED, worst_notional=None) == 100


def test_an_order_known_only_to_have_filled_counts_whole(paper: Connection, order: Order) -> None:
    assert used(paper, order, status=Status.FILLED, filled_quantity=Decimal(0)) == 1000
    assert used(paper, order, worst_notional=None) == 200
    assert used(paper, order, quantity=None, notional=Decimal(300), limit_price=None) == 300
    assert used(paper, order, worst_notional=Decimal(310)) == 310


def test_an_order_that_ended_without_a_fill_takes_nothing(paper: Connection, order: Order) -> None:
    assert used(paper, order, status=Status.CANCELLED) == 0


def test_the_halves_of_a_pair_count_once_and_until_both_have_ended(
    trader: Principal, paper: Connection, order: Order
) -> None:
    mine = Order.objects.get(pk=order.pk)
    mine.pk, mine.public_id, mine.client_order_id, mine.wire_id = None, "ord_half", "half", "f" * 32
    mine.parent_id, mine.order_class = order.pk, OrderClass.OCO
    mine.released_at = mine.worst_notional = None
    mine.save()
    pair = {"order_class": OrderClass.OCO}
    assert used(paper, order, **pair) == 1000
    assert used(paper, order, status=Status.CANCELLED) == 1000
    Order.objects.filter(pk=mine.pk).update(
        status=Status.FILLED, filled_quantity=Decimal(2), average_price=Decimal(120)
    )
    assert used(paper, order) == 240
    Order.objects.filter(pk=mine.pk).update(average_price=None)
    assert used(paper, order) == 1000


@pytest.mark.parametrize(
    "what", [{"currency": "EUR"}, {"asset_class": AssetClass.FUTURE}], ids=["currency", "contract"]
)
def test_what_was_released_without_an_exchange_rate_is_not_known_and_lets_nothing_through(
    trader: Principal, paper: Connection, owner: User, order: Order, what: dict[str, str]
) -> None:
    assert used(paper, order, worst_notional=None, **what) is None
    waiting = preparing.prepare(trader, bitcoin("1", limit="10"))
    connections.set_limits(paper, limits.parse({"daily_notional": "90000"}), by=owner)
    for act in (
        lambda: preparing.prepare(trader, bitcoin("1", limit="10")),
        lambda: order_actions.confirm(trader, waiting.confirmation.public_id),
    ):
        with pytest.raises(Refusal) as caught:
            act()
        assert caught.value.code is Code.LIMIT_UNPROVABLE
    assert used(paper, order, status=Status.CANCELLED) == 0
    assert used(paper, order, filled_quantity=Decimal(1)) is None
