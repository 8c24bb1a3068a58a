"""What the attacks share."""

from typing import Any


def body(**fields: Any) -> dict[str, Any]:
    return {"redirect_uris": ["https://evil.example/cb"], "token_endpoint_auth_method": "none"} | fields
