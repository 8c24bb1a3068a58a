"""Stopping order entry, and letting it go on. Anybody may stop what they may act on; only a person lets it go on.

A halt takes the row locks that a release takes, so once ``place`` has returned nothing more is released under it.
"""

import functools
import logging
from collections.abc import Callable
from enum import StrEnum
from typing import ParamSpec

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from brokers.compiled_queries import Statement
from brokers.types import Environment
from console import untrusted_text
from console.accounts.models import User
from console.audit import log as audit_log
from console.audit import masking
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.errors import DATABASE_AWAY, DATABASE_RETRY_SECONDS, Code, Refusal, Retry
from console.halts.models import Halt, HaltScope
from console.notifications import news, wording
from console.notifications.models import NewsKind
from console.notifications.news import Told

log = logging.getLogger(__name__)

_P = ParamSpec("_P")


class GatedAction(StrEnum):
    """What somebody is about to do, as far as a halt cares."""

    READ = "read"
    PREPARE = "prepare"
    """Place, modify, batch, close, reverse, transfer: whatever prepares something to be confirmed."""
    RELEASE = "release"
    FLATTEN = "flatten"
    """The owner, in the console, closes everything."""
    CANCEL = "cancel"
    HALT = "halt"


WHILE_HALTED = frozenset({GatedAction.READ, GatedAction.FLATTEN, GatedAction.CANCEL, GatedAction.HALT})


class Proof(StrEnum):
    """How the person at the browser has just proved who they are."""

    PASSWORD = "password"  # noqa: S105  a kind of proof
    PASSKEY = "passkey"


# -- stop ----------------------------------------------------------------------------------------------------


def _told_when_not_stored(halt: Callable[_P, Halt]) -> Callable[_P, Halt]:
    """A halt is a row. Where the database cannot be written it says so: nothing is released then either."""

    @functools.wraps(halt)
    def stored(*args: _P.args, **kwargs: _P.kwargs) -> Halt:
        try:
            return halt(*args, **kwargs)
        except DATABASE_AWAY as error:
            log.exception("A halt could not be stored")
            raise Refusal(
                Code.DATABASE_UNAVAILABLE,
                "The halt could not be stored, so nothing is halted. While the database cannot be written, no new "
                "order is sent either. Open orders can be cancelled.",
                retry_after=DATABASE_RETRY_SECONDS,
                retry=Retry.SAFE,
            ) from error

    return stored


@_told_when_not_stored
@transaction.atomic
def halt_app(app: ConnectedApp, *, by: User, reason: str = "") -> Halt:
    ConnectedApp.objects.select_for_update().get(pk=app.pk)
    grants.changed.send(ConnectedApp, app=app)
    return _create(HaltScope.APP, owner=app.owner, app=app, by=by, reason=reason)


@_told_when_not_stored
@transaction.atomic
def halt_connection(connection: Connection, *, by: User | ConnectedApp, reason: str = "", account_id: str = "") -> Halt:
    """For every app. ``by`` is its owner, or the app that asked: the reason is then kept as the app's words."""
    Connection.objects.select_for_update().get(pk=connection.pk)
    return _create(
        HaltScope.CONNECTION,
        owner=connection.owner,
        connection=connection,
        account_id=account_id,
        by=by,
        reason=reason,
    )


@_told_when_not_stored
@transaction.atomic
def halt_user(user: User, *, by: User, reason: str = "") -> Halt:
    """All connections of one person. Raises Refusal when ``by`` is neither that person nor an operator."""
    if by.pk != user.pk and not by.is_operator:
        raise Refusal(Code.NOT_PERMITTED, "Only an operator can halt somebody else's trading. Nothing was done.")
    _lock(Connection.objects.filter(owner=user))
    return _create(HaltScope.USER, owner=user, by=by, reason=reason, by_operator=by.pk != user.pk)


@_told_when_not_stored
@transaction.atomic
def halt_instance(*, by: User, reason: str = "") -> Halt:
    """Everybody's trading. Raises Refusal when ``by`` is no operator."""
    if not by.is_operator:
        raise Refusal(Code.NOT_PERMITTED, "Only an operator can halt everybody's trading. Nothing was done.")
    _lock(Connection.objects.filter(closed_at=None))
    return _create(HaltScope.INSTANCE, owner=None, by=by, reason=reason, by_operator=True)


def _lock(connections: QuerySet[Connection]) -> None:
    """In one order, so that two halts never wait for each other."""
    list(connections.select_for_update().order_by("pk").values_list("pk", flat=True))


def _create(
    scope: HaltScope,
    *,
    owner: User | None,
    by: User | ConnectedApp,
    reason: str,
    connection: Connection | None = None,
    app: ConnectedApp | None = None,
    account_id: str = "",
    by_operator: bool = False,
) -> Halt:
    reason = untrusted_text.check_text(reason, field="reason", what="reason")
    asked_by = by if isinstance(by, ConnectedApp) else None
    label = by.name if isinstance(by, ConnectedApp) else by.email
    same = Halt.objects.filter(
        scope=scope,
        owner=owner,
        connection=connection,
        app=app,
        account_id=account_id,
        by_app=asked_by,
        by_label=label,
        lifted_at=None,
    ).first()
    if same is not None:
        return same
    halt = Halt.objects.create(
        scope=scope,
        owner=owner,
        connection=connection,
        app=app,
        account_id=account_id,
        reason=masking.mask(reason)[:300],
        by_app=asked_by,
        by_label=label,
        by_operator=by_operator,
        at=timezone.now(),
    )
    audit_log.record_change(
        None if isinstance(by, ConnectedApp) else by,
        "halted",
        "halt",
        halt.pk,
        halt.what,
        before={"halted": False},
        after={"halted": True},
        owner_id=owner.pk if owner else None,
        connection_id=connection.pk if connection else app.connection_id if app else None,
        scope=scope.value,
        by=label,
        reason=reason,
    )
    why = f" Reason: {wording.sentence(halt.reason)}" if halt.reason else ""
    _tell(halt, "halted", f"By {label if asked_by is None else wording.name(label)}.{why}")
    return halt


def _tell(halt: Halt, what: str, text: str) -> None:
    """Whose trading it holds back. Of the whole instance: everybody with an open connection."""
    mine = User.objects.filter(pk=halt.owner_id) if halt.owner_id else _with_connections()
    for user in mine.filter(is_active=True):
        told = Told(
            kind=NewsKind.HALT,
            source=f"halt:{halt.pk}:{what}",
            title=f"Trading {'is halted' if what == 'halted' else 'goes on'}: {wording.sentence(halt.what)}",
            text=text,
            path="/halts/",
            tag=f"halt-{halt.pk}",
        )
        news.tell(user, told)


def _with_connections() -> QuerySet[User]:
    return User.objects.filter(pk__in=Connection.objects.filter(closed_at=None).values("owner"))


# -- go on ---------------------------------------------------------------------------------------------------


def may_lift(halt: Halt, user: User) -> bool:
    if halt.scope == HaltScope.INSTANCE or halt.by_operator:
        return user.is_operator
    return halt.owner_id == user.pk


def needs_passkey(halt: Halt) -> bool:
    """Whether real money starts moving again when it is lifted."""
    live = Connection.objects.filter(closed_at=None).exclude(environment=Environment.PAPER)
    match halt.scope:
        case HaltScope.APP:
            return live.filter(connected_apps=halt.app_id).exists()
        case HaltScope.CONNECTION:
            return halt.connection is not None and halt.connection.is_live
        case HaltScope.USER:
            return live.filter(owner=halt.owner_id).exists()
    return live.exists()


@transaction.atomic
def lift(halt: Halt, *, by: User, proof: Proof) -> bool:
    """Let orders go again; False when it was lifted before. Raises Refusal when this person, or this proof, may not.

    Only the console leads to it: no token of any kind leads here.
    """
    if not may_lift(halt, by):
        raise Refusal(Code.NOT_PERMITTED, "Only the owner or an operator can lift this halt. It is still active.")
    if proof is not Proof.PASSKEY and needs_passkey(halt):
        raise Refusal(
            Code.RE_AUTHENTICATION_REQUIRED,
            "It covers real money, so you need a passkey to lift it. It is still active.",
        )
    if not Halt.objects.filter(pk=halt.pk, lifted_at=None).update(lifted_at=timezone.now(), lifted_by=by.email):
        return False
    audit_log.record_change(
        by,
        "halt lifted",
        "halt",
        halt.pk,
        halt.what,
        before={"halted": True},
        after={"halted": False},
        owner_id=halt.owner_id,
        connection_id=halt.connection_id,
        scope=halt.scope,
        proof=proof.value,
    )
    halt.refresh_from_db()
    _tell(halt, "lifted", f"The halt was lifted by {by.email}. Apps can trade again.")
    return True


# -- look ----------------------------------------------------------------------------------------------------

_JOINS = ("owner", "connection", "app__connection", "by_app")


def halts_on(connection: Connection, app_id: int | None = None, account_id: str | None = None) -> QuerySet[Halt]:
    """The halts that hold back an order there now, the newest first. ``account_id`` None: of any account."""
    found = _over(connection.owner_id, connection.pk, account_id)
    if app_id is not None:
        found |= _over_app(app_id, connection.pk)
    return Halt.objects.filter(found, lifted_at=None).select_related(*_JOINS)


def _over(owner_id: int, connection_id: int, account_id: str | None) -> Q:
    here = Q(scope=HaltScope.CONNECTION, connection=connection_id)
    if account_id is not None:
        here &= Q(account_id__in=["", account_id])
    return Q(scope=HaltScope.INSTANCE) | Q(scope=HaltScope.USER, owner=owner_id) | here


def _over_app(app_id: int, connection_id: int) -> Q:
    """An app that signs in again is a new row, and still the app that was halted."""
    same = ConnectedApp.objects.filter(pk=app_id, client__isnull=False)
    return Q(scope=HaltScope.APP) & (
        Q(app=app_id) | Q(app__connection=connection_id, app__client__in=same.values("client"))
    )


def any_over(app: str = "") -> Exists:
    """For a query of apps, or of what has one as ``app``: whether a halt holds it back there, on whatever account."""

    def its(name: str) -> OuterRef:
        return OuterRef(f"{app}__{name}" if app else name)

    found = Q(scope=HaltScope.INSTANCE) | Q(scope=HaltScope.USER, owner=its("connection__owner"))
    found |= Q(scope=HaltScope.CONNECTION, connection=its("connection"))
    # SQL finds no client equal to none.
    same = Q(app__connection=its("connection"), app__client=its("client"))
    found |= Q(scope=HaltScope.APP) & (Q(app=its("pk")) | same)
    return Exists(Halt.objects.filter(found, lifted_at=None).order_by())


_STANDING = Statement(
    lambda owner, connection, account, app: (
        Halt.objects.filter(_over(owner, connection, account) | _over_app(app, connection), lifted_at=None)
        .order_by()
        .values_list("pk")
    )
)
"""Whether there is one: asked several times for every order. What it says is read only when there is."""


def _is_active(connection: Connection, app_id: int, account_id: str) -> bool:
    return _STANDING.first(connection.owner_id, connection.pk, account_id, app_id) is not None


def relevant_to(user: User) -> QuerySet[Halt]:
    """The standing halts that this person should know of: their own, and everybody's."""
    return Halt.objects.filter(Q(owner=user) | Q(scope=HaltScope.INSTANCE), lifted_at=None).select_related(*_JOINS)


def visible(user: User) -> QuerySet[Halt]:
    """Those this person may look at; an operator sees the ones operators placed, too."""
    mine = Q(owner=user) | Q(scope=HaltScope.INSTANCE)
    if user.is_operator:
        mine |= Q(by_operator=True)
    return Halt.objects.filter(mine).select_related(*_JOINS)


def check(action: GatedAction, connection: Connection, app_id: int, account_id: str) -> None:
    """Raises Refusal when a halt forbids the action. At a release, call it under the locks of both rows."""
    if action in WHILE_HALTED:
        return
    if not _is_active(connection, app_id, account_id):
        return
    halt = halts_on(connection, app_id, account_id).first()
    if halt is None:
        return
    raise Refusal(
        Code.HALTED,
        f"Order entry is halted for {halt.what}, by {halt.by_label} since {halt.at:%Y-%m-%d %H:%M} UTC. "
        "Nothing was sent. Do not retry: only a person can lift it, in the console. Orders can still "
        "be cancelled.",
    )
