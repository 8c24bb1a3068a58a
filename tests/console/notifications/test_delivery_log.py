"""What became of each message, attempt by attempt, and a webhook's message sent once more."""

from datetime import timedelta

import pytest
from django.test import Client as Browser
from pytest_django import Settings

from console.accounts.models import User
from console.notifications import channels, news, sending
from console.notifications.models import DeliveryAttempt, MessageCopy, NewsKind, NotificationChannel
from console.notifications.news import Told
from console.notifications.senders import webhook
from console.outbox import mailer
from console.outbox.models import OutgoingMail
from tests.clock import Clock
from tests.console.notifications.listeners import Listener, Reply
from tests.console.pages import words_of
from tests.secrets.known import keep
from tests.secrets.watch import CHANNEL

pytestmark = pytest.mark.django_db

HALT = Told(kind=NewsKind.HALT, source="halt:1:halted", title="Trading is <b>halted</b>", path="/halts/")


@pytest.fixture
def secret() -> str:
    return keep(CHANNEL, webhook.new_secret())


@pytest.fixture
def hook(owner: User, service: Listener, secret: str) -> NotificationChannel:
    channel = channels.add_webhook(owner, url=f"{service.url}/hook", secret=secret)
    OutgoingMail.objects.all().delete()
    return channel


def page(channel: NotificationChannel) -> str:
    return f"/notifications/channels/{channel.pk}/"


def again(channel: NotificationChannel, mail: OutgoingMail) -> str:
    return f"{page(channel)}messages/{mail.pk}/again/"


def message() -> OutgoingMail:
    return OutgoingMail.objects.filter(channel__isnull=False).get()


def test_each_attempt_is_on_the_page_with_its_answer(
    owner: User, browser: Browser, hook: NotificationChannel, service: Listener, clock: Clock
) -> None:
    service.script = [Reply(503), Reply(200)]
    news.tell(owner, HALT)
    sending.send_due()
    shown = words_of(browser.get(page(hook)))
    assert "On its way" in shown
    assert "Your server answered 503" in shown
    assert "Send again" not in shown
    clock.advance(seconds=6)
    sending.send_due()
    attempts = list(DeliveryAttempt.objects.values_list("status", "words"))
    assert attempts == [(503, "Your server answered 503: tried again"), (200, "Your server took it")]
    shown = words_of(browser.get(page(hook)))
    assert "Trading is &lt;b&gt;halted&lt;/b&gt;" in shown
    assert "Delivered" in shown
    assert all(f" {status}, " in shown for status in (503, 200))


def test_one_without_an_answer_says_so(
    owner: User, browser: Browser, hook: NotificationChannel, settings: Settings, service: Listener
) -> None:
    settings.NOTIFY_ADDRESSES = []
    news.tell(owner, HALT)
    sending.send_due()
    attempt = DeliveryAttempt.objects.get()
    assert attempt.status is None
    assert attempt.words
    assert f"No answer, {attempt.milliseconds} ms" in words_of(browser.get(page(hook)))
    assert service.received == []


def test_it_is_sent_again_with_its_id_and_a_new_signature(
    owner: User, browser: Browser, hook: NotificationChannel, service: Listener, secret: str, clock: Clock
) -> None:
    service.script = [Reply(400)]
    news.tell(owner, HALT)
    sending.send_due()
    mail = message()
    assert mail.failed_at is not None
    assert mail.sealed == ""
    clock.advance(seconds=3600)
    assert "on its way again" in words_of(browser.post(again(hook, mail), follow=True))
    assert sending.send_due() == 1
    first, second = service.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.headers["webhook-signature"] != second.headers["webhook-signature"]
    assert first.json["data"] == second.json["data"]
    assert (
        webhook.signature(secret, second.headers["webhook-id"], second.headers["webhook-timestamp"], second.body)
        == (second.headers["webhook-signature"])
    )
    sent = message()
    assert (sent.failed_at, sent.sent_at is not None) == (None, True)
    assert DeliveryAttempt.objects.filter(mail=mail).count() == 2
    browser.post(again(hook, mail))
    sending.send_due()
    assert len(service.received) == 3, "also one that was delivered"


def test_one_that_is_on_its_way_is_not_sent_twice(
    owner: User, browser: Browser, hook: NotificationChannel, service: Listener
) -> None:
    service.usual = Reply(503)
    news.tell(owner, HALT)
    sending.send_due()
    assert "It cannot be sent again" in words_of(browser.post(again(hook, message()), follow=True))
    sending.send_due()
    assert len(service.received) == 1


def test_retries_of_one_that_is_sent_again_are_as_they_are(
    owner: User, browser: Browser, hook: NotificationChannel, service: Listener, clock: Clock
) -> None:
    service.script = [Reply(400), Reply(503), Reply(200)]
    news.tell(owner, HALT)
    sending.send_due()
    browser.post(again(hook, message()))
    sending.send_due()
    assert message().next_at - clock() == sending.RETRY_AFTER[0]
    clock.now += sending.RETRY_AFTER[0]
    assert sending.send_due() == 1


def test_nobody_else_sees_or_sends_it(
    owner: User,
    others_browser: Browser,
    operators_browser: Browser,
    other: User,
    hook: NotificationChannel,
    service: Listener,
) -> None:
    news.tell(owner, HALT)
    sending.send_due()
    theirs = channels.add_webhook(other, url=f"{service.url}/theirs", secret=keep(CHANNEL, webhook.new_secret()))
    mail = OutgoingMail.objects.get(channel=hook)
    for browser in (others_browser, operators_browser):
        assert browser.get(page(hook)).status_code == 404
        assert browser.post(again(hook, mail)).status_code == 404
    others_browser.post(again(theirs, mail))
    mail.refresh_from_db()
    assert mail.sent_at is not None


def test_of_other_channels_attempts_are_kept_and_no_copy(owner: User, browser: Browser, service: Listener) -> None:
    topic = channels.add_topic(owner, server=service.url, topic="orders", token="")
    OutgoingMail.objects.all().delete()
    news.tell(owner, HALT)
    sending.send_due()
    assert DeliveryAttempt.objects.get().mail.channel_id == topic.pk
    assert MessageCopy.objects.count() == 0
    assert "Send again" not in words_of(browser.get(page(topic)))
    assert "cannot be sent again" in words_of(browser.post(again(topic, message()), follow=True))


def test_copies_are_sealed_and_end_with_their_message(owner: User, hook: NotificationChannel, clock: Clock) -> None:
    news.tell(owner, HALT)
    sending.send_due()
    copy = MessageCopy.objects.get()
    assert "halted" not in copy.sealed
    OutgoingMail.objects.filter(channel=None).delete()
    clock.now += timedelta(days=400)
    assert mailer.delete_old() == 1
    assert MessageCopy.objects.count() == DeliveryAttempt.objects.count() == 0
