"""The key that signs seals: Ed25519 (RFC 8032), in a PEM file that may lie elsewhere than the database."""

import base64
import contextlib
import os
import secrets
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from console.audit.models import Seal

_PUBLIC = b"-----BEGIN PUBLIC KEY-----"
_END = b"-----END PUBLIC KEY-----"


def private_key() -> Ed25519PrivateKey:
    """Made at the first seal, where none is set. Raises ImproperlyConfigured when the file of the key is gone."""
    file = Path(settings.AUDIT_KEY_FILE)
    if not file.exists():
        if Seal.objects.exists():
            raise ImproperlyConfigured(
                f"The record is sealed, but the key that seals it is missing: restore {file}, or set "
                "TRADELATCH_AUDIT_KEY to where it is."
            )
        _make(file)
    return _read(str(file), file.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _read(file: str, changed: int) -> Ed25519PrivateKey:
    """``changed``: when the file was, so that another key is noticed."""
    try:
        found = serialization.load_pem_private_key(Path(file).read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise ImproperlyConfigured(f"{file} holds no private key in PEM: {error}") from error
    if not isinstance(found, Ed25519PrivateKey):
        raise ImproperlyConfigured(f"{file} holds a key of another kind: seals are signed with Ed25519.")
    return found


def _make(file: Path) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    draft = file.with_name(f".{file.name}-{os.getpid()}-{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as handle:
        handle.write(pem)
        handle.flush()
        os.fsync(handle.fileno())
    with contextlib.suppress(FileExistsError):  # another process of this instance was first
        os.link(draft, file)
    draft.unlink()


def text_of(key: Ed25519PublicKey) -> str:
    """As a seal names it: 32 bytes in base64."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return base64.b64encode(raw).decode()


def sign(content: bytes, key: Ed25519PrivateKey) -> str:
    return base64.b64encode(key.sign(content)).decode()


def fits(signature: str, content: bytes, public_key: str) -> bool:
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(signature, validate=True), content)
    except (ValueError, InvalidSignature):
        return False
    return True


def own_public_keys() -> frozenset[str]:
    """Of the key's file: its own, and those that stand beside it, which signed before it. Empty without a file.

    Raises ImproperlyConfigured for a file that holds no such key.
    """
    file = Path(settings.AUDIT_KEY_FILE)
    if not file.exists():
        return frozenset()
    own = text_of(_read(str(file), file.stat().st_mtime_ns).public_key())
    return frozenset({own}) | public_keys(file.read_bytes())


def public_keys(pem: bytes) -> frozenset[str]:
    """The Ed25519 keys of all blocks PUBLIC KEY. Raises ImproperlyConfigured for one of another kind."""
    found = set()
    for block in pem.split(_PUBLIC)[1:]:
        inside, end, _ = block.partition(_END)
        try:
            key = serialization.load_pem_public_key(_PUBLIC + inside + end + b"\n")
        except ValueError as error:
            raise ImproperlyConfigured(f"A public key in PEM cannot be read: {error}") from error
        if not isinstance(key, Ed25519PublicKey):
            raise ImproperlyConfigured("A public key is of another kind: seals are signed with Ed25519.")
        found.add(text_of(key))
    return frozenset(found)


def pem_of(public_key: str) -> str:
    """For people to keep: the key that a seal names, in PEM. Raises ValueError."""
    key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
