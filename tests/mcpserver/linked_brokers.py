"""A connection to the fake of any broker, and a tool called on it by whoever may only read."""

import uuid
from decimal import Decimal
from typing import Any

from brokers.types import Environment
from console.accounts.models import User
from console.authority import bearer
from console.connections import linking
from console.connections.link_specs import KINDS
from console.connections.models import Connection
from console.keys import minting
from console.limits import Limits
from console.scopes import Scope
from mcpserver import catalog, pipeline, result_schemas
from tests.console.connections.fakes import Linkable
from tests.mcpserver.wire import schema_of


def call(key: str, tool: str, **arguments: Any) -> dict[str, Any]:
    """What a tool answers, held against the schema it declares."""
    content = pipeline.call(bearer.authenticate(key), tool, arguments, request_id=uuid.uuid4().hex).content
    declared = catalog.find(tool)
    assert declared is not None
    returns: Any = result_schemas.Failure if "error" in content else declared.returns
    schema_of(returns, spread=True).validate(content)
    return content


def link(owner: User, linkable: Linkable, fake: Any, *, limits: Limits | None = None) -> str:
    """A connection to the fake, and a key that may only read; within ``limits`` it may trade too."""
    kind = KINDS[linkable.slug or linkable.broker]
    on_live = Limits(order_notional=Decimal(5000), daily_notional=Decimal(20_000))
    secrets = {field.name for field in kind.fields if field.is_secret}
    typed = linkable.credentials(fake)
    made: Connection = linking.link(
        owner,
        kind,
        name="Mine",
        environment=Environment(linkable.environment),
        own={name: value for name, value in typed.items() if name not in secrets},
        secrets={name: value for name, value in typed.items() if name in secrets},
        limits=limits or (on_live if linkable.environment == Environment.LIVE else Limits()),
        trading_enabled=limits is not None,
    )
    scopes = {Scope.READ} if limits is None else {Scope.READ, Scope.TRADE}
    _, key = minting.mint(owner, made, frozenset(scopes), name="Reader" if limits is None else "Trader")
    return key
