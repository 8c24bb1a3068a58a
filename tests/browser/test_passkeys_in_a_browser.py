"""Passkeys, with the virtual authenticator of Chromium in place of a finger."""

from typing import Any

from playwright.sync_api import Page, expect

from console.accounts import second_factors
from tests.browser import proving
from tests.browser.steps import add_passkey, sign_in, sign_out
from tests.conftest import PASSWORD


def test_a_passkey_is_added_and_signs_in_without_a_password(
    page: Page, owner: Any, console: str, authenticator: Any
) -> None:
    sign_in(page, console, owner.email)
    add_passkey(page, console)
    sign_out(page)
    page.goto(f"{console}/keys/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", name="API keys")).to_be_visible()


def test_with_a_passkey_the_password_is_only_half_the_way(
    page: Page, owner: Any, console: str, authenticator: Any
) -> None:
    sign_in(page, console, owner.email)
    add_passkey(page, console)
    sign_out(page)
    sign_in(page, console, owner.email)
    expect(page.get_by_role("heading", name="One more step")).to_be_visible()
    page.get_by_role("button", name="Use a passkey").click()
    expect(page.get_by_role("heading", name="Home")).to_be_visible()


def test_a_passkey_proves_presence_in_the_form_itself(page: Page, owner: Any, console: str, authenticator: Any) -> None:
    sign_in(page, console, owner.email)
    add_passkey(page, console)
    page.goto(f"{console}/security/password/")
    page.get_by_label("New password", exact=True).fill("seven purple wardrobes")
    page.get_by_label("New password again").fill("seven purple wardrobes")
    page.get_by_role("button", name="Change password").click()
    expect(page.get_by_text("Password changed.")).to_be_visible()


def test_without_the_passkey_the_password_and_a_recovery_code_mend_the_way_in(
    page: Page, owner: Any, console: str, authenticator: Any
) -> None:
    sign_in(page, console, owner.email)
    add_passkey(page, console)
    [spare, *_] = second_factors.new_codes(owner)
    page.get_by_role("link", name="Remove passkey Laptop").click()
    page.get_by_role("button", name="Remove").click()
    page.get_by_text("I do not have my passkey").click()
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_label("or a recovery code").fill(spare)
    page.get_by_role("button", name="Remove a second factor").click()
    expect(page.get_by_text("Your passkey Laptop is removed.")).to_be_visible()


def test_a_removed_passkey_opens_nothing(page: Page, owner: Any, console: str, authenticator: Any) -> None:
    sign_in(page, console, owner.email)
    add_passkey(page, console)
    page.get_by_role("link", name="Remove passkey Laptop").click()
    page.get_by_role("button", name="Remove").click()
    proving.with_passkey(page)
    expect(page.get_by_text("Your passkey Laptop is removed.")).to_be_visible()
    sign_out(page)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("That passkey is not registered here.")).to_be_visible()


def test_a_finger_that_is_not_the_owners_adds_nothing(page: Page, owner: Any, console: str, authenticator: Any) -> None:
    session, number = authenticator
    sign_in(page, console, owner.email)
    session.send("WebAuthn.setUserVerified", {"authenticatorId": number, "isUserVerified": False})
    page.goto(f"{console}/security/passkey/")
    page.get_by_role("button", name="Add passkey").click()
    proving.with_password(page, PASSWORD)
    page.get_by_role("button", name="Create passkey").click()
    expect(page.get_by_text("No passkey was chosen. Try again.")).to_be_visible()
    page.goto(f"{console}/security/")
    expect(page.get_by_text("You only have a password")).to_be_visible()
