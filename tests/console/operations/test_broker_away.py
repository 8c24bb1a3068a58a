"""A broker that is away, or does not answer: who calls is told in time, others go on, and its owner sees it."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.brokers.faults import Fault, Switchboard
from tests.load.exchange import Accounts, key_of
from tests.mcpserver.wire import Wire
from tests.patience import at_most, lasting
from tests.person import Person
from tests.serving import Server, manage

_LINK = """
from console import scopes
from console.accounts.models import User
from console.keys import minting
from tests.load import people
owner = User.objects.get()
connection = people.link(owner, people.key_of(0), {broker!r})
print(connection.pk, minting.mint(owner, connection, scopes.parse("mcp:trade"), name="At a broker")[1])
"""
_HURRIED = json.dumps({"connect": lasting(2), "read": lasting(2), "total": lasting(3)})
"""Only while the broker is ill: what works on a computer that is busy may take longer."""
_SETTINGS = "UPDATE connections_connection SET settings = "
_HURRY = f"{_SETTINGS}json_set(settings, '$.timeouts', json('{_HURRIED}')) WHERE id = "
_TAKE_TIME = f"{_SETTINGS}json_remove(settings, '$.timeouts') WHERE id = "
RESTS = {"symbol": "AAPL", "side": "BUY", "quantity": "1", "order_type": "LMT", "limit_price": "100"}
CALLERS = 12


class _Mood(Switchboard):
    """What every request meets: an answer, no answer until the broker is well again, or the end of its connection."""

    def __init__(self) -> None:
        super().__init__()
        self.is_gone = False
        self.asked, self.well = threading.Event(), threading.Event()
        self.well.set()

    def take(self, method: str, path: str) -> Fault | None:
        if self.is_gone:
            self.asked.set()
            return Fault(kind="reset", effect=False)
        if not self.well.is_set():
            self.asked.set()
            self.well.wait(at_most(60))
            return Fault(kind="reset", effect=False)  # whoever asked has left
        return super().take(method, path)


class Broker(Accounts):
    def __init__(self) -> None:
        super().__init__()
        self.faults: _Mood = _Mood()

    def fall_ill(self, how: str) -> None:
        self.faults.asked.clear()
        self.faults.is_gone = how == "gone"
        self.faults.well.clear()

    def recover(self) -> None:
        self.faults.is_gone = False
        self.faults.well.set()

    @property
    def orders(self) -> list[str]:
        found: list[dict[str, Any]] = self.control("state", key_of(0))["orders"]
        return [each["status"] for each in found]


@pytest.fixture(scope="module")
def broker() -> Iterator[Broker]:
    with Broker() as running:
        yield running


@pytest.fixture(scope="module")
def linked(server: Server, broker: Broker) -> tuple[str, str]:
    """The connection's number, and a key that may trade there."""
    link = _LINK.format(broker=broker.url)
    made = manage(server.home, server.port, "shell", "-v", "0", "-c", link, **server.variables)
    assert made.returncode == 0, made.stderr
    pk, key = made.stdout.split()[-2:]
    return pk, key


@pytest.fixture(autouse=True)
def well_afterwards(broker: Broker) -> Iterator[None]:
    yield
    broker.recover()


@pytest.mark.parametrize("how", ["silent", "gone"])
def test_each_caller_is_told_in_time_others_go_on_and_the_owner_sees_it(
    server: Server, broker: Broker, linked: tuple[str, str], how: str
) -> None:
    pk, key = linked
    theirs, other = Wire(server.mcp_url, key), Wire(server.mcp_url, server.quickstart["paper_key_trade"])
    order = theirs.result("place_order", RESTS)
    theirs.result("confirm_trade", {"confirmation_id": order["confirmation_id"]})
    asked = {"order_id": order["order"]["order_id"]}
    with (
        Person(server.url, server.quickstart["username"], server.quickstart["password"]) as person,
        ThreadPoolExecutor(CALLERS) as pool,
    ):
        page = person.get(f"/connections/{pk}/")
        server.query(_HURRY + pk)
        broker.fall_ill(how)
        # None of them is answered by the broker before all have been answered here.
        waiting = [pool.submit(theirs.refusal, "get_cash", {}) for _ in range(CALLERS)]
        assert broker.faults.asked.wait(at_most(20))
        for _ in range(5):
            assert other.result("get_cash", {})
        refused = [each.result(at_most(30)) for each in waiting]
        assert {each["code"] for each in refused} == {"broker_unavailable"}
        assert {each["retry"] for each in refused} == {"safe"}
        placing, cancelling, checking = (
            pool.submit(theirs.refusal, "place_order", RESTS),
            pool.submit(theirs.refusal, "cancel_order", asked),
            pool.submit(person.post, f"/connections/{pk}/check/", page),
        )
        assert placing.result(at_most(30))["code"] == "broker_unavailable"
        assert cancelling.result(at_most(30))["code"] in ("broker_unavailable", "outcome_unknown")
        assert checking.result(at_most(30)).status_code == 302
        assert broker.orders[-1] == "new"
        for path in ("/", "/connections/", f"/connections/{pk}/"):
            assert "Alpaca could not be reached" in person.get(path).text, path
        broker.recover()
        server.query(_TAKE_TIME + pk)
    assert theirs.result("get_cash", {})
    assert theirs.result("cancel_order", asked)["order"]["status"] == "cancelled"
    assert set(broker.orders) == {"canceled"}
    assert "Traceback" not in server.log
