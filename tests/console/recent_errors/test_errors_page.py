from datetime import timedelta
from urllib.parse import urlencode

import pytest
from django.test import Client as Browser
from django.utils import timezone

from console.accounts.models import User
from console.connected_apps.models import ConnectedApp
from console.errors import EXPLANATIONS, Code
from console.recent_errors import queries
from console.recent_errors.models import ErrorGroup
from tests.console.pages import log, text_of, words_of


@pytest.fixture
def failures(app: ConnectedApp) -> None:
    for minutes in (1, 61, 62):
        log(
            app,
            tool="place_order",
            outcome="refused",
            code="insufficient_funds",
            message=f"The order needs 18,15{minutes % 10}.00 USD.",
            arguments={"symbol": "NVDA"},
            ago=timedelta(minutes=minutes),
        )
    log(app, tool="get_quote", outcome="refused", code="broker_busy", ago=timedelta(hours=7))
    log(app, tool="get_quote", outcome="refused", code="unknown_symbol", ago=timedelta(hours=20))
    log(app, tool="place_order", outcome="refused", code="limit_exceeded", ago=timedelta(hours=2))
    log(app)


def test_without_a_call_the_page_says_what_it_is_for(browser: Browser) -> None:
    assert "No calls" in words_of(browser.get("/errors/"))


def test_without_a_failure_it_says_so(browser: Browser, app: ConnectedApp) -> None:
    log(app)
    assert "No fault in the last 12 hours." in words_of(browser.get("/errors/"))


def test_the_headline_counts_calls_and_causes(browser: Browser, failures: None) -> None:
    assert "4 failed calls in the last 12 hours. There are 2 causes." in words_of(browser.get("/errors/"))


def test_a_longer_span_reaches_further_back(browser: Browser, failures: None) -> None:
    words = words_of(browser.get("/errors/?span=24h"))
    assert "5 failed calls in the last 24 hours. There are 3 causes." in words


def test_calls_that_differ_only_in_their_numbers_are_one_cause_and_show_the_newest_numbers(
    browser: Browser, failures: None
) -> None:
    words = words_of(browser.get("/errors/"))
    assert "The order needs 18,151.00 USD." in words
    assert "18,152.00" not in words
    assert "The order needs [number] [name]." in words
    assert EXPLANATIONS[Code.INSUFFICIENT_FUNDS].advice in words


def test_refusals_that_were_meant_stand_apart(browser: Browser, failures: None) -> None:
    assert "The order would exceed a limit" not in words_of(browser.get("/errors/"))
    words = words_of(browser.get("/errors/?kind=meant"))
    assert "The order would exceed a limit" in words
    assert "Not enough buying power" not in words
    assert "Faults 2 Refused as intended 1" in words


def test_each_cause_has_an_address(browser: Browser, failures: None) -> None:
    browser.get("/errors/")
    group = ErrorGroup.objects.get(code="broker_busy")
    page = text_of(browser.get(f"/errors/{group.pk}/"))
    assert "Rate limited by the broker</title>" in page.replace(" · Tradelatch", "")
    assert f'action="/connections/{group.connection_id}/check/"' in page
    assert group.fingerprint in page


def test_the_bars_stand_where_the_calls_were(browser: Browser, failures: None, owner: User) -> None:
    browser.get("/errors/")
    now = timezone.now()
    found = queries.in_span(queries.own_groups(owner.pk), span=timedelta(hours=12), now=now)
    newest = next(each for each in found if each.group.code == "insufficient_funds")
    assert sum(newest.bars[-3:]) == newest.calls == 3
    assert (newest.apps, newest.group.app_label, newest.group.connection_label) == (1, "Claude", "Practice")


def test_the_last_good_call_is_named(browser: Browser, app: ConnectedApp) -> None:
    good = log(app, tool="place_order", ago=timedelta(hours=3))
    log(app, tool="place_order", outcome="refused", code="unknown_symbol", ago=timedelta(minutes=5))
    assert good.request_id in text_of(browser.get("/errors/"))


def test_a_filter_by_connection_leaves_out_the_others(browser: Browser, app: ConnectedApp, failures: None) -> None:
    assert "2 causes" in words_of(browser.get(f"/errors/?connection={app.connection_id}"))
    assert "2 causes" in words_of(browser.get("/errors/?connection=999999"))  # not hers: no such choice


def test_only_an_operator_who_asks_sees_everyones(
    browser: Browser, others_browser: Browser, operators_browser: Browser, failures: None
) -> None:
    browser.get("/errors/")
    assert "No calls" in words_of(operators_browser.get("/errors/"))
    words = words_of(operators_browser.get("/errors/?everyone=1"))
    assert "4 failed calls" in words
    assert "olivia@example.com" in words
    assert "No calls" in words_of(others_browser.get("/errors/?everyone=1"))


def test_another_person_finds_no_cause_of_mine(
    browser: Browser, others_browser: Browser, operators_browser: Browser, failures: None
) -> None:
    browser.get("/errors/")
    for group in ErrorGroup.objects.all():
        assert others_browser.get(f"/errors/{group.pk}/").status_code == 404
        assert others_browser.get(f"/errors/{group.pk}/?everyone=1").status_code == 404
        assert operators_browser.get(f"/errors/{group.pk}/").status_code == 200
        for act in ("resolve", "reopen", "mute"):
            for stranger in (others_browser, operators_browser):
                answer = stranger.post(f"/errors/{group.pk}/{act}/", {"until": "7d"})
                assert answer.status_code == 404
    assert not ErrorGroup.objects.exclude(resolved_at=None, muted_until=None).exists()


def test_an_operator_gets_no_button_that_leads_to_somebody_elses_page(
    browser: Browser, operators_browser: Browser, failures: None
) -> None:
    browser.get("/errors/")
    for group in ErrorGroup.objects.all():
        page = text_of(operators_browser.get(f"/errors/{group.pk}/"))
        assert f"/connections/{group.connection_id}/" not in page
        assert f'href="/help/errors/{group.code}/"' in page


def test_the_export_holds_what_the_filter_shows_and_nothing_of_others(
    browser: Browser, others_browser: Browser, failures: None
) -> None:
    lines = _file(browser, "/errors/export.csv?span=24h")
    assert len(lines) == 1 + 4
    assert '"insufficient_funds","place_order","Practice","paper","the caller","open","3"' in lines[1]
    assert len(_file(others_browser, "/errors/export.csv?span=24h&everyone=1")) == 1


def _file(browser: Browser, url: str) -> list[str]:
    return browser.get(url).getvalue().decode().splitlines()


def test_a_tool_name_of_any_characters_is_shown_as_text(browser: Browser, app: ConnectedApp) -> None:
    log(app, tool="a:b&c=d<i>", outcome="refused", code="unknown_tool")
    page = text_of(browser.get(f"/errors/?{urlencode({'span': '7d'})}"))
    assert "a:b&amp;c=d&lt;i&gt;" in page
    assert 'aria-current="true"' in page


def test_a_code_of_an_older_version_is_shown_as_it_is(browser: Browser, app: ConnectedApp) -> None:
    log(app, outcome="failed", code="long_gone")
    assert "long_gone" in words_of(browser.get("/errors/"))
    log(app, outcome="failed", code="")
    assert "No code" in words_of(browser.get("/errors/"))


def test_the_address_of_before_still_leads_to_the_page(browser: Browser, failures: None, app: ConnectedApp) -> None:
    query = urlencode({"group": f"broker_busy:{app.connection_id}:get_quote"})
    answer = browser.get(f"/errors/?{query}")
    group = ErrorGroup.objects.get(code="broker_busy")
    assert answer["Location"].startswith(f"/errors/{group.pk}/")
