"""Linking a place that messages go to, and unlinking it. Each is recorded, and told by e-mail."""

import base64
import hashlib
import json
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from django.conf import settings
from django.db import transaction

from console.accounts import seal
from console.accounts.models import User
from console.audit import log as audit_log
from console.audit.models import ChangeCategory
from console.errors import Code, Refusal
from console.notifications import news, push_keys
from console.notifications.models import ChannelKind, NewsKind, NotificationChannel
from console.notifications.news import Message, Told
from console.notifications.wording import name as harmless_name
from console.outbox import mailer
from console.public_http import Forbidden, check_address
from console.untrusted_text import escape_hidden, truncate

MOST = 20
"""Channels of one person."""
PATH = "/notifications/"
_MOST_WAITING = 10


def listed_for(user: User) -> Collection[str]:
    """Private computers that this person's messages may go to."""
    everybody = settings.NOTIFY_ADDRESSES_OF_EVERYBODY
    return settings.NOTIFY_ADDRESSES if everybody or user.is_operator else []


def destination_of(channel: NotificationChannel) -> dict[str, Any]:
    """Raises cryptography.fernet.InvalidToken."""
    told: dict[str, Any] = json.loads(seal.unseal(channel.sealed))
    return told


def needs_renewal(channel: NotificationChannel) -> bool:
    """A browser that listens to a key which this instance no longer has."""
    return channel.kind == ChannelKind.PUSH and channel.push_key != push_keys.key_id()


def add_browser(user: User, subscription: object, *, name: str) -> NotificationChannel:
    """``subscription`` is what the browser made (``PushSubscription.toJSON``). Raises Refusal."""
    found = _subscription(user, subscription)
    digest = _digest(found["endpoint"])
    with transaction.atomic():
        # A browser shows what it gets to whoever holds it: it belongs to the last who switched it on.
        theirs = NotificationChannel.objects.filter(kind=ChannelKind.PUSH, digest=digest).exclude(user=user)
        for other in theirs.select_related("user"):
            remove_dead(other, "Somebody else switched on notifications in that browser")
        return _add(user, ChannelKind.PUSH, digest, name, found, push_key=push_keys.key_id())


def add_chat(user: User, chat_id: int, *, name: str) -> NotificationChannel:
    return _add(user, ChannelKind.TELEGRAM, _digest(str(chat_id)), name, {"chat_id": chat_id})


def add_topic(user: User, *, server: str, topic: str, token: str) -> NotificationChannel:
    """Raises Refusal."""
    server = server.rstrip("/")
    host = _checked(user, server, "server")
    name = f"{host}, topic {topic[:3]}…"
    destination = {"server": server, "topic": topic, "token": token}
    return _add(user, ChannelKind.NTFY, _digest(f"{server} {topic}"), name, destination)


def add_webhook(user: User, *, url: str, secret: str) -> NotificationChannel:
    """Raises Refusal."""
    host = _checked(user, url, "url")
    return _add(user, ChannelKind.WEBHOOK, _digest(url), host, {"url": url, "secret": secret})


@transaction.atomic
def remove(channel: NotificationChannel) -> None:
    audit_log.record_change(
        channel.user, "notifications removed", "channel", channel.pk, channel.name, before={"kind": channel.kind}
    )
    channel.delete()


@transaction.atomic
def remove_dead(channel: NotificationChannel, why: str) -> None:
    """Whatever took its messages is gone; its owner hears of it by their other channels."""
    if not NotificationChannel.objects.select_for_update().filter(pk=channel.pk).exists():
        return
    audit_log.record_change(
        None,
        "notifications ended",
        "channel",
        channel.pk,
        channel.name,
        owner_id=channel.user_id,
        category=ChangeCategory.SYSTEM,
        before={"kind": channel.kind},
        why=why,
    )
    what = f"{channel.get_kind_display()}: {harmless_name(channel.name)}"
    told = Told(
        kind=NewsKind.CHANNEL,
        source=f"channel-gone:{channel.pk}",
        title=f"No longer gets your notifications: {what}",
        text=f"{why}. It was removed. Add it again if you still want notifications there.",
        path=PATH,
    )
    news.tell(channel.user, told, but=channel)
    channel.delete()


@transaction.atomic
def send_test(channel: NotificationChannel) -> None:
    """A message to this channel alone; none while several wait there."""
    if mailer.unsent().filter(channel=channel).count() >= _MOST_WAITING:
        return
    message = Message(
        NewsKind.TEST.value, "Test from Tradelatch", "Notifications work here.", PATH, tag=f"test-{channel.pk}"
    )
    news.enqueue(channel, message, good_for=timedelta(minutes=10))


@transaction.atomic
def send_test_email(user: User) -> None:
    """None while several letters wait."""
    if mailer.unsent().filter(user=user, channel=None).count() < _MOST_WAITING:
        news.enqueue_test_email(user)


def _add(
    user: User,
    kind: ChannelKind,
    digest: str,
    name: str,
    destination: Mapping[str, Any],
    *,
    push_key: str = "",
) -> NotificationChannel:
    name = truncate(escape_hidden(name).strip(), 100) or kind.label
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        if NotificationChannel.objects.filter(user=user).exclude(kind=kind, digest=digest).count() >= MOST:
            raise Refusal(Code.INVALID_ARGUMENT, f"You have {MOST} already. Remove one first.")
        values = {"name": name, "sealed": seal.seal(json.dumps(destination)), "push_key": push_key, "last_answer": ""}
        channel, is_new = NotificationChannel.objects.update_or_create(
            user=user, kind=kind, digest=digest, defaults=values
        )
        if is_new:
            audit_log.record_change(
                user, "notifications added", "channel", channel.pk, channel.name, after={"kind": kind.value}
            )
            told = Told(
                kind=NewsKind.CHANNEL,
                source=f"channel:{channel.pk}",
                title=f"Your notifications now also go to {kind.label}: {harmless_name(name)}",
                text="They name your orders, but nobody can act by them. If this was not you, remove it under "
                "Notifications and change your password.",
                path=PATH,
            )
            news.tell(user, told, but=channel)
        elif kind is not ChannelKind.PUSH:  # a browser renews its own
            audit_log.record_change(
                user, "notifications changed", "channel", channel.pk, channel.name, after={"kind": kind.value}
            )
    return channel


def _checked(user: User, url: str, field: str) -> str:
    """The host, for the page. Raises Refusal."""
    try:
        parts = check_address(url, listed=listed_for(user))
    except Forbidden as error:
        raise Refusal(Code.INVALID_ARGUMENT, f"{error} Nothing was saved.", field=field) from error
    return parts.hostname or ""


def _subscription(user: User, given: object) -> dict[str, Any]:
    """Its address and keys, and nothing else. Raises Refusal."""
    keys = given.get("keys") if isinstance(given, dict) else None
    endpoint = given.get("endpoint") if isinstance(given, dict) else None
    if not isinstance(endpoint, str) or not isinstance(keys, dict):
        raise _unusable("it has no endpoint or no keys")
    _checked(user, endpoint, "endpoint")
    p256dh, auth = (_decoded(keys.get(name)) for name in ("p256dh", "auth"))
    if len(auth) != 16:
        raise _unusable("its auth secret must have 16 bytes")
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), p256dh)
    except ValueError as error:
        raise _unusable("its key is no point of P-256") from error
    return {"endpoint": endpoint, "keys": {"p256dh": keys["p256dh"], "auth": keys["auth"]}}


def _decoded(text: object) -> bytes:
    if not isinstance(text, str) or len(text) > 200 or not text.isascii():
        raise _unusable("a key is missing")
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as error:
        raise _unusable("a key is not base64url") from error


def _unusable(why: str) -> Refusal:
    return Refusal(Code.INVALID_ARGUMENT, f"The browser's subscription cannot be used: {why}. Nothing was saved.")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
