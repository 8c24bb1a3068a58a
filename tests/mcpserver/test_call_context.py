"""What a call's row says of the client's side: its trace, its session, its program; the same by every way in."""

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client as Browser

from brokers import upstream_request
from console.accounts.models import User
from console.audit import log as audit_log
from console.audit.models import Call, CallOutcome
from console.authority import bearer
from console.connections.models import Connection, Policy
from console.errors import Code, Refusal
from console.limits import Limits
from mcpserver import pipeline
from tests.console.connections.fakes import ALPACA
from tests.mcpserver.linked_brokers import link
from tests.mcpserver.ways import META, Way, call, request, sdk, short
from tests.mcpserver.wire import MODERN

__all__ = ["sdk", "short"]

TRACE, OTHER = "4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
QUOTE = call("get_quote", {"symbols": ["AAPL"]})


def rows() -> list[tuple[Any, ...]]:
    return list(
        Call.objects.order_by("pk").values_list("trace_id", "session_id", "client_name", "client_version", "outcome")
    )


@pytest.mark.parametrize("era", [MODERN, "2025-11-25"])
def test_both_ways_write_the_same(short: Way, sdk: Way, trade_key: str, era: str) -> None:
    modern = era == MODERN
    good = request(trade_key, era, "tools/call", QUOTE, traceparent=PARENT, mcp_session_id="gateway-7")
    refused = request(trade_key, era, "tools/call", call("get_quote"), traceparent=PARENT)
    client = ("wire", "1") if modern else (None, None)
    for way in (short, sdk):
        Call.objects.all()._raw_delete(using="default")
        way.send(good, refused)
        assert rows() == [(TRACE, "gateway-7", *client, "ok"), (TRACE, None, *client, "refused")]


def test_the_trace_of_the_message_goes_before_that_of_a_proxy(short: Way, trade_key: str) -> None:
    meta = META | {"traceparent": f"00-{OTHER}-00f067aa0ba902b7-01"}
    short.send(request(trade_key, MODERN, "tools/call", QUOTE | {"_meta": meta}, traceparent=PARENT))
    assert rows()[0][0] == OTHER
    assert short.asked == 0


@pytest.mark.parametrize(
    "parent",
    [
        "",
        TRACE,
        PARENT.upper(),
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        PARENT + "x",
    ],
)
def test_what_is_no_traceparent_is_left_out(short: Way, trade_key: str, parent: str) -> None:
    short.send(request(trade_key, MODERN, "tools/call", QUOTE, traceparent=parent))
    assert rows()[0][0] is None


def test_a_client_that_calls_itself_by_a_secret_or_a_novel_is_masked_and_cut(short: Way, trade_key: str) -> None:
    info = {"name": f"agent {trade_key}", "version": "9" * 500}
    meta = META | {"io.modelcontextprotocol/clientInfo": info}
    short.send(request(trade_key, MODERN, "tools/call", QUOTE | {"_meta": meta}, mcp_session_id="s" * 500))
    _, session, name, version, _ = rows()[0]
    assert name == "agent [masked]"
    assert len(session) <= 128 and len(version) <= 40


def test_who_is_turned_away_at_the_door_leaves_a_trace_too(short: Way, trade_key: str) -> None:
    short.send(request(trade_key, "2025-11-25", "tools/call", QUOTE, traceparent=PARENT, content_type="text/plain"))
    assert rows() == [(TRACE, None, None, None, "refused")]


def test_the_rest_api_writes_and_shows_it(transactional_db: None, trade_key: str) -> None:
    headers = {"authorization": f"Bearer {trade_key}", "traceparent": PARENT}
    assert Browser().get("/api/v1/activity", headers=headers).status_code == 200
    found = Call.objects.get()
    assert found.trace_id == TRACE
    told = Browser().get(f"/api/v1/activity/{found.request_id}", headers=headers).json()
    assert (told["trace_id"], told["session_id"], told["client_name"]) == (TRACE, None, None)


def test_who_is_turned_away_has_nothing_of_the_call_that_the_thread_answered_before(transactional_db: None) -> None:
    upstream_request.note("of somebody else", is_write=True)
    pipeline.reject(None, Refusal(Code.BODY_TOO_LARGE, "Too large."), request_id="req_1", ip="", user_agent="")
    assert Call.objects.get().upstream_request_id is None


def test_a_brokers_id_that_is_longer_once_it_is_written_out_still_has_its_row(transactional_db: None) -> None:
    upstream_request.forget()
    upstream_request.note("\xad" * 100, is_write=True)
    audit_log.record_call(audit_log.Entry(request_id="req_1", outcome=CallOutcome.OK, duration_us=1))
    upstream_request.forget()
    found = str(Call.objects.get().upstream_request_id)
    assert found.startswith("\\u00ad\\u00ad") and len(found) <= 100


@pytest.mark.django_db(transaction=True)
def test_the_brokers_id_of_what_was_sent_stands_beside_the_call(owner: User) -> None:
    with ALPACA.running() as fake:
        key = link(owner, ALPACA, fake, limits=Limits(order_notional=Decimal(10**6), daily_notional=Decimal(10**7)))
        Connection.objects.update(policy=Policy.TWO_STEP, confirmation_delay=0)
        Call.objects.all()._raw_delete(using="default")

        def run(tool: str, **arguments: Any) -> dict[str, Any]:
            return pipeline.call(bearer.authenticate(key), tool, arguments, request_id=f"req_{tool}").content

        shown = run("place_order", symbol="AAPL", side="BUY", quantity="1", order_type="LMT", limit_price="90")
        run("confirm_trade", confirmation_id=shown["confirmation_id"])
        run("get_quote", symbols=["AAPL"])
    ids = dict(Call.objects.values_list("tool", "upstream_request_id"))
    assert str(ids["confirm_trade"]).startswith("POST-"), ids
    assert str(ids["place_order"]).startswith("GET-"), ids
    assert str(ids["get_quote"]).startswith("GET-"), ids
