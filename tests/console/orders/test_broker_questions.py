"""What a broker asks before it takes an order is answered by the order's owner alone, in the console, once."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from html import unescape
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from brokers.types import OrderChanges, OrderType, Side
from console.accounts.models import User
from console.audit.models import Change
from console.authority import bearer
from console.connected_apps import grants
from console.connections import services as connections
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.halts import services as halts
from console.halts.services import Proof
from console.keys import management_keys, minting
from console.limits import Limits
from console.onboarding import connection_lifecycle
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.checks import check_rows, daily_usage
from console.orders.checks.check_subject import Facts
from console.orders.execution import amendments, reconcile, submit
from console.orders.models import Modification, Order, Question
from console.orders.owner import approvals, broker_questions, notifications
from console.orders.owner.approvals import Evidence
from console.orders.owner.pending_badge import PendingBadge
from console.orders.states import AmendmentStatus as Step
from console.orders.states import Status
from console.orders.terms import Terms
from console.principal import Principal
from console.scopes import Scope
from tests.brokers.faults import SENDING, Fault, Reply
from tests.brokers.ibkr.fake import BASE, LIVE, QUESTION, FakeIbkr
from tests.clock import Clock
from tests.conftest import PASSWORD
from tests.console.connections.fakes import IBKR
from tests.console.connections.steps import linked
from tests.console.pages import text_of, words_of
from tests.console.passkeys import Passkey
from tests.console.present import at_the_browser, challenge
from tests.console.sent_mail import delivered

SECOND = "This order may trigger and fill at once. Submit it?"


class AsksAboutChanges(FakeIbkr):
    """As Interactive Brokers does it, a change may be answered by a question too."""

    held = 100.0
    ask = "190.30"

    def _positions(self) -> list[dict[str, Any]]:
        apple, *others = super()._positions()
        return [apple | {"position": self.held}, *others]

    def _snapshot(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        return [row | {"86": self.ask} if "86" in row else row for row in super()._snapshot(query)]

    def _modify(self, order_id: int, ticket: dict[str, Any]) -> Reply:
        if self.questions:
            return self._ask(ticket | {"changes": order_id}, list(self.questions))
        return super()._modify(order_id, ticket)

    def _accept(self, ticket: dict[str, Any]) -> dict[str, Any]:
        if "changes" not in ticket:
            return super()._accept(ticket)
        _, [row] = super()._modify(ticket.pop("changes"), ticket)
        done: dict[str, Any] = row
        return done


@pytest.fixture
def fake() -> Iterator[AsksAboutChanges]:
    with replace(IBKR, make=AsksAboutChanges).running() as started:
        assert isinstance(started, AsksAboutChanges)
        started.questions = [QUESTION]
        yield started


def _trader(connection: Connection) -> Principal:
    _, raw = minting.mint(connection.owner, connection, frozenset({Scope.TRADE}), name="Trader")
    return bearer.authenticate(raw)


def _maker(order: Order) -> Principal:
    """The app that made it."""
    return replace(_trader(order.connection), app_id=order.app_id)


@pytest.fixture
def connection(owner: User, fake: FakeIbkr) -> Connection:
    return linked(at_the_browser(owner), IBKR, fake)


@pytest.fixture
def live(owner: User, fake: FakeIbkr) -> Connection:
    fake.account = LIVE
    limits = {"order_notional": "5000", "daily_notional": "20000"}
    return linked(at_the_browser(owner, Passkey(owner)), IBKR, fake, environment="live", **limits)


def prepared(trader: Principal) -> preparing.Prepared:
    terms = Terms(
        symbol=IBKR.symbol,
        side=Side.BUY,
        quantity=Decimal(2),
        order_type=OrderType.LIMIT,
        limit_price=Decimal(190),
    )
    return preparing.prepare(trader, terms)


def asked(connection: Connection) -> Question:
    """An order was released, and the broker asks."""
    if connection.is_live:
        waits = prepared(_trader(connection)).confirmation
        evidence = Evidence(proof=Proof.PASSKEY, label="passkey Laptop")
        approvals.approve(waits, by=connection.owner, evidence=evidence, seen=waits.terms_digest)
    else:
        trader = _trader(connection)
        order = order_actions.confirm(trader, prepared(trader).confirmation.public_id)
        assert order.state is Status.ASKED
    return Question.objects.get()


def page(found: Question, verb: str = "") -> str:
    return f"/orders/approvals/questions/{found.public_id}/" + (f"{verb}/" if verb else "")


def yes(browser: Browser, found: Question, **more: Any) -> Any:
    return browser.post(page(found, "yes"), {"seen": found.digest, "proof-password": PASSWORD, **more}, follow=True)


def order_of(found: Question) -> Order:
    return Order.objects.get(pk=found.order_id)


# -- who hears of it -----------------------------------------------------------------------------------------


def test_it_reaches_the_owner_on_every_page_and_the_model_as_something_only_the_owner_can_answer(
    connection: Connection, browser: Browser, fake: FakeIbkr
) -> None:
    before = PendingBadge.of(connection.owner).mark
    found = asked(connection)
    assert fake.replies == []
    for address in ("/orders/approvals/", f"/orders/{found.order.public_id}/", page(found)):
        words = words_of(browser.get(address))
        assert "Question from Interactive Brokers" in words
        assert "exceeds the Total Value Limit of 100,000 USD." in words
        assert "<q>The following order" in text_of(browser.get(address))
    waiting = PendingBadge.of(connection.owner)
    assert (waiting.count, waiting.is_live, waiting.mark == before) == (1, False, False)
    order = order_of(found)
    assert (order.code, "124,995.00 USD" in order.reason) == (Code.BROKER_ASKS, True)
    assert "Only the owner can answer, in the console." in order.events.last().what  # type: ignore[union-attr]


def test_a_letter_tells_the_owner_once_and_shows_nothing_of_what_the_broker_wrote(
    connection: Connection, owner: User, fake: FakeIbkr
) -> None:
    asked(connection)
    assert [notifications.notify(), notifications.notify()] == [1, 0]
    [letter] = delivered()
    assert letter.to == [owner.email]
    assert letter.subject.startswith("Answer the broker: Buy 2 AAPL") and letter.subject.endswith("(Paper, Trader)")
    assert not any(words in letter.body for words in Question.objects.get().words)
    notifications.set_enabled(connection, on=False, by=owner)
    Question.objects.update(told_at=None)
    assert notifications.notify() == 0


def test_while_it_waits_the_order_counts_against_the_limits(connection: Connection, fake: FakeIbkr) -> None:
    asked(connection)
    assert daily_usage.connection_usage(connection, timezone.now()).today == Decimal(380)


# -- yes -------------------------------------------------------------------------------------------------------


def test_on_paper_the_owners_yes_with_the_password_is_sent_once_and_places_the_order(
    connection: Connection, browser: Browser, fake: FakeIbkr
) -> None:
    found = asked(connection)
    assert "You answered yes. Order: working." in words_of(yes(browser, found))
    order = order_of(found)
    assert (order.state, order.code, order.reason) == (Status.WORKING, "", "")
    assert fake.replies == [(found.token, True)]
    assert [each["order_ref"] for each in fake.live.values()] == [order.wire_id]
    change = Change.objects.get(action=broker_questions.ANSWERED)
    assert (change.user_label, change.detail["answer"], change.detail["how"]) == (
        connection.owner.email,
        "yes",
        "the password",
    )
    yes(browser, found)
    browser.post(page(found, "no"))
    assert len(fake.replies) == 1
    assert order_of(found).state is Status.WORKING


@pytest.mark.parametrize(
    "fields", [{"proof-password": ""}, {"proof-password": "wrong"}, {"proof-password": "", "proof-credential": "{}"}]
)
def test_without_a_proof_nothing_is_answered(
    connection: Connection, browser: Browser, fake: FakeIbkr, fields: dict[str, str]
) -> None:
    found = asked(connection)
    yes(browser, found, **fields)
    assert (fake.replies, order_of(found).state) == ([], Status.ASKED)


def test_on_live_a_yes_takes_a_passkey_for_this_very_question(
    live: Connection, owner: User, browser: Browser, fake: FakeIbkr
) -> None:
    passkey, found = Passkey(owner), asked(live)
    assert 'type="password"' not in text_of(browser.get(page(found)))
    assert "Confirm with passkey" in words_of(yes(browser, found))
    other = prepared(_trader(live)).confirmation
    for_another = challenge(browser, f"/orders/approvals/{other.public_id}/release/", {"seen": found.digest})
    fields = {"seen": found.digest, "proof-credential": passkey.answer(for_another)}
    browser.post(page(found, "yes"), fields)
    assert (fake.replies, order_of(found).state) == ([], Status.ASKED)
    mine = challenge(browser, page(found, "yes"), {"seen": found.digest})
    browser.post(page(found, "yes"), {"seen": found.digest, "proof-credential": passkey.answer(mine)})
    assert (fake.replies, order_of(found).state) == ([(found.token, True)], Status.WORKING)


def test_a_further_question_is_shown_and_answered_by_itself(
    connection: Connection, browser: Browser, fake: FakeIbkr
) -> None:
    fake.questions = [QUESTION, SECOND]
    first = asked(connection)
    words = words_of(yes(browser, first))
    assert "The broker asks another question." in words
    assert SECOND in words
    second = Question.objects.exclude(pk=first.pk).get()
    assert order_of(second).state is Status.ASKED
    yes(browser, first)
    assert len(fake.replies) == 1
    yes(browser, second)
    assert order_of(second).state is Status.WORKING
    assert fake.replies == [(first.token, True), (second.token, True)]


def test_what_the_page_did_not_show_is_not_answered(connection: Connection, browser: Browser, fake: FakeIbkr) -> None:
    found = asked(connection)
    assert "has changed since the page was shown" in words_of(yes(browser, found, seen="0" * 64))
    assert (fake.replies, order_of(found).state) == ([], Status.ASKED)


# -- no, and nothing -------------------------------------------------------------------------------------------


def test_a_no_ends_the_order_and_the_broker_is_told_once(
    connection: Connection, browser: Browser, fake: FakeIbkr
) -> None:
    found = asked(connection)
    assert "You answered no. Nothing was placed" in words_of(browser.post(page(found, "no"), follow=True))
    order = order_of(found)
    assert (order.state, order.code) == (Status.REJECTED_BY_OWNER, Code.REJECTED_BY_OWNER)
    assert (fake.replies, fake.live) == ([(found.token, False)], {})
    yes(browser, found)
    assert len(fake.replies) == 1


def test_a_no_that_does_not_arrive_ends_the_order_all_the_same(
    connection: Connection, browser: Browser, fake: FakeIbkr
) -> None:
    found = asked(connection)
    fake.faults.set(Fault(kind="reset", effect=False, path=f"{BASE}/iserver/reply/"))
    browser.post(page(found, "no"))
    assert order_of(found).state is Status.REJECTED_BY_OWNER
    assert fake.live == {}


def test_without_an_answer_in_time_the_order_ends_and_the_broker_is_told_nothing(
    connection: Connection, browser: Browser, fake: FakeIbkr, clock: Clock
) -> None:
    found = asked(connection)
    reconcile.sweep(clock.advance(seconds=119))
    assert order_of(found).state is Status.ASKED
    reconcile.sweep(clock.advance(seconds=2))
    order = order_of(found)
    assert (order.state, order.code) == (Status.UNANSWERED, Code.QUESTION_UNANSWERED)
    assert "Nobody answered the broker's question within 120 s" in order.reason
    words = unescape(words_of(browser.get(f"/orders/{order.public_id}/")))
    assert "Broker's question not answered" in words and "Rejected" not in words
    assert "Nobody answered the broker's question in time. Nobody answered" in words, "the title, then the reason"
    yes(browser, found)
    browser.post(page(found, "no"))
    assert (fake.replies, fake.live, order_of(found).state) == ([], {}, Status.UNANSWERED)


def test_a_late_yes_is_refused_before_the_sweep_has_come_by(
    connection: Connection, owner: User, fake: FakeIbkr, clock: Clock
) -> None:
    found = asked(connection)
    clock.advance(seconds=121)
    evidence = Evidence(proof=Proof.PASSWORD, label="the password")
    with pytest.raises(Refusal) as caught:
        broker_questions.accept(found, by=owner, evidence=evidence, seen=found.digest)
    assert caught.value.code is Code.CONFIRMATION_EXPIRED
    assert (fake.replies, order_of(found).state) == ([], Status.ASKED)


def test_an_app_may_take_its_order_back_but_that_answers_nothing(
    connection: Connection, browser: Browser, fake: FakeIbkr
) -> None:
    found = asked(connection)
    order_actions.cancel(_maker(found.order), found.order.public_id)
    assert order_of(found).state is Status.CANCELLED
    yes(browser, found)
    assert (fake.replies, fake.live, order_of(found).state) == ([], {}, Status.CANCELLED)


def test_an_unlinked_connections_question_ends_too(
    connection: Connection, owner: User, fake: FakeIbkr, clock: Clock
) -> None:
    found = asked(connection)
    connection_lifecycle.unlink(connection, by=owner)
    reconcile.sweep(clock.advance(seconds=121))
    assert (order_of(found).state, fake.replies) == (Status.UNANSWERED, [])


# -- who may not -----------------------------------------------------------------------------------------------


def test_somebody_else_sees_and_answers_nothing(connection: Connection, other: User, fake: FakeIbkr) -> None:
    found, stranger = asked(connection), at_the_browser(other)
    for answer in (
        stranger.get(page(found)),
        stranger.get(page(found, "yes"), {"options": ""}),
        yes(stranger, found),
        stranger.post(page(found, "no")),
    ):
        assert answer.status_code == 404
    evidence = Evidence(proof=Proof.PASSKEY, label="passkey")
    with pytest.raises(Refusal) as caught:
        broker_questions.accept(found, by=other, evidence=evidence, seen=found.digest)
    assert caught.value.code is Code.NOT_PERMITTED
    with pytest.raises(Refusal) as caught:
        broker_questions.decline(found, by=other)
    assert caught.value.code is Code.NOT_PERMITTED
    assert "Interactive Brokers" not in words_of(stranger.get("/orders/approvals/"))
    assert (fake.replies, order_of(found).state) == ([], Status.ASKED)


@pytest.mark.parametrize("scopes", [{Scope.READ}, {Scope.TRADE}, {Scope.MANAGE}], ids=["read", "trade", "manage"])
def test_no_token_answers(connection: Connection, owner: User, fake: FakeIbkr, scopes: set[Scope]) -> None:
    found = asked(connection)
    if Scope.MANAGE in scopes:
        _, raw = management_keys.mint(owner, name="Robot", expires_at=None)
    else:
        _, raw = minting.mint(owner, connection, frozenset(scopes), name="Robot")
    robot = Browser(HTTP_AUTHORIZATION=f"Bearer {raw}")
    for verb in ("yes", "no"):
        answer = robot.post(page(found, verb), {"seen": found.digest, "proof-password": PASSWORD})
        assert answer["Location"].startswith("/sign-in/")
        for under in ("orders", "questions"):
            at = f"/api/v1/{under}/{found.public_id if under == 'questions' else found.order.public_id}/{verb}"
            assert robot.post(at, {"seen": found.digest}, content_type="application/json").status_code == 404
    assert (fake.replies, order_of(found).state) == ([], Status.ASKED)


def _halt(connection: Connection) -> None:
    halts.halt_connection(connection, by=connection.owner)


def _revoke(connection: Connection) -> None:
    grants.revoke(Order.objects.get().app, by=connection.owner, reason="Enough")


def _no_trading(connection: Connection) -> None:
    connections.disable_trading(connection, by=connection.owner)


@pytest.mark.parametrize("meanwhile", [_halt, _revoke, _no_trading])
def test_a_yes_is_refused_where_the_order_could_not_be_released_any_more(
    connection: Connection, browser: Browser, fake: FakeIbkr, meanwhile: Callable[[Connection], None]
) -> None:
    found = asked(connection)
    meanwhile(connection)
    yes(browser, found)
    assert (fake.replies, order_of(found).state) == ([], Status.ASKED)
    browser.post(page(found, "no"))
    assert order_of(found).state is Status.REJECTED_BY_OWNER


def _nobody_buys_so_much(connection: Connection, fake: AsksAboutChanges) -> None:
    connections.set_limits(connection, Limits(order_notional=Decimal(100)), by=connection.owner)


def _not_this_share(connection: Connection, fake: AsksAboutChanges) -> None:
    connections.set_limits(connection, Limits(denied_symbols=frozenset({"AAPL"})), by=connection.owner)


def _dearer(connection: Connection, fake: AsksAboutChanges) -> None:
    fake.ask = "230.00"


def _sold_elsewhere(connection: Connection, fake: AsksAboutChanges) -> None:
    fake.held = 40.0


def _turned_elsewhere(connection: Connection, fake: AsksAboutChanges) -> None:
    fake.held = -100.0


def _bought(trader: Principal) -> preparing.Prepared:
    terms = Terms(symbol=IBKR.symbol, side=Side.BUY, quantity=Decimal(2), order_type=OrderType.MARKET)
    return preparing.prepare(trader, terms)


def _closed(trader: Principal) -> preparing.Prepared:
    return preparing.prepare_close(trader, IBKR.symbol)


@pytest.mark.parametrize(
    ("shown", "meanwhile", "code"),
    [
        (prepared, _nobody_buys_so_much, Code.LIMIT_EXCEEDED),
        (prepared, _not_this_share, Code.OUTSIDE_LIMITS),
        (_bought, _dearer, Code.PRICE_MOVED),
        (_closed, _sold_elsewhere, Code.POSITION_CHANGED),
        (_closed, _turned_elsewhere, Code.POSITION_CHANGED),
    ],
)
def test_a_late_yes_to_what_would_not_be_released_any_more_ends_the_order_and_says_why(
    connection: Connection,
    browser: Browser,
    fake: AsksAboutChanges,
    shown: Callable[[Principal], preparing.Prepared],
    meanwhile: Callable[[Connection, AsksAboutChanges], None],
    code: Code,
) -> None:
    trader = _trader(connection)
    order_actions.confirm(trader, shown(trader).confirmation.public_id)
    found = Question.objects.get()
    meanwhile(connection, fake)
    words = words_of(yes(browser, found))
    order = order_of(found)
    assert (order.state, order.code) == (Status.DENIED, code)
    assert order.reason in words
    assert "The owner answered yes" in order.events.last().what  # type: ignore[union-attr]
    assert (fake.replies, fake.live) == ([(found.token, False)], {})
    told = Change.objects.get(action=broker_questions.ANSWERED).detail
    assert (told["answer"], told["refused"]) == ("yes", code.value)
    yes(browser, found)
    assert len(fake.replies) == 1


@pytest.mark.parametrize("shown", [prepared, _bought, _closed])
def test_a_yes_to_what_still_stands_as_it_was_released_places_it(
    connection: Connection,
    browser: Browser,
    fake: AsksAboutChanges,
    shown: Callable[[Principal], preparing.Prepared],
) -> None:
    trader = _trader(connection)
    order_actions.confirm(trader, shown(trader).confirmation.public_id)
    found = Question.objects.get()
    # What waits for the answer is not counted against itself.
    connections.set_limits(connection, Limits(daily_notional=Decimal(30_000), orders_per_minute=1), by=connection.owner)
    yes(browser, found)
    assert (order_of(found).state, fake.replies) == (Status.WORKING, [(found.token, True)])


def test_a_late_yes_is_held_to_a_limit_that_was_tightened_while_the_broker_was_asked(
    connection: Connection, owner: User, browser: Browser, fake: AsksAboutChanges, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = asked(connection)
    lock = check_rows.locked

    def overtaken(app_id: int) -> check_rows.AppRows:
        # A tighter limit gets in between what the broker said and the locks.
        connections.set_limits(connection, Limits(daily_notional=Decimal(300)), by=owner)
        return lock(app_id)

    monkeypatch.setattr(check_rows, "locked", overtaken)
    yes(browser, found)
    assert (order_of(found).state, order_of(found).code) == (Status.DENIED, Code.LIMIT_EXCEEDED)
    assert fake.replies == [(found.token, False)]


def test_while_the_broker_cannot_be_asked_a_yes_answers_nothing_and_the_question_waits(
    connection: Connection, browser: Browser, fake: AsksAboutChanges
) -> None:
    found = asked(connection)
    path = f"{BASE}/iserver/marketdata/snapshot"
    fake.faults.set(*[Fault(kind="reset", effect=False, method="GET", path=path)] * 9)
    assert "the question is still open" in words_of(yes(browser, found))
    assert (fake.replies, order_of(found).state) == ([], Status.ASKED)
    fake.faults.set()
    yes(browser, found)
    assert order_of(found).state is Status.WORKING


# -- sent once, whatever breaks --------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", SENDING, ids=lambda fault: f"{fault.kind}-{'done' if fault.effect else 'not done'}")
def test_the_yes_is_posted_once_and_its_outcome_is_never_guessed(
    connection: Connection, browser: Browser, fake: FakeIbkr, clock: Clock, fault: Fault
) -> None:
    found = asked(connection)
    fake.faults.set(Fault(kind=fault.kind, effect=fault.effect, path=f"{BASE}/iserver/reply/"))
    yes(browser, found)
    posted = [path for method, path in fake.received if method == "POST" and "/iserver/reply/" in path]
    assert len(posted) == 1
    state, stands = order_of(found).state, bool(fake.live)
    assert state is Status.UNKNOWN or stands is (state is Status.WORKING), (state, stands)
    for _ in range(3):
        reconcile.sweep(clock.advance(seconds=301))
    assert order_of(found).state is (Status.WORKING if stands else Status.NOT_FOUND), fault
    yes(browser, found)
    assert len([path for method, path in fake.received if method == "POST" and "/iserver/reply/" in path]) == 1
    assert len(fake.sent) == 1


def test_a_yes_whose_process_died_before_it_was_sent_is_looked_up_and_never_sent(
    connection: Connection, owner: User, fake: FakeIbkr, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = asked(connection)

    def dies(question: Question) -> Order:
        raise KeyboardInterrupt

    monkeypatch.setattr(submit, "answer_yes", dies)
    evidence = Evidence(proof=Proof.PASSWORD, label="the password")
    with pytest.raises(KeyboardInterrupt):
        broker_questions.accept(found, by=owner, evidence=evidence, seen=found.digest)
    assert order_of(found).state is Status.SENDING
    reconcile.sweep(clock.advance(seconds=31))
    assert order_of(found).state is Status.UNKNOWN
    for _ in range(3):
        reconcile.sweep(clock.advance(seconds=301))
    assert (order_of(found).state, fake.replies) == (Status.NOT_FOUND, [])


def _says_yes(found: Question) -> None:
    evidence = Evidence(proof=Proof.PASSWORD, label="the password")
    broker_questions.accept(found, by=found.order.connection.owner, evidence=evidence, seen=found.digest)


def _says_no(found: Question) -> None:
    broker_questions.decline(found, by=found.order.connection.owner)


def _cancels(found: Question) -> None:
    order_actions.cancel(_maker(found.order), found.order.public_id)


@pytest.mark.parametrize(
    ("first", "answers", "stands"), [(_says_yes, [True], 1), (_says_no, [False], 0), (_cancels, [], 0)]
)
@pytest.mark.parametrize("second", [_says_yes, _says_no])
def test_of_two_answers_at_once_the_later_one_changes_nothing(
    connection: Connection,
    fake: FakeIbkr,
    monkeypatch: pytest.MonkeyPatch,
    first: Callable[[Question], None],
    second: Callable[[Question], None],
    answers: list[bool],
    stands: int,
) -> None:
    found = asked(connection)

    def overtaken(*values: object) -> None:
        monkeypatch.undo()
        first(Question.objects.get())

    # The other gets in between this one's reading of the rows and its own move.
    monkeypatch.setattr(broker_questions, "_check_owner", overtaken)
    with pytest.raises(Refusal) as caught:
        second(found)
    assert caught.value.code is (Code.CONFIRMATION_USED if answers else Code.CONFIRMATION_EXPIRED)
    assert [yes for _, yes in fake.replies] == answers
    assert len(fake.live) == stands


def test_a_question_that_the_broker_forgot_ends_the_order(
    connection: Connection, browser: Browser, fake: FakeIbkr
) -> None:
    found = asked(connection)
    fake.pending.clear()
    yes(browser, found)
    assert (order_of(found).state, len(fake.replies), fake.live) == (Status.REJECTED, 1, {})


# -- about a change --------------------------------------------------------------------------------------------


def asked_about_a_change(connection: Connection, fake: FakeIbkr, filled: str = "") -> Question:
    """An order rests, a change of it was released, and the broker asks."""
    fake.questions = []
    trader = _trader(connection)
    order = order_actions.confirm(trader, prepared(trader).confirmation.public_id)
    if filled:
        fake.fill(order.wire_id, Decimal(filled), Decimal(190))
    change = preparing.prepare_change(trader, order.public_id, OrderChanges(limit_price=Decimal(185)))
    fake.questions = [QUESTION]
    order_actions.confirm(trader, change.confirmation.public_id)
    return Question.objects.get()


def change_of(found: Question) -> Modification:
    return Modification.objects.get(questions=found)


def price_at(fake: FakeIbkr) -> Decimal:
    [order] = fake.live.values()
    return Decimal(order["price"])


@pytest.mark.parametrize("filled", ["", "1"], ids=["working", "partly filled"])
def test_a_question_about_a_change_is_answered_alike(
    connection: Connection, browser: Browser, fake: FakeIbkr, filled: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = asked_about_a_change(connection, fake, filled)
    stood = Status.PARTIALLY_FILLED if filled else Status.WORKING
    assert (change_of(found).state, order_of(found).state, price_at(fake)) == (Step.ASKED, stood, Decimal(190))
    for address in ("/orders/approvals/", f"/orders/{found.order.public_id}/", page(found)):
        assert "exceeds the Total Value Limit" in words_of(browser.get(address))
    assert "Until then, the order is unchanged." in words_of(browser.get(page(found)))
    assert "You answered yes. Change: changed." in words_of(yes(browser, found))
    order = order_of(found)
    assert (change_of(found).state, order.state, order.limit_price) == (Step.DONE, stood, Decimal(185))
    assert (fake.replies, price_at(fake)) == ([(found.token, True)], Decimal(185))
    assert "at its broker" not in caplog.text
    yes(browser, found)
    assert len(fake.replies) == 1


def test_a_no_to_a_change_leaves_the_order_as_it_is(connection: Connection, browser: Browser, fake: FakeIbkr) -> None:
    found = asked_about_a_change(connection, fake)
    browser.post(page(found, "no"))
    assert (change_of(found).state, order_of(found).state) == (Step.REJECTED_BY_OWNER, Status.WORKING)
    assert (fake.replies, price_at(fake)) == ([(found.token, False)], Decimal(190))


def test_a_change_nobody_answers_for_ends_and_another_may_follow(
    connection: Connection, browser: Browser, fake: FakeIbkr, clock: Clock
) -> None:
    found = asked_about_a_change(connection, fake)
    reconcile.sweep(clock.advance(seconds=121))
    assert (change_of(found).state, order_of(found).state) == (Step.UNANSWERED, Status.WORKING)
    yes(browser, found)
    assert (fake.replies, price_at(fake)) == ([], Decimal(190))
    trader = _maker(found.order)
    change = preparing.prepare_change(trader, found.order.public_id, OrderChanges(limit_price=Decimal(184)))
    order_actions.confirm(trader, change.confirmation.public_id)
    second = Question.objects.get(modification=change)
    yes(browser, second)
    assert (fake.replies, price_at(fake)) == ([(second.token, True)], Decimal(184))


def test_a_late_yes_to_a_change_that_would_not_be_released_any_more_leaves_the_order_as_it_is(
    connection: Connection, browser: Browser, fake: AsksAboutChanges
) -> None:
    found = asked_about_a_change(connection, fake)
    _nobody_buys_so_much(connection, fake)
    words = words_of(yes(browser, found))
    change = change_of(found)
    assert (change.state, change.code, change.reason in words) == (Step.DENIED, Code.LIMIT_EXCEEDED, True)
    assert (order_of(found).state, price_at(fake)) == (Status.WORKING, Decimal(190))
    assert fake.replies == [(found.token, False)]


def test_a_late_yes_to_a_change_is_held_to_a_limit_that_was_tightened_while_it_was_weighed(
    connection: Connection, browser: Browser, fake: AsksAboutChanges, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = asked_about_a_change(connection, fake)
    weigh = amendments.validate

    def overtaken(*values: Any, **named: Any) -> Facts:
        weighed = weigh(*values, **named)
        _not_this_share(connection, fake)
        return weighed

    monkeypatch.setattr(amendments, "validate", overtaken)
    yes(browser, found)
    assert (change_of(found).state, change_of(found).code) == (Step.DENIED, Code.OUTSIDE_LIMITS)
    assert (order_of(found).state, fake.replies) == (Status.WORKING, [(found.token, False)])


def test_a_yes_to_a_change_of_an_order_that_ends_while_it_is_weighed_is_not_sent(
    connection: Connection, browser: Browser, fake: AsksAboutChanges, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = asked_about_a_change(connection, fake)
    weigh = amendments.validate

    def overtaken(*values: Any, **named: Any) -> Facts:
        weighed = weigh(*values, **named)
        order_actions.cancel(_maker(found.order), found.order.public_id)
        return weighed

    monkeypatch.setattr(amendments, "validate", overtaken)
    assert "It is too late to answer" in words_of(yes(browser, found))
    assert fake.replies == []


def test_a_yes_to_a_change_is_refused_once_the_app_that_asked_for_it_is_revoked(
    connection: Connection, browser: Browser, fake: AsksAboutChanges
) -> None:
    found = asked_about_a_change(connection, fake)
    grants.revoke(change_of(found).confirmation.app, by=connection.owner, reason="Enough")
    yes(browser, found)
    assert (fake.replies, change_of(found).state, price_at(fake)) == ([], Step.ASKED, Decimal(190))


def test_a_yes_to_a_change_of_an_order_that_has_ended_is_not_sent(
    connection: Connection, browser: Browser, fake: FakeIbkr
) -> None:
    found = asked_about_a_change(connection, fake)
    order_actions.cancel(_maker(found.order), found.order.public_id)
    assert "It is too late to answer" in words_of(yes(browser, found))
    assert fake.replies == []


@pytest.mark.parametrize("fault", SENDING, ids=lambda fault: f"{fault.kind}-{'done' if fault.effect else 'not done'}")
def test_the_yes_to_a_change_is_posted_once_and_looked_up(
    connection: Connection, browser: Browser, fake: FakeIbkr, clock: Clock, fault: Fault
) -> None:
    found = asked_about_a_change(connection, fake)
    fake.faults.set(Fault(kind=fault.kind, effect=fault.effect, path=f"{BASE}/iserver/reply/"))
    yes(browser, found)
    for _ in range(3):
        reconcile.sweep(clock.advance(seconds=301))
    yes(browser, found)
    assert len([path for method, path in fake.received if method == "POST" and "/iserver/reply/" in path]) == 1
    changed = price_at(fake) == 185
    assert change_of(found).state is (Step.DONE if changed else Step.NOT_DONE)
    assert order_of(found).limit_price == price_at(fake)
