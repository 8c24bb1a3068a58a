"""Sign-in through an OpenID Connect provider: authorization code with PKCE, state, nonce and a checked ID token.

Our own rather than allauth's, which sends no nonce and takes the ID token's signature on trust.
"""

import base64
import hashlib
import secrets
import time
from dataclasses import dataclass
from secrets import compare_digest
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import httpx2
import jwt
from django.core.cache import cache
from django.http import HttpRequest
from django.urls import reverse

from console import base_path
from console.accounts.models import User
from console.config.oidc import Provider

_KEY = "identity_request"
_SECONDS = 600
_KEPT_SECONDS = 3600
# Signatures by the provider's private key alone: with HS256 our own secret would be the key.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"]


class OidcError(Exception):
    """The provider's answer cannot be trusted or used. ``str(failed)`` is safe to show."""


@dataclass(frozen=True, slots=True)
class ProviderIdentity:
    email: str
    """Verified by the provider."""
    next: str


def start(request: HttpRequest, provider: Provider, next_: str) -> str:
    """The provider's address to send the browser to. Raises OidcError."""
    verifier = secrets.token_urlsafe(48)
    kept = {
        "provider": provider.slug,
        "state": secrets.token_urlsafe(24),
        "nonce": secrets.token_urlsafe(24),
        "verifier": verifier,
        "next": next_,
        "at": time.time(),
    }
    digest = hashlib.sha256(verifier.encode()).digest()
    query = {
        "response_type": "code",
        "client_id": provider.client_id,
        "redirect_uri": _callback(provider),
        "scope": "openid email",
        "state": kept["state"],
        "nonce": kept["nonce"],
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    endpoint: str = _discover(provider)["authorization_endpoint"]
    request.session[_KEY] = kept
    return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"


def complete(request: HttpRequest, provider: Provider) -> ProviderIdentity:
    """Who came back from the provider. Raises OidcError."""
    kept = request.session.pop(_KEY, None)
    if (
        kept is None
        or kept["provider"] != provider.slug
        or not 0 <= time.time() - kept["at"] < _SECONDS
        or not compare_digest(kept["state"].encode(), request.GET.get("state", "").encode())
    ):
        raise OidcError("This sign-in was started elsewhere or took too long. Try again.")
    if request.GET.get("iss", provider.issuer) != provider.issuer:
        raise OidcError(f"The answer did not come from {provider.name}.")
    if "error" in request.GET or not request.GET.get("code"):
        raise OidcError(f"{provider.name} did not sign you in. You can try again.")
    claims = _claims(provider, _redeem(provider, request.GET["code"], kept["verifier"]))
    if not compare_digest(str(claims["nonce"]).encode(), kept["nonce"].encode()):
        raise OidcError(f"The answer from {provider.name} belongs to another sign-in. Try again.")
    email = claims.get("email")
    if not isinstance(email, str) or not email or claims.get("email_verified") is not True:
        raise OidcError(f"{provider.name} has not verified your e-mail address.")
    return ProviderIdentity(email, kept["next"])


def account(email: str) -> User | None:
    """The person with that verified address. Nobody is ever made here."""
    user = User.objects.filter(email__iexact=email, is_active=True).first()
    # PostgreSQL folds more than ASCII: with iexact alone a dotless i would find Mike.
    return user if user is not None and user.email == email.lower() else None


def _callback(provider: Provider) -> str:
    return base_path.absolute(reverse("identity-callback", args=[provider.slug]))


def _discover(provider: Provider) -> dict[str, Any]:
    key = f"oidc:{hashlib.sha256(provider.issuer.encode()).hexdigest()}"
    document: dict[str, Any] | None = cache.get(key)
    if document is None:
        document = _json(provider, "GET", f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration")
        needed = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")
        if not all(isinstance(document.get(name), str) for name in needed) or document["issuer"] != provider.issuer:
            raise OidcError(f"{provider.name} does not match TRADELATCH_OIDC_ISSUER.")
        cache.set(key, document, _KEPT_SECONDS)
    return document


def _redeem(provider: Provider, code: str, verifier: str) -> str:
    document = _discover(provider)
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": _callback(provider),
        "code_verifier": verifier,
    }
    # Left out, it means client_secret_basic (OpenID Connect Discovery 1.0, 3).
    if "client_secret_basic" in document.get("token_endpoint_auth_methods_supported", ["client_secret_basic"]):
        pair = f"{quote(provider.client_id, safe='')}:{quote(provider.client_secret, safe='')}"
        headers = {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
    else:
        headers = {}
        form |= {"client_id": provider.client_id, "client_secret": provider.client_secret}
    token = _json(provider, "POST", document["token_endpoint"], form, headers).get("id_token")
    if not isinstance(token, str):
        raise OidcError(f"{provider.name} sent no ID token.")
    return token


def _claims(provider: Provider, token: str) -> dict[str, Any]:
    try:
        key = _key(provider, jwt.get_unverified_header(token).get("kid"))
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=_ALGORITHMS,
            audience=provider.client_id,
            issuer=provider.issuer,
            leeway=60,
            options={"require": ["iss", "sub", "aud", "exp", "iat", "nonce"]},
        )
    except jwt.PyJWTError as error:
        raise OidcError(f"The ID token of {provider.name} is not valid.") from error
    if claims.get("azp", provider.client_id) != provider.client_id:
        raise OidcError(f"The ID token of {provider.name} is not valid.")
    return claims


def _key(provider: Provider, kid: str | None) -> jwt.PyJWK:
    """The provider's key of that name; asked for each time, so that a key it withdrew is never used."""
    keys = jwt.PyJWKSet.from_dict(_json(provider, "GET", _discover(provider)["jwks_uri"])).keys
    fitting = [key for key in keys if key.key_id == kid] if kid else keys
    if len(fitting) != 1:
        raise jwt.InvalidKeyError("no such key")
    return fitting[0]


def _json(
    provider: Provider,
    method: str,
    url: str,
    form: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
) -> dict[str, Any]:
    try:
        answer = httpx2.request(method, url, data=form, headers=headers, timeout=10, follow_redirects=False)
        answer.raise_for_status()
        body = answer.json()
    except (httpx2.HTTPError, ValueError) as error:
        raise OidcError(f"{provider.name} could not be reached. Try again in a minute.") from error
    if not isinstance(body, dict):
        raise OidcError(f"{provider.name} could not be reached. Try again in a minute.")
    return body
