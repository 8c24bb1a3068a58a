"""The page Notifications: what a person links, tests, chooses and removes there, and nobody else."""

import json
import re
from collections.abc import Callable

import pytest
from django.core import mail
from django.test import Client as Browser
from pytest_django import Settings

from console.accounts.models import User
from console.audit.models import Change
from console.notifications import channels, choices, news, sending, telegram_chats
from console.notifications.models import ChannelKind, NewsKind, NotificationChannel, PendingChat
from console.notifications.news import Told
from console.notifications.senders import webhook
from console.outbox.models import OutgoingMail
from tests.console.notifications.listeners import Listener, Reply
from tests.console.notifications.subscriber import Subscriber
from tests.console.pages import text_of
from tests.console.sent_mail import delivered
from tests.secrets.known import keep
from tests.secrets.watch import CHANNEL

pytestmark = pytest.mark.django_db


def enable(browser: Browser, subscription: object) -> int:
    made = json.dumps(subscription)
    return browser.post("/notifications/devices/", made, content_type="application/json").status_code


def test_a_device_is_enabled_tested_and_removed(
    browser: Browser, owner: User, subscriber: Subscriber, service: Listener
) -> None:
    assert enable(browser, subscriber.subscription) == 201
    channel = NotificationChannel.objects.get(user=owner)
    browser.post(f"/notifications/channels/{channel.pk}/test/")
    sending.send_due()
    told = json.loads(subscriber.read(service.received[0].body))
    assert (told["title"], told["path"]) == ("Test from Tradelatch", "/notifications/")
    assert re.search(r"Last taken\s+<time", text_of(browser.get("/notifications/")))
    browser.post(f"/notifications/channels/{channel.pk}/remove/")
    assert not NotificationChannel.objects.exists()
    assert list(Change.objects.filter(target="channel").order_by("pk").values_list("action", flat=True)) == [
        "notifications added",
        "notifications removed",
    ]


def test_a_device_that_somebody_else_enables_leaves_its_person_with_a_row_and_with_word_of_it(
    browser: Browser, others_browser: Browser, owner: User, other: User, subscriber: Subscriber
) -> None:
    enable(browser, subscriber.subscription)
    channel = NotificationChannel.objects.get(user=owner)
    assert enable(others_browser, subscriber.subscription) == 201
    assert [each.user for each in NotificationChannel.objects.all()] == [other]
    row = Change.objects.get(action="notifications ended")
    assert (row.owner_id, row.target_id) == (owner.pk, str(channel.pk))
    assert any(owner.email in letter.to and "No longer gets" in letter.subject for letter in delivered())


def test_a_new_channel_is_told_by_e_mail(browser: Browser, owner: User, subscriber: Subscriber) -> None:
    enable(browser, subscriber.subscription)
    [letter] = delivered()
    assert letter.subject == "Your notifications now also go to Devices: Unknown browser"
    assert "If this was not you" in letter.body


@pytest.mark.parametrize(
    "change",
    [
        lambda made: [],
        lambda made: {**made, "endpoint": 5},
        lambda made: {**made, "endpoint": "http://push.example/x"},
        lambda made: {**made, "endpoint": "https://push.example/" + "x" * 1000},
        lambda made: {**made, "keys": None},
        lambda made: {**made, "keys": {**made["keys"], "auth": "c2hvcnQ"}},
        lambda made: {**made, "keys": {**made["keys"], "p256dh": "BAAA"}},
        lambda made: {**made, "keys": {"auth": made["keys"]["auth"]}},
    ],
)
def test_what_is_no_subscription_is_refused_in_words(
    change: Callable[[dict[str, object]], object], browser: Browser, subscriber: Subscriber, settings: Settings
) -> None:
    settings.NOTIFY_ADDRESSES_OF_EVERYBODY = False
    made = change({**subscriber.subscription, "endpoint": "https://push.example/x"})
    answer = browser.post("/notifications/devices/", json.dumps(made), content_type="application/json")
    assert answer.status_code == 400
    assert "Nothing was saved." in answer.json()["error"]
    assert not NotificationChannel.objects.exists()


def test_a_body_that_is_no_json_is_refused_in_words(browser: Browser) -> None:
    answer = browser.post("/notifications/devices/", b"{", content_type="application/json")
    assert (answer.status_code, answer.json()) == (400, {"error": "The request is not JSON. Nothing was saved."})


def test_a_subscription_nested_too_deep_is_refused(browser: Browser, db: None) -> None:
    answer = browser.post("/notifications/devices/", "[" * 100_000, content_type="application/json")
    assert (answer.status_code, answer.json()) == (400, {"error": "The request is not JSON. Nothing was saved."})


def test_who_loses_a_browser_to_somebody_else_finds_it_on_record_and_is_told(
    browser: Browser, others_browser: Browser, subscriber: Subscriber, owner: User
) -> None:
    enable(browser, subscriber.subscription)
    enable(others_browser, subscriber.subscription)
    ended = Change.objects.get(action="notifications ended")
    assert (ended.owner_id, ended.user_id) == (owner.pk, None)
    assert any("No longer gets your notifications" in each.subject and owner.email in each.to for each in delivered())


def test_a_webhook_that_gets_a_new_secret_is_on_record(browser: Browser, service: Listener) -> None:
    for _ in range(2):
        browser.post("/notifications/webhook/", {"url": f"{service.url}/hook"})
    changes = Change.objects.filter(target="channel").order_by("pk")
    assert [each.action for each in changes] == ["notifications added", "notifications changed"]


def test_no_more_test_letters_are_written_than_a_few_at_a_time(browser: Browser, owner: User) -> None:
    for _ in range(30):
        assert browser.post("/notifications/email/test/").status_code == 302
    assert OutgoingMail.objects.filter(user=owner).count() == 10


def test_a_browser_belongs_to_whoever_enabled_it_last(
    browser: Browser, others_browser: Browser, subscriber: Subscriber, owner: User, other: User
) -> None:
    enable(browser, subscriber.subscription)
    enable(others_browser, subscriber.subscription)
    assert [channel.user for channel in NotificationChannel.objects.all()] == [other]


def test_somebody_else_sees_tests_and_removes_nothing_of_it(
    browser: Browser, others_browser: Browser, operators_browser: Browser, subscriber: Subscriber, owner: User
) -> None:
    enable(browser, subscriber.subscription)
    news.tell(owner, Told(kind=NewsKind.HALT, source="x", title="Halted by Olivia", path="/halts/"))
    channel = NotificationChannel.objects.get()
    for stranger in (others_browser, operators_browser):
        for act in ("test", "remove"):
            assert stranger.post(f"/notifications/channels/{channel.pk}/{act}/").status_code == 404
        for page in ("/notifications/", "/notifications/channels/"):
            text = text_of(stranger.get(page))
            assert "Unknown browser" not in text
            assert "Halted by Olivia" not in text
    assert NotificationChannel.objects.filter(pk=channel.pk).exists()


def test_nothing_changes_by_following_a_link(browser: Browser, phone: NotificationChannel) -> None:
    for url in (f"/notifications/channels/{phone.pk}/test/", f"/notifications/channels/{phone.pk}/remove/"):
        assert browser.get(url).status_code == 405
    browser.get("/notifications/telegram/")
    assert not PendingChat.objects.exists()


def test_what_a_person_ticks_is_what_they_get(browser: Browser, owner: User) -> None:
    assert choices.of(owner)[NewsKind.FILL] == frozenset(ChannelKind) - {ChannelKind.EMAIL}
    browser.post("/notifications/choices/", {"fill-email": "on", "halt-push": "on", "nonsense": "on"})
    chosen = choices.of(owner)
    assert chosen[NewsKind.FILL] == {ChannelKind.EMAIL, ChannelKind.TELEGRAM}, (
        "there is no bot here to be chosen or not"
    )
    assert chosen[NewsKind.HALT] == {ChannelKind.PUSH, ChannelKind.TELEGRAM}
    assert ChannelKind.EMAIL in chosen[NewsKind.SIGN_IN]
    html = text_of(browser.get("/notifications/"))
    assert re.search(r'name="fill-email" checked>', html)
    assert re.search(r'name="sign_in-email" checked disabled>', html)
    assert not re.search(r'name="fill-push" checked', html)


def test_a_webhooks_secret_is_shown_once_and_sealed(browser: Browser, service: Listener) -> None:
    answer = text_of(browser.post("/notifications/webhook/", {"url": f"{service.url}/hook"}))
    found = re.search(r"whsec_[A-Za-z0-9+/=]+", answer)
    assert found is not None
    secret = keep(CHANNEL, found[0])
    channel = NotificationChannel.objects.get()
    assert secret not in text_of(browser.get("/notifications/")) + str(vars(channel)) + str(
        list(Change.objects.values())
    )
    browser.post(f"/notifications/channels/{channel.pk}/test/")
    sending.send_due()
    [request] = service.received
    sent = request.headers
    assert sent["webhook-signature"] == webhook.signature(
        secret, sent["webhook-id"], sent["webhook-timestamp"], request.body
    )


@pytest.mark.parametrize(
    "url",
    [
        *("http://10.0.0.5/x", "javascript:alert(1)", "https://a b", "", "https://u:p@h.example"),
        *("https://127.0.0.1/", "https://[::1]/", "https://[::ffff:10.0.0.1]/", "https://192.168.0.1:8443/"),
    ],
)
def test_a_webhook_that_leads_nowhere_is_refused_at_its_field(url: str, browser: Browser, settings: Settings) -> None:
    settings.NOTIFY_ADDRESSES_OF_EVERYBODY = False
    html = text_of(browser.post("/notifications/webhook/", {"url": url}))
    assert 'aria-invalid="true"' in html
    assert not NotificationChannel.objects.exists()


def test_a_topic_and_its_token_are_kept_sealed(browser: Browser, service: Listener) -> None:
    token = keep(CHANNEL, "tk_0a9b8c7d6e5f4a3b2c1d0e9f8a7b6")
    browser.post("/notifications/ntfy/", {"server": service.url, "topic": "secret-topic-81", "token": token})
    channel = NotificationChannel.objects.get()
    assert channel.name == "127.0.0.1, topic sec…"
    html = text_of(browser.get("/notifications/"))
    for secret in (token, "secret-topic-81"):
        assert secret not in html + str(vars(channel))
    assert channels.destination_of(channel)["token"] == token


def test_telegram_is_offered_where_there_is_a_bot_and_its_code_is_shown_once(
    browser: Browser, owner: User, telegram: Listener
) -> None:
    html = text_of(browser.post("/notifications/telegram/"))
    found = re.search(r"https://t\.me/tradelatch_test_bot\?start=(link_\w+)", html)
    assert found is not None
    keep(CHANNEL, found[1])
    assert found[1] not in text_of(browser.get("/notifications/telegram/")) + str(list(PendingChat.objects.values()))
    update = {"update_id": 1, "message": {"chat": {"id": 5, "type": "private"}, "text": f"/start {found[1]}"}}
    telegram.script = [Reply(body=json.dumps({"ok": True, "result": [update]}).encode())]
    assert telegram_chats.link_chats() == 1
    assert "Telegram" in text_of(browser.get("/notifications/channels/"))


def test_without_a_bot_telegram_is_not_offered(browser: Browser) -> None:
    assert "Telegram" not in text_of(browser.get("/notifications/"))
    assert "no Telegram bot" in text_of(browser.get("/notifications/telegram/", follow=True))


def test_a_test_by_e_mail_arrives(browser: Browser, owner: User) -> None:
    browser.post("/notifications/email/test/")
    assert [letter.to for letter in delivered()] == [[owner.email]]
    assert mail.outbox[0].subject == "Test from Tradelatch"


def test_anybody_may_read_what_installs_the_page() -> None:
    manifest = Browser().get("/manifest.webmanifest")
    assert manifest["Content-Type"] == "application/manifest+json"
    told = manifest.json()
    assert (told["start_url"], told["scope"], told["display"]) == ("/", "/", "standalone")
    for icon in told["icons"]:
        assert Browser().get(icon["src"]).status_code == 200, icon
    worker = Browser().get("/push-worker.js")
    assert worker["Content-Type"].startswith("text/javascript")
    assert worker["Cache-Control"] == "no-cache"
