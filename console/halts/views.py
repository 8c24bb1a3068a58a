from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.accounts import factors, proof
from console.accounts.current import user_of
from console.accounts.forms import PasswordAgainForm
from console.errors import Refusal
from console.halts import verbs
from console.halts.forms import HaltForm, HaltOthersForm
from console.halts.verbs import Proof
from console.onboarding import home

_PAST = 30


@require_safe
def list_(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    seen = verbs.visible(user)
    context = {
        "standing": [(halt, verbs.may_lift(halt, user)) for halt in seen.filter(lifted_at=None)],
        "past": seen.filter(lifted_at__isnull=False).order_by("-lifted_at")[:_PAST],
        "form": HaltForm(),
        "others": HaltOthersForm() if user.is_operator else None,
    }
    return render(request, "halts/list.html", context)


@require_POST
def everything(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    form = HaltForm(request.POST)
    verbs.halt_user(user, by=user, reason=_reason(request, form))
    messages.success(request, "All your trading is halted. Open orders stay open; you can cancel them.")
    return redirect("halts:list")


def _reason(request: HttpRequest, form: HaltForm | HaltOthersForm) -> str:
    """What was typed; a halt does not wait for better words, so those that may not be kept are left out, and told."""
    if not form.is_valid() and "reason" in form.errors:
        messages.warning(request, f"The reason was left out. {' '.join(map(str, form.errors['reason']))}")
    return str(form.cleaned_data.get("reason", ""))


@require_POST
def others(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    if not user.is_operator:
        raise Http404
    form = HaltOthersForm(request.POST)
    reason = _reason(request, form)
    if "who" in form.errors:
        messages.error(request, "There is nobody like that here any more. Nothing was halted.")
    elif (who := form.cleaned_data["who"]) is None:
        verbs.halt_instance(by=user, reason=reason)
        messages.success(request, "Everybody's trading is halted.")
    else:
        verbs.halt_user(who, by=user, reason=reason)
        messages.success(request, f"All trading of {who.email} is halted.")
    return redirect("halts:list")


@require_POST
def connection(request: HttpRequest, pk: int) -> HttpResponse:
    mine = get_object_or_404(home.connections(user_of(request)), pk=pk)
    verbs.halt_connection(mine, by=user_of(request))
    messages.success(request, f"Trading on {mine.name} is halted for every app. Open orders stay open.")
    return redirect("connections:detail", pk)


@require_POST
def app(request: HttpRequest, pk: int) -> HttpResponse:
    mine = get_object_or_404(home.apps(user_of(request)), pk=pk)
    verbs.halt_app(mine, by=user_of(request))
    messages.success(request, f"{mine.name} can place no order on {mine.connection.name}. It can still read.")
    return redirect("apps:detail", pk)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def lift(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask who it is, there and then: a password for paper, a passkey where real money starts moving again."""
    user = user_of(request)
    halt = get_object_or_404(verbs.visible(user), pk=pk)
    if not verbs.may_lift(halt, user):
        raise Http404
    if "options" in request.GET:
        return JsonResponse(factors.request_options(user))
    if halt.lifted_at is not None:
        messages.info(request, "That halt was lifted before.")
        return redirect("halts:list")
    form = PasswordAgainForm(request, user, request.POST if "password" in request.POST else None)
    if request.method == "POST":
        shown = Proof.PASSKEY if proof.by_passkey(request, user) else Proof.PASSWORD if form.is_valid() else None
        try:
            if shown is not None:
                if verbs.lift(halt, by=user, proof=shown):
                    messages.success(request, f"The halt is lifted for {halt.what}.")
                return redirect("halts:list")
        except Refusal as refusal:
            messages.error(request, str(refusal))
    context = {
        "halt": halt,
        "form": form,
        "needs_passkey": verbs.needs_passkey(halt),
        "has_passkey": factors.has(user, factors.PASSKEY),
    }
    return render(request, "halts/lift.html", context)
