from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from console import request_origin
from console.accounts import known_browsers, oidc, passkey_second_step, password_links, second_factors, signing_in
from console.accounts.forms import CodeForm, NewPasswordForm, RecoverForm, SignInForm
from console.accounts.models import Link, User
from console.accounts.second_factor_required import before_second_factor
from console.accounts.throttle import TOO_MANY, SignInAttempt
from console.audit import sign_ins
from console.config.oidc import Provider
from console.outbox import mailer
from console.outbox.models import OutgoingMail
from console.request_origin import ProofKind
from console.security import services

# Nothing can be guessed there; a neighbour's noise must not keep a known browser out.
_STRANGERS_TOO = frozenset({"passkey", "passkey-question", "identity"})


class SignIn(LoginView):
    template_name = "accounts/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**kwargs) | {"providers": settings.IDENTITY_PROVIDERS}

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        user = form.get_user()
        assert isinstance(user, User)
        return _proceed(self.request, user, self.get_success_url(), ProofKind.PASSWORD)


@never_cache
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def passkey(request: HttpRequest) -> HttpResponse:
    """What the browser must sign, and the answer to it: a passkey alone signs its owner in."""
    if request.method != "POST":
        # A stranger's question is a row in the session table.
        if not _attempt(request, "passkey-question").begin():
            return JsonResponse({"error": TOO_MANY}, status=429)
        signing_in.shorten_session(request)
        return JsonResponse(second_factors.request_options())
    attempt = _attempt(request, "passkey")
    next_ = signing_in.safe_next_url(request, request.POST.get("next", ""))
    if not attempt.begin():
        messages.error(request, TOO_MANY)
    elif factor := second_factors.check_passkey(request.POST.get("credential", "")):
        attempt.succeeded()
        return _finish(request, factor.user, next_, ProofKind.PASSKEY)
    else:
        sign_ins.failed("", ProofKind.PASSKEY)
        messages.error(request, passkey_second_step.WRONG_PASSKEY)
    return redirect(f"{reverse('sign-in')}?{urlencode({'next': next_})}")


@never_cache
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def second_step(request: HttpRequest) -> HttpResponse:
    waiting = signing_in.pending_sign_in(request)
    if waiting is None:
        return redirect("sign-in")
    if "options" in request.GET:
        return JsonResponse(second_factors.request_options(waiting.user))
    form = CodeForm(request, waiting.user, request.POST if "code" in request.POST else None)
    if request.method == "POST":
        if passkey_second_step.by_passkey(request, waiting.user):
            return _finish(request, waiting.user, waiting.next, waiting.proof, ProofKind.PASSKEY)
        if form.is_valid():
            return _finish(request, waiting.user, waiting.next, waiting.proof, ProofKind.CODE)
        shown = ProofKind.PASSKEY if "credential" in request.POST else ProofKind.CODE
        sign_ins.failed(waiting.user.email, shown, user=waiting.user)
    return render(
        request,
        "accounts/second_step.html",
        {
            "form": form,
            "email": waiting.user.email,
            "has_passkey": second_factors.has(waiting.user, second_factors.PASSKEY),
            "has_app": second_factors.has(waiting.user, second_factors.APP),
        },
    )


@never_cache
@login_not_required
@require_http_methods(["GET", "HEAD", "POST"])
def recover(request: HttpRequest) -> HttpResponse:
    """Ask for a letter with a link. The answer is the same whether or not the address is somebody's."""
    form = RecoverForm(request, request.POST or None)
    if request.method == "POST" and form.is_valid():
        user = User.objects.filter(email__iexact=form.cleaned_data["email"]).first()
        sign_ins.recovery_asked_for(form.cleaned_data["email"], user)
        mailer.enqueue(user, OutgoingMail.Kind.RECOVERY, good_for=password_links.LIFETIMES[Link.Purpose.RECOVERY])
        return render(request, "accounts/recovery_sent.html", {"email": form.cleaned_data["email"]})
    return render(request, "accounts/recover.html", {"form": form})


@never_cache
@login_not_required
@before_second_factor
@require_http_methods(["GET", "HEAD", "POST"])
def set_password(request: HttpRequest, token: str) -> HttpResponse:
    """Where the link of an invitation or of a recovery leads. Looking at it uses nothing up."""
    attempt = _attempt(request, "link")
    if not attempt.begin():
        return render(request, "accounts/link_over.html", {"throttled": True}, status=429)
    link = password_links.find(token)
    if link is None:
        return render(request, "accounts/link_over.html", status=404)
    attempt.succeeded()
    form = NewPasswordForm(link.user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        request_origin.proved(ProofKind.LINK)
        if not services.set_password(link, form.cleaned_data["password"]):
            return render(request, "accounts/link_over.html", status=404)
        messages.success(request, "Your password is set. You can sign in now.")
        response = redirect("sign-in")
        # Who was sent the link proved that the address is theirs, also while strangers guess at the password.
        known_browsers.remember_browser(request, response, link.user.email)
        return response
    recovery = link.purpose == Link.Purpose.RECOVERY
    return render(request, "accounts/set_password.html", {"form": form, "email": link.user.email, "recovery": recovery})


@never_cache
@login_not_required
@require_safe
def identity_start(request: HttpRequest, slug: str) -> HttpResponse:
    provider = _provider(slug)
    if not _attempt(request, "identity").begin():
        messages.error(request, TOO_MANY)
        return redirect("sign-in")
    signing_in.shorten_session(request)
    try:
        return redirect(oidc.start(request, provider, signing_in.safe_next_url(request, request.GET.get("next", ""))))
    except oidc.OidcError as failed:
        messages.error(request, str(failed))
        return redirect("sign-in")


@never_cache
@login_not_required
@require_safe
def identity_callback(request: HttpRequest, slug: str) -> HttpResponse:
    provider = _provider(slug)
    try:
        arrival = oidc.complete(request, provider)
    except oidc.OidcError as failed:
        sign_ins.failed("", ProofKind.OIDC)
        messages.error(request, str(failed))
        return redirect("sign-in")
    user = oidc.account(arrival.email)
    if user is None:
        sign_ins.failed(arrival.email, ProofKind.OIDC)
        messages.error(request, f"There is no account for {arrival.email} here. Ask your operator.")
        return redirect("sign-in")
    return _proceed(request, user, arrival.next, ProofKind.OIDC)


def _proceed(request: HttpRequest, user: User, next_: str, proof: ProofKind) -> HttpResponse:
    """To the second step where there is one; otherwise they are in."""
    return signing_in.to_second_step(request, user, next_, proof) or _finish(request, user, next_, proof)


def _finish(
    request: HttpRequest, user: User, next_: str, first: ProofKind, second: ProofKind = ProofKind.NONE
) -> HttpResponse:
    response = signing_in.finish(request, user, next_)
    sign_ins.signed_in(user, first=first, second=second)
    return response


def _provider(slug: str) -> Provider:
    provider: Provider | None = settings.IDENTITY_PROVIDERS.get(slug)
    if provider is None:
        raise Http404
    return provider


def _attempt(request: HttpRequest, kind: str, email: str = "") -> SignInAttempt:
    browser = known_browsers.browser_of(request) if kind in _STRANGERS_TOO else ""
    return SignInAttempt(ip=request.META.get("REMOTE_ADDR", ""), email=email, kind=kind, browser=browser)
