"""Answers of an account with a long past, as they leave: by default what every host shows whole, never above 40 kB.

Known windows: 6,000 characters at each end (Codex), 16 kB and more elsewhere; opencode cuts by whole lines.
"""

import copy
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.utils import timezone

from brokers.paper.models import LedgerEntry, PaperFill
from console import ids
from console.alerts.models import Alert, AlertEvent
from console.audit.models import Call
from console.authority import bearer, call_quota
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection, EquitySnapshot
from console.journal.models import Note, RoundTrip
from console.orders.models import Order, OrderEvent
from console.toolsets import Toolset
from mcpserver import catalog, pipeline, result_tables
from tests.console.signals import steps as signal_steps
from tests.mcpserver.steps import call, sent

DEFAULT, MOST = 11_000, 40_000
WORDS = "The broker says that the market of this instrument was closed when the order arrived there. " * 3
BUY: dict[str, Any] = {"side": "BUY", "order_type": "MKT"}


@pytest.fixture(autouse=True)
def _one_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    # The pipeline is made for worker threads and lets connections go; the test's own must stay.
    monkeypatch.setattr(pipeline, "close_old_connections", lambda: None)
    monkeypatch.setattr(call_quota, "check", lambda *about, **own: None)


@dataclass(frozen=True)
class Past:
    key: str
    order_id: str
    """One with many fills."""
    account_id: str


def copies(row: Any, count: int, change: Callable[[Any, int], None]) -> None:
    """The same row ``count`` times more, each changed by its number."""
    made = []
    for number in range(count):
        one = copy.copy(row)
        one.pk = None
        change(one, number)
        made.append(one)
    type(row).objects.bulk_create(made)


@pytest.fixture
def past(paper: Connection, trade_key: str) -> Past:
    """A holding of every instrument, and hundreds of orders, fills, ledger lines, trades, notes and calls."""
    listed = call(trade_key, "screen_securities", filters=[], limit=50)["matches"]
    assert len(listed) == 25
    for some in (listed[:20], listed[20:]):
        each = [
            {"symbol": row["symbol"], "quantity": "1" if row["asset_class"] != "crypto" else "0.01"} | BUY
            for row in some
        ]
        prepared = call(trade_key, "place_batch_orders", orders=each)
        call(trade_key, "confirm_trade", confirmation_id=prepared["confirmation_id"])
    sold = call(trade_key, "close_position", symbol="AAPL")
    call(trade_key, "confirm_trade", confirmation_id=sold["confirmation_id"])
    call(trade_key, "get_journal_trades")

    now = timezone.now()

    def order(row: Any, number: int) -> None:
        row.public_id, row.wire_id, row.client_order_id = (
            ids.new("ord"),
            uuid.uuid4().hex,
            f"strategy-7-leg-{number:05d}",
        )
        row.reason, row.code, row.status = WORDS[:240], "broker_rejected", "working" if number % 2 else "rejected"

    def fill(row: Any, number: int) -> None:
        row.fill_id, row.at = f"fill-{number:012d}", now - timedelta(minutes=number)

    def line(row: Any, number: int) -> None:
        row.at = now - timedelta(hours=number)

    def trip(row: Any, number: int) -> None:
        row.public_id, row.opened_at = ids.new("trd"), row.opened_at - timedelta(days=number + 1)

    def asked(row: Any, number: int) -> None:
        row.request_id, row.message = ids.new("req"), WORDS[:400]
        row.arguments = {"orders": [{"symbol": "AAPL", "side": "BUY", "quantity": "1", "limit_price": "1"}] * 20}

    def heard(row: Any, number: int) -> None:
        row.number, row.title, row.text = number + 2, WORDS[:120], WORDS[:280]

    def arrived(row: Any, number: int) -> None:
        row.public_id, row.message, row.code = ids.new("sig"), WORDS[:500], "unsupported_media_type"
        row.wanted = {"symbol": "AAPL", "side": "SELL", "quantity": "123456789.12345678", "limit_price": "1234.5678"}

    def watching(row: Any, number: int) -> None:
        row.public_id, row.note, row.repeats = ids.new("alt"), WORDS[:200], True

    app = ConnectedApp.objects.get(pk=bearer.authenticate(trade_key).app_id)
    grants.set_toolsets(app, frozenset(Toolset), by=app.owner, may_widen=True)
    watched = call(trade_key, "create_alert", **NEEDED["create_alert"])["alert"]
    call(trade_key, "emit_alert", text=WORDS[:280])
    event = AlertEvent.objects.latest("pk")
    address = signal_steps.address(paper.owner, paper).address
    copies(signal_steps.refused(address), 250, arrived)
    event.alert = Alert.objects.get(public_id=watched["alert_id"])
    copies(event, 250, heard)
    copies(event.alert, 250, watching)
    copies(Order.objects.latest("pk"), 200, order)
    copies(PaperFill.objects.latest("pk"), 300, fill)
    copies(LedgerEntry.objects.filter(kind="trade").latest("pk"), 300, line)
    trade = RoundTrip.objects.filter(closed_at__isnull=False).latest("pk")
    copies(trade, 250, trip)
    copies(Call.objects.latest("pk"), 250, asked)
    Note.objects.bulk_create(
        Note(connection=paper, about=trade.public_id, at=now, text=WORDS[:280] * 3, tags=["plan", "late"], by="Script")
        for _ in range(5)
    )
    account_id = call(trade_key, "get_current_account")["account"]["account_id"]
    start = now.replace(minute=0, second=0, microsecond=0)
    EquitySnapshot.objects.bulk_create(
        EquitySnapshot(
            connection=paper,
            account_id=account_id,
            currency="USD",
            slot=start - timedelta(seconds=grain * number),
            grain=grain,
            opened_at=start - timedelta(seconds=grain * number),
            at=start - timedelta(seconds=grain * number),
            **dict.fromkeys(("opened", "equity", "high", "low", "cash"), Decimal("123456.78")),
        )
        for grain, count in ((300, 570), (3600, 2000), (86400, 700))
        for number in range(1, count)
    )
    first = Order.objects.filter(symbol="BTC/USD").earliest("pk")
    told = {"quantity": "0.00012345", "price": "91234.56", "fee": "0.0123", "currency": "USD", "priced_by": "recorded"}
    for number in range(60):
        data = {"fills": [told | {"filled_at": now.isoformat()}] * 150} if number == 59 else {}
        OrderEvent.objects.create(order=first, at=now, before="working", after="working", what=WORDS[:120], data=data)
    return Past(trade_key, first.public_id, account_id)


# Arguments of tools that need some; the rest is called without any.
NEEDED: dict[str, dict[str, Any]] = {
    "search_security": {"query": "a"},
    "get_security": {"symbol": "BTC/USD"},
    "get_quote": {"symbols": ["BTC/USD", "AAPL", "SPY"]},
    "get_order_book": {"symbol": "BTC/USD"},
    "get_history": {"symbol": "BTC/USD"},
    "get_change": {"symbols": ["BTC/USD", "AAPL"]},
    "get_trades": {"symbol": "BTC/USD"},
    "get_indicators": {"symbol": "BTC/USD", "indicators": ["RSI", "MACD", "BBANDS", "EMA(50)", "ATR"]},
    "screen_securities": {"filters": [{"field": "price", "op": ">", "value": "0"}]},
    "get_movers": {"kind": "most_active"},
    "get_exchange_rate": {"base": "USD", "quote": "USD"},
    "preview_order": {"symbol": "AAPL", "side": "BUY", "quantity": "1"},
    "get_max_order": {"symbol": "AAPL", "side": "BUY"},
    "place_order": {"symbol": "AAPL", "side": "BUY", "quantity": "1"},
    "close_position": {"symbol": "SPY"},
    "prepare_plan": {
        "kind": "twap",
        "symbol": "BTC/USD",
        "side": "BUY",
        "quantity": "0.04",
        "orders": 40,
        "minutes": 390,
    },
    "create_alert": {"kind": "price", "symbol": "AAPL", "condition": "above", "value": "123456.78"},
}
LARGEST: list[tuple[str, dict[str, Any]]] = [
    ("search_security", {"query": "a", "limit": 50}),
    ("get_quote", {"symbols": ["BTC/USD", "AAPL", "SPY", "KO"] * 5}),
    ("get_history", {"symbol": "BTC/USD", "limit": 500}),
    ("get_history", {"symbol": "AAPL", "period": "1y", "bar": "1d"}),
    ("get_history", {"symbol": "AAPL", "period": "1m", "bar": "5m"}),
    ("get_trades", {"symbol": "BTC/USD", "limit": 100}),
    ("get_order_book", {"symbol": "BTC/USD", "depth": 20}),
    (
        "get_indicators",
        {"symbol": "BTC/USD", "indicators": [f"MACD(5,{n},9)" for n in range(20, 30)], "last": 100, "bar": "1h"},
    ),
    ("screen_securities", {"filters": [], "limit": 50}),
    ("get_orders", {"status": "all", "limit": 200}),
    ("get_executions", {"limit": 200}),
    ("get_transactions", {"limit": 200}),
    ("get_journal_trades", {"limit": 200}),
    ("get_activity_log", {"limit": 200}),
    ("get_signals", {"limit": 200}),
    ("get_alerts", {"limit": 200}),
    ("get_alert_history", {"limit": 200}),
    ("get_portfolio_history", {"period": "1d"}),
    ("get_portfolio_history", {"period": "all", "bar": "5m"}),
    ("get_watermarks", {"period": "all"}),
    ("get_pnl", {"group_by": "day"}),
]
# Those that act on what is there, and have answers of one order.
APART = ("confirm_trade", "discard_confirmation", "modify_order", "cancel_order", "place_batch_orders", "halt_trading")
_OF_ONE_ALERT = ("create_alert", "update_alert", "cancel_alert", "emit_alert")
_OF_ONE_PLAN = ("pause_plan", "cancel_plan")
SMALL = (
    *("reverse_position", "set_current_account", "add_journal_note", "create_paper_account"),
    *(*_OF_ONE_ALERT, *_OF_ONE_PLAN),
)
PRACTICE = ("reset_paper_account", "set_paper_model", "cancel_all_orders", "flatten_account")


def test_every_default_answer_fits_every_host(past: Past) -> None:
    needed = NEEDED | {"get_order_status": {"order_id": past.order_id}}
    sizes = {}
    for tool in catalog.TOOLS:
        if catalog.can("paper", tool) and tool.name not in (*APART, *SMALL, *PRACTICE):
            text, content = sent(past.key, tool.name, **needed.get(tool.name, {}))
            assert "error" not in content, content
            sizes[tool.name] = len(text.encode())
    assert {name: size for name, size in sizes.items() if size >= DEFAULT} == {}
    assert len(sizes) > 30
    assert max(sizes.values()) > DEFAULT / 2


def test_no_answer_is_longer_than_forty_kilobytes_and_what_says_most_comes_first(past: Past) -> None:
    for tool, given in LARGEST:
        text, content = sent(past.key, tool, **given)
        assert "error" not in content, content
        assert len(text.encode()) <= MOST, (tool, given)
        kinds = [isinstance(value, dict | list) for value in list(content.values())[1:]]
        assert next(iter(content)) == "context"
        assert kinds == sorted(kinds), tool
        found = [value for value in content.values() if isinstance(value, dict) and "columns" in value]
        assert all(each["count"] == len(each["rows"]) for each in found)
        assert all(list(each) == ["count", "columns", "rows"] for each in found)
        lines = text.splitlines()
        longest = 5_500 if tool == "get_journal_trades" else 2_500
        assert all(len(line) < longest for line in lines), tool
        if len(text) > 2_100:
            assert len(lines) > sum(each["count"] for each in found)


LISTS = {
    "get_orders": ("orders", "order_id", {"status": "all"}),
    "get_executions": ("executions", "execution_id", {}),
    "get_transactions": ("transactions", "transaction_id", {}),
    "get_journal_trades": ("trades", "trade_id", {}),
    "get_activity_log": ("calls", "request_id", {"end": "now"}),
    "get_alerts": ("alerts", "alert_id", {}),
    "get_signals": ("signals", "signal_id", {"end": "now"}),
    "get_positions": ("positions", "symbol", {}),
}


def test_a_list_that_was_cut_goes_on_without_a_gap_or_a_repeat(past: Past) -> None:
    for tool, (rows, name, given) in LISTS.items():
        given = {key: timezone.now().isoformat() if value == "now" else value for key, value in given.items()}
        seen: list[str] = []
        pages = 0
        while pages < 100:
            _, content = sent(past.key, tool, **given)
            page = result_tables.spread(content)
            seen, pages = seen + [row[name] for row in page[rows]], pages + 1
            if "next_cursor" not in page:
                break
            given["cursor"] = page["next_cursor"]
        assert len(seen) == len(set(seen)), tool
        assert len(seen) > (20 if tool == "get_positions" else 200), tool
        assert pages > 3 or tool == "get_positions"


def test_rows_have_what_the_objects_had(trade_key: str) -> None:
    call(trade_key, "place_order", symbol="AAPL", side="BUY", quantity="1", order_type="LMT", limit_price="9")
    call(trade_key, "place_order", symbol="AAPL", side="BUY", quantity="1")
    for tool, rows, given in (
        ("get_orders", "orders", {"status": "all"}),
        ("get_history", "bars", {"symbol": "BTC/USD"}),
    ):
        answer = call(trade_key, tool, **given)
        _, content = sent(trade_key, tool, **given)
        assert result_tables.spread(content)[rows] == json.loads(json.dumps(answer[rows]))
        assert answer[rows]
    assert len(json.dumps(content["bars"])) < 0.65 * len(json.dumps(answer["bars"]))


def test_an_order_with_many_fills_says_how_many_are_left_out(past: Past) -> None:
    text, content = sent(past.key, "get_order_status", order_id=past.order_id)
    assert content["fills"]["count"] == 40
    assert "110 earlier fills" in content["left_out"] and "earlier steps" in content["left_out"]
    assert text.index("left_out") < text.index('"fills"')


def test_tables_without_a_cursor_say_what_was_cut() -> None:
    content = {"context": {}, "currency": "USD", "points": [{"at": "x" * 60, "n": str(n)} for n in range(1000)]}
    columns = {"points": ("at", "n")}
    made, _ = result_tables.shorten(*result_tables.arrange(content, columns), columns, is_default=True)
    assert len(json.dumps(made, separators=(",", ":"))) < DEFAULT
    kept = made["points"]["count"]
    assert made["shortened"] == f"{1000 - kept} of 1000 points are left out: the answer would be too long"
    assert list(made) == ["context", "currency", "shortened", "points"]
