"""Help: the documentation in the console, searchable, with this instance's values, and open to everybody."""

import re
from html import unescape
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client as Browser
from django.test import override_settings

from console.accounts.models import User
from console.errors import EXPLANATIONS, Code
from console.help import documentation
from tests.console.pages import text_of, words_of

PAGES = [page.slug for page in documentation.every_page()]


@pytest.mark.parametrize("slug", PAGES)
def test_a_stranger_reads_every_page(slug: str, db: None) -> None:
    response = Browser().get(documentation.url_of(slug))
    assert response.status_code == 200
    assert "sign-out" not in text_of(response)
    styled = re.findall(r"<[^>]+ style=[^>]*>", text_of(response))
    assert styled == [], "the content security policy lets no style attribute through"


def test_every_link_and_picture_leads_somewhere(db: None) -> None:
    wanted = {
        address: page.slug
        for page in documentation.every_page()
        for address in re.findall(r'(?:href|src)="(/help/[^"?]*)', page.body)
    }
    seen: dict[str, str] = {}
    for address, slug in wanted.items():
        path, _, anchor = address.partition("#")
        if path not in seen:
            response = Browser().get(path)
            assert response.status_code == 200, (slug, address)
            seen[path] = text_of(response)
        assert not anchor or f'id="{anchor}"' in seen[path], (slug, address)


def test_it_is_in_the_menu_of_everybody(browser: Browser, db: None) -> None:
    assert 'href="/help/"' in text_of(browser.get("/"))
    assert 'href="/sign-in/"' in text_of(Browser().get("/help/"))


@override_settings(REQUIRE_SECOND_FACTOR=True)
def test_who_still_has_to_set_up_a_second_factor_may_read_it(browser: Browser) -> None:
    assert browser.get("/connections/").status_code == 302
    assert browser.get("/help/use/connect/").status_code == 200


def test_it_says_the_address_and_the_limits_of_this_instance(db: None) -> None:
    documentation._rendered.cache_clear()
    with override_settings(PUBLIC_URL="https://desk.example.com", CALLS_PER_MINUTE=77):
        connect, mcp = text_of(Browser().get("/help/use/connect/")), words_of(Browser().get("/help/build/mcp/"))
        start = words_of(Browser().get("/help/"))
    documentation._rendered.cache_clear()
    assert "https://desk.example.com/mcp" in connect
    assert "http://localhost:8000" not in connect
    assert "make 77 calls a minute" in mcp
    assert "77 a minute" in start


def test_what_a_text_leaves_to_the_instance_is_known_and_its_example_is_the_default() -> None:
    known = documentation.values()
    for path in settings.DOCS_DIR.rglob("*.md"):
        for name, example in re.findall(r"<!-- instance:(\w+) -->(.*?)<!-- / -->", path.read_text()):
            assert known[name] == example, (path, name)


def test_a_text_holds_no_markup_of_its_own() -> None:
    for page in documentation.every_page():
        assert not re.search(r"<(?:script|style|iframe|img(?! src=\"/help/))|\son\w+=|javascript:", page.body), (
            page.slug
        )
        assert "<!--" not in page.body, page.slug


def test_html_in_a_text_is_shown_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "README.md").write_text("# Start\n\n<b>bold</b> [here](javascript:alert)\n")
    monkeypatch.setattr(settings, "DOCS_DIR", tmp_path)
    body = documentation._rendered("", tmp_path / "README.md", 0).body
    assert "&lt;b&gt;bold&lt;/b&gt;" in body
    assert "href" not in body


def test_search_finds_sections_by_all_their_words(db: None) -> None:
    words = unescape(words_of(Browser().get("/help/?q=vault_rotate+restart")))
    assert "The key that encrypts broker credentials" in words
    assert "Nothing found" in words_of(Browser().get("/help/?q=xylophone"))


def test_search_puts_an_error_code_first() -> None:
    first = documentation.search("price_outside_collar")[0]
    assert first.url == "/help/reference/errors/#price_outside_collar"


def test_what_was_searched_is_shown_as_text(db: None) -> None:
    assert "&lt;b&gt;" in text_of(Browser().get("/help/?q=<b>"))


@pytest.mark.parametrize("code", list(Code))
def test_every_code_has_a_page_that_says_what_happened_and_what_to_do(code: Code, db: None) -> None:
    words = unescape(words_of(Browser().get(f"/help/errors/{code}/")))
    assert EXPLANATIONS[code].title in words
    assert EXPLANATIONS[code].advice in words
    assert "Cause" in words


@pytest.mark.parametrize(
    "address", ["/help/nowhere/", "/help/../README/", "/help/errors/nothing/", "/help/develop/nothing.svg"]
)
def test_what_is_not_there_is_not_found(address: str, browser: Browser) -> None:
    assert browser.get(address).status_code == 404


def test_it_tells_nothing_of_anybody(owner: User, paper: object) -> None:
    for page in documentation.every_page():
        words = words_of(Browser().get(page.url))
        assert "olivia" not in words
        assert str(settings.HOME) not in words
