"""A conversion at Coinbase, from the tool to the venue and back: shown, confirmed, committed once, and looked up."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from brokers.coinbase.adapter import CoinbaseBroker
from console.accounts.models import User
from console.authority import call_quota
from console.connections.models import Connection, Policy
from console.errors import Refusal
from console.halts.services import Proof
from console.limits import Limits
from console.orders.execution import reconcile
from console.orders.models import Order
from console.orders.owner import approvals
from console.orders.owner.approvals import Evidence
from mcpserver import pipeline
from tests import clock as clocks
from tests.brokers.coinbase.fake import CoinbaseFake
from tests.brokers.faults import Fault
from tests.clock import Clock
from tests.console.connections.fakes import COINBASE
from tests.mcpserver.linked_brokers import call, link

pytestmark = pytest.mark.django_db(transaction=True)

_COMMIT = "/api/v3/brokerage/convert/trade/"
SELL = {"side": "SELL", "order_type": "MKT", "quantity": "250"}
SPEND = {"side": "BUY", "order_type": "MKT", "notional": "100"}


class Killed(BaseException):
    """The process dies here: nothing catches it."""


@pytest.fixture(autouse=True)
def _no_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "close_old_connections", lambda: None)
    monkeypatch.setattr(call_quota, "check", lambda *about, **more: None)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return clocks.install(monkeypatch)


@dataclass(frozen=True, slots=True)
class Desk:
    key: str
    fake: CoinbaseFake

    def prepare(self, **terms: Any) -> dict[str, Any]:
        return call(self.key, "place_order", symbol="USDC/USD", **terms)

    def confirm(self, shown: dict[str, Any]) -> dict[str, Any]:
        assert "confirmation_id" in shown, shown
        return call(self.key, "confirm_trade", confirmation_id=shown["confirmation_id"])

    @property
    def commits(self) -> int:
        return self.fake.sent.total()


@pytest.fixture
def desk(owner: User) -> Iterator[Desk]:
    with COINBASE.running() as fake:
        key = link(owner, COINBASE, fake, limits=Limits(order_notional=Decimal(1000), daily_notional=Decimal(2000)))
        Connection.objects.update(policy=Policy.TWO_STEP, confirmation_delay=0)
        yield Desk(key, fake)


def only_order() -> Order:
    return Order.objects.get()


def test_it_is_shown_with_rate_and_fee_confirmed_and_filled(desk: Desk) -> None:
    desk.fake.conversion_fee = "0.5"
    shown = desk.prepare(**SPEND)
    assert desk.commits == 0
    assert "100.00 USD" in shown["summary"] and "fee of 0.50 USD" in shown["summary"]
    done = desk.confirm(shown)
    assert "error" not in done, done
    order = only_order()
    assert (order.status, order.filled_quantity, order.average_price) == ("filled", Decimal("99.5"), Decimal(1))
    assert order.broker_order_id in desk.fake.conversions
    assert (desk.commits, desk.fake.balances["USDC"]) == (1, Decimal("5099.5"))


def test_it_goes_back_by_quantity_and_is_read_by_the_other_tools(desk: Desk) -> None:
    desk.confirm(desk.prepare(**SELL))
    assert desk.fake.balances["USDC"] == Decimal(4750)
    told = call(desk.key, "get_order_status", order_id=only_order().public_id)
    assert told["order"]["status"] == "filled"
    assert call(desk.key, "get_quote", symbols=["USDC/USD"])["quotes"][0]["last"] == "1"
    tried = call(desk.key, "preview_order", symbol="USDC/USD", **SPEND)
    assert any("one for one" in each for each in tried["warnings"])
    assert desk.commits == 1


def test_limits_hold_for_it_as_for_any_order(desk: Desk) -> None:
    refused = desk.prepare(**{**SELL, "quantity": "1001"})
    assert refused["error"]["code"] == "limit_exceeded", refused
    desk.confirm(desk.prepare(**{**SELL, "quantity": "900"}))
    desk.confirm(desk.prepare(**{**SELL, "quantity": "950"}))
    assert desk.prepare(**SELL)["error"]["code"] == "limit_exceeded"
    assert desk.commits == 2


def test_the_largest_conversion_is_what_there_is_of_either(desk: Desk) -> None:
    desk.fake.balances |= {"USDC": Decimal("70.5"), "USD": Decimal(33)}
    sold = call(desk.key, "get_max_order", symbol="USDC/USD", side="SELL", order_type="MKT")
    bought = call(desk.key, "get_max_order", symbol="USDC/USD", side="BUY", order_type="MKT")
    assert (sold.get("quantity"), bought.get("quantity")) == ("70.5", "33"), (sold, bought)
    assert desk.commits == 0


def test_an_order_that_would_wait_is_refused_by_name(desk: Desk) -> None:
    refused = desk.prepare(side="SELL", order_type="LMT", limit_price="1.01", quantity="250")
    assert refused["error"]["code"] == "not_offered_by_broker"
    assert "at once" in refused["error"]["message"]
    assert desk.fake.convert_bodies == []


def test_under_owner_approval_the_owner_alone_releases_it(desk: Desk, owner: User, other: User) -> None:
    Connection.objects.update(policy=Policy.OWNER_APPROVAL)
    shown = desk.prepare(**SELL)
    assert (shown["status"], "confirmation_id" in shown) == ("needs_approval", False)
    waiting = only_order().confirmation
    seen: dict[str, Any] = {"evidence": Evidence(proof=Proof.PASSKEY, label="passkey"), "seen": waiting.terms_digest}
    with pytest.raises(Refusal, match="owner"):
        approvals.approve(waiting, by=other, **seen)
    assert desk.commits == 0
    approvals.approve(waiting, by=owner, **seen)
    assert (only_order().status, desk.commits) == ("filled", 1)


def test_the_id_of_its_quote_is_kept_before_it_is_committed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = list[tuple[str, str]]()
    commit = CoinbaseBroker.commit

    def watched(self: CoinbaseBroker, account_id: str, request: Any, quote_id: str) -> Any:
        kept.append((only_order().broker_order_id, quote_id))
        return commit(self, account_id, request, quote_id)

    monkeypatch.setattr(CoinbaseBroker, "commit", watched)
    desk.confirm(desk.prepare(**SELL))
    ((row, quote_id),) = kept
    assert row == quote_id != ""


def killed(before: bool) -> Callable[..., Any]:
    commit = CoinbaseBroker.commit

    def dies(self: CoinbaseBroker, account_id: str, request: Any, quote_id: str) -> Any:
        if not before:
            commit(self, account_id, request, quote_id)
        raise Killed

    return dies


def swept(clock: Clock) -> str:
    """After the sender's lease has run out."""
    clock.advance(seconds=31)
    reconcile.sweep()
    return only_order().status


def test_killed_between_quote_and_commit_nothing_moved_and_it_is_found_so(
    desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as dying:
        dying.setattr(CoinbaseBroker, "commit", killed(before=True))
        with pytest.raises(Killed):
            desk.confirm(desk.prepare(**SELL))
    assert only_order().status == "sending"
    assert swept(clock) == "unknown"
    clock.advance(seconds=301)
    assert swept(clock) == "not_found"
    assert (desk.commits, desk.fake.balances["USDC"]) == (0, Decimal(5000))


def test_killed_before_its_quote_was_kept_nothing_moved(
    desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*about: Any) -> Any:
        raise Killed

    with monkeypatch.context() as dying:
        dying.setattr(CoinbaseBroker, "firm_quote", dies)
        with pytest.raises(Killed):
            desk.confirm(desk.prepare(**SELL))
    assert swept(clock) == "unknown"
    clock.advance(seconds=301)
    assert swept(clock) == "not_found"
    assert desk.commits == 0


def test_killed_between_commit_and_answer_it_is_found_by_its_quote(
    desk: Desk, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as dying:
        dying.setattr(CoinbaseBroker, "commit", killed(before=False))
        with pytest.raises(Killed):
            desk.confirm(desk.prepare(**SELL))
    assert swept(clock) == "filled"
    assert (desk.commits, only_order().filled_quantity) == (1, Decimal(250))


@pytest.mark.parametrize("effect", [True, False], ids=["taken", "not taken"])
def test_a_lost_answer_is_looked_up_and_never_sent_again(desk: Desk, clock: Clock, effect: bool) -> None:
    shown = desk.prepare(**SELL)
    desk.fake.faults.set(Fault(kind="cut", effect=effect, method="POST", path=_COMMIT))
    assert desk.confirm(shown)["order"]["status"] in ("unknown", "filled")
    clock.advance(seconds=400)
    reconcile.sweep()
    assert only_order().status == ("filled" if effect else "not_found")
    assert desk.commits == 1


def test_one_that_takes_a_while_is_followed_to_its_end_and_cannot_be_cancelled(desk: Desk, clock: Clock) -> None:
    desk.fake.conversion_takes = "TRADE_STATUS_STARTED"
    desk.confirm(desk.prepare(**SELL))
    order = only_order()
    assert order.status == "working"
    refused = call(desk.key, "cancel_order", order_id=order.public_id)
    assert refused["error"]["code"] == "not_cancellable", refused
    desk.fake.conversions[order.broker_order_id]["status"] = "TRADE_STATUS_CANCELED"
    reconcile.sweep()
    assert only_order().status == "rejected"


def test_a_sender_that_was_given_up_commits_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    quote = CoinbaseBroker.firm_quote

    def slow(self: CoinbaseBroker, account_id: str, request: Any) -> str:
        Order.objects.update(status="unknown")
        return quote(self, account_id, request)

    monkeypatch.setattr(CoinbaseBroker, "firm_quote", slow)
    desk.confirm(desk.prepare(**SELL))
    assert desk.commits == 0


def test_at_another_rate_than_one_for_one_it_is_refused_when_it_is_sent(desk: Desk) -> None:
    shown = desk.prepare(**SELL)
    desk.fake.conversion_rate = "0.97"
    assert "error" in desk.confirm(shown)
    assert desk.commits == 0
