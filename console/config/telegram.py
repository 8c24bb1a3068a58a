"""The Telegram bot of this instance. Read once, by settings."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

PUBLIC_API = "https://api.telegram.org"


@dataclass(frozen=True, slots=True)
class Telegram:
    bot: str
    """Its user name, without the @."""
    api: str
    token: str = field(repr=False)

    @property
    def own_host(self) -> list[str]:
        """The computer of an API server that the operator named, which may be a private one."""
        return [] if self.api == PUBLIC_API else [urlsplit(self.api).hostname or ""]


def bot(environment: Mapping[str, str]) -> Telegram | None:
    """None where there is none. One that is configured by half is refused."""
    names = ("TRADELATCH_TELEGRAM_TOKEN", "TRADELATCH_TELEGRAM_BOT")
    token, name = (environment.get(each, "").strip() for each in names)
    if not token and not name:
        return None
    if not re.fullmatch(r"[0-9]+:[A-Za-z0-9_-]+", token) or not re.fullmatch(r"@?[A-Za-z0-9_]{3,64}", name):
        # Not the token itself.
        raise ImproperlyConfigured(
            f"Set {names[0]} to the token that @BotFather gave you, 123456:ABC…, and {names[1]} to the bot's name."
        )
    api = environment.get("TRADELATCH_TELEGRAM_API", "").strip().rstrip("/") or PUBLIC_API
    if urlsplit(api).scheme not in ("https", "http") or not urlsplit(api).hostname:
        raise ImproperlyConfigured(f"TRADELATCH_TELEGRAM_API must be an address such as {PUBLIC_API}, not {api!r}.")
    return Telegram(name.removeprefix("@"), api, token)
