"""Account numbers are shown by their end; in full to their owner, who asks for it, and that is on record."""

import pytest
from django.test import Client as Browser

from console.accounts.models import User
from console.audit.models import Change
from console.connections.models import Connection
from console.orders.models import Order
from tests.console.pages import text_of
from tests.console.steps import order

__all__ = ["order"]
NUMBER = "U7654321"


@pytest.fixture
def linked(paper: Connection) -> Connection:
    Connection.objects.filter(pk=paper.pk).update(default_account=NUMBER)
    paper.refresh_from_db()
    return paper


def test_the_owner_sees_it_in_full_and_that_is_on_record(browser: Browser, linked: Connection, owner: User) -> None:
    page = f"/connections/{linked.pk}/account-numbers/"
    assert NUMBER not in text_of(browser.get(page))
    assert not Change.objects.filter(action="account numbers shown").exists()
    shown = browser.post(page)
    assert NUMBER in text_of(shown)
    assert "no-store" in shown["Cache-Control"]
    assert [row.user_id for row in Change.objects.filter(action="account numbers shown")] == [owner.pk]


def test_nobody_else_sees_it(others_browser: Browser, operators_browser: Browser, linked: Connection) -> None:
    for somebody in (others_browser, operators_browser):
        assert somebody.get(f"/connections/{linked.pk}/account-numbers/").status_code == 404
        assert somebody.post(f"/connections/{linked.pk}/account-numbers/").status_code == 404
    assert not Change.objects.filter(action="account numbers shown").exists()


def test_an_orders_page_shows_its_end(browser: Browser, order: Order) -> None:
    Order.objects.filter(pk=order.pk).update(account_id=NUMBER)
    html = text_of(browser.get(f"/orders/{order.public_id}/"))
    assert NUMBER not in html and "•••4321" in html
