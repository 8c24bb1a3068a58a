"""Telegram's bot API: ``sendMessage`` as plain text, so that nothing in it is markup."""

import json
from typing import Any

from django.conf import settings

from console.config.telegram import Telegram
from console.notifications.senders.base import (
    LONGEST_WAIT,
    Destination,
    Outcome,
    Posting,
    Request,
    Result,
    usual_outcome,
)
from console.public_http import Answer

_LONGEST = 4096
_NO_CHAT = ("chat not found", "user is deactivated", "bot was kicked", "bot was blocked")


def request(destination: Destination, posting: Posting) -> Request:
    message = posting.message
    words = "\n".join(part for part in (message.title, message.text) if part)
    link = f"\n\n{message.url}"
    body = {
        "chat_id": destination["chat_id"],
        "text": words[: _LONGEST - len(link)] + link,
        "link_preview_options": {"is_disabled": True},
        "disable_notification": False,
    }
    return call("sendMessage", body)


def call(method: str, body: dict[str, Any]) -> Request:
    """Of this instance's bot. The address holds its token: nothing logs or shows it."""
    bot: Telegram | None = settings.TELEGRAM
    assert bot is not None
    return Request(
        url=f"{bot.api}/bot{bot.token}/{method}",
        headers={"Content-Type": "application/json"},
        body=json.dumps(body).encode(),
        own_host=bot.own_host,
    )


def outcome(answer: Answer) -> Outcome:
    told = read(answer)
    said = str(told.get("description", "")).lower()
    if answer.status in (400, 403) and any(words in said for words in _NO_CHAT):
        return Outcome(Result.GONE, "Telegram says that the chat no longer takes messages of the bot")
    if answer.status == 404:
        # The bot itself: its token was replaced. The chat is as it was.
        return Outcome(Result.REFUSED, "Telegram does not know the bot of this instance")
    parameters = told.get("parameters")
    wait = parameters.get("retry_after") if isinstance(parameters, dict) else None
    if answer.status == 429 and isinstance(wait, int) and wait >= 0:
        return Outcome(Result.LATER, "Telegram asks us to wait: tried again", min(float(wait), LONGEST_WAIT))
    return usual_outcome(answer, "Telegram")


def read(answer: Answer) -> dict[str, Any]:
    """The answer as an object; an empty one where it is none."""
    try:
        told = json.loads(answer.body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
