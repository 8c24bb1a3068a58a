"""What we take from django-oauth-toolkit and oauthlib at run time. Neither is typed: here they get their types."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from oauth2_provider.http import OAuth2ResponseRedirect
from oauth2_provider.models import set_token_value
from oauth2_provider.oauth2_backends import get_oauthlib_core
from oauth2_provider.oauth2_validators import OAuth2Validator
from oauthlib.common import add_params_to_uri, generate_token  # type: ignore[import-untyped]  # no stubs
from oauthlib.oauth2.rfc6749 import errors  # type: ignore[import-untyped]  # no stubs

__all__ = ["OAuth2Validator", "errors", "set_token_value"]


def read_authorization_request(url: str) -> tuple[Any, dict[str, Any]]:
    """oauthlib's request, and what it found there, valid for a client and a redirect URI that we know."""
    _, found = _core().server.validate_authorization_request(url)
    return found["request"], found


def token_response(request: HttpRequest) -> HttpResponse:
    _, headers, body, status = _core().create_token_response(request)
    return HttpResponse(body, status=status, headers=headers)


def revocation_response(request: HttpRequest) -> HttpResponse:
    _, headers, body, status = _core().create_revocation_response(request)
    return HttpResponse(body, status=status, headers={"Cache-Control": "no-store", **headers})


def new_code() -> str:
    return str(generate_token())


def with_parameters(uri: str, parameters: list[tuple[str, str]]) -> str:
    return str(add_params_to_uri(uri, parameters))


def redirect(url: str, schemes: tuple[str, ...]) -> HttpResponse:
    """Django's own redirect knows no ``cursor:``."""
    response: HttpResponse = OAuth2ResponseRedirect(url, schemes)  # type: ignore[no-untyped-call]  # untyped
    return response


def _core() -> Any:
    return get_oauthlib_core()  # type: ignore[no-untyped-call]  # untyped
