"""A row of the audit log never holds a secret, whatever a caller puts where, and never grows without bound."""

import json
from dataclasses import replace
from typing import Any

import pytest

from console import ids
from console.audit import log as audit_log
from console.audit import masking
from console.audit.models import Call, CallOutcome
from console.authority import bearer
from console.connections.models import Connection
from console.oauth import token_format

pytestmark = pytest.mark.django_db


def written(**fields: Any) -> Call:
    given: dict[str, Any] = {"request_id": "req_1", "outcome": CallOutcome.OK, "duration_us": 1500} | fields
    audit_log.record_call(audit_log.Entry(**given))
    return Call.objects.get()


@pytest.mark.parametrize("place", ["tool", "message", "user_agent", "argument", "argument name", "nested"])
def test_a_key_or_token_is_masked_wherever_it_stands(trade_key: str, place: str) -> None:
    said = f"please use {trade_key} thanks"
    places: dict[str, dict[str, Any]] = {
        "argument": {"arguments": {"symbol": said}},
        "argument name": {"arguments": {said: 1}},
        "nested": {"arguments": {"a": [{"b": [said]}]}},
    }
    row = written(**places.get(place, {place: said}))
    everything = json.dumps({name: str(value) for name, value in vars(row).items()})
    assert trade_key.split("_")[-1] not in everything
    assert "[masked]" in everything


def test_a_bearer_header_or_a_jwt_in_an_argument_is_masked() -> None:
    row = written(arguments={"note": "Authorization: Bearer abc.def-123", "jwt": "eyJhbGciOi.eyJzdWIi.c2lnbmF0dXJl"})
    assert row.arguments == {"note": "Authorization: [masked]", "jwt": "[masked]"}


def test_an_oauth_token_in_an_argument_is_masked() -> None:
    request = object()
    for made in (token_format.access_token(request), token_format.refresh_token(request)):
        assert masking.mask(f"use {made}!") == "use [masked]!"
    assert masking.mask("BEARER abc") == "[masked]"


def test_a_row_stays_small_whatever_was_sent() -> None:
    deep: Any = "x"
    for _ in range(50):
        deep = {"deeper": deep}
    row = written(
        arguments={f"name{n}": "v" * 10_000 for n in range(500)} | {"deep": deep},
        message="m" * 10_000,
        user_agent="u" * 10_000,
        tool="t" * 10_000,
    )
    assert len(json.dumps(row.arguments)) < 10_000
    assert (len(row.message), len(row.user_agent), len(row.tool)) == (500, 200, audit_log.LONGEST_TOOL)


WIDE: dict[str, Any] = {
    "texts": {f"a{n}": ["v" * 190] * 30 for n in range(30)},
    "objects": {f"a{n}": [{f"b{m}": {} for m in range(30)}] * 30 for n in range(30)},
    "lists": {f"a{n}": [[[] for _ in range(30)]] * 30 for n in range(30)},
    "numbers": {f"a{n}": [[2**52] * 30] * 30 for n in range(30)},
    "account numbers": {f"a{n}": [[{"account": "U" + "7" * 63}] * 30] * 30 for n in range(30)},
}


@pytest.mark.parametrize("kind", WIDE)
def test_a_row_stays_small_also_where_much_stands_within_much(kind: str) -> None:
    row = written(arguments={"symbol": "AAPL", **WIDE[kind]})
    assert row.arguments["symbol"] == "AAPL"
    said = json.dumps(row.arguments, ensure_ascii=False)
    assert len(said) < 60_000 and "[the rest was left out]" in said


def test_of_an_order_of_many_parts_nothing_is_left_out() -> None:
    part = {"side": "BUY", "symbol": "AAPL  261218C00150000", "quantity": "100", "limit_price": "1.25", "tif": "day"}
    sent = {"orders": [{**part, "note": "n" * 100, "legs": [part] * 4}] * 20}
    assert written(arguments=sent).arguments == sent


@pytest.mark.parametrize("value", ["a\x00b", "\ud800", float("inf"), 10**400, b"bytes", {1: 2}])
def test_any_value_can_be_stored(value: Any) -> None:
    row = written(arguments={"value": value})
    assert "value" in row.arguments


def test_a_row_tells_who_through_what_and_where(trade_key: str) -> None:
    who = bearer.authenticate(trade_key, ip="203.0.113.9", user_agent="host/1")
    row = written(principal=who, tool="get_cash", ip=who.ip, user_agent=who.user_agent)
    assert (row.user_label, row.source, row.scopes) == ("olivia@example.com", "apikey", "mcp:read mcp:trade")
    assert (row.connection_label, row.environment, row.duration_ms) == ("Practice", "paper", 1.5)
    assert row.credential_id and row.credential_id in trade_key


def test_of_an_account_number_the_record_keeps_the_end(paper: Connection, trade_key: str) -> None:
    who = replace(bearer.authenticate(trade_key), account_id="U7654321")
    row = written(
        principal=who,
        arguments={"account_id": "U7654321", "legs": [{"account": "DU998877"}]},
        message="Account U7654321 has no position.",
    )
    assert row.arguments == {"account_id": "•••4321", "legs": [{"account": "•••8877"}]}
    assert row.message == "Account •••4321 has no position."


def test_it_does_also_where_a_model_sends_it_as_a_number() -> None:
    sent = {"account_id": 76543210, "legs": [{"account": 88776655.0}], "from_account": None, "to_account": True}
    row = written(arguments=sent, message="There is no account 76543210.")
    assert row.arguments == {
        "account_id": "•••3210",
        "legs": [{"account": "•••55.0"}],
        "from_account": None,
        "to_account": True,
    }
    assert row.message == "There is no account •••3210."


@pytest.mark.parametrize(("number", "shown"), [("U7654321", "•••4321"), ("12345", "•••45"), ("12", "•••2"), ("7", "7")])
def test_a_short_account_number_is_not_told_whole(number: str, shown: str) -> None:
    assert ids.mask_account(number) == shown
