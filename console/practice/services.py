"""Practice accounts on a connection with simulated money: open one more, start again, change what it trades under."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.utils import timezone

from brokers.base import Broker
from brokers.errors import BrokerError, InvalidAccount
from brokers.paper import accounts as paper_accounts
from brokers.paper import corporate_actions, costs, ledger, model_settings
from brokers.paper.model_settings import ModelSettings as ModelSettings  # what the services give back
from brokers.types import AccountState, Position
from console import untrusted_text
from console.accounts.models import User
from console.audit import log as audit_log
from console.connected_apps.models import ConnectedApp
from console.connections import broker_access, equity
from console.connections.models import Connection
from console.errors import Code, Refusal, refusal_of
from console.halts import services as halts
from console.orders import states
from console.orders.checks import order_access, permission
from console.orders.execution import cancel as cancelling
from console.orders.execution import sync
from console.orders.models import Order

MOST_ACCOUNTS = 20
MOST_LATENCY_OF_AN_APP = 2000
"""Milliseconds. A cancel takes that long as well, and nobody but the owner may make the owner's own wait."""
_AHEAD = timedelta(days=90)
_MOST_COMING = 6
PRESETS = tuple(costs.PRESETS)
KNOBS = costs.TUNABLE

By = User | ConnectedApp


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOpened:
    terms: ModelSettings
    cash: Decimal
    left_out: list[str]
    """Symbols of the original that could not come along."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountReset:
    terms: ModelSettings
    cancelled: int
    """Orders that were taken back first."""
    before: Decimal
    """Equity that was given up, in the account's currency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpcomingAction:
    """A dividend or split that is announced."""

    on: date
    symbol: str
    kind: str
    value: Decimal
    """Dividend: USD a share. Split: new shares for one old."""


def can_practise(connection: Connection) -> bool:
    known = broker_access.capabilities(connection.broker)
    return known is not None and known.practice


def accounts(connection: Connection) -> list[ModelSettings]:
    """The main one first. Nothing for a connection whose money is not simulated."""
    return [model_settings.settings_of(key) for key in _keys(connection)] if can_practise(connection) else []


def upcoming_actions(connection: Connection) -> list[UpcomingAction]:
    """The next dividends and splits of the simulated market; nothing where prices are live."""
    now = timezone.now()
    found = corporate_actions.upcoming(_keys(connection)[0], now, now + _AHEAD)[:_MOST_COMING]
    return [UpcomingAction(on=each.at.date(), symbol=each.symbol, kind=each.kind, value=each.value) for each in found]


def account(connection: Connection, account_id: str) -> ModelSettings:
    """Raises Refusal for one the connection has not."""
    for each in accounts(connection):
        if each.account_id == account_id:
            return each
    known = ", ".join(each.account_id for each in accounts(connection)) or "none"
    raise Refusal(
        Code.UNKNOWN_ACCOUNT,
        f"This connection has no account {account_id!r}. Its accounts: {known}.",
        field="account_id",
    )


def open_account(
    connection: Connection,
    *,
    name: str,
    by: By,
    cash: Decimal | None = None,
    currency: str | None = None,
    preset: str | None = None,
    clone_of: tuple[Connection, str] | None = None,
) -> AccountOpened:
    """One more account, with ``cash`` or as a copy of another; the connection's other accounts stay as they are.

    All accounts of a connection are in its currency, because its limits are. Raises Refusal.
    """
    name = untrusted_text.check_text(name, field="name")
    _check(connection, by, "")
    if currency is not None and currency != connection.currency:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            f"The accounts of this connection are in {connection.currency}, like its limits. Its owner can add "
            "another connection for another currency.",
            field="currency",
        )
    _check_equity_share(connection, by)
    lots, copied, kind = _original(clone_of, connection.currency) if clone_of else ([], None, None)
    with _as_refusals(), transaction.atomic():
        mine = Connection.objects.select_for_update().get(pk=connection.pk)
        keys = _keys(mine)
        if len(keys) >= MOST_ACCOUNTS:
            raise Refusal(Code.INVALID_REQUEST, f"A connection has at most {MOST_ACCOUNTS} practice accounts.")
        if any(model_settings.settings_of(key).name == name.strip() for key in keys):
            raise Refusal(
                Code.INVALID_ARGUMENT, f"This connection already has an account called {name.strip()}.", field="name"
            )
        first = ledger.account(keys[0])
        start = cash if cash is not None else copied if copied is not None else first.starting_cash
        made, left_out = paper_accounts.clone(
            name,
            start,
            lots,
            connection.currency,
            first.hours,
            kind=kind or first.kind,
            preset=preset or first.preset,
            settlement_days=first.settlement_days,
        )
        Connection.objects.filter(pk=mine.pk).update(settings={**mine.settings, "accounts": [*keys, made.key]})
        connection.settings = {**mine.settings, "accounts": [*keys, made.key]}
        worth = _state(connection, made.key)
        _came_in(mine, worth.equity, timezone.now())
        _keep_equity(connection, worth)
        _note(connection, by, "account opened", account=made.key, after={"name": made.name, "cash": str(start)})
    return AccountOpened(terms=model_settings.settings_of(made.key), cash=start, left_out=left_out)


def reset_account(
    connection: Connection, account_id: str, *, by: By, cash: Decimal | None = None, request_id: str = ""
) -> AccountReset:
    """Take back every order, write the positions off and start again with ``cash``, else with what it started with.

    Profit, loss and the equity curve begin anew; the ledger and the journal keep what was. The day's loss stays what
    it is, so that no limit is escaped. Raises Refusal; nothing is reset then, though orders may be cancelled.
    """
    _check(connection, by, account_id)
    account(connection, account_id)
    _check_equity_share(connection, by)
    with _as_refusals():
        if cash is not None:
            paper_accounts.check_cash(cash)
    label = by.email if isinstance(by, User) else by.name
    standing = Order.objects.filter(connection=connection, account_id=account_id, status__in=states.OPEN)
    if isinstance(by, ConnectedApp):
        for order in standing.select_related("app"):
            order_access.check_may_change(by, order)
    done = cancelling.cancel_all(connection, account_id, by=label, request_id=request_id)
    # A cancel may be on its way to the exchange, and the reset overtakes it there; any other open order stops it.
    leaving = {each.order.pk for each in done if each.refusal is None and each.order.state in states.AT_BROKER}
    stuck = standing.exclude(pk__in=leaving).first()
    if stuck is not None:
        raise Refusal(
            Code.OUTCOME_UNKNOWN,
            f"Order {stuck.public_id} could not be cancelled yet, so nothing was reset. Check it with "
            "get_order_status, then reset again.",
            order_id=stuck.public_id,
        )
    before = _state(connection, account_id)
    with _as_refusals(), transaction.atomic():
        mine = Connection.objects.select_for_update().get(pk=connection.pk)
        now = timezone.now()
        paper_accounts.reset(ledger.account(account_id), now, cash)
        after = _state(connection, account_id)
        _came_in(mine, after.equity - before.equity, now)
        equity.forget(connection.pk, account_id)
        _keep_equity(connection, after)
        _note(
            connection,
            by,
            "account reset",
            account=account_id,
            before={"equity": str(before.equity)},
            after={"equity": str(after.equity)},
        )
    for order in standing.select_related("app", "connection", "confirmation"):
        with suppress(BrokerError):  # the sweep asks again
            sync.refresh(order)
    cancelled = sum(result.refusal is None for result in done)
    return AccountReset(terms=model_settings.settings_of(account_id), cancelled=cancelled, before=before.equity)


def set_model(
    connection: Connection,
    account_id: str,
    *,
    by: By,
    preset: str | None = None,
    overrides: Mapping[str, Decimal] | None = None,
    margin: bool | None = None,
) -> ModelSettings:
    """From the next fill on. Raises Refusal."""
    _check(connection, by, account_id)
    account(connection, account_id)
    if isinstance(by, ConnectedApp) and (overrides or {}).get("latency_ms", Decimal(0)) > MOST_LATENCY_OF_AN_APP:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            f"An app can set latency_ms to at most {MOST_LATENCY_OF_AN_APP}, because cancels are delayed too. The "
            "owner "
            "can set more in the console.",
            field="overrides.latency_ms",
        )
    with _as_refusals(), transaction.atomic():
        made = model_settings.set_model(
            account_id, preset=preset, overrides=overrides, margin=margin, now=timezone.now()
        )
        _note(connection, by, "model changed", account=account_id, after={"model": made.stamp, "margin": made.margin})
    return made


def _keys(connection: Connection) -> list[str]:
    return [str(key) for key in connection.settings.get("accounts") or [connection.settings.get("account", "")]]


def _check(connection: Connection, by: By, account_id: str) -> None:
    """An app must be allowed to trade here, and nothing may be halted; the owner may always. Raises Refusal."""
    if not can_practise(connection):
        raise Refusal(
            Code.NOT_OFFERED_BY_BROKER,
            f"{connection.name} has no practice accounts: only paper connections have them. Nothing was done.",
        )
    if isinstance(by, ConnectedApp):
        permission.check_permission(by, connection)
        halts.check(halts.GatedAction.PREPARE, connection, by.pk, account_id)


def _check_equity_share(connection: Connection, by: By) -> None:
    """More simulated money would widen a limit that is a share of the equity, and no app may widen one."""
    if isinstance(by, ConnectedApp) and (
        connection.limited.equity_share is not None or by.limited.equity_share is not None
    ):
        raise Refusal(
            Code.OUTSIDE_LIMITS,
            "A limit here is a share of equity, and new simulated money would widen it. The owner can do this in the "
            "console, on the connection's page.",
        )


def _original(of: tuple[Connection, str], currency: str) -> tuple[list[paper_accounts.Lot], Decimal, str | None]:
    """What an account has now. Raises Refusal."""
    connection, account_id = of
    try:
        broker = broker_access.broker_of(connection)
        chosen = broker_access.choose_account(broker, account_id, "")
        if chosen.currency != currency:
            raise Refusal(
                Code.INVALID_ARGUMENT,
                f"{chosen.name} is in {chosen.currency}, and the new account would be in {currency}.",
                field="clone_account_id",
            )
        state, held = broker.account_state(chosen.account_id), broker.positions(chosen.account_id)
    except BrokerError as error:
        raise refusal_of(error) from error
    cash = sum((each.total for each in state.cash if each.currency == currency), Decimal(0))
    if cash <= 0:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            f"{chosen.name} has no cash, and an account needs some to start with. Set cash to an amount.",
            field="cash",
        )
    lots = [paper_accounts.Lot(symbol=each.symbol, quantity=each.quantity, average_price=_paid(each)) for each in held]
    short = any(each.quantity < 0 for each in held)
    return lots, cash.quantize(Decimal("0.01")), "margin" if short else None


def _paid(position: Position) -> Decimal:
    """What one unit cost; its price now where the broker does not tell."""
    return position.last if position.average_price is None else position.average_price


def _state(connection: Connection, account_id: str) -> AccountState:
    broker: Broker = broker_access.broker_of(connection)
    try:
        return broker.account_state(account_id)
    except BrokerError as error:
        raise refusal_of(error) from error


def _came_in(mine: Connection, amount: Decimal, now: datetime) -> None:
    """Simulated money that came or went by itself: the day's gain or loss is what it was. Under the row's lock."""
    began = mine.equity_at_start_of(now.date())
    Connection.objects.filter(pk=mine.pk).update(
        equity=None if mine.equity is None else mine.equity + amount,
        day=now.date(),
        day_equity=None if began is None else began + amount,
    )


def _keep_equity(connection: Connection, state: AccountState) -> None:
    equity.record(
        connection,
        state.account_id,
        currency=state.currency,
        equity=state.equity,
        cash=sum((held.total for held in state.cash if held.currency == state.currency), Decimal(0)),
        now=timezone.now(),
    )


def _note(connection: Connection, by: By, action: str, **detail: Any) -> None:
    owner = by if isinstance(by, User) else by.owner
    if isinstance(by, ConnectedApp):
        detail["through"] = by.name
    audit_log.record_change(owner, action, "connection", connection.pk, connection.name, **detail)


@contextmanager
def _as_refusals() -> Iterator[None]:
    """What the books refuse, in our words."""
    try:
        yield
    except ValueError as error:
        raise Refusal(Code.INVALID_ARGUMENT, str(error)) from error
    except InvalidAccount as error:
        raise refusal_of(error) from error
