"""Forms whose answer shows a secret work once.

The secret is in that answer and nowhere else, so the answer cannot be a redirect. Reload or Back would send the
form again and make a second secret: each rendering of the form carries a token that one submission uses up.
"""

import secrets

from django.http import HttpRequest

_KEY = "forms_open"
_KEPT = 20


def issue_token(request: HttpRequest) -> str:
    token = secrets.token_urlsafe(12)
    request.session[_KEY] = [*request.session.get(_KEY, []), token][-_KEPT:]
    return token


def is_unused(request: HttpRequest) -> bool:
    """False for a form that was sent before. A program that sends none has no Back button to guard against."""
    token = request.POST.get("once")
    return token is None or token in request.session.get(_KEY, [])


def use_token(request: HttpRequest) -> None:
    request.session[_KEY] = [token for token in request.session.get(_KEY, []) if token != request.POST.get("once")]
