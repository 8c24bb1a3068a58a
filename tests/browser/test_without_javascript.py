"""With JavaScript off, forms do the job: sign in, make things, prove who it is by password, stop and start trading."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from console.accounts.models import User
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.halts.models import Halt
from tests.browser.steps import sign_in
from tests.conftest import PASSWORD
from tests.console.steps import prepared_order


@pytest.fixture
def plain(chromium: Browser, console: str, owner: User) -> Iterator[Page]:
    """A browser that runs no script, with the owner signed in."""
    context = chromium.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844})
    page = context.new_page()
    sign_in(page, console, owner.email)
    expect(page.get_by_role("heading", name="Home")).to_be_visible()
    yield page
    context.close()


def test_a_key_is_made_and_revoked(plain: Page, console: str, paper: Connection) -> None:
    plain.goto(f"{console}/keys/new/")
    plain.get_by_label("Name").fill("nightly-report")
    plain.get_by_role("button", name="Create key").click()
    expect(plain.locator(".secret code")).to_contain_text("tl_paper_")
    plain.goto(f"{console}/keys/")
    plain.get_by_role("row", name="nightly-report").get_by_role("link", name="Revoke").click()
    plain.get_by_role("button", name="Revoke key").click()
    expect(plain.get_by_text("no longer works")).to_be_visible()


def test_trading_is_halted_and_the_halt_lifted_by_password(plain: Page, console: str, paper: Connection) -> None:
    plain.goto(f"{console}/halts/")
    plain.get_by_role("button", name="Halt all my trading").click()
    expect(plain.get_by_text("All your trading is halted.").first).to_be_visible()
    plain.goto(f"{console}/halts/{Halt.objects.get().pk}/lift/")
    plain.get_by_label("Your password").fill(PASSWORD)
    plain.get_by_role("button", name="Lift").click()
    expect(plain.get_by_text("All your trading is halted.")).to_have_count(0)


def test_the_menu_opens_and_the_times_are_switched_in_it(plain: Page, console: str, paper: Connection) -> None:
    plain.goto(f"{console}/security/time-zone/")
    plain.get_by_label("Time zone").select_option("Europe/Berlin")
    plain.get_by_role("button", name="Save").click()
    plain.get_by_text("Menu", exact=True).click()
    menu = plain.locator("#menu")
    menu.get_by_role("button", name="Use UTC").click()
    plain.get_by_text("Menu", exact=True).click()
    expect(menu.get_by_text("Times in UTC")).to_be_visible()
    expect(plain.get_by_role("heading", name="Security")).to_be_visible()


def test_an_order_is_rejected(plain: Page, console: str, owner: User, paper: Connection) -> None:
    app: Any = ConnectedApp.objects.filter(owner=owner, connection=paper).first()
    order = prepared_order(app)
    plain.goto(f"{console}/orders/approvals/{order.confirmation.public_id}/")
    plain.get_by_role("button", name="Decline").first.click()
    order.refresh_from_db()
    assert order.status in ("rejected_by_owner", "cancelled")


def test_the_person_signs_out(plain: Page, console: str) -> None:
    plain.get_by_text("Menu", exact=True).click()
    sign_out_of(plain)
    plain.goto(f"{console}/keys/")
    expect(plain.get_by_role("heading", name="Sign in")).to_be_visible()


def sign_out_of(page: Page) -> None:
    page.locator("#menu").get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
