"""What an owner sees of their alerts and can do: create one, read what became of it, switch it off. Nobody else can."""

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client as Browser

from console.alerts import services
from console.alerts.models import Alert, AlertStatus
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from tests.console.alerts.conftest import Look, SetPrices, ask
from tests.console.pages import text_of, words_of

pytestmark = pytest.mark.django_db

FORM = {
    "kind": "price",
    "symbol": "aapl",
    "condition": "above",
    "value": "200",
    "cooldown_minutes": "60",
    "days": "30",
}


def test_the_list_has_what_is_active_what_was_told_and_what_ended(
    browser: Browser, look: Look, market: SetPrices, paper: Connection, app: ConnectedApp
) -> None:
    ask(paper, app, repeats=True)
    services.cancel(ask(paper, symbol="MSFT").alert, app=None)
    services.emit(app, "The report is ready: see https://evil.example")
    look("201", market)
    page = browser.get("/alerts/")
    words = words_of(page)
    assert "AAPL is above 200 USD Repeats Practice" in words
    assert "by the app Claude last 201 USD" in words
    assert "MSFT is above 200 USD" in words
    assert "Switched off," in words
    assert "Message from the app Claude Written by the app The report is ready" in words
    assert "evil.example" not in text_of(page)


def test_an_alert_shows_its_terms_and_every_time_it_fired(
    browser: Browser, look: Look, market: SetPrices, paper: Connection, app: ConnectedApp
) -> None:
    alert = ask(paper, app, repeats=True, cooldown_minutes=5, note="<b>Sell it all</b> now").alert
    look("201", market)
    look("199", market)
    look("202", market, minutes=6)
    grants.revoke(app, by=paper.owner, reason="Revoked by its owner")
    page = browser.get(f"/alerts/{alert.public_id}/")
    words = words_of(page)
    assert "AAPL is above 200 USD Active, fired 2 times. It notifies you and never trades." in words
    assert "Each time the condition becomes true, at most every 5 minutes" in words
    assert "by the app Claude, whose access has ended" in words
    assert words.count("AAPL is above 200 USD (Paper)") == 2
    assert "&lt;b&gt;Sell it all&lt;/b&gt; now" in text_of(page)


def test_an_owner_creates_one_and_reads_how_it_stands(browser: Browser, market: SetPrices, paper: Connection) -> None:
    answer = browser.post("/alerts/new/", FORM | {"connection": paper.pk, "condition": "below"}, follow=True)
    assert "Created. The condition is true already, so it fires within a minute." in words_of(answer)
    alert = Alert.objects.get()
    assert (alert.app, alert.owner_id, alert.watched.symbol, alert.value) == (None, paper.owner_id, "AAPL", 200)


def test_a_connection_is_watched_without_a_condition(browser: Browser, market: SetPrices, paper: Connection) -> None:
    given = {"kind": "connection", "symbol": "", "value": "", "repeats": "on"}
    browser.post("/alerts/new/", FORM | {"connection": paper.pk} | given)
    alert = Alert.objects.get()
    assert (services.in_words(alert), alert.repeats) == ("The broker cannot be used", True)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"symbol": ""}, "An alert of price needs symbol."),
        ({"symbol": "NOSUCH"}, "NOSUCH"),
        ({"kind": "change"}, "An alert of change needs window."),
        ({"value": "-1"}, "value must be a price above 0."),
        ({"value": "much"}, "Enter a number."),
        ({"cooldown_minutes": "1"}, "greater than or equal to 5"),
        ({"connection": "999999"}, "not one of the available choices"),
    ],
)
def test_what_cannot_be_is_said_beside_the_form(
    given: dict[str, Any], says: str, browser: Browser, market: SetPrices, paper: Connection
) -> None:
    assert says in words_of(browser.post("/alerts/new/", FORM | {"connection": paper.pk} | given))
    assert not Alert.objects.exists()


def test_an_owner_switches_off_what_an_app_created(
    browser: Browser, market: SetPrices, paper: Connection, app: ConnectedApp
) -> None:
    alert = ask(paper, app).alert
    answer = browser.post(f"/alerts/{alert.public_id}/cancel/", follow=True)
    assert "Switched off: AAPL is above 200 USD." in words_of(answer)
    assert Alert.objects.get().status == AlertStatus.CANCELLED


@pytest.mark.parametrize("kind", ["others_browser", "operators_browser"])
def test_nobody_else_sees_or_changes_them(kind: str, request: Any, market: SetPrices, paper: Connection) -> None:
    stranger: Browser = request.getfixturevalue(kind)
    alert = ask(paper).alert
    assert "AAPL" not in words_of(stranger.get("/alerts/"))
    assert stranger.get(f"/alerts/{alert.public_id}/").status_code == 404
    assert stranger.post(f"/alerts/{alert.public_id}/cancel/").status_code == 404
    assert stranger.post("/alerts/new/", FORM | {"connection": paper.pk}).status_code == 200
    assert Alert.objects.get().status == AlertStatus.ACTIVE


def test_an_alert_says_why_it_waits(browser: Browser, look: Look, market: SetPrices, paper: Connection) -> None:
    alert = ask(paper, value=Decimal(300)).alert
    market.is_away = True
    for _ in range(3):
        look()
    for address in ("/alerts/", f"/alerts/{alert.public_id}/"):
        assert "The broker is away." in words_of(browser.get(address))


def test_automation_is_one_entry_of_the_menu_with_a_tab_for_each_of_its_pages(
    browser: Browser, market: SetPrices, paper: Connection
) -> None:
    page = text_of(browser.get("/alerts/new/"))
    assert '<li><a href="/alerts/" aria-current="page">Automation</a>' in page
    assert '<nav class="page-tabs" aria-label="Automation">' in text_of(browser.get("/alerts/"))
    assert '<li><a href="/alerts/">Automation</a>' in text_of(browser.get("/orders/"))
