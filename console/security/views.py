from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.safestring import SafeString
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.accounts import (
    presence,
    second_factor_required,
    second_factors,
    sessions,
    signing_in,
    single_submit,
    time_zones,
)
from console.accounts.forms import NewPasswordForm
from console.accounts.presence import PresenceAct
from console.accounts.request_user import user_of
from console.accounts.second_factor_required import before_second_factor
from console.accounts.second_factors import Factor
from console.security import services
from console.security.forms import AppForm, PasskeyForm, TimeZoneForm

STALE = "The browser's answer was not accepted. Try again."


@never_cache
@before_second_factor
@require_safe
def overview(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    return render(
        request,
        "security/overview.html",
        {
            "factors": [(factor, services.describe(factor)) for factor in second_factors.list_factors(user)],
            "has_app": second_factors.has(user, second_factors.APP),
            "codes_left": second_factors.codes_left(user),
            "browsers": sessions.browsers(user, request),
            "required": settings.REQUIRE_SECOND_FACTOR,
            "missing": second_factor_required.missing(user),
            "no_passkeys": second_factors.passkeys_unavailable(),
        },
    )


def _require_proof(request: HttpRequest, act: PresenceAct, about: str) -> presence.PresenceProof | HttpResponse:
    return presence.require_proof(request, act, about=about, back=reverse("security:overview"))


@never_cache
@before_second_factor
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    form = NewPasswordForm(user, request.POST or None)

    def page(proof: presence.ProofFields) -> HttpResponse:
        return render(request, "security/password.html", {"form": form, "proof": proof})

    if request.method != "POST" or not form.is_valid():
        return page(presence.proof_fields(request, PresenceAct.CHANGE_PASSWORD, live=False))
    proved = presence.require_proof(request, PresenceAct.CHANGE_PASSWORD, about="", back="", page=page)
    if isinstance(proved, HttpResponse):
        return proved
    services.change_password(user, form.cleaned_data["password"], session=request.session.session_key)
    update_session_auth_hash(request, user)
    messages.success(request, "Password changed. You are signed out everywhere else.")
    return redirect("security:overview")


@never_cache
@before_second_factor
@require_http_methods(["GET", "HEAD", "POST"])
def add_app(request: HttpRequest) -> HttpResponse:
    """The secret is shown in the answer to a proof, and comes back sealed with the code."""
    user = user_of(request)
    if second_factors.has(user, second_factors.APP):
        messages.info(request, "You already have an authenticator app. Remove it first to set up another.")
        return redirect("security:overview")
    if request.method != "POST":
        return render(request, "security/app.html")
    form, secret, sealed = AppForm(), None, request.POST.get("sealed", "")
    if sealed:
        secret = second_factors.secret_of(user, sealed)
        if secret is None:
            messages.error(request, "That took too long. Start again.")
            return redirect("security:add-app")
        form = AppForm(request.POST)
        if form.is_valid():
            factor = second_factors.add_app(user, secret, form.cleaned_data["code"])
            if factor is not None:
                return _added(request, factor)
            form.add_error("code", "That code does not match. Check that your phone's clock is right.")
    else:
        proved = _require_proof(
            request, PresenceAct.ADD_APP, "Codes from an app on your phone become your second factor."
        )
        if isinstance(proved, HttpResponse):
            return proved
        secret, sealed = second_factors.new_authenticator(user)
    context = {
        "form": form,
        "sealed": sealed,
        "secret": " ".join(secret[at : at + 4] for at in range(0, len(secret), 4)),
        "picture": SafeString(second_factors.qr_code(user, secret)),  # drawn here, of nothing anybody sent
    }
    return render(request, "security/app.html", context)


@never_cache
@before_second_factor
@require_http_methods(["GET", "HEAD", "POST"])
def add_passkey(request: HttpRequest) -> HttpResponse:
    """What the new passkey must sign stands in the answer to a proof alone, so nobody else can answer it."""
    user = user_of(request)
    if why := second_factors.passkeys_unavailable():
        messages.error(request, why)
        return redirect("security:overview")
    form = PasskeyForm(request.POST or None)
    if request.method != "POST" or not form.is_valid():
        return render(request, "security/passkey.html", {"form": form})
    name, credential = form.cleaned_data["name"], form.cleaned_data["credential"]
    if credential:
        factor = second_factors.add_passkey(user, name, credential)
        if factor is not None:
            return _added(request, factor)
        messages.error(request, STALE)
        return redirect("security:add-passkey")
    proved = _require_proof(
        request, PresenceAct.ADD_PASSKEY, f"The new passkey {name} can sign you in and release orders."
    )
    if isinstance(proved, HttpResponse):
        return proved
    options = JsonResponse(second_factors.creation_options(user)).content.decode()
    return render(request, "security/passkey.html", {"form": form, "options": options})


@never_cache
@before_second_factor
@require_http_methods(["GET", "HEAD", "POST"])
def remove_factor(request: HttpRequest, pk: int) -> HttpResponse:
    user = user_of(request)
    factor = get_object_or_404(Factor, pk=pk, user=user, type__in=(second_factors.APP, second_factors.PASSKEY))
    what = services.describe(factor)
    if request.method == "POST":
        proved = _require_proof(request, PresenceAct.REMOVE_FACTOR, f"Your {what} will no longer work here.")
        if isinstance(proved, HttpResponse):
            return proved
        try:
            services.remove_factor(user, factor)
        except services.LastFactor:
            messages.error(request, "Everyone here needs a second factor. Add another before you remove this one.")
        else:
            messages.success(request, f"Your {what} is removed.")
        return redirect("security:overview")
    last = len(second_factors.list_factors(user)) == 1
    return render(request, "security/remove.html", {"what": what, "last": last})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new_codes(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    if not second_factors.has_any(user):
        messages.info(request, "Recovery codes replace a lost second factor. Add a second factor first.")
        return redirect("security:overview")
    if request.method == "POST" and not single_submit.is_unused(request):
        messages.info(request, "This form was already sent. Recovery codes are shown only once.")
        return redirect("security:overview")
    if request.method == "POST":
        proved = _require_proof(
            request, PresenceAct.NEW_CODES, "Ten new recovery codes are shown, and the old ones stop working."
        )
        if isinstance(proved, HttpResponse):
            return proved
        codes = services.new_codes(user)
        single_submit.use_token(request)
        return render(request, "security/codes.html", {"codes": codes, "onward": reverse("security:overview")})
    context = {"once": single_submit.issue_token(request), "left": second_factors.codes_left(user)}
    return render(request, "security/new_codes.html", context)


@require_POST
def end_sessions(request: HttpRequest) -> HttpResponse:
    ended = services.end_other_sessions(user_of(request), session=request.session.session_key)
    messages.success(request, f"Signed out of {ended} other browser{'' if ended == 1 else 's'}.")
    return redirect("security:overview")


def _added(request: HttpRequest, factor: Factor) -> HttpResponse:
    """On to where the person was going; past their recovery codes, when these were made just now."""
    codes = services.factor_added(user_of(request), factor)
    onward = second_factor_required.intended_url(request) or reverse("security:overview")
    if codes:
        return render(request, "security/codes.html", {"codes": codes, "onward": onward, "first": True})
    messages.success(request, f"Your {services.describe(factor)} is added.")
    return redirect(onward)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def time_zone(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    form = TimeZoneForm(user.time_zone, request.POST or None)
    if request.method == "POST" and form.is_valid():
        time_zones.choose(user, form.cleaned_data["time_zone"])
        messages.success(request, f"Times are now in {form.cleaned_data['time_zone'].replace('_', ' ')}.")
        return redirect("security:overview")
    return render(request, "security/time_zone.html", {"form": form})


@require_POST
def switch_times(request: HttpRequest) -> HttpResponse:
    """Between UTC and the person's own zone, on whichever page they are."""
    time_zones.show_utc(user_of(request), "utc" in request.POST)
    return redirect(signing_in.safe_next_url(request, request.POST.get("next", "")))
