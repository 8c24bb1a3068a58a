"""The documentation of the tools, made from the catalog that serves them."""

from django.test import Client as Browser

from console import toolsets
from tests.console.pages import text_of, words_of


def test_every_tool_is_there_with_its_arguments_and_its_scope(browser: Browser) -> None:
    html = text_of(browser.get("/docs/tools/"))
    for tool in toolsets.provided():
        assert f'href="/docs/tools/{tool.name}/"' in html
        words = words_of(browser.get(f"/docs/tools/{tool.name}/"))
        assert f"Scope {tool.scope}." in words
    words = words_of(browser.get("/docs/tools/place_order/"))
    assert "side one of BUY, SELL, required" in words
    assert "confirmation_id text, optional" in words


def test_a_tool_that_does_not_exist_has_no_page(browser: Browser) -> None:
    assert browser.get("/docs/tools/print_money/").status_code == 404


def test_it_can_be_reached_from_every_page(browser: Browser) -> None:
    assert 'href="/docs/tools/"' in text_of(browser.get("/"))


def test_a_stranger_is_asked_to_sign_in() -> None:
    answer = Browser().get("/docs/tools/")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in/")
