"""Pages of plans: all of them, and one with its orders; start, decline, pause, resume, cancel."""

import math
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.accounts import presence
from console.accounts.presence import PresenceAct
from console.accounts.request_user import user_of
from console.elapsed import span_text
from console.errors import Refusal
from console.orders.views.approvals import evidence_of
from console.plans import deciding, preparing, queries
from console.plans.models import AtRefusal, PlanKind, TradingPlan
from console.plans.states import ACTIVE, PlanStatus

_EVENTS = 50


@never_cache
@require_safe
def list_(request: HttpRequest) -> HttpResponse:
    now_there, over = queries.listed(user_of(request))
    return render(request, "plans/list.html", {"plans": now_there, "over": over})


def _own(request: HttpRequest, public_id: str) -> TradingPlan:
    return get_object_or_404(queries.visible(user_of(request)), public_id=public_id)


@never_cache
@require_safe
def detail(request: HttpRequest, public_id: str) -> HttpResponse:
    return _page(request, _own(request, public_id))


def _page(request: HttpRequest, plan: TradingPlan, proof: presence.ProofFields | None = None) -> HttpResponse:
    connection, confirmation, now = plan.connection, plan.confirmation, timezone.now()
    waits = plan.state is PlanStatus.AWAITING and confirmation.expires_at > now
    shown = {each["number"]: each for each in confirmation.terms["children"]}
    rows = [
        {
            "child": child,
            "text": preparing.child_text(child, plan.symbol, plan.currency),
            "after": _after(child.after_seconds),
            "value": _amount(shown.get(child.number, {}).get("value")),
            "fee": _amount(shown.get(child.number, {}).get("fee")),
        }
        for child in queries.children(plan)
    ]
    context: dict[str, Any] = {
        "plan": plan,
        "terms": confirmation.terms,
        "confirmation": confirmation,
        "connection": connection,
        "rows": rows,
        "events": queries.events(plan, _EVENTS),
        "waits": waits,
        "decided_by": confirmation.decided_by(connection).value,
        "seconds": max(0, math.ceil((confirmation.expires_at - now).total_seconds())),
        "is_active": plan.state in ACTIVE,
        "is_running": plan.state is PlanStatus.RUNNING,
        "lasts": preparing.span(plan.lasts_seconds // 60),
        "ends_at": plan.ends_at or (plan.starts_after and plan.starts_after + timedelta(seconds=plan.lasts_seconds)),
        "at_refusal": AtRefusal(plan.at_refusal).label,
        "proof": proof,
    }
    if waits and proof is None:
        context["proof"] = presence.proof_fields(request, PresenceAct.START_PLAN, live=connection.is_live)
    return render(request, "plans/detail.html", context)


def _open_orders(plan: TradingPlan) -> str:
    """What becomes of them when it stops."""
    if plan.kind == PlanKind.TIME_EXIT:
        return "an exit that has gone to the broker is not cancelled"
    return "its open orders are being cancelled"


def _after(seconds: int) -> str:
    """How long after the beginning; empty for at once."""
    if not seconds:
        return ""
    return span_text(seconds) if seconds % 60 else preparing.span(seconds // 60)


def _amount(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def start(request: HttpRequest, public_id: str) -> HttpResponse:
    """Ask who it is, there and then, for this very plan as it was shown: a passkey on live."""
    plan = _own(request, public_id)
    if request.method != "POST":
        return redirect("plans:detail", public_id)
    proved = presence.require_proof(
        request,
        PresenceAct.START_PLAN,
        about="",
        back="",
        live=plan.connection.is_live,
        page=lambda found: _page(request, plan, found),
    )
    if isinstance(proved, HttpResponse):
        return proved
    try:
        deciding.approve(
            plan, by=user_of(request), evidence=evidence_of(request, proved), seen=request.POST.get("seen", "")
        )
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, "Started. Its orders go by themselves from now on; you can pause or cancel it here.")
    return redirect("plans:detail", public_id)


@require_POST
def decline(request: HttpRequest, public_id: str) -> HttpResponse:
    plan = _own(request, public_id)
    try:
        deciding.decline(plan, by=user_of(request))
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, f"Declined. Nothing was sent. {plan.app.name} will see it.")
    return redirect("plans:detail", public_id)


@require_POST
def pause(request: HttpRequest, public_id: str) -> HttpResponse:
    """No proof: it only ever stops something."""
    plan, user = _own(request, public_id), user_of(request)
    if deciding.pause(plan, by=user.email, user=user):
        messages.success(request, f"Paused. It sends nothing, and {_open_orders(plan)}.")
    return redirect("plans:detail", public_id)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def resume(request: HttpRequest, public_id: str) -> HttpResponse:
    plan = _own(request, public_id)
    if request.method != "POST" or plan.state is not PlanStatus.PAUSED:
        return redirect("plans:detail", public_id)
    proved = presence.require_proof(
        request,
        PresenceAct.RESUME_PLAN,
        about=f"The plan goes on: {plan.heading}, on {plan.connection.name}. Its bounds, limits and all other checks "
        "stay.",
        back=reverse("plans:detail", args=[public_id]),
        live=plan.connection.is_live,
        environment=plan.connection.environment,
    )
    if isinstance(proved, HttpResponse):
        return proved
    try:
        if deciding.resume(plan, by=user_of(request), evidence=evidence_of(request, proved)):
            messages.success(request, "Resumed. Its orders go by themselves again.")
    except Refusal as refusal:
        messages.error(request, str(refusal))
    return redirect("plans:detail", public_id)


@require_POST
def cancel(request: HttpRequest, public_id: str) -> HttpResponse:
    """One click, no proof."""
    plan, user = _own(request, public_id), user_of(request)
    if deciding.cancel(plan, by=user.email, user=user):
        messages.success(
            request, f"Cancelled. It sends nothing, and {_open_orders(plan)}; what it bought or sold stays."
        )
    return redirect("plans:detail", public_id)
