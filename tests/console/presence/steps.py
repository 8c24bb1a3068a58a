"""Somebody with a copied cookie, and what would have changed."""

from django.test import Client as Browser

STATE = "mfa.webauthn.state"


class Thief(Browser):
    """What a program has that the owner's browser sent its cookies to: a session, and a token against forgeries."""

    def __init__(self, victim: Browser) -> None:
        super().__init__(enforce_csrf_checks=True)
        victim.get("/connections/add/")  # a form, so that there is a token
        for name, morsel in victim.cookies.items():
            self.cookies[name] = morsel.value
        self.defaults["HTTP_X_CSRFTOKEN"] = self.cookies["tradelatch_csrf"].value
