"""Who may call the REST API, and what each kind of credential may do there.

``ALLOWED`` is the REST half of the authority matrix. A new kind of credential is a row of it, and a line of
``Credential.authenticate`` that says how it is recognised.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.request import Request

from console.accounts import second_factor_required
from console.accounts.models import User
from console.authority import admission, bearer, call_quota, management_callers
from console.authority.bearer import Unauthenticated
from console.errors import Code, Refusal
from console.principal import Manager, Principal
from console.scopes import Scope, Source
from console.toolsets import Toolset


class CredentialKind(StrEnum):
    SESSION = "a console session"
    API_KEY = "an API key"
    PLATFORM = "a platform token"
    MANAGEMENT = "a management key"


class Need(StrEnum):
    """What an endpoint asks of its caller: the columns of the matrix."""

    READ = "read"
    TRADE = "trade"
    CANCEL = "cancel"
    HALT = "halt"
    """Stop order entry. Who holds a key to an account may stop it, and so may who manages it."""
    KEEP = "keep"
    """Notes and practice accounts: what an app may do at ``/mcp`` with the scope to trade, and moves no real money."""
    MANAGE = "manage"
    """Connections, clients, keys and apps; seeing them, too."""
    STOP = "stop"
    """Take power away: revoke, pause, narrow, switch trading off."""
    WIDEN = "widen"
    """Let others do more than before, or again what a person stopped. A session brings a proof made for that very act:
    ``ApiView.prove``."""
    IN_PERSON = "in person"
    """Lift a halt, change who releases orders: the owner at the console with a proof for it, and nothing else."""


_OF_APPS = frozenset({Need.READ, Need.TRADE, Need.CANCEL, Need.HALT, Need.KEEP})
# An order belongs to the app that prepared it, and a session is no app: it may see orders and take them back.
ALLOWED: dict[CredentialKind, frozenset[Need]] = {
    CredentialKind.SESSION: frozenset(Need) - {Need.TRADE},
    CredentialKind.API_KEY: _OF_APPS,
    CredentialKind.PLATFORM: _OF_APPS,
    # It stays below its owner: it stops and tightens, and lets nobody do more.
    CredentialKind.MANAGEMENT: frozenset({Need.READ, Need.HALT, Need.MANAGE, Need.STOP}),
}

_SCOPE = dict.fromkeys(_OF_APPS - {Need.READ}, Scope.TRADE)
_THROTTLE = {
    Need.TRADE: call_quota.CallKind.TRADE,
    Need.KEEP: call_quota.CallKind.TRADE,
    Need.CANCEL: call_quota.CallKind.CANCEL,
    Need.HALT: call_quota.CallKind.CANCEL,
    Need.STOP: call_quota.CallKind.STOP,
}
"""READ for the others."""


def is_for_apps(need: Need) -> bool:
    """Whether an app uses such an endpoint at all: one that does belongs to a toolset."""
    return need in _OF_APPS


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    kind: CredentialKind
    user_id: int
    person: User | None = None
    """Set for the kinds that act as their owner; an app acts as itself."""
    principal: Principal | None = None
    """Set for the kinds that prove to be a connected app."""
    manager: Manager | None = None
    """Set for a management key."""

    @property
    def owner(self) -> User:
        """The person who manages. Only kinds with ``person`` pass an endpoint that needs one."""
        assert self.person is not None
        return self.person

    @property
    def by_key(self) -> str:
        """The public id of the management key, "" for everybody else."""
        return self.manager.credential_id if self.manager else ""

    @property
    def holder(self) -> str:
        """Who is counted, where it is no app: each session's person, and each management key by itself."""
        return f"user-{self.user_id}/session" if self.manager is None else f"manager-{self.manager.credential_id}"

    @property
    def sees_everyone(self) -> bool:
        return self.kind is CredentialKind.SESSION and self.owner.is_operator

    @property
    def on_record(self) -> Principal | Manager | None:
        """Who the audit log names for a call; a session's calls are told by the changes they make."""
        return self.principal or self.manager


class WrongAudience(Unauthenticated):
    """An OAuth access token is for ``/mcp`` (RFC 8707); it opens no REST endpoint."""

    def __init__(self, principal: Principal) -> None:
        super().__init__("This access token is for /mcp. Use an API key for the REST API.", principal)
        self.code = Code.WRONG_AUDIENCE


class _Csrf(CsrfViewMiddleware):
    def _reject(self, request: HttpRequest, reason: str) -> str:
        return reason


class Credential(BaseAuthentication):
    """A bearer (RFC 6750) where the request names one, else the console's session with its CSRF token."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, Caller] | None:
        header = request.META.get("HTTP_AUTHORIZATION")
        if header is not None:
            return AnonymousUser(), _by_bearer(request, header)
        user = getattr(request._request, "user", None)
        if not isinstance(user, User) or not user.is_active:
            return None
        _check_csrf(request)
        if second_factor_required.missing(user):
            raise Refusal(
                Code.NOT_PERMITTED,
                "Everyone here needs a second factor, and this account has none. Set one up at /security/.",
            )
        return AnonymousUser(), Caller(kind=CredentialKind.SESSION, user_id=user.pk, person=user)


def _by_bearer(request: Request, header: str) -> Caller:
    scheme, _, raw = header.partition(" ")
    if scheme.lower() != "bearer" or not raw.strip():
        raise Unauthenticated("Send the API key as Authorization: Bearer, with nothing else in the header.")
    raw, ip = raw.strip(), request.META.get("REMOTE_ADDR", "")
    user_agent = request.META.get("HTTP_USER_AGENT", "")
    if management_callers.is_management_key(raw):
        manager = management_callers.authenticate(raw, ip=ip, user_agent=user_agent)
        owner = User.objects.get(pk=manager.user_id)
        return Caller(kind=CredentialKind.MANAGEMENT, user_id=owner.pk, person=owner, manager=manager)
    principal = bearer.authenticate(raw, ip=ip, user_agent=user_agent)
    if principal.source is Source.OAUTH:
        raise WrongAudience(principal)
    kind = CredentialKind.PLATFORM if principal.source is Source.PLATFORM else CredentialKind.API_KEY
    return Caller(kind=kind, user_id=principal.user_id, principal=principal)


def _check_csrf(request: Request) -> None:
    # Django would look for the token in a form; there are none here, and a broken one must not break the check.
    if request.content_type.startswith(("multipart/", "application/x-www-form-urlencoded")):
        raise UnsupportedMediaType(request.content_type)

    def answer(_: HttpRequest) -> HttpResponse:
        return HttpResponse()

    check = _Csrf(answer)
    check.process_request(request._request)
    reason: Any = check.process_view(request._request, answer, (), {})
    if reason:
        raise Refusal(
            Code.CSRF_FAILED,
            "A console session must send its CSRF token as X-CSRFToken with every request that changes something.",
        )


def permit(caller: Caller, need: Need) -> None:
    """May this kind of caller use an endpoint with this need? Raises Refusal."""
    if caller.principal is not None:
        admission.check_running(caller.principal)
    if need not in ALLOWED[caller.kind]:
        kinds = " or ".join(kind for kind, allowed in ALLOWED.items() if need in allowed)
        raise Refusal(Code.NOT_PERMITTED, f"This needs {kinds}, not {caller.kind}. Nothing was done.")


def admit(caller: Caller, name: str, need: Need, toolset: Toolset | None) -> None:
    """``permit``, then count the request; an app is admitted as at ``/mcp``. Raises Refusal.

    ``name`` and ``toolset`` are the endpoint's.
    """
    permit(caller, need)
    who, kind = caller.principal, _THROTTLE.get(need, call_quota.CallKind.READ)
    if who is None:
        call_quota.check_person(caller.holder, kind)
        return
    assert toolset is not None  # every endpoint that apps use has one: see Operation
    admission.admit(
        who, admission.PlainEndpoint(name=name, toolset=toolset, scope=_SCOPE.get(need, Scope.READ), throttle=kind)
    )
