"""What a person does in the playground."""

from typing import Any

from playwright.sync_api import Page, expect

from tests.browser import proving
from tests.serving import Server


def sign_in(page: Page, server: Server, next_: str = "/playground/") -> None:
    page.goto(f"{server.url}{next_}")
    page.get_by_label("E-mail").fill(server.quickstart["username"])
    page.get_by_label("Password").fill(server.quickstart["password"])
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Playground", exact=True)).to_be_visible()


def begin(page: Page, app: str, may: str = "Same as the app", *, password: str = "") -> None:
    """``password``: for an app that trades."""
    page.get_by_label("App", exact=True).select_option(label=next(each for each in labels(page) if app in each))
    page.get_by_label("Access").select_option(label=may)
    page.get_by_role("button", name="Start").click()
    if password:
        proving.somehow(page, password)


def labels(page: Page) -> list[str]:
    return page.locator("select[name=app] option").all_inner_texts()


def choose(page: Page, tool: str) -> None:
    page.get_by_role("button", name=tool, exact=True).click()
    expect(page.get_by_role("heading", name=tool, exact=True)).to_be_visible()


def answer(page: Page) -> Any:
    """What the page shows as the answer, once it does."""
    expect(page.get_by_role("heading", name="Answer", level=2)).to_be_visible()
    return page.locator("[data-answer-text]")
