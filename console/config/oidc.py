"""The OpenID Connect providers people may sign in with. Read once, by settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


@dataclass(frozen=True, slots=True)
class Provider:
    slug: str
    name: str
    issuer: str
    client_id: str
    client_secret: str = field(repr=False)


def providers(environment: Mapping[str, str]) -> dict[str, Provider]:
    """Those configured completely, by slug. One that is configured by half is refused."""

    def read(*names: str) -> list[str] | None:
        values = [environment.get(name, "").strip() for name in names]
        if any(values) and not all(values):
            raise ImproperlyConfigured(f"Set all of {', '.join(names)}, or none.")
        return values if all(values) else None

    found = {}
    if google := read("TRADELATCH_GOOGLE_CLIENT_ID", "TRADELATCH_GOOGLE_CLIENT_SECRET"):
        found["google"] = Provider("google", "Google", "https://accounts.google.com", *google)
    if other := read("TRADELATCH_OIDC_ISSUER", "TRADELATCH_OIDC_CLIENT_ID", "TRADELATCH_OIDC_CLIENT_SECRET"):
        issuer = urlsplit(other[0])
        if issuer.scheme != "https" and not (issuer.scheme == "http" and issuer.hostname in _LOOPBACK):
            raise ImproperlyConfigured(f"TRADELATCH_OIDC_ISSUER must be an https address, not {other[0]!r}.")
        name = environment.get("TRADELATCH_OIDC_NAME", "").strip() or issuer.hostname or other[0]
        found["oidc"] = Provider("oidc", name, *other)
    return found
