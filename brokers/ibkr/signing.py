"""OAuth 1.0a as Interactive Brokers speaks it: RSA-SHA256 once a day, HMAC-SHA256 on every call.

Source: IBKR, "OAuth 1.0a" of the Web API documents. The live session token is agreed on by Diffie-Hellman and
mixed with the access token secret, so that neither the wire nor the access token alone gives it away.
"""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from brokers.errors import AuthFailed
from brokers.http import Garbled
from brokers.json_values import record, text

_GENERATOR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    consumer_key: str
    access_token: str
    access_token_secret: str = field(repr=False)
    """Base64 of what only ``encryption_key`` opens."""
    encryption_key: str = field(repr=False)
    """PEM of an RSA private key."""
    signature_key: str = field(repr=False)
    """PEM of an RSA private key."""
    dh_prime: str = field(repr=False)
    """Hexadecimal."""
    realm: str = "limited_poa"


@dataclass(frozen=True, slots=True)
class Challenge:
    """Our half of the exchange. ``header`` asks for the other half."""

    header: str
    exponent: int = field(repr=False)
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class LiveToken:
    key: bytes = field(repr=False)
    expires: float
    """Unix time."""


def challenge(mine: Credentials, url: str) -> Challenge:
    """Raises AuthFailed where a key or the prime cannot be read."""
    try:
        sealed = base64.b64decode(mine.access_token_secret, validate=True)
        secret = _private(mine.encryption_key).decrypt(sealed, padding.PKCS1v15())
        signer, prime = _private(mine.signature_key), int(mine.dh_prime, 16)
    except (ValueError, TypeError) as error:
        raise AuthFailed("The OAuth keys of this connection cannot be read. Link it again.") from error
    exponent = secrets.randbits(256)
    words = _parameters(mine, "RSA-SHA256") | {"diffie_hellman_challenge": f"{pow(_GENERATOR, exponent, prime):x}"}
    base = secret.hex() + base_string("POST", url, words)
    signature = signer.sign(base.encode(), padding.PKCS1v15(), hashes.SHA256())
    return Challenge(_header(mine.realm, words, signature), exponent, secret)


def live_token(mine: Credentials, ours: Challenge, answer: Any) -> LiveToken:
    """Raises AuthFailed when the other side does not know what only Interactive Brokers can."""
    told = record(answer)
    expires = told.get("live_session_token_expiration")
    try:
        shared = pow(int(text(told.get("diffie_hellman_response")), 16), ours.exponent, int(mine.dh_prime, 16))
    except ValueError as error:
        raise Garbled("A hexadecimal number was expected.") from error
    if not isinstance(expires, int):
        raise Garbled("A time was expected.")
    # As a signed number: with a zero in front where the first bit is set.
    key = hmac.digest(shared.to_bytes(shared.bit_length() // 8 + 1, "big"), ours.secret, "sha1")
    proof = hmac.new(key, mine.consumer_key.encode(), hashlib.sha1).hexdigest()
    if not hmac.compare_digest(proof, text(told.get("live_session_token_signature")).lower()):
        raise AuthFailed("Interactive Brokers' session token does not match this connection's OAuth keys.")
    return LiveToken(key, expires / 1000)


def authorization(mine: Credentials, token: LiveToken, method: str, url: str, params: Mapping[str, str]) -> str:
    """The header of one call. ``url`` is without the query, which ``params`` holds."""
    words = _parameters(mine, "HMAC-SHA256")
    signature = hmac.digest(token.key, base_string(method, url, {**words, **params}).encode(), "sha256")
    return _header(mine.realm, words, signature)


def base_string(method: str, url: str, words: Mapping[str, str]) -> str:
    """Names and values are not encoded by themselves first, as RFC 5849 would have it: the whole is, once."""
    joined = "&".join(f"{name}={value}" for name, value in sorted(words.items()))
    return f"{method}&{quote_plus(url)}&{quote_plus(joined)}"


def _parameters(mine: Credentials, method: str) -> dict[str, str]:
    return {
        "oauth_consumer_key": mine.consumer_key,
        "oauth_nonce": secrets.token_hex(16),
        "oauth_signature_method": method,
        "oauth_timestamp": str(int(time.time())),
        "oauth_token": mine.access_token,
    }


def _header(realm: str, words: Mapping[str, str], signature: bytes) -> str:
    signed = {**words, "oauth_signature": quote_plus(base64.b64encode(signature).decode())}
    return f'OAuth realm="{realm}", ' + ", ".join(f'{name}="{value}"' for name, value in sorted(signed.items()))


def _private(pem: str) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("An RSA key was expected.")
    return key
