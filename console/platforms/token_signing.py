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
def _keys() -> list[ECKey]:
    """Made on first use, with mode 0600. Losing it ends the tokens of the last hour and nothing else.

    One JWK, or a JWK Set (RFC 7517 section 5) while one is replaced: the first signs, each of them checks.
    """
    text = instance_dir.secret(settings.HOME, "platform_signing_key", database_exists=False, make=_generate)
    told = json.loads(text)
    return [ECKey.import_key(each) for each in told.get("keys", [told])]


def _generate() -> str:
    return json.dumps(ECKey.generate_key("P-256").as_dict(private=True))


def key_set() -> dict[str, Any]:
    return {
        "keys": [
            {**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig", "alg": _ALGORITHM} for key in _keys()
        ]
    }


def sign(claims: Mapping[str, Any]) -> str:
    key = _keys()[0]
    header = {"alg": _ALGORITHM, "typ": _TYPE, "kid": key.thumbprint()}
    return jwt.encode(header, dict(claims), key, algorithms=[_ALGORITHM])


def read(raw: str) -> Mapping[str, Any] | None:
    """The claims under a signature of ours, or None. Whether they still hold is the caller's question."""
    token = next((token for key in _keys() if (token := _decoded(raw, key)) is not None), None)
    if token is None:
        return None
    if token.header.get("typ") != _TYPE or not isinstance(token.claims, dict):
        return None
    return token.claims


def _decoded(raw: str, key: ECKey) -> jwt.Token | None:
    try:
        # One algorithm: a token cannot choose "none", or our public key as the secret of a MAC (RFC 8725).
        return jwt.decode(raw, key, algorithms=[_ALGORITHM])
    except (JoseError, ValueError, TypeError, RecursionError):
        return None
