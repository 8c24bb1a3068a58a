"""The app that calls a tool, as its row is now."""

from console.connected_apps.models import ConnectedApp
from mcpserver.context import ToolCall


def app_of(call: ToolCall) -> ConnectedApp:
    return ConnectedApp.objects.select_related("connection__owner", "owner").get(pk=call.principal.app_id)
