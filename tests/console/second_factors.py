"""A phone with an authenticator app, for tests."""

import re
import time
from typing import Any

from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal import auth as totp
from django.test import Client as Browser

from console.accounts.models import User
from tests.console.pages import text_of

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


def code(secret: str = SECRET, *, ago: int = 0) -> str:
    """What the app shows now, or showed so many half minutes ago."""
    value: str = totp.format_hotp_value(totp.hotp_value(secret, int(time.time()) // 30 - ago))
    return value


def give_app(user: User) -> Authenticator:
    factor: Authenticator = totp.TOTP.activate(user, SECRET).instance
    return factor


def sign_in(user: User, password: str, **extra: Any) -> tuple[Browser, Any]:
    browser = Browser()
    return browser, browser.post("/sign-in/", {"username": user.email, "password": password, **extra})


def shown_secret(page: Any) -> str:
    found = re.search(r"<code>([A-Z2-7 ]{32,})</code>", text_of(page))
    assert found is not None, text_of(page)
    return found[1].replace(" ", "")


def sealed_in(page: Any) -> str:
    """The same secret as the form sends it back."""
    found = re.search(r'name="sealed" value="([^"]+)"', text_of(page))
    assert found is not None, text_of(page)
    return found[1]


def shown_codes(page: Any) -> list[str]:
    found = re.search(r'<code class="codes">([\d\s]+)</code>', text_of(page))
    return found[1].split() if found else []
