"""Pages of what a broker asks the owner."""

import math
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.accounts import presence
from console.accounts.presence import PresenceAct
from console.accounts.request_user import user_of
from console.connections import broker_access
from console.errors import Refusal
from console.orders.models import Question
from console.orders.owner import broker_questions
from console.orders.views import approvals

# -- what a broker asks ---------------------------------------------------------------------------------------


def _question_or_404(request: HttpRequest, public_id: str) -> Question:
    return get_object_or_404(broker_questions.visible(user_of(request)), public_id=public_id)


def _question_page(request: HttpRequest, asked: Question, *, proof: presence.ProofFields | None = None) -> HttpResponse:
    user, order = user_of(request), asked.order
    if not broker_questions.open_questions(user).filter(pk=asked.pk).exists():
        return redirect("orders:detail", order.public_id)
    left = (asked.expires_at - timezone.now()).total_seconds()
    context: dict[str, Any] = {
        "question": asked,
        "order": order,
        "terms": asked.terms,
        "connection": order.connection,
        "broker": broker_access.broker_title(order.connection.broker),
        "seconds": max(0, math.ceil(left)),
        "is_live": order.connection.is_live,
        "proof": proof or presence.proof_fields(request, PresenceAct.ANSWER_BROKER, live=order.connection.is_live),
    }
    return render(request, "orders/question.html", context)


@never_cache
@require_safe
def question(request: HttpRequest, public_id: str) -> HttpResponse:
    return _question_page(request, _question_or_404(request, public_id))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def accept(request: HttpRequest, public_id: str) -> HttpResponse:
    """Ask who it is, there and then, for this very question: a passkey on live."""
    user, asked = user_of(request), _question_or_404(request, public_id)
    if request.method != "POST":
        return redirect("orders:question", public_id)
    proved = presence.require_proof(
        request,
        PresenceAct.ANSWER_BROKER,
        about="",
        back="",
        live=asked.order.connection.is_live,
        page=lambda found: _question_page(request, asked, proof=found),
    )
    if isinstance(proved, HttpResponse):
        return proved
    evidence = approvals.evidence_of(request, proved)
    try:
        order = broker_questions.accept(asked, by=user, evidence=evidence, seen=request.POST.get("seen", ""))
    except Refusal as refusal:
        messages.error(request, str(refusal))
        return redirect("orders:question", public_id)
    if further := broker_questions.open_questions(user).filter(order=order).first():
        messages.info(request, "The broker asks another question.")
        return redirect("orders:question", further.public_id)
    if asked.modification is not None:
        asked.modification.refresh_from_db()
        messages.success(request, f"You answered yes. Change: {asked.modification.status_words.lower()}.")
    else:
        messages.success(request, f"You answered yes. Order: {order.status_words.lower()}.")
    return redirect("orders:detail", order.public_id)


@require_POST
def decline(request: HttpRequest, public_id: str) -> HttpResponse:
    asked = _question_or_404(request, public_id)
    try:
        order = broker_questions.decline(asked, by=user_of(request))
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        what = "placed" if asked.modification is None else "changed"
        messages.success(request, f"You answered no. Nothing was {what}. {order.app.name} will see your answer.")
    return redirect("orders:detail", asked.order.public_id)
