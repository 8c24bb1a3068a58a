"""The whole instance, web server, worker and scheduler, killed ten times in the middle of confirmations."""

import random
import threading
from pathlib import Path

import httpx2
import pytest

from tests.mcpserver.wire import Wire
from tests.patience import at_most
from tests.serving import Server, serve, until

pytestmark = pytest.mark.long

ROUNDS = 10
IN_FLIGHT = "('intent', 'sending', 'unknown')"


class Trader(threading.Thread):
    """Prepares and confirms orders until the server is gone; counts the answers it got."""

    def __init__(self, server: Server, first_answer: threading.Event) -> None:
        super().__init__(daemon=True)
        self.wire = Wire(server.mcp_url, server.quickstart["paper_key_trade"])
        self.first_answer = first_answer
        self.filled: list[str] = []
        self.unexpected: list[str] = []

    def run(self) -> None:
        order = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.0001"}
        try:
            while True:
                prepared = self.wire.result("place_order", order)
                done = self.wire.result("confirm_trade", {"confirmation_id": prepared["confirmation_id"]})
                self.filled.append(done["order"]["order_id"])
                self.first_answer.set()
        except httpx2.TransportError:
            return  # the server was killed
        except (AssertionError, KeyError) as error:
            self.unexpected.append(repr(error))
            self.first_answer.set()


@pytest.mark.timeout(150)
def test_an_instance_killed_ten_times_loses_no_order_sends_none_twice_and_leaves_none_stuck(tmp_path: Path) -> None:
    dice = random.Random(11)  # noqa: S311  a test's dice
    answered: list[str] = []
    with serve(tmp_path / "home", supervised=True, TRADELATCH_SENDING_LEASE_SECONDS="2") as server:
        for round_ in range(ROUNDS):
            if round_:
                server.start()
            first_answer = threading.Event()
            traders = [Trader(server, first_answer) for _ in range(3)]
            for trader in traders:
                trader.start()
            assert first_answer.wait(at_most(30)), "no order was answered"
            threading.Event().wait(dice.uniform(0, 0.3))  # the moment of the kill
            server.kill()
            for trader in traders:
                trader.join(at_most(30))
                assert not trader.is_alive()
                assert trader.unexpected == []
                answered += trader.filled

        server.start()
        until(
            lambda: (
                server.query(f"SELECT count(*) FROM orders_order WHERE status IN {IN_FLIGHT}")  # noqa: S608
                == [(0,)]
            ),
            seconds=60,
            what="every order in flight was settled",
        )
        orders = dict(server.query("SELECT public_id, status FROM orders_order"))
        assert len(answered) >= ROUNDS
        assert {orders[order_id] for order_id in answered} == {"filled"}, "what was answered stands"
        desk = dict(server.query("SELECT wire_id, status FROM orders_order WHERE status != 'awaiting_confirmation'"))
        broker = [row[0] for row in server.query("SELECT client_order_id FROM paper_paperorder")]
        assert len(broker) == len(set(broker)), "nothing was sent twice"
        assert {wire_id for wire_id, status in desk.items() if status == "filled"} == set(broker), "nothing was lost"
        rows = server.query("SELECT count(*) FROM audit_call WHERE tool = 'confirm_trade' AND outcome = 'ok'")
        assert rows[0][0] >= len(answered), "no answer left without its row"
