"""Whatever happens to the answer, an order is posted once, and what may stand is never called refused."""

import socket
import time
from dataclasses import replace

import pytest

from brokers.errors import BrokerError, DuplicateClientId, NotSent, Outcome
from brokers.types import BrokerStatus
from tests.brokers.contract.cases import WIRED, Case, Rig
from tests.brokers.faults import Fault

EACH = [
    pytest.param(case, fault, id=f"{case.name}-{fault.kind}-{'taken' if fault.effect else 'not_taken'}")
    for case in WIRED
    for fault in case.sending
]


def _eventually(rig: Rig, client_order_id: str) -> bool:
    """Whether the broker has it, once a late effect has had time to come."""
    until = time.monotonic() + 2
    while time.monotonic() < until:
        if rig.stands(client_order_id):
            return True
        time.sleep(0.02)
    return False


def _outcome(case: Case, fault: Fault) -> Outcome | None:
    """None: no error at all."""
    if fault.kind == "slow":
        return None
    if fault.kind == "duplicate":
        return Outcome.REJECTED
    return case.outcomes.get(fault.kind, Outcome.UNKNOWN)


@pytest.mark.django_db
@pytest.mark.parametrize(("case", "fault"), EACH)
def test_an_order_is_posted_once_and_its_outcome_is_what_the_table_says(case: Case, fault: Fault) -> None:
    with case.opened() as rig:
        rig.broker.quotes([rig.symbol])
        order = rig.order()
        account = rig.account_id
        rig.server.faults.set(replace(fault, path=case.order_path))
        try:
            rig.broker.submit(account, order)
        except BrokerError as error:
            assert error.outcome is _outcome(case, fault)
            assert (fault.kind == "duplicate") == isinstance(error, DuplicateClientId)
        else:
            assert _outcome(case, fault) is None
        assert rig.sent(order.client_order_id) == 1
        assert not rig.server.faults.waiting
        if fault.effect:
            assert _eventually(rig, order.client_order_id)
        found = rig.broker.order(account, order.client_order_id, symbol=rig.symbol)
        assert (found is not None) == fault.effect
        posts = [each for each in rig.server.received if each == ("POST", case.order_path)]
        assert len(posts) == 1


@pytest.mark.django_db
@pytest.mark.parametrize(("case", "fault"), [each for each in EACH if "duplicate" not in str(each.id)])
def test_a_cancel_is_sent_once_too(case: Case, fault: Fault) -> None:
    with case.opened() as rig:
        order = rig.order()
        rig.broker.submit(rig.account_id, order)
        method, path = case.cancel
        rig.server.faults.set(replace(fault, path=path, method=method))
        try:
            ended = rig.broker.cancel(rig.account_id, order.client_order_id, symbol=rig.symbol)
        except BrokerError as error:
            assert error.outcome is not Outcome.NOT_SENT
        else:
            assert ended.status is BrokerStatus.CANCELLED
        sent = [each for each in rig.server.received if each[0] == method and each[1].startswith(path)]
        assert len(sent) == 1
        assert rig.sent(order.client_order_id) == 1


def test_an_order_to_a_port_where_nobody_listens_was_not_sent(wired: Case, db: None) -> None:
    with wired.opened() as rig:
        account, order = rig.account_id, rig.order()
        rig.server.server.shutdown()
        rig.server.server.server_close()
        _close_kept_connections(rig)
        with pytest.raises(NotSent):
            rig.broker.submit(account, order)
        assert rig.sent(order.client_order_id) == 0


def test_an_order_to_an_address_that_does_not_answer_was_not_sent(wired: Case, db: None) -> None:
    """A listener whose queue is full: the connection itself times out."""
    with wired.opened() as rig, socket.socket() as deaf:
        account, order = rig.account_id, rig.order()
        rig.server.server.shutdown()
        port = rig.server.server.server_address[1]
        rig.server.server.server_close()
        _close_kept_connections(rig)
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


def _close_kept_connections(rig: Rig) -> None:
    """A server that is gone has none open; within one process they would outlive it."""
    rig.server.hang_up()
