"""ntfy: a message published as JSON to the root of a server."""

import json

from console.notifications.senders.base import Destination, Outcome, Posting, Request, Result, usual_outcome
from console.public_http import Answer

_HIGH, _DEFAULT = 4, 3
_LONGEST = 3500
"""Bytes of text; what is longer than 4,096 becomes an attachment there."""


def request(destination: Destination, posting: Posting) -> Request:
    message = posting.message
    text = (message.text or message.title).encode()[:_LONGEST].decode(errors="ignore")
    body = {
        "topic": destination["topic"],
        "title": message.title,
        "message": text,
        "priority": _HIGH if posting.is_urgent else _DEFAULT,
        "click": message.url,
    }
    headers = {"Content-Type": "application/json"}
    if destination.get("token"):
        headers["Authorization"] = f"Bearer {destination['token']}"
    return Request(url=f"{destination['server']}/", headers=headers, body=json.dumps(body).encode())


def outcome(answer: Answer) -> Outcome:
    if answer.status in (401, 403):
        return Outcome(Result.REFUSED, f"The ntfy server answered {answer.status}: check the topic and its token")
    if answer.status in (404, 410):
        # Topics are made by being used: it is the server that is another one now.
        return Outcome(Result.REFUSED, f"The ntfy server answered {answer.status}: check its address")
    return usual_outcome(answer, "The ntfy server")
