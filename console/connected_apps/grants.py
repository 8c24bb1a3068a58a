"""Every change of what an app may do. Revoking is one update of one row, and holds from the next request."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.dispatch import Signal
from django.utils import timezone

from console import limits as bounds
from console import scopes, toolsets
from console.accounts.models import User
from console.audit import log as audit_log
from console.clients.models import Client, ReviewState
from console.connected_apps.models import ConnectedApp
from console.connections import limit_name_checks
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.limits import Limits
from console.scopes import Scope, Source
from console.toolsets import Toolset

changed = Signal()


@transaction.atomic
def grant(
    owner: User,
    connection: Connection,
    granted: frozenset[Scope],
    *,
    source: Source,
    name: str,
    client: Client | None = None,
    start: "AppRestrictions | None" = None,
    ask_in_assistant: bool = True,
    by_key: str = "",
) -> ConnectedApp:
    """Let something act on ``connection``. It can do nothing until a credential is issued for it.

    ``start`` is what its owner set on others, ``by_key`` the public id of the management key that asks.
    """
    if connection.owner_id != owner.pk or connection.closed_at is not None:
        raise ValueError("An app can be granted only an open connection of its owner.")
    if not granted:
        raise ValueError("An app needs at least one scope.")
    if not granted <= scopes.MAY_HOLD[source]:
        raise ValueError(f"A credential of the kind {source} cannot hold {granted - scopes.MAY_HOLD[source]}.")
    app = ConnectedApp.objects.create(
        owner=owner,
        connection=connection,
        source=source,
        client=client,
        name=name[:255],
        scopes=scopes.render(scopes.expand(granted)),
        limits=start.limits.stored() if start else {},
        toolsets=start.toolsets if start else None,
        calls_per_minute=start.calls_per_minute if start else None,
        ask_in_assistant=ask_in_assistant,
        made_by_key=bool(by_key),
    )
    audit_log.record_change(
        owner,
        "granted",
        "app",
        app.pk,
        app.name,
        after={
            "connection": connection.name,
            "scopes": app.scopes,
            "source": source,
            "ask_in_assistant": ask_in_assistant,
            **app.limited.as_text(),
        },
        connection_id=connection.pk,
        **made_by_key(by_key),
    )
    return app


def made_by_key(by_key: str) -> dict[str, Any]:
    """For the audit log, which names the owner: that it was their program."""
    return {"management_key": by_key} if by_key else {}


@dataclass(frozen=True, slots=True)
class AppRestrictions:
    """What an app starts with: as its owner left it on others."""

    limits: Limits
    toolsets: list[str] | None
    """As ``ConnectedApp.toolsets``."""
    calls_per_minute: int | None = None


def binding_apps(connection: Connection) -> QuerySet[ConnectedApp]:
    """The apps whose bounds hold for whatever is begun there by anybody but the owner in person, newest first.

    Those of a signal address say which signals it takes, and bind nothing else.
    """
    return ConnectedApp.objects.filter(
        Q(revoked_at=None) | Q(still_binds=True), connection=connection, activated_at__isnull=False
    ).exclude(source__in=(Source.CONSOLE, Source.SIGNAL))


def tightest_restrictions(apps: Iterable[ConnectedApp]) -> AppRestrictions | None:
    """What all of them allow; None where that is nothing, which no limit can say."""
    limits, kept = Limits(), frozenset(Toolset)
    is_switched = False
    calls: int | None = None
    for app in apps:
        calls = _fewer(calls, app.calls_per_minute)
        limits = bounds.combine(limits, app.limited)
        is_switched, kept = True, kept & {Toolset(each) for each in app.toolset_names}
    if not _allows_something(limits):
        return None
    return AppRestrictions(limits, toolsets.stored(kept) if is_switched else None, calls)


def _fewer(one: int | None, other: int | None) -> int | None:
    """The tighter of two limits; None is none."""
    return min((each for each in (one, other) if each is not None), default=None)


def _allows_something(limits: Limits) -> bool:
    return frozenset() not in (limits.symbols, limits.asset_classes, limits.order_types)


@transaction.atomic
def console_app(connection: Connection) -> ConnectedApp:
    """What stands for the owner at the browser on an open connection, made when first needed; it has no credential."""
    Connection.objects.select_for_update().get(pk=connection.pk)
    found = ConnectedApp.objects.filter(connection=connection, source=Source.CONSOLE, revoked_at=None).first()
    return found or grant(
        connection.owner, connection, frozenset({Scope.TRADE}), source=Source.CONSOLE, name="Its owner, in the console"
    )


@transaction.atomic
def activate(app: ConnectedApp) -> None:
    """The first credential was issued. An older grant of the same client to the same connection ends with it.

    Its toolsets, its limits and its pause go over to the new one, also where it ended without its owner.
    """
    if app.is_console:
        raise ValueError("No credential stands for the owner at the browser.")
    now = timezone.now()
    if not ConnectedApp.objects.filter(pk=app.pk, activated_at=None).update(activated_at=now):
        return
    app.activated_at = now
    if app.client_id is None:
        return
    older = ConnectedApp.objects.select_for_update().filter(
        Q(revoked_at=None) | Q(still_binds=True),
        owner_id=app.owner_id,
        connection_id=app.connection_id,
        client_id=app.client_id,
        pk__lt=app.pk,
    )
    for other in older:  # the newest first
        _inherit_restrictions(other, app)
        revoke(other, by=None, reason="Replaced by a newer grant")
        ConnectedApp.objects.filter(pk=other.pk).update(still_binds=False)


def _inherit_restrictions(other: ConnectedApp, app: ConnectedApp) -> None:
    """What the owner took from an app stays taken when it signs in again. Its halts hold anyway: see console.halts."""
    if app.toolsets is None:
        app.toolsets = other.toolsets
    app.paused_at = app.paused_at or other.paused_at
    app.calls_per_minute = _fewer(app.calls_per_minute, other.calls_per_minute)
    both = bounds.combine(app.limited, other.limited)
    if _allows_something(both):
        app.limits = both.stored()
    else:
        # Nothing is allowed by both, which no limit can say: the owner sorts it out and resumes the app.
        app.paused_at = app.paused_at or timezone.now()
    ConnectedApp.objects.filter(pk=app.pk).update(
        toolsets=app.toolsets, paused_at=app.paused_at, limits=app.limits, calls_per_minute=app.calls_per_minute
    )


def _change(
    app: ConnectedApp, by: User | None, action: str, condition: Q, *, by_key: str = "", **fields: object
) -> bool:
    """One conditional update and its line in the audit log; False when it was so already."""
    with transaction.atomic():
        mine = ConnectedApp.objects.select_for_update().get(pk=app.pk)
        if not ConnectedApp.objects.filter(condition, pk=app.pk).update(**fields):
            return False
        audit_log.record_change(
            by,
            action,
            "app",
            app.pk,
            app.name,
            before={name: getattr(mine, name) for name in fields},
            after=fields,
            owner_id=mine.owner_id,
            connection_id=mine.connection_id,
            **made_by_key(by_key),
        )
        changed.send(ConnectedApp, app=app)
    app.refresh_from_db()
    return True


def revoke(app: ConnectedApp, *, by: User | None, reason: str, by_key: str = "", leaves_bounds: bool = True) -> bool:
    """``by`` None: no person did. What its owner set on it goes on to bind what comes in its place, unless the owner
    ended it in person; or, without ``leaves_bounds``, something else has them already."""
    return _change(
        app,
        by,
        "revoked",
        Q(revoked_at=None),
        by_key=by_key,
        revoked_at=timezone.now(),
        revoked_reason=reason[:100],
        still_binds=leaves_bounds and (by is None or by.pk != app.owner_id or bool(by_key)),
    )


@transaction.atomic
def delete_client(client: Client, *, by: User | None, by_key: str = "") -> bool:
    """No new sign-in through the client, and every app that came through it ends. False when done before."""
    now = timezone.now()
    if not Client.objects.filter(pk=client.pk, deleted_at=None).update(deleted_at=now):
        return False
    client.deleted_at = now
    for app in client.connected_apps.filter(revoked_at=None):
        revoke(app, by=by, reason="Its client was deleted", by_key=by_key)
    audit_log.record_change(
        by,
        "deleted",
        "client",
        client.pk,
        client.name,
        before={"deleted": False},
        after={"deleted": True},
        owner_id=client.user_id,
        client_id=client.client_id,
        **made_by_key(by_key),
    )
    return True


@transaction.atomic
def refuse_client(client: Client, *, by: User) -> bool:
    """An operator said no: nobody signs in through it, and what came through it ends. False when said before."""
    now = timezone.now()
    open_ = Client.objects.filter(pk=client.pk, deleted_at=None).exclude(review=ReviewState.REFUSED)
    if not open_.update(review=ReviewState.REFUSED, reviewed_at=now):
        return False
    for app in client.connected_apps.filter(revoked_at=None):
        revoke(app, by=by, reason="Its client was refused by an operator")
    audit_log.record_change(
        by,
        "refused",
        "client",
        client.pk,
        client.name,
        before={"review": client.review},
        after={"review": ReviewState.REFUSED.value},
        client_id=client.client_id,
    )
    return True


def pause(app: ConnectedApp, *, by: User | None, by_key: str = "") -> bool:
    return _change(app, by, "paused", Q(paused_at=None, revoked_at=None), by_key=by_key, paused_at=timezone.now())


def resume(app: ConnectedApp, *, by: User) -> bool:
    return _change(app, by, "resumed", Q(paused_at__isnull=False, revoked_at=None), paused_at=None)


def narrow(app: ConnectedApp, *, by: User | None, by_key: str = "") -> bool:
    """From trade to read, in place: its tokens and keys keep working, with less."""
    return _change(
        app,
        by,
        "narrowed",
        Q(revoked_at=None, scopes__contains=Scope.TRADE.value),
        by_key=by_key,
        scopes=scopes.render(frozenset({Scope.READ})),
    )


def set_limits(app: ConnectedApp, limits: Limits, *, by: User, may_widen: bool = False) -> bool:
    """False when nothing changed. ``may_widen``: the owner has just proved, for this, who they are.

    Raises Refusal when it would allow anything more without that, and for a symbol that names nothing at the broker.
    They come on top of the connection's own.
    """
    limit_name_checks.check_names(app.connection, limits, app.limited)
    with transaction.atomic():
        mine = ConnectedApp.objects.select_for_update().get(pk=app.pk)
        before = mine.limited
        if limits == before:
            return False
        if not may_widen and not bounds.is_tighter_or_equal(limits, before):
            raise Refusal(
                Code.RE_AUTHENTICATION_REQUIRED,
                "This allows more than before, so it needs the owner's proof of presence. Nothing was changed.",
            )
        ConnectedApp.objects.filter(pk=mine.pk).update(limits=limits.stored())
        audit_log.record_change(
            by,
            "limits changed",
            "app",
            mine.pk,
            mine.name,
            before=before.as_text(),
            after=limits.as_text(),
            owner_id=mine.owner_id,
            connection_id=mine.connection_id,
        )
        changed.send(ConnectedApp, app=app)
    app.refresh_from_db()
    return True


@transaction.atomic
def set_rate(app: ConnectedApp, calls: int | None, *, by: User, may_widen: bool = False) -> bool:
    """At most so many calls a minute from its next call on; None: as many as its user may make.

    False when it was so already. Raises Refusal when it would allow more without ``may_widen``: its owner has just
    proved, for this, who they are.
    """
    found = ConnectedApp.objects.select_for_update().filter(pk=app.pk, revoked_at=None).first()
    if found is None or found.calls_per_minute == calls:
        return False
    before = found.calls_per_minute
    if not may_widen and before is not None and (calls is None or calls > before):
        raise Refusal(
            Code.RE_AUTHENTICATION_REQUIRED,
            "This allows more calls than before, so it needs the owner's proof of presence. Nothing was changed.",
        )
    return _change(app, by, "rate changed", Q(revoked_at=None), calls_per_minute=calls)


@transaction.atomic
def set_toolsets(app: ConnectedApp, on: Collection[Toolset], *, by: User, may_widen: bool = False) -> bool:
    """The sets of tools the app has from its next call on; the basics always. False when it was so already.

    With exactly those of the default it also has what later versions add to it; otherwise these alone. Its
    scope stays what it is, so no set lets it do what it was not allowed. Raises Refusal when one is switched on without
    ``may_widen``: its owner has just proved, for this, who they are.
    """
    kept = frozenset(on) | {toolsets.ALWAYS}
    stored = toolsets.stored(kept)
    found = ConnectedApp.objects.select_for_update().filter(pk=app.pk, revoked_at=None).first()
    if found is None or found.toolsets == stored:
        return False
    if not may_widen and any(not toolsets.switched_on(found.toolsets, each) for each in kept):
        raise Refusal(
            Code.RE_AUTHENTICATION_REQUIRED,
            "This switches tools on, so it needs the owner's proof of presence. Nothing was changed.",
        )
    ConnectedApp.objects.filter(pk=app.pk).update(toolsets=stored)
    before = found.toolset_names
    app.toolsets = stored
    after = app.toolset_names
    audit_log.record_change(
        by,
        "switched toolsets of",
        "app",
        app.pk,
        app.name,
        before={"toolsets": before},
        after={"toolsets": after},
        owner_id=app.owner_id,
        connection_id=app.connection_id,
        on=" ".join(each for each in after if each not in before),
        off=" ".join(each for each in before if each not in after),
    )
    changed.send(ConnectedApp, app=app)
    return True


def set_asking(app: ConnectedApp, asks: bool, *, by: User, may_loosen: bool = False) -> bool:
    """Whether its user is asked in their client before an order goes. False when it was so already.

    Raises Refusal when it would end the asking without ``may_loosen``: its owner has just proved, for this, who they
    are.
    """
    if not asks and not may_loosen:
        if not ConnectedApp.objects.filter(pk=app.pk, revoked_at=None, ask_in_assistant=True).exists():
            return False
        raise Refusal(
            Code.RE_AUTHENTICATION_REQUIRED,
            "Orders then go without a question in the client, so it takes the owner's proof of presence. Nothing was "
            "changed.",
        )
    return _change(
        app,
        by,
        "asks its user" if asks else "no longer asks its user",
        Q(revoked_at=None, ask_in_assistant=not asks),
        ask_in_assistant=asks,
    )


def set_account(app_id: int, account_id: str) -> None:
    ConnectedApp.objects.filter(pk=app_id).update(current_account=account_id)
