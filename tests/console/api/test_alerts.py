"""Alerts over REST: through the same services, for an app its own, for the owner all, for a stranger none."""

import json
from typing import Any

import pytest
from django.test import Client as Browser

from console.accounts.models import User
from console.alerts.models import Alert
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.keys import management_keys
from console.toolsets import Toolset
from tests.clock import Clock
from tests.console.alerts.conftest import Look, SetPrices, clock, look, market

__all__ = ["clock", "look", "market"]
pytestmark = pytest.mark.django_db

V1 = "/api/v1/alerts"
ABOVE = {"kind": "price", "symbol": "AAPL", "condition": "above", "value": "200"}


def send(key: str, method: str, path: str = "", body: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
    answer = Browser().generic(
        method, V1 + path, _text(body), "application/json", headers={"Authorization": f"Bearer {key}"}
    )
    return answer.status_code, answer.json()


def _text(body: dict[str, Any] | None) -> str:

    return "" if body is None else json.dumps(body)


@pytest.fixture
def key(trade_key: str) -> str:
    app = ConnectedApp.objects.get(api_keys__public_id=trade_key.split("_")[2])
    grants.set_toolsets(app, frozenset(Toolset), by=app.owner, may_widen=True)
    return trade_key


def test_an_app_creates_changes_reads_and_cancels_its_alert(
    key: str, look: Look, market: SetPrices, paper: Connection
) -> None:
    status, made = send(key, "POST", "", ABOVE | {"repeats": True})
    assert (status, made["now"], made["already_met"]) == (201, "100 USD", False)
    alert_id = made["alert"]["id"]
    look("201", market)
    status, told = send(key, "GET", f"/{alert_id}")
    assert (told["in_words"], told["fired"], told["last_value"]) == ("AAPL is above 200 USD", 1, "201")
    status, changed = send(key, "PATCH", f"/{alert_id}", {"value": "150", "condition": "below"})
    assert (status, changed["alert"]["in_words"]) == (200, "AAPL is below 150 USD")
    assert [each["title"] for each in send(key, "GET", "/history")[1]["items"]] == ["AAPL is above 200 USD (Paper)"]
    assert send(key, "POST", f"/{alert_id}/cancel", {})[1]["status"] == "cancelled"
    assert send(key, "GET", "?status=active")[1]["items"] == []
    assert [each["id"] for each in send(key, "GET")[1]["items"]] == [alert_id]


def test_every_address_is_off_until_the_owner_switches_it_on(trade_key: str, market: SetPrices) -> None:
    for method, path, body in (
        ("GET", "", None),
        ("POST", "", ABOVE),
        ("GET", "/alt_1", None),
        ("PATCH", "/alt_1", {"value": "1"}),
        ("POST", "/alt_1/cancel", {}),
        ("GET", "/history", None),
        ("POST", "/messages", {"text": "Look"}),
    ):
        assert send(trade_key, method, path, body)[1]["code"] == "toolset_off", (method, path)
    assert not Alert.objects.exists()


def test_another_connection_is_not_there(key: str, other: User, market: SetPrices) -> None:
    theirs = Connection.objects.create(owner=other, name="Theirs", broker="paper", environment="paper")
    status, told = send(key, "POST", "", ABOVE | {"connection_id": theirs.pk})
    assert (status, told["code"]) == (404, "not_found")


def test_an_owner_at_the_console_has_all_of_their_alerts_and_a_stranger_none(
    key: str, browser: Browser, others_browser: Browser, market: SetPrices, paper: Connection
) -> None:
    alert_id = send(key, "POST", "", ABOVE)[1]["alert"]["id"]
    made = browser.post(V1, ABOVE | {"connection_id": paper.pk}, content_type="application/json")
    assert made.status_code == 201
    assert len(browser.get(V1).json()["items"]) == 2
    assert browser.post(V1, ABOVE, content_type="application/json").json()["code"] == "missing_argument"
    assert others_browser.get(V1).json()["items"] == []
    assert others_browser.get(f"{V1}/{alert_id}").status_code == 404
    assert others_browser.post(f"{V1}/{alert_id}/cancel", {}, content_type="application/json").status_code == 404
    assert others_browser.get(f"{V1}/history?alert_id={alert_id}").status_code == 404
    assert send(key, "GET")[1]["items"][0]["id"] == alert_id


def test_a_management_key_reads_and_changes_nothing(
    key: str, owner: User, market: SetPrices, paper: Connection
) -> None:
    alert_id = send(key, "POST", "", ABOVE)[1]["alert"]["id"]
    _, manager = management_keys.mint(owner, name="terraform", expires_at=None)
    assert send(manager, "GET", f"/{alert_id}")[0] == 200
    for method, path, body in (
        ("POST", "", ABOVE | {"connection_id": paper.pk}),
        ("PATCH", f"/{alert_id}", {"value": "1"}),
        ("POST", f"/{alert_id}/cancel", {}),
        ("POST", "/messages", {"text": "Look"}),
    ):
        assert send(manager, method, path, body)[1]["code"] == "not_permitted", (method, path)
    assert Alert.objects.get().is_active


def test_an_app_sends_a_message_and_a_person_does_not(key: str, browser: Browser, clock: Clock) -> None:
    status, sent = send(key, "POST", "/messages", {"text": "Look at https://evil.example"})
    assert (status, sent["text"], sent["alert_id"]) == (201, "Look at https evil example", None)
    answer = browser.post(f"{V1}/messages", {"text": "Me"}, content_type="application/json")
    assert answer.json()["code"] == "not_permitted"
