"""A broker that hangs holds a bounded number of calls, of its own connection; cancels never wait behind reads."""

import dataclasses
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection

from brokers import registry
from brokers.errors import BrokerUnavailable, Busy
from console.connections import broker_access, bulkhead
from console.connections.bulkhead import CANCELS, READS, READS_OF_A_BROKER, WRITES, Budget
from console.connections.models import Connection
from console.errors import Code, Refusal
from tests.mcpserver.steps import PRINCIPAL
from tests.patience import at_most, lasting


class Hanging:
    """Answers when ``gate`` opens."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.under_way = threading.Semaphore(0)
        self.capabilities = "what it can"

    def _hang(self, *args: Any, **named: Any) -> str:
        self.under_way.release()
        assert self.gate.wait(at_most(20))
        return "answered"

    accounts = submit = replace = answer = cancel = _hang

    def wait_for(self, calls: int) -> None:
        for _ in range(calls):
            assert self.under_way.acquire(timeout=at_most(10))


@pytest.fixture
def callers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(64) as pool:
        yield pool


@pytest.fixture
def hanging(callers: ThreadPoolExecutor) -> Iterator[Hanging]:
    """Let go before its callers are waited for."""
    made = Hanging()
    yield made
    made.gate.set()


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulkhead, "_compartments", {})
    monkeypatch.setattr(bulkhead, "_of_brokers", {})


def guarded(broker: Any, key: int = 1, name: str = "okx") -> Any:
    return bulkhead.guarded(broker, key, name)


def test_a_read_over_the_bound_is_refused_at_once_and_says_when_to_come_back(
    hanging: Hanging, callers: ThreadPoolExecutor
) -> None:
    asked = [callers.submit(guarded(hanging).accounts) for _ in range(READS)]
    hanging.wait_for(READS)
    with pytest.raises(Busy, match="OKX has not answered earlier requests") as refused:
        guarded(hanging).accounts()
    assert refused.value.retry_after > 0
    hanging.gate.set()
    assert {each.result(at_most(10)) for each in asked} == {"answered"}
    assert guarded(hanging).accounts() == "answered"


def test_orders_and_cancels_have_slots_of_their_own(hanging: Hanging, callers: ThreadPoolExecutor) -> None:
    calls = [callers.submit(guarded(hanging).accounts) for _ in range(READS)]
    calls += [callers.submit(guarded(hanging).submit, "order") for _ in range(WRITES)]
    calls += [callers.submit(guarded(hanging).cancel, "order") for _ in range(CANCELS)]
    hanging.wait_for(READS + WRITES + CANCELS)
    hanging.gate.set()
    assert {each.result(at_most(10)) for each in calls} == {"answered"}


def test_a_write_that_never_gets_its_turn_was_not_sent(
    hanging: Hanging, callers: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulkhead, "_WRITE_PATIENCE", 0.05)
    for _ in range(WRITES):
        callers.submit(guarded(hanging).submit)
    hanging.wait_for(WRITES)
    with pytest.raises(Busy, match="Nothing was sent"):
        guarded(hanging).submit()


def test_another_connection_and_another_broker_go_on(hanging: Hanging, callers: ThreadPoolExecutor) -> None:
    ready = Hanging()
    ready.gate.set()
    for _ in range(READS):
        callers.submit(guarded(hanging).accounts)
    hanging.wait_for(READS)
    assert guarded(ready, key=2).accounts() == "answered"
    for _ in range(READS_OF_A_BROKER - READS):
        callers.submit(guarded(hanging, key=3).accounts)
    hanging.wait_for(READS_OF_A_BROKER - READS)
    with pytest.raises(Busy):
        guarded(ready, key=2).accounts()
    assert guarded(ready, key=2, name="kraken").accounts() == "answered"


def test_a_read_that_takes_too_long_is_given_up_and_keeps_its_slot_until_it_ends(
    hanging: Hanging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulkhead, "DEADLINE", 0.05)
    for _ in range(READS):
        with pytest.raises(BrokerUnavailable, match="did not answer within"):
            guarded(hanging).accounts()
    with pytest.raises(Busy):
        guarded(hanging).accounts()


@pytest.mark.parametrize("method", ["submit", "replace", "answer", "cancel"])
def test_who_sends_stays_to_learn_what_became_of_it(
    hanging: Hanging, callers: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(bulkhead, "DEADLINE", 0.05)
    sent = callers.submit(getattr(guarded(hanging), method))
    hanging.wait_for(1)
    with pytest.raises(TimeoutError):
        sent.result(lasting(0.2))
    hanging.gate.set()
    assert sent.result(at_most(10)) == "answered"


def test_what_the_broker_raises_comes_through_and_frees_its_slot() -> None:
    class Broken:
        def accounts(self) -> None:
            raise TimeoutError("its own")

    for _ in range(READS + 1):
        with pytest.raises(TimeoutError, match="its own"):
            guarded(Broken()).accounts()


def test_what_is_no_call_passes() -> None:
    assert guarded(Hanging()).capabilities == "what it can"


def test_reads_leave_a_share_of_the_budget_and_cancels_pass_without_any() -> None:
    now = [0.0]
    budget = Budget(60, clock=lambda: now[0])
    taken = 0
    while not (wait := budget.take(keep=0.25)):
        taken += 1
    assert taken == 7
    assert wait == pytest.approx(0.5)
    assert [budget.take() == 0 for _ in range(4)] == [True, True, True, False]
    assert budget.take(always=True) == 0
    now[0] += 10
    assert budget.take(keep=0.25) == 0


def test_a_caller_is_told_broker_unavailable_and_when_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def accounts(self) -> None:
            raise Busy("Too many.", 2.0)

    monkeypatch.setitem(registry._ADAPTERS, "okx", lambda settings: Full())
    principal = dataclasses.replace(PRINCIPAL, broker="okx")
    with pytest.raises(Refusal) as refused, broker_access.broker_for(principal) as broker:
        broker.accounts()
    assert (refused.value.code, refused.value.retry_after) == (Code.BROKER_UNAVAILABLE, 2.0)


@pytest.mark.django_db
def test_a_broker_in_this_process_has_no_bulkhead(paper: Connection) -> None:
    assert not isinstance(broker_access.broker_of(paper), bulkhead.Guarded)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("method", ["accounts", "submit", "cancel"])
def test_a_call_waits_for_its_broker_without_a_database_connection(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[bool] = []
    connection.ensure_connection()
    # As with a pool, to which a connection goes back when it is closed.
    monkeypatch.setattr(connection, "close_at", 0.0)
    monkeypatch.setattr(connection, "close", lambda: closed.append(True))
    closed_before: list[bool] = []

    class Looking:
        capabilities = "what it can"

        def look(self, *args: Any) -> None:
            closed_before.extend(closed)

        accounts = submit = cancel = look

    getattr(guarded(Looking()), method)()
    assert closed_before
