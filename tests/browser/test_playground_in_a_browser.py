"""The playground, in Chromium on the whole server: what is clicked goes through /mcp."""

import re
from collections.abc import Iterator

import httpx2
import pytest
from playwright.sync_api import Page, Request, expect

from tests.browser.playground_steps import answer, begin, choose, sign_in
from tests.browser.steps import beyond, reads_well, resize
from tests.catalogued import READERS
from tests.patience import at_most
from tests.serving import Server

TRADE, READ = "quickstart trade", "quickstart read"


@pytest.fixture
def sent(page: Page) -> Iterator[list[Request]]:
    """Every request the page makes."""
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))
    yield requests


def secret_in(sent: list[Request]) -> str:
    bearers = {request.headers["authorization"] for request in sent if request.url.endswith("/mcp")}
    assert len(bearers) == 1
    return bearers.pop().removeprefix("Bearer ")


def test_a_reader_sees_its_tools_and_calls_one(server: Server, page: Page, sent: list[Request]) -> None:
    sign_in(page, server)
    begin(page, READ)
    tools = page.locator("[data-tools] button")
    expect(tools).to_have_count(len(READERS))
    expect(page.get_by_role("button", name="place_order")).to_have_count(0)
    assert page.title() == "Playground: quickstart read (Paper) · Tradelatch"

    choose(page, "get_quote")
    page.get_by_label("symbols (required)").fill("AAPL, BTC/USD")
    page.get_by_role("button", name="Call").click()
    expect(answer(page)).to_contain_text('"environment": "paper"')
    expect(answer(page)).to_contain_text("BTC/USD")
    expect(page.locator("[data-status]")).to_have_text(re.compile(r"200 OK, [\d.]+ ms, [\d.]+ (bytes|kB)"))
    expect(page.locator("[data-wire-request]")).to_contain_text("Mcp-Name: get_quote")

    # The row under Activity is one click away, and is the stand-in's.
    page.locator("[data-trace] a").click()
    expect(page.get_by_text("Playground: quickstart read, API key, read only")).to_be_visible()

    secret = secret_in(sent)
    assert secret.startswith("tl_paper_")
    assert all(secret not in request.url for request in sent)
    assert all(secret not in (request.post_data or "") for request in sent)
    rows = server.query(
        "SELECT arguments, message, user_agent FROM audit_call UNION SELECT detail, '', '' FROM audit_change"
    )
    assert secret not in str(rows)
    assert secret not in server.log


def test_the_secret_is_nowhere_on_the_page(server: Server, page: Page, sent: list[Request]) -> None:
    sign_in(page, server)
    begin(page, READ)
    choose(page, "get_cash")
    page.get_by_role("button", name="Call").click()
    expect(page.locator("[data-wire-answer]")).to_contain_text("HTTP 200 OK")
    secret = secret_in(sent)
    assert secret not in page.content()
    assert secret[-10:] not in page.content()
    assert secret not in page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    page.get_by_role("button", name="End now").click()
    expect(page.get_by_role("button", name="Start")).to_be_visible()
    body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    headers = {"Authorization": f"Bearer {secret}", "Accept": "application/json"}
    assert httpx2.post(server.mcp_url, json=body, headers=headers, timeout=at_most(10)).status_code == 401


def test_a_refusal_says_what_was_wrong_and_the_json_can_be_mended(server: Server, page: Page) -> None:
    sign_in(page, server)
    begin(page, READ)
    choose(page, "get_quote")
    page.get_by_text("Arguments as JSON").click()
    page.get_by_label("Sent as arguments").fill('{"ticker": "AAPL"}')
    page.get_by_role("button", name="Call").click()
    expect(page.locator("[data-code]")).to_have_text("unknown_argument")
    expect(page.locator("[data-message]")).to_contain_text("It takes: symbols.")
    expect(page.locator("[data-code] a")).to_have_attribute("href", "/help/errors/unknown_argument/")
    page.get_by_label("Sent as arguments").fill('{"symbols": ')
    page.get_by_role("button", name="Call").click()
    expect(page.get_by_text("This is not a JSON object.")).to_be_visible()
    page.get_by_label("Sent as arguments").fill('{"symbols": ["AAPL"]}')
    expect(page.get_by_label("symbols (required)")).to_have_value("AAPL")
    page.get_by_role("button", name="Call").click()
    expect(page.locator("[data-refused]")).to_be_hidden()
    expect(answer(page)).to_contain_text('"symbol": "AAPL"')


def test_an_order_is_prepared_and_confirmed_on_paper(server: Server, page: Page, refused: set[int]) -> None:
    refused.add(403)  # what trades is refused to the page's script: the form goes in its place
    sign_in(page, server)
    begin(page, TRADE, password=server.quickstart["password"])
    choose(page, "place_order")
    page.get_by_label("symbol (required)", exact=True).fill("BTC/USD")
    page.get_by_label("side (required)").select_option("BUY")
    page.get_by_label("quantity", exact=True).fill("0.1")
    page.get_by_role("button", name="Call").click()
    expect(answer(page)).to_contain_text("awaiting_confirmation")
    page.get_by_role("button", name="Fill in confirm_trade").click()
    expect(page.get_by_label("confirmation_id (required)")).to_have_value(re.compile("^cnf_"))
    page.get_by_role("button", name="Call").click()
    expect(answer(page)).to_contain_text('"status": "filled"')
    rows = server.query(
        "SELECT o.status, o.symbol FROM orders_order o JOIN connected_apps_connectedapp a ON a.id = o.app_id"
        " WHERE a.name = ?",
        "Playground: quickstart trade",
    )
    assert rows == [("filled", "BTC/USD")]


def test_an_ended_key_is_refused_and_the_page_says_so(server: Server, page: Page, refused: set[int]) -> None:
    refused.add(401)
    sign_in(page, server)
    begin(page, READ)
    choose(page, "get_cash")
    server.query("UPDATE keys_apikey SET expires_at = '2020-01-01 00:00:00' WHERE note = 'Made by the playground'")
    with page.expect_response("**/mcp") as answered:
        page.get_by_role("button", name="Call").click()
    assert answered.value.status == 401
    expect(page.locator("[data-message]")).to_contain_text("This API key has expired.")


def test_axe_finds_nothing(server: Server, page: Page) -> None:
    sign_in(page, server)
    begin(page, READ)
    choose(page, "get_history")
    page.get_by_text("Arguments as JSON").click()
    page.get_by_role("button", name="Call").click()
    expect(page.locator("[data-code]")).to_have_text("missing_argument")
    reads_well(page, 1320)


def test_it_does_not_scroll_sideways(server: Server, page: Page) -> None:
    sign_in(page, server)
    begin(page, READ)
    choose(page, "get_quote")
    page.get_by_label("symbols (required)").fill("W" * 400)
    page.get_by_role("button", name="Call").click()
    expect(answer(page)).to_be_visible()
    for width in (390, 760, 1320):
        resize(page, width)
        assert beyond(page) <= 0, width
