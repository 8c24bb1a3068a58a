from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from django.test import Client as Browser
from django.utils import timezone

from brokers.types import OrderClass
from console.accounts.models import User
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.halts import services as halts
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.states import Status
from console.principal import Principal
from tests.console.orders.conftest import bitcoin
from tests.console.orders.steps import make
from tests.console.pages import text_of, words_of
from tests.watched_broker import Watch


def test_the_empty_list_says_what_to_do_next(browser: Browser) -> None:
    assert "No order yet" in words_of(browser.get("/orders/"))


def test_an_order_reads_as_it_was_shown(browser: Browser, app: ConnectedApp) -> None:
    make(app, Status.FILLED)
    page = browser.get("/orders/")
    assert "just now Buy 10 AAPL Limit 181.50 USD Filled Claude Practice Paper" in words_of(page)


def test_filters_narrow_the_list(browser: Browser, app: ConnectedApp) -> None:
    make(app, Status.FILLED, symbol="AAPL")
    make(app, Status.CANCELLED, symbol="MSFT")
    words = words_of(browser.get(f"/orders/?status=filled&connection={app.connection_id}"))
    assert "AAPL" in words
    assert "MSFT" not in words
    assert "No matching orders" in words_of(browser.get("/orders/?status=rejected"))


def test_the_second_page_goes_on_where_the_first_ended(browser: Browser, app: ConnectedApp) -> None:
    orders = [make(app, Status.FILLED) for _ in range(52)]
    assert f"before={orders[2].pk}" in text_of(browser.get("/orders/"))
    second = text_of(browser.get(f"/orders/?before={orders[2].pk}"))
    assert f"href={orders[1].public_id}/" in second
    assert f"href={orders[2].public_id}/" not in second


def test_its_page_tells_its_whole_story(browser: Browser, app: ConnectedApp) -> None:
    order = make(app, Status.AWAITING, at=timezone.now() - timedelta(minutes=3))
    words = words_of(browser.get(f"/orders/{order.public_id}/"))
    assert "Buy 10 AAPL, about 1,815.00 USD." in words
    assert "Value 1,815.00 USD" in words
    assert "Prepared and shown. By Claude." in words
    assert "and nothing was sent." in words


def test_an_order_waiting_for_confirmation_is_counted_everywhere_until_it_lapses(
    browser: Browser, app: ConnectedApp
) -> None:
    make(app, Status.AWAITING)
    make(app, Status.AWAITING, at=timezone.now() - timedelta(minutes=3))
    home = words_of(browser.get("/"))
    assert "One order is waiting for confirmation." in home
    assert "Waiting for confirmation Claude Practice Paper" in home
    assert "1 waiting" not in words_of(browser.get("/keys/"))
    Connection.objects.update(policy="owner_approval")
    assert "1 waiting" in words_of(browser.get("/keys/"))


def test_the_page_says_what_ended_with_an_order_that_was_cancelled(browser: Browser, trader: Principal) -> None:
    entry = replace(
        bitcoin(limit="1000"), order_class=OrderClass.BRACKET, take_profit=Decimal(2000), stop_loss=Decimal(500)
    )
    order = order_actions.confirm(trader, preparing.prepare(trader, entry).confirmation.public_id)
    answer = browser.post(f"/orders/{order.public_id}/cancel/", follow=True)
    assert "Order cancelled. 2 more that belong to it ended with it." in words_of(answer)


def test_its_owner_takes_one_order_back_on_its_page_and_nobody_else(
    browser: Browser, others_browser: Browser, trader: Principal, watch: Watch, owner: User
) -> None:
    made = preparing.prepare(trader, bitcoin(limit="1000"))
    page = f"/orders/{made.order.public_id}/"
    order_actions.confirm(trader, made.confirmation.public_id)
    assert "Cancel order" in words_of(browser.get(page))
    assert others_browser.post(f"{page}cancel/").status_code == 404
    assert watch.cancelled == []
    halts.halt_user(owner, by=owner)
    answer = browser.post(f"{page}cancel/", follow=True)
    assert "Order cancelled." in words_of(answer)
    assert "Cancel order" not in words_of(answer)
    assert "has ended" in words_of(browser.post(f"{page}cancel/", follow=True))
