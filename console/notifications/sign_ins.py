"""Telling a person of a sign-in with a browser that they never used before."""

import secrets

from django.dispatch import receiver
from django.http import HttpRequest
from django.utils import timezone

from console.accounts import known_browsers, sessions
from console.accounts.models import User
from console.accounts.signing_in import signed_in
from console.notifications import news
from console.notifications.models import NewsKind
from console.notifications.news import Told


@receiver(signed_in, dispatch_uid="tell of a sign-in")
def tell_of_sign_in(sender: object, *, request: HttpRequest, user: User, **kwargs: object) -> None:
    if known_browsers.browser_of(request, user.email):
        return
    program = sessions.browser_name(request.headers.get("User-Agent", "")[:300])
    ip = request.META.get("REMOTE_ADDR", "") or "an unknown address"
    told = Told(
        kind=NewsKind.SIGN_IN,
        source=f"sign-in:{secrets.token_hex(8)}",
        title=f"New sign-in: {program}",
        text=f"Somebody signed in as you with a browser that you had not used before: {program}, from {ip}, "
        f"{timezone.now():%Y-%m-%d %H:%M} UTC.\nIf that was not you, sign out everywhere else and change your "
        "password.",
        path="/security/",
    )
    news.tell(user, told)
