"""The person themself at a browser: whoever is asked for a proof gives it, with the password or with a passkey.

A plain ``Browser`` is what somebody has who copied the cookies.
"""

import json
from typing import Any

from django.test import Client as Browser

from console.accounts.models import User
from tests.conftest import PASSWORD
from tests.console.passkeys import Passkey
from tests.console.second_factors import code

ASKED_FOR_PASSKEY, ASKED_FOR_PASSWORD = b'name="proof-credential"', b'name="proof-password"'
ASKED_FOR_CODE = b'name="proof-code"'


class Person(Browser):
    """Fills in the proof of a form when its answer asks for one."""

    passkey: Passkey | None = None

    def post(self, path: str, data: Any = None, *args: Any, **more: Any) -> Any:  # type: ignore[override]
        first = super().post(path, data, *args, **more)
        if first.status_code != 200 or not first["Content-Type"].startswith("text/html"):
            return first
        if self.passkey is not None and ASKED_FOR_PASSKEY in first.content:
            asked = super().post(f"{path}{'&' if '?' in path else '?'}challenge", data, *args, **more)
            if not asked["Content-Type"].startswith("application/json"):
                return first  # something else is wrong with the form
            proof = {"proof-credential": self.passkey.answer(asked.json())}
        elif ASKED_FOR_PASSWORD in first.content:
            proof = {"proof-password": PASSWORD}
            if ASKED_FOR_CODE in first.content:
                proof["proof-code"] = code()
        else:
            return first
        return super().post(path, {**(data or {}), **proof}, *args, **more)


def present(browser: Browser, passkey: Passkey | None = None) -> Person:
    """The person behind the cookies of ``browser``."""
    person = Person()
    person.cookies, person.passkey = browser.cookies, passkey
    return person


def at_the_browser(user: User, passkey: Passkey | None = None) -> Person:
    browser = Browser()
    browser.force_login(user)
    return present(browser, passkey)


def challenge(browser: Browser, url: str, fields: dict[str, Any] | None = None) -> dict[str, Any]:
    """What a passkey is to sign for this form."""
    asked: dict[str, Any] = browser.post(f"{url}?challenge", fields or {}).json()
    return asked


def typed_proof(problem: dict[str, Any], passkey: Passkey | None = None) -> dict[str, Any]:
    """The member ``proof`` that answers a refusal of the REST API."""
    offered = problem["proof"]
    if passkey is not None and "passkey" in offered:
        return {"passkey": json.loads(passkey.answer(offered["passkey"]))}
    return {"password": PASSWORD}
