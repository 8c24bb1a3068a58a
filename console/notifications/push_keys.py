"""The key by which push services know this instance (VAPID, RFC 8292), in the forms that others want it in."""

import base64
import functools
import hashlib

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from django.conf import settings

from console.config import push_key


@functools.lru_cache(maxsize=2)
def _private(text: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(push_key.parse(text), ec.SECP256R1())


def private_pem() -> bytes:
    return _private(settings.PUSH_KEY).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem() -> bytes:
    return _private(settings.PUSH_KEY).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def application_server_key() -> str:
    """What a browser subscribes with: the public key as base64url, without padding."""
    point = _private(settings.PUSH_KEY).public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return base64.urlsafe_b64encode(point).rstrip(b"=").decode()


def key_id() -> str:
    """Short enough to keep beside each browser that listens to it."""
    return hashlib.sha256(application_server_key().encode()).hexdigest()[:16]
