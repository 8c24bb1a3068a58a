from django.test import Client as Browser

from console.connected_apps.models import ConnectedApp
from tests.console.pages import log, text_of


def test_one_call_shows_its_arguments_and_what_to_do(browser: Browser, app: ConnectedApp) -> None:
    call = log(app, tool="place_order", outcome="refused", code="market_closed", arguments={"symbol": "AAPL"})
    page = text_of(browser.get(f"/activity/{call.request_id}/"))
    assert "&quot;symbol&quot;: &quot;AAPL&quot;" in page
    assert "wait for the session to open" in page
    assert f'href="/apps/{app.pk}/"' in page
    assert f'href="/connections/{app.connection_id}/"' in page


def test_the_call_of_somebody_else_is_not_found(
    others_browser: Browser, operators_browser: Browser, app: ConnectedApp
) -> None:
    call = log(app)
    for part in ("", "?part=1"):
        assert others_browser.get(f"/activity/{call.request_id}/{part}").status_code == 404
        page = text_of(operators_browser.get(f"/activity/{call.request_id}/{part}"))
        assert call.request_id in page
        assert f'href="/apps/{app.pk}/"' not in page
