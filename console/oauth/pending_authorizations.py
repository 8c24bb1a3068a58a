"""Authorization requests that wait for a person, each behind a handle that one answer uses up."""

import secrets
from datetime import timedelta

from django.http import HttpRequest, QueryDict
from django.utils import timezone

from console.accounts.request_user import user_of
from console.oauth.models import PendingConsent
from console.oauth.validator import digest

LIFETIME = timedelta(minutes=10)
_KEY = "consent_key"


class OtherSession(Exception):
    """The person signed out and in again since: the request is theirs, the session is another. Read it anew."""

    def __init__(self, query: str) -> None:
        super().__init__("The request was started in another session.")
        self.query = query


def store(request: HttpRequest, query: QueryDict) -> str:
    """The handle of a request that was found valid."""
    now = timezone.now()
    PendingConsent.objects.filter(expires_at__lt=now).delete()
    handle = secrets.token_urlsafe(32)
    PendingConsent.objects.create(
        handle_digest=digest(handle),
        user=user_of(request),
        session_digest=_session(request),
        query=query.urlencode(),
        expires_at=now + LIFETIME,
    )
    return handle


def find(request: HttpRequest, handle: str) -> PendingConsent | None:
    """None when it was answered, ran out, or is somebody else's. Raises OtherSession."""
    found = PendingConsent.objects.filter(
        handle_digest=digest(handle), user=user_of(request), expires_at__gt=timezone.now()
    ).first()
    if found is not None and not secrets.compare_digest(found.session_digest, _session(request)):
        raise OtherSession(found.query)
    return found


def consume(waiting: PendingConsent) -> bool:
    """True for the one answer that counts."""
    deleted, _ = PendingConsent.objects.filter(pk=waiting.pk).delete()
    return bool(deleted)


def _session(request: HttpRequest) -> str:
    """Lives in the session, which ends at sign-out: a key of ours, as Django changes its own at sign-in."""
    key = request.session.get(_KEY)
    if not isinstance(key, str):
        key = request.session[_KEY] = secrets.token_urlsafe(16)
    return digest(key)
