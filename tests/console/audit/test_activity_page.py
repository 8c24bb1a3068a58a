from django.test import Client as Browser

from console.accounts.models import User
from console.audit.models import Call
from console.connected_apps.models import ConnectedApp
from tests.console.pages import log, text_of, words_of


def test_the_empty_list_says_what_to_do_next(browser: Browser) -> None:
    assert "No call yet" in words_of(browser.get("/activity/"))


def test_a_call_is_one_line_with_everything_that_matters(browser: Browser, app: ConnectedApp) -> None:
    call = log(app, tool="place_order", outcome="refused", code="market_closed")
    words = words_of(browser.get("/activity/"))
    assert (
        f"place_order {call.request_id} Refused market_closed Claude OAuth, read and trade Practice Paper 84 ms"
        in words
    )


def test_each_filter_narrows_the_list(browser: Browser, app: ConnectedApp) -> None:
    wanted = log(app, tool="place_order", outcome="refused", code="market_closed")
    noise = log(app, tool="get_quote")
    for query in (
        "tool=place_order",
        "outcome=refused",
        "code=market_closed",
        f"request={wanted.request_id}",
        f"connection={app.connection_id}&tool=place_order",
        f"app={app.pk}&code=market_closed",
    ):
        page = text_of(browser.get(f"/activity/?{query}"))
        assert wanted.request_id in page, query
        assert f"/activity/{noise.request_id}/" not in page, query


def test_a_filter_nothing_fits_says_so(browser: Browser, app: ConnectedApp) -> None:
    log(app)
    assert "No matching calls" in words_of(browser.get("/activity/?tool=nothing"))


def test_a_filter_value_that_makes_no_sense_is_named_and_breaks_nothing(browser: Browser, app: ConnectedApp) -> None:
    log(app)
    response = browser.get("/activity/?outcome=maybe&connection=x&before=%C2%B2")
    assert response.status_code == 200
    assert "Select a valid choice" in words_of(response)


def test_the_second_page_goes_on_where_the_first_ended(browser: Browser, app: ConnectedApp) -> None:
    calls = [log(app) for _ in range(60)]
    first = text_of(browser.get("/activity/"))
    assert calls[10].request_id in first
    assert calls[9].request_id not in first
    assert f"before={calls[10].pk}" in first
    log(app)
    second = text_of(browser.get(f"/activity/?before={calls[10].pk}"))
    assert calls[9].request_id in second
    assert calls[10].request_id not in second


def test_only_an_operator_who_asks_sees_everyone(
    browser: Browser, operators_browser: Browser, operator: User, app: ConnectedApp
) -> None:
    call = log(app)
    stranger = Call.objects.create(
        request_id="req_endpoint", at=call.at, outcome="refused", code="unauthenticated", duration_us=400
    )
    assert call.request_id not in text_of(operators_browser.get("/activity/"))
    everything = text_of(operators_browser.get("/activity/?everyone=1"))
    assert call.request_id in everything
    assert stranger.request_id in everything
    assert "olivia@example.com" in everything
    own = text_of(browser.get("/activity/?everyone=1"))
    assert stranger.request_id not in own


def test_one_call_shows_its_arguments_and_what_to_do(browser: Browser, app: ConnectedApp) -> None:
    call = log(app, tool="place_order", outcome="refused", code="market_closed", arguments={"symbol": "AAPL"})
    page = text_of(browser.get(f"/activity/{call.request_id}/"))
    assert "&quot;symbol&quot;: &quot;AAPL&quot;" in page
    assert "wait for the session to open" in page
