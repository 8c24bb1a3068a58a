"""The bundle that Claude Desktop installs with one click, made for this instance. It holds its address and no secret.

MCP Bundles (mcpb), manifest version 0.3. Node.js runs it, which Claude Desktop brings along; the key is asked for when
the bundle is installed, and required: an optional one left empty would arrive as the text of its placeholder.
"""

import json
from pathlib import Path
from typing import Any

from console.onboarding.guide import KEY_VARIABLE, NAME, Place
from console.zip_files import zipped

FILE_NAME = f"{NAME}.mcpb"
_PROGRAM = Path(__file__).parent / "desktop" / "server.js"


def manifest(place: Place, version: str) -> dict[str, Any]:
    return {
        "manifest_version": "0.3",
        "name": NAME,
        "display_name": "Tradelatch",
        "version": version,
        "description": f"Use a broker account through the Tradelatch at {place.public_url}, within the limits you set.",
        "author": {"name": "Tradelatch", "url": place.public_url},
        "homepage": place.public_url,
        "license": "MIT",
        "server": {
            "type": "node",
            "entry_point": "server/server.js",
            "mcp_config": {
                "command": "node",
                "args": ["${__dirname}/server/server.js"],
                "env": {"MCP_URL": place.url, KEY_VARIABLE: "${user_config.api_key}"},
            },
        },
        "tools_generated": True,
        "compatibility": {"platforms": ["darwin", "win32", "linux"], "runtimes": {"node": ">=18.0.0"}},
        "user_config": {
            "api_key": {
                "type": "string",
                "title": "API key",
                "description": f"Make one under API keys at {place.public_url}/keys/new/ and paste it here.",
                "sensitive": True,
                "required": True,
            }
        },
    }


def build(place: Place, version: str) -> bytes:
    """The bundle, a zip file."""
    files = {
        "manifest.json": json.dumps(manifest(place, version), indent=2).encode(),
        "server/server.js": _PROGRAM.read_bytes(),
    }
    return zipped(files)
