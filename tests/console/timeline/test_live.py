"""The pill that says how many entries came since the page was read."""

import re

from django.test import Client as Browser

from console.connected_apps.models import ConnectedApp
from console.timeline import stream
from tests.console.pages import log, text_of, words_of


def poll_address(page: str) -> str:
    found = re.search(r'hx-get="([^"]+)"', page.split("data-live", 1)[1])
    assert found is not None
    return found[1].replace("&amp;", "&")


def test_it_counts_what_came_since_under_the_same_filter(browser: Browser, app: ConnectedApp) -> None:
    log(app, tool="get_quote")
    address = poll_address(text_of(browser.get("/timeline/?tool=get_quote")))
    assert words_of(browser.get(address)) == ""
    log(app, tool="get_cash")
    assert words_of(browser.get(address)) == ""
    log(app, tool="get_quote")
    log(app, tool="get_quote")
    told = browser.get(address)
    assert words_of(told) == "2 new"
    assert 'href="/timeline/?tool=get_quote"' in text_of(told)


def test_it_answers_304_while_nothing_is_new(browser: Browser, app: ConnectedApp) -> None:
    log(app)
    address = poll_address(text_of(browser.get("/timeline/")))
    tag = browser.get(address)["ETag"]
    assert browser.get(address, headers={"If-None-Match": tag}).status_code == 304
    log(app)
    assert browser.get(address, headers={"If-None-Match": tag}).status_code == 200


def test_of_very_many_it_says_so(browser: Browser, app: ConnectedApp) -> None:
    address = poll_address(text_of(browser.get("/timeline/?kind=call")))
    for _ in range(stream.MOST_NEW + 2):
        log(app)
    assert words_of(browser.get(address)) == "100+ new"


def test_an_older_page_does_not_ask(browser: Browser, app: ConnectedApp) -> None:
    calls = [log(app) for _ in range(51)]
    first = text_of(browser.get("/timeline/?kind=call"))
    assert calls[0].request_id not in first
    older = re.search(r'href="(\?[^"]*before=[^"]+)"', first)
    assert older is not None
    second = text_of(browser.get("/timeline/" + older[1].replace("&amp;", "&")))
    assert calls[0].request_id in second
    assert "hx-get" not in second.split("data-live", 1)[1]


def test_a_position_that_makes_no_sense_is_refused(browser: Browser) -> None:
    for after in ("", "x", "1-2", "99999999999999999999-1-1", "1-1-99999999999999999999"):
        assert browser.get(f"/timeline/new/?after={after}").status_code == 400
