"""A signed webhook (Standard Webhooks 1.0): HMAC-SHA256 over id, time and body."""

import base64
import hashlib
import hmac
import json
import secrets

from django.utils import timezone

from console.notifications.senders.base import Destination, Outcome, Posting, Request, Result, usual_outcome
from console.public_http import Answer

_PREFIX = "whsec_"


def new_secret() -> str:
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def request(destination: Destination, posting: Posting) -> Request:
    message, now = posting.message, timezone.now()
    told = {
        "type": f"tradelatch.{message.kind}",
        "timestamp": now.isoformat(timespec="seconds"),
        "data": {"title": message.title, "text": message.text, "url": message.url, **message.facts},
    }
    body = json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()
    at = str(int(now.timestamp()))
    headers = {
        "Content-Type": "application/json",
        "webhook-id": posting.message_id,
        "webhook-timestamp": at,
        "webhook-signature": signature(destination["secret"], posting.message_id, at, body),
    }
    return Request(url=destination["url"], headers=headers, body=body)


def signature(secret: str, message_id: str, at: str, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    signed = hmac.new(key, f"{message_id}.{at}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


def outcome(answer: Answer) -> Outcome:
    if answer.status == 404:
        # 410 alone says "never again" in this specification.
        return Outcome(Result.REFUSED, "Your server answered 404: nothing is at this address")
    return usual_outcome(answer, "Your server")
