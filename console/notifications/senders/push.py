"""Web Push (RFC 8030), encrypted for one browser (RFC 8291) and signed for its push service (RFC 8292)."""

import base64
import hashlib
import json
import time
from io import BytesIO
from urllib.parse import urlsplit

import jwt
from django.conf import settings
from webpush import WebPush, WebPushSubscription

from console.notifications import push_keys
from console.notifications.senders.base import Destination, Outcome, Posting, Request, usual_outcome
from console.public_http import Answer

_LONGEST = 3993
"""Bytes of text that make 4,096 of body, which every push service takes (RFC 8030, section 7.2)."""
_LONGEST_TTL = 86400
_CLAIMS_SECONDS = 3600
_SUBJECT = "mailto:{}"


def request(destination: Destination, posting: Posting) -> Request:
    subscription = WebPushSubscription.model_validate(destination)
    # A fresh one for each message: it keeps what it is once told.
    maker = WebPush(push_keys.private_pem(), BytesIO(push_keys.public_pem()), subscriber=_contact())
    made = maker.get(_text(posting), subscription)
    headers = {
        "Content-Type": "application/octet-stream",
        "Content-Encoding": made.headers["content-encoding"],
        "Authorization": f"vapid t={_claims(destination['endpoint'])}, k={push_keys.application_server_key()}",
        "TTL": str(max(1, min(posting.seconds_left, _LONGEST_TTL))),
        "Urgency": "high" if posting.is_urgent else "normal",
    }
    if posting.message.tag:
        headers["Topic"] = topic(posting.message.tag)
    return Request(url=destination["endpoint"], headers=headers, body=made.encrypted)


def outcome(answer: Answer) -> Outcome:
    return usual_outcome(answer, "The push service")


def topic(tag: str) -> str:
    """At most 32 characters of base64url (RFC 8030, section 5.4)."""
    return base64.urlsafe_b64encode(hashlib.sha256(tag.encode()).digest()).decode()[:32]


def _claims(endpoint: str) -> str:
    """For this service alone. The library leaves the port out of ``aud``, which is the whole origin."""
    parts = urlsplit(endpoint)
    claims = {
        "aud": f"{parts.scheme}://{parts.netloc}",
        "exp": int(time.time()) + _CLAIMS_SECONDS,
        "sub": _SUBJECT.format(_contact()),
    }
    return jwt.encode(claims, push_keys.private_pem(), algorithm="ES256")


def _contact() -> str:
    """Where a push service reaches whoever runs this (RFC 8292, section 2.1)."""
    sender: str = settings.DEFAULT_FROM_EMAIL
    return sender.rpartition("<")[2].rstrip(">").strip() or "postmaster@localhost"


def _text(posting: Posting) -> bytes:
    message = posting.message
    text = message.text
    while True:
        told = {"title": message.title, "body": text, "path": message.path, "tag": message.tag or posting.message_id}
        made = json.dumps({**told, "urgent": posting.is_urgent}, ensure_ascii=False).encode()
        if len(made) <= _LONGEST:
            return made
        text = f"{text[: len(text) * 3 // 4]}…"
