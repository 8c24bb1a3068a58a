"""The list of orders: columns, filters in the address, files of what the filter finds, and nobody else's orders."""

import csv
import io
import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection as database
from django.test import Client as Browser
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from console import file_responses, keyset
from console.accounts.models import User
from console.audit import export_limit
from console.audit.models import Change
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.keys import minting
from console.onboarding import connection_lifecycle
from console.orders.models import Order
from console.orders.states import Status
from console.orders.views import exports
from console.scopes import Scope, Source
from tests.console.orders.steps import make
from tests.console.pages import text_of, words_of

pytestmark = pytest.mark.django_db


def shown(browser: Browser, query: str) -> set[str]:
    """Symbols in the list."""
    html = text_of(browser.get(f"/orders/?{query}"))
    return {symbol for symbol in ("AAPL", "MSFT", "NVDA") if f">{symbol}</a>" in html}


def change(order: Order, **fields: Any) -> Order:
    Order.objects.filter(pk=order.pk).update(**fields)
    return order


def file_of(response: Any) -> str:
    return b"".join(response.streaming_content).decode()


@pytest.fixture
def three(owner: User, app: ConnectedApp) -> list[Order]:
    scheduler = grants.grant(owner, app.connection, frozenset({Scope.READ}), source=Source.OAUTH, name="Scheduler")
    grants.activate(scheduler)
    long_ago = timezone.now() - timedelta(days=10)
    return [
        change(make(app, Status.FILLED, symbol="AAPL"), side="SELL"),
        change(make(app, Status.WORKING, symbol="MSFT"), order_type="MKT", limit_price=None),
        change(make(scheduler, Status.CANCELLED, symbol="NVDA"), created_at=long_ago),
    ]


def test_each_filter_narrows_the_list_by_the_address_alone(browser: Browser, three: list[Order]) -> None:
    today, before = timezone.now().date(), timezone.now().date() - timedelta(days=5)
    assert shown(browser, "") == {"AAPL", "MSFT", "NVDA"}
    assert shown(browser, "symbol=aap") == {"AAPL"}
    assert shown(browser, "side=SELL") == {"AAPL"}
    assert shown(browser, "type=MKT") == {"MSFT"}
    assert shown(browser, "status=open") == {"MSFT"}
    assert shown(browser, "status=cancelled") == {"NVDA"}
    assert shown(browser, f"app={three[2].app_id}") == {"NVDA"}
    assert shown(browser, f"start={today - timedelta(days=1)}") == {"AAPL", "MSFT"}
    assert shown(browser, f"end={before}") == {"NVDA"}
    assert shown(browser, f"side=BUY&app={three[0].app_id}") == {"MSFT"}


def test_what_does_not_fit_is_said_beside_its_field(browser: Browser, three: list[Order]) -> None:
    words = words_of(browser.get("/orders/?type=SIDEWAYS&start=yesterday&end=2026-01-01"))
    assert "SIDEWAYS is not one of the available choices" in words
    assert "Enter a valid date" in words
    assert "This day is before the first one." in words_of(browser.get("/orders/?start=2026-02-01&end=2026-01-01"))


def test_the_first_and_the_last_day_of_the_calendar_are_days(browser: Browser, three: list[Order]) -> None:
    assert len(shown(browser, "start=0001-01-01&end=9999-12-31")) == len(three)


def test_older_pages_keep_the_filter_and_the_files_leave_the_page_out(browser: Browser, app: ConnectedApp) -> None:
    made = [make(app, Status.FILLED) for _ in range(52)]
    html = text_of(browser.get("/orders/?symbol=AAPL"))
    assert f"symbol=AAPL&amp;before={made[2].pk}" in html
    assert 'action="/orders/export.csv?symbol=AAPL"' in html
    assert 'formaction="/orders/export.ndjson?symbol=AAPL"' in text_of(
        browser.get(f"/orders/?symbol=AAPL&before={made[2].pk}")
    )


def test_an_open_page_is_told_only_what_is_new(browser: Browser, app: ConnectedApp) -> None:
    order = make(app, Status.WORKING)
    mark = text_of(browser.get("/orders/")).split('"X-Seen": "')[1].split('"')[0]
    assert browser.get("/orders/", headers={"X-Seen": mark}).status_code == 204
    change(order, status=Status.FILLED, filled_quantity=Decimal(10))
    assert browser.get("/orders/", headers={"X-Seen": mark}).status_code == 200


def test_the_files_have_what_the_filter_finds_and_are_on_record(
    browser: Browser, owner: User, three: list[Order]
) -> None:
    change(three[0], reason="=1+1")
    rows = list(csv.DictReader(io.StringIO(file_of(browser.post("/orders/export.csv?symbol=AAPL")))))
    assert [(row["order_id"], row["limit_price"], row["app"]) for row in rows] == [
        (three[0].public_id, "181.5", "Claude")
    ]
    assert rows[0]["reason"] == "'=1+1"
    lines = [json.loads(line) for line in file_of(browser.post("/orders/export.ndjson")).splitlines()]
    assert [line["symbol"] for line in lines] == ["NVDA", "MSFT", "AAPL"]
    assert (lines[1]["limit_price"], lines[1]["quantity"], lines[2]["reason"]) == (None, "10", "=1+1")
    recorded = Change.objects.filter(action=exports.EXPORTED).order_by("pk")
    assert [(row.user_id, row.target_id, row.detail["query"]) for row in recorded] == [
        (owner.pk, "CSV", "symbol=AAPL"),
        (owner.pk, "NDJSON", ""),
    ]


def test_nothing_is_exported_by_following_a_link(browser: Browser, three: list[Order]) -> None:
    for form in ("csv", "ndjson"):
        assert browser.get(f"/orders/export.{form}").status_code == 405
    assert not Change.objects.filter(action=exports.EXPORTED).exists()


def test_a_person_takes_ten_files_of_orders_an_hour_and_nobody_is_held_up_by_another(
    browser: Browser, others_browser: Browser, three: list[Order]
) -> None:
    for _ in range(export_limit.MOST_AN_HOUR):
        file_of(browser.post("/orders/export.csv"))
    for form in ("csv", "ndjson"):
        refused = browser.post(f"/orders/export.{form}?symbol=AAPL")
        assert refused["Location"] == "/orders/?symbol=AAPL"
    assert "You exported 10 times within an hour" in words_of(browser.get("/orders/"))
    assert Change.objects.filter(action=exports.EXPORTED).count() == export_limit.MOST_AN_HOUR
    assert "order_id" in file_of(others_browser.post("/orders/export.csv"))


def test_a_file_is_written_in_pieces(owner: User, app: ConnectedApp, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(7):
        make(app, Status.FILLED)
    monkeypatch.setattr(file_responses, "_ROWS", 2)
    request = RequestFactory().post("/orders/export.ndjson")  # the test client would join the pieces, to look in them
    request.user = owner
    pieces: Any = exports.ndjson(request)
    assert [piece.count(b"\n") for piece in pieces] == [2, 2, 2, 1]


def test_a_list_of_fifty_asks_the_database_as_often_as_one_of_one(browser: Browser, app: ConnectedApp) -> None:
    make(app, Status.FILLED)
    with CaptureQueriesContext(database) as one:
        browser.get("/orders/")
    for _ in range(50):
        make(app, Status.FILLED)
    with CaptureQueriesContext(database) as fifty:
        browser.get("/orders/")
    assert len(fifty) == len(one)


def test_nobody_else_sees_or_takes_them(
    others_browser: Browser, operators_browser: Browser, three: list[Order]
) -> None:
    for browser in (others_browser, operators_browser):
        for query in ("", f"app={three[0].app_id}", f"connection={three[0].connection_id}", "symbol=AAPL"):
            assert shown(browser, query) == set()
            table = file_of(browser.post(f"/orders/export.csv?{query}"))
            assert "order_id" in table and three[0].public_id not in table
            assert file_of(browser.post(f"/orders/export.ndjson?{query}")) == ""
        assert "Scheduler" not in words_of(browser.get("/orders/"))


def more_of(user: User) -> ConnectedApp:
    """An app of another connection."""
    more, _ = connection_lifecycle.open_paper(user, name="More", starting_cash=Decimal(100_000))
    return minting.mint(user, more, frozenset({Scope.READ}), name="Bot")[0].app


def test_pages_and_files_have_the_orders_of_all_connections_newest_first(
    browser: Browser, owner: User, other: User, app: ConnectedApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    second, theirs = (more_of(each) for each in (owner, other))
    mine = [make(which, Status.FILLED) for which in [app] * 2 + [second, app] * 30 + [second] * 60]
    make(theirs, Status.FILLED)
    newest = [order.public_id for order in reversed(mine)]

    listed, address = [], "/orders/"
    while address:
        page = browser.get(address).context["page"]
        listed += [order.public_id for order in page.rows]
        address = page.next_before and f"/orders/?before={page.next_before}"
    assert listed == newest

    answered, address = [], "/api/v1/orders?limit=7"
    while address:
        answer = browser.get(address).json()
        answered += [order["id"] for order in answer["items"]]
        address = answer["next"]
    assert answered == newest

    monkeypatch.setattr(keyset, "ROWS", 10)
    rows = csv.DictReader(io.StringIO(file_of(browser.post("/orders/export.csv"))))
    assert [row["order_id"] for row in rows] == newest
