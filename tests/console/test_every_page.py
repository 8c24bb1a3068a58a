"""What holds for all pages: their headers, nothing inline, nothing from elsewhere, and who may see them."""

import re

import pytest
from django.test import Client as Browser

from console.accounts.models import User
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.orders.models import Order
from tests.console.pages import text_of, words_of
from tests.console.present import at_the_browser
from tests.console.steps import order, pages, trade
from tests.plain_english import stiff_phrases

__all__ = ["order", "pages", "trade"]


@pytest.fixture
def browser(owner: User) -> Browser:
    """One that has just proved who it is, so that no page asks for that first."""
    return at_the_browser(owner)


@pytest.fixture
def actions(pages: dict[str, str], paper: Connection, app: ConnectedApp, order: Order) -> list[str]:
    on_connection = [f"/connections/{paper.pk}/{verb}/" for verb in ("pause", "resume", "trading-on", "trading-off")]
    on_connection += [f"/connections/{paper.pk}/{verb}/" for verb in ("check", "unlink")]
    on_connection += [f"/connections/{paper.pk}/{verb}/" for verb in ("policy", "confirmation-delay", "approval-wait")]
    on_connection += [f"/halts/connection/{paper.pk}/"]
    on_app = [f"/apps/{app.pk}/{verb}/" for verb in ("revoke", "pause", "resume", "narrow", "toolsets", "asking")]
    return [
        *on_connection,
        *on_app,
        f"/halts/app/{app.pk}/",
        f"{pages['an alert']}cancel/",
        f"{pages['a backtest']}cancel/",
        f"/journal/rebuild/{paper.pk}/",
        pages["a reset"],
        pages["a practice account's terms"],
        pages["a new practice account"],
        pages["revoke a key"],
        pages["revoke a management key"],
        pages["delete a client"],
        f"/orders/approvals/{order.confirmation.public_id}/release/",
        f"/orders/approvals/{order.confirmation.public_id}/reject/",
        f"/orders/{order.public_id}/cancel/",
        f"/orders/{order.public_id}/settle/",
        f"{pages['made elsewhere']}cancel/",
        f"/orders/approvals/letters/{paper.pk}/",
        f"{pages['a new standing rule']}",
        f"{pages['a standing rule']}end/",
        *(f"{pages['a plan']}{verb}/" for verb in ("start", "decline", "pause", "resume", "cancel")),
        f"/orders/closing/{paper.pk}/prepare/",
        f"/orders/closing/{paper.pk}/cancel/",
        f"/portfolio/test/{paper.pk}/",
        *(f"{pages['an error']}{verb}/" for verb in ("resolve", "reopen", "mute")),
    ]


def test_every_page_is_in_plain_english(browser: Browser, pages: dict[str, str]) -> None:
    read = {shows: stiff_phrases(words_of(browser.get(address))) for shows, address in pages.items()}
    assert {shows: found for shows, found in read.items() if found} == {}


def test_every_page_shows_itself_to_its_owner(browser: Browser, pages: dict[str, str]) -> None:
    assert {name: browser.get(url).status_code for name, url in pages.items()} == dict.fromkeys(pages, 200)


def test_every_page_sends_a_policy_and_has_nothing_inline(browser: Browser, pages: dict[str, str]) -> None:
    for url in [*pages.values(), "/nowhere/"]:
        response = browser.get(url)
        assert "default-src 'self'" in response["Content-Security-Policy"], url
        html = text_of(response)
        assert not re.search(r"\sstyle\s*=|<style|\son[a-z]+\s*=|javascript:", html), url
        assert not re.search(r"<script(?![^>]*\ssrc=)", html), url


def test_every_page_takes_scripts_styles_and_pictures_from_here(browser: Browser, pages: dict[str, str]) -> None:
    for url in pages.values():
        html = text_of(browser.get(url))
        for address in re.findall(r'<(?:link|script|img|use)[^>]+(?:href|src)="([^"]+)"', html):
            assert address.startswith("/static/") or address == "/manifest.webmanifest", (url, address)


def test_every_field_has_a_label(browser: Browser, pages: dict[str, str]) -> None:
    for url in pages.values():
        html = text_of(browser.get(url))
        for tag in re.findall(r"<(?:input|select|textarea)[^>]*>", html):
            if 'type="hidden"' not in tag:
                name = re.search(r'id="([^"]+)"', tag)
                assert name and f'for="{name[1]}"' in html, (url, tag)


def test_a_stranger_is_asked_to_sign_in_everywhere(pages: dict[str, str]) -> None:
    for url in pages.values():
        assert Browser().get(url)["Location"].startswith("/sign-in/"), url


def test_somebody_else_finds_nothing_of_it(others_browser: Browser, pages: dict[str, str], actions: list[str]) -> None:
    of_one_thing = [
        url
        for name, url in pages.items()
        if name.startswith(("a ", "an ", "revoke", "replace", "what", "delete", "limits", "lift", "unlink"))
    ]
    assert len(of_one_thing) == 32
    for url in of_one_thing:
        assert others_browser.get(url).status_code == 404, url
    for url in actions:
        assert others_browser.post(url).status_code == 404, url


def test_somebody_elses_lists_do_not_name_it(others_browser: Browser, pages: dict[str, str]) -> None:
    for name in (
        "home",
        "portfolio",
        "connections",
        "apps",
        "keys",
        "new key",
        "clients",
        "orders",
        "approvals",
        "timeline",
        "counts",
        "errors",
        "journal",
        "playground",
        "notifications",
    ):
        html = text_of(others_browser.get(pages[name] + "?everyone=1"))
        for private in (
            "Practice",
            "AAPL",
            "BTC/USD",
            "place_order",
            "nightly-report",
            "terraform",
            "Widget",
            "olivia@example.com",
        ):
            assert private not in html.replace('value="Practice"', ""), (name, private)


def test_nothing_changes_by_following_a_link(browser: Browser, actions: list[str], app: ConnectedApp) -> None:
    for url in actions:
        assert browser.get(url, follow=True).status_code in (200, 405), url
    app.refresh_from_db()
    assert app.revoked_at is None
    assert app.paused_at is None


def test_what_a_caller_sent_is_shown_as_text(browser: Browser, pages: dict[str, str]) -> None:
    assert "&lt;b&gt;" in text_of(browser.get(pages["a call"]))


def test_a_page_about_one_connection_says_paper_in_its_title(browser: Browser, pages: dict[str, str]) -> None:
    for name in (
        "a connection",
        "an app",
        "revoke an app",
        "revoke a key",
        "replace a key",
        "what a key did",
        "an order",
        "an approval",
        "a call",
    ):
        title = re.search(r"<title>(.*?)</title>", text_of(browser.get(pages[name])), re.S)
        assert title and "Paper" in title[1], name


def test_a_page_that_is_not_there_says_so_plainly(browser: Browser) -> None:
    response = browser.get("/nowhere/")
    assert response.status_code == 404
    assert "There is no such page" in text_of(response)
