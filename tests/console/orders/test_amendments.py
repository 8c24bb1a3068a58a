"""A change of a resting order is shown, confirmed once, sent once, and looked up where its answer was lost."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client as Browser

from brokers.errors import BrokerUnavailable, Rejected, UnknownOutcome
from brokers.paper.adapter import PaperBroker
from brokers.types import Instrument, OrderChanges, OrderType, Quote, Side
from console.accounts.models import User
from console.authority import bearer
from console.connections import broker_access
from console.connections import paper_linking as paper_connections
from console.errors import Code, Refusal
from console.keys import minting
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.checks.check_subject import Facts
from console.orders.execution import amendments, reconcile
from console.orders.execution import cancel as cancelling
from console.orders.models import Modification, Order
from console.orders.states import AmendmentStatus, Status
from console.orders.terms import Terms
from console.principal import Principal
from console.scopes import Scope
from tests.clock import Clock
from tests.console.orders.conftest import bitcoin
from tests.console.pages import words_of
from tests.watched_broker import Watch

pytestmark = pytest.mark.django_db


@pytest.fixture
def resting(trader: Principal, watch: Watch) -> Order:
    order = order_actions.confirm(trader, preparing.prepare(trader, bitcoin(limit="1000")).confirmation.public_id)
    assert order.state is Status.WORKING
    return order


def cheaper(trader: Principal, order: Order, limit: str = "900") -> Modification:
    return preparing.prepare_change(trader, order.public_id, OrderChanges(limit_price=Decimal(limit)))


def confirm(trader: Principal, change: Modification) -> Modification:
    order_actions.confirm(trader, change.confirmation.public_id)
    change.refresh_from_db()
    return change


def test_nothing_changes_before_the_confirmation_and_the_order_is_what_was_shown_after_it(
    trader: Principal, resting: Order, watch: Watch
) -> None:
    change = cheaper(trader, resting)
    assert watch.replaced == []
    before, after = change.confirmation.terms["summary"].split("Changed to:")
    assert "Now: Buy 0.1 BTC/USD, limit 1,000.00 USD" in before
    assert "Buy 0.1 BTC/USD, limit 900.00 USD" in after
    assert confirm(trader, change).state is AmendmentStatus.DONE
    resting.refresh_from_db()
    assert (resting.limit_price, resting.quantity, resting.state) == (Decimal(900), Decimal("0.1"), Status.WORKING)
    assert len(watch.replaced) == len(watch.submitted) == 1


def test_a_change_is_confirmed_once(trader: Principal, resting: Order, watch: Watch) -> None:
    change = cheaper(trader, resting)
    confirm(trader, change)
    with pytest.raises(Refusal) as caught:
        confirm(trader, change)
    assert (caught.value.code, caught.value.order_id) == (Code.CONFIRMATION_USED, resting.public_id)
    assert len(watch.replaced) == 1


def test_a_confirm_overtaken_by_another_is_told_that_and_not_what_the_other_did(
    trader: Principal, resting: Order, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    change, weigh = cheaper(trader, resting), amendments.validate

    def after_another(*args: Any) -> Facts:
        monkeypatch.setattr(amendments, "validate", weigh)
        confirm(trader, change)
        order, *others = args
        order.refresh_from_db()  # as a broker knows it by now
        return weigh(order, *others)

    monkeypatch.setattr(amendments, "validate", after_another)
    with pytest.raises(Refusal) as caught:
        confirm(trader, change)
    assert caught.value.code is Code.CONFIRMATION_USED
    change.refresh_from_db()
    assert change.state is AmendmentStatus.DONE
    assert len(watch.replaced) == 1


def test_a_change_is_dropped_and_lapses_like_an_order(
    trader: Principal, resting: Order, watch: Watch, clock: Clock
) -> None:
    dropped, late = cheaper(trader, resting), cheaper(trader, resting, "800")
    order_actions.discard(trader, dropped.confirmation.public_id)
    clock.advance(seconds=121)
    reconcile.sweep()
    for change, code in ((dropped, Code.CONFIRMATION_USED), (late, Code.CONFIRMATION_EXPIRED)):
        with pytest.raises(Refusal) as caught:
            confirm(trader, change)
        assert caught.value.code is code
    late.refresh_from_db()
    assert (late.state, watch.replaced) == (AmendmentStatus.LAPSED, [])


def test_a_change_of_an_order_that_moved_on_is_refused(trader: Principal, resting: Order, watch: Watch) -> None:
    first, second = cheaper(trader, resting), cheaper(trader, resting, "800")
    confirm(trader, first)
    with pytest.raises(Refusal) as caught:
        confirm(trader, second)
    assert caught.value.code is Code.CONFIRMATION_CHANGED
    third = cheaper(trader, resting, "700")
    cancelling.cancel_order(Order.objects.get(pk=resting.pk), by="test")
    with pytest.raises(Refusal) as caught:
        confirm(trader, third)
    assert caught.value.code is Code.NOT_MODIFIABLE
    assert len(watch.replaced) == 1


@pytest.mark.parametrize(
    ("asked", "code", "field"),
    [
        (OrderChanges(), Code.INVALID_ARGUMENT, "quantity"),
        (OrderChanges(limit_price=Decimal(1000)), Code.INVALID_ARGUMENT, "quantity"),
        (OrderChanges(limit_price=Decimal("0.001")), Code.INVALID_ORDER, "limit_price"),
        (OrderChanges(limit_price=Decimal(-1)), Code.INVALID_ARGUMENT, "limit_price"),
        (OrderChanges(stop_price=Decimal(900)), Code.INVALID_ARGUMENT, "stop_price"),
        (OrderChanges(trail_percent=Decimal(1)), Code.INVALID_ARGUMENT, "trail_percent"),
        (OrderChanges(quantity=Decimal("0.1000000001")), Code.INVALID_ORDER, "quantity"),
    ],
    ids=["nothing", "the same", "off the tick", "negative", "no stop order", "no trailing order", "off the lot"],
)
def test_a_change_that_makes_no_sense_is_refused_by_name(
    trader: Principal, resting: Order, asked: OrderChanges, code: Code, field: str
) -> None:
    with pytest.raises(Refusal) as caught:
        preparing.prepare_change(trader, resting.public_id, asked)
    assert (caught.value.code, caught.value.field) == (code, field)
    assert not Modification.objects.exists()


@pytest.mark.parametrize(
    ("error", "status"),
    [(Rejected("no"), AmendmentStatus.REJECTED), (BrokerUnavailable("away"), AmendmentStatus.NOT_SENT)],
)
def test_a_change_the_broker_did_not_take_leaves_the_order_as_it_was(
    trader: Principal, resting: Order, watch: Watch, error: Exception, status: AmendmentStatus
) -> None:
    def fail(_: OrderChanges) -> None:
        raise error

    watch.before_replace = fail
    assert confirm(trader, cheaper(trader, resting)).state is status
    resting.refresh_from_db()
    assert (resting.limit_price, resting.state) == (Decimal(1000), Status.WORKING)


def lose(_: OrderChanges) -> None:
    raise UnknownOutcome("The answer was lost.")


def test_a_lost_answer_of_a_change_that_holds_is_found_by_reading_the_order(
    trader: Principal, resting: Order, watch: Watch
) -> None:
    watch.after_replace = lose
    assert confirm(trader, cheaper(trader, resting)).state is AmendmentStatus.DONE
    resting.refresh_from_db()
    assert resting.limit_price == Decimal(900)
    assert len(watch.replaced) == 1


def test_a_lost_change_that_never_arrived_is_unknown_until_the_horizon_and_never_sent_again(
    trader: Principal, resting: Order, watch: Watch, clock: Clock
) -> None:
    watch.before_replace = lose
    change = confirm(trader, cheaper(trader, resting))
    assert change.state is AmendmentStatus.UNKNOWN
    with pytest.raises(Refusal) as caught:
        cheaper(trader, resting, "800")
    assert caught.value.code is Code.NOT_MODIFIABLE
    clock.advance(seconds=600)
    reconcile.sweep()
    change.refresh_from_db()
    resting.refresh_from_db()
    assert (change.state, resting.limit_price, resting.state) == (
        AmendmentStatus.NOT_DONE,
        Decimal(1000),
        Status.WORKING,
    )
    assert len(watch.replaced) == 1


def test_a_change_that_comes_after_it_was_given_up_is_noticed(
    trader: Principal, resting: Order, watch: Watch, clock: Clock
) -> None:
    watch.before_replace = lose
    change = confirm(trader, cheaper(trader, resting))
    clock.advance(seconds=600)
    reconcile.sweep()
    watch.before_replace = lambda changes: None
    broker = broker_access.broker_of(resting.connection)
    broker.replace(resting.account_id, resting.wire_id, change.asked, change.wire_id)
    clock.advance(seconds=600)
    reconcile.sweep()
    change.refresh_from_db()
    resting.refresh_from_db()
    assert (change.state, resting.limit_price, resting.state) == (AmendmentStatus.DONE, Decimal(900), Status.WORKING)


def test_a_change_whose_process_died_is_looked_up_and_an_unsent_one_is_refused(
    trader: Principal, resting: Order, watch: Watch, clock: Clock
) -> None:
    unsent, sent = cheaper(trader, resting), cheaper(trader, resting, "800")
    Modification.objects.filter(pk=unsent.pk).update(status=AmendmentStatus.INTENT)
    clock.advance(seconds=600)
    reconcile.sweep()
    Modification.objects.filter(pk=sent.pk).update(status=AmendmentStatus.SENDING)
    clock.advance(seconds=600)
    reconcile.sweep()
    unsent.refresh_from_db()
    sent.refresh_from_db()
    assert (unsent.state, sent.state) == (AmendmentStatus.DENIED, AmendmentStatus.UNKNOWN)
    assert watch.replaced == []


def test_an_order_of_another_owner_cannot_be_changed(other: User, trader: Principal, resting: Order) -> None:
    theirs = paper_connections.link_paper(other, name="Theirs", starting_cash=Decimal(1000))
    _, raw = minting.mint(other, theirs, frozenset({Scope.TRADE}), name="stranger")
    with pytest.raises(Refusal) as caught:
        cheaper(bearer.authenticate(raw), resting)
    assert caught.value.code is Code.UNKNOWN_ORDER
    change = cheaper(trader, resting)
    with pytest.raises(Refusal) as caught:
        order_actions.confirm(bearer.authenticate(raw), change.confirmation.public_id)
    assert caught.value.code is Code.CONFIRMATION_UNKNOWN


def test_two_changes_are_never_under_way_at_once(trader: Principal, resting: Order, watch: Watch) -> None:
    first, second = cheaper(trader, resting), cheaper(trader, resting, "800")

    def meanwhile(_: OrderChanges) -> None:
        with pytest.raises(Refusal) as caught:
            confirm(trader, second)
        assert caught.value.code is Code.NOT_MODIFIABLE

    watch.before_replace = meanwhile
    assert confirm(trader, first).state is AmendmentStatus.DONE
    assert len(watch.replaced) == 1


def test_a_change_overtaken_by_another_between_its_checks_and_its_release_is_refused(
    trader: Principal, resting: Order, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    larger = preparing.prepare_change(trader, resting.public_id, OrderChanges(quantity=Decimal("0.5")))
    dearer = cheaper(trader, resting, "1100")
    weigh = amendments.validate

    def overtaken(*values: Any) -> Facts:
        monkeypatch.setattr(amendments, "validate", weigh)
        weighed = weigh(*values)
        confirm(trader, larger)
        return weighed

    monkeypatch.setattr(amendments, "validate", overtaken)
    with pytest.raises(Refusal) as caught:
        confirm(trader, dearer)
    assert caught.value.code is Code.CONFIRMATION_CHANGED
    resting.refresh_from_db()
    assert (resting.quantity, resting.limit_price) == (Decimal("0.5"), Decimal(1000))
    assert len(watch.replaced) == 1


STOP = {"order_type": OrderType.STOP, "stop_price": Decimal(100)}
TRAIL = {"order_type": OrderType.TRAIL, "trail_percent": Decimal(20)}
LIMIT = {"order_type": OrderType.LIMIT, "limit_price": Decimal(900_000)}


@pytest.mark.parametrize(
    ("terms", "asked", "is_held_back"),
    [
        (STOP, OrderChanges(stop_price=Decimal(200)), True),
        (TRAIL, OrderChanges(trail_percent=Decimal(10)), True),
        (LIMIT, OrderChanges(limit_price=Decimal(800_000)), False),
    ],
    ids=["stop", "trail", "limit"],
)
@pytest.mark.parametrize("factor", ["1.021", "0.979"])
def test_a_change_of_an_order_without_a_limit_price_is_not_made_far_from_the_price_it_was_shown_at(
    trader: Principal,
    watch: Watch,
    browser: Browser,
    monkeypatch: pytest.MonkeyPatch,
    terms: dict[str, Any],
    asked: OrderChanges,
    is_held_back: bool,
    factor: str,
) -> None:
    order_actions.confirm(trader, preparing.prepare(trader, bitcoin()).confirmation.public_id)
    sell = Terms(symbol="BTC/USD", side=Side.SELL, quantity=Decimal("0.1"), **terms)
    order = order_actions.confirm(trader, preparing.prepare(trader, sell).confirmation.public_id)
    at_once = preparing.prepare_change(trader, order.public_id, asked)
    change = preparing.prepare_change(trader, order.public_id, asked)
    real = PaperBroker.quotes

    def moved(self: PaperBroker, symbols: list[str]) -> list[Quote]:
        return [replace(each, last=round(each.last * Decimal(factor), 2)) for each in real(self, symbols)]

    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(PaperBroker, "quotes", moved)
        page = words_of(browser.get(f"/orders/approvals/{change.confirmation.public_id}/"))
        assert ("The price moved from" in page) is is_held_back
        if not is_held_back:
            assert confirm(trader, change).state is AmendmentStatus.DONE
            return
        with pytest.raises(Refusal) as caught:
            confirm(trader, change)
    change.refresh_from_db()
    assert (caught.value.code, change.state, change.code) == (
        Code.PRICE_MOVED,
        AmendmentStatus.DENIED,
        Code.PRICE_MOVED,
    )
    assert watch.replaced == []
    assert confirm(trader, at_once).state is AmendmentStatus.DONE


def test_what_a_changed_contract_is_worth_counts_its_multiplier(
    trader: Principal, resting: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = PaperBroker.instrument

    def contract(self: PaperBroker, symbol: str) -> Instrument:
        return replace(real(self, symbol), multiplier=Decimal(50))

    monkeypatch.setattr(PaperBroker, "instrument", contract)
    terms = cheaper(trader, resting).confirmation.terms
    assert terms["value"] == "4500"
    assert "Value of the whole order: about 4,500.00 USD." in terms["summary"]


@pytest.mark.parametrize("multiplier", ["0", "-1", "NaN", "1E+20"])
def test_what_is_worth_nothing_or_more_than_anybody_knows_is_not_traded(
    trader: Principal, resting: Order, monkeypatch: pytest.MonkeyPatch, multiplier: str
) -> None:
    real = PaperBroker.instrument

    def contract(self: PaperBroker, symbol: str) -> Instrument:
        return replace(real(self, symbol), multiplier=Decimal(multiplier))

    monkeypatch.setattr(PaperBroker, "instrument", contract)
    for act in (lambda: preparing.prepare(trader, bitcoin(limit="1000")), lambda: cheaper(trader, resting)):
        with pytest.raises(Refusal) as caught:
            act()
        assert caught.value.code is Code.LIMIT_UNPROVABLE
