"""Metadata documents of well-known hosts, for the day when a vendor's server does not answer us.

Shapes put together from public issue threads in 2026, not byte copies. Claude's server answers data centres with
403 at times, and a host that offers its document does not fall back on registering itself.
"""

from typing import Any

_CODE_AND_REFRESH = ["authorization_code", "refresh_token"]


def _document(client_id: str, name: str, *redirect_uris: str) -> dict[str, Any]:
    return {
        "client_id": client_id,
        "client_name": name,
        "redirect_uris": list(redirect_uris),
        "grant_types": _CODE_AND_REFRESH,
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    }


COPIES: dict[str, dict[str, Any]] = {
    document["client_id"]: document
    for document in (
        _document(
            "https://claude.ai/oauth/mcp-oauth-client-metadata", "Claude", "https://claude.ai/api/mcp/auth_callback"
        ),
        _document(
            "https://claude.ai/oauth/claude-code-client-metadata",
            "Claude Code",
            "http://localhost/callback",
            "http://127.0.0.1/callback",
        ),
        _document(
            "https://chatgpt.com/oauth/client.json",
            "ChatGPT",
            "https://chatgpt.com/connector_platform_oauth_redirect",
        ),
        _document("https://chatgpt.com/oauth/codex/client.json", "Codex", "http://127.0.0.1/callback"),
        _document(
            "https://vscode.dev/oauth/client-metadata.json",
            "Visual Studio Code",
            "http://127.0.0.1/",
            "https://vscode.dev/redirect",
        ),
    )
}
