import math
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST, require_safe

from console.accounts import presence
from console.accounts.current import user_of
from console.accounts.models import User
from console.accounts.presence import Act
from console.accounts.required import before_second_factor
from console.audit import errors, paging
from console.audit.models import Call, Change
from console.connections import broker_access
from console.connections import queries as connection_queries
from console.connections.models import Policy
from console.errors import Code, Refusal
from console.halts.services import Proof
from console.orders import approvals, byhand, cancelling, closing, letters, outside, questions, review, states
from console.orders import queries as order_queries
from console.orders.approvals import Evidence
from console.orders.forms import OrderFilter, RejectForm
from console.orders.models import Action, Confirmation, Modification, Order, Question
from console.orders.states import Status
from console.orders.waiting import Waiting
from console.principal import Redeemer
from console.security import services

# The terms a person judges an order by, beside the sentence.
_SHOWN = (("price", "Price at the time"), ("value", "Value"), ("fee", "Fee, estimated"))
_DECIDED = 10
_ELSEWHERE = 50
_STOP_ASKING = 286
"""htmx: show this, and ask no more."""


def _own(user: User) -> QuerySet[Order]:
    return Order.objects.filter(connection__owner=user).select_related("connection", "app", "confirmation", "parent")


@require_safe
def list_(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    filters = OrderFilter(request.GET, owner=user)
    page = paging.page(filters.apply(_own(user)), request.GET.get("before", ""))
    context = {"page": page, "filters": filters, "waiting": order_queries.awaiting(user).count()}
    if page.is_first:
        found = filters.apply_elsewhere(outside.of(user))
        context["elsewhere"] = [(each, outside.words_of(each)) for each in found[:_ELSEWHERE]]
    return render(request, "orders/list.html", context)


@require_safe
def elsewhere(request: HttpRequest, pk: int) -> HttpResponse:
    """An order that Tradelatch did not send, as its broker last told it."""
    row = outside.of(user_of(request)).filter(pk=pk).first()
    if row is None:
        messages.info(request, "That order is no longer open at the broker.")
        return redirect("orders:list")
    return render(request, "orders/elsewhere.html", {"order": row, "words": outside.words_of(row)})


@require_POST
def cancel_elsewhere(request: HttpRequest, pk: int) -> HttpResponse:
    user = user_of(request)
    row = get_object_or_404(outside.of(user), pk=pk)
    try:
        answer = outside.cancel(row, by=user)
    except Refusal as refusal:
        messages.error(request, str(refusal))
        return redirect("orders:list" if row.pk is None else reverse("orders:elsewhere", args=[pk]))
    if answer.status.is_open:
        messages.success(request, "The broker took the cancel. The order leaves this page once it has ended there.")
    else:
        messages.success(request, "The order is cancelled at the broker.")
    return redirect("orders:list")


@require_POST
def cancel(request: HttpRequest, public_id: str) -> HttpResponse:
    """Take one order back: also while trading is halted, and without a proof, as every cancel."""
    user = user_of(request)
    order = get_object_or_404(_own(user), public_id=public_id)
    try:
        cancelling.take_back(order, by=user.email)
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        order.refresh_from_db()
        done = order.state in states.ENDED
        words = "The order is cancelled." if done else "The broker was asked to cancel it, and has not said yet."
        messages.success(request, words)
    return redirect("orders:detail", public_id)


@never_cache
@require_safe
def detail(request: HttpRequest, public_id: str) -> HttpResponse:
    """The order; while it waits for a decision, everything to decide by."""
    order = get_object_or_404(_own(user_of(request)), public_id=public_id)
    if order.state is Status.AWAITING and order.confirmation.expires_at > timezone.now():
        return _to_decide(request, order.confirmation)
    terms = order.confirmation.terms
    legs = order.legs.order_by("pk")
    context = {
        "order": order,
        "legs": legs,
        "plan": order.confirmation.orders.filter(parent=None).exclude(pk=order.pk).order_by("pk"),
        "change_waits": approvals.waiting(order.connection.owner).filter(modification__order=order).first(),
        "changes": order.modifications.select_related("confirmation").order_by("pk"),
        "asked": questions.waiting(order.connection.owner).filter(order=order).first(),
        "broker": broker_access.broker_title(order.connection.broker),
        "seen": byhand.WORDS.items() if byhand.waits_for_a_person(order) else None,
        "events": order.events.all(),
        "may_cancel": order.state in states.OPEN,
        "terms": terms,
        "shown": [(words, Decimal(terms[name])) for name, words in _SHOWN if terms.get(name)],
        "explanation": errors.explain(order.code) if order.code else None,
    }
    return render(request, "orders/detail.html", context)


@never_cache
@require_POST
def settle(request: HttpRequest, public_id: str) -> HttpResponse:
    """The owner says what they saw at the broker, with a proof of who they are."""
    user = user_of(request)
    order = get_object_or_404(_own(user), public_id=public_id)
    page = reverse("orders:detail", args=[public_id])
    seen = request.POST.get("seen", "")
    if seen not in set(byhand.Seen):
        messages.error(request, "Choose what you saw at the broker.")
        return redirect(page)
    proved = presence.ask(
        request,
        Act.SETTLE_ORDER,
        about=f"You looked for the order {public_id} at the broker. You saw: {byhand.WORDS[byhand.Seen(seen)]}.",
        back=page,
        live=order.connection.is_live,
        environment=order.connection.environment,
    )
    if isinstance(proved, HttpResponse):
        return proved
    try:
        byhand.settle(order, byhand.Seen(seen), by=user)
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, "Noted. If the broker reports something else later, that counts.")
    return redirect(page)


# -- approvals -----------------------------------------------------------------------------------------------


@never_cache
@require_safe
def approval_list(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    found = [(each, review.heading(each)) for each in approvals.waiting(user)]
    mine = [pair for pair in found if pair[0].decided_by(pair[0].app.connection) is Redeemer.OWNER]
    decided = Change.objects.filter(user_id=user.pk, action__in=(approvals.RELEASED, approvals.REJECTED))
    context = {
        "mine": mine,
        "asked": [(each, broker_access.broker_title(each.order.connection.broker)) for each in questions.waiting(user)],
        "others": [pair for pair in found if pair not in mine],
        "decided": decided.order_by("-pk")[:_DECIDED],
        "lettered": [
            (connection, letters.wanted(connection))
            for connection in connection_queries.open_connections(user)
            if connection.policy != Policy.TWO_STEP or questions.may_come(connection)
        ],
        "released": approvals.RELEASED,
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
    found = Waiting.of(request.user)
    if request.GET.get("seen") == found.mark:
        return HttpResponse(status=204)
    return render(request, "orders/waiting.html", {"waiting": found})


@require_POST
def letters_on(request: HttpRequest, pk: int) -> HttpResponse:
    connection = get_object_or_404(connection_queries.open_connections(user_of(request)), pk=pk)
    on = request.POST.get("on") == "1"
    letters.switch(connection, on=on)
    said = "You get an e-mail when an order waits" if on else "You get no more e-mail about orders that wait"
    messages.success(request, f"{said} on {connection.name}.")
    return redirect("orders:approvals")


def _to_be_decided(request: HttpRequest, public_id: str) -> Confirmation:
    return get_object_or_404(approvals.visible(user_of(request)), public_id=public_id)


def _is_open(confirmation: Confirmation) -> bool:
    return approvals.waiting(confirmation.app.connection.owner).filter(pk=confirmation.pk).exists()


@never_cache
@require_safe
def approval(request: HttpRequest, public_id: str) -> HttpResponse:
    confirmation = _to_be_decided(request, public_id)
    if not _is_open(confirmation):
        return redirect("orders:detail", review.plan(confirmation)[0].public_id)
    return _to_decide(request, confirmation)


@never_cache
@login_not_required
@require_GET
def now(request: HttpRequest, public_id: str) -> HttpResponse:
    """The part of the page that moves. The whole page is loaded again once what may be pressed has changed."""
    if not isinstance(request.user, User):
        return HttpResponse(headers={"HX-Refresh": "true"})
    confirmation = _to_be_decided(request, public_id)
    if not _is_open(confirmation):
        return HttpResponse(headers={"HX-Refresh": "true"})
    looked = review.look(confirmation)
    if ("1" if looked.standing else "0") != request.GET.get("held", "0"):
        return HttpResponse(headers={"HX-Refresh": "true"})
    return render(request, "orders/now.html", {"review": looked, "confirmation": confirmation})


def _to_decide(
    request: HttpRequest,
    confirmation: Confirmation,
    *,
    proof: presence.Fields | None = None,
    reject: RejectForm | None = None,
) -> HttpResponse:
    looked = review.look(confirmation)
    order = looked.lead
    is_change = confirmation.is_about_an_order
    steps = order.events.filter(data__modification=confirmation.modification.public_id) if is_change else order.events
    first = steps.first()
    asked = Call.objects.filter(request_id=first.request_id).first() if first and first.request_id else None
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
        "minutes": seconds // 60,
        "rest": seconds % 60,
        "is_live": order.connection.is_live,
        "is_cancel": looked.is_cancel,
        "decided_by": confirmation.decided_by(order.connection).value,
        "cancels": closing.cancelled_first(confirmation, [item.order.symbol for item in looked.left_out]),
        "proof": proof or presence.fields(request, Act.RELEASE_ORDER, live=order.connection.is_live),
        "reject": reject or RejectForm(),
    }
    return render(request, "orders/approval.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def release(request: HttpRequest, public_id: str) -> HttpResponse:
    """Ask who it is, there and then, for this very order as it was shown: a passkey on live."""
    user = user_of(request)
    confirmation = _to_be_decided(request, public_id)
    if request.method != "POST":
        return redirect("orders:approval", public_id)

    def page(found: presence.Fields) -> HttpResponse:
        if not _is_open(confirmation):
            return redirect("orders:approval", public_id)
        return _to_decide(request, confirmation, proof=found)

    live = confirmation.app.connection.is_live
    proved = presence.ask(request, Act.RELEASE_ORDER, about="", back="", live=live, page=page)
    if isinstance(proved, HttpResponse):
        return proved
    evidence = _evidence(request, proved)
    try:
        orders = approvals.approve(confirmation, by=user, evidence=evidence, seen=request.POST.get("seen", ""))
    except Refusal as refusal:
        messages.error(request, str(refusal))
        return redirect("orders:approval", public_id)
    if confirmation.action == Action.CANCEL:
        orders[0].refresh_from_db()
        messages.success(request, f"Released. The order is {orders[0].status_words.lower()}.")
        return redirect("orders:detail", orders[0].public_id)
    if confirmation.action == Action.MODIFY:
        change = Modification.objects.get(confirmation=confirmation)
        messages.success(request, f"Released. The change: {change.status_words.lower()}.")
        return redirect("orders:detail", orders[0].public_id)
    sent = [order for order in orders if order.released_at is not None]
    if len(orders) == 1:
        messages.success(request, f"Released. The order is {orders[0].status_words.lower()}.")
    else:
        messages.success(request, f"Released: {len(sent)} of {len(orders)} orders were sent.")
    return redirect("orders:detail", orders[0].public_id)


def _evidence(request: HttpRequest, proved: presence.Proved) -> Evidence:
    ip = request.META.get("REMOTE_ADDR", "")
    if proved.factor is None:
        return Evidence(proof=Proof.PASSWORD, label="the password", ip=ip)
    label = services.describe(proved.factor)
    return Evidence(proof=Proof.PASSKEY, label=label, credential=proved.factor.pk, ip=ip)


@require_POST
def reject(request: HttpRequest, public_id: str) -> HttpResponse:
    confirmation = _to_be_decided(request, public_id)
    form = RejectForm(request.POST)
    if not form.is_valid():
        if not _is_open(confirmation):
            return redirect("orders:approval", public_id)
        return _to_decide(request, confirmation, reject=form)
    try:
        approvals.reject(
            confirmation,
            by=user_of(request),
            reason=form.cleaned_data["reason"],
            words=form.cleaned_data["words"],
            ip=request.META.get("REMOTE_ADDR", ""),
        )
    except Refusal as refusal:
        messages.error(request, str(refusal))
        return redirect("orders:approval", public_id)
    if confirmation.app.is_console:
        messages.success(request, "Nothing was cancelled and nothing was closed.")
        return redirect("connections:detail", confirmation.app.connection_id)
    messages.success(request, f"Rejected. Nothing was sent, and {confirmation.app.name} is told why.")
    return redirect("orders:approvals")


# -- what a broker asks ---------------------------------------------------------------------------------------


def _asked(request: HttpRequest, public_id: str) -> Question:
    return get_object_or_404(questions.visible(user_of(request)), public_id=public_id)


def _to_answer(request: HttpRequest, asked: Question, *, proof: presence.Fields | None = None) -> HttpResponse:
    user, order = user_of(request), asked.order
    if not questions.waiting(user).filter(pk=asked.pk).exists():
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
        "proof": proof or presence.fields(request, Act.ANSWER_BROKER, live=order.connection.is_live),
    }
    return render(request, "orders/question.html", context)


@never_cache
@require_safe
def question(request: HttpRequest, public_id: str) -> HttpResponse:
    return _to_answer(request, _asked(request, public_id))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def say_yes(request: HttpRequest, public_id: str) -> HttpResponse:
    """Ask who it is, there and then, for this very question: a passkey on live."""
    user, asked = user_of(request), _asked(request, public_id)
    if request.method != "POST":
        return redirect("orders:question", public_id)
    proved = presence.ask(
        request,
        Act.ANSWER_BROKER,
        about="",
        back="",
        live=asked.order.connection.is_live,
        page=lambda found: _to_answer(request, asked, proof=found),
    )
    if isinstance(proved, HttpResponse):
        return proved
    evidence = _evidence(request, proved)
    try:
        order = questions.say_yes(asked, by=user, evidence=evidence, seen=request.POST.get("seen", ""))
    except Refusal as refusal:
        messages.error(request, str(refusal))
        return redirect("orders:question", public_id)
    if further := questions.waiting(user).filter(order=order).first():
        messages.info(request, "The broker asks one more thing.")
        return redirect("orders:question", further.public_id)
    if asked.modification is not None:
        asked.modification.refresh_from_db()
        messages.success(request, f"Your yes was sent. The change: {asked.modification.status_words.lower()}.")
    else:
        messages.success(request, f"Your yes was sent. The order: {order.status_words.lower()}.")
    return redirect("orders:detail", order.public_id)


@require_POST
def say_no(request: HttpRequest, public_id: str) -> HttpResponse:
    asked = _asked(request, public_id)
    try:
        order = questions.say_no(asked, by=user_of(request), ip=request.META.get("REMOTE_ADDR", ""))
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        what = "placed" if asked.modification is None else "changed"
        messages.success(request, f"You said no. Nothing was {what}, and {order.app.name} is told.")
    return redirect("orders:detail", asked.order.public_id)


# -- closing everything --------------------------------------------------------------------------------------


@never_cache
@require_safe
def closing_page(request: HttpRequest, pk: int) -> HttpResponse:
    """The accounts of the connection, and what is open in each."""
    connection = get_object_or_404(connection_queries.open_connections(user_of(request)), pk=pk)
    found, trouble = closing.open_orders(connection), ""
    try:
        accounts = closing.accounts(connection)
    except Refusal as refusal:
        trouble, accounts = str(refusal), sorted(found)
    context = {
        "connection": connection,
        "elsewhere": outside.of(connection.owner).filter(connection=connection).count(),
        "trouble": trouble,
        "accounts": [(account_id, found.get(account_id, [])) for account_id in accounts],
    }
    return render(request, "orders/closing.html", context)


@require_POST
def close_everything(request: HttpRequest, pk: int) -> HttpResponse:
    """Prepare it and lead to the page where the owner sees all of it and releases it, or not."""
    user = user_of(request)
    connection = get_object_or_404(connection_queries.open_connections(user), pk=pk)
    account_id = request.POST.get("account_id", "")
    try:
        if not account_id:
            accounts = closing.accounts(connection)
            if len(accounts) != 1:
                return redirect("orders:closing", pk)
            account_id = accounts[0]
        prepared, left_out = closing.flatten_as_owner(connection, by=user, account_id=account_id)
    except Refusal as refusal:
        if refusal.code is Code.NO_POSITION:
            messages.info(request, f"Account {account_id} has no position to close.")
        else:
            messages.error(request, str(refusal))
        return redirect("orders:closing", pk)
    for each in left_out:
        messages.warning(request, f"{each.symbol} cannot be closed now and stays: {each.refusal}")
    return redirect("orders:approval", prepared.confirmation.public_id)


@require_POST
def cancel_everything(request: HttpRequest, pk: int) -> HttpResponse:
    user = user_of(request)
    connection = get_object_or_404(connection_queries.open_connections(user), pk=pk)
    done = closing.cancel_as_owner(connection, by=user, account_id=request.POST.get("account_id", ""))
    kept = [each for each in done if each.refusal is not None]
    for each in kept:
        messages.error(request, str(each.refusal))
    messages.success(request, f"Cancelled: {len(done) - len(kept)} of {len(done)} open orders.")
    return redirect("orders:closing", pk)
