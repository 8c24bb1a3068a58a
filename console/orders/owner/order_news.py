"""News of what became of orders, read from the record of events and calls, which is written with what it tells.

A sweep reads everything since its mark and tells of it once, by the event's own id. The mark stays a minute behind: a
row whose transaction ends late has a lower id than others that were seen before it.
"""

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from django.db import Error
from django.db.models import F, Max, QuerySet
from django.utils import timezone

from brokers.decimals import grouped, money
from console.accounts.models import User
from console.audit.models import Call
from console.errors import Code
from console.notifications import news, wording
from console.notifications.models import NewsItem, NewsKind, ReadMark
from console.notifications.news import Told
from console.orders.models import Order, OrderEvent
from console.orders.states import Status
from console.orders.terms import describe
from console.principal import Redeemer

log = logging.getLogger(__name__)

BEHIND = timedelta(minutes=1)
_AT_ONCE = 1000
_FILLED = frozenset({Status.FILLED, Status.PARTIALLY_FILLED})
_ENDS = frozenset(
    {
        *(Status.DENIED, Status.LAPSED, Status.REJECTED, Status.UNANSWERED, Status.NOT_SENT, Status.NOT_FOUND),
        *(Status.CANCELLED, Status.EXPIRED),
    }
)
"""Without a fill of the whole. The owner's own no is no news to them."""
_REACHED = Code.LIMIT_EXCEEDED


_EVENTS, _LIMITS = "order-events", "limit-calls"


def has_work() -> bool:
    """Whether anything came since the marks: one short look, for the scheduler."""
    marks = dict(ReadMark.objects.filter(name__in=(_EVENTS, _LIMITS)).values_list("name", "value"))
    if len(marks) < 2:  # what comes before the first look would be no news
        return True
    newer = OrderEvent.objects.filter(pk__gt=marks[_EVENTS]).exists()
    return newer or Call.objects.filter(pk__gt=marks[_LIMITS]).exists()


def tell() -> int:
    """Returns how many people were told of how much, one by one."""
    return _tell_of_events() + _tell_of_limits()


def _tell_of_events() -> int:
    now = timezone.now()
    mark = _mark(_EVENTS, OrderEvent)
    events = OrderEvent.objects.filter(pk__gt=mark)
    moved = events.filter(after__in=_FILLED | _ENDS).exclude(before=F("after")).order_by("pk")
    found = list(moved.values_list("pk", flat=True)[:_AT_ONCE])
    known = _known(f"event:{pk}" for pk in found)
    told = 0
    fresh = OrderEvent.objects.filter(pk__in=[pk for pk in found if f"event:{pk}" not in known]).order_by("pk")
    for event in fresh.select_related("order__connection__owner", "order__app", "order__confirmation"):
        owner = event.order.connection.owner
        try:
            made = _of_event(event)
            if made is not None and owner.is_active:
                told += news.tell(owner, made)
        except Error:
            raise
        except Exception:  # one broken order must not stand before all other news for ever
            log.exception("No news of event %s of order %s could be made", event.pk, event.order.public_id)
    _advance(_EVENTS, events, now, found)
    return told


def _of_event(event: OrderEvent) -> Told | None:
    """None where there is nothing to tell."""
    order, status = event.order, Status(event.after)
    connection = order.connection
    label = wording.money_label(is_live=connection.is_live)
    what = wording.sentence(describe(order.request, order.currency), 140)
    where = f"On {wording.name(connection.name)}, from {wording.name(order.app.name)}."
    facts = {
        "order_id": order.public_id,
        "status": status.value,
        "side": order.side,
        "symbol": order.symbol,
        "environment": connection.environment,
        "app": wording.name(order.app.name),
    }
    if status in _FILLED:
        price = "" if order.average_price is None else f" at {money(order.average_price)} {order.currency}"
        title = f"{'Filled' if status is Status.FILLED else 'Partly filled'}: {what} ({label})"
        text = f"{order.side.capitalize()} {grouped(order.filled_quantity)} {order.symbol}{price}. {where}"
        return _told(event, NewsKind.FILL, title, text, facts)
    if order.parent_id is not None or not _is_news(order, status):
        return None
    why = wording.sentence(order.reason or event.what)
    return _told(event, NewsKind.END, f"{order.status_words}: {what} ({label})", f"{why} {where}", facts)


def _is_news(order: Order, status: Status) -> bool:
    """An order that an assistant lets lapse because its user said no in the chat is none; nor is one that a trading
    plan did not send, which the plan tells of."""
    if order.confirmation.plan_id and order.released_at is None:
        return False
    if status is Status.LAPSED:
        return order.confirmation.decided_by(order.connection) is Redeemer.OWNER
    return not (status is Status.CANCELLED and order.app.is_console)


def _told(event: OrderEvent, kind: NewsKind, title: str, text: str, facts: Mapping[str, object]) -> Told:
    return Told(
        kind=kind,
        source=f"event:{event.pk}",
        title=title,
        text=text,
        path=f"/orders/{event.order.public_id}/",
        tag=f"order-{event.order.public_id}",
        facts=facts,
    )


def _tell_of_limits() -> int:
    """Once an hour for each app, however often it tries."""
    now = timezone.now()
    mark = _mark(_LIMITS, Call)
    calls = Call.objects.filter(pk__gt=mark)
    found = list(calls.filter(code=_REACHED, user_id__isnull=False).order_by("pk")[:_AT_ONCE])
    known = _known(_source_of(each) for each in found)
    owners = User.objects.filter(is_active=True).in_bulk({each.user_id for each in found if each.user_id})
    told = 0
    for call in found:
        owner = owners.get(call.user_id or 0)
        if owner is None or _source_of(call) in known:
            continue
        is_live = call.environment != "paper"
        made = Told(
            kind=NewsKind.LIMIT,
            source=_source_of(call),
            title=f"A limit stopped {wording.name(call.app_label)} ({wording.money_label(is_live=is_live)})",
            text=f"{wording.sentence(call.message)}\nOn {wording.name(call.connection_label)}.",
            path=f"/connections/{call.connection_id}/" if call.connection_id else "/activity/",
            tag=f"limit-{call.app_id}",
        )
        told += news.tell(owner, made)
    _advance(_LIMITS, calls, now, [each.pk for each in found])
    return told


def _source_of(call: Call) -> str:
    return f"limit:{call.app_id}:{call.at:%Y%m%d%H}"


def _mark(name: str, model: type[OrderEvent] | type[Call]) -> int:
    """How far the sweep has read; at its first look, everything so far is no news."""
    row = ReadMark.objects.filter(name=name).first()
    if row is None:
        newest = model.objects.aggregate(newest=Max("pk"))["newest"] or 0
        row, _ = ReadMark.objects.get_or_create(name=name, defaults={"value": newest})
    return row.value


def _known(sources: Iterable[str]) -> set[str]:
    return set(NewsItem.objects.filter(source__in=list(sources)).values_list("source", flat=True))


def _advance(name: str, rows: QuerySet[OrderEvent] | QuerySet[Call], now: datetime, found: list[int]) -> None:
    """To the last row that is old enough for none before it to be still on its way, and that was read."""
    old = rows.filter(at__lt=now - BEHIND)
    if len(found) == _AT_ONCE:
        old = old.filter(pk__lte=found[-1])
    last = old.aggregate(last=Max("pk"))["last"]
    if last is not None:
        ReadMark.objects.filter(name=name, value__lt=last).update(value=last)
