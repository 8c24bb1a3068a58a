"""What a caller is told before any page or endpoint is reached, in the words its kind of client understands."""

import json
from typing import Any

from django.conf import settings
from django.template.loader import render_to_string

from console import base_path, ids, tracing
from console.errors import EXPLANATIONS, Code

_OAUTH = ("/oauth/", "/auth/", "/.well-known/")


def render_refusal(
    path: str, status: int, code: Code, detail: str, *, template: str, request_id: str = "", **context: Any
) -> tuple[str, str]:
    """Content type and body: a problem (RFC 9457) under /api/, an error (RFC 6749, 5.2) of OAuth, else a page."""
    path = base_path.within(path)
    request_id = request_id or tracing.current_request_id() or ids.new("req")
    help_ = f"{settings.PUBLIC_URL}/help/errors/{code}/"  # as help.links has it
    if path.startswith(("/api/", "/signals/in/")):
        problem = {
            "type": help_,
            "title": EXPLANATIONS[code].title,
            "status": status,
            "detail": detail,
            "code": code,
            "request_id": request_id,
        }
        return "application/problem+json", json.dumps(problem)
    if path.startswith(_OAUTH):
        told = {"error": "invalid_request", "error_description": detail, "error_uri": help_}
        told |= {"code": code, "request_id": request_id}
        return "application/json", json.dumps(told)
    if path.rstrip("/") == "/mcp":
        error = {"code": -32600, "message": detail, "data": {"code": code, "help": help_, "request_id": request_id}}
        return "application/json", json.dumps({"jsonrpc": "2.0", "id": None, "error": error})
    return "text/html; charset=utf-8", render_to_string(template, context | {"request_id": request_id})
