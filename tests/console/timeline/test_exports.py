"""Exports of the timeline: what is in them, that they are on record and limited, that no file is held in memory."""

import csv
import io
import json
import tracemalloc
from datetime import timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client as Browser
from django.test import RequestFactory
from django.utils import timezone

from console import file_responses
from console.accounts.models import User
from console.audit import export_limit
from console.audit import log as audit_log
from console.audit.models import Call, Change
from console.connected_apps.models import ConnectedApp
from console.timeline import exports, sources, stream, views
from tests.console.pages import log, words_of


def sent(response: Any) -> str:
    assert response.status_code == 200
    return b"".join(response).decode()


def test_ndjson_has_every_entry_that_fits_in_full(browser: Browser, app: ConnectedApp) -> None:
    call = log(app, tool="get_quote", arguments={"symbol": "AAPL"})
    log(app, tool="get_cash")
    response = browser.post("/timeline/export/ndjson/?tool=get_quote")
    assert response["Content-Type"] == "application/x-ndjson"
    assert response["Cache-Control"] == "no-store"
    [line] = sent(response).splitlines()
    told = json.loads(line)
    assert told["request_id"] == call.request_id
    assert told["arguments"] == {"symbol": "AAPL"}


def test_csv_is_safe_to_open_in_a_spreadsheet(browser: Browser, app: ConnectedApp) -> None:
    log(app, tool="=1+1", arguments={"symbol": "@SUM(A1)"})
    rows = list(csv.DictReader(io.StringIO(sent(browser.post("/timeline/export/csv/?kind=call")))))
    assert [row["tool"] for row in rows] == ["'=1+1"]
    assert rows[0]["about"] == "'@SUM(A1)"
    assert list(rows[0]) == list(exports.COLUMNS)


def test_exports_say_what_is_known_of_the_client_and_which_rules_were_in_force(
    browser: Browser, app: ConnectedApp
) -> None:
    audit_log.record_change(app.owner, "limits changed", "connection", app.connection_id)
    rules = Change.objects.latest("pk").pk
    first = log(app)
    audit_log.record_change(app.owner, "narrowed", "app", app.pk)
    second = log(app)
    Call.objects.filter(pk=second.pk).update(trace_id="ab" * 16, client_name="Claude", upstream_request_id="ALP-1")
    rows = list(csv.DictReader(io.StringIO(sent(browser.post("/timeline/export/csv/?kind=call")))))
    told = {row["request_id"]: (row["trace_id"], row["client_name"], row["policy_revision"]) for row in rows}
    assert told == {
        first.request_id: ("", "", str(rules)),
        second.request_id: ("ab" * 16, "Claude", str(Change.objects.get(action="narrowed").pk)),
    }
    lines = [json.loads(line) for line in sent(browser.post("/timeline/export/ndjson/?kind=call")).splitlines()]
    assert [line.get("upstream_request_id") for line in lines] == ["ALP-1", None]
    assert lines[1]["policy_revision"] == rules


def test_an_export_goes_on_past_every_page_and_window(
    browser: Browser, owner: User, app: ConnectedApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "WINDOW", 7)
    monkeypatch.setattr(stream, "_CHUNK", 3)
    start = timezone.now() - timedelta(hours=1)
    for number in range(40):
        log(app, tool="get_cash" if number % 11 == 0 else "get_quote", at=start + timedelta(seconds=number))
    lines = sent(browser.post("/timeline/export/ndjson/?tool=get_cash")).splitlines()
    assert len(lines) == 4


def test_an_export_is_on_record_with_its_filters(browser: Browser, owner: User, app: ConnectedApp) -> None:
    sent(browser.post("/timeline/export/csv/?tool=get_quote&from=24h"))
    change = Change.objects.latest("pk")
    assert (change.action, change.target, change.target_id) == ("exported", "timeline", "csv")
    assert change.user_id == owner.pk
    assert change.after["filters"] == "tool=get_quote&from=24h"


def test_nothing_is_exported_by_following_a_link(browser: Browser) -> None:
    assert browser.get("/timeline/export/csv/").status_code == 405
    assert browser.post("/timeline/export/xml/").status_code == 404


def test_a_filter_that_makes_no_sense_exports_nothing(browser: Browser, app: ConnectedApp) -> None:
    log(app)
    response = browser.post("/timeline/export/csv/?outcome=maybe")
    assert response["Location"] == "/timeline/?outcome=maybe"
    assert not Change.objects.filter(action="exported").exists()


def test_a_person_exports_ten_times_an_hour_and_nobody_is_held_up_by_another(
    browser: Browser, others_browser: Browser, app: ConnectedApp
) -> None:
    for _ in range(export_limit.MOST_AN_HOUR):
        sent(browser.post("/timeline/export/ndjson/"))
    refused = browser.post("/timeline/export/ndjson/", follow=True)
    assert "You exported 10 times within an hour" in words_of(refused)
    assert Change.objects.filter(action="exported").count() == export_limit.MOST_AN_HOUR
    sent(others_browser.post("/timeline/export/ndjson/"))
    cache.clear()
    sent(browser.post("/timeline/export/ndjson/"))


def test_an_export_holds_a_few_rows_in_memory_however_many_there_are(
    owner: User, app: ConnectedApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Few at once, so that what is in memory of each piece does not hide a file that is.
    monkeypatch.setattr(stream, "_CHUNK", 100)
    monkeypatch.setattr(file_responses, "_ROWS", 100)
    row = log(app, arguments={"note": "x" * 190})
    at = timezone.now()
    Call.objects.bulk_create(
        Call(
            **{
                field.attname: getattr(row, field.attname)
                for field in Call._meta.concrete_fields
                if field.attname not in ("id", "request_id", "at")
            },
            request_id=f"many_{number}",
            at=at - timedelta(seconds=number),
        )
        for number in range(6_000)
    )

    def peak(query: str) -> tuple[int, int]:
        # The test client would join the pieces, to look in them.
        request = RequestFactory().post(f"/timeline/export/ndjson/?kind=call{query}")
        request.user = owner
        tracemalloc.start()
        response: Any = views.export(request, "ndjson")
        length = sum(len(part) for part in response)
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return length, used

    peak("&from=1m")  # what the first export loads stays
    short, long = peak("&from=30m"), peak("")
    assert long[0] > 3 * short[0]
    assert long[1] < 1.5 * short[1]
