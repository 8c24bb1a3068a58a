"""An owner is told by e-mail what waits for them; however much is asked, not often; a letter only leads to a page."""

import re
from collections.abc import Callable

import pytest
from django.core import mail
from django.test import Client as Browser
from pytest_django import Settings

from console.accounts.models import User
from console.audit.models import Change
from console.connected_apps.models import ConnectedApp
from console.connections import services as connections
from console.connections.models import Connection, Policy
from console.notifications import channels
from console.notifications.news import Message
from console.orders import prepare as preparing
from console.orders import tasks
from console.orders.models import Order
from console.orders.owner import approvals, notifications
from console.outbox import mailer
from console.outbox.models import OutgoingMail
from console.principal import Principal
from tests.clock import Clock
from tests.console.orders.conftest import bitcoin
from tests.console.sent_mail import delivered

pytestmark = pytest.mark.django_db


@pytest.fixture
def asks(paper: Connection, owner: User) -> Connection:
    connections.set_policy(paper, Policy.OWNER_APPROVAL, by=owner)
    return paper


def ask(trader: Principal, times: int = 1) -> None:
    for _ in range(times):
        preparing.prepare(trader, bitcoin(limit="100"))


def test_a_letter_says_what_waits_whose_money_it_is_and_leads_to_the_page(
    asks: Connection, trader: Principal, owner: User
) -> None:
    ConnectedApp.objects.filter(pk=trader.app_id).update(name="Claude http://evil.example\nRelease")
    ask(trader)
    tasks.tell_owners()
    [letter] = delivered()
    order = Order.objects.get()
    assert letter.to == [owner.email]
    assert letter.subject == (
        "Approve: Buy 0.1 BTC/USD, limit 100.00 USD, day (Paper, Claude http evil example\\u000aRelease)"
    )
    assert "Worth 10.00 USD. On Practice (paper, simulated money), from Claude http " in letter.body
    assert re.search(r"1\d\d seconds left, until \d\d:\d\d:\d\d UTC", str(letter.body))
    assert f"http://localhost:8000/orders/{order.public_id}/\n" in letter.body
    for secret in ("evil.example", "://evil", "cnf_", order.wire_id, order.confirmation.terms_digest):
        assert secret not in letter.subject + str(letter.body)


def test_each_is_told_once(asks: Connection, trader: Principal) -> None:
    ask(trader)
    assert [notifications.notify(), notifications.notify()] == [1, 0]
    ask(trader, 2)
    assert notifications.notify() == 1
    assert delivered()[1].subject == "2 orders are waiting for your approval"


def test_a_flood_of_requests_is_four_letters_and_the_last_says_so(
    asks: Connection, trader: Principal, clock: Clock
) -> None:
    for _ in range(10):
        ask(trader)
        notifications.notify()
        clock.advance(seconds=5)
    sent = delivered()
    one = "Approve: Buy 0.1 BTC/USD, limit 100.00 USD, day (Paper, Test key mcp trade)"
    assert [letter.subject for letter in sent] == [one, one, one, f"{one}; no more e-mails for now"]
    assert "no further e-mail is sent before" in sent[3].body
    clock.advance(minutes=16)
    ask(trader)
    assert notifications.notify() == 1


def test_one_owners_flood_does_not_silence_anothers_letters(
    asks: Connection, trader: Principal, other: User, others_trader: Principal
) -> None:
    for _ in range(6):
        ask(trader)
        notifications.notify()
    ask(others_trader)
    notifications.notify()
    assert delivered()[-1].to == [other.email]


def test_an_order_that_cannot_be_told_of_leaves_no_other_owner_untold(
    asks: Connection, trader: Principal, other: User, others_trader: Principal, owner: User
) -> None:
    ask(trader)
    ask(others_trader)
    broken = Order.objects.get(connection=asks).confirmation
    broken.terms = {**broken.terms, "value": "no number", "currency": "USD"}
    broken.save()
    assert owner.pk < other.pk
    assert notifications.notify() == 1
    assert [letter.to for letter in delivered()] == [[other.email]]


@pytest.mark.parametrize("what", ["two-step", "switched off", "expired", "rejected", "disabled user"])
def test_no_letter_goes_out_where_none_is_wanted(
    asks: Connection, trader: Principal, owner: User, clock: Clock, what: str
) -> None:
    if what == "two-step":
        Connection.objects.update(policy=Policy.TWO_STEP)
    prepared = preparing.prepare(trader, bitcoin())
    happens: dict[str, Callable[[], object]] = {
        "two-step": lambda: None,
        "switched off": lambda: notifications.set_enabled(asks, on=False, by=owner),
        "expired": lambda: clock.advance(seconds=120),
        "rejected": lambda: approvals.reject(prepared.confirmation, by=owner, reason="other"),
        "disabled user": lambda: User.objects.filter(pk=owner.pk).update(is_active=False),
    }
    happens[what]()
    assert notifications.notify() == 0
    assert delivered() == []


def test_the_owner_switches_letters_off_and_on_for_one_connection(
    browser: Browser, others_browser: Browser, asks: Connection, trader: Principal
) -> None:
    url = f"/orders/approvals/letters/{asks.pk}/"
    assert others_browser.post(url, {"on": "0"}).status_code == 404
    assert notifications.is_enabled(asks)
    browser.post(url, {"on": "0"})
    ask(trader)
    assert notifications.notify() == 0
    browser.post(url, {"on": "1"})
    assert notifications.notify() == 1


def test_that_letters_were_switched_off_and_on_is_on_record(
    browser: Browser, asks: Connection, owner: User, paper: Connection
) -> None:
    for on in ("0", "0", "1"):  # the second changes nothing
        browser.post(f"/orders/approvals/letters/{asks.pk}/", {"on": on})
    rows = Change.objects.filter(action__startswith="approval e-mails").order_by("pk")
    assert [(each.action, each.user_id, each.connection_id) for each in rows] == [
        ("approval e-mails switched off", owner.pk, asks.pk),
        ("approval e-mails switched on", owner.pk, asks.pk),
    ]


def test_a_letter_that_no_server_takes_ends_with_what_it_tells(
    asks: Connection, trader: Principal, clock: Clock, settings: Settings
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    ask(trader)
    assert [notifications.notify(), notifications.notify()] == [1, 0]
    for _ in range(3):
        mailer.send_due({})
        clock.advance(seconds=61)
    row = OutgoingMail.objects.get()
    assert (row.sent_at, row.failed_at is not None, row.sealed) == (None, True, "")
    assert row.failure.startswith("ConnectionRefusedError")


def test_who_wants_no_letters_about_a_connection_still_gets_messages(
    asks: Connection, trader: Principal, owner: User, settings: Settings
) -> None:
    settings.NOTIFY_ADDRESSES, settings.NOTIFY_ADDRESSES_OF_EVERYBODY = ["127.0.0.1"], True
    channel = channels.add_topic(owner, server="http://127.0.0.1:9", topic="olivia", token="")
    mailer.send_due({})
    mail.outbox.clear()
    notifications.set_enabled(asks, on=False, by=owner)
    ask(trader)
    assert notifications.notify() == 1
    assert delivered() == []
    assert OutgoingMail.objects.filter(channel=channel, is_urgent=True).count() == 1


def test_messages_go_on_after_the_fourth_letter_and_name_what_else_waits(
    asks: Connection, trader: Principal, owner: User, settings: Settings
) -> None:
    settings.NOTIFY_ADDRESSES, settings.NOTIFY_ADDRESSES_OF_EVERYBODY = ["127.0.0.1"], True
    channel = channels.add_topic(owner, server="http://127.0.0.1:9", topic="olivia", token="")
    for _ in range(notifications.MOST_MESSAGES + 3):
        ask(trader)
        notifications.notify()
    rows = OutgoingMail.objects.filter(channel=channel, kind=OutgoingMail.Kind.ORDERS).order_by("pk")
    assert rows.count() == notifications.MOST_MESSAGES
    sent = [Message.unseal(row.sealed) for row in rows]
    assert "waiting under Approvals" not in sent[0].text
    assert sent[4].text.endswith("\n4 more are waiting under Approvals.")
    letters = OutgoingMail.objects.filter(channel=None, kind=OutgoingMail.Kind.ORDERS)
    assert letters.count() == notifications.MOST + 1
