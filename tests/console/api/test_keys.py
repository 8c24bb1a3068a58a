from datetime import timedelta

import pytest
from django.test import Client as Browser
from django.utils import timezone

from console.connections.models import Connection
from console.keys.models import ApiKey
from tests.console.api.rest import Rest


def test_a_key_reads_and_lasts_ninety_days_unless_told(session: Rest, paper: Connection) -> None:
    response = session.send("POST", "/keys", {"name": "nightly-report", "connection_id": paper.pk})
    assert response.status_code == 201
    assert response["Cache-Control"] == "no-store"
    made = response.json()
    assert made["key"]["scopes"] == ["mcp:read"]
    ends = ApiKey.objects.get(public_id=made["key"]["id"]).expires_at
    assert ends is not None
    assert abs(ends - timezone.now() - timedelta(days=90)) < timedelta(minutes=1)
    script = Rest(Browser(), made["secret"])
    assert script.get("/orders")["items"] == []
    for path in ("/keys", f"/keys/{made['key']['id']}"):
        assert made["secret"] not in session.send("GET", path).content.decode()


def test_it_may_last_until_it_is_revoked(session: Rest, paper: Connection) -> None:
    made = session.post(
        "/keys", {"name": "n", "connection_id": paper.pk, "expires_in_days": None, "never_reason": "x"}, status=201
    )
    assert made["key"]["expires_at"] is None


@pytest.mark.parametrize("days", [0, -1, 3651, "90", 1.5, True])
def test_days_are_a_whole_number_within_ten_years(session: Rest, paper: Connection, days: object) -> None:
    told = session.refused("POST", "/keys", {"name": "n", "connection_id": paper.pk, "expires_in_days": days})
    assert told["errors"][0]["field"] == "expires_in_days"


def test_a_key_that_may_trade_takes_a_proof(copied_session: Rest, paper: Connection) -> None:
    before = ApiKey.objects.count()
    wanted = {"name": "bot", "connection_id": paper.pk, "scopes": ["mcp:trade"]}
    assert copied_session.refused("POST", "/keys", wanted)["code"] == "re_authentication_required"
    assert ApiKey.objects.count() == before


def test_with_a_proof_it_trades(session: Rest, paper: Connection) -> None:
    made = session.post("/keys", {"name": "bot", "connection_id": paper.pk, "scopes": ["mcp:trade"]}, status=201)
    assert made["key"]["scopes"] == ["mcp:read", "mcp:trade"]


def test_a_revoked_key_stops_at_the_next_request_and_stays_in_the_list(session: Rest, paper: Connection) -> None:
    made = session.post("/keys", {"name": "n", "connection_id": paper.pk}, status=201)
    script = Rest(Browser(), made["secret"])
    script.get("/orders")
    for _ in range(2):
        assert session.post(f"/keys/{made['key']['id']}/revoke")["revoked_at"] is not None
    told = script.refused("GET", "/orders")
    assert (told["code"], "revoked" in told["detail"]) == ("unauthenticated", True)
    assert made["key"]["id"] in [key["id"] for key in session.get("/keys")["items"]]


def test_nobody_mints_for_or_sees_somebody_elses(session: Rest, others_session: Rest, paper: Connection) -> None:
    told = others_session.refused("POST", "/keys", {"name": "theft", "connection_id": paper.pk})
    assert (told["code"], told["errors"][0]["field"]) == ("not_found", "connection_id")
    made = session.post("/keys", {"name": "n", "connection_id": paper.pk}, status=201)["key"]
    assert others_session.get("/keys")["items"] == []
    assert others_session.refused("GET", f"/keys/{made['id']}")["code"] == "not_found"
    assert others_session.refused("POST", f"/keys/{made['id']}/revoke")["code"] == "not_found"
    assert session.get(f"/keys/{made['id']}")["revoked_at"] is None
