"""What this server is and what this client may do here."""

from typing import Any

from django.conf import settings

from brokers.types import OrderType, TimeInForce
from console import scopes
from console.connections.models import Connection
from console.scopes import Scope
from mcpserver.call import Call


def get_capabilities(call: Call) -> dict[str, Any]:
    who = call.principal
    connection = Connection.objects.get(pk=who.connection_id)
    return {
        "scopes": scopes.render(who.scopes).split(),
        "trading": {
            "allowed": who.may(Scope.TRADE) and connection.trading_enabled,
            "scope": who.may(Scope.TRADE),
            "enabled_on_connection": connection.trading_enabled,
            "confirmation": connection.policy,
            "confirmation_seconds": settings.CONFIRMATION_SECONDS,
            "order_types": [each.value for each in OrderType],
            "time_in_force": [each.value for each in TimeInForce],
        },
        "limits": {
            "calls_per_minute": settings.CALLS_PER_MINUTE,
            "trade_calls_per_minute": settings.TRADE_CALLS_PER_MINUTE,
        },
        "app": who.app_label,
        "manage_at": f"{settings.PUBLIC_URL}/apps/{who.app_id}/",
    }
