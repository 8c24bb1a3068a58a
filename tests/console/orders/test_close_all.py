"""The owner closes everything from the console, also while order entry is halted; nobody and nothing else does."""

import hashlib
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from brokers.paper.adapter import PaperBroker
from console.accounts.models import User
from console.authority import bearer
from console.authority.credential_refusals import Unauthenticated
from console.connected_apps import grants
from console.connected_apps import queries as app_queries
from console.connected_apps.models import ConnectedApp
from console.connections import services as connections
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.halts import services as halts
from console.keys.models import ApiKey
from console.oauth.models import AccessToken
from console.onboarding import playground
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders import queries as order_queries
from console.orders.checks import permission
from console.orders.execution import external_orders, reconcile, submit
from console.orders.models import Confirmation, Order
from console.orders.owner import approvals, close_all
from console.orders.states import Status
from console.principal import Principal
from console.scopes import Source
from tests.conftest import PASSWORD
from tests.console.orders.conftest import bitcoin
from tests.console.orders.steps import at_the_broker
from tests.console.pages import text_of, words_of
from tests.console.passkeys import Passkey
from tests.console.present import challenge
from tests.watched_broker import Watch

LIMITS = {"order_notional": "90000", "daily_notional": "90000"}


@pytest.fixture
def position(trader: Principal, watch: Watch) -> None:
    order_actions.confirm(trader, preparing.prepare(trader, bitcoin("0.2")).confirmation.public_id)


@pytest.fixture
def resting(trader: Principal, watch: Watch) -> Order:
    return order_actions.confirm(trader, preparing.prepare(trader, bitcoin(limit="1000")).confirmation.public_id)


@pytest.fixture(params=["connection", "account", "user", "instance"])
def stop(request: pytest.FixtureRequest, paper: Connection, owner: User, operator: User) -> Callable[[], object]:
    return {
        "connection": lambda: halts.halt_connection(paper, by=owner),
        "account": lambda: halts.halt_connection(paper, by=owner, account_id=paper.default_account),
        "user": lambda: halts.halt_user(owner, by=operator),
        "instance": lambda: halts.halt_instance(by=operator),
    }[request.param]


def prepare(browser: Browser, paper: Connection) -> Any:
    return browser.post(f"/orders/closing/{paper.pk}/prepare/")


def mine() -> Confirmation:
    return Confirmation.objects.get(app__source=Source.CONSOLE)


def release(browser: Browser, **fields: str) -> Any:
    confirmation = mine()
    address = f"/orders/approvals/{confirmation.public_id}/release/"
    proofs = {f"proof-{name}": value for name, value in fields.items()}
    return browser.post(address, {"seen": confirmation.terms_digest, **proofs}, follow=True)


def held(paper: Connection) -> list[str]:
    broker = PaperBroker.open(paper.settings)
    return [each.symbol for each in broker.positions(paper.default_account) if each.quantity]


def refused(act: Callable[[], object]) -> Code:
    with pytest.raises(Refusal) as caught:
        act()
    return caught.value.code


def test_under_any_halt_orders_are_cancelled_and_positions_closed(
    browser: Browser, paper: Connection, position: None, resting: Order, stop: Callable[[], object]
) -> None:
    stop()
    answer = prepare(browser, paper)
    assert answer["Location"] == f"/orders/approvals/{mine().public_id}/"
    page = words_of(browser.get(answer["Location"]))
    assert "You requested this on Practice." in page
    assert "Cancelled first" in page
    assert "1 working order will be cancelled first." in page
    assert "It cannot be released now." not in page
    assert "The assistant can confirm this" not in page
    resting.refresh_from_db()
    assert (resting.state, held(paper)) == (Status.WORKING, ["BTC/USD"])

    assert "Approved." in words_of(release(browser, password=PASSWORD))
    resting.refresh_from_db()
    assert (resting.state, held(paper)) == (Status.CANCELLED, [])


def test_a_halt_that_comes_after_the_owner_prepared_it_does_not_end_it(
    browser: Browser, paper: Connection, owner: User, position: None
) -> None:
    prepare(browser, paper)
    halts.halt_connection(paper, by=owner)
    release(browser, password=PASSWORD)
    assert held(paper) == []


def test_what_the_owner_released_is_sent_under_a_halt_by_the_sweep_too(
    browser: Browser, paper: Connection, owner: User, position: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare(browser, paper)

    def die(*args: object, **kwargs: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(submit, "send", die)
        with pytest.raises(SystemExit):
            release(browser, password=PASSWORD)
    halts.halt_connection(paper, by=owner)
    order = mine().order
    Order.objects.filter(pk=order.pk).update(moved_at=order.created_at - timedelta(hours=1))
    reconcile.sweep()
    assert held(paper) == []


def test_without_a_proof_nothing_is_cancelled_or_closed(
    browser: Browser, paper: Connection, position: None, resting: Order
) -> None:
    prepare(browser, paper)
    release(browser, password="wrong")
    resting.refresh_from_db()
    assert (resting.state, held(paper)) == (Status.WORKING, ["BTC/USD"])


def test_on_live_it_takes_a_passkey(browser: Browser, paper: Connection, owner: User, position: None) -> None:
    Connection.objects.filter(pk=paper.pk).update(environment="live", limits=LIMITS)
    halts.halt_connection(paper, by=owner)
    passkey = Passkey(owner)
    prepare(browser, paper)
    assert "Approve with passkey" in words_of(release(browser, password=PASSWORD))
    assert held(paper) == ["BTC/USD"]
    seen = {"seen": mine().terms_digest}
    asked = challenge(browser, f"/orders/approvals/{mine().public_id}/release/", seen)
    release(browser, credential=passkey.answer(asked))
    assert held(paper) == []


def test_the_owner_can_leave_everything_as_it_is(browser: Browser, paper: Connection, position: None) -> None:
    prepare(browser, paper)
    answer = browser.post(f"/orders/approvals/{mine().public_id}/reject/", {"reason": "other"}, follow=True)
    assert "Nothing was cancelled or closed." in words_of(answer)
    assert held(paper) == ["BTC/USD"]


def test_without_a_position_the_orders_alone_are_cancelled(
    browser: Browser, paper: Connection, owner: User, resting: Order
) -> None:
    halts.halt_connection(paper, by=owner)
    answer = browser.post(f"/orders/closing/{paper.pk}/prepare/", follow=True)
    assert "has no position to close." in words_of(answer)
    assert "Only cancel orders" in words_of(answer)
    answer = browser.post(f"/orders/closing/{paper.pk}/cancel/", {"account_id": paper.default_account}, follow=True)
    assert "Cancelled: 1 of 1 open orders." in words_of(answer)
    resting.refresh_from_db()
    assert resting.state is Status.CANCELLED


# -- what else still says no ---------------------------------------------------------------------------------


def test_an_apps_own_flatten_is_refused_while_halted(
    trader: Principal, paper: Connection, owner: User, position: None, resting: Order, stop: Callable[[], object]
) -> None:
    prepared, _ = preparing.prepare_flatten(trader)
    stop()
    assert refused(lambda: preparing.prepare_flatten(trader)) is Code.HALTED
    assert refused(lambda: order_actions.confirm(trader, prepared.confirmation.public_id)) is Code.HALTED
    prepared.order.refresh_from_db()
    assert (prepared.order.state, prepared.order.code) == (Status.DENIED, Code.HALTED)
    assert prepared.order.reason.startswith("Order entry is halted")
    assert order_queries.pending_confirmations(trader) == []
    resting.refresh_from_db()
    assert (resting.state, held(paper)) == (Status.WORKING, ["BTC/USD"])


def test_the_owners_approval_of_an_apps_flatten_is_refused_while_halted(
    trader: Principal, browser: Browser, paper: Connection, owner: User, position: None
) -> None:
    prepared, _ = preparing.prepare_flatten(trader)
    halts.halt_connection(paper, by=owner)
    address = f"/orders/approvals/{prepared.confirmation.public_id}/release/"
    sent = {"seen": prepared.confirmation.terms_digest, "proof-password": PASSWORD}
    answer = browser.post(address, sent, follow=True)
    assert "Order entry is halted" in words_of(answer)
    prepared.order.refresh_from_db()
    assert (prepared.order.state, prepared.order.code) == (Status.DENIED, Code.HALTED)
    assert (prepared.order.released_at, held(paper)) == (None, ["BTC/USD"])


def test_nothing_but_closing_passes_a_halt_for_the_owner(paper: Connection, owner: User, trader: Principal) -> None:
    halts.halt_connection(paper, by=owner)
    app = grants.console_app(paper)
    own = Principal(
        **{name: getattr(trader, name) for name in trader.__slots__}
        | {"app_id": app.pk, "source": Source.CONSOLE, "scopes": app.granted}
    )
    assert refused(lambda: preparing.prepare(own, bitcoin())) is Code.HALTED


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"trading_enabled": False}, Code.TRADING_DISABLED),
        ({"paused_at": timezone.now()}, Code.CONNECTION_PAUSED),
        ({"closed_at": timezone.now()}, Code.CONNECTION_PAUSED),
        ({"limits": {"order_notional": "1"}}, Code.LIMIT_EXCEEDED),
    ],
)
def test_only_the_halt_is_waived(
    paper: Connection, owner: User, position: None, change: dict[str, Any], code: Code
) -> None:
    Connection.objects.filter(pk=paper.pk).update(**change)
    paper.refresh_from_db()
    act = lambda: close_all.flatten_as_owner(paper, by=owner, account_id=paper.default_account)  # noqa: E731
    assert refused(act) is code


def test_trading_switched_off_after_it_was_prepared_holds_it_back(
    browser: Browser, paper: Connection, owner: User, position: None, resting: Order
) -> None:
    prepare(browser, paper)
    connections.disable_trading(paper, by=owner)
    release(browser, password=PASSWORD)
    resting.refresh_from_db()
    assert (resting.state, held(paper)) == (Status.WORKING, ["BTC/USD"])


# -- nobody else, and no token -------------------------------------------------------------------------------


def test_somebody_else_finds_none_of_it(
    browser: Browser, others_browser: Browser, other: User, paper: Connection, position: None, resting: Order
) -> None:
    prepare(browser, paper)
    confirmation = mine()
    sent = {"seen": confirmation.terms_digest, "proof-password": PASSWORD, "account_id": paper.default_account}
    assert others_browser.get(f"/orders/closing/{paper.pk}/").status_code == 404
    for address in (
        f"/orders/closing/{paper.pk}/prepare/",
        f"/orders/closing/{paper.pk}/cancel/",
        f"/orders/approvals/{confirmation.public_id}/release/",
    ):
        assert others_browser.post(address, sent).status_code == 404, address
    account = paper.default_account
    assert refused(lambda: close_all.flatten_as_owner(paper, by=other, account_id=account)) is Code.NOT_PERMITTED
    assert refused(lambda: close_all.cancel_as_owner(paper, by=other, account_id=account)) is Code.NOT_PERMITTED
    resting.refresh_from_db()
    assert (resting.state, held(paper)) == (Status.WORKING, ["BTC/USD"])


def test_no_token_reaches_it(paper: Connection, trade_key: str, trader: Principal, position: None) -> None:
    stranger = Browser(headers={"Authorization": f"Bearer {trade_key}"})
    for verb in ("", "prepare/", "cancel/"):
        answer = stranger.post(f"/orders/closing/{paper.pk}/{verb}", {"account_id": paper.default_account})
        assert answer["Location"].startswith("/sign-in/"), verb
    assert not Confirmation.objects.filter(app__source=Source.CONSOLE).exists()
    assert held(paper) == ["BTC/USD"]


def test_an_app_cannot_confirm_what_the_owner_prepared(
    browser: Browser, trader: Principal, paper: Connection, position: None
) -> None:
    prepare(browser, paper)
    assert refused(lambda: order_actions.confirm(trader, mine().public_id)) is Code.CONFIRMATION_UNKNOWN
    assert order_queries.pending_confirmations(trader) == []


def test_no_credential_authenticates_as_the_owner_in_the_console(
    paper: Connection, trade_key: str, trader: Principal
) -> None:
    app = grants.console_app(paper)
    with pytest.raises(ValueError, match="No credential"):
        grants.activate(app)
    # Even a row that points there by force opens nothing.
    ApiKey.objects.filter(public_id=trader.credential_id).update(app=app)
    token = "a-token-that-nobody-issues"
    AccessToken.objects.create(
        app=app,
        token=token,
        token_checksum=hashlib.sha256(token.encode()).hexdigest(),
        scope="mcp:read mcp:trade",
        expires=timezone.now() + timedelta(hours=1),
    )
    for raw in (trade_key, token):
        with pytest.raises(Unauthenticated):
            bearer.authenticate(raw)


# -- the app behind it ---------------------------------------------------------------------------------------


def test_there_is_one_for_each_connection_and_no_list_has_it(
    browser: Browser, owner: User, paper: Connection, position: None
) -> None:
    app = grants.console_app(paper)
    assert grants.console_app(paper) == app
    assert app not in app_queries.active_apps(owner)
    assert app not in playground.choices(owner)
    for address in ("/", "/apps/", f"/connections/{paper.pk}/", "/playground/", "/activity/", "/halts/"):
        assert app.name not in text_of(browser.get(address)), address
    for verb in ("", "limits/", "revoke/"):
        assert browser.get(f"/apps/{app.pk}/{verb}").status_code == 404
    assert ConnectedApp.objects.filter(source=Source.CONSOLE).count() == 1


def test_the_pages_of_its_orders_say_who_asked(
    browser: Browser, owner: User, paper: Connection, position: None
) -> None:
    prepare(browser, paper)
    assert list(approvals.for_owner(owner)) == [mine()]
    for address in ("/", "/orders/", "/orders/approvals/", f"/connections/{paper.pk}/"):
        assert re.search("(by you|You, in the console)", words_of(browser.get(address))), address
    assert "Requested by you on" in words_of(browser.get("/orders/approvals/"))
    release(browser, password=PASSWORD)
    page = browser.get(f"/orders/{mine().order.public_id}/")
    assert "You, in the console on Practice." in words_of(page)
    assert f"/apps/{mine().app_id}/" not in text_of(page)


def test_permission_is_looked_at_as_for_any_app(paper: Connection, owner: User) -> None:
    app = grants.console_app(paper)
    permission.check_permission(app, paper)
    grants.revoke(app, by=owner, reason="Test")
    assert refused(lambda: permission.check_permission(app, paper)) is Code.APP_REVOKED


def test_the_way_out_says_which_orders_it_leaves(browser: Browser, paper: Connection) -> None:
    assert "placed elsewhere" not in words_of(browser.get(f"/orders/closing/{paper.pk}/"))
    at_the_broker(paper)
    external_orders.store(paper)
    page = browser.get(f"/orders/closing/{paper.pk}/")
    assert "1 order placed elsewhere stays open at the broker. View it" in words_of(page)
    assert f'href="/orders/?connection={paper.pk}"' in text_of(page)
