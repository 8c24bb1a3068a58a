"""Only the owner releases what waits for them: for this very order, with a passkey where it is real money."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client as Browser

from brokers.errors import BrokerUnavailable, InsufficientFunds
from brokers.paper.adapter import PaperBroker
from brokers.types import OrderChanges, OrderClass, OrderType, Side
from console import limits
from console.accounts.models import User
from console.audit.models import Change
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections import services as connections
from console.connections.models import Connection, Policy
from console.errors import Code, Refusal
from console.halts import services as halts
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.execution import sync
from console.orders.models import Confirmation, Modification, Order
from console.orders.prepare import Prepared
from console.orders.states import Status
from console.orders.terms import Terms
from console.principal import Principal
from mcpserver import pipeline
from tests.clock import Clock
from tests.conftest import PASSWORD
from tests.console.orders.conftest import bitcoin
from tests.console.pages import text_of, words_of
from tests.console.passkeys import Passkey
from tests.console.present import challenge
from tests.watched_broker import Watch

LIMITS = {"order_notional": "90000", "daily_notional": "90000"}


@pytest.fixture
def asks(paper: Connection, owner: User) -> Connection:
    """The paper connection, where the owner approves each order."""
    connections.set_policy(paper, Policy.OWNER_APPROVAL, by=owner)
    return paper


@pytest.fixture
def live(asks: Connection) -> Connection:
    Connection.objects.filter(pk=asks.pk).update(environment="live", limits=LIMITS)
    asks.refresh_from_db()
    return asks


@pytest.fixture
def prepared(asks: Connection, trader: Principal, watch: Watch) -> Prepared:
    return preparing.prepare(trader, bitcoin(), client_order_id="see-evil.example")


def address(prepared: Prepared, verb: str = "release") -> str:
    return f"/orders/approvals/{prepared.confirmation.public_id}/{verb}/"


def sent(prepared: Prepared, **fields: Any) -> dict[str, Any]:
    proofs = {f"proof-{name}": fields.pop(name) for name in ("password", "credential") if name in fields}
    return {"seen": prepared.confirmation.terms_digest, **proofs, **fields}


def status(prepared: Prepared) -> Status:
    prepared.order.refresh_from_db()
    return prepared.order.state


def by_passkey(browser: Browser, prepared: Prepared, passkey: Passkey, **how: Any) -> Any:
    asked = challenge(browser, address(prepared), sent(prepared))
    return browser.post(address(prepared), sent(prepared, credential=passkey.answer(asked, **how)))


# -- who, and with what --------------------------------------------------------------------------------------


def test_on_paper_the_password_releases_it(browser: Browser, prepared: Prepared, watch: Watch) -> None:
    answer = browser.post(address(prepared), sent(prepared, password=PASSWORD))
    assert answer["Location"] == f"/orders/{prepared.order.public_id}/"
    assert status(prepared) is Status.FILLED
    assert len(watch.submitted) == 1


@pytest.mark.parametrize("fields", [{}, {"password": ""}, {"password": "wrong"}, {"credential": "{}"}])
def test_without_a_proof_nothing_is_sent(
    browser: Browser, prepared: Prepared, watch: Watch, fields: dict[str, str]
) -> None:
    assert browser.post(address(prepared), sent(prepared, **fields)).status_code == 200
    assert status(prepared) is Status.AWAITING
    assert watch.submitted == []


def test_on_live_a_passkey_releases_it(
    browser: Browser, owner: User, live: Connection, prepared: Prepared, watch: Watch
) -> None:
    answer = by_passkey(browser, prepared, Passkey(owner))
    assert answer["Location"] == f"/orders/{prepared.order.public_id}/"
    assert status(prepared) is Status.FILLED
    assert len(watch.submitted) == 1


def test_on_live_the_password_is_not_enough(
    browser: Browser, owner: User, live: Connection, prepared: Prepared, watch: Watch
) -> None:
    Passkey(owner)
    page = browser.get(address(prepared, "")[:-1])
    assert 'type="password"' not in text_of(page)
    answer = browser.post(address(prepared), sent(prepared, password=PASSWORD), follow=True)
    assert "Approve with passkey" in words_of(answer)
    assert status(prepared) is Status.AWAITING
    assert watch.submitted == []


def test_on_live_somebody_without_a_passkey_is_told_how_to_get_one(
    browser: Browser, live: Connection, prepared: Prepared
) -> None:
    page = text_of(browser.get(f"/orders/{prepared.order.public_id}/"))
    assert "This involves real money, so you need a passkey. You do not have one yet" in page
    assert 'href="/security/passkey/"' in page
    assert "Approve with" not in page


def test_a_touch_without_a_finger_is_refused(
    browser: Browser, owner: User, live: Connection, prepared: Prepared, watch: Watch
) -> None:
    answer = by_passkey(browser, prepared, Passkey(owner), verified=False)
    assert "That passkey was not accepted" in words_of(answer)
    assert status(prepared) is Status.AWAITING
    assert watch.submitted == []


def test_somebody_elses_passkey_is_refused(
    browser: Browser, owner: User, other: User, live: Connection, prepared: Prepared
) -> None:
    Passkey(owner)
    assert by_passkey(browser, prepared, Passkey(other)).status_code == 200
    assert status(prepared) is Status.AWAITING


def test_what_was_signed_for_another_order_releases_nothing(
    browser: Browser, owner: User, live: Connection, prepared: Prepared, trader: Principal
) -> None:
    passkey, second = Passkey(owner), preparing.prepare(trader, bitcoin("0.2"))
    signed = passkey.answer(challenge(browser, address(second), sent(second)))
    assert browser.post(address(prepared), sent(prepared, credential=signed)).status_code == 200
    assert (status(prepared), status(second)) == (Status.AWAITING, Status.AWAITING)
    # The question was answered; the same signature does not release its own order any more either.
    assert browser.post(address(second), sent(second, credential=signed)).status_code == 200
    assert status(second) is Status.AWAITING


def test_a_passkey_shown_for_something_else_releases_nothing_and_the_other_way_round(
    browser: Browser, owner: User, app: ConnectedApp, live: Connection, prepared: Prepared
) -> None:
    passkey, halt = Passkey(owner), halts.halt_app(app, by=owner)
    url = f"/halts/{halt.pk}/lift/"
    signed = passkey.answer(challenge(browser, url))
    assert browser.post(address(prepared), sent(prepared, credential=signed)).status_code == 200
    assert status(prepared) is Status.AWAITING
    signed = passkey.answer(challenge(browser, address(prepared), sent(prepared)))
    assert browser.post(url, {"proof-credential": signed}).status_code == 200
    halt.refresh_from_db()
    assert halt.lifted_at is None


def test_a_question_about_what_was_shown_before_a_change_releases_nothing(
    browser: Browser, owner: User, live: Connection, prepared: Prepared
) -> None:
    passkey = Passkey(owner)
    signed = passkey.answer(challenge(browser, address(prepared), sent(prepared)))
    Confirmation.objects.filter(pk=prepared.confirmation.pk).update(terms_digest="0" * 64)
    assert browser.post(address(prepared), {"seen": "0" * 64, "proof-credential": signed}).status_code == 200
    assert status(prepared) is Status.AWAITING


@pytest.mark.parametrize("verb", ["", "release/", "reject/", "now/"])
def test_nobody_else_finds_it_not_even_an_operator(
    others_browser: Browser, operators_browser: Browser, prepared: Prepared, verb: str
) -> None:
    url = f"/orders/approvals/{prepared.confirmation.public_id}/{verb}"
    for browser in (others_browser, operators_browser):
        assert browser.get(url).status_code in (404, 405)
        assert browser.post(f"{url}?challenge").status_code in (404, 405)
        if verb in ("release/", "reject/"):
            fields = sent(prepared, password=PASSWORD, reason="timing")
            assert browser.post(url, fields).status_code == 404
        assert "BTC/USD" not in text_of(browser.get("/orders/approvals/"))
    assert status(prepared) is Status.AWAITING


def test_a_letter_or_a_link_decides_nothing(browser: Browser, prepared: Prepared) -> None:
    browser.get(address(prepared), {"password": PASSWORD, "seen": prepared.confirmation.terms_digest})
    assert browser.get(address(prepared, "reject")).status_code == 405
    assert status(prepared) is Status.AWAITING


def test_a_form_of_another_site_decides_nothing(owner: User, prepared: Prepared) -> None:
    browser = Browser(enforce_csrf_checks=True)
    browser.force_login(owner)
    for verb in ("release", "reject"):
        fields = sent(prepared, password=PASSWORD, reason="timing")
        assert browser.post(address(prepared, verb), fields).status_code == 403
    assert status(prepared) is Status.AWAITING


# -- everything is checked again -----------------------------------------------------------------------------


def _change(prepared: Prepared, owner: User) -> dict[str, Callable[[], Any]]:
    app, connection = prepared.order.app, prepared.order.connection
    shown = Order.objects.filter(pk=prepared.order.pk)
    return {
        "revoked": lambda: grants.revoke(app, by=owner, reason="test"),
        "paused": lambda: grants.pause(app, by=owner),
        "trading off": lambda: connections.disable_trading(connection, by=owner),
        "halted": lambda: halts.halt_user(owner, by=owner),
        "over a limit": lambda: Connection.objects.filter(pk=connection.pk).update(limits={"order_notional": "10"}),
        "price moved": lambda: shown.update(shown_price=Decimal(1)),
        "changed": lambda: shown.update(quantity=Decimal("0.2")),
    }


CODES = {
    "revoked": Code.APP_REVOKED,
    "paused": Code.APP_PAUSED,
    "trading off": Code.TRADING_DISABLED,
    "halted": Code.HALTED,
    "over a limit": Code.LIMIT_EXCEEDED,
    "price moved": Code.PRICE_MOVED,
}


@pytest.mark.parametrize("what", [*CODES, "changed"])
def test_what_changed_since_it_was_shown_stops_the_release_and_the_page_says_so(
    browser: Browser, owner: User, prepared: Prepared, watch: Watch, what: str
) -> None:
    _change(prepared, owner)[what]()
    page = words_of(browser.get(f"/orders/{prepared.order.public_id}/"))
    if what != "changed":
        assert "It cannot be released now." in page
        assert "Approve with password" not in page
        assert "Decline" in page
    answer = browser.post(address(prepared), sent(prepared, password=PASSWORD), follow=True)
    assert "message-error" in text_of(answer)
    assert watch.submitted == []
    assert status(prepared) is (Status.AWAITING if what == "changed" else Status.DENIED)
    assert prepared.order.code == CODES.get(what, "")


def test_after_two_minutes_it_can_no_longer_be_released(
    browser: Browser, prepared: Prepared, watch: Watch, clock: Clock
) -> None:
    clock.advance(seconds=120)
    page = words_of(browser.get(f"/orders/approvals/{prepared.confirmation.public_id}/", follow=True))
    assert "it expired, and nothing was sent" in page
    assert "Approve with" not in page
    answer = browser.post(address(prepared), sent(prepared, password=PASSWORD), follow=True)
    assert "This confirmation expired after 120 s." in words_of(answer)
    assert watch.submitted == []


def test_it_is_released_once(browser: Browser, prepared: Prepared, watch: Watch) -> None:
    for _ in range(2):
        answer = browser.post(address(prepared), sent(prepared, password=PASSWORD), follow=True)
    assert "This confirmation was used already" in words_of(answer)
    assert len(watch.submitted) == 1


def test_a_page_that_showed_something_else_releases_nothing(browser: Browser, prepared: Prepared, watch: Watch) -> None:
    for seen in ("", "0" * 64):
        answer = browser.post(address(prepared), {"seen": seen, "proof-password": PASSWORD}, follow=True)
        assert "has changed since the page was shown." in words_of(answer)
    assert status(prepared) is Status.AWAITING
    assert watch.submitted == []


# -- what the model sees -------------------------------------------------------------------------------------


def test_the_assistant_cannot_confirm_it(trader: Principal, prepared: Prepared, watch: Watch) -> None:
    with pytest.raises(Refusal) as caught:
        order_actions.confirm(trader, prepared.confirmation.public_id)
    assert caught.value.code is Code.APPROVAL_REQUIRED
    assert status(prepared) is Status.AWAITING
    assert watch.submitted == []


def test_a_rejection_ends_it_and_the_assistant_reads_the_owners_words(
    browser: Browser, trader: Principal, prepared: Prepared, watch: Watch
) -> None:
    fields = {"reason": "price", "words": "Wait for  tl_paper_aBcD1234_secret0secret  60,000"}
    assert browser.post(address(prepared, "reject"), fields)["Location"] == "/orders/approvals/"
    assert status(prepared) is Status.REJECTED_BY_OWNER
    said = 'The owner declined it in the console and wrote: "The price is not right. Wait for [masked] 60,000"'
    assert (prepared.order.code, prepared.order.reason) == (Code.REJECTED_BY_OWNER, said)
    assert "Declined by the owner" in words_of(browser.get(f"/orders/{prepared.order.public_id}/"))
    asked = {"order_id": prepared.order.public_id}
    told = pipeline.attempt(trader, "get_order_status", asked, request_id="req_test").answer().content
    assert (told["order"]["status"], told["history"][-1]["status"]) == ("rejected_by_owner", "rejected_by_owner")
    with pytest.raises(Refusal, match="The price is not right") as caught:
        order_actions.confirm(trader, prepared.confirmation.public_id)
    assert caught.value.code is Code.REJECTED_BY_OWNER
    assert watch.submitted == []
    # Nor can the owner change their mind: it has to be asked for again.
    answer = browser.post(address(prepared), sent(prepared, password=PASSWORD), follow=True)
    assert "declined it in the console" in words_of(answer)
    assert status(prepared) is Status.REJECTED_BY_OWNER


def test_a_rejection_needs_one_of_the_reasons(browser: Browser, prepared: Prepared) -> None:
    for fields in ({}, {"reason": "mood"}, {"reason": "price", "words": "x" * 301}):
        assert browser.post(address(prepared, "reject"), fields).status_code == 200
    assert status(prepared) is Status.AWAITING


def test_while_halted_it_can_still_be_rejected(browser: Browser, owner: User, prepared: Prepared) -> None:
    halts.halt_user(owner, by=owner)
    browser.post(address(prepared, "reject"), {"reason": "other"})
    assert (status(prepared), prepared.order.reason) == (Status.REJECTED_BY_OWNER, "The owner declined it.")


def test_where_the_assistant_may_confirm_the_owner_may_release_or_reject_first(
    browser: Browser, paper: Connection, trader: Principal, watch: Watch
) -> None:
    first, second = preparing.prepare(trader, bitcoin()), preparing.prepare(trader, bitcoin())
    page = words_of(browser.get(f"/orders/{first.order.public_id}/"))
    assert "The assistant can confirm this itself after you agree in the chat." in page
    browser.post(address(first), sent(first, password=PASSWORD))
    browser.post(address(second, "reject"), {"reason": "unasked"})
    assert (status(first), status(second)) == (Status.FILLED, Status.REJECTED_BY_OWNER)


# -- on record -----------------------------------------------------------------------------------------------


def test_who_released_it_how_and_from_where_is_on_record(
    browser: Browser, owner: User, live: Connection, prepared: Prepared
) -> None:
    passkey = Passkey(owner, "Yellow key")
    by_passkey(browser, prepared, passkey)
    [event] = [each for each in prepared.order.events.all() if "decision" in each.data]
    assert event.what == "The owner released it in the console, with passkey Yellow key."
    assert event.by == owner.email
    decision = {"proof": "passkey", "how": "passkey Yellow key", "ip": "127.0.0.1", "credential": passkey.factor.pk}
    assert event.data["decision"] == decision
    change = Change.objects.get(action="order released")
    assert (change.user_id, change.target_id, change.ip) == (owner.pk, prepared.order.public_id, "127.0.0.1")
    assert change.detail == {
        "environment": "live",
        "proof": "passkey",
        "how": "passkey Yellow key",
        "credential": passkey.factor.pk,
    }
    page = words_of(browser.get("/orders/approvals/"))
    assert "Buy BTC/USD on Practice Live Approved with passkey Yellow key, from 127.0.0.1" in page


def test_a_rejection_is_on_record(browser: Browser, owner: User, prepared: Prepared) -> None:
    browser.post(address(prepared, "reject"), {"reason": "size", "words": "<b>Too</b> much"})
    change = Change.objects.get(action="order rejected")
    assert (change.user_id, change.target_id, change.detail["words"]) == (
        owner.pk,
        prepared.order.public_id,
        "<b>Too</b> much",
    )
    assert "<q>&lt;b&gt;Too&lt;/b&gt; much</q>" in text_of(browser.get("/orders/approvals/"))


def test_nothing_of_a_release_that_was_refused_is_on_record_as_done(
    browser: Browser, owner: User, prepared: Prepared
) -> None:
    halts.halt_user(owner, by=owner)
    browser.post(address(prepared), sent(prepared, password=PASSWORD))
    assert not Change.objects.filter(action="order released").exists()


# -- what the page shows -------------------------------------------------------------------------------------


def test_the_page_says_everything_to_decide_by(
    browser: Browser, asks: Connection, trader: Principal, owner: User
) -> None:
    connections.set_limits(asks, Connection(limits=LIMITS).limited, by=owner, may_widen=True)
    prepared = preparing.prepare(trader, bitcoin(), client_order_id="see-evil.example")
    page = words_of(browser.get(f"/orders/{prepared.order.public_id}/"))
    for said in (
        "Buy 0.1 BTC/USD, market, day Paper",
        "prepared this on Practice. Nothing was sent. Simulated money.",
        "Market now",
        "Bid",
        "Ask",
        "Quote age",
        "Moved since shown 0.00%",
        "Estimated fee",
        "Cash 100,000.00 USD",
        "Position in BTC/USD 0 0.1",
        "Value of one order For Practice 90,000.00 USD",
        "Value of all orders in a day For Practice 90,000.00 USD",
        "2 min 0 s left",
        "Time in force Day",
        "Through API key",
        "Client order id see-evil.example",
    ):
        assert said in page, said
    html = text_of(browser.get(f"/orders/{prepared.order.public_id}/"))
    assert "<q>see-evil.example</q>" in html
    assert 'href="https://' not in html


def test_every_order_and_leg_of_a_plan_is_shown_and_released_together(
    browser: Browser, asks: Connection, trader: Principal, watch: Watch
) -> None:
    exits = Terms(
        symbol="BTC/USD",
        side=Side.BUY,
        quantity=Decimal("0.1"),
        order_type=OrderType.LIMIT,
        limit_price=Decimal(1000),
        order_class=OrderClass.BRACKET,
        take_profit=Decimal(2000),
        stop_loss=Decimal(500),
    )
    items = [preparing.PlanItem(terms=bitcoin(limit="900")), preparing.PlanItem(terms=exits)]
    prepared = preparing.prepare_plan(trader, items)
    page = words_of(browser.get(f"/orders/{prepared.order.public_id}/"))
    assert "2 orders together Paper" in page
    assert "1. Buy 0.1 BTC/USD, limit 900.00 USD, day" in page
    assert "Attached; active once this order fills, one cancels the other Sell 0.1 BTC/USD" in page
    assert "Sell 0.1 BTC/USD, stop 500.00 USD, GTC" in page
    leg = prepared.orders[1].legs.first()
    assert leg is not None
    assert "2 orders together" in words_of(browser.get(f"/orders/{leg.public_id}/"))
    browser.post(address(prepared), sent(prepared, password=PASSWORD))
    assert len(watch.submitted) == 2
    assert Change.objects.filter(action="order released").count() == 2


def test_a_broker_that_does_not_answer_leaves_a_page_that_says_so(
    browser: Browser, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> None:
        raise BrokerUnavailable("The broker is silent.")

    monkeypatch.setattr(PaperBroker, "account_state", silent)
    monkeypatch.setattr(PaperBroker, "preview", silent)
    page = words_of(browser.get(f"/orders/{prepared.order.public_id}/"))
    assert "could not be reached: The broker is silent." in page
    answer = browser.post(address(prepared), sent(prepared, password=PASSWORD), follow=True)
    assert "The broker is silent." in words_of(answer)
    assert status(prepared) is Status.AWAITING


# -- while a page stays open ---------------------------------------------------------------------------------


def mark(page: str) -> str:
    found = re.search(r'hx-get="(/orders/waiting/\?seen=[^"]+)"', page)
    assert found is not None
    return found[1]


def test_an_open_page_learns_of_a_new_request_and_of_its_end(
    browser: Browser, asks: Connection, trader: Principal, clock: Clock
) -> None:
    ask = mark(text_of(browser.get("/connections/")))
    assert browser.get(ask).status_code == 204
    preparing.prepare(trader, bitcoin())
    news = browser.get(ask)
    assert "An order is waiting for your approval. Paper" in words_of(news)
    assert 'data-count="1"' in text_of(news)
    ask = mark(text_of(news))
    assert browser.get(ask).status_code == 204
    assert "<title>(1) Connections" in text_of(browser.get("/connections/"))
    clock.advance(seconds=120)
    assert 'data-count="0"' in text_of(browser.get(ask))


def test_what_the_assistant_may_confirm_is_listed_but_not_counted(
    browser: Browser, paper: Connection, trader: Principal
) -> None:
    preparing.prepare(trader, bitcoin())
    page = text_of(browser.get("/orders/approvals/"))
    assert "Buy 0.1 BTC/USD, market, day" in page
    assert 'data-count="0"' in page


def test_somebody_signed_out_is_asked_no_more_and_told_nothing(prepared: Prepared) -> None:
    answer = Browser().get("/orders/waiting/")
    assert (answer.status_code, answer.content) == (286, b"")
    answer = Browser().get(address(prepared, "now"))
    assert (answer["HX-Refresh"], answer.content) == ("true", b"")


def test_the_moving_part_reloads_the_page_once_the_decision_changed(
    browser: Browser, owner: User, prepared: Prepared
) -> None:
    assert "Market now" in words_of(browser.get(address(prepared, "now"), {"held": "0"}))
    halt = halts.halt_user(owner, by=owner)
    assert browser.get(address(prepared, "now"), {"held": "0"})["HX-Refresh"] == "true"
    assert "HX-Refresh" not in browser.get(address(prepared, "now"), {"held": "1"})
    assert halt.pk
    browser.post(address(prepared, "reject"), {"reason": "timing"})
    assert browser.get(address(prepared, "now"), {"held": "1"})["HX-Refresh"] == "true"


# -- changes of an order that rests --------------------------------------------------------------------------


@pytest.fixture
def change(paper: Connection, trader: Principal, owner: User, watch: Watch) -> Modification:
    resting = preparing.prepare(trader, bitcoin(limit="1000"))
    order_actions.confirm(trader, resting.confirmation.public_id)
    connections.set_policy(paper, Policy.OWNER_APPROVAL, by=owner)
    return preparing.prepare_change(trader, resting.order.public_id, OrderChanges(limit_price=Decimal(1100)))


def test_a_change_is_led_to_shown_and_released(browser: Browser, trader: Principal, change: Modification) -> None:
    page = f"/orders/approvals/{change.confirmation.public_id}/"
    assert page in text_of(browser.get(f"/orders/{change.order.public_id}/"))
    assert page in text_of(browser.get("/orders/approvals/"))
    said = words_of(browser.get(page))
    assert "Change to: Buy 0.1 BTC/USD, limit 1,100.00 USD, day Paper" in said
    assert "Open at the broker as: Buy 0.1 BTC/USD, limit 1,000.00 USD, day" in said
    assert "Value 110.00 USD" in said and "Estimated fee 0.28 USD" in said
    assert "Cash 100,000.00 USD 99,889.72 USD" in said and "Position in BTC/USD 0 0.1" in said
    with pytest.raises(Refusal) as caught:
        order_actions.confirm(trader, change.confirmation.public_id)
    assert caught.value.code is Code.APPROVAL_REQUIRED
    fields = {"seen": change.confirmation.terms_digest, "proof-password": PASSWORD}
    assert "Approved. Change:" in words_of(browser.post(f"{page}release/", fields, follow=True))
    change.order.refresh_from_db()
    assert change.order.limit_price == Decimal(1100)
    assert Change.objects.get(action="order released").target_id == change.order.public_id


def test_a_change_is_rejected_and_the_order_rests_as_it_was(
    browser: Browser, trader: Principal, change: Modification
) -> None:
    browser.post(f"/orders/approvals/{change.confirmation.public_id}/reject/", {"reason": "price"})
    with pytest.raises(Refusal, match="The price is not right") as caught:
        order_actions.confirm(trader, change.confirmation.public_id)
    assert caught.value.code is Code.REJECTED_BY_OWNER
    change.order.refresh_from_db()
    assert (change.order.limit_price, change.order.state) == (Decimal(1000), Status.WORKING)
    assert Change.objects.get(action="order rejected").target_id == change.order.public_id
    assert "A change of this order is waiting for your approval." not in words_of(
        browser.get(f"/orders/{change.order.public_id}/")
    )


def test_what_is_filled_already_is_not_estimated_again(
    browser: Browser, change: Modification, monkeypatch: pytest.MonkeyPatch
) -> None:
    Order.objects.filter(pk=change.order_id).update(filled_quantity=Decimal("0.04"), status=Status.PARTIALLY_FILLED)
    monkeypatch.setattr(sync, "refresh", lambda order: order)
    said = words_of(browser.get(f"/orders/approvals/{change.confirmation.public_id}/"))
    assert "Value 66.00 USD" in said
    assert "Position in BTC/USD 0 0.06" in said


def test_a_change_its_broker_cannot_estimate_is_shown_all_the_same(
    browser: Browser, change: Modification, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise InsufficientFunds("Not twice.")

    monkeypatch.setattr(PaperBroker, "preview", refuse)
    said = words_of(browser.get(f"/orders/approvals/{change.confirmation.public_id}/"))
    assert "Estimated fee Not known" in said and "Cash 100,000.00 USD Not known" in said
    assert "Not twice" not in said and "Approve with password" in said


def test_a_trailing_stop_says_by_how_much_it_trails(browser: Browser, asks: Connection, trader: Principal) -> None:
    bitcoins = preparing.prepare(trader, bitcoin("1"))
    browser.post(address(bitcoins), sent(bitcoins, password=PASSWORD))
    trail = Terms(
        symbol="BTC/USD",
        side=Side.SELL,
        quantity=Decimal("0.5"),
        order_type=OrderType.TRAIL,
        trail_percent=Decimal("2.5"),
    )
    said = words_of(browser.get(address(preparing.prepare(trader, trail), "")[:-1]))
    assert "Trails by 2.5 %" in said and "once triggered" in said


def test_home_leads_to_each_decision_as_the_approvals_do(
    browser: Browser, change: Modification, trader: Principal
) -> None:
    plan = preparing.prepare_plan(
        trader, [preparing.PlanItem(terms=bitcoin(limit="900")), preparing.PlanItem(terms=bitcoin(limit="950"))]
    )
    home = browser.get("/")
    said = words_of(home)
    assert "Change to: Buy 0.1 BTC/USD, limit 1,100.00 USD, day" in said and "2 orders together" in said
    assert "Two orders are waiting for you." in said
    for confirmation in (change.confirmation, plan.confirmation):
        link = rf'href="/orders/approvals/{confirmation.public_id}/" aria-label="Review: [^"]+">Review</a>'
        assert re.search(link, text_of(home))


def test_what_a_limit_refuses_is_counted_on_the_page_as_the_refusal_counts_it(
    browser: Browser, owner: User, live: Connection, trader: Principal
) -> None:
    prepared = preparing.prepare(trader, bitcoin())
    tight = {"order_notional": "500", "daily_notional": "90000"}
    connections.set_limits(live, limits.parse(tight), by=owner)
    page = words_of(browser.get(address(prepared, "")[:-1]))
    told = re.search(r"This order needs ([\d.]+) USD", page)
    assert told is not None
    most = f"{Decimal(told[1]):,.2f}"
    shown = re.search(r"Maximum cost ([\d,.]+) USD", page)
    assert shown is not None
    fee = Decimal(shown[1].replace(",", "")) - Decimal(told[1])
    assert 0 < fee < Decimal(told[1]) / 100, "the most it can cost has the fee in it, the limit has not"
    assert f"Value of one order For Practice 500.00 USD {most} Over" in page
