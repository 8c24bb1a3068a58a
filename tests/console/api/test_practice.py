"""Practice accounts over REST: open, copy, reset, tune; an app within what binds apps, nobody on what is not theirs."""

from decimal import Decimal

import pytest
from django.test import Client as Browser

from console import limits
from console.accounts.models import User
from console.api import openapi
from console.connections import services as connections
from console.connections.models import Connection
from console.halts import services as halts
from console.keys import minting
from console.practice import services as practice
from console.scopes import Scope
from tests.clock import Clock
from tests.console.api.conftest import account_of
from tests.console.api.rest import Rest


def accounts(rest: Rest, connection: Connection) -> list[str]:
    told = rest.get(f"/connections/{connection.pk}/practice-accounts")["accounts"]
    return [each["name"] for each in told]


def put(rest: Rest, path: str, body: dict[str, object]) -> dict[str, object]:
    told: dict[str, object] = rest._json(rest.send("PUT", path, body), 200)
    return told


def test_an_app_and_its_owner_open_accounts_beside_the_first(trader: Rest, session: Rest, paper: Connection) -> None:
    path = f"/connections/{paper.pk}/practice-accounts"
    [first] = accounts(session, paper)
    made = trader.post(path, {"name": "Second", "cash": "500.50", "preset": "realistic"}, status=201)
    assert made["left_out"] == []
    account = made["account"]
    assert (account["starting_cash"], account["currency"], account["model"]["preset"]) == ("500.5", "USD", "realistic")
    session.post(path, {"name": "Third"}, status=201)
    assert accounts(trader, paper) == [first, "Second", "Third"]
    assert trader.get(f"{path}/{account['account_id']}") == account
    told = trader.refused("POST", path, {"name": "Second"})
    assert (told["code"], told["errors"][0]["field"]) == ("invalid_argument", "name")


def test_a_copy_takes_cash_and_positions_of_another_connection_of_the_same_owner(
    session: Rest, trader: Rest, owner: User, paper: Connection, others_paper: Connection
) -> None:
    path = f"/connections/{paper.pk}/practice-accounts"
    copy = {"name": "Copy", "clone_connection_id": others_paper.pk}
    for rest in (session, trader):
        assert rest.refused("POST", path, copy)["code"] == "not_found"
    Connection.objects.filter(pk=others_paper.pk).update(owner=owner)
    assert trader.refused("POST", path, copy)["code"] == "not_found"
    assert session.post(path, copy, status=201)["account"]["starting_cash"] == "1000"
    own = {"name": "Twin", "clone_account_id": account_of(paper)}
    assert trader.post(path, own, status=201)["account"]["starting_cash"] == "100000"


def test_a_reset_takes_orders_back_and_starts_again(trader: Rest, paper: Connection, clock: Clock) -> None:
    made = trader.post(
        "/orders",
        {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1", "order_type": "LMT", "limit_price": "1000"},
        status=201,
    )
    order = trader.post("/orders/confirm", {"confirmation_id": made["confirmation"]["id"]})
    assert order["status"] == "working"
    done = trader.post(f"/connections/{paper.pk}/practice-accounts/{order['account_id']}/reset", {"cash": "250"})
    assert (done["cancelled_orders"], done["equity_before"]) == (1, "100000")
    assert trader.get(f"/orders/{order['id']}")["status"] == "cancelled"
    assert trader.get(f"/connections/{paper.pk}/performance")["equity"] == "250"


def test_a_model_is_set_whole_and_what_is_left_out_is_the_presets_own(trader: Rest, paper: Connection) -> None:
    path = f"/connections/{paper.pk}/practice-accounts/{account_of(paper)}/model"
    changed = put(trader, path, {"preset": "standard", "slippage_percent": "1.5", "margin": True})["model"]
    assert isinstance(changed, dict)
    assert (changed["slippage_percent"], changed["margin"], changed["fee_per_share"]) == ("1.5", True, "0.005")
    again = put(trader, path, {"preset": "standard"})["model"]
    assert isinstance(again, dict)
    assert again["slippage_percent"] != "1.5"
    assert trader.refused("PUT", path, {"preset": "standard", "slippage_percent": "11"})["code"] == "invalid_argument"
    assert trader.refused("PUT", path, {"slippage_percent": "1"})["code"] == "missing_argument"
    assert trader.refused("PUT", path, {"preset": "mine"})["code"] == "invalid_argument"


def test_every_rate_there_is_is_described() -> None:
    schemas = openapi.document()["components"]["schemas"]
    for name in ("PracticeModelInRequest", "PracticeModelOut"):
        assert set(practice.KNOBS) <= set(schemas[name]["properties"]), name


def test_what_binds_an_app_binds_its_key_and_not_its_owner(
    trader: Rest, session: Rest, owner: User, paper: Connection
) -> None:
    path, account = f"/connections/{paper.pk}/practice-accounts", account_of(paper)
    connections.set_limits(paper, limits.parse({"equity_share": "10"}), by=owner)
    assert trader.refused("POST", path, {"name": "More"})["code"] == "outside_limits"
    assert trader.refused("POST", f"{path}/{account}/reset")["code"] == "outside_limits"
    halts.halt_connection(paper, by=owner)
    assert trader.refused("PUT", f"{path}/{account}/model", {"preset": "frictionless"})["code"] == "halted"
    assert len(accounts(session, paper)) == 1
    session.post(path, {"name": "More"}, status=201)


def test_nobody_else_sees_or_changes_a_practice_account(
    others_session: Rest, operators_session: Rest, other: User, others_paper: Connection, paper: Connection
) -> None:
    path, account = f"/connections/{paper.pk}/practice-accounts", account_of(paper)
    _, raw = minting.mint(other, others_paper, frozenset({Scope.TRADE}), name="script")
    for stranger in (others_session, operators_session, Rest(Browser(), raw)):
        for method, address, body in (
            ("GET", path, None),
            ("POST", path, {"name": "Mine"}),
            ("GET", f"{path}/{account}", None),
            ("POST", f"{path}/{account}/reset", {"cash": "1"}),
            ("PUT", f"{path}/{account}/model", {"preset": "standard"}),
        ):
            assert stranger.refused(method, address, body)["code"] == "not_found", address
    [only] = practice.accounts(paper)
    assert only.starting_cash == Decimal(100_000)


def test_a_connection_with_real_books_has_no_practice_accounts(session: Rest, paper: Connection) -> None:
    Connection.objects.filter(pk=paper.pk).update(broker="alpaca")
    for method, body in (("GET", None), ("POST", {"name": "More"})):
        told = session.refused(method, f"/connections/{paper.pk}/practice-accounts", body)
        assert told["code"] == "not_found"


@pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "a", "cash": "0"}, {"name": "a", "cash": "-1"}, {"x": 1}])
def test_an_account_that_makes_no_sense_is_refused(session: Rest, paper: Connection, body: dict[str, object]) -> None:
    assert session.refused("POST", f"/connections/{paper.pk}/practice-accounts", body)["status"] == 400
    assert len(accounts(session, paper)) == 1
