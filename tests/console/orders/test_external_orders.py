"""Orders made at the broker itself: on the Orders page and over REST, never approved here, ended by the owner alone."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.test import Client as Browser
from django.utils import timezone

from brokers.errors import BrokerUnavailable, UnknownOutcome
from brokers.paper.adapter import PaperBroker
from brokers.types import BrokerOrder, OrderChanges
from console.accounts.models import User
from console.audit.models import Change
from console.connections import broker_access
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.halts import services as halts
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders import tasks
from console.orders.execution import external_orders
from console.orders.models import Order, OutsideOrder
from console.principal import Principal
from tests import watched_broker
from tests.console.api.rest import Rest
from tests.console.orders.conftest import bitcoin
from tests.console.orders.steps import account_of, at_the_broker
from tests.console.pages import text_of, words_of
from tests.watched_broker import Watch

RESTS = "Buy 0.5 BTC/USD, limit 1,000.00 USD, GTC"


def seen(connection: Connection) -> OutsideOrder:
    external_orders.store(connection)
    return OutsideOrder.objects.get(connection=connection)


def test_the_sweep_brings_it_to_the_orders_page_with_its_id_at_the_broker(browser: Browser, paper: Connection) -> None:
    made = at_the_broker(paper)
    assert "Placed elsewhere" not in words_of(browser.get("/orders/"))
    tasks.look_outside()
    words = words_of(browser.get("/orders/"))
    assert f"{RESTS} placed elsewhere Practice Paper Working 0 of 0.5 {made.broker_order_id}" in words
    assert "your limits do not count them" in words


def test_an_order_of_ours_is_no_order_made_elsewhere(trader: Principal, paper: Connection, watch: Watch) -> None:
    made = preparing.prepare(trader, bitcoin(limit="1000"))
    order_actions.confirm(trader, made.confirmation.public_id)
    assert len(watch.submitted) == 1
    external_orders.store(paper)
    assert not OutsideOrder.objects.exists()


def test_a_further_look_at_the_same_orders_tells_what_changed_in_them(
    trader: Principal, paper: Connection, watch: Watch
) -> None:
    at_the_broker(paper)
    assert seen(paper).limit_price == 1000
    broker = broker_access.broker_of(paper)
    broker.replace(account_of(broker), "by-hand-1", OrderChanges(limit_price=Decimal(900)))
    assert seen(paper).limit_price == 900
    order_actions.confirm(trader, preparing.prepare(trader, bitcoin(limit="1000")).confirmation.public_id)
    assert seen(paper).client_order_id == "by-hand-1"


def test_its_page_offers_to_cancel_and_nothing_else(browser: Browser, paper: Connection) -> None:
    at_the_broker(paper)
    answer = browser.get(f"/orders/elsewhere/{seen(paper).pk}/")
    words, text = words_of(answer), text_of(answer)
    assert f"{RESTS} Paper" in words
    assert "It cannot be approved or changed here" in words
    assert "Cancel at the broker" in words
    assert "release" not in text
    assert not Order.objects.exists()


def test_it_leaves_the_page_once_it_has_ended_at_the_broker(browser: Browser, paper: Connection) -> None:
    at_the_broker(paper)
    row = seen(paper)
    broker = broker_access.broker_of(paper)
    broker.cancel(account_of(broker), "by-hand-1")
    external_orders.store(paper)
    assert "Placed elsewhere" not in words_of(browser.get("/orders/"))
    assert "no longer open" in words_of(browser.get(f"/orders/elsewhere/{row.pk}/", follow=True))


def test_what_was_seen_stays_while_the_broker_cannot_be_asked(
    browser: Browser, paper: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_the_broker(paper)
    seen(paper)

    def silent(*args: object, **kwargs: object) -> list[BrokerOrder]:
        raise BrokerUnavailable("It does not answer.")

    monkeypatch.setattr(PaperBroker, "orders", silent)
    assert external_orders.store_all() == 1
    assert RESTS in words_of(browser.get("/orders/"))


def test_a_slow_look_does_not_bring_back_what_a_later_one_saw_end(paper: Connection) -> None:
    at_the_broker(paper)
    seen(paper)
    paper.looked_outside.looked_at = timezone.now() + timedelta(seconds=5)
    paper.looked_outside.save()
    OutsideOrder.objects.all().delete()
    external_orders.store(paper)
    assert not OutsideOrder.objects.exists()


def test_the_owner_ends_it_also_while_trading_is_halted(
    browser: Browser, owner: User, paper: Connection, watch: Watch
) -> None:
    made = at_the_broker(paper)
    row = seen(paper)
    halts.halt_user(owner, by=owner)
    answer = browser.post(f"/orders/elsewhere/{row.pk}/cancel/", follow=True)
    assert "Order cancelled at the broker." in words_of(answer)
    assert RESTS not in words_of(answer)
    assert watch.cancelled == ["by-hand-1"]
    change = Change.objects.get(action=external_orders.CANCELLED)
    assert (change.user_id, change.detail["broker_order_id"]) == (owner.pk, made.broker_order_id)


def test_nobody_else_sees_or_ends_it(
    others_browser: Browser, operators_browser: Browser, other: User, paper: Connection, watch: Watch
) -> None:
    at_the_broker(paper)
    row = seen(paper)
    for stranger in (others_browser, operators_browser):
        assert RESTS not in words_of(stranger.get("/orders/"))
        assert RESTS not in words_of(stranger.get(f"/orders/elsewhere/{row.pk}/", follow=True))
        assert stranger.post(f"/orders/elsewhere/{row.pk}/cancel/").status_code == 404
    with pytest.raises(Refusal) as refused:
        external_orders.cancel(row, by=other)
    assert refused.value.code is Code.NOT_PERMITTED
    assert watch.cancelled == []


def test_without_a_client_order_id_it_is_left_to_the_broker(
    browser: Browser, owner: User, paper: Connection, watch: Watch
) -> None:
    at_the_broker(paper)
    row = seen(paper)
    OutsideOrder.objects.update(client_order_id="")
    words = words_of(browser.get(f"/orders/elsewhere/{row.pk}/"))
    assert "Cancel it at the broker." in words
    row.refresh_from_db()
    with pytest.raises(Refusal) as refused:
        external_orders.cancel(row, by=owner)
    assert refused.value.code is Code.NOT_CANCELLABLE
    assert watch.cancelled == []


def test_where_its_name_fits_two_orders_none_is_hit(
    owner: User, paper: Connection, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched_broker.without_telling(monkeypatch)  # on paper a name fits one order
    at_the_broker(paper)
    row = seen(paper)
    [one] = broker_access.broker_of(paper).orders(row.account_id, open_only=True)
    twin = BrokerOrder(
        **{name: getattr(one, name) for name in one.__slots__ if name != "broker_order_id"}, broker_order_id="twin"
    )
    monkeypatch.setattr(PaperBroker, "orders", lambda *args, **kwargs: [one, twin])
    with pytest.raises(Refusal, match="the wrong one could be cancelled"):
        external_orders.cancel(row, by=owner)
    assert watch.cancelled == []


def test_what_ended_meanwhile_is_not_cancelled(owner: User, paper: Connection, watch: Watch) -> None:
    at_the_broker(paper)
    row = seen(paper)
    broker = broker_access.broker_of(paper)
    broker.cancel(row.account_id, "by-hand-1")
    with pytest.raises(Refusal, match="no longer open"):
        external_orders.cancel(row, by=owner)
    assert watch.cancelled == ["by-hand-1"]


def test_a_lost_answer_to_the_cancel_is_told_as_unknown(browser: Browser, paper: Connection, watch: Watch) -> None:
    at_the_broker(paper)
    row = seen(paper)

    def lose(client_order_id: str) -> None:
        raise UnknownOutcome("The line went dead.")

    watch.before_cancel = lose
    answer = browser.post(f"/orders/elsewhere/{row.pk}/cancel/", follow=True)
    assert "did not say whether it ended" in words_of(answer)
    assert OutsideOrder.objects.filter(pk=row.pk).exists()


def test_rest_lists_it_to_its_owner_and_to_the_keys_of_its_connection(
    browser: Browser, others_browser: Browser, paper: Connection, trade_key: str, read_key: str
) -> None:
    made = at_the_broker(paper)
    seen(paper)
    for rest in (Rest(browser), Rest(Browser(), trade_key), Rest(Browser(), read_key)):
        [found] = rest.get(f"/orders/external?symbol=BTC/USD&connection_id={paper.pk}")["items"]
        assert (found["broker_order_id"], found["limit_price"]) == (made.broker_order_id, "1000")
        assert found["environment"] == "paper"
        assert rest.get("/orders/external?symbol=AAPL")["items"] == []
        assert rest.get("/orders")["items"] == []
    assert Rest(others_browser).get("/orders/external")["items"] == []


def test_a_removed_connection_shows_none(browser: Browser, trade_key: str, paper: Connection) -> None:
    at_the_broker(paper)
    row = seen(paper)
    Connection.objects.filter(pk=paper.pk).update(closed_at=timezone.now())
    assert "Placed elsewhere" not in words_of(browser.get("/orders/"))
    assert browser.post(f"/orders/elsewhere/{row.pk}/cancel/").status_code == 404
    assert external_orders.store_all() == 0
