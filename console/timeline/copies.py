"""An entry as text to copy: as JSON, and a call as a command for a terminal."""

import json
import shlex

from django.conf import settings

from console.audit.models import Call
from console.timeline.entries import TimelineEntry


def as_json(entry: TimelineEntry) -> str:
    return json.dumps(entry.as_json(), indent=2, ensure_ascii=False, default=str)


def as_curl(call: Call) -> str:
    """The same call again; nothing where no tool was called at /mcp. The key is the reader's to fill in."""
    if not call.tool or ":" in call.tool:
        return ""
    body = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": call.tool, "arguments": call.arguments},
    }
    return " ".join(
        [
            f"curl {shlex.quote(settings.MCP_URL)}",
            '-H "Authorization: Bearer $TRADELATCH_KEY"',
            "-H 'Content-Type: application/json' -H 'Accept: application/json, text/event-stream'",
            f"-d {shlex.quote(json.dumps(body, ensure_ascii=False))}",
        ]
    )
