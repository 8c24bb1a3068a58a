"""How a message proves to be its sender's: a secret in its text, or a signature over it (HMAC-SHA256).

Signatures are those of Standard Webhooks 1.0 (``webhook-id``, ``webhook-timestamp``, ``webhook-signature``), or
``X-Signature-256: sha256=`` and the hexadecimal HMAC of the text alone, as GitHub writes ``X-Hub-Signature-256``.
"""

import base64
import hashlib
import hmac
import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from console.accounts import seal
from console.errors import Code, Refusal
from console.signals.mapping import moment_of
from console.signals.models import SenderProof, SignalAddress

TRADINGVIEW = ("52.89.214.238/32", "34.212.75.30/32", "54.218.53.128/32", "52.32.178.7/32")
"""The addresses TradingView sends webhooks from: tradingview.com/support/solutions/43000529348, read 2026-11-30."""
_BASE62 = string.digits + string.ascii_letters
_LENGTH = 40
"""Characters, 238 bits: a plain SHA-256 of it cannot be searched."""
_SIGNING = "whsec_"
_OWN_SIGNATURES = ("x-signature-256", "x-hub-signature-256")
_MOST_SIGNATURES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """What the proof itself says of a message."""

    sender_id: str = ""
    sent_at: datetime | None = None


def new_part() -> str:
    """The last part of an address, which nobody can guess; also the secret in a text."""
    return "tls_" + "".join(secrets.choice(_BASE62) for _ in range(_LENGTH))


def new_secret(proof: SenderProof) -> str:
    if proof == SenderProof.BODY:
        return new_part()
    return _SIGNING + base64.b64encode(secrets.token_bytes(32)).decode()


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def forged(why: str) -> Refusal:
    return Refusal(Code.SIGNAL_FORGED, f"{why} Nothing was prepared.")


def check_secret(address: SignalAddress, given: object) -> Proved:
    """That the text held the secret of the address. Raises Refusal."""
    if not isinstance(given, str) or not given:
        raise forged("The text has no secret.")
    if not hmac.compare_digest(address.secret_digest, digest(given)):
        raise forged("The secret in the text is wrong.")
    return Proved()


def check_signature(address: SignalAddress, headers: Mapping[str, str], body: bytes) -> Proved:
    """That the text was signed with the secret of the address; ``headers`` in lower case. Raises Refusal."""
    secret = seal.unseal(address.sealed)
    if "webhook-signature" in headers:
        return _check_standard(secret, headers, body)
    for name in _OWN_SIGNATURES:
        if name in headers:
            made = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
            if not _is_same(f"sha256={made}", headers[name]):
                raise forged("The signature is wrong.")
            return Proved()
    raise forged("The message has no signature.")


def _check_standard(secret: str, headers: Mapping[str, str], body: bytes) -> Proved:
    message_id, at = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    sent_at = moment_of(at) if at.isdecimal() else None
    if sent_at is None or not 0 < len(message_id) <= 100 or not (message_id.isascii() and message_id.isprintable()):
        raise forged("The message has a signature without its webhook-id and webhook-timestamp.")
    key = base64.b64decode(secret.removeprefix(_SIGNING))
    signed = hmac.new(key, f"{message_id}.{at}.".encode() + body, hashlib.sha256).digest()
    made = f"v1,{base64.b64encode(signed).decode()}"
    if not any(_is_same(made, each) for each in headers["webhook-signature"].split()[:_MOST_SIGNATURES]):
        raise forged("The signature is wrong.")
    return Proved(sender_id=message_id, sent_at=sent_at)


def _is_same(made: str, given: str) -> bool:
    return hmac.compare_digest(made.encode(), given.strip().encode())
