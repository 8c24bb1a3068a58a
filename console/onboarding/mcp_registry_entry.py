"""``server.json``: how the MCP registry lists this instance (schema of 2025-12-11). Only a public one can be listed.

The registry takes https addresses alone, and its schema has no field for OAuth: clients find that out from ``/mcp``.
"""

import re
from typing import Any
from urllib.parse import urlsplit

from console.onboarding.guide import NAME, Place, Reachability

_SCHEMA = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"

# What the registry takes as a name: a host with an underscore, which DNS allows, has none.
_NAMESPACE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9.-]*[a-zA-Z0-9]")
_LONGEST_NAME = 200


def server_json(place: Place, version: str) -> dict[str, Any] | None:
    """The entry; None where the registry takes none. The namespace is the host's, backwards."""
    host = urlsplit(place.public_url).hostname or ""
    is_address = ":" in host or host.replace(".", "").isdigit()
    name = f"{'.'.join(reversed(host.split('.')))}/{NAME}"
    is_taken = len(name) <= _LONGEST_NAME and _NAMESPACE.fullmatch(name.partition("/")[0]) is not None
    if place.reach is not Reachability.PUBLIC or not place.is_https or is_address or not is_taken:
        return None
    return {
        "$schema": _SCHEMA,
        "name": name,
        "title": "Tradelatch",
        "description": "Broker accounts for assistants: market data, orders you confirm, limits you set.",
        "version": version,
        "websiteUrl": place.public_url,
        "remotes": [
            {
                "type": "streamable-http",
                "url": place.url,
                "headers": [
                    {
                        "name": "Authorization",
                        "description": "Bearer and an API key of this instance; left out, the client signs in (OAuth).",
                        "isRequired": False,
                        "isSecret": True,
                    }
                ],
            }
        ],
    }
