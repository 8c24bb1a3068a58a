"""Looking before ordering keeps nothing, and what waits can be dropped, but only by the app it waits for."""

from decimal import Decimal

import pytest

from console.accounts.models import User
from console.authority import bearer
from console.connected_apps.models import ConnectedApp
from console.connections import broker_access
from console.connections import services as connections
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.keys import minting
from console.onboarding import connection_lifecycle
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders import preview as previewing
from console.orders import queries as order_queries
from console.orders.execution.external_orders import AtBroker
from console.orders.models import Confirmation, Order
from console.orders.states import Status
from console.principal import Principal
from console.scopes import Scope
from tests.clock import Clock
from tests.console.orders.conftest import bitcoin
from tests.watched_broker import Watch

pytestmark = pytest.mark.django_db
TRADE = frozenset({Scope.TRADE})


@pytest.fixture
def strangers(owner: User, other: User, paper: Connection) -> list[Principal]:
    """Another app of the same owner on the same connection, and an app of somebody else."""
    theirs, _ = connection_lifecycle.open_paper(other, name="Theirs", starting_cash=Decimal(1000))
    keys = [minting.mint(owner, paper, TRADE, name="Second")[1], minting.mint(other, theirs, TRADE, name="Theirs")[1]]
    return [bearer.authenticate(key) for key in keys]


def test_no_other_app_sees_or_drops_what_waits(trader: Principal, strangers: list[Principal]) -> None:
    prepared = preparing.prepare(trader, bitcoin())
    for stranger in strangers:
        assert order_queries.pending_confirmations(stranger) == []
        with pytest.raises(Refusal) as refused:
            order_actions.discard(stranger, prepared.confirmation.public_id)
        assert refused.value.code is Code.CONFIRMATION_UNKNOWN
    assert [each.order for each in order_queries.pending_confirmations(trader)] == [prepared.order]
    assert Order.objects.get().state is Status.AWAITING


def test_no_order_of_another_connection_serves_as_a_cursor(trader: Principal, strangers: list[Principal]) -> None:
    prepared = preparing.prepare(trader, bitcoin())
    elsewhere = AtBroker(broker_access.broker_of(Connection.objects.get(pk=strangers[1].connection_id)), "")
    with pytest.raises(Refusal) as refused:
        order_queries.list_orders(strangers[1], elsewhere, order_queries.OrderQuery(), after=prepared.order.public_id)
    assert refused.value.field == "cursor"


def test_what_was_dropped_was_never_sent_and_says_so(trader: Principal, watch: Watch) -> None:
    prepared = preparing.prepare(trader, bitcoin())
    order = order_actions.discard(trader, prepared.confirmation.public_id, request_id="req_9")
    assert order.state is Status.CANCELLED
    assert order.reason == "Discarded before it was confirmed."
    last = order.events.last()
    assert last is not None
    assert (last.after, last.by, last.request_id) == ("cancelled", "Test key mcp:trade", "req_9")
    assert watch.submitted == []
    assert watch.cancelled == []


def test_what_lapsed_waits_no_longer_and_cannot_be_dropped(trader: Principal, clock: Clock) -> None:
    prepared = preparing.prepare(trader, bitcoin())
    clock.advance(seconds=121)
    assert order_queries.pending_confirmations(trader) == []
    with pytest.raises(Refusal) as refused:
        order_actions.discard(trader, prepared.confirmation.public_id)
    assert refused.value.code is Code.CONFIRMATION_EXPIRED


def test_a_preview_keeps_nothing_and_sends_nothing(trader: Principal, watch: Watch) -> None:
    seen = previewing.preview(trader, bitcoin())
    assert all(check.refusal is None for check in seen.checks)
    assert Order.objects.count() == Confirmation.objects.count() == 0
    assert watch.submitted == []


def test_a_preview_says_what_would_stop_the_order(trader: Principal, owner: User, paper: Connection) -> None:
    connections.disable_trading(paper, by=owner)
    Connection.objects.filter(pk=paper.pk).update(policy="owner_approval")
    found = {check.name: check.refusal and check.refusal.code for check in previewing.preview(trader, bitcoin()).checks}
    assert found == {
        "broker rules and funds": None,
        "permission to trade": Code.TRADING_DISABLED,
        "halts": None,
        "limits": None,
        "release by the assistant": Code.APPROVAL_REQUIRED,
    }
    refusal = previewing.refusal_to_trade(trader)
    assert refusal is not None
    assert refusal.code is Code.TRADING_DISABLED
    assert ConnectedApp.objects.get(pk=trader.app_id).can_trade
