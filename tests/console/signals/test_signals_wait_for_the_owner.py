"""A signal prepares one order within the bounds of its address, and nothing but its owner confirms it."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from console.accounts.models import User
from console.audit.models import Call
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection, Policy
from console.errors import Code, Refusal
from console.orders import actions, prepare
from console.orders.models import Order, StandingRule
from console.orders.states import Status
from console.orders.transitions import confirmations
from console.principal import Redeemer
from console.scopes import Source
from console.signals import addresses, intake, preparing
from console.signals.addresses import Made
from console.signals.mapping import Template, TextForm
from console.signals.models import Signal, SignalOutcome
from tests.console.pages import words_of
from tests.console.present import at_the_browser
from tests.console.signals import steps
from tests.console.signals.conftest import Clock


@pytest.mark.parametrize("policy", [Policy.TWO_STEP, Policy.OWNER_APPROVAL])
def test_its_order_waits_for_the_owner_on_paper_and_whatever_the_policy(
    made: Made, paper: Connection, policy: Policy
) -> None:
    Connection.objects.filter(pk=paper.pk).update(policy=policy)
    answer = steps.send(made)
    signal = steps.newest()
    assert (answer.status_code, answer.json()) == (202, {"id": signal.public_id})
    assert signal.outcome == SignalOutcome.PREPARED
    order = signal.order
    assert order is not None
    assert (order.symbol, order.side, order.quantity, order.order_type) == ("AAPL", "BUY", Decimal(3), "MKT")
    assert (order.status, order.sent_at, order.confirmation.redeemed_at) == (Status.AWAITING, None, None)
    assert order.confirmation.redeemer == Redeemer.OWNER
    assert preparing.prepare_due() == 0
    assert Order.objects.count() == 1


def test_the_owner_releases_it_under_approvals(made: Made, owner: User) -> None:
    steps.send(made, symbol="BTC/USD", quantity="0.01")
    order = steps.newest().order
    assert order is not None
    browser = at_the_browser(owner)
    assert "My strategy" in words_of(browser.get("/orders/approvals/"))
    fields = {"seen": order.confirmation.terms_digest}
    browser.post(f"/orders/approvals/{order.confirmation.public_id}/release/", fields)
    order.refresh_from_db()
    assert order.status == Status.FILLED


def test_no_yes_of_its_own_is_taken(made: Made, paper: Connection) -> None:
    steps.send(made)
    order = steps.newest().order
    assert order is not None
    who = addresses.principal_of(made.address, ip="", user_agent="")
    assert who.redeemer is Redeemer.OWNER
    assert confirmations.redeemer_of(made.address.app, Redeemer.APP) is Redeemer.OWNER, "whoever asks as it"
    for redeemer in (Redeemer.APP, Redeemer.USER):
        as_if = type(who)(**{**{name: getattr(who, name) for name in who.__slots__}, "redeemer": redeemer})
        with pytest.raises(Refusal, match="only its owner can release"):
            actions.confirm(as_if, order.confirmation.public_id)
    order.refresh_from_db()
    assert order.status == Status.AWAITING


def rule(paper: Connection, app: ConnectedApp | None, **bounds: Decimal) -> StandingRule:
    """The owner's, for buys of bitcoin by market orders."""
    Connection.objects.filter(pk=paper.pk).update(policy=Policy.OWNER_APPROVAL)
    now = timezone.now()
    amounts = {"order_value": Decimal(5000), "day_value": Decimal(50_000), **bounds}
    return StandingRule.objects.create(
        public_id="rul_1", connection=paper, app=app, name="Bitcoin", symbols=["BTC/USD"], sides=["BUY"],
        order_types=["MKT"], currency="USD", orders_a_day=100, weekdays=list(range(7)), time_zone="UTC", made_at=now,
        made_with="a passkey", expires_at=now + timedelta(days=1), **amounts,
    )  # fmt: skip


def bitcoin(made: Made, **values: object) -> Order:
    steps.send(made, symbol="BTC/USD", quantity="0.01", **values)
    order = steps.newest().order
    assert order is not None
    return order


def test_a_standing_rule_for_any_app_is_not_about_signals(made: Made, paper: Connection) -> None:
    rule(paper, None)
    order = bitcoin(made)
    assert (order.status, order.confirmation.rule_id) == (Status.AWAITING, None)


def test_a_standing_rule_that_names_the_address_releases_what_it_describes(made: Made, paper: Connection) -> None:
    named = rule(paper, made.address.app)
    assert bitcoin(made).status == Status.FILLED
    assert named.releases.count() == 1
    assert bitcoin(made, side="sell").status == Status.AWAITING


@pytest.mark.parametrize("ended", ["changed since", "delayed"])
def test_what_the_rule_does_not_release_after_all_waits_for_the_owner(
    made: Made, paper: Connection, ended: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = rule(paper, made.address.app)
    if ended == "delayed":
        Connection.objects.filter(pk=paper.pk).update(confirmation_delay=5)
    else:
        release = actions.confirm_all

        def too_late(*args: Any, **more: Any) -> Any:
            StandingRule.objects.filter(pk=named.pk).update(ended_at=timezone.now())
            return release(*args, **more)

        monkeypatch.setattr(actions, "confirm_all", too_late)
    order = bitcoin(made)
    assert (order.status, order.sent_at) == (Status.AWAITING, None)
    assert Signal.objects.get().outcome == SignalOutcome.PREPARED
    assert named.releases.count() == 0


def test_a_rule_that_named_another_app_leaves_it_to_the_owner(made: Made, paper: Connection, app: ConnectedApp) -> None:
    rule(paper, app)
    assert bitcoin(made).status == Status.AWAITING


def test_the_sender_is_named_on_the_order_in_the_activity_and_in_the_timeline(
    made: Made, owner: User, browser: Browser
) -> None:
    steps.send(made)
    signal = steps.newest()
    assert signal.order is not None
    event = signal.order.events.get()
    assert event.by == "My strategy"
    call = Call.objects.get()
    assert (call.tool, call.app_label, call.source, call.order_id) == (
        "signal", "My strategy", Source.SIGNAL, signal.order.public_id,
    )  # fmt: skip
    assert (call.request_id, call.credential_id) == (signal.request_id, made.address.public_id)
    assert "My strategy" in words_of(browser.get("/timeline/"))
    assert "My strategy" in words_of(browser.get(f"/orders/{signal.order.public_id}/"))
    app = ConnectedApp.objects.get(pk=made.address.app_id)
    assert app.last_used_at is not None


def test_the_senders_name_of_an_instrument_is_translated_and_the_price_makes_a_limit_order(
    owner: User, paper: Connection
) -> None:
    template = Template(
        form=TextForm.PAIRS, secret="secret", symbol="ticker", side="action", price="close",
        fixed_quantity=Decimal(2), instruments={"NASDAQ:AAPL": "AAPL"},
    )  # fmt: skip
    made = steps.address(owner, paper, template=template)
    body = f"secret={made.secret}, ticker=nasdaq:aapl; action=SELL\nclose=150.25"
    assert steps.post(made, body, content_type="text/plain; charset=utf-8").status_code == 202
    signal = steps.newest()
    assert signal.wanted == {
        "symbol": "AAPL", "side": "SELL", "order_type": "LMT", "quantity": "2", "limit_price": "150.25",
    }  # fmt: skip


def test_values_may_lie_in_objects_of_json(owner: User, paper: Connection) -> None:
    template = Template(
        secret="secret", symbol="order.symbol", side="order.side", quantity="order.size.units",
        instruments={"AAPL": "AAPL"},
    )  # fmt: skip
    made = steps.address(owner, paper, template=template)
    body = steps.text(made, order={"symbol": "AAPL", "side": "buy", "size": {"units": "1.50"}})
    assert steps.post(made, body).status_code == 202
    assert steps.newest().wanted["quantity"] == "1.5"


def test_an_order_beyond_the_most_value_is_refused_and_the_history_says_why(made: Made, browser: Browser) -> None:
    assert steps.send(made, quantity=100).status_code == 202
    signal = steps.newest()
    assert (signal.outcome, signal.code, signal.order) == (SignalOutcome.REFUSED, "limit_exceeded", None)
    assert Order.objects.count() == 0
    assert Call.objects.get().code == "limit_exceeded"
    assert "limit_exceeded" in words_of(browser.get(f"/signals/{made.address.public_id}/"))


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"app": {"paused_at": timezone.now()}}, "app_paused"),
        ({"connection": {"paused_at": timezone.now()}}, "connection_paused"),
        ({"connection": {"trading_enabled": False}}, "trading_disabled"),
    ],
)
def test_what_the_owner_stopped_prepares_nothing(
    made: Made, paper: Connection, changed: dict[str, dict[str, object]], code: str
) -> None:
    ConnectedApp.objects.filter(pk=made.address.app_id).update(**changed.get("app", {"name": "My strategy"}))
    Connection.objects.filter(pk=paper.pk).update(**changed.get("connection", {"name": paper.name}))
    steps.send(made)
    assert (steps.newest().code, Order.objects.count()) == (code, 0)


def test_an_app_that_ended_between_the_signal_and_its_order_prepares_nothing(made: Made, owner: User) -> None:
    steps.send(made)
    grants.revoke(made.address.app, by=owner, reason="Revoked by its owner")
    assert (steps.newest().code, Order.objects.count()) == ("app_revoked", 0)


def test_a_halt_stops_it(made: Made, owner: User, paper: Connection, browser: Browser) -> None:
    browser.post(f"/halts/connection/{paper.pk}/")
    steps.send(made)
    assert (steps.newest().code, Order.objects.count()) == ("halted", 0)


# -- nothing lost, nothing twice -----------------------------------------------------------------------------


def test_a_worker_that_died_after_preparing_leaves_one_order(
    made: Made, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    steps.send(made)
    with monkeypatch.context() as dead:
        dead.setattr(intake, "record_call", _killed)
        preparing.prepare_due()
    assert Order.objects.count() == 1
    assert Signal.objects.get().outcome == SignalOutcome.WAITING
    assert preparing.prepare_due() == 0, "another worker waits for the lease"
    clock.pass_(61)
    signal = steps.newest()
    assert (signal.outcome, Order.objects.count()) == (SignalOutcome.PREPARED, 1)
    assert Call.objects.filter(tool="signal").count() == 1


def _killed(*_: object, **__: object) -> None:
    raise KeyError("killed")


def test_a_broker_that_is_away_is_asked_again_for_a_minute(
    made: Made, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    steps.send(made)
    with monkeypatch.context() as away:
        away.setattr(prepare, "prepare", _away)
        assert preparing.prepare_due() == 1
    assert preparing.prepare_due() == 0
    clock.pass_(5)
    assert steps.newest().outcome == SignalOutcome.PREPARED


def _away(*_: object, **__: object) -> None:
    raise Refusal(Code.BROKER_UNAVAILABLE, "The broker did not answer.")


def test_a_signal_that_no_worker_came_to_is_late(made: Made, clock: Clock) -> None:
    steps.send(made)
    clock.pass_(61)
    assert (steps.newest().code, Order.objects.count()) == ("signal_late", 0)


def test_the_schedule_rests_while_no_signal_waits(made: Made) -> None:
    assert not preparing.has_work()
    steps.send(made)
    assert preparing.has_work()
    preparing.prepare_due()
    assert not preparing.has_work()


def test_what_prepares_is_bound_by_the_address_and_leaves_other_apps_alone(made: Made, paper: Connection) -> None:
    limits = made.address.app.limited
    assert (limits.order_notional, limits.symbols) == (Decimal(5000), frozenset({"AAPL", "MSFT", "BTC/USD"}))
    assert made.address.app_id not in {app.pk for app in grants.binding_apps(paper)}
