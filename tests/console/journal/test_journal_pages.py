"""The journal and the performance of a connection, as its owner sees them: stored rows, notes, CSV."""

import asyncio
import csv
import io
from decimal import Decimal
from typing import Any

import pytest
from django.http import StreamingHttpResponse
from django.test import AsyncRequestFactory
from django.test import Client as Browser

from brokers import registry
from brokers.paper.adapter import PaperBroker
from console.audit.models import Change
from console.connections import broker_access, health
from console.connections.models import Connection
from console.file_responses import csv_response, safe_cell
from console.journal import notes, sync
from console.journal.models import Execution, Note, RoundTrip
from tests import clock as clocks
from tests.clock import Clock
from tests.console.journal.steps import deal
from tests.console.pages import text_of, words_of


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = clocks.install(monkeypatch)
    clock.advance(hours=-2)
    return clock


@pytest.fixture
def traded(paper: Connection, clock: Clock) -> RoundTrip:
    for side in ("BUY", "SELL"):
        deal(paper, side, "2", "AAPL", clock)
        clock.advance(minutes=40)
        health.check(Connection.objects.get(pk=paper.pk))
    deal(paper, "BUY", "0.1", "BTC/USD", clock)
    while not sync.sync_connection(paper):
        pass
    return RoundTrip.objects.get(symbol="AAPL")


@pytest.fixture(autouse=True)
def _pages_ask_no_broker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """From here on, in tests that have traded: whatever is shown is stored."""
    if "traded" not in request.fixturenames:
        return
    request.getfixturevalue("traded")

    def asked(*args: object) -> None:
        raise AssertionError("a page asked a broker")

    monkeypatch.setattr(registry, "open_broker", asked)


def rows_of(response: Any) -> list[dict[str, str]]:
    assert isinstance(response, StreamingHttpResponse)
    return list(csv.DictReader(io.StringIO(b"".join(response).decode())))


def test_a_journal_without_a_trade_says_what_will_be_there(browser: Browser) -> None:
    assert "No trade yet" in words_of(browser.get("/journal/"))


def test_the_journal_lists_what_was_traded_with_what_it_earned(browser: Browser, traded: RoundTrip) -> None:
    words = words_of(browser.get("/journal/"))
    assert "AAPL long" in words and "BTC/USD long" in words and "1 closed round trip" in words
    net = f"{traded.net:+,.2f}".replace("-", "\N{MINUS SIGN}")
    assert net in words


def test_the_journal_can_be_narrowed(browser: Browser, traded: RoundTrip) -> None:
    assert "AAPL long" not in words_of(browser.get("/journal/?result=open"))
    assert "BTC/USD long" not in words_of(browser.get("/journal/?symbol=aapl"))
    result = "won" if traded.won else "lost"
    assert "AAPL long" in words_of(browser.get(f"/journal/?result={result}"))
    assert "No matching trades" in words_of(browser.get("/journal/?end=2020-01-01"))
    assert "AAPL long" in words_of(browser.get("/journal/?start=nonsense&after=nowhere"))


def test_the_owner_adds_a_note_and_an_apps_words_are_shown_as_its_own(browser: Browser, traded: RoundTrip) -> None:
    notes.add(traded.connection_id, traded.public_id, "Visit https://evil.example <b>now</b>", by="Claude", app_id=7)
    url = f"/journal/{traded.public_id}/"
    assert browser.post(url, {"text": "Sold too soon", "tags": "patience, Exit"}).status_code == 302
    html = text_of(browser.get(url))
    assert "&lt;b&gt;now&lt;/b&gt;" in html and 'href="https://evil' not in html
    words = words_of(browser.get(url))
    assert "Claude wrote" in words and "Sold too soon" in words and "patience" in words and "exit" in words
    assert Note.objects.get(app_id=None).by == "olivia@example.com"
    assert "Write something first." in words_of(browser.post(url, {"text": "  "}))


def test_somebody_else_finds_no_trade_no_performance_and_no_file(others_browser: Browser, traded: RoundTrip) -> None:
    paper = traded.connection_id
    assert "AAPL" not in text_of(others_browser.get("/journal/"))
    assert rows_of(others_browser.get("/journal/trades.csv")) == []
    of_others = ["", "executions.csv", "ledger.csv"]
    for url in [f"/journal/{traded.public_id}/", *(f"/connections/{paper}/performance/{name}" for name in of_others)]:
        assert others_browser.get(url).status_code == 404, url
    assert others_browser.post(f"/journal/{traded.public_id}/", {"text": "Mine"}).status_code == 404
    assert others_browser.post(f"/journal/rebuild/{paper}/").status_code == 404
    assert not Note.objects.exists() and RoundTrip.objects.count() == 2


def test_the_performance_page_agrees_with_what_is_stored(browser: Browser, traded: RoundTrip) -> None:
    words = words_of(browser.get(f"/connections/{traded.connection_id}/performance/"))
    assert "Fewer than two readings" not in words and "Highest" in words and "By month" in words
    assert f"{traded.net:+,.2f}".replace("-", "\N{MINUS SIGN}") in words
    html = text_of(browser.get(f"/connections/{traded.connection_id}/performance/?period=all"))
    assert '<polyline class="chart-line" points=' in html and 'role="img"' in html
    assert browser.get(f"/connections/{traded.connection_id}/performance/?period=x&account=y").status_code == 200


def test_a_connection_that_was_never_read_says_so(browser: Browser, paper: Connection) -> None:
    paper.equity_snapshots.all().delete()
    assert "No data yet" in words_of(browser.get(f"/connections/{paper.pk}/performance/"))


def test_every_record_can_be_downloaded(browser: Browser, traded: RoundTrip) -> None:
    trades = rows_of(browser.get("/journal/trades.csv"))
    assert [row["symbol"] for row in trades] == ["BTC/USD", "AAPL"]
    assert Decimal(trades[1]["net_pnl"]) == traded.net and trades[1]["environment"] == "paper"
    executions = rows_of(browser.get(f"/connections/{traded.connection_id}/performance/executions.csv"))
    assert [row["side"] for row in executions] == ["BUY", "SELL", "BUY"]
    ledger = rows_of(browser.get(f"/connections/{traded.connection_id}/performance/ledger.csv"))
    assert [row["amount"] for row in ledger if row["type"] == "deposit"] == ["100000"]
    assert sum(row["type"] == "trade" for row in ledger) == 3
    assert rows_of(browser.get(f"/connections/{traded.connection_id}/performance/ledger.csv?account=X")) == []


def test_no_cell_is_run_as_a_formula(browser: Browser, traded: RoundTrip) -> None:
    Execution.objects.filter(symbol="AAPL", side="BUY").update(source='=HYPERLINK("https://evil.example")')
    told = rows_of(browser.get(f"/connections/{traded.connection_id}/performance/executions.csv"))[-1]
    assert told["source"] == '\'=HYPERLINK("https://evil.example")'
    assert [safe_cell(each) for each in ("+1", "-x", "@a", "\tb", "\rc", "\nd", Decimal("-1.50"), -3, None)] == [
        *("'+1", "'-x", "'@a", "'\tb", "\\u000dc", "'\nd"),
        *("-1.5", "-3", ""),
    ]
    wide = [f"{sign}1" for sign in "\uff1d\uff0b\uff0d\uff20"]
    assert [safe_cell(each) for each in wide] == [f"'{each}" for each in wide]


def test_every_cell_is_quoted_so_that_no_separator_starts_a_new_one(browser: Browser, traded: RoundTrip) -> None:
    Execution.objects.filter(symbol="AAPL", side="BUY").update(source="a;=1+1")
    response: Any = browser.get(f"/connections/{traded.connection_id}/performance/executions.csv")
    text = b"".join(response).decode()
    assert '"a;=1+1"' in text
    assert all(line.startswith('"') and line.endswith('"') for line in text.splitlines())


def test_a_file_is_streamed_where_the_web_server_is_asynchronous() -> None:
    async def sent() -> list[bytes]:
        request = AsyncRequestFactory().get("/journal/trades.csv")
        response = csv_response(request, "some", ["name"], iter([[str(number)] for number in range(2500)]))
        assert response.is_async
        return [part async for part in response]

    parts = asyncio.run(sent())
    assert len(parts) == 4 and parts[0] == b'"name"\r\n' and parts[3].endswith(b'"2499"\r\n')


def test_the_owner_has_the_journal_worked_out_anew(browser: Browser, traded: RoundTrip) -> None:
    assert browser.post(f"/journal/rebuild/{traded.connection_id}/").status_code == 302
    assert not RoundTrip.objects.exists()
    assert Change.objects.get(action="journal rebuilt").target_label == "Practice"


def test_the_broker_is_not_asked_for_a_page_at_all(traded: RoundTrip) -> None:
    with pytest.raises(AssertionError):
        broker_access.broker_of(traded.connection)
    assert PaperBroker.open(traded.connection.settings).accounts()
