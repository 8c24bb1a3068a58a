"""What a platform calls: its users, their paper connections, and the tokens it mints for them."""

from datetime import UTC, datetime
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import cache_control

from console.audit import paging
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.oauth.decorators import public_endpoint
from console.platforms import credentials, request_bodies, services, token_signing, tokens
from console.platforms.decorators import attempt, header, platform_endpoint
from console.platforms.models import Platform, PlatformUser
from console.untrusted_text import VisibleJSONEncoder


def _make_user(request: HttpRequest, platform: Platform) -> HttpResponse:
    body = request_bodies.read(request, optional=True)
    request_bodies.known(body, "reference", "connection")
    paper = body.get("connection")
    if paper is not None and not isinstance(paper, dict):
        raise Refusal(
            Code.INVALID_ARGUMENT, "connection must be an object with name and starting_cash.", field="connection"
        )
    user, secret = services.provision_user(
        platform,
        reference=request_bodies.text(body, "reference", most=100),
        paper=None if paper is None else request_bodies.paper(paper),
    )
    return JsonResponse({**_user_data(user), "user_secret": secret}, encoder=VisibleJSONEncoder, status=201)


def _list_users(request: HttpRequest, platform: Platform) -> HttpResponse:
    page = paging.page(platform.users.select_related("user"), request.GET.get("before", ""))
    shown = {"users": [_user_data(user) for user in page.rows], "next_before": page.next_before}
    return JsonResponse(shown, encoder=VisibleJSONEncoder)


def _get_user(request: HttpRequest, platform: Platform, user_id: str) -> HttpResponse:
    return JsonResponse(_user_data(_user(platform, user_id)), encoder=VisibleJSONEncoder)


def _disable_user(request: HttpRequest, platform: Platform, user_id: str) -> HttpResponse:
    services.disable_user(_user(platform, user_id))
    return HttpResponse(status=204)


def _new_user_secret(request: HttpRequest, platform: Platform, user_id: str) -> HttpResponse:
    user = _enabled(platform, user_id)
    return JsonResponse({"user_id": user.public_id, "user_secret": services.rotate_user_secret(user)})


def _add_connection(request: HttpRequest, platform: Platform, user_id: str) -> HttpResponse:
    user = _enabled(platform, user_id)
    connection = services.add_paper(user, request_bodies.paper(request_bodies.read(request)))
    return JsonResponse(_connection(connection), encoder=VisibleJSONEncoder, status=201)


def _mint(request: HttpRequest, platform: Platform) -> HttpResponse:
    user_id, secret = header(request, "user-id"), header(request, "user-secret")
    user = attempt(request, platform.client_id, lambda: credentials.user(platform, user_id, secret))
    body = request_bodies.read(request)
    request_bodies.known(body, "scopes", "connection_id")
    token = tokens.mint(user, request_bodies.scopes(body), connection_id=request_bodies.connection_id(body))
    return JsonResponse(
        {
            "access_token": token.raw,
            "token_type": "Bearer",
            "expires_in": token.expires_in,
            "scope": token.scope,
            "connection_id": token.connection.pk,
        }
    )


users = platform_endpoint(GET=_list_users, POST=_make_user)
user = platform_endpoint(GET=_get_user, DELETE=_disable_user)
user_secret = platform_endpoint(POST=_new_user_secret)
user_connections = platform_endpoint(POST=_add_connection)
token = platform_endpoint(POST=_mint)


@public_endpoint("GET")
@cache_control(public=True, max_age=300)
def key_set(request: HttpRequest) -> HttpResponse:
    """RFC 7517 section 5."""
    return JsonResponse(token_signing.key_set(), content_type="application/jwk-set+json")


def _user(platform: Platform, user_id: str) -> PlatformUser:
    users = platform.users.select_related("user", "platform__owner")
    found = users.filter(public_id=user_id).first()
    if found is None:
        raise Refusal(Code.UNKNOWN_USER, f"This platform has no user {user_id[:60]!r}.", field="user_id")
    return found


def _enabled(platform: Platform, user_id: str) -> PlatformUser:
    found = _user(platform, user_id)
    if found.disabled_at is not None:
        raise Refusal(Code.UNKNOWN_USER, "This user is disabled.", field="user_id")
    return found


def _user_data(user: PlatformUser) -> dict[str, Any]:
    open_ones = Connection.objects.filter(owner=user.user_id, closed_at=None).order_by("id")
    return {
        "user_id": user.public_id,
        "reference": user.reference,
        "created_at": _moment(user.created_at),
        "disabled_at": _moment(user.disabled_at) if user.disabled_at else None,
        "connections": [_connection(connection) for connection in open_ones],
    }


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _connection(connection: Connection) -> dict[str, Any]:
    return {
        "id": connection.pk,
        "name": connection.name,
        "broker": connection.broker,
        "environment": connection.environment,
        "trading_enabled": connection.trading_enabled,
    }
