"""Sessions in the database under a digest of their key: who reads the database, or a copy of it, is nobody by that.

The key itself is in the person's cookie alone. It has 165 random bits, so a plain hash will do.
"""

import hashlib
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.utils import timezone


def digest(session_key: str) -> str:
    """40 characters, as the column takes."""
    return hashlib.blake2b(session_key.encode(), digest_size=20).hexdigest()


class SessionStore(db.SessionStore):
    def _get_session_from_db(self) -> Session | None:
        usable = Session.objects.filter(session_key=digest(self.session_key or ""), expire_date__gt=timezone.now())
        found = usable.first() if self.session_key else None
        if found is None:
            self._session_key = None  # a key that opens nothing is not taken over for a new session
        return found

    def exists(self, session_key: str) -> bool:
        return Session.objects.filter(session_key=digest(session_key)).exists()

    def create_model_instance(self, data: Any) -> Session:
        made = super().create_model_instance(data)
        assert isinstance(made, Session)
        made.session_key = digest(made.session_key)
        return made

    def delete(self, session_key: str | None = None) -> None:
        if key := session_key or self.session_key:
            Session.objects.filter(session_key=digest(key)).delete()

    async def _aget_session_from_db(self) -> Session | None:
        return await sync_to_async(self._get_session_from_db)()

    async def aexists(self, session_key: str) -> bool:
        return await sync_to_async(self.exists)(session_key)

    async def acreate_model_instance(self, data: Any) -> Session:
        return await sync_to_async(self.create_model_instance)(data)

    async def adelete(self, session_key: str | None = None) -> None:
        await sync_to_async(self.delete)(session_key)
