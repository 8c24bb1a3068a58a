"""A try to sign in, and what it is told."""

from django.test import Client as Browser

from tests.console.pages import words_of

WRONG = "Wrong e-mail address or password."
TOO_MANY = "Too many attempts. Wait 5 minutes, then try again."


def attempt(browser: Browser, email: str, password: str, **extra: str) -> str:
    response = browser.post("/sign-in/", {"username": email, "password": password}, **extra)  # type: ignore[arg-type]
    return words_of(response) if response.status_code == 200 else f"to {response['Location']}"
