"""What a consent page showed, part by part, so that a yes is a yes to that and to nothing that came since.

The page carries a digest of each part in its form. It is the person's own form: a part that does not fit, or is not
there, only has the page shown again.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping

from console import scopes
from console.connections.models import Connection
from console.oauth.authorization import AuthorizationRequest

_LABELS = {
    "name": "the name of the app",
    "addresses": "where it may return to",
    "identity": "what is known about its identity",
    "scopes": "what it can request",
    "connections": "your connections",
}


def digests(asked: AuthorizationRequest, connections: Iterable[Connection]) -> dict[str, str]:
    """A digest of each part that a person reads and judges by."""
    client = asked.client
    shown: Mapping[str, object] = {
        "name": client.name,
        "addresses": [asked.redirect_uri, *client.redirect_uris.split()],
        "identity": [client.kind, client.client_id, client.stands_on_a_copy, client.review, client.user_id],
        "scopes": [scopes.render(asked.offered), client.scopes],
        "connections": [
            [each.pk, each.name, each.environment, each.detail, each.trading_enabled, each.paused_at is not None]
            for each in connections
        ],
    }
    return {name: hashlib.sha256(json.dumps(value).encode()).hexdigest()[:32] for name, value in shown.items()}


def to_field(told: Mapping[str, str]) -> str:
    """For the form."""
    return " ".join(f"{name}:{digest}" for name, digest in told.items())


def changed_parts(sent: str, now: Mapping[str, str]) -> list[str]:
    """What is not as it was on the page that was sent, in a person's words; empty where all of it is."""
    then = dict(pair.split(":", 1) for pair in sent.split() if ":" in pair)
    return [_LABELS[name] for name, digest in now.items() if then.get(name) != digest]
