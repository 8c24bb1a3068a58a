"""Pages of orders: the list, one order, those made elsewhere."""

import hashlib
from collections.abc import Sequence
from decimal import Decimal

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from console.accounts import presence
from console.accounts.models import User
from console.accounts.presence import PresenceAct
from console.accounts.request_user import user_of
from console.audit import paging
from console.connections import broker_access
from console.elapsed import seconds_text
from console.errors import Refusal, explanation_of
from console.orders import queries as order_queries
from console.orders import states
from console.orders.execution import cancel as cancelling
from console.orders.execution import external_orders
from console.orders.forms import OrderFilter
from console.orders.models import Order, OrderEvent
from console.orders.owner import approvals, broker_questions, manual_settlement
from console.orders.states import Status
from console.orders.views import approvals as view_approvals
from console.orders.views.approvals import SHOWN_TERMS
from console.timeline import saved_views
from console.timeline.models import ViewPage

_ELSEWHERE = 50


def own_orders(user: User) -> QuerySet[Order]:
    """Of every connection the person has or had."""
    return Order.objects.filter(connection__owner=user).select_related("connection", "app", "confirmation", "parent")


@require_safe
def list_(request: HttpRequest) -> HttpResponse:
    """An open page asks again with the mark of what it shows, and is told nothing while nothing is new."""
    user = user_of(request)
    if "X-Seen" not in request.headers and (default := saved_views.default_query(user, ViewPage.ORDERS, request.GET)):
        return redirect(f"{request.path}?{default}")
    filters = OrderFilter(request.GET, owner=user)
    page = paging.page(
        order_queries.for_rows(filters.apply(own_orders(user))),
        request.GET.get("before", ""),
        narrow=lambda orders, count: order_queries.near_newest(orders, user, count),
    )
    mark = _mark(page.rows)
    if request.headers.get("X-Seen") == mark:
        return HttpResponse(status=204)
    context = {
        "page": page,
        "filters": filters,
        "mark": mark,
        "waiting": order_queries.awaiting(user).count(),
        "query": _query_of(request),
    }
    if page.is_first:
        found = filters.apply_elsewhere(external_orders.seen_by(user))
        context["elsewhere"] = [(each, external_orders.describe_external(each)) for each in found[:_ELSEWHERE]]
    return render(request, "orders/list.html", context)


def _mark(rows: Sequence[Order]) -> str:
    told = "|".join(f"{order.pk} {order.status} {order.filled_quantity} {order.moved_at}" for order in rows)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _query_of(request: HttpRequest) -> str:
    """The filter alone, for the exports."""
    query = request.GET.copy()
    query.pop("before", None)
    return query.urlencode()


@require_safe
def elsewhere(request: HttpRequest, pk: int) -> HttpResponse:
    """An order that Tradelatch did not send, as its broker last told it."""
    row = external_orders.seen_by(user_of(request)).filter(pk=pk).first()
    if row is None:
        messages.info(request, "That order is no longer open at the broker.")
        return redirect("orders:list")
    return render(request, "orders/elsewhere.html", {"order": row, "words": external_orders.describe_external(row)})


@require_POST
def cancel_elsewhere(request: HttpRequest, pk: int) -> HttpResponse:
    user = user_of(request)
    row = get_object_or_404(external_orders.seen_by(user), pk=pk)
    try:
        answer = external_orders.cancel(row, by=user)
    except Refusal as refusal:
        messages.error(request, str(refusal))
        return redirect("orders:list" if row.pk is None else reverse("orders:elsewhere", args=[pk]))
    if answer.status.is_open:
        messages.success(request, "The broker accepted the cancel. The order leaves this page once it has ended there.")
    else:
        messages.success(request, "Order cancelled at the broker.")
    return redirect("orders:list")


@require_POST
def cancel(request: HttpRequest, public_id: str) -> HttpResponse:
    """Take one order back: also while trading is halted, and without a proof, as every cancel."""
    user = user_of(request)
    order, began = get_object_or_404(own_orders(user), public_id=public_id), timezone.now()
    try:
        cancelling.cancel_order(order, by=user.email)
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        order.refresh_from_db()
        done = order.state in states.ENDED
        words = "Order cancelled." if done else "Cancel sent to the broker; no answer yet."
        if order.sent_at is not None and (others := len(cancelling.ended_along(order, began))):
            words += f" {others} more that {'belongs' if others == 1 else 'belong'} to it ended with it."
        messages.success(request, words)
    return redirect("orders:detail", public_id)


@never_cache
@require_safe
def detail(request: HttpRequest, public_id: str) -> HttpResponse:
    """The order; while it waits for a decision, everything to decide by."""
    order = get_object_or_404(own_orders(user_of(request)), public_id=public_id)
    if order.state is Status.AWAITING and order.confirmation.expires_at > timezone.now():
        return view_approvals.decision_page(request, order.confirmation)
    terms = order.confirmation.terms
    legs = order.legs.order_by("pk")
    context = {
        "order": order,
        "legs": legs,
        "plan": order.confirmation.orders.filter(parent=None).exclude(pk=order.pk).order_by("pk"),
        "change_waits": approvals.awaiting(order.connection.owner).filter(modification__order=order).first(),
        "changes": order.modifications.select_related("confirmation").order_by("pk"),
        "asked": broker_questions.open_questions(order.connection.owner).filter(order=order).first(),
        "broker": broker_access.broker_title(order.connection.broker),
        "seen": manual_settlement.LABELS.items() if manual_settlement.needs_owner(order) else None,
        "events": _with_times(order),
        "may_cancel": order.state in states.OPEN,
        "terms": terms,
        "shown": [(words, Decimal(terms[name])) for name, words in SHOWN_TERMS if terms.get(name)],
        "explanation": explanation_of(order.code) if order.code else None,
    }
    return render(request, "orders/detail.html", context)


def _with_times(order: Order) -> list[tuple[OrderEvent, str]]:
    """Each step, with the time since the one before it in words."""
    found, before = list[tuple[OrderEvent, str]](), None
    for event in order.events.all():
        passed = "" if before is None else seconds_text(round((event.at - before).total_seconds() * 1000))
        found.append((event, passed))
        before = event.at
    return found


@never_cache
@require_POST
def settle(request: HttpRequest, public_id: str) -> HttpResponse:
    """The owner says what they saw at the broker, with a proof of who they are."""
    user = user_of(request)
    order = get_object_or_404(own_orders(user), public_id=public_id)
    page = reverse("orders:detail", args=[public_id])
    seen = request.POST.get("seen", "")
    if seen not in set(manual_settlement.Observation):
        messages.error(request, "Choose what you saw at the broker.")
        return redirect(page)
    proved = presence.require_proof(
        request,
        PresenceAct.SETTLE_ORDER,
        about=f"You looked for order {public_id} at the broker. You saw:"
        f" {manual_settlement.LABELS[manual_settlement.Observation(seen)]}.",
        back=page,
        live=order.connection.is_live,
        environment=order.connection.environment,
    )
    if isinstance(proved, HttpResponse):
        return proved
    try:
        manual_settlement.settle(order, manual_settlement.Observation(seen), by=user)
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, "Recorded. If the broker reports something else later, its report counts.")
    return redirect(page)
