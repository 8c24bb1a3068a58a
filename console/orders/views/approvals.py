"""Pages of what waits for its owner: decide, release, reject."""

import math
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from console.accounts import presence
from console.accounts.models import User
from console.accounts.presence import PresenceAct
from console.accounts.request_user import user_of
from console.accounts.second_factor_required import before_second_factor
from console.audit import newest
from console.audit.models import Call, Change
from console.connections import broker_access
from console.connections import queries as connection_queries
from console.connections.models import Policy
from console.errors import Refusal
from console.halts.services import Proof
from console.orders.forms import RejectForm
from console.orders.models import Action, Confirmation, Modification
from console.orders.owner import approvals, broker_questions, close_all, notifications, review, standing_rules
from console.orders.owner.approvals import Evidence
from console.orders.owner.pending_badge import PendingBadge
from console.principal import Redeemer
from console.security import services

# The terms a person judges an order by, beside the sentence.
SHOWN_TERMS = (
    ("last", "Market when shown"),
    ("price", "Estimated price"),
    ("value", "Value"),
    ("fee", "Estimated fee"),
)
_DECIDED = 10
_STOP_ASKING = 286


# -- approvals -----------------------------------------------------------------------------------------------


@never_cache
@require_safe
def approval_list(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    found = [(each, review.heading(each)) for each in approvals.awaiting(user)]
    mine = [
        pair for pair in found if pair[0].rule is None and pair[0].decided_by(pair[0].app.connection) is Redeemer.OWNER
    ]
    about_orders = Change.objects.filter(target="order", user_id=user.pk)
    decided = about_orders.filter(action__in=(approvals.RELEASED, approvals.REJECTED))
    context = {
        "mine": mine,
        "asked": [
            (each, broker_access.broker_title(each.order.connection.broker))
            for each in broker_questions.open_questions(user)
        ],
        "others": [pair for pair in found if pair not in mine],
        "decided": decided.order_by("-pk")[:_DECIDED],
        "lettered": [
            (connection, notifications.is_enabled(connection))
            for connection in connection_queries.open_connections(user)
            if connection.policy != Policy.TWO_STEP or broker_questions.has_asked_before(connection)
        ],
        "released": approvals.RELEASED,
        "rules": [
            view
            for connection in connection_queries.open_connections(user)
            if connection.policy == Policy.OWNER_APPROVAL
            for view in standing_rules.on(connection)
        ],
    }
    return render(request, "orders/approvals.html", context)


@never_cache
@login_not_required
@before_second_factor
@require_GET
def waiting(request: HttpRequest) -> HttpResponse:
    """What an open page asks every few seconds: nothing while nothing is new, and no more once signed out."""
    if not isinstance(request.user, User):
        return HttpResponse(status=_STOP_ASKING)
    found = PendingBadge.of(request.user)
    if request.GET.get("seen") == found.mark:
        return HttpResponse(status=204)
    return render(request, "orders/waiting.html", {"waiting": found})


@require_POST
def emails_on(request: HttpRequest, pk: int) -> HttpResponse:
    user = user_of(request)
    connection = get_object_or_404(connection_queries.open_connections(user), pk=pk)
    on = request.POST.get("on") == "1"
    notifications.set_enabled(connection, on=on, by=user)
    said = (
        "You will get an e-mail when an order is waiting" if on else "You will get no more e-mails about waiting orders"
    )
    messages.success(request, f"{said} on {connection.name}.")
    return redirect("orders:approvals")


def _awaiting_decision(request: HttpRequest, public_id: str) -> Confirmation:
    return get_object_or_404(approvals.visible(user_of(request)), public_id=public_id)


def _awaiting_order(request: HttpRequest, public_id: str) -> Confirmation:
    """Nothing of a plan: those are decided on its page."""
    return get_object_or_404(approvals.visible(user_of(request)), public_id=public_id, plan_id="")


def _is_open(confirmation: Confirmation) -> bool:
    return approvals.awaiting(confirmation.app.connection.owner).filter(pk=confirmation.pk).exists()


@never_cache
@require_safe
def approval(request: HttpRequest, public_id: str) -> HttpResponse:
    confirmation = _awaiting_decision(request, public_id)
    if confirmation.plan_id:
        return redirect("plans:detail", confirmation.plan_id)
    if not _is_open(confirmation):
        return redirect("orders:detail", review.plan(confirmation)[0].public_id)
    return decision_page(request, confirmation)


@never_cache
@login_not_required
@require_GET
def now(request: HttpRequest, public_id: str) -> HttpResponse:
    """The part of the page that moves. The whole page is loaded again once what may be pressed has changed."""
    if not isinstance(request.user, User):
        return HttpResponse(headers={"HX-Refresh": "true"})
    confirmation = _awaiting_order(request, public_id)
    if not _is_open(confirmation):
        return HttpResponse(headers={"HX-Refresh": "true"})
    looked = review.load(confirmation)
    if ("1" if looked.standing else "0") != request.GET.get("held", "0"):
        return HttpResponse(headers={"HX-Refresh": "true"})
    return render(request, "orders/now.html", {"review": looked, "confirmation": confirmation})


def decision_page(
    request: HttpRequest,
    confirmation: Confirmation,
    *,
    proof: presence.ProofFields | None = None,
    reject: RejectForm | None = None,
) -> HttpResponse:
    looked = review.load(confirmation)
    order = looked.lead
    is_change = confirmation.is_about_an_order
    steps = order.events.filter(data__modification=confirmation.modification.public_id) if is_change else order.events
    first = steps.first()
    asked = newest.of_request(Call.objects.all(), first.request_id) if first and first.request_id else None
    seconds = max(0, math.ceil((confirmation.expires_at - timezone.now()).total_seconds()))
    context: dict[str, Any] = {
        "review": looked,
        "confirmation": confirmation,
        "heading": review.heading(confirmation),
        "order": order,
        "app": confirmation.app,
        "is_change": is_change,
        "connection": order.connection,
        "asked": asked,
        "seconds": seconds,
        "is_live": order.connection.is_live,
        "is_cancel": looked.is_cancel,
        "decided_by": confirmation.decided_by(order.connection).value,
        "near_misses": standing_rules.near_misses(looked),
        "cancels": close_all.cancelled_first(confirmation, [item.order.symbol for item in looked.left_out]),
        "proof": proof or presence.proof_fields(request, PresenceAct.RELEASE_ORDER, live=order.connection.is_live),
        "reject": reject or RejectForm(),
    }
    return render(request, "orders/approval.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def release(request: HttpRequest, public_id: str) -> HttpResponse:
    """Ask who it is, there and then, for this very order as it was shown: a passkey on live."""
    user = user_of(request)
    confirmation = _awaiting_order(request, public_id)
    if request.method != "POST":
        return redirect("orders:approval", public_id)

    def page(found: presence.ProofFields) -> HttpResponse:
        if not _is_open(confirmation):
            return redirect("orders:approval", public_id)
        return decision_page(request, confirmation, proof=found)

    live = confirmation.app.connection.is_live
    proved = presence.require_proof(request, PresenceAct.RELEASE_ORDER, about="", back="", live=live, page=page)
    if isinstance(proved, HttpResponse):
        return proved
    evidence = evidence_of(request, proved)
    try:
        orders = approvals.approve(confirmation, by=user, evidence=evidence, seen=request.POST.get("seen", ""))
    except Refusal as refusal:
        messages.error(request, str(refusal))
        return redirect("orders:approval", public_id)
    if confirmation.action == Action.CANCEL:
        orders[0].refresh_from_db()
        messages.success(request, f"Approved. The order is {orders[0].status_words.lower()}.")
        return redirect("orders:detail", orders[0].public_id)
    if confirmation.action == Action.MODIFY:
        change = Modification.objects.get(confirmation=confirmation)
        messages.success(request, f"Approved. Change: {change.status_words.lower()}.")
        return redirect("orders:detail", orders[0].public_id)
    sent = [order for order in orders if order.released_at is not None]
    if len(orders) == 1:
        messages.success(request, f"Approved. The order is {orders[0].status_words.lower()}.")
    else:
        messages.success(request, f"Approved: {len(sent)} of {len(orders)} orders were sent.")
    return redirect("orders:detail", orders[0].public_id)


def evidence_of(request: HttpRequest, proved: presence.PresenceProof) -> Evidence:
    ip = request.META.get("REMOTE_ADDR", "")
    if proved.factor is None:
        return Evidence(proof=Proof.PASSWORD, label="the password", ip=ip)
    label = services.describe(proved.factor)
    return Evidence(proof=Proof.PASSKEY, label=label, credential=proved.factor.pk, ip=ip)


@require_POST
def reject(request: HttpRequest, public_id: str) -> HttpResponse:
    confirmation = _awaiting_order(request, public_id)
    form = RejectForm(request.POST)
    if not form.is_valid():
        if not _is_open(confirmation):
            return redirect("orders:approval", public_id)
        return decision_page(request, confirmation, reject=form)
    try:
        approvals.reject(
            confirmation,
            by=user_of(request),
            reason=form.cleaned_data["reason"],
            words=form.cleaned_data["words"],
        )
    except Refusal as refusal:
        messages.error(request, str(refusal))
        return redirect("orders:approval", public_id)
    if confirmation.app.is_console:
        messages.success(request, "Nothing was cancelled or closed.")
        return redirect("connections:detail", confirmation.app.connection_id)
    messages.success(request, f"Declined. Nothing was sent. {confirmation.app.name} will see the reason.")
    return redirect("orders:approvals")
