"""The card of a prepared order in a host's sandbox: it greets its host, shows what the tool answered, and no more."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, FrameLocator, Page

from mcpserver import order_card

PREPARED: dict[str, Any] = {
    "status": "needs_confirmation",
    "summary": "Buy 0.1 BTC/USD at the market, day, on Practice (paper). It costs about 661.65 USD. <b>Ben & Co</b>",
    "estimate": {"price": "6600", "notional": "660", "fee": "1.65", "cash_effect": "-661.65", "currency": "USD"},
    "expires_at": "2999-01-01T00:00:00Z",
    "context": {"connection": "Practice", "account_id": "7N86422N", "environment": "paper"},
}
APPROVE = "https://desk.example.com/orders/ord_1/"
# The host: the card in a sandbox without its own origin, and every message of the card kept.
HOST = """<!doctype html><meta charset="utf-8"><title>Host</title><script>
window.heard = [];
addEventListener("message", (event) => {
  heard.push(event.data);
  if (event.data.method === "ui/initialize")
    event.source.postMessage({jsonrpc: "2.0", id: event.data.id, result: {protocolVersion: "2026-01-26",
      hostInfo: {name: "host", version: "1"}, hostCapabilities: {}, hostContext: {theme: THEME}}}, "*");
});
window.tell = (result) => document.querySelector("iframe").contentWindow.postMessage(
  {jsonrpc: "2.0", method: "ui/notifications/tool-result", params: result}, "*");
</script><iframe sandbox="allow-scripts" style="width: 100%; height: 420px; border: 0"></iframe>"""


@pytest.fixture(params=["light", "dark"])
def shown(request: pytest.FixtureRequest, context: BrowserContext) -> Iterator[tuple[Page, FrameLocator]]:
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda each: wrong.append(each.url) if each.url.startswith("http") else None)
    page.set_content(HOST.replace("THEME", json.dumps(request.param)))
    card = order_card.RESOURCE.run(None)["text"]  # type: ignore[arg-type]  # the page is the same for everybody
    page.evaluate("card => { document.querySelector('iframe').srcdoc = card }", card)
    page.wait_for_function("heard.some((each) => each.method === 'ui/notifications/initialized')")
    yield page, page.frame_locator("iframe")
    assert wrong == []
    page.close()


def methods(page: Page) -> list[str]:
    found: list[str] = page.evaluate("heard.map((each) => each.method)")
    return found


def tell(page: Page, answer: dict[str, Any]) -> None:
    page.evaluate("answer => tell({structuredContent: answer})", answer)


def test_it_shows_the_order_as_it_was_prepared(shown: tuple[Page, FrameLocator]) -> None:
    page, card = shown
    tell(page, PREPARED)
    card.locator("h1").filter(has_text="Prepared, not sent").wait_for()
    said = card.locator("main").inner_text()
    assert "<b>Ben & Co</b>" in said, "what a name holds is text"
    assert "660 USD" in said and "1.65 USD" in said and "Practice, 7N86422N" in said
    assert "Paper" in said
    assert set(methods(page)) <= {"ui/initialize", "ui/notifications/initialized", "ui/notifications/size-changed"}
    wide = card.locator("html").evaluate("root => root.scrollWidth - root.clientWidth")
    assert wide == 0


def test_what_waits_for_its_owner_leads_to_the_console_when_a_person_presses(
    shown: tuple[Page, FrameLocator],
) -> None:
    page, card = shown
    tell(page, PREPARED | {"status": "needs_approval", "approve_at": APPROVE})
    card.get_by_role("button", name="Review in Tradelatch").click()
    page.wait_for_function("heard.some((each) => each.method === 'ui/open-link')")
    asked = page.evaluate("heard.find((each) => each.method === 'ui/open-link').params")
    assert asked == {"url": APPROVE}


def test_a_refusal_is_shown_as_one(shown: tuple[Page, FrameLocator]) -> None:
    page, card = shown
    tell(page, {"error": {"code": "insufficient_funds", "message": "Not enough buying power."}})
    card.locator("h1").filter(has_text="Not prepared").wait_for()
    assert "Not enough buying power." in card.locator("main").inner_text()


def test_a_host_that_passes_text_alone_is_understood(shown: tuple[Page, FrameLocator]) -> None:
    page, card = shown
    page.evaluate("text => tell({content: [{type: 'text', text}]})", json.dumps(PREPARED))
    card.locator("h1").filter(has_text="Prepared, not sent").wait_for()
