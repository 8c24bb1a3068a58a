"""An alert as it is asked for, at whatever door: what only the broker knows is asked, and how it stands is answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from brokers.base import Broker
from brokers.errors import BrokerError
from console.alerts import evaluation, services, terms
from console.alerts.models import Alert, AlertKind, Condition
from console.alerts.terms import OF_ACCOUNT, Measure
from console.connected_apps.models import ConnectedApp
from console.connections import broker_access
from console.connections.models import Connection
from console.errors import refusal_of_read

TERMS = ("symbol", "account_id", "window", "indicator", "against", "bar", "percent")
REST = ("note", "repeats", "cooldown_minutes", "expires_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """An alert, and how what it watches stands at this moment."""

    alert: Alert
    now: str
    """With its unit; empty where it is not known."""
    is_met: bool
    remark: str


def create(
    connection: Connection, given: Mapping[str, Any], *, app: ConnectedApp | None, current_account: str = ""
) -> Taken:
    """``given``: kind, condition, value, and what is in ``TERMS`` and ``REST``. Raises Refusal."""
    wanted = terms.check(
        given["kind"],
        given.get("condition", ""),
        given.get("value"),
        **{name: given[name] for name in TERMS if name in given},
    )
    try:
        named = _named(broker_access.broker_of(connection), connection, wanted.kind, given, current_account)
    except BrokerError as error:
        raise refusal_of_read(error) from error
    more: dict[str, Any] = {**named, **{name: given[name] for name in REST if name in given}}
    return look(services.create(connection, wanted, app=app, **more))


def change(alert: Alert, given: Mapping[str, Any], *, app: ConnectedApp | None) -> Taken:
    names = ("value", "condition", *REST)
    changed = services.change(alert, app=app, **{name: given[name] for name in names if name in given})
    return look(services.of_owner(changed.owner_id).get(pk=changed.pk))


def _named(
    broker: Broker, connection: Connection, kind: AlertKind, given: Mapping[str, Any], current_account: str
) -> dict[str, str]:
    """The instrument and the account, as the broker has them. Raises BrokerError, Refusal."""
    named: dict[str, str] = {}
    if symbol := given.get("symbol"):
        instrument = broker.instrument(symbol)
        named |= {"symbol": instrument.symbol, "currency": instrument.currency}
    account_id = given.get("account_id")
    if kind in OF_ACCOUNT or account_id:
        current = current_account or connection.default_account
        account = broker_access.choose_account(broker, account_id, current)
        named["account_id"] = account.account_id
        named.setdefault("currency", account.currency)
    return named


def look(alert: Alert) -> Taken:
    """Asks the broker how it stands; what it does not answer is said, and the alert stays."""
    alert.watched.connection = alert.connection
    observed, is_met = evaluation.first_look(alert)
    kind = AlertKind(alert.watched.kind)
    if observed.value is None:
        why = f"It cannot be compared now: {observed.trouble}" if observed.trouble else "It cannot be compared now."
        return Taken(alert=alert, now="", is_met=False, remark=f"{why} The alert keeps trying.")
    now = _shown(alert, kind, observed.value)
    if alert.condition == Condition.CROSSES:
        return Taken(alert=alert, now=now, is_met=False, remark="It fires when it has crossed from where it is now.")
    remark = "The condition is true already, so it fires within a minute." if is_met else ""
    return Taken(alert=alert, now=now, is_met=is_met, remark=remark)


def _shown(alert: Alert, kind: AlertKind, value: Decimal) -> str:
    if kind is AlertKind.CONNECTION:
        return ""
    measure = Measure.of(kind, alert.watched.measure)
    return terms.amount(kind, value, measure, alert.watched.currency)
