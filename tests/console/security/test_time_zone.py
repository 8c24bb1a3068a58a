"""Times on pages are in the viewer's zone: guessed once by the browser, chosen under Security, switched to UTC."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from console.accounts import time_zones
from console.accounts.models import User
from console.connected_apps.models import ConnectedApp
from console.onboarding.templatetags import console_tags
from tests.console.pages import log, text_of, words_of

AT = datetime(2026, 7, 14, 12, 30, 5, 250_000, tzinfo=UTC)
CALL = "/activity/"


@pytest.fixture
def browser(client: Browser, owner: User) -> Browser:
    client.force_login(owner)
    return client


def page_of_call(browser: Browser, app: ConnectedApp) -> str:
    call = log(app, at=AT)
    return words_of(browser.get(f"/activity/{call.request_id}/"))


def test_somebody_whose_zone_is_unknown_reads_utc(browser: Browser, app: ConnectedApp) -> None:
    assert "14 Jul 2026 12:30:05.250 UTC" in page_of_call(browser, app)


def test_the_first_zone_a_browser_names_is_kept_and_a_later_one_is_not(
    browser: Browser, owner: User, app: ConnectedApp
) -> None:
    browser.cookies[time_zones.COOKIE] = "America/New_York"
    assert "14 Jul 2026 08:30:05.250 EDT" in page_of_call(browser, app)
    browser.cookies[time_zones.COOKIE] = "Asia/Tokyo"
    assert "14 Jul 2026 08:30:05.250 EDT" in page_of_call(browser, app)
    owner.refresh_from_db()
    assert owner.time_zone == "America/New_York"


@pytest.mark.parametrize("named", ["Mars/Olympus", "../../etc/passwd", "<b>", "x" * 5000, "localtime"])
def test_a_zone_that_does_not_exist_is_not_kept(browser: Browser, owner: User, named: str) -> None:
    browser.cookies[time_zones.COOKIE] = named
    assert browser.get("/security/").status_code == 200
    owner.refresh_from_db()
    assert owner.time_zone == ""


def test_a_chosen_zone_wins_and_the_exact_utc_time_is_on_hover(browser: Browser, app: ConnectedApp) -> None:
    browser.cookies[time_zones.COOKIE] = "Asia/Tokyo"
    browser.post("/security/time-zone/", {"time_zone": "Europe/Berlin"})
    call = log(app, at=AT)
    page = text_of(browser.get(f"/activity/{call.request_id}/"))
    assert "14 Jul 2026 14:30:05.250 CEST" in page
    assert 'title="2026-07-14 12:30:05 UTC (14:30:05 CEST)"' in page


def test_a_zone_that_is_none_is_refused_with_the_form(browser: Browser, owner: User) -> None:
    page = browser.post("/security/time-zone/", {"time_zone": "Mars/Olympus"})
    assert page.status_code == 200
    assert "not one of the available choices" in words_of(page)
    owner.refresh_from_db()
    assert owner.time_zone == ""


def test_the_foot_of_the_menu_switches_to_utc_and_back_and_stays_on_the_page(
    browser: Browser, app: ConnectedApp
) -> None:
    browser.post("/security/time-zone/", {"time_zone": "Europe/Berlin"})
    switched = browser.post("/security/time-zone/switch/", {"utc": "", "next": "/orders/?status=open"})
    assert (switched.status_code, switched["Location"]) == (302, "/orders/?status=open")
    assert "12:30:05.250 UTC" in page_of_call(browser, app)
    assert "Use local time" in words_of(browser.get("/halts/"))
    browser.post("/security/time-zone/switch/", {"local": "", "next": "/"})
    assert "14:30:05.250 CEST" in page_of_call(browser, app)


def test_the_switch_leads_nowhere_else(browser: Browser) -> None:
    assert browser.post("/security/time-zone/switch/", {"next": "https://elsewhere.example/"})["Location"] == "/"


def test_one_persons_zone_is_not_anothers(browser: Browser, other: User, owner: User, app: ConnectedApp) -> None:
    browser.post("/security/time-zone/", {"time_zone": "Europe/Berlin"})
    stranger = Browser()
    stranger.force_login(other)
    assert "Times in UTC" in words_of(stranger.get("/security/"))
    assert timezone.get_current_timezone_name() == "UTC"


def test_programs_are_answered_in_utc(browser: Browser, app: ConnectedApp, read_key: str) -> None:
    browser.post("/security/time-zone/", {"time_zone": "Europe/Berlin"})
    log(app, at=AT)
    answer: Any = browser.get("/api/v1/activity").json()
    assert "2026-07-14T12:30:05.250000Z" in str(answer)


@pytest.mark.parametrize(
    ("value", "currency", "words"),
    [
        ("12430.5", "USD", "12,430.50 USD"),
        ("12430.5", "JPY", "12,430 JPY"),
        ("12430.5", "KWD", "12,430.500 KWD"),
        ("0.5", "BTC", "0.50 BTC"),
        ("0.123456789", "BTC", "0.12345679 BTC"),
        ("0.002", "USD", "0.002 USD"),
        ("0.00234567", "USD", "0.0023 USD"),
        ("-0.004", "USD", "-0.004 USD"),
        ("-1250", "USD", "-1,250.00 USD"),
        ("0", "USD", "0.00 USD"),
        ("-0", "USD", "0.00 USD"),
        ("1234567890123.456", "USDT", "1,234,567,890,123.46 USDT"),
        ("5", "", "5.00"),
    ],
)
def test_money_has_the_decimals_of_its_currency(value: str, currency: str, words: str) -> None:
    assert console_tags.money(Decimal(value), currency) == words


def test_a_gain_has_its_sign_and_a_share_has_none() -> None:
    assert console_tags.gain(Decimal("1204"), "USD") == "+1,204.00 USD"
    assert console_tags.gain(Decimal("-0.5"), "EUR") == "\N{MINUS SIGN}0.50 EUR"
    assert console_tags.gain(Decimal(0), "EUR") == "0.00 EUR"
    assert console_tags.share(Decimal("146.25")) == "146.2%"
    assert console_tags.percent(Decimal("1.2")) == "+1.20%"


def test_a_moment_today_is_a_time_and_another_day_has_its_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timezone, "now", lambda: AT)
    assert ">12:30:05<" in console_tags.moment(AT)
    assert ">13 Jul 12:30<" in console_tags.moment(AT - timedelta(days=1))
    assert ">14 Jul 2025 12:30<" in console_tags.moment(AT - timedelta(days=365))


def test_a_stale_figure_says_its_age_and_a_fresh_one_does_not() -> None:
    at = timezone.now() - timedelta(hours=2)
    assert "2 h ago" in console_tags.last_known("10.00 USD", at, "The broker is down.")
    assert "ago" not in console_tags.last_known("10.00 USD", at, "")
    assert console_tags.last_known(console_tags.NOTHING, at, "x") == console_tags.NOTHING
