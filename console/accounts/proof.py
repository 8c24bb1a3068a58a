"""A passkey's answer that came with a form: proof, this very moment, of who sits at the browser."""

from django.contrib import messages
from django.http import HttpRequest

from console.accounts import factors
from console.accounts.models import User
from console.accounts.throttle import TOO_MANY, Attempt

WRONG_PASSKEY = "That passkey does not open anything here."


def by_passkey(request: HttpRequest, user: User) -> bool:
    """Whether the form carries an answer of this person's passkey. What does not fit is said on the page."""
    if "credential" not in request.POST:
        return False
    attempt = Attempt(ip=request.META.get("REMOTE_ADDR", ""), email=user.email, kind="second-step")
    if not attempt.begin():
        messages.error(request, TOO_MANY)
    elif factors.check_passkey(request.POST["credential"], user):
        attempt.succeeded()
        return True
    else:
        messages.error(request, WRONG_PASSKEY)
    return False
