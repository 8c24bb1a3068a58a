"""One pass over what alerts watch: looked up once, compared with every alert, and who is met is told exactly once.

A pass may run twice at a time, late or not at all. An alert fires by one conditional update, in the transaction of its
event and of the notification; what it has to remember between two looks is in its row.
"""

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from console.alerts import observing, services, terms
from console.alerts.models import Alert, AlertEvent, AlertKind, AlertStatus, Condition, WatchedValue
from console.alerts.observing import AT_BROKER, Found, Observed
from console.alerts.parts import in_parts
from console.alerts.terms import OF_BARS, Measure
from console.connections import broker_access
from console.connections.models import Connection
from console.notifications import news, wording
from console.notifications.models import NewsKind
from console.notifications.news import Told

log = logging.getLogger(__name__)

EVERY = timedelta(seconds=15)
"""Between two looks at a price."""
_ROWS_EVERY = timedelta(seconds=60)
"""Between two looks at what is in our own rows, and after a look that found nothing to compare."""
_BARS_AT_MOST = timedelta(hours=1)
_BARS_SETTLE = timedelta(seconds=5)
"""After a bar's end, until a broker has it."""
_TOGETHER = 8
PATIENCE = 20.0
"""Seconds a pass waits for brokers over a network."""
_ROWS = 500


class _Watching(NamedTuple):
    """What a pass has to know of an alert."""

    pk: int
    watched_id: int
    condition: str
    value: Decimal
    last_side: str
    fired_count: int
    fired_at: datetime | None
    repeats: bool
    cooldown_minutes: int


def has_work() -> bool | datetime:
    """Whether anything is to be looked at now; else when."""
    due: datetime | None = (
        WatchedValue.objects.filter(due_at__isnull=False).order_by("due_at").values_list("due_at", flat=True).first()
    )
    if due is None:
        return False
    return True if due <= timezone.now() else due


def run() -> int:
    """How many alerts fired."""
    now = timezone.now()
    _end(now)
    due: dict[Connection, list[WatchedValue]] = {}
    mine = WatchedValue.objects.filter(due_at__lte=now).order_by().values_list("connection_id", flat=True).distinct()
    for connection in Connection.objects.filter(pk__in=list(mine)).order_by("pk"):
        claimed = _claim(connection, now)
        if claimed:
            due[connection] = claimed
    fired = 0
    for connection, found in _look(due, now).items():
        try:
            fired += _compare(due[connection], found, now)
        except Exception:  # one connection's rows must not keep the alerts of the others
            log.exception("The alerts of connection %s could not be compared", connection.pk)
    return fired


def _end(now: datetime) -> None:
    active = Alert.objects.filter(status=AlertStatus.ACTIVE)
    active.filter(expires_at__lte=now).update(status=AlertStatus.EXPIRED, ended_at=now)
    active.filter(connection__closed_at__isnull=False).update(status=AlertStatus.CANCELLED, ended_at=now)


@transaction.atomic
def _claim(connection: Connection, now: datetime) -> list[WatchedValue]:
    """What is due there and an alert watches, put off until the next look: another worker's pass leaves it alone."""
    due = WatchedValue.objects.filter(connection=connection, due_at__lte=now)
    if connection.paused_at is not None and connection.closed_at is None:
        due.update(due_at=now + _ROWS_EVERY)
        return []
    rows = list(due.select_for_update())
    watching = set(
        Alert.objects.filter(watched__connection=connection, status=AlertStatus.ACTIVE)
        .order_by()
        .values_list("watched_id", flat=True)
        .distinct()
    )
    due.update(due_at=now + EVERY)  # as _keep finds it again
    idle = [row.pk for row in rows if row.pk not in watching]
    for some in in_parts(idle, _ROWS):
        WatchedValue.objects.filter(pk__in=some).update(due_at=None, misses=0, trouble="")
    return [row for row in rows if row.pk in watching]


def _look(due: dict[Connection, list[WatchedValue]], now: datetime) -> dict[Connection, Found]:
    """Brokers over a network side by side, and no longer than PATIENCE; the others and our own rows in this thread."""
    found: dict[Connection, Found] = {}
    remote = [each for each in due if broker_access.is_remote(each.broker)]
    threads = ThreadPoolExecutor(_TOGETHER, thread_name_prefix="alerts")
    asked = {threads.submit(observing.ask_broker, each, due[each], now): each for each in remote if _asks(due[each])}
    for connection, watched in due.items():
        try:
            found[connection] = observing.look_at_rows(connection, watched, now)
            if connection not in remote:
                found[connection] |= observing.ask_broker(connection, watched, now)
        except Exception:  # one broken connection must not keep the others from being looked at
            log.exception("Looking up what alerts watch on connection %s failed", connection.pk)
            found[connection] = observing.unanswered(watched, "It could not be looked up.")
    done, late = wait(asked, timeout=PATIENCE)
    threads.shutdown(wait=False, cancel_futures=True)
    for future in done:
        connection = asked[future]
        try:
            found[connection] |= future.result()
        except Exception:
            log.exception("Asking for what alerts watch on connection %s failed", connection.pk)
            late.add(future)
    for future in late:
        connection = asked[future]
        title = broker_access.broker_title(connection.broker)
        mine = (each for each in due[connection] if each.kind in AT_BROKER)
        found[connection] |= observing.unanswered(mine, f"{title} did not answer in time.")
    return found


def _asks(watched: Iterable[WatchedValue]) -> bool:
    return any(each.kind in AT_BROKER for each in watched)


def first_look(alert: Alert) -> tuple[Observed, bool]:
    """What a new or changed alert watches, as it is now, and whether its condition is true. It fires at the next pass.

    Of crosses it is remembered on which side it begins. Asks the broker; raises no BrokerError.
    """
    now, watched = timezone.now(), alert.watched
    of = observing.ask_broker if watched.kind in AT_BROKER else observing.look_at_rows
    observed = of(alert.connection, [watched], now).get(watched.pk, Observed(trouble="It could not be looked up."))
    if observed.value is None:
        return observed, False
    rows = WatchedValue.objects.filter(pk=watched.pk)
    rows.update(value=observed.value, at=observed.at, looked_at=now, misses=0, trouble="")
    side = terms.side_of(observed.value, alert.value)
    if alert.condition == Condition.CROSSES:
        _, remembered = terms.step(alert.condition, "", side)
        Alert.objects.filter(pk=alert.pk, last_side="", value=alert.value).update(last_side=remembered)
    return observed, side == alert.condition


# -- compared


def _compare(watched: Sequence[WatchedValue], found: Found, now: datetime) -> int:
    """Of one connection. Rows are written where something changed, several at a time."""
    seen: dict[int, Observed] = {}
    due: dict[datetime, list[int]] = defaultdict(list)
    for row in watched:
        observed = found.get(row.pk, Observed(trouble="It could not be looked up."))
        row.looked_at = now
        due[_next_look(row, observed, now)].append(row.pk)
        if observed.value is None:
            row.misses, row.trouble = row.misses + 1, observed.trouble[:300]
        else:
            row.misses, row.trouble, row.value, row.at = 0, "", observed.value, observed.at
            seen[row.pk] = observed
    _keep(watched, due, now)
    moved: dict[str, list[int]] = defaultdict(list)
    fired = 0
    for alert in _watching(list(seen)):
        observed = seen[alert.watched_id]
        assert observed.value is not None
        side = terms.side_of(observed.value, alert.value)
        met, remembered = terms.step(alert.condition, alert.last_side, side)
        if not met:
            if remembered != alert.last_side:
                moved[remembered].append(alert.pk)
        elif not _cools_down(alert, now) and _fire(alert, remembered, observed, now):
            fired += 1
        # In its cool-down it is as if it had not been looked at: met still, it fires after.
    for remembered, keys in moved.items():
        for some in in_parts(keys, _ROWS):
            Alert.objects.filter(pk__in=some).update(last_side=remembered)
    return fired


@transaction.atomic
def _keep(watched: Sequence[WatchedValue], due: Mapping[datetime, Sequence[int]], now: datetime) -> None:
    """What was seen, and when to look again. A row that was made due since the claim, by a new alert, stays due."""
    there = set(WatchedValue.objects.filter(connection_id=watched[0].connection_id).values_list("pk", flat=True))
    WatchedValue.objects.bulk_create(
        [row for row in watched if row.pk in there],
        batch_size=_ROWS,
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["value", "at", "looked_at", "misses", "trouble"],
    )
    for again, keys in due.items():
        for some in in_parts(keys, _ROWS):
            WatchedValue.objects.filter(pk__in=some, due_at=now + EVERY).update(due_at=again)


def _watching(watched: Sequence[int]) -> Iterable[_Watching]:
    for some in in_parts(watched, _ROWS):
        rows = Alert.objects.filter(watched_id__in=some, status=AlertStatus.ACTIVE).order_by("pk")
        yield from map(_Watching._make, rows.values_list(*_Watching._fields))


def _next_look(row: WatchedValue, observed: Observed, now: datetime) -> datetime:
    if observed.value is None:
        return now + _ROWS_EVERY
    if row.kind in OF_BARS:
        span = Measure.of(row.kind, row.measure).span
        assert span is not None
        since = (now - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
        return now + min(timedelta(seconds=span.seconds - since % span.seconds) + _BARS_SETTLE, _BARS_AT_MOST)
    return now + (EVERY if row.kind in AT_BROKER else _ROWS_EVERY)


def _cools_down(alert: _Watching, now: datetime) -> bool:
    return alert.fired_at is not None and now < alert.fired_at + timedelta(minutes=alert.cooldown_minutes)


@transaction.atomic
def _fire(watching: _Watching, side: str, observed: Observed, now: datetime) -> bool:
    """False where it no longer stands as it was read: another pass fired it, or its owner changed or ended it."""
    same = Alert.objects.filter(
        pk=watching.pk,
        status=AlertStatus.ACTIVE,
        fired_count=watching.fired_count,
        last_side=watching.last_side,
        condition=watching.condition,
        value=watching.value,
    )
    if not same.update(fired_count=F("fired_count") + 1, fired_at=now, last_side=side):
        return False
    Alert.objects.filter(pk=watching.pk, repeats=False).update(status=AlertStatus.FIRED, ended_at=now)
    alert = Alert.objects.select_related("owner", "app", "connection", "watched").get(pk=watching.pk)
    title, text = _words(alert, observed)
    event = AlertEvent.objects.create(
        owner_id=alert.owner_id,
        connection_id=alert.connection_id,
        app_id=alert.app_id,
        alert=alert,
        number=alert.fired_count,
        at=now,
        value=observed.value,
        value_at=observed.at,
        title=title,
        text=text,
    )
    told = Told(
        kind=NewsKind.ALERT,
        source=f"alert:{alert.pk}:{event.number}",
        title=title,
        text=text,
        path=f"/alerts/{alert.public_id}/",
        tag=f"alert-{alert.pk}",
        facts={"alert_id": alert.public_id, "symbol": alert.watched.symbol, "number": event.number},
    )
    if alert.owner.is_active:
        news.tell(alert.owner, told)
    return True


def _words(alert: Alert, observed: Observed) -> tuple[str, str]:
    watched, connection = alert.watched, alert.connection
    assert observed.value is not None
    measure = Measure.of(watched.kind, watched.measure)
    money = wording.money_label(is_live=connection.is_live)
    title = f"{services.in_words(alert)} ({money})"
    lines = [f"On {wording.name(connection.name)}."]
    if watched.kind != AlertKind.CONNECTION:
        now = terms.amount(watched.kind, observed.value, measure, watched.currency)
        difference = f"{measure.left.name} less {measure.right.name}" if measure.left and measure.right else "It"
        lines[0] = f"{difference} is {now} on {wording.name(connection.name)}."
    if alert.note:
        by = f"the app {wording.name(alert.app.name)}" if alert.app is not None else "you"
        lines.append(f"Note by {by}: {wording.sentence(alert.note)}")
    return title, "\n".join(lines)
