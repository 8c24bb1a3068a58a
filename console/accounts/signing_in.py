"""The end of every way in, whatever it began with: a second step where there is one, then a session of its own."""

import time
from dataclasses import dataclass
from secrets import compare_digest

from django.conf import settings
from django.contrib.auth import login
from django.dispatch import Signal
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.http import url_has_allowed_host_and_scheme

from console.accounts import known_browsers, second_factors, sessions
from console.accounts.models import User
from console.request_origin import ProofKind

HALF_WAY_SECONDS = 600
signed_in = Signal()
"""Sent with ``request`` and ``user``, before the browser is remembered as one of theirs."""
_KEY = "half_way_in"


@dataclass(frozen=True, slots=True)
class PendingSignIn:
    user: User
    next: str
    proof: ProofKind
    """What they have shown already."""


def safe_next_url(request: HttpRequest, wanted: str) -> str:
    """Where to go on to: an address of ours, or Home."""
    allowed = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if allowed else settings.LOGIN_REDIRECT_URL


def to_second_step(request: HttpRequest, user: User, next_: str, proof: ProofKind) -> HttpResponse | None:
    """The person proved one thing. Whoever has a second factor must show it before they are signed in; None: they
    have none."""
    if not second_factors.has_any(user):
        return None
    request.session.cycle_key()
    request.session[_KEY] = {
        "user": user.pk,
        "hash": user.get_session_auth_hash(),
        "at": time.time(),
        "next": next_,
        "proof": proof.value,
    }
    shorten_session(request)
    return redirect("second-step")


def pending_sign_in(request: HttpRequest) -> PendingSignIn | None:
    """Who is waiting at the second step; nobody once it took too long or the password was changed meanwhile."""
    kept = request.session.get(_KEY)
    if kept is None or not 0 <= time.time() - kept["at"] < HALF_WAY_SECONDS:
        return None
    user = User.objects.filter(pk=kept["user"], is_active=True).first()
    if user is None or not any(
        compare_digest(kept["hash"], each)
        for each in (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    ):
        return None
    return PendingSignIn(user, kept["next"], ProofKind(kept.get("proof", "")))


def finish(request: HttpRequest, user: User, next_: str) -> HttpResponse:
    request.session.pop(_KEY, None)
    login(request, user, backend="django.contrib.auth.backends.ModelBackend")
    request.session.set_expiry(None)
    sessions.record_browser(request)
    signed_in.send(User, request=request, user=user)
    response = redirect(safe_next_url(request, next_))
    known_browsers.remember_browser(request, response, user.email)
    return response


def shorten_session(request: HttpRequest) -> None:
    """Nobody is signed in yet: what the session holds is of use for minutes, not weeks."""
    if not request.user.is_authenticated:
        request.session.set_expiry(HALF_WAY_SECONDS)
