"""A product embeds Tradelatch: it makes users, mints tokens for them, and their assistants act through /mcp."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests.catalogued import ALL, READERS
from tests.end_to_end.platform_steps import READ, TRADE, Product, add_platform, tools
from tests.mcpserver.wire import Wire
from tests.patience import at_most
from tests.serving import Server


@pytest.fixture(scope="module")
def product(server: Server) -> Iterator[Product]:
    server.query("UPDATE accounts_user SET is_operator = 1")
    yield add_platform(server)


def test_a_read_token_lists_the_tools_of_readers_and_a_trade_token_all(server: Server, product: Product) -> None:
    user = product.make_user()
    assert tools(server, product.token(user, READ)) == READERS
    assert tools(server, product.token(user, TRADE)) == ALL


def test_a_trade_token_places_an_order_that_is_confirmed_and_filled(server: Server, product: Product) -> None:
    wire = Wire(server.mcp_url, product.token(product.make_user(), TRADE))
    prepared = wire.result("place_order", {"symbol": "AAPL", "side": "BUY", "quantity": "3"})
    done = wire.result("confirm_trade", {"confirmation_id": prepared["confirmation_id"]})
    assert done["status"] == "filled"
    assert done["context"]["environment"] == "paper"
    row = server.query("SELECT source, app_label, outcome FROM audit_call ORDER BY id DESC LIMIT 1")
    assert row == [("platform", "Widget", "ok")]


def test_a_read_token_is_refused_an_order(server: Server, product: Product) -> None:
    wire = Wire(server.mcp_url, product.token(product.make_user(), READ))
    assert (
        wire.refusal("place_order", {"symbol": "AAPL", "side": "BUY", "quantity": "3"})["code"] == "insufficient_scope"
    )


def test_two_users_of_a_platform_do_not_see_each_other(server: Server, product: Product) -> None:
    one, two = product.make_user("First"), product.make_user("Second")
    seen = Wire(server.mcp_url, product.token(one, READ)).result("get_portfolio", {})
    assert seen["context"]["connection"] == "First"
    assert product.mint(two, READ | {"connection_id": one["connections"][0]["id"]}).status_code == 409


def test_tokens_minted_at_once_stand_for_one_app(server: Server, product: Product) -> None:
    user = product.make_user()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: product.mint(user, READ).status_code, range(16)))
    assert answers == [200] * 16
    apps = server.query(
        "SELECT count(*) FROM connected_apps_connectedapp WHERE connection_id = ?", user["connections"][0]["id"]
    )
    assert apps == [(1,)]


def test_the_published_key_is_the_one_that_signs(server: Server, product: Product) -> None:
    answer = httpx2.get(
        f"{server.url}/.well-known/jwks.json", headers={"Origin": "https://elsewhere.example"}, timeout=at_most(10)
    )
    assert answer.headers["access-control-allow-origin"] == "*"
    (key,) = answer.json()["keys"]
    assert (key["kty"], key["crv"], key["alg"]) == ("EC", "P-256", "ES256")
    assert "d" not in key, "the private part stays here"
    file = server.home / "secrets" / "platform_signing_key"
    assert file.stat().st_mode & 0o777 == 0o600


def test_tokens_outlive_a_restart(server: Server, product: Product) -> None:
    token = product.token(product.make_user(), READ)
    server.restart()
    assert tools(server, token) == READERS
