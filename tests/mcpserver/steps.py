"""What the tests of the MCP server share."""

from brokers.types import Environment
from console.principal import Principal
from console.scopes import Scope, Source

PRINCIPAL = Principal(
    user_id=1,
    user_label="",
    source=Source.API_KEY,
    credential_id="k",
    app_id=1,
    app_label="the app",
    paused=False,
    scopes=frozenset({Scope.READ}),
    connection_id=7,
    connection_label="Practice",
    connection_paused=False,
    broker="paper",
    broker_settings={},
    environment=Environment.PAPER,
    account_id="",
)
