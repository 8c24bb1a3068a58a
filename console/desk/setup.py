"""How far somebody has come with setting up: a connection, an assistant, its first call."""

from dataclasses import dataclass

from console.accounts.models import User
from console.audit import queries as call_queries
from console.audit.models import Call
from console.connected_apps import queries as app_queries
from console.connections import queries as connection_queries
from console.scopes import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUp:
    has_connection: bool
    has_app: bool
    """One signed in. A key that nobody has used yet is no assistant, whoever made it."""
    first_call: Call | None

    @property
    def is_done(self) -> bool:
        """A call needs the rest, which may have been taken back since."""
        return self.first_call is not None

    @property
    def mark(self) -> str:
        return f"{self.has_connection:d}{self.has_app:d}{self.is_done:d}"


def of(owner: User) -> SetUp:
    made = app_queries.oldest_made_at(owner)
    first = None if made is None else call_queries.first_of_apps(owner, made)
    if first is not None:
        return SetUp(has_connection=True, has_app=True, first_call=first)
    return SetUp(
        has_connection=connection_queries.open_connections(owner).exists(),
        has_app=app_queries.active_apps(owner).filter(source=Source.OAUTH).exists(),
        first_call=None,
    )
