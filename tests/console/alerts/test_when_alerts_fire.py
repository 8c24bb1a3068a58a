"""An alert fires when its condition becomes true, once for each time, and remembers what it saw between two looks."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from console.accounts.models import User
from console.alerts import evaluation, services
from console.alerts.models import Alert, AlertEvent, AlertStatus, WatchedValue
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.notifications.models import NewsItem, NewsKind
from tests.clock import Clock
from tests.console.alerts.conftest import Look, SetPrices, ask, watched

pytestmark = pytest.mark.django_db


def titles(owner: User) -> list[str]:
    return list(NewsItem.objects.filter(user=owner, kind=NewsKind.ALERT).order_by("pk").values_list("title", flat=True))


def test_it_fires_once_and_says_what_it_saw(
    look: Look, market: SetPrices, paper: Connection, app: ConnectedApp, owner: User
) -> None:
    taken = ask(paper, app, note="Ask me about the position")
    assert (taken.now, taken.is_met, taken.remark) == ("100 USD", False, "")
    assert [look("150", market), look("201.5", market), look("180", market), look("202", market)] == [0, 1, 0, 0]
    alert = Alert.objects.get()
    assert (alert.status, alert.fired_count) == (AlertStatus.FIRED, 1)
    [told] = NewsItem.objects.filter(user=owner, kind=NewsKind.ALERT)
    assert told.title == "AAPL is above 200 USD (Paper)"
    assert told.text == "It is 201.5 USD on Practice.\nNote by the app Claude: Ask me about the position"
    assert told.path == f"/alerts/{alert.public_id}/"
    [event] = AlertEvent.objects.all()
    assert (event.number, event.value, event.owner_id, event.app_id) == (1, Decimal("201.5"), owner.pk, app.pk)
    assert evaluation.has_work() is not True, "nothing is left to look at"
    look()
    assert evaluation.has_work() is False


def test_a_condition_that_is_true_already_is_said_to_be_and_fires_at_the_next_look(
    look: Look, market: SetPrices, paper: Connection, owner: User
) -> None:
    taken = ask(paper, value=Decimal(50))
    assert taken.is_met
    assert taken.remark == "The condition is true already, so it fires within a minute."
    assert look() == 1


def test_crosses_needs_a_change_of_side_whatever_side_it_begins_on(
    look: Look, market: SetPrices, paper: Connection
) -> None:
    taken = ask(paper, condition="crosses", value=Decimal(50))
    assert not taken.is_met
    assert taken.remark == "It fires when it has crossed from where it is now."
    assert [look("60", market), look("50", market), look("55", market), look("49", market)] == [0, 0, 0, 1]


def test_one_that_repeats_fires_each_time_it_becomes_true(look: Look, market: SetPrices, paper: Connection) -> None:
    ask(paper, repeats=True, cooldown_minutes=5)
    assert look("201", market) == 1
    assert look("202", market, minutes=6) == 0, "it is true still, not again"
    assert look("199", market) == 0
    assert look("203", market) == 1
    assert sorted(AlertEvent.objects.values_list("number", flat=True)) == [1, 2]


def test_what_becomes_true_in_a_cool_down_is_told_after_it_where_it_is_true_still(
    look: Look, market: SetPrices, paper: Connection, owner: User
) -> None:
    ask(paper, repeats=True, cooldown_minutes=10)
    assert look("201", market) == 1
    assert look("199", market) == 0
    assert look("205", market) == 0, "in its cool-down"
    assert look("206", market, minutes=8) == 1
    ask(paper, condition="crosses", value=Decimal(300), repeats=True, cooldown_minutes=10)
    assert look("301", market) == 1
    assert look("299", market) == 0, "in its cool-down"
    assert look("298", market, minutes=11) == 1


def test_below_and_a_value_that_is_met_exactly(look: Look, market: SetPrices, paper: Connection) -> None:
    ask(paper, condition="below", value=Decimal(100))
    assert look() == 0, "equal is neither above nor below"
    assert look("99.99", market) == 1


def test_a_price_of_a_closed_market_never_fires(look: Look, market: SetPrices, paper: Connection, clock: Clock) -> None:
    market.as_of, market.price = clock() - timedelta(hours=9), Decimal(500)
    taken = ask(paper)
    assert not taken.is_met
    assert taken.remark.startswith("It cannot be compared now: The market is closed or the price is old: it is from ")
    assert [look(), look(), look()] == [0, 0, 0]
    alert = services.of_owner(paper.owner_id).get()
    assert services.trouble(alert).startswith("The market is closed or the price is old")
    market.as_of = None
    assert look() == 1


def test_a_broker_that_is_away_is_said_on_the_alert_after_three_looks_and_forgotten_when_it_is_back(
    look: Look, market: SetPrices, paper: Connection
) -> None:
    ask(paper)
    market.is_away = True
    for told in ("", "", "The broker is away."):
        look()
        assert services.trouble(services.of_owner(paper.owner_id).get()) == told
    market.is_away = False
    look()
    assert services.trouble(services.of_owner(paper.owner_id).get()) == ""


def test_one_symbol_that_is_gone_costs_the_others_nothing(look: Look, market: SetPrices, paper: Connection) -> None:
    for symbol in ("AAPL", "MSFT", "NVDA", "TSLA"):
        ask(paper, symbol=symbol)
    market.gone = {"MSFT"}
    assert look("201", market) == 3
    [left] = Alert.objects.filter(status=AlertStatus.ACTIVE).select_related("watched")
    assert (left.watched.symbol, left.watched.trouble) == ("MSFT", "There is no MSFT.")


def test_what_was_seen_before_a_restart_is_remembered(look: Look, market: SetPrices, paper: Connection) -> None:
    ask(paper, condition="crosses", value=Decimal(150), repeats=True)
    look("140", market)
    assert Alert.objects.get().last_side == "below"  # all that is kept between two passes is in rows
    assert look("160", market, hours=7) == 1


def test_it_expires_after_thirty_days_and_is_never_told_late(
    look: Look, market: SetPrices, paper: Connection, clock: Clock
) -> None:
    ask(paper)
    assert Alert.objects.get().expires_at == clock() + timedelta(days=30)
    assert look("300", market, days=30) == 0
    assert Alert.objects.get().status == AlertStatus.EXPIRED


def test_a_paused_connection_is_not_asked_and_its_alerts_wait(
    look: Look, market: SetPrices, paper: Connection, clock: Clock
) -> None:
    ask(paper)
    Connection.objects.update(paused_at=clock())
    market.asked.clear()
    assert look("300", market) == 0
    assert market.asked == []
    waits = services.of_owner(paper.owner_id).get()
    assert services.trouble(waits) == "The connection is paused, so its alerts wait."
    Connection.objects.update(paused_at=None)
    assert look() == 1


def test_an_unlinked_connection_ends_its_alerts(look: Look, market: SetPrices, paper: Connection, clock: Clock) -> None:
    ask(paper)
    Connection.objects.update(closed_at=clock())
    assert look("300", market) == 0
    assert Alert.objects.get().status == AlertStatus.CANCELLED
    assert WatchedValue.objects.get().due_at is None


def test_an_alert_stays_when_the_access_of_the_app_that_created_it_ends(
    look: Look, market: SetPrices, paper: Connection, app: ConnectedApp, owner: User
) -> None:
    ask(paper, app)
    grants.revoke(app, by=owner, reason="Revoked by its owner")
    assert look("201", market) == 1
    assert titles(owner) == ["AAPL is above 200 USD (Paper)"]


def test_however_many_watch_a_symbol_it_is_asked_for_once(
    look: Look, market: SetPrices, paper: Connection, app: ConnectedApp
) -> None:
    for value in range(101, 121):
        ask(paper, app, value=Decimal(value))
        ask(paper, symbol="MSFT", value=Decimal(value))
    ask(paper, kind="spread", value=Decimal(1))
    market.asked.clear()
    assert look("110", market) == 18
    assert [sorted(asked) for asked in market.asked] == [["AAPL", "MSFT"]]
    assert WatchedValue.objects.count() == 3


def test_bars_are_asked_for_once_a_symbol_and_size_for_all_indicators(
    look: Look, market: SetPrices, paper: Connection
) -> None:
    for indicator in ("RSI(14)", "SMA(20)", "MACD.histogram", "BBANDS(20,2).upper"):
        ask(paper, kind="indicator", indicator=indicator, bar="1h", value=Decimal(70))
    market.asked_bars.clear()
    look(hours=1, minutes=1)
    assert market.asked_bars == [("AAPL", "1h")]


def test_bars_are_looked_at_when_the_next_one_has_ended(look: Look, market: SetPrices, paper: Connection) -> None:
    ask(paper, kind="indicator", indicator="RSI(14)", bar="1h", value=Decimal(70))
    look()
    due = watched().due_at
    assert due is not None
    assert (due.minute, due.second) == (0, 5)


WATCHED: dict[str, tuple[dict[str, Any], str]] = {
    "a rise": ({"kind": "change", "window": "1h", "value": Decimal(5)}, "AAPL, change over 1h, is above 5%"),
    "a fall": (
        {"kind": "change", "window": "1h", "condition": "below", "value": Decimal(-5)},
        "AAPL, change over 1h, is below -5%",
    ),
    "an indicator": (
        {"kind": "indicator", "indicator": "rsi(14)", "bar": "5m", "value": Decimal(70)},
        "RSI(14) of AAPL, 5m bars, is above 70",
    ),
    "two averages": (
        {"kind": "indicator", "indicator": "EMA(5)", "against": "EMA(20)", "bar": "5m", "value": None},
        "EMA(5) of AAPL, 5m bars, is above EMA(20)",
    ),
    "a band": (
        {"kind": "indicator", "indicator": "PRICE", "against": "BBANDS(20,2).upper", "bar": "5m", "value": None},
        "Close of AAPL, 5m bars, is above BBANDS(20,2).upper",
    ),
}


@pytest.mark.parametrize("name", WATCHED)
def test_alerts_of_bars_fire_when_the_bars_say_so(
    name: str, look: Look, market: SetPrices, paper: Connection, owner: User
) -> None:
    given, title = WATCHED[name]
    ask(paper, **given)
    assert look(minutes=6) == 0
    market.closes = [*market.closes, Decimal(90 if name == "a fall" else 110)]
    assert look(minutes=6) == 1
    assert titles(owner) == [f"{title} (Paper)"]


def test_too_few_bars_are_no_reason_to_fire(look: Look, market: SetPrices, paper: Connection) -> None:
    market.closes = [Decimal(100)] * 3
    ask(paper, kind="indicator", indicator="SMA(50)", bar="5m", value=Decimal(1))
    assert look(minutes=6) == 0
    assert watched().trouble == "The broker has too few bars of it."


@pytest.mark.parametrize(("percent", "value"), [(False, "0.4"), (True, "0.4")])
def test_a_spread_is_compared_in_money_or_in_percent_of_the_middle(
    percent: bool, value: str, look: Look, market: SetPrices, paper: Connection
) -> None:
    ask(paper, kind="spread", value=Decimal(value), percent=percent)
    assert look() == 0
    market.spread = Decimal("0.5")
    assert look() == 1
    assert watched().value == Decimal("0.5")
