import pytest

from console.accounts.models import User
from console.authority import bearer
from console.connections.models import Connection
from console.scopes import Scope
from tests.console.api.rest import Rest

PAPER = {"name": "Practice two", "starting_cash": "2500.50"}


def test_a_paper_connection_is_opened_with_a_default_key_that_is_shown_once(session: Rest, owner: User) -> None:
    response = session.send("POST", "/connections", PAPER)
    assert response.status_code == 201
    assert response["Cache-Control"] == "no-store"
    made = response.json()
    who = bearer.authenticate(made["key"])
    assert (who.connection_id, who.scopes) == (made["connection"]["id"], frozenset({Scope.READ}))
    assert made["connection"]["equity"] == "2500.5"
    assert made["connection"]["environment"] == "paper"
    for path in ("/connections", "/keys", f"/connections/{made['connection']['id']}"):
        assert made["key"] not in session.send("GET", path).content.decode()


@pytest.mark.parametrize("cash", ["0", "0.99", "1.001", "1000000000.01", "-5", "99999999999999999999"])
def test_starting_cash_keeps_to_what_the_page_takes(session: Rest, cash: str) -> None:
    told = session.refused("POST", "/connections", {**PAPER, "starting_cash": cash})
    assert [error["field"] for error in told["errors"]] == ["starting_cash"]


def test_a_name_is_given_once(session: Rest, paper: Connection) -> None:
    told = session.refused("POST", "/connections", {**PAPER, "name": "Practice"})
    assert told["errors"][0]["field"] == "name"


def test_it_is_listed_and_shown_to_its_owner_alone(session: Rest, others_session: Rest, paper: Connection) -> None:
    assert [each["name"] for each in session.get("/connections")["items"]] == ["Practice"]
    shown = session.get(f"/connections/{paper.pk}")
    assert shown["created_at"].endswith("Z")
    assert others_session.get("/connections")["items"] == []
    assert others_session.refused("GET", f"/connections/{paper.pk}")["code"] == "not_found"


def test_it_is_paused_and_resumed_as_often_as_asked(session: Rest, paper: Connection) -> None:
    for _ in range(2):
        assert session.post(f"/connections/{paper.pk}/pause")["paused_at"] is not None
    for _ in range(2):
        assert session.post(f"/connections/{paper.pk}/resume")["paused_at"] is None


def test_trading_is_switched_off_at_once_and_on_with_a_proof(
    copied_session: Rest, paper: Connection, trader: Rest
) -> None:
    assert copied_session.post(f"/connections/{paper.pk}/trading-off")["trading_enabled"] is False
    order = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1"}
    assert trader.refused("POST", "/orders", order)["code"] == "trading_disabled"
    told = copied_session.refused("POST", f"/connections/{paper.pk}/trading-on")
    assert told["code"] == "re_authentication_required"
    paper.refresh_from_db()
    assert paper.trading_enabled is False


def test_with_a_proof_trading_is_switched_on(session: Rest, paper: Connection) -> None:
    session.post(f"/connections/{paper.pk}/trading-off")
    assert session.post(f"/connections/{paper.pk}/trading-on")["trading_enabled"] is True
