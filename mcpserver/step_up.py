"""Who is told of a missing scope by HTTP 403, so that it can sign in again for more (MCP authorization, "Step-Up").

A host that does not step up shows its model less of a 403 than of a tool's answer: "the call may have completed" (Qwen
Code), one fixed sentence (openai-agents), "token expired" (Claude Code), or it ends the run (LangChain). So only those
are sent one that are known to act on it; all others are answered in band, by the pipeline, with code and link.

Frameworks on the Python SDK have the same names whether they sign in by its OAuth provider or were given a token, and
with a given one a 403 ends the run (LangChain) or hangs it (CrewAI). Two things tell them apart. The provider adds its
token to a request that is already made, after the length of its body, where a given one stands among the client's own
headers before it. And who steps up comes back with another token: each token is sent one 403 in ``REMEMBERED``, and
whoever calls again with the same one is answered in band; proxies that order headers anew leave only that.
"""

from collections.abc import Sequence
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
}
"""What each is called, and how its name begins: that it registered with, that of its client info, or its user agent."""
REMEMBERED = timedelta(minutes=10)
_PYTHON_SDK = "mcp"
"""The client info of the Python SDK, where its user gives none."""
_PYTHON_AGENT = "python-httpx"
"""How its user agent begins, in each of its versions."""

_BEGINNINGS = tuple(name for names in HOSTS.values() for name in names)


HeaderLines = Sequence[tuple[str, str]]
"""As they came, names in lower case."""


def may_be_due(principal: Principal, tool: Tool, client: str, lines: HeaderLines) -> bool:
    """Whether a missing scope may be told by HTTP: ``is_due`` then decides. The holder of a key has nothing to sign in
    again with."""
    if principal.source is not Source.OAUTH or principal.may(tool.scope):
        return False
    names = (principal.app_label, client, principal.user_agent)
    if "mcp-remote" in client.casefold() or any(name.casefold().startswith(_BEGINNINGS) for name in names):
        return True
    is_python_sdk = client == _PYTHON_SDK or principal.user_agent.startswith(_PYTHON_AGENT)
    return is_python_sdk and _is_token_added(lines)


def is_due(principal: Principal, tool: Tool, client: str, lines: HeaderLines) -> bool:
    """Whether to tell it by HTTP. Reads the audit log, and that only where ``may_be_due``."""
    return may_be_due(principal, tool, client, lines) and not _was_told(principal)


def _is_token_added(lines: HeaderLines) -> bool:
    """Whether the token of a request stands after the length of its body, or there is none to compare with."""
    names = [name for name, _ in lines]
    if "content-length" not in names or "authorization" not in names:
        return True
    return names.index("authorization") > names.index("content-length")


def _was_told(principal: Principal) -> bool:
    since = timezone.now() - REMEMBERED
    return audit_queries.was_refused(principal, Code.INSUFFICIENT_SCOPE, since=since)
