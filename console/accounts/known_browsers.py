"""Browsers somebody has signed in with before: strangers who guess passwords elsewhere do not keep those out.

The cookie opens nothing. It says that this browser is known for these people, so that its guesses are counted apart.
"""

import hashlib
import secrets

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse

COOKIE = f"{settings.COOKIE_PREFIX}known"
_SALT = "known-browser"
_SECONDS = 180 * 86400
_MOST = 5
"""People of one browser."""


def browser_of(request: HttpRequest, email: str = "") -> str:
    """What this browser is called, where ``email`` (without one: anybody) signed in with it; else empty."""
    name, people = _read(request)
    return name if people and (not email or _person(email) in people) else ""


def remember_browser(request: HttpRequest, response: HttpResponse, email: str) -> None:
    """The person has just signed in."""
    name, people = _read(request)
    told = [_person(email), *(each for each in people if each != _person(email))][:_MOST]
    response.set_cookie(
        COOKIE,
        signing.dumps({"name": name or secrets.token_urlsafe(16), "people": told}, salt=_SALT),
        max_age=_SECONDS,
        path=settings.SESSION_COOKIE_PATH,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _read(request: HttpRequest) -> tuple[str, list[str]]:
    try:
        told = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=_SECONDS)
    except signing.BadSignature:
        return "", []
    return told["name"], told["people"]


def _person(email: str) -> str:
    return hashlib.sha256(email.strip().lower().encode()).hexdigest()[:32]
