"""A passkey as the second step of signing in. For acts of somebody who is signed in, see ``presence``."""

from django.contrib import messages
from django.http import HttpRequest

from console.accounts import second_factors
from console.accounts.models import User
from console.accounts.second_factors import Factor
from console.accounts.throttle import TOO_MANY, SignInAttempt

WRONG_PASSKEY = "That passkey is not registered here."


def by_passkey(request: HttpRequest, user: User) -> Factor | None:
    """The passkey of this person whose answer the form carries. What does not fit is said on the page."""
    if "credential" not in request.POST:
        return None
    attempt = SignInAttempt(ip=request.META.get("REMOTE_ADDR", ""), email=user.email, kind="second-step")
    if not attempt.begin():
        messages.error(request, TOO_MANY)
    elif factor := second_factors.check_passkey(request.POST["credential"], user):
        attempt.succeeded()
        return factor
    else:
        messages.error(request, WRONG_PASSKEY)
    return None
