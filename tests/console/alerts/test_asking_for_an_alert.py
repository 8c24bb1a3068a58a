"""What an alert may be: each part checked by name, bounded in number and time, and its owner's alone."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from console.accounts.models import User
from console.alerts import services, terms
from console.alerts.models import Alert, AlertEvent, AlertStatus, WatchedValue
from console.audit.models import Change
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.notifications.models import NewsItem, NewsKind
from console.scopes import Scope, Source
from tests.clock import Clock
from tests.console.alerts.conftest import Look, SetPrices, ask

pytestmark = pytest.mark.django_db

INDICATOR: dict[str, Any] = {"kind": "indicator", "indicator": "RSI(14)"}
WRONG: dict[str, tuple[dict[str, Any], Code, str, str]] = {
    "no symbol": ({"symbol": None}, Code.MISSING_ARGUMENT, "symbol", "An alert of price needs symbol."),
    "no condition": ({"condition": None}, Code.MISSING_ARGUMENT, "condition", "needs condition"),
    "no value": ({"value": None}, Code.MISSING_ARGUMENT, "value", "needs value"),
    "a price of nothing": ({"value": Decimal(0)}, Code.INVALID_ARGUMENT, "value", "a price above 0"),
    "too large a value": ({"value": Decimal("1e16")}, Code.INVALID_ARGUMENT, "value", "too large"),
    "too small a value": ({"value": Decimal("1e-13")}, Code.INVALID_ARGUMENT, "value", "too small"),
    "no window": ({"kind": "change"}, Code.MISSING_ARGUMENT, "window", "needs window"),
    "a window of a price": ({"window": "1h"}, Code.INVALID_ARGUMENT, "window", "not taken for an alert of price"),
    "a symbol of equity": ({"kind": "equity"}, Code.INVALID_ARGUMENT, "symbol", "not taken"),
    "an account of a price": ({"account_id": "A"}, Code.INVALID_ARGUMENT, "account_id", "not taken"),
    "percent of a price": ({"percent": True}, Code.INVALID_ARGUMENT, "percent", "not taken"),
    "no indicator": ({"kind": "indicator"}, Code.MISSING_ARGUMENT, "indicator", "needs indicator"),
    "an unknown indicator": (INDICATOR | {"indicator": "XYZ(5)"}, Code.INVALID_ARGUMENT, "indicator", "RSI"),
    "an unknown line": (INDICATOR | {"indicator": "MACD.upper"}, Code.INVALID_ARGUMENT, "indicator", "histogram"),
    "what is no indicator": (INDICATOR | {"indicator": "a > b"}, Code.INVALID_ARGUMENT, "indicator", "must be PRICE"),
    "value and against": (INDICATOR | {"against": "SMA(20)"}, Code.INVALID_ARGUMENT, "value", "one of them"),
    "against itself": (
        INDICATOR | {"against": "rsi", "value": None},
        Code.INVALID_ARGUMENT,
        "against",
        "another one",
    ),
    "a negative spread": ({"kind": "spread", "value": Decimal(-1)}, Code.INVALID_ARGUMENT, "value", "negative"),
    "a value of a connection": (
        {"kind": "connection", "symbol": None, "condition": None},
        Code.INVALID_ARGUMENT,
        "value",
        "not taken for connection",
    ),
    "a symbol nobody knows": ({"symbol": "NOSUCH"}, Code.UNKNOWN_SYMBOL, "", "NOSUCH"),
    "too short a cool-down": ({"cooldown_minutes": 1}, Code.INVALID_ARGUMENT, "cooldown_minutes", "from 5"),
    "a hidden character": ({"note": "a\u202eb"}, Code.INVALID_ARGUMENT, "note", "invisible"),
    "too long a note": ({"note": "n" * 201}, Code.INVALID_ARGUMENT, "note", "at most 200"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_is_refused_by_name_and_nothing_is_created(
    name: str, market: SetPrices, paper: Connection
) -> None:
    given, code, field, words = WRONG[name]
    with pytest.raises(Refusal) as refused:
        ask(paper, **given)
    assert refused.value.code is code
    assert (refused.value.field or "") in (field, "symbol")
    assert words in str(refused.value)
    assert not Alert.objects.exists()


@pytest.mark.parametrize("days", [0, 367])
def test_it_ends_within_a_year(days: int, market: SetPrices, paper: Connection, clock: Clock) -> None:
    with pytest.raises(Refusal) as refused:
        ask(paper, expires_at=clock.now + timedelta(days=days))
    assert refused.value.field == "expires"
    ask(paper, expires_at=clock.now + timedelta(days=366))


def test_a_person_has_so_many_active_alerts_and_no_more(
    market: SetPrices, paper: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services, "MOST_ACTIVE", 2)
    first = ask(paper).alert
    ask(paper)
    with pytest.raises(Refusal) as refused:
        ask(paper)
    assert "There are 2 active alerts, which is the most." in str(refused.value)
    services.cancel(first, app=None)
    ask(paper)


def test_what_is_changed_begins_anew_and_what_is_left_out_stays(market: SetPrices, paper: Connection) -> None:
    alert = ask(paper, condition="crosses", value=Decimal(50), note="Mine").alert
    assert Alert.objects.get().last_side == "above"
    changed = services.change(alert, app=None, value=Decimal(60))
    assert (changed.value, changed.last_side, changed.note, changed.condition) == (60, "", "Mine", "crosses")
    services.cancel(alert, app=None)
    with pytest.raises(Refusal) as refused:
        services.change(alert, app=None, value=Decimal(70))
    assert "This alert has ended." in str(refused.value)


def test_a_switched_off_alert_stays_as_it_ended(market: SetPrices, paper: Connection, clock: Clock) -> None:
    alert = services.cancel(ask(paper).alert, app=None)
    ended = alert.ended_at
    clock.advance(hours=1)
    assert services.cancel(alert, app=None).ended_at == ended


def test_an_alert_whose_time_is_over_expired_though_it_is_switched_off_before_the_next_pass(
    market: SetPrices, paper: Connection, clock: Clock
) -> None:
    alert = ask(paper, expires_at=clock.now + timedelta(days=1)).alert
    clock.advance(days=1)
    assert services.status_now(services.cancel(alert, app=None)) is AlertStatus.EXPIRED
    assert not Change.objects.filter(action="cancelled").exists()


def test_what_an_owner_does_is_on_record(market: SetPrices, paper: Connection, app: ConnectedApp, owner: User) -> None:
    services.cancel(ask(paper).alert, app=None)
    services.cancel(ask(paper, app).alert, app=app)
    record = Change.objects.filter(target="alert").order_by("pk").values_list("action", "owner_id", "target_label")
    assert list(record) == [
        ("created", owner.pk, "AAPL is above 200 USD"),
        ("cancelled", owner.pk, "AAPL is above 200 USD"),
    ], "of an app, its calls are"


def test_an_app_sees_its_own_alerts_on_its_own_connection(
    market: SetPrices, paper: Connection, app: ConnectedApp, owner: User
) -> None:
    another = grants.grant(owner, paper, frozenset({Scope.TRADE}), source=Source.API_KEY, name="Bot")
    mine, its, owners = ask(paper, app).alert, ask(paper, another).alert, ask(paper).alert
    assert list(services.of_app(app)) == [mine]
    assert list(services.of_app(another)) == [its]
    assert set(services.of_owner(owner.pk)) == {mine, its, owners}


# -- an app's own words


def test_a_message_reaches_the_owner_as_the_apps_words_without_addresses(
    paper: Connection, app: ConnectedApp, owner: User
) -> None:
    event = services.emit(app, "Look at https://evil.example/login or mail me@evil.example")
    [told] = NewsItem.objects.filter(user=owner, kind=NewsKind.ALERT)
    assert told.title == "Message from the app Claude"
    assert told.text.endswith("\nWritten by the app, not by Tradelatch.")
    for text in (told.text, event.text):
        assert "://" not in text
        assert "@" not in text
        assert "evil.example" not in text
    assert told.path == "/alerts/"


def test_an_app_sends_ten_messages_an_hour(paper: Connection, app: ConnectedApp, owner: User, clock: Clock) -> None:
    for number in range(services.MESSAGES_AN_HOUR):
        services.emit(app, f"Message {number}")
        clock.advance(minutes=1)
    with pytest.raises(Refusal) as refused:
        services.emit(app, "One more")
    assert refused.value.code is Code.RATE_LIMITED
    assert refused.value.retry_after == 50 * 60 + 1
    clock.advance(seconds=50 * 60 + 1)
    services.emit(app, "One more")
    assert AlertEvent.objects.count() == services.MESSAGES_AN_HOUR + 1


@pytest.mark.parametrize("text", ["", "   ", "a\u200bb", "m" * 501, "://"])
def test_a_message_without_words_or_with_too_many_is_refused(text: str, paper: Connection, app: ConnectedApp) -> None:
    with pytest.raises(Refusal) as refused:
        services.emit(app, text)
    assert refused.value.field == "text"
    assert not AlertEvent.objects.exists()


def test_an_alert_is_over_when_its_time_is_over_whether_or_not_a_pass_said_so(
    market: SetPrices, paper: Connection, clock: Clock
) -> None:
    alert = ask(paper).alert
    clock.advance(days=31)
    assert services.status_now(alert) is AlertStatus.EXPIRED
    assert list(services.over(services.of_owner(paper.owner_id))) == [alert]
    assert not services.active(services.of_owner(paper.owner_id)).exists()


def test_what_ended_is_kept_for_ninety_days_and_what_is_active_stays(
    look: Look, market: SetPrices, paper: Connection, app: ConnectedApp, clock: Clock
) -> None:
    ask(paper, symbol="MSFT", expires_at=clock.now + timedelta(days=200))
    ask(paper, app)
    services.emit(app, "Look")
    market.of = {"AAPL": Decimal(201)}
    assert look() == 1
    look(days=89)
    services.delete_old()
    assert (Alert.objects.count(), AlertEvent.objects.count(), WatchedValue.objects.count()) == (2, 2, 2)
    look(days=2)
    services.delete_old()
    [left] = Alert.objects.all()
    assert (left.watched.symbol, left.is_active) == ("MSFT", True)
    assert (AlertEvent.objects.count(), WatchedValue.objects.count()) == (0, 1)
    again = ask(paper).alert
    assert again.watched.symbol == "AAPL"


def test_with_its_connection_goes_everything_of_it(market: SetPrices, other: User, paper: Connection) -> None:
    second = Connection.objects.create(owner=other, name="Theirs", broker="paper", environment="paper")
    services.create(second, terms.check("price", "above", Decimal(1), symbol="AAPL"), app=None, symbol="AAPL")
    second.delete()
    assert not Alert.objects.exists()
    assert not WatchedValue.objects.exists()
