"""The tables that a timeline is made of: which rows of each a person sees, and what each filter means there.

A filter that an index serves narrows ``indexed``; what is left is looked for in the newest ``WINDOW`` rows of that, so
that no query reads more, however many rows there are. What lies further back is another page.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import BooleanField, Case, CharField, Exists, F, Func, Model, OuterRef, Q, QuerySet, Value, When
from django.db.models.expressions import Combinable

from console.accounts.models import User
from console.audit import newest
from console.audit import queries as call_queries
from console.audit.models import Call, CallOutcome, Change
from console.connected_apps.models import ConnectedApp
from console.orders.models import Order, OrderEvent
from console.outbox.models import OutgoingMail
from console.timeline import entries
from console.timeline.entries import EntryPosition, TimelineEntry
from console.timeline.filters import ANY, EntryOutcome, FilterValues, Kind, TimelineFilters

WINDOW = 5_000
"""Rows of one source that are looked through for one page."""

Values = tuple[Any, ...]
Meaning = Callable[[Values], Q]
NOTHING = Q(pk__in=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who looks, and at whose entries."""

    user: User
    everyone: bool = False
    """Of an operator alone; ``of`` decides."""

    @classmethod
    def of(cls, user: User, *, everyone: bool) -> "Viewer":
        return cls(user=user, everyone=everyone and user.is_operator)


@dataclass(frozen=True, slots=True, kw_only=True)
class EntrySource:
    name: str
    rank: int
    """Which comes first of entries at the same moment: the higher."""
    model: type[Model]
    time: str
    visible: Callable[[Viewer], QuerySet[Any]]
    means: Mapping[str, Meaning]
    """What each filter is here; a filter that is missing fits no row."""
    entry: Callable[[Any, int], TimelineEntry]
    indexed: Callable[[TimelineFilters, Viewer], Q] = lambda filters, viewer: Q()
    """Conditions of the filters that an index serves."""
    served: Callable[[TimelineFilters, Viewer], frozenset[str]] = lambda filters, viewer: frozenset()
    """Names of the filters that ``indexed`` says in full."""
    kind: Combinable
    """The kind of each row, for counting."""
    outcome: Combinable
    counted: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Filters whose values are counted → their column, and that of the value's name."""
    few: Callable[[TimelineFilters], bool] = lambda filters: False
    """Whether an index leaves so few rows that all of them may be looked through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The rows of one source that a page, a count or an export may have."""

    source: EntrySource
    rows: QuerySet[Any]
    floor: datetime | None
    """No row before this was looked at; None: all were."""


def select(
    source: EntrySource, filters: TimelineFilters, viewer: Viewer, before: EntryPosition | None = None
) -> Selection | None:
    """What fits, newest first; None where nothing of this source can fit."""
    found = matching(source, filters, viewer)
    if found is None:
        return None
    indexed, rest = found
    rows = _older(indexed, source, before) if before else indexed
    floor = None
    if rest is not None:
        if not source.few(filters):
            floor = _floor(rows, source, filters, before)
        if floor is not None:
            rows = rows.filter(**{f"{source.time}__gte": floor})
        rows = rows.filter(rest)
    return Selection(source=source, rows=rows.order_by(f"-{source.time}", "-pk"), floor=floor)


def _floor(
    rows: QuerySet[Any], source: EntrySource, filters: TimelineFilters, before: EntryPosition | None
) -> datetime | None:
    """When the row was written behind the newest ``WINDOW``."""
    by_time = rows.order_by(f"-{source.time}")
    if source.model is Call:
        return newest.time_at(by_time, WINDOW, back_from=back_from(filters, before))
    found: datetime | None = by_time.values_list(source.time, flat=True)[WINDOW : WINDOW + 1].first()
    return found


def back_from(filters: TimelineFilters, before: EntryPosition | None) -> datetime | None:
    """No row of a page is newer; None: any may be."""
    ends = [each for each in (filters.until, before.at if before else None) if each is not None]
    return min(ends, default=None)


def matching(source: EntrySource, filters: TimelineFilters, viewer: Viewer) -> tuple[QuerySet[Any], Q | None] | None:
    """The rows an index finds, and what else they have to be; None where nothing of this source can fit."""
    rest: list[Q] = []
    served = source.served(filters, viewer)
    for name, values in filters.only.given().items():
        meaning = source.means.get(name)
        condition = meaning(values) if meaning else NOTHING
        if condition is NOTHING:
            return None
        if condition and name not in served:
            rest.append(condition)
    for name, values in filters.without.given().items():
        meaning = source.means.get(name)
        condition = meaning(values) if meaning else NOTHING
        if not condition:
            return None
        if condition is not NOTHING:
            rest.append(~condition)
    rows = source.visible(viewer).filter(source.indexed(filters, viewer))
    if filters.since:
        rows = rows.filter(**{f"{source.time}__gte": filters.since})
    if filters.until:
        rows = rows.filter(**{f"{source.time}__lt": filters.until})
    if not rest:
        return rows, None
    together = Q()
    for each in rest:
        together &= each
    return rows, together


def _older(rows: QuerySet[Any], source: EntrySource, before: EntryPosition) -> QuerySet[Any]:
    if source.rank > before.rank:
        return rows.filter(**{f"{source.time}__lt": before.at})
    rows = rows.filter(**{f"{source.time}__lte": before.at})
    if source.rank == before.rank:
        rows = rows.exclude(**{source.time: before.at, "pk__gte": before.id})
    return rows


def newer(rows: QuerySet[Any], source: EntrySource, after: EntryPosition) -> QuerySet[Any]:
    """The rows above a position."""
    if source.rank < after.rank:
        return rows.filter(**{f"{source.time}__gt": after.at})
    rows = rows.filter(**{f"{source.time}__gte": after.at})
    if source.rank == after.rank:
        rows = rows.exclude(**{source.time: after.at, "pk__lte": after.id})
    return rows


def _of_two_kinds(kinds: Values, kind: Kind, is_of_it: Q, *, otherwise: Kind) -> Q:
    """Of a table whose rows are of ``kind`` where ``is_of_it``, and else of the other."""
    if kind in kinds:
        return Q() if otherwise in kinds else is_of_it
    return ~is_of_it if otherwise in kinds else NOTHING


# -- calls ---------------------------------------------------------------------------------------------------


def _calls(viewer: Viewer) -> QuerySet[Call]:
    return Call.objects.all() if viewer.everyone else Call.objects.filter(user_id=viewer.user.pk)


def _call_kinds(kinds: Values) -> Q:
    return _of_two_kinds(kinds, Kind.REFUSAL, Q(outcome=CallOutcome.REFUSED), otherwise=Kind.CALL)


def _begins_or_is(column: str, values: Sequence[str]) -> Q:
    """One of the values, or a beginning, which ends in ``*``."""
    whole = [value for value in values if not value.endswith(ANY)]
    condition = Q(**{f"{column}__in": whole}) if whole else Q()
    for value in values:
        if value.endswith(ANY):
            condition |= Q(**{f"{column}__istartswith": value[:-1]})
    return condition


def _symbols(column: str, symbols: Values) -> Q:
    return _begins_or_is(column, [*dict.fromkeys(form for symbol in symbols for form in (symbol, symbol.upper()))])


def _call_symbols(symbols: Values) -> Q:
    ordered = Order.objects.filter(_symbols("symbol", symbols), public_id=OuterRef("order_id"))
    return _symbols("arguments__symbol", symbols) | (~Q(order_id="") & Q(Exists(ordered)))


def _one_app(filters: TimelineFilters, viewer: Viewer) -> int | None:
    """The app whose index finds the rows: the one asked for, or that of the one credential asked for."""
    if len(filters.only.apps) == 1:
        app = filters.only.apps[0]
        # Of somebody else's the index could have millions of rows, all to be read and none to be shown.
        seen_by = ConnectedApp.objects.filter(pk=app)
        return app if viewer.everyone or seen_by.filter(owner=viewer.user).exists() else None
    if not filters.only.apps and len(filters.only.credentials) == 1:
        seen = newest.by_id(_calls(viewer).filter(credential_id=filters.only.credentials[0]), 1)
        return seen[0].app_id if seen else None
    return None


_OK = Func(template=f"'{CallOutcome.OK.value}'", output_field=CharField())
"""In the statement itself: of a parameter SQLite looks up in each row what its index of what was not done says."""


def _not_done(filters: TimelineFilters, viewer: Viewer) -> bool:
    outcomes, kinds = filters.only.outcomes, filters.only.kinds
    asked = (bool(outcomes) and EntryOutcome.OK not in outcomes) or kinds == (Kind.REFUSAL,)
    return asked and not viewer.everyone


def _calls_indexed(filters: TimelineFilters, viewer: Viewer) -> Q:
    condition = Q()
    if filters.only.orders:
        condition &= Q(order_id__in=filters.only.orders) & ~Q(order_id="")
    elif (app := _one_app(filters, viewer)) is not None:
        condition &= Q(app_id=app)
    elif _not_done(filters, viewer):
        condition &= ~Q(outcome=_OK)
    if viewer.everyone and len(filters.only.people) == 1:
        condition &= Q(user_id=filters.only.people[0])
    return condition


def _calls_served(filters: TimelineFilters, viewer: Viewer) -> frozenset[str]:
    served = set()
    if filters.only.orders:
        served.add("orders")
    elif _one_app(filters, viewer) is not None:
        if filters.only.apps:
            served.add("apps")
    elif _not_done(filters, viewer) and set(filters.only.outcomes) == {EntryOutcome.REFUSED, EntryOutcome.FAILED}:
        served.add("outcomes")
    if viewer.everyone and len(filters.only.people) == 1:
        served.add("people")
    return frozenset(served)


CALLS = EntrySource(
    name="call",
    rank=4,
    model=Call,
    time="at",
    visible=_calls,
    means={
        "kinds": _call_kinds,
        "outcomes": lambda values: Q(outcome__in=values),
        "codes": lambda values: Q(code__in=values),
        "people": lambda values: Q(user_id__in=values),
        "apps": lambda values: Q(app_id__in=values),
        "connections": lambda values: Q(connection_id__in=values),
        "credentials": lambda values: Q(credential_id__in=values),
        "tools": lambda values: _begins_or_is("tool", values),
        "symbols": _call_symbols,
        "orders": lambda values: Q(order_id__in=values),
        "traces": lambda values: Q(trace_id__in=[value.lower() for value in values]),
        "sessions": lambda values: Q(session_id__in=values),
    },
    entry=entries.of_call,
    kind=Case(When(outcome=CallOutcome.REFUSED, then=Value(Kind.REFUSAL.value)), default=Value(Kind.CALL.value)),
    outcome=F("outcome"),
    counted={
        "tool": ("tool", ""),
        "code": ("code", ""),
        "app": ("app_id", "app_label"),
        "connection": ("connection_id", "connection_label"),
    },
    indexed=_calls_indexed,
    served=_calls_served,
    few=lambda filters: bool(filters.only.orders),
)

# -- steps of orders -----------------------------------------------------------------------------------------


def _events(viewer: Viewer) -> QuerySet[OrderEvent]:
    """A person's own, for an operator too: whose orders they are is nobody else's business."""
    return OrderEvent.objects.filter(owner_id=viewer.user.pk).select_related("order__app", "order__connection")


def _event_kinds(kinds: Values) -> Q:
    return _of_two_kinds(kinds, Kind.BROKER, Q(by=entries.BROKER), otherwise=Kind.ORDER)


def _event_outcomes(outcomes: Values) -> Q:
    condition, bad = Q(), (*entries.REFUSED, *entries.FAILED)
    if set(outcomes) == set(EntryOutcome):
        return condition
    if EntryOutcome.OK in outcomes:
        condition |= ~Q(after__in=bad)
    if EntryOutcome.REFUSED in outcomes:
        condition |= Q(after__in=entries.REFUSED)
    if EntryOutcome.FAILED in outcomes:
        condition |= Q(after__in=entries.FAILED)
    return condition


EVENTS = EntrySource(
    name="event",
    rank=3,
    model=OrderEvent,
    time="at",
    visible=_events,
    means={
        "kinds": _event_kinds,
        "outcomes": _event_outcomes,
        "codes": lambda values: Q(order__code__in=values, after=F("order__status")),
        "people": lambda values: Q(owner_id__in=values),
        "apps": lambda values: Q(order__app_id__in=values),
        "connections": lambda values: Q(order__connection_id__in=values),
        "symbols": lambda values: _symbols("order__symbol", values),
        "orders": lambda values: Q(order__public_id__in=values),
    },
    entry=entries.of_event,
    kind=Case(When(by=entries.BROKER, then=Value(Kind.BROKER.value)), default=Value(Kind.ORDER.value)),
    outcome=Case(
        When(after__in=entries.REFUSED, then=Value(EntryOutcome.REFUSED.value)),
        When(after__in=entries.FAILED, then=Value(EntryOutcome.FAILED.value)),
        default=Value(EntryOutcome.OK.value),
    ),
    counted={
        "app": ("order__app_id", "order__app__name"),
        "connection": ("order__connection_id", "order__connection__name"),
    },
    indexed=lambda filters, viewer: Q(order__public_id__in=filters.only.orders) if filters.only.orders else Q(),
    served=lambda filters, viewer: frozenset({"orders"} if filters.only.orders else ()),
    few=lambda filters: bool(filters.only.orders),
)

# -- changes -------------------------------------------------------------------------------------------------


def _changes(viewer: Viewer) -> QuerySet[Change]:
    """For an operator all but what other people decided about their orders."""
    changes = call_queries.visible_changes(viewer.user, everyone=viewer.everyone)
    return changes.exclude(Q(target="order") & ~Q(owner_id=viewer.user.pk)) if viewer.everyone else changes


def _change_kinds(kinds: Values) -> Q:
    wanted = {Kind.CHANGE, Kind.SIGN_IN, Kind.JOB} & set(kinds)
    if len(wanted) == 3:
        return Q()
    if not wanted:
        return NOTHING
    return Q(category__in=[category for category, kind in entries.KINDS_OF_CHANGE.items() if kind in wanted])


def _change_outcomes(outcomes: Values) -> Q:
    if EntryOutcome.FAILED in outcomes:
        return Q() if EntryOutcome.OK in outcomes else Q(action__in=entries.FAILED_ACTIONS)
    return ~Q(action__in=entries.FAILED_ACTIONS) if EntryOutcome.OK in outcomes else NOTHING


def _of(*targets: str) -> Meaning:
    return lambda values: Q(target__in=targets, target_id__in=[str(value) for value in values])


def _changes_of_people(values: Values) -> Q:
    """As a case, which no index can serve: with "or" SQLite reads all there is of each instead of a window of time."""
    return Q(
        Case(
            When(Q(owner_id__in=values) | Q(user_id__in=values), then=Value(True)),
            default=Value(False),
            output_field=BooleanField(),
        )
    )


CHANGES = EntrySource(
    name="change",
    rank=2,
    model=Change,
    time="at",
    visible=_changes,
    means={
        "kinds": _change_kinds,
        "outcomes": _change_outcomes,
        "people": _changes_of_people,
        "apps": lambda values: _of("app")(values) | Q(app_id__in=values),
        "connections": lambda values: Q(connection_id__in=values),
        "credentials": lambda values: _of("key", "management key")(values) | Q(credential_id__in=values),
        "orders": _of("order"),
    },
    entry=entries.of_change,
    kind=Case(
        *(When(category=category, then=Value(kind.value)) for category, kind in entries.KINDS_OF_CHANGE.items()),
    ),
    outcome=Case(
        When(action__in=entries.FAILED_ACTIONS, then=Value(EntryOutcome.FAILED.value)),
        default=Value(EntryOutcome.OK.value),
    ),
    few=lambda filters: bool(filters.only.orders),
)

# -- e-mails -------------------------------------------------------------------------------------------------


def _mails(viewer: Viewer) -> QuerySet[OutgoingMail]:
    mails = OutgoingMail.objects.select_related("user")
    return mails if viewer.everyone else mails.filter(user=viewer.user)


def _mail_outcomes(outcomes: Values) -> Q:
    given_up = Q(failed_at__isnull=False)
    if EntryOutcome.OK in outcomes:
        return Q() if EntryOutcome.FAILED in outcomes else ~given_up
    return given_up if EntryOutcome.FAILED in outcomes else NOTHING


MAILS = EntrySource(
    name="email",
    rank=1,
    model=OutgoingMail,
    time="created_at",
    visible=_mails,
    means={
        "kinds": lambda values: Q() if Kind.EMAIL in values else NOTHING,
        "outcomes": _mail_outcomes,
        "people": lambda values: Q(user_id__in=values),
    },
    entry=entries.of_mail,
    kind=Value(Kind.EMAIL.value),
    outcome=Case(
        When(failed_at__isnull=False, then=Value(EntryOutcome.FAILED.value)), default=Value(EntryOutcome.OK.value)
    ),
)

SOURCES = (CALLS, EVENTS, CHANGES, MAILS)


def only(**wanted: Any) -> TimelineFilters:
    """TimelineFilters as code asks for them."""
    return TimelineFilters(only=FilterValues(**wanted))
