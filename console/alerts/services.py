"""Creating, changing and switching off alerts, and an app's messages to the owner. No alert trades, and none can."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from console import ids, untrusted_text
from console.accounts.models import User
from console.alerts import terms
from console.alerts.models import Alert, AlertEvent, AlertKind, AlertStatus, Condition, WatchedValue
from console.alerts.parts import in_parts
from console.alerts.terms import AlertTerms
from console.audit import log as audit_log
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.notifications import news, wording
from console.notifications.models import NewsKind
from console.notifications.news import Told

MOST_ACTIVE = 500
"""Active alerts of one person."""
USUAL_EXPIRY = timedelta(days=30)
LONGEST_EXPIRY = timedelta(days=366)
USUAL_COOLDOWN, LEAST_COOLDOWN, LONGEST_COOLDOWN = 60, 5, 7 * 24 * 60
"""Minutes."""
LONGEST_NOTE, LONGEST_MESSAGE = 200, 500
MESSAGES_AN_HOUR = 10
"""Of one app."""
KEPT = timedelta(days=90)
"""After an alert ended, and of what was told."""
TOLD_AFTER = 3
"""Looks in a row with nothing to compare, before an alert says so."""
_HOUR = timedelta(hours=1)
_ROWS = 500


# -- whose they are


def of_owner(owner_id: int) -> QuerySet[Alert]:
    return Alert.objects.filter(owner_id=owner_id).select_related("app", "connection", "watched")


def of_app(app: ConnectedApp) -> QuerySet[Alert]:
    """Those it created on its connection, also before it signed in again."""
    return of_owner(app.owner_id).filter(connection_id=app.connection_id, app__in=_same(app))


def events_of_owner(owner_id: int) -> QuerySet[AlertEvent]:
    return AlertEvent.objects.filter(owner_id=owner_id).select_related("app", "connection", "alert")


def events_of_app(app: ConnectedApp) -> QuerySet[AlertEvent]:
    return events_of_owner(app.owner_id).filter(connection_id=app.connection_id, app__in=_same(app))


def _same(app: ConnectedApp) -> QuerySet[ConnectedApp]:
    return ConnectedApp.objects.filter(app.same)


def find(alerts: QuerySet[Alert], alert_id: str) -> Alert:
    """Raises Refusal for one that is not among them."""
    found = alerts.filter(public_id=alert_id).first()
    if found is None:
        raise Refusal(Code.NOT_FOUND, "There is no such alert here. List them with get_alerts.", field="alert_id")
    return found


# -- created, changed, ended


@transaction.atomic
def create(
    connection: Connection,
    wanted: AlertTerms,
    *,
    app: ConnectedApp | None,
    symbol: str = "",
    account_id: str = "",
    currency: str = "",
    note: str = "",
    repeats: bool = False,
    cooldown_minutes: int | None = None,
    expires_at: datetime | None = None,
) -> Alert:
    """``symbol``, ``account_id`` and ``currency`` as the broker has them. Raises Refusal."""
    now = timezone.now()
    ends = _expiry(expires_at, now)
    User.objects.select_for_update().get(pk=connection.owner_id)
    if Alert.objects.filter(owner_id=connection.owner_id, status=AlertStatus.ACTIVE).count() >= MOST_ACTIVE:
        raise Refusal(
            Code.INVALID_REQUEST,
            f"There are {MOST_ACTIVE} active alerts, which is the most. Cancel one that is no longer needed. Nothing "
            "was created.",
        )
    watched = _watched(connection, wanted, symbol=symbol, account_id=account_id, currency=currency, now=now)
    alert = Alert.objects.create(
        public_id=ids.new("alt"),
        owner_id=connection.owner_id,
        connection=connection,
        app=app,
        watched=watched,
        condition=wanted.condition,
        value=wanted.value,
        note=_note(note),
        repeats=repeats,
        cooldown_minutes=_cooldown(cooldown_minutes),
        created_at=now,
        expires_at=ends,
    )
    _record(alert, "created", app, None, after=_terms(alert))
    return alert


def _watched(
    connection: Connection, wanted: AlertTerms, *, symbol: str, account_id: str, currency: str, now: datetime
) -> WatchedValue:
    """Due now. In the caller's transaction, so that nobody deletes it before its alert is there."""
    while True:
        found, _ = WatchedValue.objects.get_or_create(
            connection=connection,
            kind=wanted.kind,
            symbol=symbol,
            account_id=account_id,
            measure=wanted.measure.stored(),
            defaults={"currency": currency, "due_at": now},
        )
        if WatchedValue.objects.filter(pk=found.pk).update(due_at=now):
            return found


@transaction.atomic
def change(
    alert: Alert,
    *,
    app: ConnectedApp | None,
    value: Decimal | None = None,
    condition: str | None = None,
    note: str | None = None,
    repeats: bool | None = None,
    cooldown_minutes: int | None = None,
    expires_at: datetime | None = None,
) -> Alert:
    """What is None stays. With another value or condition it starts anew. Raises Refusal for one that has ended."""
    now = timezone.now()
    found = Alert.objects.select_for_update().get(pk=alert.pk)
    if not found.is_active or found.expires_at <= now:
        raise Refusal(Code.INVALID_REQUEST, "This alert has ended. Create another one. Nothing was changed.")
    before, kind = _terms(found), AlertKind(found.watched.kind)
    fixed = kind is AlertKind.CONNECTION or terms.Measure.of(kind, found.watched.measure).right is not None
    if value is not None:
        if fixed:
            raise Refusal(Code.INVALID_ARGUMENT, "This alert has no value to change.", field="value")
        found.value = terms.check_value(kind, value)
    if condition is not None:
        if kind is AlertKind.CONNECTION:
            raise Refusal(Code.INVALID_ARGUMENT, "This alert has no condition to change.", field="condition")
        found.condition = Condition(condition)
    if value is not None or condition is not None:
        found.last_side = ""
    if note is not None:
        found.note = _note(note)
    if repeats is not None:
        found.repeats = repeats
    if cooldown_minutes is not None:
        found.cooldown_minutes = _cooldown(cooldown_minutes)
    if expires_at is not None:
        found.expires_at = _expiry(expires_at, now)
    found.save(update_fields=["value", "condition", "last_side", "note", "repeats", "cooldown_minutes", "expires_at"])
    after = _terms(found)
    if after != before:
        _record(found, "changed", app, before, after=after)
        WatchedValue.objects.filter(pk=found.watched_id).update(due_at=now)
    return found


@transaction.atomic
def cancel(alert: Alert, *, app: ConnectedApp | None) -> Alert:
    """One that has ended stays as it ended."""
    still = active(Alert.objects.filter(pk=alert.pk))
    if still.update(status=AlertStatus.CANCELLED, ended_at=timezone.now()):
        _record(alert, "cancelled", app, {"active": True}, after={"active": False})
    return of_owner(alert.owner_id).get(pk=alert.pk)


# -- an app's own words


@transaction.atomic
def emit(app: ConnectedApp, text: str) -> AlertEvent:
    """Notify the owner of what the app says, as its words: bounded, without addresses. Raises Refusal."""
    now = timezone.now()
    said = untrusted_text.check_text(text, field="text", what="message", longest=LONGEST_MESSAGE)
    shown = wording.sentence(said, LONGEST_MESSAGE)
    if not shown:
        raise Refusal(Code.INVALID_ARGUMENT, "text must have words.", field="text")
    ConnectedApp.objects.select_for_update().get(pk=app.pk)
    lately = AlertEvent.objects.filter(app__in=_same(app), alert=None, at__gt=now - _HOUR).order_by("at")
    times = list(lately.values_list("at", flat=True))
    if len(times) >= MESSAGES_AN_HOUR:
        wait = max(1, int((times[-MESSAGES_AN_HOUR] + _HOUR - now).total_seconds()) + 1)
        raise Refusal(
            Code.RATE_LIMITED,
            f"An app can send {MESSAGES_AN_HOUR} messages an hour. Nothing was sent.",
            retry_after=wait,
        )
    event = AlertEvent.objects.create(
        owner_id=app.owner_id,
        connection_id=app.connection_id,
        app=app,
        at=now,
        title=f"Message from the app {wording.name(app.name)}",
        text=shown,
    )
    told = Told(
        kind=NewsKind.ALERT,
        source=f"message:{event.pk}",
        title=event.title,
        text=f"{shown}\nWritten by the app, not by Tradelatch.",
        path="/alerts/",
    )
    news.tell(app.owner, told)
    return event


@transaction.atomic
def delete_old(now: datetime | None = None) -> int:
    """Alerts that ended long ago with their history, old messages, and what nobody watches any more."""
    before = (now or timezone.now()) - KEPT
    gone = Alert.objects.filter(ended_at__lt=before).delete()[0]
    gone += AlertEvent.objects.filter(at__lt=before).delete()[0]
    # Locked: who creates an alert on one of them waits, and then finds it gone.
    idle = list(WatchedValue.objects.select_for_update().filter(due_at=None).values_list("pk", flat=True))
    watched = set(Alert.objects.filter(watched__due_at=None).values_list("watched_id", flat=True))
    for some in in_parts((each for each in idle if each not in watched), _ROWS):
        gone += WatchedValue.objects.filter(pk__in=some).delete()[0]
    return gone


# -- parts


def _expiry(asked: datetime | None, now: datetime) -> datetime:
    if asked is None:
        return now + USUAL_EXPIRY
    if not now < asked <= now + LONGEST_EXPIRY:
        raise Refusal(Code.INVALID_ARGUMENT, "expires must be in the future, at most a year ahead.", field="expires")
    return asked


def in_days(days: int) -> datetime:
    return timezone.now() + timedelta(days=days)


def _cooldown(asked: int | None) -> int:
    minutes = USUAL_COOLDOWN if asked is None else asked
    if not LEAST_COOLDOWN <= minutes <= LONGEST_COOLDOWN:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            f"cooldown_minutes must be from {LEAST_COOLDOWN} to {LONGEST_COOLDOWN}.",
            field="cooldown_minutes",
        )
    return minutes


def _note(note: str) -> str:
    return untrusted_text.check_text(note, field="note", what="note", longest=LONGEST_NOTE)


def in_words(alert: Alert) -> str:
    """``AAPL is above 200 USD``."""
    watched = alert.watched
    measure = terms.Measure.of(watched.kind, watched.measure)
    return terms.sentence(watched.kind, watched.symbol, measure, alert.condition, alert.value, watched.currency)


def last_seen(alert: Alert) -> str:
    """What is watched, as it was last seen; empty where it was not."""
    watched = alert.watched
    if watched.value is None or watched.kind == AlertKind.CONNECTION:
        return ""
    measure = terms.Measure.of(watched.kind, watched.measure)
    return terms.amount(watched.kind, watched.value, measure, watched.currency)


def status_now(alert: Alert) -> AlertStatus:
    """One whose time is over has expired, whether or not a pass has said so."""
    if alert.is_active and alert.expires_at <= timezone.now():
        return AlertStatus.EXPIRED
    return AlertStatus(alert.status)


def trouble(alert: Alert) -> str:
    """Why an active alert has had nothing to compare with for a while; empty while it has."""
    if not alert.is_active:
        return ""
    if alert.connection.paused_at is not None:
        return "The connection is paused, so its alerts wait."
    return alert.watched.trouble if alert.watched.misses >= TOLD_AFTER else ""


class Line:
    """An alert as a page shows it."""

    def __init__(self, alert: Alert) -> None:
        self.alert = alert

    @property
    def words(self) -> str:
        return in_words(self.alert)

    @property
    def last_seen(self) -> str:
        return last_seen(self.alert)

    @property
    def trouble(self) -> str:
        return trouble(self.alert)

    @property
    def status(self) -> AlertStatus:
        return status_now(self.alert)


def _terms(alert: Alert) -> dict[str, Any]:
    return {
        "condition": in_words(alert),
        "repeats": alert.repeats,
        "cooldown_minutes": alert.cooldown_minutes,
        "expires_at": alert.expires_at.isoformat(timespec="seconds"),
        "note": alert.note,
    }


def _record(
    alert: Alert, action: str, app: ConnectedApp | None, before: dict[str, Any] | None, *, after: dict[str, Any]
) -> None:
    """What an owner does is a change of their own; of an app its call is on record."""
    if app is None:
        audit_log.record_change(
            alert.owner,
            action,
            "alert",
            alert.public_id,
            in_words(alert),
            before=before,
            after=after,
            connection_id=alert.connection_id,
        )


def active(alerts: QuerySet[Alert]) -> QuerySet[Alert]:
    return alerts.filter(status=AlertStatus.ACTIVE, expires_at__gt=timezone.now())


def over(alerts: QuerySet[Alert]) -> QuerySet[Alert]:
    return alerts.filter(~Q(status=AlertStatus.ACTIVE) | Q(expires_at__lte=timezone.now()))
