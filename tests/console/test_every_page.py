"""What holds for all pages: their headers, nothing inline, nothing from elsewhere, and who may see them."""

import re
from datetime import timedelta

import pytest
from django.test import Client as Browser
from django.utils import timezone

from brokers.paper.adapter import PaperBroker
from console.accounts.models import User
from console.clients import registration
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.halts import services as halts
from console.journal import notes, sync
from console.journal.models import RoundTrip
from console.keys import management_keys, minting
from console.orders.models import Confirmation, Order, OutsideOrder
from console.scopes import Scope
from tests.brokers.paper.support import order as paper_order
from tests.console.pages import log, text_of, words_of
from tests.console.present import at_the_browser
from tests.plain_english import stiff_phrases

READ = frozenset({Scope.READ})


@pytest.fixture
def pages(owner: User, paper: Connection, app: ConnectedApp, order: Order, trade: RoundTrip) -> dict[str, str]:
    """Every address of the console, by what it shows; each with something on it."""
    key, _ = minting.mint(owner, paper, READ, name="nightly-report")
    management, _ = management_keys.mint(owner, name="terraform", expires_at=None)
    client, _ = registration.register_static(
        owner, name="Widget", redirect_uris=["https://widget.example.com/cb"], scopes=READ
    )
    halt = halts.halt_connection(paper, by=app, reason="<b>Enough</b>")
    call = log(app, tool="place_order", outcome="refused", code="insufficient_funds", arguments={"symbol": "<b>"})
    return {
        "home": "/",
        "connections": "/connections/",
        "add a connection": "/connections/add/",
        "link okx": "/connections/add/okx/",
        "link coinbase": "/connections/add/coinbase/",
        "unlink a connection": f"/connections/{paper.pk}/unlink/",
        "a connection": f"/connections/{paper.pk}/",
        "limits of a connection": f"/connections/{paper.pk}/limits/",
        "limits of an app": f"/apps/{app.pk}/limits/",
        "halts": "/halts/",
        "lift a halt": f"/halts/{halt.pk}/lift/",
        "apps": "/apps/",
        "an app": f"/apps/{app.pk}/",
        "revoke an app": f"/apps/{app.pk}/revoke/",
        "keys": "/keys/",
        "leaked key": "/keys/leaked/",
        "new key": "/keys/new/",
        "revoke a key": f"/keys/{key.public_id}/revoke/",
        "replace a key": f"/keys/{key.public_id}/rotate/",
        "what a key did": f"/keys/{key.public_id}/activity/",
        "revoke a management key": f"/keys/manage/{management.public_id}/revoke/",
        "clients": "/clients/",
        "new client": "/clients/new/",
        "a client": f"/clients/{client.pk}/",
        "delete a client": f"/clients/{client.pk}/delete/",
        "orders": "/orders/",
        "an order": f"/orders/{order.public_id}/",
        "made elsewhere": f"/orders/elsewhere/{made_elsewhere(paper).pk}/",
        "approvals": "/orders/approvals/",
        "an approval": f"/orders/approvals/{order.confirmation.public_id}/",
        "a way out": f"/orders/closing/{paper.pk}/",
        "activity": "/activity/",
        "a call": f"/activity/{call.request_id}/",
        "errors": "/errors/",
        "security": "/security/",
        "change password": "/security/password/",
        "add app": "/security/app/",
        "add passkey": "/security/passkey/",
        "journal": "/journal/",
        "a trade": f"/journal/{trade.public_id}/",
        "a performance": f"/connections/{paper.pk}/performance/",
        "a list of practice accounts": f"/connections/{paper.pk}/practice/",
        "a new practice account": f"/connections/{paper.pk}/practice/new/",
        "a reset": f"/connections/{paper.pk}/practice/{paper.default_account}/reset/",
        "a practice account's terms": f"/connections/{paper.pk}/practice/{paper.default_account}/model/",
        "developers": "/developers/",
        "tools": "/docs/tools/",
        "connect": "/connect/",
        "setup guide": "/connect/cursor/",
        "playground": "/playground/",
    }


def made_elsewhere(connection: Connection) -> OutsideOrder:
    return OutsideOrder.objects.create(
        connection=connection,
        account_id=connection.default_account,
        broker_order_id="B-1",
        client_order_id="<b>by hand</b>",
        status="working",
        symbol="AAPL",
        filled_quantity=0,
        seen_at=timezone.now(),
    )


@pytest.fixture
def browser(owner: User) -> Browser:
    """One that has just proved who it is, so that no page asks for that first."""
    return at_the_browser(owner)


@pytest.fixture
def actions(pages: dict[str, str], paper: Connection, app: ConnectedApp, order: Order) -> list[str]:
    on_connection = [f"/connections/{paper.pk}/{verb}/" for verb in ("pause", "resume", "trading-on", "trading-off")]
    on_connection += [f"/connections/{paper.pk}/{verb}/" for verb in ("check", "unlink")]
    on_connection += [f"/connections/{paper.pk}/{verb}/" for verb in ("policy", "confirmation-delay")]
    on_connection += [f"/halts/connection/{paper.pk}/"]
    on_app = [f"/apps/{app.pk}/{verb}/" for verb in ("revoke", "pause", "resume", "narrow", "toolsets", "asking")]
    return [
        *on_connection,
        *on_app,
        f"/halts/app/{app.pk}/",
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
        f"/orders/closing/{paper.pk}/prepare/",
        f"/orders/closing/{paper.pk}/cancel/",
    ]


@pytest.fixture
def trade(paper: Connection) -> RoundTrip:
    """One round trip with what led to it, and a note that means harm."""
    broker = PaperBroker.open(paper.settings)
    for side in ("BUY", "SELL"):
        broker.submit(paper.default_account, paper_order(side, "1", "BTC/USD"))
    sync.sync_connection(paper)
    found = RoundTrip.objects.get()
    notes.add(paper.pk, found.public_id, "<b>Sold too soon</b>", ["<i>haste</i>"], by="Claude", app_id=1)
    return found


@pytest.fixture
def order(app: ConnectedApp) -> Order:
    now = timezone.now()
    confirmation = Confirmation.objects.create(
        public_id="cnf_1",
        app=app,
        terms={"summary": "Buy 10 AAPL.", "price": "181.5"},
        terms_digest="0" * 64,
        created_at=now,
        expires_at=now + timedelta(seconds=120),
    )
    return Order.objects.create(
        public_id="ord_1",
        connection=app.connection,
        app=app,
        confirmation=confirmation,
        account_id="PAPER-1",
        client_order_id="mine-1",
        wire_id="0" * 32,
        symbol="AAPL",
        asset_class="stock",
        currency="USD",
        side="BUY",
        order_type="LMT",
        tif="DAY",
        quantity="10",
        limit_price="181.5",
        shown_price="181.5",
        status="awaiting_confirmation",
        created_at=now,
        moved_at=now,
    )


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
            assert address.startswith("/static/"), (url, address)


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
    assert len(of_one_thing) == 23
    for url in of_one_thing:
        assert others_browser.get(url).status_code == 404, url
    for url in actions:
        assert others_browser.post(url).status_code == 404, url


def test_somebody_elses_lists_do_not_name_it(others_browser: Browser, pages: dict[str, str]) -> None:
    for name in (
        "home",
        "connections",
        "apps",
        "keys",
        "new key",
        "clients",
        "orders",
        "approvals",
        "activity",
        "errors",
        "journal",
        "playground",
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
