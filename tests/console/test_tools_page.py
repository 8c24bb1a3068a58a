"""The documentation of the tools, made from the catalog that serves them."""

from django.test import Client as Browser

from console import toolsets
from tests.console.pages import text_of, words_of


def test_every_tool_is_there_with_its_arguments_and_its_scope(browser: Browser) -> None:
    html, words = text_of(browser.get("/docs/tools/")), words_of(browser.get("/docs/tools/"))
    for tool in toolsets.provided():
        assert f'id="{tool.name}"' in html
        assert f"Scope {tool.scope}." in words
    assert "side one of BUY, SELL, required" in words
    assert "confirmation_id text, optional" in words


def test_it_can_be_reached_from_every_page(browser: Browser) -> None:
    assert 'href="/docs/tools/"' in text_of(browser.get("/"))


def test_a_stranger_is_asked_to_sign_in() -> None:
    answer = Browser().get("/docs/tools/")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/sign-in/")
