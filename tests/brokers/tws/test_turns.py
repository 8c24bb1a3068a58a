"""TWS takes one program per client id: our processes, web server and worker, take turns with one."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from brokers import allowed_hosts
from brokers.errors import BrokerUnavailable
from brokers.tws import api_connection
from brokers.tws.adapter import TwsBroker
from brokers.tws.api_connection import TwsConnection
from tests.brokers.paper.support import order
from tests.brokers.tws.fake import ACCOUNT, FakeTws
from tests.brokers.tws.steps import SYMBOL
from tests.patience import at_most, lasting


class OneProgram(FakeTws):
    """As TWS does it: an id that is in use is refused."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: dict[str, Any] = {}
        self.refused = 0

    def _talk(self, client: Any) -> None:
        try:
            super()._talk(client)
        finally:
            self.ids = {name: mine for name, mine in self.ids.items() if mine is not client}

    def _hear(self, client: Any, said: list[str]) -> None:
        if said[0] == "71":
            if said[2] in self.ids:
                self.refused += 1
                self._tell(client, 4, 2, -1, 326, "Unable to connect as the client id is already in use.", "")
                raise EOFError
            self.ids[said[2]] = client
        super()._hear(client, said)


@pytest.fixture
def fake() -> Iterator[OneProgram]:
    with OneProgram() as started:
        yield started


@pytest.fixture
def processes(fake: OneProgram, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[TwsBroker]]:
    """Two of one instance: each has a line of its own, and the folder is shared."""
    monkeypatch.setattr(api_connection, "LINGER", 0.05)
    lines = [
        TwsConnection("127.0.0.1", fake.port, 7, 2.0, allowed_hosts.parse(allowed_hosts.LOOPBACK), tmp_path / "turns")
        for _ in range(2)
    ]
    yield [TwsBroker(each) for each in lines]
    for each in lines:
        each.close()


def test_two_processes_speak_with_one_gateway_in_turn(fake: OneProgram, processes: list[TwsBroker]) -> None:
    web, worker = processes
    for _ in range(3):
        assert web.accounts()[0].account_id == ACCOUNT
        assert worker.accounts()[0].account_id == ACCOUNT
    assert len(fake.ids) <= 1


def test_many_calls_at_once_from_both_all_get_their_turn(fake: OneProgram, processes: list[TwsBroker]) -> None:
    with ThreadPoolExecutor(8) as callers:
        asked = [callers.submit(processes[number % 2].account_state, ACCOUNT) for number in range(16)]
        assert {each.result(at_most(30)).currency for each in asked} == {"USD"}


def test_questions_alike_at_the_same_time_are_all_answered(processes: list[TwsBroker]) -> None:
    """TWS does not say which of them it answers."""
    web = processes[0]
    with ThreadPoolExecutor(8) as callers:
        for ask in (lambda: web.account_state(ACCOUNT).currency, lambda: web.orders(ACCOUNT), lambda: web.ping()):
            for each in [callers.submit(ask) for _ in range(8)]:
                each.result(at_most(30))


@pytest.mark.parametrize("longest", [5.0, 0.0], ids=["in one turn", "in a turn for each step"])
def test_what_one_process_sent_the_other_can_cancel(
    fake: OneProgram, processes: list[TwsBroker], monkeypatch: pytest.MonkeyPatch, longest: float
) -> None:
    web, worker = processes
    sent = order("BUY", "2", SYMBOL, limit="100")
    web.submit(ACCOUNT, sent)
    monkeypatch.setattr(api_connection, "_LONGEST", longest)
    assert not worker.cancel(ACCOUNT, sent.client_order_id).status.is_open
    assert len(fake.sent) == 1


def test_who_waits_too_long_is_told_that_nothing_was_sent(
    fake: OneProgram, processes: list[TwsBroker], monkeypatch: pytest.MonkeyPatch
) -> None:
    web, worker = processes
    monkeypatch.setattr(api_connection, "LINGER", 30.0)
    web.accounts()
    worker._line.timeout = lasting(0.2)
    with pytest.raises(BrokerUnavailable, match=r"Another process of this instance is connected to .* Nothing was"):
        worker.submit(ACCOUNT, order("BUY", "2", SYMBOL, limit="100"))
    assert fake.sent == []


def test_a_turn_ends_even_where_calls_go_on(
    fake: OneProgram, processes: list[TwsBroker], monkeypatch: pytest.MonkeyPatch
) -> None:
    web, worker = processes
    monkeypatch.setattr(api_connection, "LINGER", 30.0)
    monkeypatch.setattr(api_connection, "_LONGEST", 0.0)
    with ThreadPoolExecutor(1) as callers:
        asked = callers.submit(worker.accounts)
        for _ in range(100):
            web.accounts()
            if asked.done():
                break
        assert asked.result(0)[0].account_id == ACCOUNT


def test_another_program_with_the_same_client_id_is_told_apart(fake: OneProgram, processes: list[TwsBroker]) -> None:
    stranger = TwsConnection("127.0.0.1", fake.port, 7, 2.0, allowed_hosts.parse(allowed_hosts.LOOPBACK))
    try:
        assert TwsBroker(stranger).accounts()
        with pytest.raises(BrokerUnavailable, match="another program uses this client id there"):
            processes[0].accounts()
    finally:
        stranger.close()
