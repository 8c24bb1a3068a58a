from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.accounts import presence
from console.accounts.presence import PresenceAct
from console.accounts.request_user import user_of
from console.connected_apps import queries as app_queries
from console.connections import queries as connection_queries
from console.errors import Refusal
from console.halts import services as halts
from console.halts.forms import HaltForm, HaltOthersForm
from console.halts.services import Proof

_PAST = 30


@require_safe
def list_(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    seen = halts.visible(user)
    context = {
        "standing": [(halt, halts.may_lift(halt, user)) for halt in seen.filter(lifted_at=None)],
        "past": seen.filter(lifted_at__isnull=False).order_by("-lifted_at")[:_PAST],
        "form": HaltForm(),
        "others": HaltOthersForm() if user.is_operator else None,
    }
    return render(request, "halts/list.html", context)


@require_POST
def everything(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    form = HaltForm(request.POST)
    halts.halt_user(user, by=user, reason=_reason(request, form))
    messages.success(request, "All your trading is halted. Open orders stay open; you can cancel them.")
    return redirect("halts:list")


def _reason(request: HttpRequest, form: HaltForm | HaltOthersForm) -> str:
    """What was typed; a halt does not wait for better words, so those that may not be kept are left out, and told."""
    if not form.is_valid() and "reason" in form.errors:
        messages.warning(request, f"The reason was not saved. {' '.join(map(str, form.errors['reason']))}")
    return str(form.cleaned_data.get("reason", ""))


@require_POST
def others(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    if not user.is_operator:
        raise Http404
    form = HaltOthersForm(request.POST)
    reason = _reason(request, form)
    if "who" in form.errors:
        messages.error(request, "That person is no longer here. Nothing was halted.")
    elif (who := form.cleaned_data["who"]) is None:
        halts.halt_instance(by=user, reason=reason)
        messages.success(request, "Everybody's trading is halted.")
    else:
        halts.halt_user(who, by=user, reason=reason)
        messages.success(request, f"All trading of {who.email} is halted.")
    return redirect("halts:list")


@require_POST
def connection(request: HttpRequest, pk: int) -> HttpResponse:
    mine = get_object_or_404(connection_queries.open_connections(user_of(request)), pk=pk)
    halts.halt_connection(mine, by=user_of(request))
    messages.success(request, f"Trading on {mine.name} is halted for every app. Open orders stay open.")
    return redirect("connections:detail", pk)


@require_POST
def app(request: HttpRequest, pk: int) -> HttpResponse:
    mine = get_object_or_404(app_queries.active_apps(user_of(request)), pk=pk)
    halts.halt_app(mine, by=user_of(request))
    messages.success(request, f"{mine.name} cannot place orders on {mine.connection.name}. It can still read.")
    return redirect("apps:detail", pk)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def lift(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask who it is, there and then, for this very halt; on live with a passkey."""
    user = user_of(request)
    halt = get_object_or_404(halts.visible(user), pk=pk)
    if not halts.may_lift(halt, user):
        raise Http404
    if halt.lifted_at is not None:
        messages.info(request, "That halt was already lifted.")
        return redirect("halts:list")
    live = halts.needs_passkey(halt)

    def page(found: presence.ProofFields) -> HttpResponse:
        return render(request, "halts/lift.html", {"halt": halt, "proof": found, "needs_passkey": live})

    if request.method != "POST":
        return page(presence.proof_fields(request, PresenceAct.LIFT_HALT, live=live))
    proved = presence.require_proof(request, PresenceAct.LIFT_HALT, about="", back="", live=live, page=page)
    if isinstance(proved, HttpResponse):
        return proved
    try:
        if halts.lift(halt, by=user, proof=Proof.PASSKEY if proved.by_passkey else Proof.PASSWORD):
            messages.success(request, f"Halt lifted for {halt.what}.")
    except Refusal as refusal:
        messages.error(request, str(refusal))
    return redirect("halts:list")
