"""What a person does at the console in a browser, and how a page is judged."""

from importlib import resources
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser import proving
from tests.conftest import PASSWORD

# The package carries the file; its own wrapper is not used.
AXE = Path(str(resources.files("axe_playwright_python") / "axe.min.js"))


def sign_in(page: Page, console: str, email: str) -> None:
    page.goto(f"{console}/sign-in/")
    page.get_by_label("E-mail").fill(email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()


def add_passkey(page: Page, console: str, password: str = PASSWORD) -> None:
    page.goto(f"{console}/security/")
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_label("Name").fill("Laptop")
    page.get_by_role("button", name="Add passkey").click()
    proving.with_password(page, password)
    page.get_by_role("button", name="Make the passkey").click()
    expect(page.get_by_role("heading", name="Keep your recovery codes")).to_be_visible()
    page.get_by_role("link", name="I have kept them").click()
    expect(page.get_by_text("Passkey Laptop", exact=True)).to_be_visible()


def sign_out(page: Page) -> None:
    page.get_by_role("button", name="Sign out").first.click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
