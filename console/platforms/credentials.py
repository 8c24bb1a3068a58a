"""The two pairs of headers, checked in constant time. Secrets have 178 random bits, so a plain hash will do."""

import hashlib
import secrets
import string

from console.errors import Code, Refusal
from console.platforms.models import Platform, PlatformUser

_BASE62 = string.digits + string.ascii_letters
# Compared with when an id is unknown, so that the answer takes as long as for a wrong secret.
_NOBODY = hashlib.sha256(secrets.token_bytes(32)).hexdigest()


def new_id(prefix: str) -> str:
    """``tlc_…`` of a platform, ``tlu_…`` of its user."""
    return f"{prefix}_{secrets.token_hex(10)}"


def new_secret(prefix: str) -> tuple[str, str]:
    """A secret and its digest. The text is shown once and kept nowhere."""
    raw = f"{prefix}_secret_" + "".join(secrets.choice(_BASE62) for _ in range(30))
    return raw, digest(raw)


def digest(raw: str) -> str:
    return hashlib.sha256(raw.encode("utf-8", "surrogateescape")).hexdigest()


def platform(client_id: str, client_secret: str) -> Platform:
    """Raises Refusal, in the same words for an unknown id and a wrong secret."""
    found = Platform.objects.select_related("owner").filter(client_id=client_id).first()
    fits = secrets.compare_digest(found.digest if found else _NOBODY, digest(client_secret))
    if found is None or not fits:
        raise Refusal(
            Code.UNAUTHENTICATED, "client-id and client-secret do not belong to a platform.", field="client-secret"
        )
    if found.disabled_at is not None or not found.owner.is_active:
        raise Refusal(Code.UNAUTHENTICATED, "This platform is disabled.", field="client-id")
    return found


def user(platform: Platform, user_id: str, user_secret: str) -> PlatformUser:
    found = PlatformUser.objects.select_related("user").filter(platform=platform, public_id=user_id).first()
    fits = secrets.compare_digest(found.digest if found else _NOBODY, digest(user_secret))
    if found is None or not fits:
        raise Refusal(
            Code.UNAUTHENTICATED,
            "user-id and user-secret do not belong to a user of this platform.",
            field="user-secret",
        )
    if found.disabled_at is not None or not found.user.is_active:
        raise Refusal(Code.UNAUTHENTICATED, "This user is disabled.", field="user-id")
    return found
