"""Whatever happens to the answer, an order is posted once, and what may stand is never called refused."""

import socket
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

import pytest

from brokers.errors import BrokerError, DuplicateClientId, NotSent, NotSupported, UnknownOutcome, WriteOutcome
from brokers.types import OrderChanges, OrderClass
from tests.brokers.contract.cases import KEYED, WIRED, Case, Way, new_id
from tests.brokers.faults import Fault
from tests.patience import at_most, unhurried

EACH = [
    pytest.param(case, way, fault, id=f"{case.name}-{way}-{fault.kind}-{'taken' if fault.effect else 'not_taken'}")
    for case in WIRED
    for way in case.ways
    for fault in case.faults(way)
]
"""Every way to send that an adapter says it has, under everything that can go wrong with the answer."""
RUN_OUT = {"hang", "late", "drip"}
"""Where the client's own time ends the call: it is short there, and at TWS, where it ends every call that has no
answer."""


def _eventually(done: Callable[[], bool]) -> bool:
    """A late effect needs time to come."""
    until = time.monotonic() + at_most(2)
    while time.monotonic() < until:
        if done():
            return True
        time.sleep(0.02)
    return False


def _outcome(case: Case, fault: Fault) -> WriteOutcome | None:
    """None: no error at all."""
    if fault.kind == "slow":
        return None
    if fault.kind == "duplicate":
        return WriteOutcome.REJECTED
    return case.outcomes.get(fault.kind, WriteOutcome.UNKNOWN)


@pytest.mark.django_db
@pytest.mark.parametrize(("case", "way", "fault"), EACH)
def test_it_is_sent_once_and_its_outcome_is_what_the_table_says(case: Case, way: Way, fault: Fault) -> None:
    runs_out = fault.kind in RUN_OUT or case.name == "tws"
    with nullcontext() if runs_out else unhurried(), case.opened() as rig:
        attempt = case.attempt(rig, way)
        method, path = case.sends[way]
        before = len(rig.server.received)
        rig.server.faults.set(replace(fault, method=method, path=path))
        try:
            attempt.send()
        except BrokerError as error:
            assert error.outcome is _outcome(case, fault)
            assert (fault.kind == "duplicate") == isinstance(error, DuplicateClientId)
            assert not [part for part in (*rig.secrets, "127.0.0.1", "://", "Welcome") if part in str(error)]
        else:
            # A cancel may be proved by a look where its own answer was lost.
            assert _outcome(case, fault) is None or (way is Way.CANCEL and attempt.done())
        sent = [each for each in rig.server.received[before:] if each[0] == method and each[1].startswith(path)]
        assert len(sent) == 1
        assert not rig.server.faults.waiting
        if fault.effect:
            assert _eventually(attempt.done)
        else:
            assert not attempt.done()
        found = rig.look(attempt.order.client_order_id)
        if attempt.new_id:
            found = rig.look(attempt.new_id) or found
        assert attempt.told(found) is fault.effect


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("case", "kind"),
    [  # the one wire without a key is the one without headers
        pytest.param(case, kind, id=f"{case.name}-{kind}")
        for case in WIRED
        for kind in ("drip", "drizzle")
        if kind == "drip" or case in KEYED
    ],
)
def test_an_answer_that_never_ends_holds_a_call_no_longer_than_its_time(case: Case, kind: str) -> None:
    """A byte now and then, from the first one or after the headers, keeps a time-out of each read from ending it."""
    with case.opened() as rig:
        attempt = case.attempt(rig, Way.SUBMIT)
        method, path = case.sends[Way.SUBMIT]
        rig.server.faults.set(Fault(kind=kind, effect=True, seconds=at_most(6), method=method, path=path))
        began = time.monotonic()
        with pytest.raises(UnknownOutcome):
            attempt.send()
        assert time.monotonic() - began < at_most(3)
        assert rig.sent(attempt.order.client_order_id) == 1


@pytest.mark.parametrize("case", WIRED, ids=lambda case: case.name)
def test_the_table_names_every_way_an_adapter_says_it_has_and_no_other(case: Case) -> None:
    assert set(case.sends) == set(case.ways)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("case", "way"),
    [
        pytest.param(case, way, id=f"{case.name}-{way}")
        for case in WIRED
        for way in (Way.REPLACE, Way.BRACKET, Way.OCO, Way.OTO)
        if way not in case.ways
    ],
)
def test_a_way_that_is_not_offered_is_refused_and_nothing_is_sent(case: Case, way: Way) -> None:
    with case.opened() as rig:
        account = rig.account_id
        if way is Way.REPLACE:
            order = rig.order()
            rig.broker.submit(account, order)
        else:
            order = rig.with_exits(OrderClass(way.value))
        seen = len(rig.server.received)
        with pytest.raises(NotSupported):
            if way is Way.REPLACE:
                rig.broker.replace(account, order.client_order_id, OrderChanges(limit_price=rig.low_price), new_id())
            else:
                rig.broker.submit(account, order)
        assert [each for each in rig.server.received[seen:] if each in case.sends.values()] == []
        assert rig.sent(order.client_order_id) == (way is Way.REPLACE)


def test_an_order_to_a_port_where_nobody_listens_was_not_sent(wired: Case, db: None) -> None:
    with wired.opened() as rig:
        account, order = rig.account_id, rig.order()
        rig.server.stop()
        with pytest.raises(NotSent):
            rig.broker.submit(account, order)
        assert rig.sent(order.client_order_id) == 0


def test_an_order_to_an_address_that_does_not_answer_was_not_sent(wired: Case, db: None) -> None:
    """A listener whose queue is full: the connection itself times out."""
    with wired.opened() as rig, socket.socket() as deaf:
        account, order = rig.account_id, rig.order()
        port = rig.server.port
        rig.server.stop()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        deaf.bind(("127.0.0.1", port))
        deaf.listen(0)
        filling = [socket.socket() for _ in range(4)]
        for each in filling:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        with pytest.raises(NotSent):
            rig.broker.submit(account, order)
        for each in filling:
            each.close()
        assert rig.sent(order.client_order_id) == 0
