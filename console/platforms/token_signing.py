"""Signed access tokens (RFC 9068, ES256) and the key that checks them (RFC 7517)."""

import functools
import json
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from console.config import instance_dir

_ALGORITHM = "ES256"
_TYPE = "at+jwt"


@functools.cache
def _key() -> ECKey:
    """Made on first use, with mode 0600. Losing it ends the tokens of the last hour and nothing else."""
    text = instance_dir.secret(settings.HOME, "platform_signing_key", database_exists=False, make=_generate)
    return ECKey.import_key(json.loads(text))


def _generate() -> str:
    return json.dumps(ECKey.generate_key("P-256").as_dict(private=True))


def key_set() -> dict[str, Any]:
    key = _key()
    public = {**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig", "alg": _ALGORITHM}
    return {"keys": [public]}


def sign(claims: Mapping[str, Any]) -> str:
    key = _key()
    header = {"alg": _ALGORITHM, "typ": _TYPE, "kid": key.thumbprint()}
    return jwt.encode(header, dict(claims), key, algorithms=[_ALGORITHM])


def read(raw: str) -> Mapping[str, Any] | None:
    """The claims under a signature of ours, or None. Whether they still hold is the caller's question."""
    try:
        # One algorithm: a token cannot choose "none", or our public key as the secret of a MAC (RFC 8725).
        token = jwt.decode(raw, _key(), algorithms=[_ALGORITHM])
    except (JoseError, ValueError, TypeError, RecursionError):
        return None
    if token.header.get("typ") != _TYPE or not isinstance(token.claims, dict):
        return None
    return token.claims
