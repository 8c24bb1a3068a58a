"""The pages of plans: a plan is shown whole and started with a proof, stopped with a click, and nobody else's."""

import pytest
from django.test import Client as Browser

from console.accounts.models import User
from console.connections import services as connections
from console.connections.models import Connection, Policy
from console.errors import Code, Refusal
from console.halts.services import Proof
from console.notifications.models import NewsItem
from console.orders.execution import release
from console.orders.models import Order
from console.orders.owner import notifications
from console.orders.owner.approvals import Evidence
from console.outbox.models import OutgoingMail
from console.plans import deciding, execution, preparing
from console.plans.models import PlanKind, TradingPlan
from console.plans.preparing import PlanWish
from console.plans.states import PlanStatus
from console.principal import Principal
from tests.clock import Clock
from tests.console.pages import text_of
from tests.console.plans.steps import now_of, sent, started, trade, twap
from tests.console.present import at_the_browser

pytestmark = pytest.mark.django_db

PASSKEY = Evidence(proof=Proof.PASSKEY, label="passkey Laptop", credential=1)
PASSWORD = Evidence(proof=Proof.PASSWORD, label="the password")


@pytest.fixture
def waiting(owner: User, paper: Connection, trader: Principal) -> TradingPlan:
    """One that only its owner starts."""
    connections.set_policy(paper, Policy.OWNER_APPROVAL, by=owner)
    return preparing.prepare_plan(trader, twap())


def test_the_page_shows_every_order_and_what_could_stop_it(owner: User, waiting: TradingPlan) -> None:
    page = text_of(at_the_browser(owner).get(f"/plans/{waiting.public_id}/"))
    assert page.count("Buy 0.1 BTC/USD at the market") == 3
    assert "10 minutes after the start" in page and "20 minutes after the start" in page
    assert "Never more than 3 orders" in page
    assert "Its own bounds: it stops before it passes one." in page


def test_its_owner_starts_it_with_a_proof_over_what_was_shown(owner: User, waiting: TradingPlan) -> None:
    person, address = at_the_browser(owner), f"/plans/{waiting.public_id}/start/"
    person.post(address, {"seen": "0" * 64})
    assert now_of(waiting).state is PlanStatus.AWAITING
    person.post(address, {"seen": waiting.confirmation.terms_digest})
    found = now_of(waiting)
    assert (found.state, found.confirmed_by, found.confirmed_with) == (PlanStatus.RUNNING, "owner", "the password")
    execution.sweep()
    assert len(sent(waiting)) == 1


def test_no_app_starts_what_waits_for_its_owner(waiting: TradingPlan, trader: Principal) -> None:
    with pytest.raises(Refusal) as refused:
        deciding.confirm(trader, waiting.confirmation.public_id)
    assert refused.value.code is Code.APPROVAL_REQUIRED
    with pytest.raises(Refusal) as kept:
        deciding.discard(trader, waiting.confirmation.public_id)
    assert kept.value.code is Code.WAITS_FOR_OWNER


def test_real_money_takes_a_passkey(owner: User, other: User, paper: Connection, trader: Principal) -> None:
    limits = {"order_notional": "90000", "daily_notional": "90000"}
    Connection.objects.filter(pk=paper.pk).update(environment="live", policy=Policy.OWNER_APPROVAL, limits=limits)
    plan = preparing.prepare_plan(trader, twap())
    plan = TradingPlan.objects.get(pk=plan.pk)
    seen = plan.confirmation.terms_digest
    for by, evidence, code in (
        (owner, PASSWORD, Code.RE_AUTHENTICATION_REQUIRED),
        (other, PASSKEY, Code.NOT_PERMITTED),
    ):
        with pytest.raises(Refusal) as refused:
            deciding.approve(plan, by=by, evidence=evidence, seen=seen)
        assert refused.value.code is code
    deciding.approve(plan, by=owner, evidence=PASSKEY, seen=seen)
    assert now_of(plan).state is PlanStatus.RUNNING


def test_what_waits_is_among_the_approvals_and_its_owner_is_told(
    owner: User, browser: Browser, waiting: TradingPlan
) -> None:
    page = text_of(browser.get("/orders/approvals/"))
    assert "TWAP: Buy 0.3 BTC/USD in 3 orders over 20 minutes" in page
    answer = browser.get(f"/orders/approvals/{waiting.confirmation.public_id}/")
    assert answer["Location"] == f"/plans/{waiting.public_id}/"
    notifications.notify()
    assert OutgoingMail.objects.filter(user=owner).exists()
    assert NewsItem.objects.get(user=owner).path == f"/plans/{waiting.public_id}/"
    assert "TWAP" in text_of(browser.get("/"))


def test_its_owner_declines_it(owner: User, browser: Browser, waiting: TradingPlan, trader: Principal) -> None:
    browser.post(f"/plans/{waiting.public_id}/decline/")
    assert now_of(waiting).state is PlanStatus.DECLINED
    assert "TWAP" not in text_of(browser.get("/orders/approvals/"))
    with pytest.raises(Refusal) as refused:
        deciding.approve(now_of(waiting), by=owner, evidence=PASSKEY, seen=waiting.confirmation.terms_digest)
    assert refused.value.code is Code.REJECTED_BY_OWNER


def test_its_owner_pauses_and_cancels_with_a_click_and_resumes_with_a_proof(
    clock: Clock, owner: User, browser: Browser, trader: Principal
) -> None:
    plan = started(trader, twap())
    address = f"/plans/{plan.public_id}"
    browser.post(f"{address}/pause/")
    assert now_of(plan).state is PlanStatus.PAUSED
    browser.post(f"{address}/resume/")
    assert now_of(plan).state is PlanStatus.PAUSED
    at_the_browser(owner).post(f"{address}/resume/")
    assert now_of(plan).state is PlanStatus.RUNNING
    browser.post(f"{address}/cancel/")
    assert now_of(plan).state is PlanStatus.CANCELLED
    assert "Cancelled" in text_of(browser.get("/plans/"))


@pytest.mark.parametrize("act", ["pause", "cancel"])
def test_stopping_an_exit_does_not_say_that_its_order_is_being_cancelled(
    clock: Clock, owner: User, browser: Browser, trader: Principal, act: str
) -> None:
    trade(trader, "0.5")
    plan = started(trader, PlanWish(kind=PlanKind.TIME_EXIT, symbol="BTC/USD", minutes=30))
    said = text_of(browser.post(f"/plans/{plan.public_id}/{act}/", follow=True))
    assert "an exit that has gone to the broker is not cancelled" in said
    assert "being cancelled" not in said


def test_nobody_else_sees_or_touches_it(
    clock: Clock, others_browser: Browser, operators_browser: Browser, trader: Principal
) -> None:
    plan = started(trader, twap())
    for browser in (others_browser, operators_browser):
        assert browser.get(f"/plans/{plan.public_id}/").status_code == 404
        for verb in ("start", "decline", "pause", "resume", "cancel"):
            assert browser.post(f"/plans/{plan.public_id}/{verb}/").status_code == 404
        assert plan.public_id not in text_of(browser.get("/plans/"))
    assert now_of(plan).state is PlanStatus.RUNNING


def test_an_order_of_a_plan_is_nobodys_to_approve_beside_it(
    clock: Clock, owner: User, browser: Browser, trader: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that died between preparing and releasing it leaves it so."""

    class Died(BaseException):
        pass

    def dies(*given: object, **more: object) -> None:
        raise Died

    plan = started(trader, twap())
    with monkeypatch.context() as patched:
        patched.setattr(release, "release", dies)
        with pytest.raises(Died):
            execution.sweep()
    order = Order.objects.get()
    assert order.status == "awaiting_confirmation"
    assert "Buy 0.1 BTC/USD" not in text_of(browser.get("/orders/approvals/"))
    person = at_the_browser(owner)
    address = f"/orders/approvals/{order.confirmation.public_id}"
    assert person.post(f"{address}/release/", {"seen": order.confirmation.terms_digest}).status_code == 404
    assert person.post(f"{address}/reject/", {"reason": "other"}).status_code == 404
    order.refresh_from_db()
    assert order.status == "awaiting_confirmation"
    clock.advance(minutes=3)
    execution.sweep()
    assert len(sent(plan)) == 1
