"""Making, pausing and closing connections."""

import math
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, NoReturn

from django.db import IntegrityError, transaction
from django.db.models import Q
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
from brokers.paper import accounts, feed
from brokers.types import ConnectionInfo, Environment
from console import limits as bounds
from console import text
from console.accounts.models import User
from console.audit import log as audit_log
from console.connections import equity, gateways, kinds, linked, naming, reads, vault
from console.connections.kinds import Kind
from console.connections.models import Connection, Policy, default_policy
from console.errors import Code, Refusal, code_of
from console.limits import LIVE_NEEDS, TITLES, Limits

HOURS = {
    "always": "Open at all hours",
    "venue": "Trade only while the real exchange is open",
}
PRICES = {venue: feed.title(venue) for venue in feed.VENUES}
"""Venues whose live public prices a paper account can have."""


def link_paper(
    owner: User,
    *,
    name: str,
    starting_cash: Decimal,
    currency: str = "USD",
    hours: str = "always",
    trading_enabled: bool = True,
    prices: str = "",
    kind: str = "cash",
    preset: str = "standard",
    settlement_days: int = 0,
) -> Connection:
    """A new paper account and its connection. The venue of ``prices`` is not asked for anything yet.

    ``prices`` is one of PRICES or empty for recorded and simulated ones; the rest is as ``accounts.open_account`` has
    it. Raises Refusal when the owner has a connection of that name, or the account could not trade.
    """
    name = text.checked(name, field="name")
    if prices:
        _check_prices(prices, currency, hours, kind)
    try:
        with transaction.atomic():
            account = accounts.open_account(
                name=name,
                starting_cash=starting_cash,
                currency=currency,
                hours=hours,
                kind=kind,
                preset=preset,
                settlement_days=settlement_days,
                venue=prices,
            )
            now = timezone.now()
            connection = Connection.objects.create(
                owner=owner,
                name=name,
                broker="paper",
                environment=Environment.PAPER,
                settings={"account": account.key},
                default_account=account.key,
                trading_enabled=trading_enabled,
                policy=default_policy(Environment.PAPER),
                currency=currency,
                equity=starting_cash,
                detail=f"Live prices of {PRICES[prices]}" if prices else HOURS[hours],
                checked_at=now,
            )
            equity.record(connection, account.key, currency=currency, equity=starting_cash, cash=starting_cash, now=now)
            audit_log.record_change(
                owner, "added", "connection", connection.pk, name, broker="paper", trading=trading_enabled
            )
    except IntegrityError as error:
        raise _name_taken(name) from error
    return connection


def _name_taken(name: str) -> Refusal:
    return Refusal(Code.INVALID_ARGUMENT, f"You have a connection called {name} already.", field="name")


def link(
    owner: User,
    kind: Kind,
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
    name = text.checked(name, field="name")
    _check_limits(environment, limits)
    if Connection.objects.filter(owner=owner, name=name, closed_at=None).exists():
        raise _name_taken(name)
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
                settings=linked.remember(stored, info),
                default_account=info.accounts[0].account_id,
                policy=default_policy(environment),
                limits=limits.stored(),
                currency=info.accounts[0].currency,
                detail=kind.title,
                **_of_key(info),
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
                broker=kind.broker,
                environment=environment.value,
                trading=connection.trading_enabled,
            )
    except IntegrityError as error:
        raise _name_taken(name) from error
    return connection


def replace_key(connection: Connection, *, own: Mapping[str, str], secrets: Mapping[str, str], by: User) -> None:
    """New credentials for the same account, proved first; the old ones are gone at once. Raises Refusal as ``link``."""
    kind, environment = kinds.of(connection.broker, connection.settings), Environment(connection.environment)
    if kind is None:
        raise Refusal(Code.NOT_FOUND, f"{connection.name} has no key that could be replaced.")
    stored = _settings(kind, environment, own)
    gateways.check(kind, stored, by=by)
    info = prove(kind, environment, {**stored, **secrets}, by=by)
    if connection.default_account not in {account.account_id for account in info.accounts}:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            f"This {kind.thing} belongs to another account than {connection.default_account}. Link that one as a "
            "connection of its own. Nothing was changed.",
        )
    with transaction.atomic():
        mine = Connection.objects.select_for_update().get(pk=connection.pk)
        if mine.closed_at is not None:
            raise Refusal(Code.NOT_FOUND, f"{mine.name} was unlinked meanwhile. Nothing was changed.")
        for field, value in _of_key(info).items():
            setattr(mine, field, value)
        mine.settings, mine.sealed = (
            {**stored, linked.ACCOUNT: mine.default_account},
            vault.seal(mine.pk, mine.broker, secrets),
        )
        mine.trading_enabled = mine.trading_enabled and not mine.why_read_only
        mine.last_error, mine.next_step, mine.needs_sign_in, mine.check_after = "", "", False, timezone.now()
        mine.save()
        audit_log.record_change(by, "key replaced", "connection", mine.pk, mine.name, trading=mine.trading_enabled)
    connection.refresh_from_db()


def close(connection: Connection, *, by: User) -> bool:
    """End it for good and shred its credentials. False when it had ended."""
    return _change(
        connection, by, "unlinked", Q(), closed_at=timezone.now(), trading_enabled=False, sealed="", settings={}
    )


def note_key(connection: Connection, info: ConnectionInfo) -> None:
    """Keep what the broker says of the key now. Where it may withdraw, or no longer trade, trading is switched off."""
    with transaction.atomic():
        mine = Connection.objects.select_for_update().get(pk=connection.pk)
        of_key = _of_key(info)
        for field, value in of_key.items():
            setattr(mine, field, value)
        mine.save(update_fields=list(of_key))
        if mine.trading_enabled and mine.why_read_only:
            Connection.objects.filter(pk=mine.pk).update(trading_enabled=False)
            audit_log.record_change(None, "trading disabled", "connection", mine.pk, mine.name, why=mine.why_read_only)


def _settings(kind: Kind, environment: Environment, own: Mapping[str, str]) -> dict[str, Any]:
    more = dict(kind.paper_settings) if environment is Environment.PAPER else {}
    if kind.way:
        more["way"] = kind.way
    typed: dict[str, Any] = {name: value for name, value in own.items() if value}
    typed |= {each.name: int(typed[each.name]) for each in kind.fields if each.most and each.name in typed}
    return {**typed, **more, "environment": environment.value}


def _of_key(info: ConnectionInfo) -> dict[str, Any]:
    return {
        "key_can_trade": info.can_trade,
        "key_can_withdraw": info.can_withdraw,
        "key_expires": info.key_expires,
        "key_note": info.note[:300],
        "key_checked_at": timezone.now(),
    }


def prove(kind: Kind, environment: Environment, told: Mapping[str, Any], *, by: User) -> ConnectionInfo:
    """What the broker says of these credentials. Raises Refusal: what is wrong with them, and what to do about it."""
    try:
        info = _ask(kind, told, by)
    except BrokerError as error:
        _explain(kind, environment, told, error, by)
    if info.environment is not environment:
        raise _other_environment(kind, environment, info.environment)
    if not info.accounts:
        raise Refusal(
            Code.BROKER_REJECTED, f"{kind.title} shows no account for this {kind.thing}. Open one there first."
        )
    return info


def _ask(kind: Kind, told: Mapping[str, Any], by: User) -> ConnectionInfo:
    return reads.open_remote(("linking", by.pk), kind.broker, told).connect()


def _explain(kind: Kind, environment: Environment, told: Mapping[str, Any], error: BrokerError, by: User) -> NoReturn:
    title, code = kind.title, code_of(error)
    fields = {each.name for each in kind.fields} | {"environment"}
    if kind.is_gateway and not (isinstance(error, InvalidRequest) and error.field in fields):
        # Anything may listen at an address that a person typed: its words, and whether it has any, stay untold.
        raise gateways.no_answer(kind) from error
    match error:
        case ClockSkew():
            words = (
                f"{title} refused the call because the clock of this computer is off. Set it (timedatectl set-ntp "
                "true, or your system's own way), then try again."
            )
        case NeedsLogin():
            words = f"Nobody is signed in there, so nothing was saved. Sign in, then try again. What happened: {error}"
        case PermissionDenied():
            words = (
                f"{title} knows this key, but does not let it read the account. Give it the rights listed on this "
                "page, then try again."
            )
        case RateLimited():
            words = f"{title} wants fewer calls. Try again in {math.ceil(error.retry_after)} seconds."
        case InvalidRequest():
            raise Refusal(code, str(error), field=error.field if error.field in fields else "") from error
        case Rejected():
            if (other := _fits_elsewhere(kind, environment, told, by)) is not None:
                raise _other_environment(kind, environment, other) from error
            if isinstance(error, AuthFailed):
                words = (
                    f"{title} does not take this key. Copy all of it again, and look there that it was not deleted, "
                    "and that this instance's address is on its list if it has one."
                )
            else:
                words = f"{title} refused: {error}"
        case _:
            code = Code.BROKER_UNAVAILABLE
            words = f"{title} could not be asked, so nothing was saved. Try again in a minute. What happened: {error}"
    raise Refusal(code, words, retry_after=getattr(error, "retry_after", None)) from error


def _fits_elsewhere(kind: Kind, environment: Environment, told: Mapping[str, Any], by: User) -> Environment | None:
    """The other environment of this broker that takes the key, so that a wrong tick can be told from a wrong key."""
    for other in kind.environments:
        if other is not environment:
            try:
                return _ask(kind, {**told, "environment": other.value}, by).environment
            except BrokerError:
                continue
    return None


def _other_environment(kind: Kind, picked: Environment, proved: Environment) -> Refusal:
    what = "account" if kind.is_gateway else "key"
    own = f"{'sign in to a' if kind.is_gateway else 'bring a key of the'} {picked.value} account"
    return Refusal(
        Code.INVALID_ARGUMENT,
        f"By {kind.title}'s own answer this is a {proved.value} {what}, and you picked {picked.value}. Pick "
        f"{proved.value}, or {own}. Nothing was saved.",
        field="environment",
    )


def _check_limits(environment: Environment, limits: Limits) -> None:
    if environment is Environment.PAPER:
        return
    if missing := [name for name in LIVE_NEEDS if getattr(limits, name) is None]:
        named = " and ".join(TITLES[name].lower() for name in missing)
        raise Refusal(Code.LIMITS_REQUIRED, f"A live connection always needs a limit for: {named}.", field=missing[0])


def _check_prices(prices: str, currency: str, hours: str, kind: str) -> None:
    if prices not in PRICES:
        raise Refusal(Code.INVALID_ARGUMENT, f"There are no live prices of {prices!r} here.", field="prices")
    if currency not in feed.currencies(prices):
        known = " or ".join(feed.currencies(prices))
        raise Refusal(
            Code.INVALID_ARGUMENT, f"At {PRICES[prices]} coins are traded for {known} here.", field="currency"
        )
    if kind != "cash":
        raise Refusal(Code.INVALID_ARGUMENT, "Coins are traded from a cash account.", field="kind")
    if hours != "always":
        raise Refusal(Code.INVALID_ARGUMENT, "Coins are traded at all hours.", field="hours")


def _change(connection: Connection, by: User, action: str, condition: Q, **fields: object) -> bool:
    with transaction.atomic():
        if not Connection.objects.filter(condition, pk=connection.pk, closed_at=None).update(**fields):
            return False
        audit_log.record_change(by, action, "connection", connection.pk, connection.name)
    connection.refresh_from_db()
    return True


def pause(connection: Connection, *, by: User) -> bool:
    return _change(connection, by, "paused", Q(paused_at=None), paused_at=timezone.now())


def resume(connection: Connection, *, by: User) -> bool:
    return _change(connection, by, "resumed", Q(paused_at__isnull=False), paused_at=None)


def enable_trading(connection: Connection, *, by: User) -> bool:
    """Raises Refusal while the key may withdraw, or may not trade."""
    connection.refresh_from_db(fields=["key_can_trade", "key_can_withdraw"])
    if connection.why_read_only:
        raise Refusal(Code.TRADING_DISABLED, connection.why_read_only)
    return _change(connection, by, "trading enabled", Q(trading_enabled=False), trading_enabled=True)


def disable_trading(connection: Connection, *, by: User) -> bool:
    return _change(connection, by, "trading disabled", Q(trading_enabled=True), trading_enabled=False)


def set_limits(connection: Connection, limits: Limits, *, by: User, may_widen: bool = False) -> bool:
    """False when nothing changed. ``may_widen``: the owner has just proved, for this, who they are.

    Raises Refusal when it would allow anything more without that, when it would leave a live connection without what
    it needs, and for a symbol that names nothing at the broker.
    """
    naming.check(connection, limits, connection.limited)
    with transaction.atomic():
        mine = Connection.objects.select_for_update().get(pk=connection.pk)
        before = mine.limited
        if limits == before:
            return False
        _check_limits(Environment(mine.environment), limits)
        if not may_widen and not bounds.is_tighter_or_equal(limits, before):
            raise Refusal(
                Code.RE_AUTHENTICATION_REQUIRED,
                "This allows more than before, so it takes the owner's proof of presence. Nothing was changed.",
            )
        Connection.objects.filter(pk=mine.pk).update(limits=limits.stored())
        audit_log.record_change(
            by, "limits changed", "connection", mine.pk, mine.name, before=before.told(), after=limits.told()
        )
    connection.refresh_from_db()
    return True


_LOOSENESS = list(Policy)


def set_policy(connection: Connection, policy: Policy, *, by: User, may_loosen: bool = False) -> bool:
    """False when it was so already. ``may_loosen``: the owner has just proved, for this, who they are.

    No token leads here. Raises Refusal when it would let orders go with less of the owner's own approval, without that.
    """
    with transaction.atomic():
        mine = Connection.objects.select_for_update().get(pk=connection.pk)
        before = Policy(mine.policy)
        if policy is before:
            return False
        if not may_loosen and _LOOSENESS.index(policy) < _LOOSENESS.index(before):
            raise Refusal(
                Code.RE_AUTHENTICATION_REQUIRED,
                "This lets orders go without the owner's own approval, so it takes the owner's proof of presence. "
                "Nothing was changed.",
            )
        Connection.objects.filter(pk=mine.pk).update(policy=policy)
        audit_log.record_change(
            by, "policy changed", "connection", mine.pk, mine.name, before=before.value, after=policy.value
        )
    connection.refresh_from_db()
    return True
