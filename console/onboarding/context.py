from typing import Any

from django.conf import settings
from django.http import HttpRequest


def instance(request: HttpRequest) -> dict[str, Any]:
    """What every page may say of this instance."""
    return {"mcp_url": settings.MCP_URL, "public_url": settings.PUBLIC_URL}
