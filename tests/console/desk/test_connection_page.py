"""A connection's page: what it holds, what is working there, how its broker answers, and a test step by step."""

import pytest
from django.test import Client as Browser

from brokers.errors import BrokerUnavailable
from brokers.paper.adapter import PaperBroker
from console.connected_apps.models import ConnectedApp
from console.connections import broker_access
from console.connections.models import Connection
from console.desk import reading
from console.desk.models import PortfolioSnapshot
from console.orders.states import Status
from tests.brokers.paper.support import order as paper_order
from tests.console.orders.steps import make
from tests.console.pages import text_of, words_of

pytestmark = pytest.mark.django_db


def test_it_shows_positions_working_orders_and_the_time_of_answers(
    browser: Browser, paper: Connection, app: ConnectedApp
) -> None:
    PaperBroker.open(paper.settings).submit(paper.default_account, paper_order("BUY", "2", "BTC/USD"))
    reading.refresh(paper)
    PortfolioSnapshot.objects.update(answers_ms=[7] * 10)
    make(app, Status.WORKING, symbol="MSFT")
    done = make(app, Status.FILLED, symbol="NVDA")
    page = browser.get(f"/connections/{paper.pk}/")
    words = words_of(page)
    assert "BTC/USD 2 " in words
    assert "Buy 10 MSFT Limit 181.50 USD Working Claude" in words
    assert "Latest finished orders Buy 10 NVDA" in words
    assert "7 ms 95% within 7 ms" in words
    assert text_of(page).count(f"/orders/{done.public_id}/") == 1


def test_the_test_names_each_step_and_the_one_that_fails(
    browser: Browser, others_browser: Browser, paper: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"/portfolio/test/{paper.pk}/"
    assert others_browser.post(address).status_code == 404
    assert browser.get(address).status_code == 405
    words = words_of(browser.post(address))
    assert "The broker answers It answers. Works" in words
    assert "Balances can be read Readable. Works" in words

    class Broken:
        def accounts(self) -> list[object]:
            raise BrokerUnavailable("Connection refused.")

    monkeypatch.setattr(broker_access, "broker_of", lambda connection: Broken())
    words = words_of(browser.post(address))
    assert "One step failed" in words
    assert "Connection refused." in words and "Fails" in words
