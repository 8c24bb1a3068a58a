"""The authorization server's pages and endpoints: parse, call one verb, render."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from csp.decorators import csp_replace
from django.contrib.auth import logout
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import render
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from console import scopes
from console.accounts.models import User
from console.clients import rules
from console.clients.models import Client
from console.oauth import authorization, metadata, register, toolkit
from console.oauth.authorization import AuthorizationRequest
from console.oauth.forms import ConsentForm
from console.oauth.public import error, public
from console.oauth.toolkit import errors
from console.scopes import Scope


@public("GET", "HEAD")
def protected_resource_metadata(request: HttpRequest) -> HttpResponse:
    return JsonResponse(metadata.protected_resource())


@public("GET", "HEAD")
def authorization_server_metadata(request: HttpRequest) -> HttpResponse:
    return JsonResponse(metadata.authorization_server())


@public("GET", "HEAD", "POST")
def not_found(request: HttpRequest) -> HttpResponse:
    """Hosts probe for documents we do not have; a redirect to the sign-in page would mislead them."""
    return error("not_found", "There is no such document here.", status=404)


@public("POST")
def register_client(request: HttpRequest) -> HttpResponse:
    """RFC 7591 section 3."""
    ip = request.META.get("REMOTE_ADDR", "")
    try:
        if int(request.META.get("CONTENT_LENGTH") or 0) > register.MAX_BODY_BYTES:
            return error("invalid_client_metadata", "The body is too large for a registration.")
        asked = register.parse(request.body)
        if not register.within_limit(ip):
            response = error(
                "temporarily_unavailable", "Too many registrations from this address. Try later.", status=429
            )
            response["Retry-After"] = "3600"
            return response
        answer = register.register(asked, ip=ip)
    except register.BadRegistration as refused:
        return error(refused.error, str(refused))
    except SuspiciousOperation:
        return error("invalid_client_metadata", "The body is too large for a registration.")
    return JsonResponse(answer, status=201, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


@public("POST")
@sensitive_post_parameters()
def token(request: HttpRequest) -> HttpResponse:
    """RFC 6749 section 3.2. One transaction from the look at a code or token to the pair it gives."""
    if refused := _not_a_form(request):
        return refused
    with transaction.atomic():
        return toolkit.token_response(request)


@public("POST")
@sensitive_post_parameters()
def revoke(request: HttpRequest) -> HttpResponse:
    """RFC 7009 section 2. An unknown token is answered like a known one."""
    if refused := _not_a_form(request):
        return refused
    with transaction.atomic():
        return toolkit.revocation_response(request)


# No form-action: Chromium applies it to every redirect that follows the form, and a host's callback may go on
# to its own program's scheme.
@csp_replace({"form-action": None})
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def authorize(request: HttpRequest) -> HttpResponse:
    """RFC 6749 section 4.1.1. The request stays in the URL; the form holds the person's choice and no more."""
    assert isinstance(request.user, User)
    try:
        asked = authorization.read(request.GET)
    except errors.FatalClientError as fatal:
        return _refused(request, fatal)
    except errors.OAuth2Error as failed:
        return _to_client(
            authorization.answer(
                failed.redirect_uri, failed.state or "", error=failed.error, error_description=failed.description
            )
        )
    choice = request.POST.get("choice")
    if choice == "switch":
        logout(request)
        return HttpResponseRedirect(request.get_full_path())
    if choice == "cancel":
        return _to_client(asked.answer(error="access_denied", error_description="The person said no."))
    form = ConsentForm(request.POST if choice == "allow" else None, owner=request.user, offered=asked.offered)
    if form.is_valid():
        chosen = form.cleaned_data["connection"]
        return _to_client(asked.answer(code=authorization.allow(asked, request.user, chosen, form.granted)))
    return _consent_page(request, asked, form)


def _consent_page(request: HttpRequest, asked: AuthorizationRequest, form: ConsentForm) -> HttpResponse:
    here = request.get_full_path()
    trade_words = scopes.WORDS[Scope.TRADE]
    context = {
        "client": asked.client,
        "destination": Destination.of(asked.redirect_uri),
        "form": form,
        "read_words": scopes.WORDS[Scope.READ],
        "trade_words": f"Also {trade_words[0].lower()}{trade_words[1:]}",
        "add_connection": f"/connections/add/?{urlencode({'next': here})}",
    }
    return render(request, "oauth/consent.html", context, status=400 if form.is_bound else 200)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the browser goes next, in words a person can check."""

    text: str
    is_local: bool

    @classmethod
    def of(cls, uri: str) -> "Destination":
        parts = urlsplit(uri)
        if parts.scheme not in ("https", "http"):
            return cls(uri, is_local=True)
        return cls(parts.netloc + parts.path, is_local=parts.scheme == "http")


def _refused(request: HttpRequest, fatal: errors.FatalClientError) -> HttpResponse:
    """RFC 6749 section 4.1.2.1: with a client or an address we do not know, the person is told and stays here."""
    client = Client.objects.filter(client_id=request.GET.get("client_id", "").replace("\x00", "")).first()
    if isinstance(fatal, errors.InvalidClientIdError | errors.MissingClientIdError) or client is None:
        template, context = "oauth/unknown_client.html", {}
    elif "redirect_uri" in request.GET and not client.redirect_uri_allowed(request.GET["redirect_uri"]):
        template = "oauth/wrong_redirect.html"
        context = {
            "client": client,
            "sent": request.GET["redirect_uri"],
            "registered": client.redirect_uris.split(),
        }
    else:
        template, context = "oauth/damaged.html", {"client": client, "reason": fatal.description}
    return render(request, template, context, status=400)


def _to_client(url: str) -> HttpResponse:
    return toolkit.redirect(url, rules.SCHEMES)


def _not_a_form(request: HttpRequest) -> HttpResponse | None:
    """RFC 6749 section 3.2: parameters come in a form-encoded body, and never in the URL."""
    if request.META.get("QUERY_STRING"):
        return error("invalid_request", "Send the parameters in the body, not in the URL.")
    if request.content_type != "application/x-www-form-urlencoded":
        return error("invalid_request", "Send the parameters as application/x-www-form-urlencoded.")
    try:
        _ = request.POST
    except (BadRequest, SuspiciousOperation):
        return error("invalid_request", "The body is too large or not valid form encoding.")
    return None
