"""Answers that no fake makes: a recorded or documented body in place of its own, or a row of its changed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

from brokers.types import BrokerOrder, OrderRequest
from tests.brokers.contract.cases import CryptoCase, Rig
from tests.brokers.exchange import CryptoFake, SimOrder
from tests.brokers.faults import Asked, Reply
from tests.brokers.krakenfutures.fake import KrakenFuturesFake

Row = dict[str, Any]


@contextmanager
def steady(case: CryptoCase) -> Iterator[Rig]:
    """Without the short patience that the fault tests need."""
    with case.venue.fake() as fake:
        broker = case.venue.adapter.open(
            {**case.venue.settings, "base_url": fake.url, "timeout": 3, "per_second": 1000}
        )
        yield Rig(
            broker=broker,
            symbol=case.venue.symbol,
            price=Decimal(30000),
            quantity=Decimal("0.5"),
            fake=fake,
            market_by_units=case.venue.market_by_units,
        )


def answers(rig: Rig, ends: str, reply: Reply | Callable[[Asked], Reply], method: str = "") -> None:
    """From now on to every request whose path ends so."""
    speak = rig.wire.speak

    def spoken(asked: Asked) -> Reply:
        if asked.path.lower().endswith(ends.lower()) and method in ("", asked.method):
            return reply(asked) if callable(reply) else reply
        return speak(asked)

    rig.wire.speak = spoken  # type: ignore[method-assign]


def rewritten(rig: Rig, change: Callable[[Row], Row]) -> None:
    """Every order is told so from now on."""
    fake: Any = rig.wire
    name = "_open" if isinstance(fake, KrakenFuturesFake) else "_order"
    told: Callable[[SimOrder], Row] = getattr(fake, name)
    setattr(fake, name, lambda order: change(told(order)))


def resting(rig: Rig, **terms: Any) -> OrderRequest:
    order = rig.order(**terms)
    rig.broker.submit(rig.account_id, order)
    return order


def told_as(rig: Rig, change: Callable[[Row], Row]) -> BrokerOrder:
    """A resting order whose venue tells it so, as it stands in the list of open orders and when it is looked up."""
    order = resting(rig)
    rewritten(rig, change)
    orders = rig.broker.orders(rig.account_id, open_only=True)
    (listed,) = [each for each in orders if each.client_order_id == order.client_order_id]
    found = rig.broker.order(rig.account_id, order.client_order_id, symbol=rig.symbol)
    assert found is not None
    assert (found.order_type, found.stop_price) == (listed.order_type, listed.stop_price)
    return found


def at_venue(fake: CryptoFake, client_order_id: str) -> SimOrder:
    found = fake.by_client(client_order_id)
    assert found is not None
    return found
