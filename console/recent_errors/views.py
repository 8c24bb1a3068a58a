import json
from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST, require_safe

from console.accounts.models import User
from console.accounts.request_user import user_of
from console.audit import queries as call_queries
from console.audit.models import Call
from console.audit.newest import of_requests
from console.connected_apps.models import ConnectedApp
from console.connections import link_specs
from console.connections import queries as connection_queries
from console.errors import Blame
from console.file_responses import Cell, csv_response
from console.orders.models import Order
from console.outbox import mailer
from console.recent_errors import next_steps, queries, rollup, services
from console.recent_errors.forms import ErrorsFilter, MuteForm
from console.recent_errors.models import ErrorGroup
from console.recent_errors.next_steps import Reach
from console.recent_errors.queries import GroupInSpan
from console.scopes import Source
from console.timeline import saved_views
from console.timeline.models import ViewPage

_LETTERS_SHOWN = 20
_APPS_SHOWN = 8
_HEADS = ("code", "tool", "connection", "environment", "fault", "state", "calls", "apps", "first_seen", "last_seen")


@require_safe
def list_(request: HttpRequest) -> HttpResponse:
    """The newest cause is shown beside the list until one is chosen; a phone shows the list alone."""
    if "group" in request.GET and (pk := _pk_before(request)) is not None:
        return redirect("error-group", pk)
    if default := saved_views.default_query(user_of(request), ViewPage.ERRORS, request.GET):
        return redirect(f"{request.path}?{default}")
    return _page(request, None)


def _pk_before(request: HttpRequest) -> int | None:
    """Of the group in an address as it was before: its code, connection and tool."""
    code, _, rest = request.GET["group"].partition(":")
    connection_id, _, tool = rest.partition(":")
    rollup.catch_up()
    found = queries.own_groups(user_of(request).pk).filter(code=code[:40], tool=tool[:128])
    if connection_id.isascii() and connection_id.isdecimal() and len(connection_id) < 19:
        found = found.filter(connection_id=int(connection_id))
    return found.order_by("-last_seen").values_list("pk", flat=True).first()


@require_safe
def group(request: HttpRequest, pk: int) -> HttpResponse:
    user = user_of(request)
    # An operator's link works without everyone=1, as that of a call does.
    return _page(request, get_object_or_404(queries.visible_groups(user, everyone=user.is_operator), pk=pk))


def _page(request: HttpRequest, chosen: ErrorGroup | None) -> HttpResponse:
    user, now = user_of(request), timezone.now()
    everyone = call_queries.sees_everyone(request, user)
    rollup.catch_up()
    filters = ErrorsFilter(request.GET, owner=user, everyone=everyone)
    meant = chosen.is_meant if chosen else request.GET.get("kind") == "meant"
    visible = queries.visible_groups(user, everyone=everyone)
    found = queries.in_span(_filtered(visible.filter(is_meant=meant), filters), span=filters.span_length, now=now)
    selected = None
    if chosen is not None:
        chosen.refresh_from_db()
        [selected] = queries.counted([chosen], span=filters.span_length, now=now)
    elif found:
        selected = found[0]
    context: dict[str, Any] = {
        "groups": found,
        "failed": sum(each.calls for each in found),
        "filters": filters,
        "filtered": filters.connection_id is not None or filters.state_key != "open",
        "span_words": queries.SPANS[filters.span_key][1],
        "meant": meant,
        "counts": {
            name: _filtered(visible.filter(is_meant=is_meant), filters)
            .filter(last_seen__gte=queries.start_of(filters.span_length, now))
            .count()
            for name, is_meant in (("faults", False), ("meant", True))
        },
        "everyone": everyone,
        "capped": len(found) == queries.SHOWN,
        "is_chosen": chosen is not None,
        "undelivered": list(mailer.failed(user, now - filters.span_length, everyone=everyone)[:_LETTERS_SHOWN]),
        "any_call": call_queries.visible_calls(user, everyone=everyone).exists(),
    }
    if selected:
        context |= {"selected": selected, **_detail(user, selected)}
    return render(request, "recent_errors/errors.html", context)


def _filtered(groups: QuerySet[ErrorGroup], filters: ErrorsFilter) -> QuerySet[ErrorGroup]:
    now = timezone.now()
    if filters.connection_id is not None:
        groups = groups.filter(connection_id=filters.connection_id)
    if filters.state_key == "resolved":
        return groups.filter(resolved_at__isnull=False)
    if filters.state_key == "muted":
        return groups.filter(ErrorGroup.muted_at(now), resolved_at=None)
    return groups if filters.state_key == "all" else groups.filter(ErrorGroup.open_at(now))


def _detail(user: User, selected: GroupInSpan) -> dict[str, Any]:
    group = selected.group
    calls = {each.request_id: each for each in of_requests(Call.objects.all(), group.samples)}
    samples = sorted(calls.values(), key=lambda each: each.at, reverse=True)
    newest = samples[0] if samples else None
    ids = queries.app_ids(group)
    apps = ConnectedApp.objects.filter(pk__in=ids[:_APPS_SHOWN], owner=user).exclude(source=Source.CONSOLE)
    is_own = group.user_id == user.pk
    return {
        "call": newest,
        "arguments": json.dumps(newest.arguments, indent=2, ensure_ascii=False) if newest else "",
        "earlier": samples[1:],
        "from_broker": selected.explanation.blame is Blame.BROKER and group.message,
        "good": queries.last_good(group),
        "app_count": len(ids),
        "apps": apps.order_by("name"),
        "people": queries.people(group) if user.is_operator and not is_own else 0,
        "step": next_steps.next_step(group.code, _reach(user, group, newest)),
        "may_decide": queries.manageable_groups(user).filter(pk=group.pk).exists(),
        "mute": MuteForm(),
    }


def _reach(user: User, group: ErrorGroup, newest: Call | None) -> Reach:
    connection = connection_queries.open_connections(user).filter(pk=group.connection_id or 0).first()
    if newest is None:
        app, order, key_id = None, None, ""
    else:
        app = ConnectedApp.objects.filter(pk=newest.app_id or 0, owner=user, activated_at__isnull=False).first()
        order = Order.objects.filter(public_id=newest.order_id, connection__owner=user).first()
        key_id = newest.credential_id if newest.source in (Source.API_KEY, Source.MANAGEMENT) else ""
    return Reach(
        is_own=group.user_id == user.pk,
        connection_id=connection.pk if connection else None,
        has_credentials=connection is not None and link_specs.find(connection.broker, connection.settings) is not None,
        app_id=app.pk if app else None,
        key_id=key_id,
        order_id=order.public_id if order else "",
    )


@require_safe
def export(request: HttpRequest) -> HttpResponseBase:
    """The causes of the current filter as CSV, faults and refusals that were meant."""
    user, now = user_of(request), timezone.now()
    everyone = call_queries.sees_everyone(request, user)
    rollup.catch_up()
    filters = ErrorsFilter(request.GET, owner=user, everyone=everyone)
    visible = _filtered(queries.visible_groups(user, everyone=everyone), filters)
    found = queries.in_span(visible, span=filters.span_length, now=now)
    return csv_response(request, "tradelatch-errors", _HEADS, _cells(found))


def _cells(found: list[GroupInSpan]) -> Iterator[tuple[Cell, ...]]:
    for each in found:
        group = each.group
        yield (
            *(group.code, group.tool, group.connection_label, group.environment),
            *(each.explanation.blame.value, each.state, each.calls, each.apps, group.first_seen, group.last_seen),
        )


@require_POST
def resolve(request: HttpRequest, pk: int) -> HttpResponse:
    group, user = _decidable(request, pk), user_of(request)
    if services.resolve(group, by=user):
        messages.success(request, "Resolved. If it comes again, it is listed as a regression.")
    return redirect("error-group", pk)


@require_POST
def reopen(request: HttpRequest, pk: int) -> HttpResponse:
    group, user = _decidable(request, pk), user_of(request)
    if services.reopen(group, by=user):
        messages.success(request, "Open again.")
    return redirect("error-group", pk)


@require_POST
def mute(request: HttpRequest, pk: int) -> HttpResponse:
    group, user, form = _decidable(request, pk), user_of(request), MuteForm(request.POST)
    if not form.is_valid():
        messages.error(request, "Choose how long to mute it. Nothing was changed.")
    else:
        if form.time is None:
            services.mute_for_calls(group, form.calls, by=user)
        else:
            services.mute_until(group, timezone.now() + form.time, by=user)
        messages.success(request, f"Muted for {form.words}.")
    return redirect("error-group", pk)


def _decidable(request: HttpRequest, pk: int) -> ErrorGroup:
    return get_object_or_404(queries.manageable_groups(user_of(request)), pk=pk)
