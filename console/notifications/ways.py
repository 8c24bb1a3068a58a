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
from console.errors import Code, Refusal
from console.notifications import news, push_keys
from console.notifications.models import NewsKind, Way, WayKind
from console.notifications.news import Message, Told
from console.notifications.wording import name as harmless_name
from console.public_http import Forbidden, check_address

MOST = 20
"""Ways of one person."""
PATH = "/notifications/"


def listed_for(user: User) -> Collection[str]:
    """Private computers that this person's messages may go to."""
    everybody = settings.NOTIFY_ADDRESSES_OF_EVERYBODY
    return settings.NOTIFY_ADDRESSES if everybody or user.is_operator else []


def destination_of(way: Way) -> dict[str, Any]:
    """Raises cryptography.fernet.InvalidToken."""
    told: dict[str, Any] = json.loads(seal.unseal(way.sealed))
    return told


def needs_renewal(way: Way) -> bool:
    """A browser that listens to a key which this instance no longer has."""
    return way.kind == WayKind.PUSH and way.push_key != push_keys.key_id()


def add_browser(user: User, subscription: object, *, name: str, ip: str) -> Way:
    """``subscription`` is what the browser made (``PushSubscription.toJSON``). Raises Refusal."""
    found = _subscription(user, subscription)
    digest = _digest(found["endpoint"])
    with transaction.atomic():
        # A browser shows what it gets to whoever holds it: it belongs to the last who switched it on.
        Way.objects.filter(kind=WayKind.PUSH, digest=digest).exclude(user=user).delete()
        return _add(user, WayKind.PUSH, digest, name, found, ip=ip, push_key=push_keys.key_id())


def add_chat(user: User, chat_id: int, *, name: str) -> Way:
    return _add(user, WayKind.TELEGRAM, _digest(str(chat_id)), name, {"chat_id": chat_id}, ip="")


def add_topic(user: User, *, server: str, topic: str, token: str, ip: str) -> Way:
    """Raises Refusal."""
    server = server.rstrip("/")
    host = _checked(user, server, "server")
    name = f"{host}, topic {topic[:3]}…"
    destination = {"server": server, "topic": topic, "token": token}
    return _add(user, WayKind.NTFY, _digest(f"{server} {topic}"), name, destination, ip=ip)


def add_webhook(user: User, *, url: str, secret: str, ip: str) -> Way:
    """Raises Refusal."""
    host = _checked(user, url, "url")
    return _add(user, WayKind.WEBHOOK, _digest(url), host, {"url": url, "secret": secret}, ip=ip)


@transaction.atomic
def remove(way: Way, *, ip: str) -> None:
    audit_log.record_change(way.user, "notifications removed", "way", way.pk, way.name, ip=ip, kind=way.kind)
    way.delete()


@transaction.atomic
def remove_dead(way: Way, why: str) -> None:
    """Whatever took its messages is gone; its owner hears of it by their other ways."""
    if not Way.objects.select_for_update().filter(pk=way.pk).exists():
        return
    audit_log.record_change(None, "notifications ended", "way", way.pk, way.name, kind=way.kind, why=why)
    what = f"{way.get_kind_display()}: {harmless_name(way.name)}"
    told = Told(
        kind=NewsKind.WAY,
        source=f"way-gone:{way.pk}",
        title=f"No longer gets your notifications: {what}",
        text=f"{why}. It was removed. Add it again if you still want notifications there.",
        path=PATH,
    )
    news.tell(way.user, told, but=way)
    way.delete()


@transaction.atomic
def send_test(way: Way) -> None:
    """A message to this way alone."""
    message = Message(
        NewsKind.TEST.value, "Test from Tradelatch", "Notifications work here.", PATH, tag=f"test-{way.pk}"
    )
    news.enqueue(way, message, good_for=timedelta(minutes=10))


def _add(
    user: User, kind: WayKind, digest: str, name: str, destination: Mapping[str, Any], *, ip: str, push_key: str = ""
) -> Way:
    name = harmless_name(name, 100) or kind.label
    with transaction.atomic():
        User.objects.select_for_update().get(pk=user.pk)
        if Way.objects.filter(user=user).exclude(kind=kind, digest=digest).count() >= MOST:
            raise Refusal(Code.INVALID_ARGUMENT, f"You have {MOST} already. Remove one first.")
        values = {"name": name, "sealed": seal.seal(json.dumps(destination)), "push_key": push_key, "last_answer": ""}
        way, is_new = Way.objects.update_or_create(user=user, kind=kind, digest=digest, defaults=values)
        if is_new:
            audit_log.record_change(user, "notifications added", "way", way.pk, way.name, ip=ip, kind=kind.value)
            told = Told(
                kind=NewsKind.WAY,
                source=f"way:{way.pk}",
                title=f"Your notifications now also go to {kind.label}: {harmless_name(name)}",
                text="They name your orders, but nobody can act by them. If this was not you, remove it under "
                "Notifications and change your password.",
                path=PATH,
            )
            news.tell(user, told, but=way)
    return way


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
