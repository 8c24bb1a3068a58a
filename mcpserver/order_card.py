"""The card a host shows for a prepared order (MCP Apps, 2026-01-26), where the host says that it can show one.

It is a page of ours in the host's own sandbox: it shows what the tool answered, reads and sends nothing.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from console.toolsets import Toolset
from mcpserver.context import ToolCall
from mcpserver.resources import Resource

# As in mcp.server.apps, which is not imported: it loads the SDK's other server. A test holds the two together.
EXTENSION_ID = "io.modelcontextprotocol/ui"
APP_MIME_TYPE = "text/html;profile=mcp-app"
URI = "ui://tradelatch/order"
TOOL_META: dict[str, Any] = {"ui": {"resourceUri": URI}}
"""What a tool whose answer it shows says of itself."""
_PAGE = (Path(__file__).parent / "order_card.html").read_text()


def is_declared(capabilities: Mapping[str, Any] | None) -> bool:
    """Whether a client can show it, by the capabilities it sent as JSON: the extension, with the kind of page."""
    extensions = capabilities.get("extensions") if isinstance(capabilities, Mapping) else None
    settings = extensions.get(EXTENSION_ID) if isinstance(extensions, Mapping) else None
    kinds = settings.get("mimeTypes") if isinstance(settings, Mapping) else None
    return isinstance(kinds, list) and APP_MIME_TYPE in kinds


def _page(call: ToolCall) -> dict[str, Any]:
    return {"text": _PAGE}


RESOURCE = Resource(
    name="order-card",
    title="Prepared order",
    about="Shows a prepared order to the user.",
    uri=URI,
    run=_page,
    toolset=Toolset.TRADE,
    mime=APP_MIME_TYPE,
    meta={"ui": {"prefersBorder": True}},
)
