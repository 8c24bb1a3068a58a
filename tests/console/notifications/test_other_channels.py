"""Telegram, ntfy and signed webhooks, in their wire formats, and what each makes of a refusal."""

import json
import time

import pytest
from pytest import MonkeyPatch
from pytest_django import Settings
from standardwebhooks import Webhook, WebhookVerificationError

from console.accounts.models import User
from console.connections.models import Connection
from console.errors import Refusal
from console.notifications import channels, news, sending, telegram_chats
from console.notifications.models import NewsKind, NotificationChannel, PendingChat
from console.notifications.news import Told
from console.notifications.senders import webhook
from console.notifications.senders.base import Outcome
from console.orders import prepare as preparing
from console.orders import tasks
from console.outbox.models import OutgoingMail
from console.principal import Principal
from tests.clock import Clock
from tests.console.notifications.conftest import BOT_TOKEN
from tests.console.notifications.listeners import Listener, Reply
from tests.console.orders.conftest import bitcoin
from tests.secrets.known import keep
from tests.secrets.watch import CHANNEL

pytestmark = pytest.mark.django_db

TITLE = "Approve: Buy 0.1 BTC/USD, limit 100.00 USD, day (Paper, Test key mcp trade)"
HALT = Told(kind=NewsKind.HALT, source="halt:1:halted", title="Trading is halted: *all* _of_ <b>it</b>", path="/halts/")


@pytest.fixture
def chat(owner: User, telegram: Listener) -> NotificationChannel:
    return channels.add_chat(owner, 4711, name="olivia_t")


@pytest.fixture
def topic(owner: User, service: Listener) -> NotificationChannel:
    token = keep(CHANNEL, "tk_9f8e7d6c5b4a39281706f5e4d3c2b")
    return channels.add_topic(owner, server=f"{service.url}/", topic="olivia-8d2f1c", token=token)


@pytest.fixture
def secret() -> str:
    return keep(CHANNEL, webhook.new_secret())


@pytest.fixture
def hook(owner: User, service: Listener, secret: str) -> NotificationChannel:
    return channels.add_webhook(owner, url=f"{service.url}/hooks/desk?team=1", secret=secret)


def deliver(user: User, told: Told = HALT) -> None:
    news.tell(user, told)
    sending.send_due()


# -- Telegram


def test_telegram_gets_plain_text_that_leads_to_the_order(
    asks: Connection, trader: Principal, chat: NotificationChannel, telegram: Listener
) -> None:
    prepared = preparing.prepare(trader, bitcoin(limit="100"))
    tasks.tell_owners()
    [request] = telegram.received
    assert request.path == f"/bot{BOT_TOKEN}/sendMessage"
    told = request.json
    assert (told["chat_id"], told["link_preview_options"]) == (4711, {"is_disabled": True})
    assert told["text"].startswith(f"{TITLE}\nWorth 10.00 USD. On Practice (paper, simulated money)")
    assert told["text"].endswith(f"\n\nhttp://localhost:8000/orders/{prepared.order.public_id}/")
    assert not {"parse_mode", "entities", "reply_markup"} & set(told), "nothing in it is markup or a button"


def test_telegram_says_how_long_to_wait(
    owner: User, chat: NotificationChannel, telegram: Listener, clock: Clock
) -> None:
    body = {"ok": False, "error_code": 429, "description": "Too Many Requests", "parameters": {"retry_after": 37}}
    telegram.script = [Reply(429, body=json.dumps(body).encode())]
    deliver(owner)
    clock.advance(seconds=36)
    assert sending.send_due() == 0
    clock.advance(seconds=2)
    assert sending.send_due() == 1


@pytest.mark.parametrize(
    ("status", "description", "gone"),
    [
        (403, "Forbidden: bot was blocked by the user", True),
        (400, "Bad Request: chat not found", True),
        (401, "Unauthorized", False),
        (404, "Not Found", False),
    ],
)
def test_a_chat_that_takes_nothing_any_more_is_removed_and_a_wrong_bot_is_not(
    status: int, description: str, gone: bool, owner: User, chat: NotificationChannel, telegram: Listener
) -> None:
    telegram.script = [Reply(status, body=json.dumps({"ok": False, "description": description}).encode())]
    deliver(owner)
    assert NotificationChannel.objects.filter(pk=chat.pk).exists() is not gone
    assert BOT_TOKEN not in str(list(NotificationChannel.objects.values())) + str(list(OutgoingMail.objects.values()))


def _update(text: str, number: int, kind: str = "private") -> dict[str, object]:
    chat = {"id": 900 + number, "type": kind, "username": f"person{number}"}
    return {"update_id": number, "message": {"message_id": 1, "chat": chat, "text": text}}


def test_a_chat_is_linked_by_the_code_that_its_person_sends(owner: User, other: User, telegram: Listener) -> None:
    code, others_code = telegram_chats.new_code(owner), telegram_chats.new_code(other)
    updates = [_update("hello", 1), _update(others_code, 2, "group"), _update(f"/start {code}", 3), _update(code, 4)]
    telegram.script = [Reply(body=json.dumps({"ok": True, "result": updates}).encode())]
    assert telegram_chats.link_chats() == 1
    channel = NotificationChannel.objects.get(kind="telegram")
    assert (channel.user, channel.name, channels.destination_of(channel)) == (owner, "person3", {"chat_id": 903})
    assert list(PendingChat.objects.values_list("user", flat=True)) == [other.pk], "a group is no place for orders"
    telegram.received.clear()
    telegram_chats.link_chats()
    assert telegram.received[0].json["offset"] == 5


def test_a_code_ends_after_a_quarter_of_an_hour(owner: User, telegram: Listener, clock: Clock) -> None:
    code = telegram_chats.new_code(owner)
    clock.advance(minutes=16)
    telegram.script = [Reply(body=json.dumps({"ok": True, "result": [_update(code, 1)]}).encode())]
    assert telegram_chats.link_chats() == 0
    assert telegram.received == [], "nobody is awaited, so Telegram is not asked"


@pytest.mark.parametrize(
    "body", [b"not json", b"[]", b'{"ok": true, "result": 5}', b'{"result": [1, {"update_id": "x"}]}']
)
def test_updates_that_make_no_sense_link_nobody(body: bytes, owner: User, telegram: Listener) -> None:
    telegram_chats.new_code(owner)
    telegram.script = [Reply(body=body)]
    assert telegram_chats.link_chats() == 0


# -- ntfy


def test_ntfy_gets_a_topic_a_priority_and_a_page(
    asks: Connection, trader: Principal, topic: NotificationChannel, service: Listener
) -> None:
    prepared = preparing.prepare(trader, bitcoin(limit="100"))
    tasks.tell_owners()
    [request] = service.received
    assert request.path == "/"
    assert request.headers["authorization"] == "Bearer tk_9f8e7d6c5b4a39281706f5e4d3c2b"
    told = request.json
    assert (told["topic"], told["title"], told["priority"]) == ("olivia-8d2f1c", TITLE, 4)
    assert told["message"].startswith("Worth 10.00 USD.")
    assert told["click"] == f"http://localhost:8000/orders/{prepared.order.public_id}/"
    assert "actions" not in told, "no button acts"


@pytest.mark.parametrize("status", [401, 403, 404, 413])
def test_a_topic_that_refuses_is_kept_and_its_owner_told_why(
    status: int, owner: User, topic: NotificationChannel, service: Listener
) -> None:
    service.script = [Reply(status)]
    deliver(owner)
    assert sending.send_due() == 0
    topic.refresh_from_db()
    assert f"answered {status}" in topic.last_answer
    assert len(service.received) == 1


# -- webhooks


def test_a_webhook_is_signed_over_its_id_time_and_body(
    asks: Connection, trader: Principal, hook: NotificationChannel, service: Listener, secret: str
) -> None:
    prepared = preparing.prepare(trader, bitcoin(limit="100"))
    tasks.tell_owners()
    [request] = service.received
    assert request.path == "/hooks/desk?team=1"
    # By the library that the specification's own authors keep for receivers.
    receiver = Webhook(secret)
    headers = {f"webhook-{name}": request.headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature")}
    assert receiver.verify(request.body, headers) == request.json
    with pytest.raises(WebhookVerificationError):
        receiver.verify(request.body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        receiver.verify(request.body, headers | {"webhook-id": "msg_other"})
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    told = request.json
    assert told["type"] == "tradelatch.approval"
    assert (told["data"]["title"], told["data"]["url"]) == (
        TITLE,
        f"http://localhost:8000/orders/{prepared.order.public_id}/",
    )
    [waiting] = told["data"]["waiting"]
    expected = {"side": "BUY", "quantity": "0.1", "symbol": "BTC/USD", "value": "10.00", "environment": "paper"}
    assert {name: str(waiting[name]) for name in expected} | {"value": f"{float(waiting['value']):.2f}"} == expected
    for hidden in (prepared.confirmation.public_id, prepared.confirmation.terms_digest, secret):
        assert hidden not in request.body.decode()


def test_each_attempt_has_the_same_id_and_a_signature_of_its_own(
    owner: User, hook: NotificationChannel, service: Listener, clock: Clock
) -> None:
    service.script = [Reply(500), Reply(502)]
    deliver(owner)
    for _ in range(2):
        clock.advance(seconds=25)
        sending.send_due()
    headers = [request.headers for request in service.received]
    assert len({each["webhook-id"] for each in headers}) == 1
    assert len({each["webhook-signature"] for each in headers}) == 3


def test_a_webhook_follows_no_redirect(owner: User, hook: NotificationChannel, service: Listener) -> None:
    service.script = [Reply(307, {"Location": f"{service.url}/elsewhere"})]
    deliver(owner)
    assert [request.path for request in service.received] == ["/hooks/desk?team=1"]
    hook.refresh_from_db()
    assert hook.last_answer == "Your server answered 307"


def test_a_webhook_that_is_gone_for_good_is_removed(owner: User, hook: NotificationChannel, service: Listener) -> None:
    service.script = [Reply(410)]
    deliver(owner)
    assert not NotificationChannel.objects.exists()


def test_one_that_fails_keeps_no_other_waiting(
    owner: User, other: User, hook: NotificationChannel, service: Listener, clock: Clock
) -> None:
    fine = channels.add_webhook(other, url=f"{service.url}/fine", secret=webhook.new_secret())
    OutgoingMail.objects.filter(channel=hook).delete()
    news.tell(owner, HALT)
    OutgoingMail.objects.filter(channel=hook).update(sealed="cannot be opened")
    news.tell(other, HALT)
    assert sending.send_due() == 1
    assert OutgoingMail.objects.get(channel=hook).failure == "It could not be made (InvalidToken)"
    assert OutgoingMail.objects.get(channel=fine).sent_at is not None


def test_many_messages_of_one_person_keep_nobody_elses_waiting(
    owner: User, other: User, hook: NotificationChannel, service: Listener
) -> None:
    for _ in range(30):
        channels.send_test(hook)
    assert OutgoingMail.objects.filter(channel=hook).count() == 10
    fine = channels.add_webhook(other, url=f"{service.url}/fine", secret=webhook.new_secret())
    news.tell(other, HALT)
    sending.send_due()
    assert OutgoingMail.objects.get(channel=fine).sent_at is not None
    assert 0 < OutgoingMail.objects.filter(channel=hook, sent_at__isnull=False).count() < 10


def test_its_attempts_end(owner: User, hook: NotificationChannel, service: Listener, clock: Clock) -> None:
    service.usual = Reply(500)
    deliver(owner, Told(kind=NewsKind.HALT, source="x", title="x", path="/", good_for=sending.RETRY_AFTER[-1] * 9))
    for pause in sending.RETRY_AFTER:
        clock.now += pause + sending.RETRY_AFTER[0]
        sending.send_due()
    row = OutgoingMail.objects.get(channel=hook)
    assert (row.failed_at is not None, row.sealed, row.failure) == (True, "", "Your server answered 500: tried again")
    assert len(service.received) == len(sending.RETRY_AFTER) + 1


# -- where they may lead


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9/x",
        "http://localhost/x",
        "http://hooks.example/x",
        "https://olivia:secret@hooks.example/x",
        "ftp://hooks.example/x",
        "https://",
        "https://hooks.example:0/x",
        "https://hooks.example/\N{LATIN SMALL LETTER E WITH ACUTE}",
    ],
)
def test_nobody_but_whom_the_operator_lets_sends_into_the_network_behind_us(
    url: str, owner: User, settings: Settings, service: Listener
) -> None:
    settings.NOTIFY_ADDRESSES_OF_EVERYBODY = False
    with pytest.raises(Refusal, match="The address") as refused:
        channels.add_webhook(owner, url=url, secret=webhook.new_secret())
    assert refused.value.field == "url"
    assert not NotificationChannel.objects.exists()


def test_a_name_that_leads_behind_us_is_not_called(owner: User, settings: Settings, service: Listener) -> None:
    settings.NOTIFY_ADDRESSES_OF_EVERYBODY = False
    url = service.url.replace("http://127.0.0.1", "https://localhost")
    channels.add_webhook(owner, url=url, secret=webhook.new_secret())
    deliver(owner)
    assert NotificationChannel.objects.get().last_answer == "The address is not on the public internet."
    assert service.received == []


def test_an_address_that_is_taken_off_the_list_is_not_called_any_more(
    owner: User, hook: NotificationChannel, service: Listener, settings: Settings
) -> None:
    settings.NOTIFY_ADDRESSES = ["10.1.2.3"]
    deliver(owner)
    assert service.received == []
    hook.refresh_from_db()
    assert hook.last_answer == "The address is not on the public internet."


def test_what_came_of_one_message_cannot_be_recorded_and_the_others_are_not_sent_again(
    owner: User, topic: NotificationChannel, hook: NotificationChannel, service: Listener, monkeypatch: MonkeyPatch
) -> None:
    OutgoingMail.objects.all().delete()
    record = sending._record

    def recorded(row: OutgoingMail, channel: NotificationChannel, outcome: Outcome) -> None:
        if channel == topic:
            raise ValueError("no room")
        record(row, channel, outcome)

    monkeypatch.setattr(sending, "_record", recorded)
    deliver(owner)
    assert len(service.received) == 2
    assert {row.channel: row.sent_at is None for row in OutgoingMail.objects.exclude(channel=None)} == {
        topic: True,
        hook: False,
    }
