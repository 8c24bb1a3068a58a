"""Only while the market is open: by the word of the connection's own broker, and refused where nobody can say."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from brokers import registry
from brokers.errors import BrokerUnavailable
from brokers.paper import order_intake
from brokers.paper.adapter import PaperBroker
from brokers.types import Ability, AssetClass, Instrument, OrderType, SessionState, Side
from console import limits
from console.accounts.models import User
from console.authority import bearer
from console.connections import services as connections
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.keys import minting
from console.onboarding import connection_lifecycle
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.states import Status
from console.orders.terms import Terms
from console.principal import Principal
from console.scopes import Scope
from tests.clock import Clock
from tests.console.orders.conftest import bitcoin

pytestmark = pytest.mark.django_db

SUNDAY = datetime(2026, 11, 22, 15, 0, tzinfo=UTC)
MONDAY = SUNDAY.replace(day=23)
APPLE = Terms(symbol="AAPL", side=Side.BUY, quantity=Decimal(1), order_type=OrderType.LIMIT, limit_price=Decimal(1))


@pytest.fixture
def trading(owner: User) -> Callable[[str], Principal]:
    """An app on a paper market with these hours, which may trade only in them."""

    def on(hours: str) -> Principal:
        connection, _ = connection_lifecycle.open_paper(
            owner, name=f"Market {hours}", starting_cash=Decimal(100_000), hours=hours
        )
        connections.set_limits(connection, limits.parse({"trading_hours_only": True}), by=owner)
        _, raw = minting.mint(owner, connection, frozenset({Scope.TRADE}), name="hours")
        return bearer.authenticate(raw)

    return on


@pytest.fixture(autouse=True)
def same_clock(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry._ADAPTERS, "paper", partial(PaperBroker.open, clock=clock))


def code(act: Callable[[], object]) -> Code:
    with pytest.raises(Refusal) as caught:
        act()
    return caught.value.code


def tells_no_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    quiet = replace(order_intake.CAPABILITIES, abilities=frozenset(Ability) - {Ability.MARKET_HOURS})
    monkeypatch.setattr(PaperBroker, "capabilities", property(lambda self: quiet))

    def unasked(*args: object, **kwargs: object) -> None:
        raise AssertionError("It was asked for what it does not tell.")

    monkeypatch.setattr(PaperBroker, "market_hours", unasked)


def of_kind(monkeypatch: pytest.MonkeyPatch, **fields: Any) -> None:
    real = PaperBroker.instrument

    def instrument(self: PaperBroker, symbol: str) -> Instrument:
        return replace(real(self, symbol), **fields)

    monkeypatch.setattr(PaperBroker, "instrument", instrument)


def test_the_hours_are_those_of_the_brokers_own_market(trading: Callable[[str], Principal], clock: Clock) -> None:
    clock.now = SUNDAY
    venue, always = trading("venue"), trading("always")
    assert code(lambda: preparing.prepare(venue, APPLE)) is Code.OUTSIDE_LIMITS
    assert preparing.prepare(always, APPLE).order.state is Status.AWAITING
    assert preparing.prepare(venue, bitcoin(limit="100")).order.state is Status.AWAITING
    clock.now = MONDAY
    prepared = preparing.prepare(venue, APPLE)
    clock.now = MONDAY.replace(hour=21, minute=0)
    prepared.confirmation.expires_at = clock.now.replace(minute=2)
    prepared.confirmation.save()
    assert code(lambda: order_actions.confirm(venue, prepared.confirmation.public_id)) is Code.OUTSIDE_LIMITS


def test_of_a_broker_that_tells_no_hours_shares_in_dollars_keep_new_york_hours(
    trading: Callable[[str], Principal], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tells_no_hours(monkeypatch)
    clock.now = SUNDAY
    always = trading("always")
    assert code(lambda: preparing.prepare(always, APPLE)) is Code.OUTSIDE_LIMITS
    assert preparing.prepare(always, bitcoin(limit="100")).order.state is Status.AWAITING
    clock.now = MONDAY
    assert preparing.prepare(always, APPLE).order.state is Status.AWAITING


@pytest.mark.parametrize(
    "what",
    [
        {"currency": "EUR"},
        *({"asset_class": kind} for kind in (AssetClass.FUTURE, AssetClass.OPTION, AssetClass.FOREX)),
    ],
    ids=lambda what: str(*what.values()),
)
def test_and_of_anything_else_nobody_can_say(
    trading: Callable[[str], Principal],
    paper: Connection,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    what: dict[str, Any],
) -> None:
    clock.now = MONDAY
    always = trading("always")
    of_kind(monkeypatch, **what)
    if "currency" not in what:
        # The paper market trades no such thing, so its two markets say nothing of it.
        assert code(lambda: preparing.prepare(always, APPLE)) is Code.LIMIT_UNPROVABLE
    tells_no_hours(monkeypatch)
    assert code(lambda: preparing.prepare(always, APPLE)) is Code.LIMIT_UNPROVABLE


def test_nor_in_a_year_whose_holidays_are_not_known(
    trading: Callable[[str], Principal], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tells_no_hours(monkeypatch)
    clock.now = datetime(2029, 7, 5, 15, 0, tzinfo=UTC)
    assert code(lambda: preparing.prepare(trading("always"), APPLE)) is Code.LIMIT_UNPROVABLE


def test_nor_when_the_broker_does_not_answer_or_says_two_things(
    trading: Callable[[str], Principal], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.now = MONDAY
    always, real = trading("always"), PaperBroker.market_hours

    def fail(*args: object) -> None:
        raise BrokerUnavailable("The broker is away.")

    def two(self: PaperBroker) -> Any:
        return [*real(self), *(replace(each, state=SessionState.CLOSED) for each in real(self))]

    for answer in (fail, two):
        monkeypatch.setattr(PaperBroker, "market_hours", answer)
        assert code(lambda: preparing.prepare(always, APPLE)) is Code.LIMIT_UNPROVABLE
