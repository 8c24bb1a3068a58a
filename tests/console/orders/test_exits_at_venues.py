"""An order with exits at a venue, through the desk: confirmed once, each leg followed by its own id to its own end."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from brokers import leg_ids
from brokers.types import Environment, OrderClass, OrderType, Side
from console.accounts.models import User
from console.authority import bearer
from console.connections import linking
from console.connections import services as connections
from console.connections.link_specs import KINDS
from console.connections.models import Policy
from console.errors import Code, Refusal
from console.keys import minting
from console.limits import Limits
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.execution import sync
from console.orders.models import Order
from console.orders.states import Status
from console.orders.terms import Terms
from console.principal import Principal
from console.scopes import Scope
from tests.console.connections.fakes import BINANCE, OKX, Linkable

pytestmark = pytest.mark.django_db


@dataclass(frozen=True, slots=True)
class Desk:
    trader: Principal
    fake: Any

    def placed(self, terms: Terms) -> Order:
        prepared = preparing.prepare(self.trader, terms)
        return order_actions.confirm(self.trader, prepared.confirmation.public_id)

    def seen(self, order: Order) -> list[Order]:
        """The order and its legs as they are after a look at the venue."""
        found = [order, *order.legs.order_by("pk")]
        for each in found:
            sync.refresh(each)
            each.refresh_from_db()
        return found


@pytest.fixture(params=[BINANCE, OKX], ids=lambda linkable: linkable.broker)
def desk(request: pytest.FixtureRequest, owner: User) -> Iterator[Desk]:
    venue: Linkable = request.param
    kind = KINDS[venue.broker]
    secrets = {field.name for field in kind.fields if field.is_secret}
    with venue.running() as fake:
        typed = venue.credentials(fake)
        made = linking.link(
            owner,
            kind,
            name="Mine",
            environment=Environment.PAPER,
            own={name: value for name, value in typed.items() if name not in secrets},
            secrets={name: value for name, value in typed.items() if name in secrets},
            limits=Limits(),
            trading_enabled=True,
        )
        connections.set_policy(made, Policy.TWO_STEP, by=owner)
        _, key = minting.mint(owner, made, frozenset({Scope.READ, Scope.TRADE}), name="Trader")
        yield Desk(bearer.authenticate(key), fake)


def _bracket(**terms: Any) -> Terms:
    given: dict[str, Any] = {
        "symbol": "BTC/USDT", "side": Side.BUY, "quantity": Decimal("0.5"), "order_type": OrderType.LIMIT,
        "limit_price": Decimal(29000), "order_class": OrderClass.BRACKET, "take_profit": Decimal(33000),
        "stop_loss": Decimal(27000),
    }  # fmt: skip
    return Terms(**{**given, **terms})


def test_the_ids_of_the_exits_follow_from_that_of_their_order(desk: Desk) -> None:
    order = desk.placed(_bracket())
    names = [leg_ids.of_exit(order.wire_id, place) for place in (0, 1)]
    assert [leg.wire_id for leg in order.legs.order_by("pk")] == names
    assert desk.fake.sent[order.wire_id] == 1


def test_a_stop_that_fires_ends_the_target_and_each_is_told_as_what_became_of_it(desk: Desk) -> None:
    order = desk.placed(_bracket())
    assert [each.state for each in desk.seen(order)] == [Status.WORKING] * 3
    desk.fake.move("BTC/USDT", "28900")
    assert [each.state for each in desk.seen(order)] == [Status.FILLED, Status.WORKING, Status.WORKING]
    desk.fake.move("BTC/USDT", "26900")
    entry, target, stop = desk.seen(order)
    assert (entry.state, stop.state, stop.average_price) == (Status.FILLED, Status.FILLED, Decimal(26900))
    assert target.state in (Status.CANCELLED, Status.EXPIRED)
    assert "ended it" in target.reason


def test_a_pair_ends_together_by_a_cancel_of_its_first_order(desk: Desk) -> None:
    terms = _bracket(side=Side.SELL, order_class=OrderClass.OCO, order_type=OrderType.MARKET, limit_price=None)
    order = desk.placed(terms)
    order_actions.cancel(desk.trader, order.public_id)
    assert {each.state for each in desk.seen(order)} == {Status.CANCELLED}


def test_what_a_venue_lacks_is_refused_with_a_stable_code_and_nothing_is_sent(desk: Desk) -> None:
    lacking = {
        "binance": _bracket(order_type=OrderType.MARKET, limit_price=None),
        "okx": _bracket(stop_loss=None, stop_loss_trail_percent=Decimal(2)),
    }
    venue = type(desk.fake).__name__.removesuffix("Fake").lower()
    with pytest.raises(Refusal) as refused:
        desk.placed(lacking[venue])
    assert refused.value.code is Code.NOT_OFFERED_BY_BROKER
    assert sum(desk.fake.sent.values()) == 0
