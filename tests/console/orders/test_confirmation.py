"""A confirmation does what was shown, once, for the app it was shown to, and only while that app may trade."""

from decimal import Decimal

import pytest

from brokers.types import OrderChanges
from console.accounts.models import User
from console.authority import bearer
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections import paper_linking as paper_connections
from console.connections import services as connections
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.keys import minting
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders import queries as order_queries
from console.orders.checks import check_rows, limit_rules, permission
from console.orders.checks.check_rows import AppRows
from console.orders.models import Confirmation, Order
from console.orders.states import Status
from console.principal import Principal
from console.scopes import Scope
from tests.clock import Clock
from tests.console.orders.conftest import bitcoin
from tests.watched_broker import Watch

pytestmark = pytest.mark.django_db


def refused(trader: Principal, confirmation: Confirmation) -> Refusal:
    with pytest.raises(Refusal) as caught:
        order_actions.confirm(trader, confirmation.public_id)
    return caught.value


def test_nothing_reaches_the_broker_before_the_confirmation(trader: Principal, watch: Watch) -> None:
    prepared = preparing.prepare(trader, bitcoin())
    assert watch.submitted == []
    order = order_actions.confirm(trader, prepared.confirmation.public_id)
    assert order.state is Status.FILLED
    assert [request.client_order_id for request in watch.submitted] == [order.wire_id]


def test_the_intent_is_committed_before_the_broker_is_called(trader: Principal, watch: Watch) -> None:
    seen: list[str] = []
    watch.before_submit = lambda request: seen.extend(
        Order.objects.get(wire_id=request.client_order_id).events.values_list("after", flat=True)
    )
    order_actions.confirm(trader, preparing.prepare(trader, bitcoin()).confirmation.public_id)
    assert seen == [Status.AWAITING, Status.INTENT, Status.SENDING]


@pytest.mark.parametrize("what", ["an order", "a change"])
def test_one_that_expires_while_it_waits_for_the_locks_is_refused(
    trader: Principal, watch: Watch, clock: Clock, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    confirmation = preparing.prepare(trader, bitcoin(limit="100")).confirmation
    if what == "a change":
        order = order_actions.confirm(trader, confirmation.public_id)
        asked = OrderChanges(limit_price=Decimal(101))
        confirmation = preparing.prepare_change(trader, order.public_id, asked).confirmation
    before, locked = len(watch.submitted), check_rows.locked

    def slow(app_id: int) -> AppRows:
        rows = locked(app_id)
        clock.advance(seconds=121)
        return rows

    monkeypatch.setattr(check_rows, "locked", slow)
    assert refused(trader, confirmation).code is Code.CONFIRMATION_EXPIRED
    assert (len(watch.submitted), watch.replaced) == (before, [])


def test_a_confirmation_used_twice_is_refused_and_names_its_order(trader: Principal, watch: Watch) -> None:
    prepared = preparing.prepare(trader, bitcoin())
    order_actions.confirm(trader, prepared.confirmation.public_id)
    refusal = refused(trader, prepared.confirmation)
    assert (refusal.code, refusal.order_id) == (Code.CONFIRMATION_USED, prepared.order.public_id)
    assert len(watch.submitted) == 1


def test_a_confirmation_after_120_seconds_is_refused(trader: Principal, watch: Watch, clock: Clock) -> None:
    prepared = preparing.prepare(trader, bitcoin())
    clock.advance(seconds=120)
    assert refused(trader, prepared.confirmation).code is Code.CONFIRMATION_EXPIRED
    assert watch.submitted == []


def test_a_confirmation_in_the_120th_second_is_taken(trader: Principal, watch: Watch, clock: Clock) -> None:
    prepared = preparing.prepare(trader, bitcoin(limit="1000"))
    clock.advance(seconds=119.9)
    assert order_actions.confirm(trader, prepared.confirmation.public_id).state is Status.WORKING


def test_a_confirmation_by_another_app_of_the_same_owner_is_refused(
    trader: Principal, owner: User, paper: Connection, watch: Watch
) -> None:
    _, raw = minting.mint(owner, paper, frozenset({Scope.TRADE}), name="second app")
    prepared = preparing.prepare(trader, bitcoin())
    assert refused(bearer.authenticate(raw), prepared.confirmation).code is Code.CONFIRMATION_UNKNOWN
    assert watch.submitted == []


@pytest.mark.parametrize(
    "change",
    [
        {"quantity": Decimal("0.2")},
        {"side": "SELL"},
        {"symbol": "AAPL"},
        {"limit_price": Decimal("999")},
        {"account_id": "SOMEBODY"},
        {"tif": "GTC"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_confirmation_whose_order_changed_is_refused(
    trader: Principal, watch: Watch, change: dict[str, object]
) -> None:
    prepared = preparing.prepare(trader, bitcoin(limit="1000"))
    Order.objects.filter(pk=prepared.order.pk).update(**change)
    assert refused(trader, prepared.confirmation).code is Code.CONFIRMATION_CHANGED
    assert watch.submitted == []


def test_a_confirmation_whose_shown_terms_were_edited_is_refused(trader: Principal, watch: Watch) -> None:
    prepared = preparing.prepare(trader, bitcoin())
    terms = prepared.confirmation.terms | {"summary": "Buy a sandwich"}
    Confirmation.objects.filter(pk=prepared.confirmation.pk).update(terms=terms)
    assert refused(trader, prepared.confirmation).code is Code.CONFIRMATION_CHANGED
    assert watch.submitted == []


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("revoke", Code.APP_REVOKED),
        ("pause", Code.APP_PAUSED),
        ("narrow", Code.INSUFFICIENT_SCOPE),
        ("pause connection", Code.CONNECTION_PAUSED),
        ("disable trading", Code.TRADING_DISABLED),
    ],
)
def test_permission_taken_back_after_the_order_was_shown_stops_it(
    trader: Principal, owner: User, paper: Connection, watch: Watch, what: str, code: Code
) -> None:
    prepared = preparing.prepare(trader, bitcoin())
    app = ConnectedApp.objects.get(pk=trader.app_id)
    {
        "revoke": lambda: grants.revoke(app, by=owner, reason="test"),
        "pause": lambda: grants.pause(app, by=owner),
        "narrow": lambda: grants.narrow(app, by=owner),
        "pause connection": lambda: connections.pause(paper, by=owner),
        "disable trading": lambda: connections.disable_trading(paper, by=owner),
    }[what]()
    assert refused(trader, prepared.confirmation).code is code
    assert watch.submitted == []
    prepared.order.refresh_from_db()
    assert (prepared.order.state, prepared.order.code) == (Status.DENIED, code)


def test_permission_taken_back_between_the_checks_and_the_release_still_stops_it(
    trader: Principal, owner: User, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = preparing.prepare(trader, bitcoin())
    app = ConnectedApp.objects.get(pk=trader.app_id)
    monkeypatch.setattr(limit_rules, "check_drift", lambda *values: grants.revoke(app, by=owner, reason="in between"))
    assert refused(trader, prepared.confirmation).code is Code.APP_REVOKED
    assert watch.submitted == []


def test_funds_are_checked_again_at_release(trader: Principal, watch: Watch) -> None:
    first, second = (preparing.prepare(trader, bitcoin("10")) for _ in range(2))
    order_actions.confirm(trader, first.confirmation.public_id)
    assert refused(trader, second.confirmation).code is Code.INSUFFICIENT_FUNDS
    second.order.refresh_from_db()
    assert second.order.state is Status.DENIED
    assert len(watch.submitted) == 1


def test_a_market_order_is_refused_when_the_price_has_moved_more_than_2_percent(
    trader: Principal, watch: Watch
) -> None:
    prepared = preparing.prepare(trader, bitcoin())
    Order.objects.filter(pk=prepared.order.pk).update(shown_price=prepared.order.shown_price * Decimal("1.03"))
    assert refused(trader, prepared.confirmation).code is Code.PRICE_MOVED
    assert watch.submitted == []


def test_the_same_client_order_id_with_the_same_terms_is_the_same_order(trader: Principal, watch: Watch) -> None:
    first = preparing.prepare(trader, bitcoin(), client_order_id="rebalance-7")
    again = preparing.prepare(trader, bitcoin(), client_order_id="rebalance-7")
    assert (again.order.pk, again.confirmation.pk) == (first.order.pk, first.confirmation.pk)
    assert Order.objects.count() == 1


def test_the_same_client_order_id_with_other_terms_is_a_conflict(trader: Principal) -> None:
    preparing.prepare(trader, bitcoin(), client_order_id="rebalance-7")
    with pytest.raises(Refusal) as caught:
        preparing.prepare(trader, bitcoin("0.2"), client_order_id="rebalance-7")
    assert caught.value.code is Code.DUPLICATE_ORDER_ID


def test_another_users_app_cannot_confirm_cancel_or_find_the_order(
    trader: Principal, other: User, watch: Watch
) -> None:
    theirs = paper_connections.link_paper(other, name="Oscar's", starting_cash=Decimal(1000))
    _, raw = minting.mint(other, theirs, frozenset({Scope.TRADE}), name="Oscar's app")
    stranger = bearer.authenticate(raw)
    prepared = preparing.prepare(trader, bitcoin())
    assert refused(stranger, prepared.confirmation).code is Code.CONFIRMATION_UNKNOWN
    for attempt in (order_queries.find_order, order_actions.cancel):
        with pytest.raises(Refusal) as caught:
            attempt(stranger, prepared.order.public_id)
        assert caught.value.code is Code.UNKNOWN_ORDER
    assert (watch.submitted, watch.cancelled) == ([], [])


def test_when_two_calls_confirm_at_once_the_later_one_is_told_it_was_used(
    trader: Principal, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = preparing.prepare(trader, bitcoin("10"))

    def overtaken(*values: object) -> None:
        monkeypatch.undo()
        order_actions.confirm(trader, prepared.confirmation.public_id)

    # The other call gets in between this one's reading of the rows and its check of the funds, and spends them.
    monkeypatch.setattr(permission, "check_permission", overtaken)
    refusal = refused(trader, prepared.confirmation)
    assert (refusal.code, refusal.order_id) == (Code.CONFIRMATION_USED, prepared.order.public_id)


def test_a_connection_whose_policy_asks_for_the_owner_is_not_released_by_an_assistant(
    trader: Principal, paper: Connection, watch: Watch
) -> None:
    Connection.objects.filter(pk=paper.pk).update(policy="owner_approval")
    prepared = preparing.prepare(trader, bitcoin())
    assert refused(trader, prepared.confirmation).code is Code.APPROVAL_REQUIRED
    assert watch.submitted == []


@pytest.mark.parametrize("taken", ["ord_01M7XS0CGHVQ93QT4MX5Z3YT5E", "cnf_1"])
def test_a_callers_id_cannot_look_like_one_of_ours(trader: Principal, taken: str) -> None:
    with pytest.raises(Refusal) as caught:
        preparing.prepare(trader, bitcoin(), client_order_id=taken)
    assert (caught.value.code, caught.value.field) == (Code.INVALID_ARGUMENT, "client_order_id")
