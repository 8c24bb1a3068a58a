"""A client that listens is told what changed within seconds: of its own connection, and while it has access."""

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import serving
from tests.mcpserver.wire import Heard, Wire
from tests.serving import Server, manage, until

REST: dict[str, Any] = {
    "symbol": "BTC/USD",
    "side": "BUY",
    "quantity": "0.1",
    "order_type": "LMT",
    "limit_price": "100",
}
ORDERS, ACCOUNT = "tradelatch://orders", "tradelatch://account"
SOON = 8.0
"""Seconds; the server looks every second."""


@pytest.fixture
def trade(server: Server) -> Wire:
    return Wire(server.mcp_url, server.quickstart["paper_key_trade"])


@pytest.fixture
def read(server: Server) -> Wire:
    return Wire(server.mcp_url, server.quickstart["paper_key_read"])


_MINT = """
from decimal import Decimal
from console import scopes
from console.accounts.models import User
from console.keys import minting
from console.onboarding.connection_lifecycle import open_paper
owner, made = User.objects.get_or_create(email="oscar@example.com")
connection = owner.connections.first() or open_paper(owner, name="His", starting_cash=Decimal(1000))[0]
print(minting.mint(owner, connection, scopes.parse("mcp:trade"), name="his key")[1])
"""


def minted(server: Server) -> Wire:
    """A new key of somebody else, for a connection of their own."""
    made = manage(server.home, server.port, "shell", "-c", _MINT)
    assert made.returncode == 0, made.stderr
    return Wire(server.mcp_url, made.stdout.split()[-1])


def heard(stream: Heard, *uris: str) -> None:
    until(lambda: set(uris) <= set(stream.updated()), seconds=SOON, what=f"{uris} told; heard {stream.messages}")


def prepared(wire: Wire) -> str:
    order_id: str = wire.result("place_order", REST)["order"]["order_id"]
    return order_id


def test_an_order_of_any_app_of_the_connection_is_told(trade: Wire, read: Wire) -> None:
    order_id = prepared(trade)
    one = f"tradelatch://orders/{order_id}"
    with read.listen(ORDERS, one) as all_of_them, read.listen(ACCOUNT) as account:
        assert all_of_them.status == 200
        assert all_of_them.acknowledged() == {"resourceSubscriptions": [ORDERS, one]}
        account.acknowledged()
        trade.result("cancel_order", {"order_id": order_id})
        heard(all_of_them, ORDERS, one)
        heard(account, ACCOUNT)
        prepared(trade)
        until(lambda: all_of_them.updated().count(ORDERS) == 2, seconds=SOON, what="the next order is told")
        assert all_of_them.updated().count(one) == 1
        for message in all_of_them.messages:
            assert message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == 1


def test_a_move_by_another_process_is_told_too(trade: Wire, read: Wire, server: Server) -> None:
    order_id = prepared(trade)
    with read.listen(f"tradelatch://orders/{order_id}") as stream:
        stream.acknowledged()
        beside = f"""
from console.orders.execution import cancel
from console.orders.models import Order
cancel.cancel_order(Order.objects.get(public_id="{order_id}"), by="the console")
"""
        assert manage(server.home, server.port, "shell", "-c", beside).returncode == 0
        heard(stream, f"tradelatch://orders/{order_id}")


def test_nothing_of_somebody_elses_is_acknowledged_or_told(trade: Wire, server: Server) -> None:
    order_id = prepared(trade)
    with minted(server).listen(f"tradelatch://orders/{order_id}", ORDERS, "tradelatch://nothing") as stream:
        assert stream.acknowledged() == {"resourceSubscriptions": [ORDERS]}
        with trade.listen(ORDERS) as own:
            own.acknowledged()
            trade.result("cancel_order", {"order_id": order_id})
            heard(own, ORDERS)
        assert stream.updated() == []


@contextlib.contextmanager
def changed(server: Server, table: str, column: str) -> Iterator[None]:
    server.query(f"UPDATE {table} SET {column} = '2026-01-01 00:00:00'")  # noqa: S608  names from this file
    try:
        yield
    finally:
        server.query(f"UPDATE {table} SET {column} = NULL")  # noqa: S608


@pytest.mark.parametrize(
    ("table", "column", "code"),
    [
        ("connected_apps_connectedapp", "paused_at", "app_paused"),
        ("connected_apps_connectedapp", "revoked_at", "unauthenticated"),
        ("keys_apikey", "revoked_at", "unauthenticated"),
        ("keys_apikey", "expires_at", "unauthenticated"),
        ("connections_connection", "paused_at", "connection_paused"),
    ],
)
def test_a_stream_ends_with_the_access(read: Wire, server: Server, table: str, column: str, code: str) -> None:
    with read.listen(ORDERS) as stream:
        stream.acknowledged()
        with changed(server, table, column):
            until(lambda: stream.ended, seconds=SOON, what="the stream ended")
        error = stream.messages[-1]["error"]
        assert (error["code"], error["data"]["code"]) == (1000, code)


def test_who_has_no_access_opens_no_stream(read: Wire, server: Server) -> None:
    with changed(server, "connected_apps_connectedapp", "paused_at"), read.listen(ORDERS) as stream:
        until(lambda: stream.ended, seconds=SOON, what="it is refused")
        assert stream.messages[0]["error"]["data"]["code"] == "app_paused"


def test_the_streams_of_an_app_are_bounded_and_a_closed_one_frees_its_place(read: Wire, server: Server) -> None:
    with contextlib.ExitStack() as open_streams:
        for _ in range(5):
            open_streams.enter_context(read.listen(ORDERS)).acknowledged()
        with read.listen(ORDERS) as one_more:
            until(lambda: one_more.ended, seconds=SOON, what="the sixth is refused")
            error = one_more.messages[0]["error"]
            assert (error["code"], error["data"]["code"]) == (1000, "rate_limited")
            assert error["message"].startswith("At most 5 streams")
        row = server.query("SELECT tool, code FROM audit_call ORDER BY id DESC LIMIT 1")[0]
        assert row == ("subscriptions/listen", "rate_limited")

    def free() -> bool:
        with read.listen(ORDERS) as stream:
            until(lambda: stream.messages, seconds=SOON, what="an answer")
            return "method" in stream.messages[0]

    until(free, seconds=SOON, what="the places of the closed streams are free")


def test_one_stream_may_ask_for_so_much_and_no_more(read: Wire) -> None:
    completing = {
        "ref": {"type": "ref/resource", "uri": "tradelatch://quotes/{+symbol}"},
        "argument": {"name": "symbol", "value": "A"},
    }
    symbols = set[str]()
    for letter in "ABCDEGMNS":
        completing["argument"]["value"] = letter
        symbols.update(read.rpc("completion/complete", completing).json()["result"]["completion"]["values"])
    assert len(symbols) > 20
    for uris in ([f"tradelatch://orders/{n}" for n in range(51)], [f"tradelatch://quotes/{each}" for each in symbols]):
        with read.listen(*uris) as stream:
            until(functools.partial(getattr, stream, "ended"), seconds=SOON, what="it is refused")
            assert stream.messages[0]["error"]["data"]["code"] == "invalid_argument"


def test_a_change_of_what_the_app_may_call_is_told_to_those_who_asked(read: Wire, server: Server) -> None:
    with read.listen(toolsListChanged=True) as asked, read.listen(ORDERS) as did_not:
        assert asked.acknowledged() == {"toolsListChanged": True}
        did_not.acknowledged()
        server.query("UPDATE connected_apps_connectedapp SET scopes = 'mcp:read mcp:trade' WHERE scopes = 'mcp:read'")
        until(lambda: len(asked.messages) > 1, seconds=SOON, what="the change is told")
        assert asked.messages[1]["method"] == "notifications/tools/list_changed"
        assert len(did_not.messages) == 1


def test_waiting_streams_hold_no_threads(tmp_path: Path) -> None:
    with serving.serve(tmp_path / "home") as server, contextlib.ExitStack() as streams:
        assert server.process is not None
        threads = Path(f"/proc/{server.process.pid}/task")
        before = len(list(threads.iterdir()))
        for key in ("paper_key_trade", "paper_key_read"):
            wire = Wire(server.mcp_url, server.quickstart[key])
            for _ in range(5):
                streams.enter_context(wire.listen(ORDERS)).acknowledged()
        # Calls leave idle threads behind for ten seconds; streams may add none that stay.
        until(
            lambda: len(list(threads.iterdir())) <= before + 3, seconds=30, what="the threads of the calls have ended"
        )
        with wire.listen(ORDERS) as one_more:
            until(lambda: one_more.ended, seconds=SOON, what="all streams are still open")
