"""The address of an error code's page, for everything that refuses."""

from django.conf import settings

from console.errors import Code

PATH = "/help/errors/"


def error_page_url(code: Code | str) -> str:
    """The page that says what the code means, why it happens and what to do. It needs no sign-in."""
    return f"{settings.PUBLIC_URL}{PATH}{code}/"
