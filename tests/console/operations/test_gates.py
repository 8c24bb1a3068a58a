"""A gate of the schedule says no only where its sweep would find nothing: each state that a sweep acts on, tried."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string

from brokers.paper import accounts as paper_accounts
from brokers.paper import engine, ledger, simulated_corporate_actions
from brokers.paper.listings import market_of
from brokers.paper.models import LivePair, MatchedTape, PaperAccount, PaperOrder
from brokers.types import BrokerStatus, OrderChanges
from console.accounts.models import User
from console.alerts import evaluation, intake
from console.alerts import services as alerts
from console.authority import bearer
from console.celery import app as celery
from console.connections.models import Connection
from console.notifications.models import ChannelKind, NotificationChannel, PendingChat
from console.operations.scheduler import Scheduler
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.execution import cancel as cancelling
from console.orders.execution import listed, reconcile, sync
from console.orders.models import Confirmation, Modification, Order, Question
from console.orders.owner import notifications
from console.orders.states import AmendmentStatus, Status
from console.orders.transitions import amendment_state
from console.outbox import mailer
from console.outbox.models import OutgoingMail
from console.principal import Principal
from console.signals.models import SignalAddress
from tests import clock as clocks
from tests import watched_broker
from tests.console.orders.conftest import bitcoin
from tests.console.signals import steps as signal_steps

pytestmark = pytest.mark.django_db

LONG_AGO = timedelta(hours=1)


@pytest.fixture
def trader(trade_key: str) -> Principal:
    return bearer.authenticate(trade_key)


@pytest.fixture
def resting(trader: Principal) -> Order:
    return order_actions.confirm(trader, preparing.prepare(trader, bitcoin(limit="1000")).confirmation.public_id)


@pytest.fixture
def acts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the sweep of orders would have done, by the name of the step: it does none of it."""
    done: list[str] = []

    def note(owner: Any, name: str, answer: Any = None) -> None:
        def noted(*args: Any, **kwargs: Any) -> Any:
            done.append(name)
            return answer

        monkeypatch.setattr(owner, name, noted)

    for step in ("_lapse", "_resume", "_mark_lost", "_unanswered"):
        note(reconcile, step)
    for step in ("try_move", "deny", "record_outcome"):
        note(amendment_state, step)
    note(sync, "refresh")
    note(cancelling, "cancel_at_broker")
    note(listed, "not_as_listed", [])
    return done


def _each_state(order: Order) -> Iterator[str]:
    """Every state in which the order can be, and every state of a change of it while the order rests or has ended."""
    ago = timezone.now() - LONG_AGO
    Confirmation.objects.update(expires_at=ago)
    for cancel_requested_at in (None, ago):
        for status in Status:
            _set(order, status, cancel_requested_at)
            yield f"{status}, cancel requested: {cancel_requested_at is not None}"
    for amended in AmendmentStatus:
        for status in (Status.WORKING, Status.CANCELLED):
            _set(order, status, None)
            Modification.objects.update(status=amended, moved_at=ago)
            yield f"{status} with a change that is {amended}"


def _set(order: Order, status: Status, cancel_requested_at: datetime | None) -> None:
    ago = timezone.now() - LONG_AGO
    mine = Order.objects.filter(pk=order.pk)
    mine.update(status=status, moved_at=ago, looked_up_at=ago, cancel_requested_at=cancel_requested_at)


@pytest.fixture
def change(trader: Principal, resting: Order) -> Modification:
    preparing.prepare_change(trader, resting.public_id, OrderChanges(limit_price=Decimal(900)))
    return Modification.objects.get()


@pytest.mark.parametrize("tells", [True, False])
def test_orders_are_swept_in_every_state_that_their_sweep_acts_on(
    resting: Order, change: Modification, acts: list[str], tells: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not tells:
        watched_broker.without_telling(monkeypatch)
    acted = {}
    for state in _each_state(resting):
        acts.clear()
        says = reconcile.has_work()
        reconcile.sweep()
        acted[state] = list(acts)
        assert says is True or not acts, (state, acts)
    steps = {step for each in acted.values() for step in each}
    assert {"_lapse", "_resume", "_mark_lost", "_unanswered", "refresh", "cancel_at_broker", "try_move"} <= steps
    assert ("not_as_listed" in steps) is not tells


def test_a_change_that_paper_tells_is_swept(resting: Order, acts: list[str]) -> None:
    Confirmation.objects.update(expires_at=timezone.now() - LONG_AGO)
    assert reconcile.has_work() is False
    row = PaperOrder.objects.get(client_order_id=resting.wire_id)
    ledger.end(row, BrokerStatus.CANCELLED, at=timezone.now())
    assert reconcile.has_work() is True
    reconcile.sweep()
    assert acts == ["refresh"]


def test_letters_and_messages_are_sent_while_one_waits_due_or_not(owner: User) -> None:
    assert not import_string(settings.SCHEDULE_GATES["send-mail"])()
    letter = mailer.enqueue(owner, OutgoingMail.Kind.ORDERS, None)
    OutgoingMail.objects.update(next_at=timezone.now() + LONG_AGO)
    assert import_string(settings.SCHEDULE_GATES["send-mail"])() is True
    assert not import_string(settings.SCHEDULE_GATES["send-news"])()
    channel = NotificationChannel.objects.create(user=owner, kind=ChannelKind.NTFY, name="phone", sealed="", digest="1")
    OutgoingMail.objects.filter(pk=letter.pk).update(channel=channel)
    assert import_string(settings.SCHEDULE_GATES["send-news"])() is True
    assert not import_string(settings.SCHEDULE_GATES["send-mail"])()


def test_owners_are_told_while_something_waits_for_them_that_they_were_not_told_of(
    trader: Principal, resting: Order
) -> None:
    Confirmation.objects.all().update(told_at=timezone.now())
    assert notifications.has_work() is False
    preparing.prepare(trader, bitcoin())
    assert notifications.has_work() is True
    Confirmation.objects.all().update(told_at=timezone.now())
    Question.objects.create(
        public_id="qst_1",
        order=resting,
        words=["Sure?"],
        token="1",
        asked_at=timezone.now(),
        expires_at=timezone.now() + LONG_AGO,
    )
    assert notifications.has_work() is True


def test_chats_are_looked_for_while_somebody_has_a_code_even_one_that_ended(owner: User) -> None:
    gate = import_string(settings.SCHEDULE_GATES["link-chats"])
    assert gate() is False
    PendingChat.objects.create(user=owner, digest="1", expires_at=timezone.now() - LONG_AGO)
    assert gate() is True


def test_live_prices_are_followed_where_an_account_has_them(resting: Order) -> None:
    gate = import_string(settings.SCHEDULE_GATES["follow-live-prices"])
    assert gate() is False
    PaperAccount.objects.update(venue="kraken")
    assert gate() is True


def test_alerts_are_looked_at_while_one_is_active_and_when_the_next_look_is_due(
    paper: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, clock = import_string(settings.SCHEDULE_GATES["look-at-alerts"]), clocks.install(monkeypatch)
    assert gate() is False
    asked = {"kind": "price", "symbol": "BTC/USD", "condition": "below", "value": Decimal(1)}
    alert = intake.create(paper, asked, app=None).alert
    assert gate() is True
    evaluation.run()
    until = gate()
    assert until == clock() + evaluation.EVERY
    clock.advance(seconds=15)
    assert gate() is True
    alerts.cancel(alert, app=None)
    assert evaluation.run() == 0
    assert gate() is False


def test_signals_are_prepared_while_one_waits(paper: Connection) -> None:
    gate = import_string(settings.SCHEDULE_GATES["prepare-signals"])
    assert gate() is False
    signal_steps.refused(signal_steps.address(paper.owner, paper).address)
    assert gate() is False
    signal_steps.refused(SignalAddress.objects.get(), outcome="waiting", next_at=timezone.now() + LONG_AGO)
    assert gate() is True


class TestPaperOrders:
    def test_none_rests(self, db: None) -> None:
        assert paper_accounts.has_work() is False

    def test_the_next_bar_is_waited_for_and_then_there_is_work_until_it_was_matched(self, resting: Order) -> None:
        now = timezone.now()
        until = paper_accounts.has_work(now)
        assert isinstance(until, datetime)
        assert timedelta(0) < until - now <= timedelta(minutes=1)
        assert paper_accounts.has_work(until) is True
        paper_accounts.match_resting(until)
        assert paper_accounts.has_work(until) == until + timedelta(minutes=1)

    @pytest.mark.parametrize("what", ["expires_at", "arrives_at", "cancels_at"])
    def test_the_clock_alone_may_end_or_begin_an_order(self, resting: Order, what: str) -> None:
        now = timezone.now()
        soon = now + timedelta(seconds=3)
        PaperOrder.objects.update(**{what: soon})
        MatchedTape.objects.update(next_at=now + LONG_AGO)
        assert paper_accounts.has_work(now) == soon
        assert paper_accounts.has_work(soon) is True
        assert [row[0] for row in paper_accounts.due_by_time(soon)] == [PaperOrder.objects.get().pk]

    def test_a_bar_that_a_venue_sent_is_work_at_once(self, resting: Order) -> None:
        mark = MatchedTape.objects.get()
        MatchedTape.objects.update(venue="kraken", next_at=None)
        PaperOrder.objects.update(expires_at=None)
        pair = LivePair.objects.create(venue="kraken", symbol=mark.symbol, known_until=mark.seen)
        assert paper_accounts.has_work() is False
        LivePair.objects.filter(pk=pair.pk).update(known_until=mark.seen + timedelta(minutes=1))
        assert paper_accounts.has_work() is True

    def test_a_split_ends_what_rests_though_no_price_came_near(self, resting: Order) -> None:
        row, split = PaperOrder.objects.get(), _next_split()
        market = market_of(row.account)
        tape = market.tape(split.symbol)
        before = split.at - timedelta(minutes=30)
        PaperAccount.objects.update(created=before, acted_until=before)
        PaperOrder.objects.update(
            symbol=split.symbol,
            tape=tape.key,
            touch_below=0.01,
            matched_until=before,
            limit_price=Decimal("0.01"),
            expires_at=None,
        )
        MatchedTape.objects.update(tape=tape.key, symbol=split.symbol, seen=before, next_at=before)
        assert engine.was_split(row.account.seed, market, split.symbol, before, split.at)
        assert paper_accounts.match_resting(split.at + timedelta(minutes=1)) == 1
        assert PaperOrder.objects.get().status == BrokerStatus.CANCELLED


def _next_split() -> Any:
    account = PaperAccount.objects.get(pk=PaperOrder.objects.get().account_id)
    return next(each for each in simulated_corporate_actions.schedule(account.seed) if each.kind == "split")


def test_a_gate_that_gave_a_time_is_not_asked_before_it_and_is_asked_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = clocks.install(monkeypatch)
    asked: list[datetime] = []

    def gate() -> datetime:
        asked.append(timezone.now())
        return timezone.now() + timedelta(seconds=30)

    monkeypatch.setattr("console.operations.scheduler._data_version", lambda: 7)
    scheduler = Scheduler(app=celery)
    scheduler._gates["match-paper-orders"] = gate
    assert [scheduler._finds_nothing("match-paper-orders") for _ in "12"] == [True, True]
    assert len(asked) == 1
    clock.advance(seconds=31)
    assert scheduler._finds_nothing("match-paper-orders")
    assert len(asked) == 2
