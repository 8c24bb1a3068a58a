"""Where letters go is one address in the environment."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from console.config import email
from console.config.email import Smtp


def test_without_an_address_letters_are_files_in_the_home() -> None:
    assert email.backend("")[0] == "console.outbox.backends.FolderBackend"


@pytest.mark.parametrize(
    ("url", "smtp"),
    [
        ("smtp://mail.example.com", Smtp("mail.example.com", 25)),
        ("smtp://me:p%40ss@mail.example.com", Smtp("mail.example.com", 587, "me", "p@ss", starttls=True)),
        ("smtps://me:pass@mail.example.com", Smtp("mail.example.com", 465, "me", "pass", tls=True)),
        ("smtps://mail.example.com:4650", Smtp("mail.example.com", 4650, tls=True)),
    ],
)
def test_an_address_says_how_to_reach_the_server(url: str, smtp: Smtp) -> None:
    assert email.backend(url) == ("django.core.mail.backends.smtp.EmailBackend", smtp)


@pytest.mark.parametrize("url", ["mail.example.com", "http://me:secret@host", "smtp://", "smtp://me:secret@host:port"])
def test_an_address_that_is_none_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(ImproperlyConfigured) as caught:
        email.backend(url)
    assert "secret" not in str(caught.value)
