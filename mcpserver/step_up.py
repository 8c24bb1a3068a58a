"""Who is told of a missing scope by HTTP 403, so that it can sign in again for more (MCP authorization, "Step-Up").

A host that does not step up shows its model less of a 403 than of a tool's answer: "the call may have completed" (Qwen
Code), one fixed sentence (openai-agents), "token expired" (Claude Code), or it ends the run (LangChain). So only those
are sent one that are known to act on it; all others are answered in band, by the pipeline, with code and link.

Frameworks on the Python SDK look alike whether they sign in by its OAuth provider or hold a token that somebody gave
them. What tells them apart comes after the 403: who steps up comes back with another token. So each token is sent one
403 in ``REMEMBERED``, and whoever comes back with the same token is answered in band.
"""

from datetime import timedelta

from django.utils import timezone

from console.audit import queries as audit_queries
from console.errors import Code
from console.principal import Principal
from console.scopes import Source
from mcpserver.catalog import Tool

HOSTS: dict[str, tuple[str, ...]] = {
    "Visual Studio Code": ("visual studio code", "visual-studio-code", "vscode"),
    "mcp-remote": ("mcp cli proxy", "mcp-remote"),
    "the Python SDK with its OAuth provider": ("python-httpx",),
}
"""What each is called, and how its name begins: that it registered with, that of its client info, or its user agent."""
REMEMBERED = timedelta(minutes=10)
_PYTHON_SDK = "mcp"
"""The client info of the Python SDK, where its user gives none."""

_BEGINNINGS = tuple(name for names in HOSTS.values() for name in names)


def may_be_due(principal: Principal, tool: Tool, client: str) -> bool:
    """Whether a missing scope may be told by HTTP: ``is_due`` then decides. The holder of a key has nothing to sign in
    again with."""
    if principal.source is not Source.OAUTH or principal.may(tool.scope):
        return False
    return _steps_up(registered=principal.app_label, client=client, agent=principal.user_agent)


def is_due(principal: Principal, tool: Tool, client: str) -> bool:
    """Whether to tell it by HTTP. Reads the audit log, and that only where ``may_be_due``."""
    return may_be_due(principal, tool, client) and not _was_told(principal)


def _was_told(principal: Principal) -> bool:
    since = timezone.now() - REMEMBERED
    return audit_queries.was_refused(principal, Code.INSUFFICIENT_SCOPE, since=since)


def _steps_up(*, registered: str, client: str, agent: str) -> bool:
    """Whether a host with these names is known to sign in again after a 403."""
    return (
        client == _PYTHON_SDK
        or "mcp-remote" in client.casefold()
        or any(name.casefold().startswith(_BEGINNINGS) for name in (registered, client, agent))
    )
