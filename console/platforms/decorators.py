"""The wrapper of every address that platforms call: who it is, how often, and refusals as problems (RFC 9457)."""

from collections.abc import Callable
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from console import request_origin
from console.errors import EXPLANATIONS, Code, Refusal
from console.help import error_links
from console.platforms import credentials, throttle
from console.platforms.models import Platform
from console.platforms.tokens import ChooseConnection
from console.request_origin import ProofKind
from console.untrusted_text import VisibleJSONEncoder

_STATUS = {
    Code.UNAUTHENTICATED: 401,
    Code.INSUFFICIENT_SCOPE: 403,
    Code.APP_REVOKED: 403,
    Code.UNKNOWN_USER: 404,
    Code.CONNECTION_REQUIRED: 409,
    Code.BODY_TOO_LARGE: 413,
    Code.UNSUPPORTED_MEDIA_TYPE: 415,
    Code.RATE_LIMITED: 429,
}

View = Callable[..., HttpResponse]


def platform_endpoint(**views: View) -> Callable[..., HttpResponse]:
    """One address, with a view for each method it takes. Each is called with the platform that asks."""

    @login_not_required
    @csrf_exempt  # no cookie is read here
    def answer(request: HttpRequest, **parts: str) -> HttpResponse:
        view = views.get(request.method or "")
        if view is None:
            refused = problem(Refusal(Code.INVALID_REQUEST, f"Use {' or '.join(views)} here."), status=405)
            refused["Allow"] = ", ".join(views)
            return refused
        try:
            response = view(request, _platform(request), **parts)
        except RequestDataTooBig:
            response = problem(Refusal(Code.BODY_TOO_LARGE, "The body is too large."))
        except Refusal as refusal:
            response = problem(refusal)
        response["Cache-Control"] = "no-store"
        return response

    return wraps(next(iter(views.values())))(answer)


def header(request: HttpRequest, name: str) -> str:
    value = request.headers.get(name, "")
    if not value:
        raise Refusal(Code.UNAUTHENTICATED, f"The header {name} is missing.", field=name)
    return value


def attempt(request: HttpRequest, client_id: str, prove: Callable[[], Any]) -> Any:
    """What ``prove`` finds; a failure is counted."""
    try:
        return prove()
    except Refusal as refusal:
        if refusal.code is Code.UNAUTHENTICATED:
            throttle.failed(address(request), client_id)
        raise


def address(request: HttpRequest) -> str:
    return str(request.META.get("REMOTE_ADDR", ""))


def _platform(request: HttpRequest) -> Platform:
    client_id, secret = header(request, "client-id"), header(request, "client-secret")
    throttle.admit(address(request), client_id, ends=request.method == "DELETE")
    platform: Platform = attempt(request, client_id, lambda: credentials.platform(client_id, secret))
    request_origin.proved(ProofKind.PLATFORM)
    return platform


def problem(refusal: Refusal, *, status: int = 0) -> JsonResponse:
    status = status or _STATUS.get(refusal.code, 400)
    body: dict[str, Any] = {
        "type": error_links.error_page_url(refusal.code),
        "title": EXPLANATIONS[refusal.code].title if status != 405 else HTTPStatus(status).phrase,
        "status": status,
        "detail": str(refusal),
        "code": refusal.code,
    }
    if refusal.field:
        body["field"] = refusal.field
    if isinstance(refusal, ChooseConnection):
        body["connections"] = [{"id": each.pk, "name": each.name} for each in refusal.choices]
    response = JsonResponse(body, encoder=VisibleJSONEncoder, status=status, content_type="application/problem+json")
    response["Cache-Control"] = "no-store"
    if refusal.retry_after is not None:
        response["Retry-After"] = str(int(refusal.retry_after))
    if status == 401:
        # RFC 9110 section 15.5.2: a 401 names a scheme. Ours is its own, so that no browser asks for a password.
        response["WWW-Authenticate"] = "TradelatchPlatform"
    return response
