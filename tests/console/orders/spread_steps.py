"""What the tests of several options in one order share, whichever broker they go to."""

from decimal import Decimal

import pytest

from brokers.types import OrderChanges, OrderType, Side
from console.accounts.models import User
from console.authority import bearer
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.keys import minting
from console.limits import Limits
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.execution import external_orders, reconcile
from console.orders.models import Order
from console.orders.owner import review
from console.orders.states import Status
from console.orders.terms import Terms
from console.principal import Principal
from console.scopes import Scope


def spread_terms(symbol: str, side: Side = Side.BUY, limit: str = "1.2", quantity: int = 2) -> Terms:
    return Terms(
        symbol=symbol, side=side, quantity=Decimal(quantity), order_type=OrderType.LIMIT, limit_price=Decimal(limit)
    )


def confirmed(trader: Principal, terms: Terms) -> Order:
    return order_actions.confirm(trader, preparing.prepare(trader, terms).confirmation.public_id)


def refused(trader: Principal, terms: Terms) -> Refusal:
    with pytest.raises(Refusal) as found:
        preparing.prepare(trader, terms)
    return found.value


def set_limits(account: Connection, **values: object) -> None:
    account.limits = Limits(**values).stored()  # type: ignore[arg-type]  # by name
    account.save()


def swept(order: Order) -> Order:
    reconcile.sweep()
    order.refresh_from_db()
    return order


def check_stands_and_is_not_made_elsewhere(order: Order) -> None:
    assert swept(order).state is Status.WORKING
    external_orders.store(order.connection)
    assert list(external_orders.seen_by(order.connection.owner)) == []


def check_filled(order: Order, words: str) -> None:
    """Of two spreads at 1.30; ``words`` say which leg did what."""
    swept(order)
    assert (order.state, order.filled_quantity, order.average_price) == (Status.FILLED, 2, Decimal("1.3"))
    assert words in [each.what for each in order.events.order_by("pk")][-1]


def check_two_sold_change_positions(trader: Principal, terms: Terms, low: str, high: str) -> dict[str, object]:
    """With three of ``low`` held. What else the owner is told comes back."""
    prepared = preparing.prepare(trader, terms)
    told = {each.what: (each.before, each.after) for each in review.load(prepared.confirmation).effects}
    assert told.pop(f"Position in {low}") == (Decimal(3), Decimal(1))
    assert told.pop(f"Position in {high}") == (Decimal(0), Decimal(2))
    return dict(told)


def check_close_is_short_by_the_spread(trader: Principal, terms: Terms, held: str) -> None:
    """With three of ``held``, two of which the spread sells."""
    confirmed(trader, terms)
    with pytest.raises(Refusal) as found:
        order_actions.confirm(trader, preparing.prepare_close(trader, held).confirmation.public_id)
    assert (found.value.code, "with 2 of it offered" in str(found.value)) == (Code.POSITION_CHANGED, True)


def check_another_user_reaches_none_of(order: Order, other: User) -> None:
    """Not with a key to a connection of the same kind either."""
    mine = order.connection
    theirs = Connection.objects.create(
        owner=other,
        name="Theirs",
        broker=mine.broker,
        environment="paper",
        trading_enabled=True,
        settings=mine.settings,
    )
    _, key = minting.mint(other, theirs, frozenset({Scope.TRADE}), name="theirs")
    stranger = bearer.authenticate(key)
    for act in (
        lambda: order_actions.cancel(stranger, order.public_id),
        lambda: preparing.prepare_change(stranger, order.public_id, OrderChanges(limit_price=Decimal(1))),
        lambda: order_actions.confirm(stranger, order.confirmation.public_id),
    ):
        with pytest.raises(Refusal) as found:
            act()
        assert found.value.code in (Code.UNKNOWN_ORDER, Code.CONFIRMATION_UNKNOWN)
