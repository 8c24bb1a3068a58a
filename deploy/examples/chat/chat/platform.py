"""Users of this product at Tradelatch, and their tokens (platform API).

Secrets of users are kept in memory: a restart makes new practice users. A product of your own keeps them in its
database, sealed, beside its own users.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2

from chat.settings import Settings

REMINT_SECONDS = 300
"""A token is replaced this long before it ends, so that none ends in the middle of a call."""


class PlatformError(Exception):
    """Tradelatch refused, or could not be reached. The text is for the person in front of the page."""


@dataclass(slots=True)
class PlatformUser:
    user_id: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)
    ends_at: float = 0.0
    """When ``token`` ends, in seconds of the platform's clock."""
    minting: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)


class Platform:
    """``now`` gives seconds."""

    def __init__(self, http: httpx2.AsyncClient, settings: Settings, now: Callable[[], float] = time.time) -> None:
        self._http = http
        self._settings = settings
        self._now = now

    async def new_user(self) -> PlatformUser:
        """With a practice account. Raises PlatformError."""
        body = {"connection": {"name": "Practice", "starting_cash": "100000"}}
        made = await self._post("/api/v1/platform/users", body, {})
        return PlatformUser(made["user_id"], made["user_secret"])

    async def token(self, user: PlatformUser) -> str:
        """One that is good for at least five minutes. Raises PlatformError."""
        async with user.minting:
            if user.ends_at - self._now() < REMINT_SECONDS:
                asked_at = self._now()
                who = {"user-id": user.user_id, "user-secret": user.secret}
                minted = await self._post("/auth/tokens/user", {"scopes": ["read", "trade"]}, who)
                user.token, user.ends_at = minted["access_token"], asked_at + minted["expires_in"]
            return user.token

    async def _post(self, path: str, body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        both = {"client-id": self._settings.client_id, "client-secret": self._settings.client_secret} | headers
        try:
            answer = await self._http.post(f"{self._settings.tradelatch_url}{path}", json=body, headers=both)
            told: dict[str, Any] = answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            raise PlatformError("Tradelatch cannot be reached. Try again in a minute.") from error
        if not answer.is_success:
            raise PlatformError(told.get("detail") or told.get("title") or f"Tradelatch answered {answer.status_code}.")
        return told
