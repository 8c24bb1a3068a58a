"""Who acts, through what, with which scopes. Frozen values that carry no secret."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from brokers.types import Environment
from console.scopes import Scope, Source


class Redeemer(StrEnum):
    """Whose yes releases what was prepared. Each takes the yes of those below it as well; it never becomes looser."""

    APP = "app"
    """The app that prepared it, once the person agreed in the chat."""
    USER = "user"
    """Whoever is asked in the client: their sealed answer, and no call that a model can make."""
    OWNER = "owner"
    """The owner of the connection alone, in the console."""

    @property
    def rank(self) -> int:
        return list(Redeemer).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    user_id: int
    user_label: str
    source: Source
    credential_id: str
    """Public id of the key, or the row id of the token: never a secret."""
    app_id: int
    app_label: str
    paused: bool
    scopes: frozenset[Scope]
    toolsets: frozenset[str] | None = None
    """The toolsets that are switched on; None: those of the default."""
    calls_per_minute: int | None = None
    """The app's own limit; None: as many as its user may make."""
    ask_in_assistant: bool = True
    """Whether its user is asked in their client, where that can ask."""
    connection_id: int
    connection_label: str
    connection_paused: bool
    trading_enabled: bool = True
    """Whether the connection takes orders at all."""
    broker: str
    broker_settings: Mapping[str, Any] = field(repr=False, compare=False)
    """The connection's own record, opaque to everyone but its adapter."""
    broker_sealed: str = field(default="", repr=False, compare=False)
    """The connection's credentials, still sealed."""
    environment: Environment
    account_id: str
    """The account a call means when it names none."""
    ip: str = ""
    user_agent: str = ""
    redeemer: Redeemer = Redeemer.APP
    """Whose yes this call stands for: what it prepares is theirs to release. Only ``mcpserver.elicitation`` sets it."""
    is_use_on_record: bool = False
    """Whether its rows already say that it was used within this minute, and from this address."""

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes


@dataclass(frozen=True, slots=True, kw_only=True)
class Manager:
    """Who manages an account with a management key. It stands for no app: no connection, no tool, no order."""

    user_id: int
    user_label: str
    credential_id: str
    """Public id of the key."""
    label: str
    """What its owner called it."""
    ip: str = ""
    user_agent: str = ""

    @property
    def source(self) -> Source:
        return Source.MANAGEMENT

    @property
    def scopes(self) -> frozenset[Scope]:
        return frozenset({Scope.MANAGE})
