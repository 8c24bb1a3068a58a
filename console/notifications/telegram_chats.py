"""Linking a Telegram chat: its person sends the bot a code that the console showed them."""

import hashlib
import logging
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from console import ids
from console.accounts.models import User
from console.errors import Refusal
from console.notifications import channels, news
from console.notifications.models import NewsKind, NotificationChannel, PendingChat, ReadMark
from console.notifications.news import Message
from console.notifications.senders import telegram
from console.notifications.sending import SECONDS
from console.public_http import Unreachable
from console.public_http import post as post_once

log = logging.getLogger(__name__)

CODE_LIFETIME = timedelta(minutes=15)
_MARK = "telegram"
_LONGEST_CODE = 64


def new_code(user: User) -> str:
    """It replaces the one before, and is shown once."""
    code = ids.new("link")
    PendingChat.objects.update_or_create(
        user=user, defaults={"digest": _digest(code), "expires_at": timezone.now() + CODE_LIFETIME}
    )
    return code


def awaited(user: User) -> PendingChat | None:
    return PendingChat.objects.filter(user=user, expires_at__gt=timezone.now()).first()


def has_work() -> bool:
    """Whether somebody has a code: one short look, for the scheduler."""
    return PendingChat.objects.exists()


def link_chats() -> int:
    """Read what was sent to the bot, while somebody has a code. Returns how many chats were linked."""
    PendingChat.objects.filter(expires_at__lte=timezone.now()).delete()
    if settings.TELEGRAM is None or not PendingChat.objects.exists():
        return 0
    mark = ReadMark.objects.filter(name=_MARK).first()
    asked = {"offset": mark.value if mark else 0, "limit": 20, "allowed_updates": ["message"]}
    request = telegram.call("getUpdates", asked)
    try:
        answer = post_once(
            request.url,
            headers=request.headers,
            body=request.body,
            seconds=SECONDS,
            listed=request.own_host,
            most_read=_MOST_READ,
        )
    except Unreachable as error:
        log.warning("Telegram cannot be asked for linked chats: %s.", error)
        return 0
    updates = telegram.read(answer).get("result")
    if answer.status != 200 or not isinstance(updates, list):
        log.warning("Telegram answered %d when it was asked for linked chats.", answer.status)
        return 0
    linked = 0
    for update in updates:
        if isinstance(update, dict) and isinstance(update.get("update_id"), int):
            linked += _take(update)
            ReadMark.objects.update_or_create(name=_MARK, defaults={"value": update["update_id"] + 1})
    return linked


_MOST_READ = 512 * 1024
"""Bytes: more than the twenty updates that are asked for have."""


@transaction.atomic
def _take(update: dict[str, Any]) -> bool:
    message = update.get("message")
    chat = message.get("chat") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(chat, dict) or chat.get("type") != "private":
        return False  # in a group, everybody would read them
    text, chat_id = message.get("text"), chat.get("id")
    if not isinstance(text, str) or not isinstance(chat_id, int) or len(text) > _LONGEST_CODE:
        return False
    code = text.removeprefix("/start").strip()
    pending = PendingChat.objects.select_related("user").filter(digest=_digest(code), expires_at__gt=timezone.now())
    found = pending.first()
    if found is None or not found.user.is_active:
        return False
    found.delete()
    called = chat.get("username") or chat.get("first_name")
    try:
        channel = channels.add_chat(found.user, chat_id, name=called if isinstance(called, str) else "")
    except Refusal as refusal:
        log.warning("A chat of person %s was not linked: %s", found.user.pk, refusal)
        return False
    _greet(channel)
    return True


def _greet(channel: NotificationChannel) -> None:
    text = f"This chat now gets the notifications of {channel.user.email}."
    message = Message(NewsKind.TEST.value, "Tradelatch is linked", text, channels.PATH)
    news.enqueue(channel, message, good_for=CODE_LIFETIME)


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
