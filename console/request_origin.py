"""Where the act that runs now comes from: set once at the edge, read by the audit log.

Nobody hands an address on: who wrote a change in a sweep, a page, the REST API or a tool has it from here.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass
from enum import StrEnum

from console.principal import Manager, Principal
from console.scopes import Source


class ProofKind(StrEnum):
    """How whoever acts has proved, for this very request, who they are."""

    NONE = ""
    """Nothing beyond the session, or nobody: a sweep."""
    PASSKEY = "passkey"
    PASSWORD = "password"  # noqa: S105  a kind of proof
    CODE = "code"
    """Of an authenticator app (TOTP), or a recovery code."""
    PASSWORD_AND_CODE = "password_code"  # noqa: S105  a kind of proof
    OIDC = "oidc"
    LINK = "link"
    """That of an invitation or a recovery, which came by e-mail."""
    APP = "app"
    """The token or the key of a connected app."""
    PLATFORM = "platform"
    MANAGEMENT_KEY = "management_key"


@dataclass(slots=True)
class Origin:
    ip: str = ""
    user_agent: str = ""
    proof: ProofKind = ProofKind.NONE
    request_id: str = ""
    credential_id: str = ""
    """Public id of the key, or the row id of the token; "" for a session and for us."""
    app_id: int | None = None
    app_label: str = ""


_PROOFS = {Source.MANAGEMENT: ProofKind.MANAGEMENT_KEY, Source.PLATFORM: ProofKind.PLATFORM}
_Who = Principal | Manager
_Found = Origin | tuple[_Who, str] | None
_current: ContextVar[_Found] = ContextVar("request_origin", default=None)


@contextmanager
def coming_from(origin: Origin) -> Iterator[None]:
    """What is done within came from there. Whatever ``through`` sets within ends with it."""
    token = _current.set(origin)
    try:
        yield
    finally:
        _current.reset(token)


def begin(who: _Who, request_id: str) -> Token[_Found]:
    """What is done from here to ``end`` was asked for with this credential."""
    return _current.set((who, request_id))


def end(began: Token[_Found]) -> None:
    _current.reset(began)


def through(who: _Who, request_id: str) -> None:
    """The request that runs now came with this credential."""
    _current.set((who, request_id))


def name_request(request_id: str) -> None:
    if isinstance(found := _current.get(), Origin):
        found.request_id = request_id


def proved(kind: ProofKind) -> None:
    """The person at the browser has just proved who they are."""
    if isinstance(found := _current.get(), Origin):
        found.proof = kind


def current() -> Origin:
    """Empty in a sweep and on the command line."""
    found = _current.get()
    if found is None:
        return Origin()
    if isinstance(found, Origin):
        return found
    who, request_id = found
    app = who if isinstance(who, Principal) else None
    return Origin(
        ip=who.ip,
        user_agent=who.user_agent,
        proof=_PROOFS.get(who.source, ProofKind.APP),
        request_id=request_id,
        credential_id=who.credential_id,
        app_id=app.app_id if app else None,
        app_label=app.app_label if app else who.label if isinstance(who, Manager) else "",
    )
