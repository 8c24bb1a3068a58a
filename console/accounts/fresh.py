"""A recent proof that the person at the browser is the one who signed in, for acts that widen what others may do."""

import time

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import urlencode

FRESH_SECONDS = 300
_KEY = "proved_at"


def mark(request: HttpRequest) -> None:
    """The person has just proved who they are."""
    request.session[_KEY] = time.time()


def is_fresh(request: HttpRequest) -> bool:
    """Whether that was within the last five minutes."""
    proved_at = request.session.get(_KEY)
    return isinstance(proved_at, float) and 0 <= time.time() - proved_at < FRESH_SECONDS


def ask(next_: str) -> HttpResponse:
    """Send the person to prove it again, and then on to ``next_``."""
    return redirect(f"/re-authenticate/?{urlencode({'next': next_})}")
