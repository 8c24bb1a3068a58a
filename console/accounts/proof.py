"""A passkey's answer that came with a form: proof, this very moment, of who sits at the browser."""

from django.contrib import messages
from django.http import HttpRequest

from console.accounts import factors
from console.accounts.factors import Factor
from console.accounts.models import User
from console.accounts.throttle import TOO_MANY, Attempt

WRONG_PASSKEY = "That passkey does not open anything here."


def by_passkey(request: HttpRequest, user: User, *, subject: str = "") -> Factor | None:
    """The passkey of this person whose answer the form carries. What does not fit is said on the page.

    With a ``subject``, only an answer to ``factors.request_options_about`` the very same.
    """
    if "credential" not in request.POST:
        return None
    attempt = Attempt(ip=request.META.get("REMOTE_ADDR", ""), email=user.email, kind="second-step")
    if not attempt.begin():
        messages.error(request, TOO_MANY)
    elif factor := factors.check_passkey(request.POST["credential"], user, subject=subject):
        attempt.succeeded()
        return factor
    else:
        messages.error(request, WRONG_PASSKEY)
    return None
