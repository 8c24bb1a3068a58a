"""Secrets that must be read back are sealed in the database, with a key that lies outside it."""

import base64
import hashlib

from cryptography.fernet import Fernet, MultiFernet
from django.conf import settings


def seal(text: str) -> str:
    return _vault().encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """Raises cryptography.fernet.InvalidToken when none of the keys fits."""
    return _vault().decrypt(sealed.encode()).decode()


def _vault() -> MultiFernet:
    digests = [hashlib.sha256(b"tradelatch vault\0" + key.encode()).digest() for key in settings.SEED_KEYS]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])
