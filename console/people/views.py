from collections.abc import Callable

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.accounts import presence, single_submit
from console.accounts.models import User
from console.accounts.presence import PresenceAct
from console.accounts.request_user import operators_only, user_of
from console.people import roster
from console.people.forms import InviteForm

LAST = "This is the only operator. Make somebody else an operator first."

_ACTIONS: dict[str, tuple[Callable[..., None], str]] = {
    "disable": (roster.disable, "{} is disabled: signed out everywhere, and all their apps and keys are refused."),
    "enable": (roster.enable, "{} can sign in again, and their apps and keys work again."),
    "make-operator": (roster.make_operator, "{} is an operator now."),
    "unmake-operator": (roster.unmake_operator, "{} is no longer an operator."),
    "forget-factors": (roster.forget_factors, "{} signs in with only the password until they add a second factor."),
}

_WORDS = {
    "disable": "{} is signed out everywhere, and all their apps and keys are refused.",
    "enable": "{} can sign in again, and their apps and keys work again.",
    "make-operator": "{} becomes an operator: can invite and disable people, and see everyone's activity.",
    "unmake-operator": "{} is no longer an operator.",
    "forget-factors": "{} signs in with only the password until they add a second factor.",
}


@operators_only
@require_safe
def list_(request: HttpRequest) -> HttpResponse:
    return render(request, "people/list.html", {"people": roster.people()})


@never_cache
@operators_only
@require_http_methods(["GET", "HEAD", "POST"])
def invite(request: HttpRequest) -> HttpResponse:
    form = InviteForm(request.POST or None)
    if request.method == "POST" and not single_submit.is_unused(request):
        messages.info(request, "This form was already sent. A link is shown only once.")
        return redirect("people:list")
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        may = "can sign in here after opening the link"
        about = f"{data['email']} {may}{', as an operator' if data['operator'] else ''}."
        proved = presence.require_proof(request, PresenceAct.INVITE, about=about, back=reverse("people:list"))
        if isinstance(proved, HttpResponse):
            return proved
        try:
            user, address = roster.invite(data["email"], operator=data["operator"], by=user_of(request))
        except roster.AlreadyHere:
            form.add_error("email", "There is already an account with that address.")
        else:
            single_submit.use_token(request)
            return render(request, "people/invited.html", {"person": user, "address": address})
    token = request.POST.get("once") or single_submit.issue_token(request)
    return render(request, "people/invite.html", {"form": form, "once": token})


@never_cache
@operators_only
@require_POST
def invite_again(request: HttpRequest, pk: int) -> HttpResponse:
    person = get_object_or_404(User, pk=pk, is_active=True, platform_user=None)
    if person.has_usable_password():
        messages.error(request, f"{person.email} has a password. They can reset it on the sign-in page.")
        return redirect("people:list")
    about = f"You get a new link to set the password of {person.email}."
    proved = presence.require_proof(request, PresenceAct.INVITE, about=about, back=reverse("people:list"))
    if isinstance(proved, HttpResponse):
        return proved
    address = roster.invite_again(person, by=user_of(request))
    return render(request, "people/invited.html", {"person": person, "address": address})


@never_cache
@operators_only
@require_http_methods(["GET", "HEAD", "POST"])
def act(request: HttpRequest, pk: int, action: str) -> HttpResponse:
    """Ask first, then do it."""
    if action not in _ACTIONS:
        raise Http404
    person = get_object_or_404(User, pk=pk, platform_user=None)
    if request.method != "POST":
        return render(request, "people/act.html", {"person": person, "action": action})
    about = _WORDS[action].format(person.email)
    proved = presence.require_proof(request, PresenceAct.CHANGE_PERSON, about=about, back=reverse("people:list"))
    if isinstance(proved, HttpResponse):
        return proved
    do, done = _ACTIONS[action]
    try:
        do(person, by=user_of(request))
    except roster.LastOperator:
        messages.error(request, LAST)
    else:
        messages.success(request, done.format(person.email))
    return redirect("people:list" if user_of(request).pk != person.pk or person.is_operator else "home")
