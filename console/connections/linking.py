"""Linking a connection to a broker's account, and giving it another key."""

import math
from collections.abc import Mapping
from typing import Any, NoReturn

from django.db import IntegrityError, transaction
from django.utils import timezone

from brokers.errors import (
    AuthFailed,
    BrokerError,
    ClockSkew,
    InvalidRequest,
    NeedsLogin,
    PermissionDenied,
    RateLimited,
    Rejected,
)
from brokers.types import ConnectionInfo, Environment
from console import untrusted_text
from console.accounts.models import User
from console.audit import log as audit_log
from console.connections import account_guard, broker_access, gateways, link_specs, vault
from console.connections import paper_linking as paper_connections
from console.connections import services as connections
from console.connections.link_specs import LinkSpec
from console.connections.models import Connection, default_policy
from console.errors import Code, Refusal, code_of
from console.limits import Limits


def link(
    owner: User,
    kind: LinkSpec,
    *,
    name: str,
    environment: Environment,
    own: Mapping[str, str],
    secrets: Mapping[str, str],
    limits: Limits,
    trading_enabled: bool,
) -> Connection:
    """A connection to a broker's account, once its credentials are proved there. Nothing is kept of those that fail.

    ``own`` are settings that are no secret. A key that may withdraw, or not trade, makes a read-only connection.
    Raises Refusal, naming the field where there is one. Asks the broker: not for use inside a transaction.
    """
    name = untrusted_text.check_text(name, field="name")
    connections.check_required_limits(environment, limits)
    if Connection.objects.filter(owner=owner, name=name, closed_at=None).exists():
        raise paper_connections.name_taken(name)
    stored = _settings(kind, environment, own)
    gateways.check(kind, stored, by=owner)
    info = prove(kind, environment, {**stored, **secrets}, by=owner)
    now = timezone.now()
    try:
        with transaction.atomic():
            gateways.check_accounts(kind, info, by=owner)
            connection = Connection(
                owner=owner,
                name=name,
                broker=kind.broker,
                environment=environment,
                settings=account_guard.with_account(stored, info),
                default_account=info.accounts[0].account_id,
                policy=default_policy(environment),
                limits=limits.stored(),
                currency=info.accounts[0].currency,
                detail=kind.title,
                **connections.key_facts(info),
            )
            connection.trading_enabled = trading_enabled and not connection.why_read_only
            connection.save()
            connection.sealed = vault.seal(connection.pk, kind.broker, secrets)
            connection.check_after = now
            connection.save(update_fields=["sealed", "check_after"])
            audit_log.record_change(
                owner,
                "added",
                "connection",
                connection.pk,
                name,
                after={
                    "broker": kind.broker,
                    "environment": environment.value,
                    "trading_enabled": connection.trading_enabled,
                    "policy": connection.policy,
                    **limits.as_text(),
                },
            )
    except IntegrityError as error:
        raise paper_connections.name_taken(name) from error
    return connection


def replace_key(connection: Connection, *, own: Mapping[str, str], secrets: Mapping[str, str], by: User) -> None:
    """New credentials for the same account, proved first; the old ones are gone at once. Raises Refusal as ``link``."""
    kind, environment = link_specs.find(connection.broker, connection.settings), Environment(connection.environment)
    if kind is None:
        raise Refusal(Code.NOT_FOUND, f"{connection.name} has no key to replace.")
    stored = _settings(kind, environment, own)
    gateways.check(kind, stored, by=by)
    info = prove(kind, environment, {**stored, **secrets}, by=by)
    if connection.default_account not in {account.account_id for account in info.accounts}:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            f"This {kind.thing} belongs to a different account from {connection.default_account}. Link that account "
            "as a separate connection. Nothing was changed.",
        )
    with transaction.atomic():
        mine = Connection.objects.select_for_update().get(pk=connection.pk)
        if mine.closed_at is not None:
            raise Refusal(Code.NOT_FOUND, f"{mine.name} was unlinked in the meantime. Nothing was changed.")
        before = {"trading_enabled": mine.trading_enabled, "key_checked_at": mine.key_checked_at}
        for field, value in connections.key_facts(info).items():
            setattr(mine, field, value)
        mine.settings, mine.sealed = (
            {**stored, account_guard.ACCOUNT: mine.default_account},
            vault.seal(mine.pk, mine.broker, secrets),
        )
        mine.trading_enabled = mine.trading_enabled and not mine.why_read_only
        mine.last_error, mine.next_step, mine.needs_sign_in, mine.check_after = "", "", False, timezone.now()
        mine.save()
        audit_log.record_change(
            by,
            "key replaced",
            "connection",
            mine.pk,
            mine.name,
            before=before,
            after={"trading_enabled": mine.trading_enabled, "key_checked_at": mine.key_checked_at},
        )
    connection.refresh_from_db()


def _settings(kind: LinkSpec, environment: Environment, own: Mapping[str, str]) -> dict[str, Any]:
    more = dict(kind.paper_settings) if environment is Environment.PAPER else {}
    if kind.way:
        more["way"] = kind.way
    typed: dict[str, Any] = {name: value for name, value in own.items() if value}
    typed |= {each.name: int(typed[each.name]) for each in kind.fields if each.most and each.name in typed}
    return {**typed, **more, "environment": environment.value}


def prove(kind: LinkSpec, environment: Environment, told: Mapping[str, Any], *, by: User) -> ConnectionInfo:
    """What the broker says of these credentials. Raises Refusal: what is wrong with them, and what to do about it."""
    try:
        info = _connect(kind, told, by)
    except BrokerError as error:
        _explain(kind, environment, told, error, by)
    if info.environment is not environment:
        raise _other_environment(kind, environment, info.environment)
    if not info.accounts:
        raise Refusal(
            Code.BROKER_REJECTED, f"{kind.title} shows no account for this {kind.thing}. Open an account there first."
        )
    return info


def _connect(kind: LinkSpec, told: Mapping[str, Any], by: User) -> ConnectionInfo:
    return broker_access.open_remote(("linking", by.pk), kind.broker, told).connect()


def _explain(
    kind: LinkSpec, environment: Environment, told: Mapping[str, Any], error: BrokerError, by: User
) -> NoReturn:
    title, code = kind.title, code_of(error)
    fields = {each.name for each in kind.fields} | {"environment"}
    if kind.is_gateway and not (isinstance(error, InvalidRequest) and error.field in fields):
        # Anything may listen at an address that a person typed: its words, and whether it has any, stay untold.
        raise gateways.no_gateway(kind) from error
    match error:
        case ClockSkew():
            words = (
                f"{title} refused the call because this computer's clock is wrong. Correct it (for example with "
                "timedatectl set-ntp true), then try again."
            )
        case NeedsLogin():
            words = f"Nobody is signed in there, so nothing was saved. Sign in, then try again. Details: {error}"
        case PermissionDenied():
            words = (
                f"{title} knows this key, but the key cannot read the account. Give it the permissions listed on "
                "this page, then try again."
            )
        case RateLimited():
            words = f"{title} is limiting calls. Try again in {math.ceil(error.retry_after)} seconds."
        case InvalidRequest():
            raise Refusal(code, str(error), field=error.field if error.field in fields else "") from error
        case Rejected():
            if (other := _matching_environment(kind, environment, told, by)) is not None:
                raise _other_environment(kind, environment, other) from error
            if isinstance(error, AuthFailed):
                words = (
                    f"{title} does not accept this key. Copy all of it again, and check there that it still "
                    "exists and that it allows this instance's IP address, if it is restricted."
                )
            else:
                words = f"{title} refused: {error}"
        case _:
            code = Code.BROKER_UNAVAILABLE
            words = f"{title} could not be reached, so nothing was saved. Try again in a minute. Details: {error}"
    raise Refusal(code, words, retry_after=getattr(error, "retry_after", None)) from error


def _matching_environment(
    kind: LinkSpec, environment: Environment, told: Mapping[str, Any], by: User
) -> Environment | None:
    """The other environment of this broker that takes the key, so that a wrong tick can be told from a wrong key."""
    for other in kind.environments:
        if other is not environment:
            try:
                return _connect(kind, {**told, "environment": other.value}, by).environment
            except BrokerError:
                continue
    return None


def _other_environment(kind: LinkSpec, picked: Environment, proved: Environment) -> Refusal:
    what = "account" if kind.is_gateway else "key"
    own = f"{'sign in to a' if kind.is_gateway else 'use a key for the'} {picked.value} account"
    return Refusal(
        Code.INVALID_ARGUMENT,
        f"{kind.title} reports a {proved.value} {what}, but you chose {picked.value}. Choose {proved.value}, or "
        f"{own}. Nothing was saved.",
        field="environment",
    )
