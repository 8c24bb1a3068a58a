"""An owner says, for each connection, how long orders wait for them; whatever changed meanwhile is checked again."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client as Browser

from brokers.paper.adapter import PaperBroker
from brokers.types import OrderType, Preview, Quote, Side
from console import limits
from console.accounts.models import User
from console.audit.models import Change
from console.connections import broker_access
from console.connections import services as connections
from console.connections.models import Connection, Policy
from console.errors import Code, Refusal
from console.halts.services import Proof
from console.orders import prepare as preparing
from console.orders.execution import reconcile
from console.orders.models import Modification
from console.orders.owner import approvals, notifications
from console.orders.owner.approvals import Evidence
from console.orders.prepare import Prepared
from console.orders.states import Status
from console.orders.terms import Terms
from console.orders.transitions import confirmations
from console.principal import Principal
from mcpserver import pipeline
from tests.clock import Clock
from tests.conftest import PASSWORD
from tests.console.orders.conftest import bitcoin
from tests.console.pages import text_of, words_of
from tests.console.present import Person, at_the_browser
from tests.console.sent_mail import delivered
from tests.watched_broker import Watch

HOURS = 4 * 3600


@pytest.fixture
def asks(paper: Connection, owner: User) -> Connection:
    connections.set_policy(paper, Policy.OWNER_APPROVAL, by=owner)
    connections.set_approval_wait(paper, HOURS, by=owner, may_lengthen=True)
    return paper


@pytest.fixture
def person(owner: User) -> Person:
    return at_the_browser(owner)


def waits_for(prepared: Prepared) -> timedelta:
    return prepared.confirmation.expires_at - prepared.confirmation.created_at


def approve(browser: Browser, prepared: Prepared) -> Any:
    url = f"/orders/approvals/{prepared.confirmation.public_id}/release/"
    fields = {"seen": prepared.confirmation.terms_digest, "proof-password": PASSWORD}
    return browser.post(url, fields, follow=True)


def tool(trader: Principal, name: str, **arguments: Any) -> Any:
    return pipeline.attempt(trader, name, arguments, request_id="req_test").answer().content


def status(prepared: Prepared) -> Status:
    prepared.order.refresh_from_db()
    return prepared.order.state


# -- how long ------------------------------------------------------------------------------------------------


def test_an_order_waits_two_minutes_unless_its_owner_says_more(
    paper: Connection, owner: User, trader: Principal
) -> None:
    connections.set_policy(paper, Policy.OWNER_APPROVAL, by=owner)
    assert waits_for(preparing.prepare(trader, bitcoin())) == timedelta(minutes=2)
    connections.set_approval_wait(paper, HOURS, by=owner, may_lengthen=True)
    assert waits_for(preparing.prepare(trader, bitcoin())) == timedelta(hours=4)


def test_where_the_assistant_confirms_it_is_two_minutes_all_the_same(
    asks: Connection, owner: User, trader: Principal
) -> None:
    connections.set_policy(asks, Policy.TWO_STEP, by=owner, may_loosen=True)
    assert waits_for(preparing.prepare(trader, bitcoin())) == timedelta(minutes=2)


def test_the_tool_the_page_and_the_letter_say_until_when(
    asks: Connection, trader: Principal, browser: Browser, clock: Clock
) -> None:
    told = tool(trader, "place_order", symbol="BTC/USD", side="BUY", quantity="0.1")
    ends = clock.now + timedelta(hours=4)
    assert told["status"] == "needs_approval"
    assert told["expires_at"].startswith(f"{ends:%Y-%m-%dT%H:%M:%S}")
    assert "4 h 0 min left" in words_of(browser.get("/orders/approvals/"))
    assert "4 h 0 min left" in words_of(browser.get(f"/orders/{told['order']['order_id']}/", follow=True))
    notifications.notify()
    assert f"4 hours left, until {ends:%H:%M:%S} UTC." in delivered()[0].body


def test_a_cancel_and_a_change_that_wait_for_the_owner_wait_as_long(
    asks: Connection, browser: Browser, trader: Principal
) -> None:
    prepared = preparing.prepare(trader, bitcoin(limit="100"))
    approve(browser, prepared)
    change = tool(trader, "modify_order", order_id=prepared.order.public_id, limit_price="101")
    assert change["status"] == "needs_approval"
    confirmation = Modification.objects.get().confirmation
    assert confirmation.expires_at - confirmation.created_at == timedelta(hours=4)


def test_it_ends_unsent_when_its_own_time_is_over_and_says_how_long_that_was(
    asks: Connection, browser: Browser, trader: Principal, watch: Watch, clock: Clock
) -> None:
    prepared = preparing.prepare(trader, bitcoin(limit="100"))
    clock.advance(hours=3, minutes=59)
    reconcile.sweep()
    assert status(prepared) is Status.AWAITING
    clock.advance(minutes=1)
    assert "This confirmation expired after 4 hours." in words_of(approve(browser, prepared))
    reconcile.sweep()
    assert status(prepared) is Status.LAPSED
    assert "Nobody confirmed within 4 hours." in prepared.order.events.last().what  # type: ignore[union-attr]
    assert watch.submitted == []


# -- who sets it ---------------------------------------------------------------------------------------------


def set_wait(browser: Browser, connection: Connection, seconds: object) -> str:
    return words_of(browser.post(f"/connections/{connection.pk}/approval-wait/", {"seconds": seconds}, follow=True))


def test_a_longer_time_takes_a_proof_and_a_shorter_one_does_not(
    asks: Connection, browser: Browser, person: Person
) -> None:
    assert "Let orders wait longer" in set_wait(browser, asks, 8 * 3600)
    asks.refresh_from_db()
    assert asks.approval_seconds == HOURS
    assert "waits up to 8 hours for you" in set_wait(person, asks, 8 * 3600)
    assert "waits up to 5 minutes for you" in set_wait(browser, asks, 300)
    change = Change.objects.filter(action="time to approve changed").latest("pk")
    assert (change.before, change.after) == ({"seconds": 8 * 3600}, {"seconds": 300})


@pytest.mark.parametrize("seconds", ["119", "86401", "", "-5", "1e3", "٣٠٠"])
def test_nothing_outside_two_minutes_and_a_day_is_taken(asks: Connection, person: Person, seconds: str) -> None:
    assert "Choose a time from 2 minutes to 24 hours." in set_wait(person, asks, seconds)
    asks.refresh_from_db()
    assert asks.approval_seconds == HOURS


def test_somebody_elses_connection_is_not_found(asks: Connection, other: User) -> None:
    answer = at_the_browser(other).post(f"/connections/{asks.pk}/approval-wait/", {"seconds": "300"})
    assert answer.status_code == 404
    asks.refresh_from_db()
    assert asks.approval_seconds == HOURS


def test_the_connections_page_shows_the_time_that_is_set(asks: Connection, browser: Browser) -> None:
    page = text_of(browser.get(f"/connections/{asks.pk}/"))
    assert f'<option value="{HOURS}" selected>4 hours</option>' in page


# -- everything again at release -----------------------------------------------------------------------------


def test_hours_later_the_order_is_released_where_nothing_stands_against_it(
    asks: Connection, browser: Browser, trader: Principal, watch: Watch, clock: Clock
) -> None:
    prepared = preparing.prepare(trader, bitcoin(limit="100"))
    clock.advance(hours=3)
    approve(browser, prepared)
    assert status(prepared) is Status.WORKING
    assert len(watch.submitted) == 1


def test_a_market_that_moved_beyond_the_collar_meanwhile_stops_it(
    asks: Connection, owner: User, browser: Browser, trader: Principal, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    connections.set_limits(asks, limits.parse({"price_collar": "2"}), by=owner)
    quote = broker_access.broker_of(asks).quotes(["AAPL"])[0]
    limit = (quote.last * Decimal("1.01")).quantize(Decimal("0.01"))
    terms = Terms(symbol="AAPL", side=Side.BUY, quantity=Decimal(1), order_type=OrderType.LIMIT, limit_price=limit)
    prepared = preparing.prepare(trader, terms)
    served(monkeypatch, quote.last * Decimal("0.9"))
    assert "It cannot be released now." in words_of(browser.get(f"/orders/{prepared.order.public_id}/", follow=True))
    assert "the limits allow 2 %" in words_of(approve(browser, prepared))
    assert status(prepared) is not Status.FILLED
    assert watch.submitted == []


def served(monkeypatch: pytest.MonkeyPatch, last: Decimal) -> None:
    """From now on the market stands there, by every way that leads to a price."""
    previewed, quoted = PaperBroker.preview, PaperBroker.quotes

    def moved(quote: Quote) -> Quote:
        return replace(quote, last=last, bid=last * Decimal("0.9999"), ask=last * Decimal("1.0001"))

    def preview(self: PaperBroker, *args: Any) -> Preview:
        made = previewed(self, *args)
        return replace(made, quote=moved(made.quote))

    monkeypatch.setattr(PaperBroker, "preview", preview)
    monkeypatch.setattr(PaperBroker, "quotes", lambda self, symbols: [moved(each) for each in quoted(self, symbols)])


def test_a_limit_that_was_used_up_meanwhile_stops_it_until_there_is_room_again(
    asks: Connection, owner: User, trader: Principal, watch: Watch
) -> None:
    """What waits takes nothing of the limits: otherwise one app could block all others for a day by asking."""
    connections.set_limits(asks, limits.parse({"daily_notional": "150"}), by=owner)
    first, second = (preparing.prepare(trader, bitcoin("1", limit="100")) for _ in range(2))
    evidence = Evidence(proof=Proof.PASSWORD, label="the password")
    approvals.approve(first.confirmation, by=owner, evidence=evidence, seen=first.confirmation.terms_digest)
    browser = at_the_browser(owner)
    page = words_of(browser.get(f"/orders/{second.order.public_id}/", follow=True))
    assert "It cannot be released now." in page
    answer = words_of(approve(browser, second))
    assert "Over a limit" in answer
    assert status(first) is Status.WORKING
    assert status(second) in (Status.AWAITING, Status.DENIED)
    assert len(watch.submitted) == 1


def test_more_than_a_person_can_look_at_is_not_held_for_them(
    asks: Connection, owner: User, trader: Principal, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confirmations, "MOST_WAITING", 2)
    first, _ = (preparing.prepare(trader, bitcoin(limit="100")) for _ in range(2))
    with pytest.raises(Refusal, match="2 orders on Practice wait for their owner already") as caught:
        preparing.prepare(trader, bitcoin(limit="100"))
    assert caught.value.code is Code.WAITS_FOR_OWNER
    approvals.reject(first.confirmation, by=owner, reason="other")
    preparing.prepare(trader, bitcoin(limit="100"))
