"""Giving the proof that a page asks for, as a person does."""

from playwright.sync_api import Page, expect


def with_password(page: Page, password: str) -> None:
    """On the page that says what will be done."""
    page.get_by_label("Your password").fill(password)
    page.locator("main .button-primary").click()


def with_passkey(page: Page) -> None:
    """The virtual authenticator answers at once."""
    expect(page.locator("[name=proof-credential]")).to_be_attached()
    page.locator("main .button-primary").click()


def somehow(page: Page, password: str) -> None:
    """With what this person has."""
    expect(page.locator("[name=proof-password], [name=proof-credential]").first).to_be_attached()
    field = page.get_by_label("Your password")
    if field.is_visible():
        field.fill(password)
    page.locator("main .button-primary").click()
