"""The two discovery documents. Every host reads them before anything else, so they name no feature we lack."""

from typing import Any

from django.conf import settings
from django.urls import reverse

from console import base_path, scopes
from console.oauth import resource_indicator

SCOPES = [scope.value for scope in scopes.ALL]
AUTH_METHODS = ["none", "client_secret_post", "client_secret_basic"]
GRANT_TYPES = ["authorization_code", "refresh_token"]
RESPONSE_TYPES = ["code"]


def protected_resource(host: str) -> dict[str, Any]:
    """RFC 9728 section 2. ``resource`` is the exact URL that a person types into a host: by the name it asked for."""
    return {
        "resource": resource_indicator.resource_for(host),
        "authorization_servers": [settings.ISSUER],
        "scopes_supported": SCOPES,
        "bearer_methods_supported": ["header"],
        "resource_name": "Tradelatch",
    }


def authorization_server() -> dict[str, Any]:
    """RFC 8414 section 2. ``issuer`` is one fixed string, the same as ``iss`` in authorization responses."""
    is_open = settings.SELF_REGISTRATION != "off"
    return {
        "issuer": settings.ISSUER,
        "authorization_endpoint": _url("authorize"),
        "token_endpoint": _url("token"),
        **({"registration_endpoint": _url("dcr-register")} if is_open else {}),
        "revocation_endpoint": _url("revoke-token"),
        # Some hosts ask for a refresh token only where offline_access is on offer; they get one anyway.
        "scopes_supported": [*SCOPES, "offline_access"],
        "response_types_supported": RESPONSE_TYPES,
        "response_modes_supported": ["query"],
        "grant_types_supported": GRANT_TYPES,
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": AUTH_METHODS,
        "revocation_endpoint_auth_methods_supported": AUTH_METHODS,
        **({"authorization_response_iss_parameter_supported": True} if settings.ADVERTISE_ISS else {}),
        "client_id_metadata_document_supported": is_open,
    }


def _url(name: str) -> str:
    return base_path.absolute(reverse(f"oauth2_provider:{name}"))
