"""What a broker answered and its adapter does not know is shown on the connection's page until it is gone."""

import pytest
from django.test import Client as Browser

from console.accounts.models import User
from console.connections import health
from tests.brokers.alpaca.fake import FakeAlpaca
from tests.brokers.recorded import answer_with
from tests.console.connections.fakes import ALPACA
from tests.console.connections.steps import linked
from tests.console.pages import words_of
from tests.console.present import at_the_browser


@pytest.fixture
def browser(owner: User) -> Browser:
    return at_the_browser(owner)


def odd_positions(patch: pytest.MonkeyPatch, fake: FakeAlpaca) -> None:
    fake.held["AAPL"] = 1
    rows = [fake._position("AAPL") | {"symbol": name, "asset_class": "us_bond"} for name in ("ONE", "TWO")]
    answer_with(patch, fake, "GET", "/v2/positions", [*rows, fake._position("AAPL")])


def test_a_check_now_shows_each_word_how_often_it_came_and_that_rows_may_be_missing(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ALPACA.running() as fake:
        made = linked(browser, ALPACA)
        page = f"/connections/{made.pk}/"
        assert "Not understood" not in words_of(browser.get(page))
        with monkeypatch.context() as patch:
            odd_positions(patch, fake)
            browser.post(f"{page}check/")
        shown = words_of(browser.get(page))
        assert "Not understood in its answers asset class us_bond, 2 times" in shown
        assert "may be missing from lists here" in shown
        browser.post(f"{page}check/")
        assert "Not understood" not in words_of(browser.get(page))


def test_another_person_does_not_see_them(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, other: User, client: Browser
) -> None:
    with ALPACA.running() as fake:
        made = linked(browser, ALPACA)
        odd_positions(monkeypatch, fake)
        health.check(made, key_too=True)
    client.force_login(other)
    assert client.get(f"/connections/{made.pk}/").status_code == 404


def test_the_frequent_check_asks_for_no_list_and_keeps_what_is_known(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ALPACA.running() as fake:
        made = linked(browser, ALPACA)
        odd_positions(monkeypatch, fake)
        health.check(made, key_too=True)
        fake.received.clear()
        made.refresh_from_db()
        health.check(made)
        assert not {"/v2/positions", "/v2/orders"} & {path for _, path in fake.received}
    made.refresh_from_db()
    assert made.unknown_words == {"asset class us_bond": 2}


def test_a_list_that_the_broker_does_not_give_makes_the_connection_no_less_well(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ALPACA.running() as fake:
        made = linked(browser, ALPACA)
        answer_with(monkeypatch, fake, "GET", "/v2/positions", {"message": "unavailable"}, status=503)
        health.check(made, key_too=True)
    made.refresh_from_db()
    assert (made.last_error, made.unknown_words) == ("", {})
