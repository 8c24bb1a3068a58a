"""Where e-mail goes, from one address such as smtps://user:password@mail.example.com. Read once, by settings."""

from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured


@dataclass(frozen=True, slots=True)
class Smtp:
    host: str = ""
    port: int = 25
    user: str = ""
    password: str = ""
    tls: bool = False
    starttls: bool = False


def backend(url: str) -> tuple[str, Smtp]:
    """Django's name of the back-end and how to reach it. Without an address, letters are files in the home."""
    if not url:
        return "console.outbox.backends.FolderBackend", Smtp()
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname or port == 0:
        # Not the address itself: it may hold a password.
        raise ImproperlyConfigured("TRADELATCH_SMTP_URL must look like smtp://user:password@host:port, or smtps://.")
    tls = parts.scheme == "smtps"
    smtp = Smtp(
        host=parts.hostname,
        port=port or (465 if tls else 587 if parts.username else 25),
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=tls,
        # A password never crosses the wire in the clear.
        starttls=not tls and bool(parts.username),
    )
    return "django.core.mail.backends.smtp.EmailBackend", smtp
