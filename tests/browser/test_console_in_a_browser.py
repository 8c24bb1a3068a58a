"""The console as a person uses it, in Chromium."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser import proving
from tests.browser.steps import beyond, reads_well, resize
from tests.conftest import PASSWORD

LISTS = (
    "/",
    "/connections/",
    "/apps/",
    "/keys/",
    "/orders/",
    "/journal/",
    "/timeline/",
    "/errors/",
    "/clients/",
    "/security/",
    "/docs/tools/",
    "/help/",
    "/help/use/troubleshooting/",
    "/help/reference/errors/",
    "/help/develop/order-lifecycle/",
    "/help/errors/halted/",
    "/help/?q=vault",
)
GUIDES = ("/connect/", "/connect/claude-code/", "/connect/vscode/", "/connect/chatgpt/", "/connect/python/")
FORMS = (
    *("/connections/add/", "/keys/new/", "/keys/manage/new/", "/keys/leaked/", "/clients/new/"),
    *GUIDES,
    "/playground/",
    *("/recover/", "/security/password/", "/security/app/", "/security/passkey/"),
)


def add_connection(page: Page, home: str, name: str = "Swing") -> None:
    page.goto(f"{home}/connections/add/")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Starting cash").fill("25000")
    page.get_by_role("button", name="Add connection").click()
    expect(page.get_by_role("heading", name=f"{name} is ready")).to_be_visible()


def test_from_signing_in_to_taking_a_key_back(page: Page, home: str) -> None:
    add_connection(page, home)
    page.get_by_role("link", name="API keys").click()
    page.get_by_role("link", name="Create a key").click()
    page.get_by_label("Name").fill("nightly-report")
    page.get_by_role("button", name="Create key").click()
    secret = page.locator(".secret code").inner_text()
    assert secret.startswith("tl_paper_")
    page.reload()
    expect(page.get_by_role("heading", name="API keys")).to_be_visible()
    assert secret not in page.content()
    page.get_by_role("row", name="nightly-report").get_by_role("link", name="Revoke").click()
    page.get_by_role("button", name="Revoke key").click()
    expect(page.get_by_text("no longer works")).to_be_visible()
    page.get_by_text("No longer working (1)").click()
    expect(page.get_by_text("nightly-report", exact=True)).to_be_visible()
    page.get_by_role("button", name="Sign out").first.click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_the_tabs_and_the_copy_button_work(page: Page, home: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_text("Cursor", exact=True).click()
    panel = page.locator(".panel:visible")
    panel.get_by_role("button", name="Copy").click()
    expect(panel.get_by_role("button", name="Copied")).to_be_visible()
    copied = json.loads(page.evaluate("navigator.clipboard.readText()"))
    assert copied["mcpServers"]["tradelatch"]["url"].endswith("/mcp")


def test_the_playground_asks_for_the_password_before_it_may_trade(
    page: Page, home: str, trade_key: str, refused: set[int]
) -> None:
    refused.update((403, 404, 405))  # this server has no /mcp
    page.goto(f"{home}/playground/")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("heading", name="Start a playground that trades?")).to_be_visible()
    proving.with_password(page, PASSWORD)
    expect(page.get_by_role("link", name="Playground: Test key mcp:trade")).to_be_visible()


@pytest.mark.parametrize("width", [390, 1320])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_that_asks_for_a_proof_reads_well(
    page: Page, home: str, trade_key: str, width: int, scheme: Any
) -> None:
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 844})
    page.goto(f"{home}/keys/new/")
    page.get_by_label("Name").fill("W" * 60)
    page.get_by_label("Read and trade").check()
    page.get_by_role("button", name="Create key").click()
    expect(page.get_by_label("Your password")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_everything_works_by_keyboard(page: Page, home: str) -> None:
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Add connection").first).to_be_focused()


def test_on_a_phone_the_menu_leads_everywhere(page: Page, home: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.get_by_role("link", name="Recent errors")).to_be_hidden()
    page.get_by_text("Menu", exact=True).click()
    page.get_by_role("link", name="Recent errors").click()
    expect(page.get_by_role("heading", name="Recent errors")).to_be_visible()


def test_every_page_fits_its_window_and_axe_finds_nothing_in_it(page: Page, home: str) -> None:
    add_connection(page, home, "W" * 60)
    for url in (None, *LISTS, *FORMS):
        resize(page, 390)
        if url:
            page.goto(home + url)
        for width in (390, 760):
            resize(page, width)
            assert beyond(page) <= 0, (page.url, width)
        reads_well(page, 1320)


def test_a_row_is_no_taller_than_what_stands_in_it(page: Page, home: str) -> None:
    page.goto(f"{home}/connect/")
    resize(page, 390)
    assert page.evaluate(EMPTY_ROWS) == []


EMPTY_ROWS = """[...document.querySelectorAll('.rows > li > *')].filter(part => {
    const written = document.createRange();
    written.selectNodeContents(part);
    return part.getBoundingClientRect().height > written.getBoundingClientRect().height + 30;
  }).map(part => part.textContent.trim())"""
"""Parts of rows that are more than 30 pixels taller than what is written in them."""
