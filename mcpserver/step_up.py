"""Who is told of a missing scope by HTTP 403, so that it can sign in again for more (MCP authorization, "Step-Up").

A host that does not step up shows its model less of a 403 than of a tool's answer: "the call may have completed" (Qwen
Code), one fixed sentence (openai-agents), "token expired" (Claude Code), or it ends the run (LangChain). So only those
are sent one that are known to act on it; all others are answered in band, by the pipeline, with code and link.
"""

HOSTS: dict[str, tuple[str, ...]] = {
    "Visual Studio Code": ("visual studio code", "visual-studio-code", "vscode"),
    "mcp-remote": ("mcp cli proxy", "mcp-remote"),
    "the Python SDK with its OAuth provider": ("python-httpx",),
}
"""What each is called, and how its name begins: that it registered with, that of its client info, or its user agent."""
_PYTHON_SDK = "mcp"
"""The client info of the Python SDK, where its user gives none."""

_BEGINNINGS = tuple(name for names in HOSTS.values() for name in names)


def steps_up(*, registered: str, client: str, agent: str) -> bool:
    """Whether a host with these names is known to sign in again after a 403."""
    return (
        client == _PYTHON_SDK
        or "mcp-remote" in client.casefold()
        or any(name.casefold().startswith(_BEGINNINGS) for name in (registered, client, agent))
    )
