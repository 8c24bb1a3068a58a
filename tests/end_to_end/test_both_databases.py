"""The same on SQLite and on PostgreSQL: an order to the cent, and what many calls at once may not do."""

import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import ROUND_HALF_UP, Decimal

import httpx2
import pytest
from mcp.client.client import Client

from tests import serving
from tests.end_to_end.platform_steps import READ, add_platform, tools
from tests.end_to_end.sdk_steps import Memory, through_oauth, told
from tests.mcpserver.wire import Wire
from tests.patience import at_most
from tests.person import Person
from tests.prepared import postgresql
from tests.serving import Server

pytestmark = pytest.mark.long


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def anywhere(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("anywhere") / "home"
    if request.param == "sqlite":
        with serving.serve(home) as server:
            yield server
        return
    with postgresql() as url:
        ran = serving.manage(home, 8000, "quickstart", "--json", TRADELATCH_DATABASE_URL=url)
        assert ran.returncode == 0, ran.stderr
        with serving.fresh(home, supervised=False, TRADELATCH_DATABASE_URL=url) as server:
            server.quickstart = json.loads(ran.stdout)
            yield server


@pytest.fixture
def trade(anywhere: Server) -> Wire:
    return Wire(anywhere.mcp_url, anywhere.quickstart["paper_key_trade"])


def test_an_order_fills_and_the_cash_falls_to_the_cent(trade: Wire) -> None:
    before = Decimal(trade.result("get_cash", {})["cash"][0]["total"])
    prepared = trade.result("place_order", {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.12345678"})
    order = trade.result("confirm_trade", {"confirmation_id": prepared["confirmation_id"]})["order"]
    assert (order["status"], order["filled_quantity"]) == ("filled", "0.12345678")
    cost = (Decimal(order["average_price"]) * Decimal("0.12345678")).quantize(Decimal("0.01"), ROUND_HALF_UP)
    after = Decimal(trade.result("get_cash", {})["cash"][0]["total"])
    assert before - after == cost + Decimal(order["fees"])


def test_twenty_confirmations_of_one_order_at_once_make_one_order(trade: Wire) -> None:
    prepared = trade.result("place_order", {"symbol": "SPY", "side": "BUY", "quantity": "1"})
    with ThreadPoolExecutor(20) as pool:
        answers = list(
            pool.map(
                lambda _: trade.result("confirm_trade", {"confirmation_id": prepared["confirmation_id"]}), range(20)
            )
        )
    filled = [answer for answer in answers if answer.get("status") == "filled"]
    refused = [answer["error"]["code"] for answer in answers if "error" in answer]
    assert len(filled) == 1
    assert set(refused) == {"confirmation_used"} and len(refused) == 19
    trades = [row for row in trade.result("get_transactions", {})["transactions"] if row.get("symbol") == "SPY"]
    assert sum(row["type"] == "trade" for row in trades) == 1


def test_orders_at_once_never_spend_the_same_cash_twice(trade: Wire) -> None:
    available = Decimal(trade.result("get_cash", {})["cash"][0]["available"])
    price = Decimal(trade.result("get_quote", {"symbols": ["AAPL"]})["quotes"][0]["ask"])
    quantity = str(int(available * Decimal("0.4") / price))

    def buy(_: int) -> str:
        prepared = trade.result("place_order", {"symbol": "AAPL", "side": "BUY", "quantity": quantity})
        answer = trade.result("confirm_trade", {"confirmation_id": prepared["confirmation_id"]})
        return str(answer.get("status") or answer["error"]["code"])

    with ThreadPoolExecutor(6) as pool:
        became = sorted(pool.map(buy, range(6)))
    assert became == ["filled"] * 2 + ["insufficient_funds"] * 4
    assert Decimal(trade.result("get_cash", {})["cash"][0]["total"]) >= 0


def test_of_many_keys_that_call_at_once_what_is_revoked_ends_with_its_next_call(anywhere: Server) -> None:
    account = anywhere.quickstart["username"], anywhere.quickstart["password"]
    with Person(anywhere.url, *account) as person:
        keys = [mint_key(person, f"caller {number}") for number in range(10)]
        wires = [Wire(anywhere.mcp_url, raw) for raw, _ in keys]

        def statuses(pool: ThreadPoolExecutor) -> list[int]:
            return list(pool.map(lambda wire: wire.call("get_quote", {"symbols": ["AAPL"]}).status_code, wires * 3))

        with ThreadPoolExecutor(30) as pool:
            assert statuses(pool) == [200] * 30
            for _, public_id in keys[:3]:
                person.post(f"/keys/{public_id}/revoke/", person.get(f"/keys/{public_id}/revoke/"))
            assert statuses(pool) == ([401] * 3 + [200] * 7) * 3


def mint_key(person: Person, name: str) -> tuple[str, str]:
    """A key and its public id."""
    page = person.get("/keys/new/")
    (connection, *_) = re.findall(r'name="connection" value="(\d+)"', page.text)
    made = person.post("/keys/new/", page, name=name, connection=connection, scope="read", expiry="90")
    found = re.search(r"tl_paper_([0-9A-Za-z]{8})_[0-9A-Za-z]{36}", made.text)
    assert found is not None, made.text[:2000]
    return found[0], found[1]


@pytest.mark.parametrize("path", ["/oauth/token", "/oauth/revoke"])
def test_a_nul_in_a_client_id_is_an_unknown_client(anywhere: Server, path: str) -> None:
    sent = {"client_id": "a\0b", "grant_type": "refresh_token", "refresh_token": "x\0", "token": "y\0"}
    answer = httpx2.post(f"{anywhere.url}{path}", data=sent, timeout=at_most(10))
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_a_host_signs_in_and_a_platform_mints(anywhere: Server) -> None:
    async def look(client: Client) -> None:
        assert (await told(client, "get_cash"))["cash"]

    through_oauth(anywhere, Memory(), connection="Practice", scope="mcp:read", use=look)
    product = add_platform(anywhere)
    token = product.token(product.make_user(), READ)
    assert {"get_cash", "get_pnl", "get_quote"} <= set(tools(anywhere, token))
    assert (
        httpx2.get(
            f"{anywhere.url}/api/v1/orders", headers={"Authorization": f"Bearer {token}"}, timeout=at_most(10)
        ).status_code
        == 200
    )


@pytest.fixture(scope="module")
def reader(anywhere: Server) -> Iterator[Person]:
    """Signs in once: a password is as slow to check as its hash is to make."""
    with Person(anywhere.url, anywhere.quickstart["username"], anywhere.quickstart["password"]) as person:
        yield person


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/connections/", "/apps/", "/keys/", "/clients/", "/clients/review/", "/orders/", "/timeline/"),
        *("/timeline/?tool=get_cash&everyone=1", "/errors/", "/people/", "/platforms/", "/security/", "/developers/"),
    ],
)
def test_every_page_opens(reader: Person, path: str) -> None:
    assert reader.get(path).status_code == 200


def test_a_verified_address_opens_the_account_of_exactly_that_address(anywhere: Server) -> None:
    script = (
        "from console.accounts import oidc; from console.accounts.models import User; "
        "User.objects.create_user('mike@example.com'); "
        "print([bool(oidc.account(email)) for email in "
        "('mike@example.com', 'Mike@Example.COM', 'm\\u0131ke@example.com', 'mike@example.org')])"
    )
    ran = serving.manage(anywhere.home, anywhere.port, "shell", "-v", "0", "-c", script, **anywhere.variables)
    assert ran.stdout.strip() == "[True, True, False, False]", ran.stdout + ran.stderr


def test_a_round_trip_is_in_the_journal_and_a_reset_writes_the_rest_off(trade: Wire) -> None:
    account = trade.result("create_paper_account", {"name": "Journal", "cash": "20000"})["account"]["account_id"]
    for side, quantity in (("BUY", "0.3"), ("SELL", "0.3"), ("BUY", "0.1")):
        order = {"symbol": "BTC/USD", "side": side, "quantity": quantity, "account_id": account}
        prepared = trade.result("place_order", order)
        assert trade.result("confirm_trade", {"confirmation_id": prepared["confirmation_id"]})["status"] == "filled"
    held, done = trade.result("get_journal_trades", {"account_id": account})["trades"]
    assert (held["status"], done["status"], done["quantity"]) == ("open", "closed", "0.3")
    cash = Decimal(trade.result("get_cash", {"account_id": account})["cash"][0]["total"])
    executions = trade.result("get_executions", {"account_id": account})["executions"]
    spent = (Decimal(executions[0]["price"]) * Decimal("0.1")).quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert abs(cash - (20000 + Decimal(done["net_pnl"]) - spent - Decimal(held["fees"]))) <= Decimal("0.02")
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda _: trade.result("get_journal_trades", {"account_id": account})["trades"], range(8)))
    assert all(each == told[0] for each in told)
    assert trade.result("reset_paper_account", {"account_id": account})["account"]["starting_cash"] == "20000"
    assert trade.result("get_journal_trades", {"account_id": account})["trades"][0]["ended_by"] == "reset"
    assert trade.result("get_account_summary", {"account_id": account})["equity"] == "20000"
