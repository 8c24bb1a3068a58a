"""A message by Web Push: only the browser that subscribed can read it, and its service learns how urgent it is."""

import base64
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from pytest_django import Settings

from console.accounts.models import User
from console.config import push_key
from console.connections.models import Connection
from console.notifications import channels, news, sending
from console.notifications.models import NewsItem, NewsKind, NotificationChannel
from console.notifications.news import Told
from console.orders import prepare as preparing
from console.orders import tasks
from console.outbox.models import OutgoingMail
from console.principal import Principal
from tests.clock import Clock
from tests.console.notifications.listeners import Listener, Reply
from tests.console.notifications.subscriber import Subscriber, padded, unpadded
from tests.console.orders.conftest import bitcoin

pytestmark = pytest.mark.django_db


def tell(user: User, title: str = "Filled", **fields: Any) -> None:
    usual = {"kind": NewsKind.FILL, "source": f"test:{title[:40]}", "title": title, "path": "/"}
    news.tell(user, Told(**usual | fields))


def test_an_approval_names_the_order_and_leads_to_its_page(
    asks: Connection, trader: Principal, phone: NotificationChannel, subscriber: Subscriber, service: Listener
) -> None:
    prepared = preparing.prepare(trader, bitcoin(limit="100"))
    tasks.tell_owners()
    [request] = service.received
    told = json.loads(subscriber.read(request.body))
    assert told["title"] == "Approve: Buy 0.1 BTC/USD, limit 100.00 USD, day (Paper, Test key mcp trade)"
    assert told["body"].startswith("Worth 10.00 USD. On Practice (paper, simulated money), from Test key mcp trade. 1")
    assert told["path"] == f"/orders/{prepared.order.public_id}/"
    assert told["urgent"] is True


def test_nobody_else_reads_it(
    phone: NotificationChannel, subscriber: Subscriber, service: Listener, owner: User
) -> None:
    tell(owner)
    sending.send_due()
    [request] = service.received
    assert b"Filled" not in request.body
    with pytest.raises(InvalidTag):
        Subscriber(subscriber.endpoint).read(request.body)


def test_the_service_is_told_how_long_how_urgent_and_what_it_replaces(
    asks: Connection, trader: Principal, owner: User, phone: NotificationChannel, service: Listener
) -> None:
    preparing.prepare(trader, bitcoin(limit="100"))
    tasks.tell_owners()
    preparing.prepare(trader, bitcoin("0.2", limit="100"))
    tasks.tell_owners()
    tell(owner)
    sending.send_due()
    first, second, fill = (each.headers for each in service.received)
    assert 100 < int(first["ttl"]) <= 120
    assert (first["urgency"], fill["urgency"]) == ("high", "normal")
    assert first["topic"] == second["topic"]
    assert len(first["topic"]) <= 32
    assert "topic" not in fill
    assert first["content-encoding"] == "aes128gcm"


def test_each_service_gets_claims_of_its_own_signed_by_our_key(
    owner: User, phone: NotificationChannel, service: Listener, settings: Settings
) -> None:
    elsewhere = Subscriber(service.url.replace("127.0.0.1", "127.0.0.2") + "/push/tablet")
    settings.NOTIFY_ADDRESSES = ["127.0.0.0/8"]
    channels.add_browser(owner, elsewhere.subscription, name="Tablet")
    for title in ("one", "two"):
        tell(owner, title)
        sending.send_due()
    audiences = {request.headers["host"]: _claims(request.headers["authorization"]) for request in service.received}
    assert {host: claims["aud"] for host, claims in audiences.items()} == {host: f"http://{host}" for host in audiences}
    for claims in audiences.values():
        assert time.time() < claims["exp"] <= time.time() + 24 * 3600
        assert claims["sub"] == "mailto:tradelatch@localhost"


def _claims(header: str) -> dict[str, Any]:
    """Checked with the key that stands beside them (RFC 8292, section 3)."""
    scheme, _, rest = header.partition(" ")
    assert scheme == "vapid"
    parts = dict(part.strip().split("=", 1) for part in rest.split(","))
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), padded(parts["k"]))
    told: dict[str, Any] = jwt.decode(parts["t"], key, algorithms=["ES256"], options={"verify_aud": False})
    return told


def test_the_longest_message_fits(
    owner: User, phone: NotificationChannel, subscriber: Subscriber, service: Listener
) -> None:
    tell(owner, "\N{CJK UNIFIED IDEOGRAPH-4E2D}" * 500, text="\N{CJK UNIFIED IDEOGRAPH-4E2D}" * 2000)
    sending.send_due()
    [request] = service.received
    assert len(request.body) <= 4096
    assert json.loads(subscriber.read(request.body))["body"].endswith("…")


@pytest.mark.parametrize("status", [404, 410])
def test_a_subscription_that_is_gone_is_removed_and_said(
    status: int, owner: User, phone: NotificationChannel, service: Listener
) -> None:
    service.script = [Reply(status)]
    tell(owner)
    sending.send_due()
    assert not NotificationChannel.objects.exists()
    title = "No longer gets your notifications: Devices: Chrome on Android"
    assert NewsItem.objects.filter(user=owner, title=title).exists()
    tell(owner, "later")
    sending.send_due()
    assert len(service.received) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_service_is_asked_again_no_sooner_than_it_says(
    status: int, owner: User, phone: NotificationChannel, service: Listener, clock: Clock
) -> None:
    service.script = [Reply(status, {"Retry-After": "90"})]
    tell(owner)
    sending.send_due()
    clock.advance(seconds=89)
    sending.send_due()
    assert len(service.received) == 1
    clock.advance(seconds=2)
    sending.send_due()
    assert len(service.received) == 2
    assert OutgoingMail.objects.get(channel=phone).sent_at is not None


def test_an_approval_that_would_come_too_late_is_not_sent(
    asks: Connection, trader: Principal, phone: NotificationChannel, service: Listener, clock: Clock
) -> None:
    service.script = [Reply(503)]
    preparing.prepare(trader, bitcoin(limit="100"))
    tasks.tell_owners()
    clock.advance(seconds=121)
    sending.send_due()
    assert len(service.received) == 1
    assert OutgoingMail.objects.get(channel=phone).failed_at is not None


def test_a_service_that_is_slow_or_away_is_asked_again(
    owner: User, phone: NotificationChannel, service: Listener, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.script = [Reply(201, after=0.6)]
    tell(owner)
    with monkeypatch.context() as impatient:
        impatient.setattr(sending, "SECONDS", 0.2)
        assert sending.send_due() == 0
    phone.refresh_from_db()
    assert phone.last_answer == "Not sent: it took too long to answer"
    clock.advance(seconds=6)
    assert sending.send_due() == 1


def test_what_was_claimed_by_a_worker_that_died_is_sent_by_another_once(
    owner: User, phone: NotificationChannel, service: Listener, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell(owner)
    with monkeypatch.context() as killed:
        killed.setattr(sending, "_send", lambda parcel: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            sending.send_due()
    assert sending.send_due() == 0, "somebody may still be at it"
    clock.advance(seconds=41)
    assert [sending.send_due(), sending.send_due()] == [1, 0]
    assert len(service.received) == 1


def test_after_a_new_key_a_device_is_asked_again(
    owner: User, phone: NotificationChannel, service: Listener, subscriber: Subscriber, settings: Settings
) -> None:
    settings.PUSH_KEY = push_key.generate()
    tell(owner)
    sending.send_due()
    assert service.received == []
    phone.refresh_from_db()
    assert phone.last_answer == "This instance has a new key: press Enable on that device again"
    channels.add_browser(owner, subscriber.subscription, name="Chrome on Android")
    tell(owner, "again")
    assert sending.send_due() == 1


def test_the_key_is_made_once_and_is_a_private_one_of_p_256() -> None:
    made = push_key.generate()
    assert len(padded(made)) == 32
    assert made == unpadded(push_key.parse(made).to_bytes(32, "big"))
    for wrong in ("", base64.urlsafe_b64encode(b"\0" * 32).decode(), base64.urlsafe_b64encode(b"\xff" * 32).decode()):
        with pytest.raises(ValueError, match="P-256"):
            push_key.parse(wrong)
