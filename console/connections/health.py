"""The last thing the broker said about a connection, stored for pages."""

import logging
import random
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal, cast

from django.db import transaction
from django.dispatch import Signal
from django.utils import timezone

from brokers.allowed_hosts import OutOfReach
from brokers.base import Broker, TellingBroker
from brokers.errors import (
    AuthFailed,
    BrokerError,
    BrokerUnavailable,
    ClockSkew,
    NeedsLogin,
    OtherAccount,
    OtherCertificate,
    PermissionDenied,
    Rejected,
)
from brokers.types import Account, AccountEquity, ConnectionInfo, Unreadable
from console.audit import log as audit_log
from console.audit.models import ChangeCategory
from console.connections import broker_access, link_specs
from console.connections import equity as equity_kept
from console.connections import services as connections
from console.connections.models import Connection
from console.notifications import news, wording
from console.notifications.models import NewsKind
from console.notifications.news import Told

log = logging.getLogger(__name__)

_EVERY = (25.0, 55.0)
"""Seconds between two checks of a connection over a network, by chance."""
_KEY_ASKED_EVERY = timedelta(hours=1)
_TOGETHER = 16
PATIENCE = 20.0
"""Seconds one round of checks waits for brokers: the worker has other things to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    check: str
    ok: bool
    detail: str
    next: str = ""
    """What to do about it, where something is wrong."""


def diagnose(connection: Connection) -> list[Finding]:
    """Ask the broker now, step by step, up to the first step that fails. Writes nothing, raises no BrokerError."""
    found: list[Finding] = []
    step = "broker"
    try:
        broker = broker_access.broker_of(connection)
        accounts = broker.accounts()
        found.append(Finding(check=step, ok=True, detail="It answers."))
        step = "accounts"
        names = {account.account_id for account in accounts}
        if connection.default_account and connection.default_account not in names:
            found.append(
                Finding(
                    check=step,
                    ok=False,
                    detail=f"The default account {connection.default_account} no longer exists.",
                    next="Give an account_id from get_accounts.",
                )
            )
        else:
            found.append(
                Finding(
                    check=step,
                    ok=bool(accounts),
                    detail=f"{len(accounts)} account{'' if len(accounts) == 1 else 's'}.",
                    next="" if accounts else "Open an account at the broker, or link another connection.",
                )
            )
        step = "balances"
        for account in accounts:
            broker.account_state(account.account_id)
        found.append(Finding(check=step, ok=True, detail="Readable."))
        if unknown := _read_lists(broker, accounts):
            found.append(_finding_of(unknown))
    except BrokerError as error:
        found.append(
            Finding(
                check=step,
                ok=False,
                detail=str(error)[:300],
                next="Try again in a minute. If this persists, the owner can check the connection in the console.",
            )
        )
    return found


def _read_lists(broker: Broker, accounts: Iterable[Account]) -> tuple[Unreadable, ...]:
    """What is not known in any list of the broker. A list that it does not give now is passed over."""
    for account in accounts:
        with suppress(BrokerError):
            broker.positions(account.account_id)
        with suppress(BrokerError):
            broker.orders(account.account_id, open_only=True)
    return broker.unknown_words


_SHOWN = 5


def _finding_of(unknown: tuple[Unreadable, ...]) -> Finding:
    more = f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
    return Finding(
        check="words",
        ok=not any(each.left_out for each in unknown),
        detail="Not known here: " + "; ".join(str(each) for each in unknown[:_SHOWN]) + more + ".",
        next="Look at these rows at the broker, and report them: this version does not know what they mean.",
    )


def state(connection: Connection) -> Literal["ok", "error", "sign_in_again", "paused", "not_checked"]:
    """In one word, from what is stored."""
    if connection.paused_at is not None:
        return "paused"
    if connection.needs_sign_in:
        return "sign_in_again"
    if connection.checked_at is None:
        return "not_checked"
    return "error" if connection.last_error else "ok"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthAnswer:
    """What a broker said when it was asked how things are, or what went wrong."""

    accounts: tuple[AccountEquity, ...] = ()
    key: ConnectionInfo | None = None
    error: BrokerError | None = None
    unknown: tuple[Unreadable, ...] | None = None
    """What is not known in its lists; None where they were not asked for."""
    seconds: float = 0.0
    """How long it took."""


checked = Signal()
"""A broker over a network was asked: with ``connection``, ``seconds`` and ``error``, None where it answered."""


def check(connection: Connection, *, key_too: bool = False) -> None:
    """Ask the broker for the equity and keep it, or keep what went wrong. Never raises a broker's error.

    ``key_too``: what its key may do is asked as well, though it was asked a short time ago.
    """
    _store(connection, _ask_broker(connection, key_too=key_too))


def _ask_broker(connection: Connection, *, key_too: bool) -> HealthAnswer:
    """Asks, and touches no row of ours but those of a broker that has its books here."""
    began = time.monotonic()
    answer = _answer(connection, key_too=key_too)
    return replace(answer, seconds=time.monotonic() - began)


def _answer(connection: Connection, *, key_too: bool) -> HealthAnswer:
    try:
        broker = broker_access.broker_of(connection)
        in_full = connection.has_key and (key_too or _is_old(connection.key_checked_at))
        key = broker.connect() if in_full else None
        accounts = key.accounts if key else broker.accounts()
        if not accounts:
            raise Rejected("The broker shows no account.")
        found = tuple(_equity(broker, account.account_id) for account in accounts)
        return HealthAnswer(accounts=found, key=key, unknown=_read_lists(broker, accounts) if in_full else None)
    except BrokerError as error:
        return HealthAnswer(error=error)


def _equity(broker: Broker, account_id: str) -> AccountEquity:
    if broker.capabilities.tells_changes:
        return cast(TellingBroker, broker).equity(account_id)
    state = broker.account_state(account_id)
    cash = sum((held.total for held in state.cash if held.currency == state.currency), Decimal(0))
    return AccountEquity(account_id=state.account_id, currency=state.currency, equity=state.equity, cash=cash)


def _is_old(key_checked_at: datetime | None) -> bool:
    return key_checked_at is None or timezone.now() - key_checked_at > _KEY_ASKED_EVERY


def _next_step(connection: Connection, error: BrokerError) -> str:
    """What a person can do about it."""
    kind = link_specs.find(connection.broker, connection.settings)
    gateway = kind is not None and kind.is_gateway
    match error:
        case NeedsLogin():
            there = kind.sign_in if kind is not None else ""
            return there or "Sign in again at the broker, then press Check now."
        case OtherAccount():
            return "Sign in there with the account that was linked, or link the other account as a separate connection."
        case OtherCertificate():
            return "Find out who changed it. If it was you, enter the address again and confirm the new certificate."
        case OutOfReach():
            return "Ask the operator of this instance to allow the gateway, or enter another address."
        case BrokerUnavailable() if gateway:
            return "Check that the gateway is running and that you are signed in to it. We retry automatically."
        case ClockSkew():
            return "Correct the clock of the computer that Tradelatch runs on."
        case AuthFailed():
            return "Replace the key, or check at the broker why the key is no longer accepted."
        case PermissionDenied():
            return "Give the key permission to read at the broker, or replace it."
        case Rejected():
            return "Check the account at the broker."
        case _:
            return "We retry automatically. If this persists, check the broker's status page."


def _store(connection: Connection, answer: HealthAnswer) -> None:
    if broker_access.is_remote(connection.broker):
        checked.send_robust(Connection, connection=connection, seconds=answer.seconds, error=answer.error)
    mine = Connection.objects.filter(pk=connection.pk, closed_at=None)
    if answer.error is not None:
        with transaction.atomic():
            if connection.checked_at is not None and mine.filter(last_error="").exists():
                _record_state(connection, "link broken", "ok", str(answer.error)[:300])
            kept = mine.update(
                last_error=str(answer.error)[:300],
                next_step=_next_step(connection, answer.error),
                needs_sign_in=isinstance(answer.error, NeedsLogin),
                checked_at=timezone.now(),
            )
            if kept and isinstance(answer.error, _NEEDS_ITS_OWNER):
                _tell_owner(connection, answer.error)
        return
    if answer.key is not None:
        connections.note_key(connection, answer.key)
    if answer.unknown is not None:
        mine.update(unknown_words=Counter(each.word for each in answer.unknown))
    accounts, now = answer.accounts, timezone.now()
    if mine.exclude(last_error="").exists():
        _record_state(connection, "link works again", connection.last_error, "ok")
    for each in accounts:
        equity_kept.record(
            connection, each.account_id, currency=each.currency, equity=each.equity, cash=each.cash, now=now
        )
    equity = sum((each.equity for each in accounts), Decimal(0))
    began = connection.equity_at_start_of(now.date())
    mine.update(
        equity=equity,
        day=now.date(),
        day_equity=began if began is not None else equity,
        day_change_percent=_change(began, equity),
        currency=accounts[0].currency if accounts else connection.currency,
        last_error="",
        next_step="",
        needs_sign_in=False,
        checked_at=now,
    )


def _record_state(connection: Connection, action: str, before: str, after: str) -> None:
    """For its owner: when the broker stopped answering, and when it did again."""
    audit_log.record_change(
        None,
        action,
        "connection",
        connection.pk,
        connection.name,
        category=ChangeCategory.SYSTEM,
        owner_id=connection.owner_id,
        before={"state": before},
        after={"state": after},
    )


_NEEDS_ITS_OWNER = (NeedsLogin, OtherAccount, OtherCertificate, AuthFailed, PermissionDenied)
"""What does not go away by itself. A broker that is away for a minute is no news."""


def _tell_owner(connection: Connection, error: BrokerError) -> None:
    """Once a day, however often it is asked."""
    if not connection.owner.is_active:
        return
    name = wording.name(connection.name)
    told = Told(
        kind=NewsKind.LINK,
        source=f"link:{connection.pk}:{type(error).__name__}:{timezone.now():%Y%m%d}",
        title=f"{name} ({wording.money_label(is_live=connection.is_live)}) does not work",
        text=f"{wording.sentence(str(error))}\n{_next_step(connection, error)}",
        path=f"/connections/{connection.pk}/",
        tag=f"link-{connection.pk}",
    )
    news.tell(connection.owner, told)


def _change(before: Decimal | None, after: Decimal) -> Decimal | None:
    """In percent, to two decimals; None where there is nothing to compare with."""
    if not before:
        return None
    return ((after / before - 1) * 100).quantize(Decimal("0.01"), ROUND_HALF_EVEN)


def check_all() -> int:
    """Check every connection that is due, those over a network side by side. Returns how many were asked.

    Those come round each at its own time, so that a broker is not asked by all of them in the same second.
    """
    local, remote, now = [], [], timezone.now()
    open_ones = Connection.objects.filter(closed_at=None)
    for connection in open_ones:
        if not broker_access.is_remote(connection.broker):
            local.append(connection)
        elif connection.check_after is None or connection.check_after <= now:
            after = now + timedelta(seconds=random.uniform(*_EVERY))  # noqa: S311  spreads load, guards nothing
            mine = open_ones.filter(pk=connection.pk, check_after=connection.check_after)
            if mine.update(check_after=after):  # else another worker is at it
                remote.append(connection)
    for connection in local:
        try:
            check(connection)
        except Exception:  # one broken connection must not keep the others from being checked
            log.exception("Checking connection %s failed", connection.pk)
    _check_remote(remote)
    return len(local) + len(remote)


def _check_remote(connections: list[Connection]) -> None:
    if not connections:
        return
    threads = ThreadPoolExecutor(_TOGETHER, thread_name_prefix="health")
    try:
        asked = {threads.submit(_ask_broker, connection, key_too=False): connection for connection in connections}
        done, late = wait(asked, PATIENCE)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)
    for each in done:
        try:
            answer = each.result()
        except Exception:  # one broken connection must not keep the others from being checked
            log.exception("Checking connection %s failed", asked[each].pk)
            continue
        _safely(asked[each], answer)
    for each in late:
        if each.running():
            error = BrokerUnavailable(f"The broker did not answer within {PATIENCE:.0f} s.")
            _safely(asked[each], HealthAnswer(error=error, seconds=PATIENCE))


def _safely(connection: Connection, answer: HealthAnswer) -> None:
    try:
        _store(connection, answer)
    except Exception:
        log.exception("Checking connection %s failed", connection.pk)
