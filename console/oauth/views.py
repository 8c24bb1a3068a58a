"""The authorization server's pages and endpoints: parse, call one service, render."""

from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from csp.decorators import csp_replace
from django.conf import settings
from django.contrib.auth import logout
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from console import scopes
from console.accounts import presence
from console.accounts.presence import PresenceAct
from console.accounts.request_user import user_of
from console.clients import metadata_documents, redirect_uri_rules, registration
from console.clients.models import Client
from console.clients.registration import ClosedDoor
from console.connected_apps import grants
from console.oauth import authorization, consent_digest, dynamic_registration, metadata, pending_authorizations, toolkit
from console.oauth.authorization import AuthorizationRequest
from console.oauth.decorators import error, public_endpoint
from console.oauth.forms import ConsentForm
from console.oauth.models import PendingConsent
from console.oauth.toolkit import errors
from console.scopes import Scope


@public_endpoint("GET", "HEAD")
def protected_resource_metadata(request: HttpRequest) -> HttpResponse:
    return JsonResponse(metadata.protected_resource(request.get_host()))


@public_endpoint("GET", "HEAD")
def authorization_server_metadata(request: HttpRequest) -> HttpResponse:
    return JsonResponse(metadata.authorization_server())


@public_endpoint("GET", "HEAD", "POST")
def not_found(request: HttpRequest) -> HttpResponse:
    """Hosts probe for documents we do not have; a redirect to the sign-in page would mislead them."""
    return error("not_found", "There is no such document here.", status=404)


@public_endpoint("POST")
def register_client(request: HttpRequest) -> HttpResponse:
    """RFC 7591 section 3."""
    ip = request.META.get("REMOTE_ADDR", "")
    try:
        if settings.SELF_REGISTRATION == "off":
            raise ClosedDoor
        asked = _registration(request)
        if not dynamic_registration.within_limit(ip):
            return _too_many()
        answer = dynamic_registration.register(asked, ip=ip)
    except ClosedDoor as closed:
        return error("access_denied", str(closed), status=403)
    except dynamic_registration.BadRegistration as refused:
        return error(refused.error, str(refused))
    return _json_response(answer, status=201)


@public_endpoint("GET", "PUT", "DELETE")
def manage_client(request: HttpRequest, client_id: str) -> HttpResponse:
    """RFC 7592 section 2: a client that registered itself reads, replaces or removes its registration."""
    scheme, _, token_ = request.headers.get("Authorization", "").partition(" ")
    client = registration.managed_by(client_id, token_.strip()) if scheme.lower() == "bearer" else None
    if client is None:
        response = error("invalid_token", "The registration access token does not belong to this client.", status=401)
        response["WWW-Authenticate"] = 'Bearer error="invalid_token"'
        return response
    if request.method == "DELETE":
        grants.delete_client(client, by=None)
        return HttpResponse(status=204, headers={"Cache-Control": "no-store"})
    if request.method == "PUT":
        try:
            if settings.SELF_REGISTRATION == "off":
                raise ClosedDoor
            if not dynamic_registration.within_limit(request.META.get("REMOTE_ADDR", "")):
                return _too_many()
            dynamic_registration.replace(client, _registration(request))
        except ClosedDoor as closed:
            return error("access_denied", str(closed), status=403)
        except dynamic_registration.BadRegistration as refused:
            return error(refused.error, str(refused))
    return _json_response(dynamic_registration.describe(client), status=200)


def _registration(request: HttpRequest) -> dynamic_registration.Registration:
    too_large = dynamic_registration.BadRegistration(
        "invalid_client_metadata", "The body is too large for a registration."
    )
    if int(request.META.get("CONTENT_LENGTH") or 0) > dynamic_registration.MAX_BODY_BYTES:
        raise too_large
    try:
        return dynamic_registration.parse(request.body)
    except SuspiciousOperation as error:
        raise too_large from error


def _too_many() -> HttpResponse:
    response = error(
        "temporarily_unavailable", "Too many registrations from this address. Try again later.", status=429
    )
    response["Retry-After"] = "3600"
    return response


def _json_response(answer: dict[str, Any], *, status: int) -> HttpResponse:
    return JsonResponse(answer, status=status, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})


@public_endpoint("POST")
@sensitive_post_parameters()
def token(request: HttpRequest) -> HttpResponse:
    """RFC 6749 section 3.2. One transaction from the look at a code or token to the pair it gives."""
    if refused := _not_a_form(request):
        return refused
    with transaction.atomic():
        return toolkit.token_response(request)


@public_endpoint("POST")
@sensitive_post_parameters()
def revoke(request: HttpRequest) -> HttpResponse:
    """RFC 7009 section 2. An unknown token is answered like a known one."""
    if refused := _not_a_form(request):
        return refused
    with transaction.atomic():
        return toolkit.revocation_response(request)


@never_cache
@require_http_methods(["GET", "HEAD"])
def authorize(request: HttpRequest) -> HttpResponse:
    """RFC 6749 section 4.1.1. A valid request is kept here and waits for the person under a handle."""
    try:
        _know_document(request)
        authorization.read(request.GET)
    except metadata_documents.DocumentRefused as refused:
        context = {"address": request.GET["client_id"], "reason": str(refused)}
        return render(request, "oauth/document_refused.html", context, status=400)
    except errors.FatalClientError as fatal:
        return _refused(request, request.GET, fatal)
    except errors.OAuth2Error as failed:
        return _failed(failed)
    return redirect("oauth2_provider:consent", pending_authorizations.store(request, request.GET))


def _know_document(request: HttpRequest) -> None:
    sent = request.GET.getlist("client_id")
    if len(sent) == 1 and metadata_documents.is_address(sent[0]):
        metadata_documents.resolve(sent[0], ip=request.META.get("REMOTE_ADDR", ""))


# No form-action: Chromium applies it to every redirect that follows the form, and a host's callback may go on
# to its own program's scheme.
@csp_replace({"form-action": None})  # type: ignore[arg-type]  # it is typed for views without arguments
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def consent(request: HttpRequest, handle: str) -> HttpResponse:
    """The request behind a handle, until it is answered. The form holds the person's choice and no more."""
    try:
        waiting = pending_authorizations.find(request, handle)
    except pending_authorizations.OtherSession as elsewhere:
        return _again(elsewhere.query)
    if waiting is None:
        return render(request, "oauth/ended.html", status=410)
    query = QueryDict(waiting.query)
    try:
        asked = authorization.read(query)
    except errors.FatalClientError as fatal:
        return _refused(request, query, fatal)
    except errors.OAuth2Error as failed:
        return _failed(failed)
    choice = request.POST.get("choice")
    if choice == "switch":
        pending_authorizations.consume(waiting)
        logout(request)
        return _again(waiting.query)
    if choice == "cancel":
        pending_authorizations.consume(waiting)
        return _to_client(asked.answer(error="access_denied", error_description="The user declined."))
    if asked.client.awaits_review:
        return render(request, "oauth/awaits_review.html", {"client": asked.client}, status=403)
    return _decide(request, waiting, asked, allowing=choice == "allow")


def _decide(
    request: HttpRequest, waiting: PendingConsent, asked: AuthorizationRequest, *, allowing: bool
) -> HttpResponse:
    owner = user_of(request)
    form = ConsentForm(request.POST if allowing else None, owner=owner, offered=asked.offered)
    if not form.is_valid():
        return _consent_page(request, asked, form)
    sent = request.POST.get("shown", "")
    if changed := consent_digest.changed_parts(sent, consent_digest.digests(asked, form.connections)):
        return _consent_page(request, asked, form, changed)
    connection, granted = form.cleaned_data["connection"], form.granted
    asks = form.chosen_ask == "yes" or Scope.TRADE not in granted
    if Scope.TRADE in granted:
        unasked = "" if asks else " It does not ask you in its own window before an order goes."
        proved = presence.require_proof(
            request,
            PresenceAct.GRANT,
            about=f"The app that calls itself {asked.client.name} can read {connection.name} and prepare orders there."
            f"{unasked}",
            back=request.path,
            live=connection.is_live,
            environment=connection.environment,
        )
        if isinstance(proved, HttpResponse):
            return proved
    with transaction.atomic():
        # Whoever changes the client waits for this, or has done it: then the page is shown again, with what it is now.
        held = replace(asked, client=Client.objects.select_for_update().get(pk=asked.client.pk))
        if not held.client.is_usable(request) or consent_digest.changed_parts(
            sent, consent_digest.digests(held, form.connections)
        ):
            return redirect(request.path)
        if not pending_authorizations.consume(waiting):
            return render(request, "oauth/ended.html", status=410)
        code = authorization.allow(asked, owner, connection, granted, ask_in_assistant=asks)
    return _to_client(asked.answer(code=code))


def _consent_page(
    request: HttpRequest, asked: AuthorizationRequest, form: ConsentForm, changed: list[str] | None = None
) -> HttpResponse:
    trade_words = scopes.describe(Scope.TRADE)
    context = {
        "client": asked.client,
        "destination": Destination.of(asked.redirect_uri),
        "form": form,
        "shown": consent_digest.to_field(consent_digest.digests(asked, form.connections)),
        "changed": changed,
        "read_words": scopes.describe(Scope.READ),
        "trade_words": f"Also {trade_words[0].lower()}{trade_words[1:]}",
        "add_connection": f"{reverse('connections:add')}?{urlencode({'next': request.path})}",
    }
    status = 409 if changed else 400 if form.is_bound else 200
    return render(request, "oauth/consent.html", context, status=status)


def _again(query: str) -> HttpResponse:
    return redirect(f"{reverse('oauth2_provider:authorize')}?{query}")


def _failed(failed: errors.OAuth2Error) -> HttpResponse:
    return _to_client(
        authorization.answer(
            failed.redirect_uri, failed.state or "", error=failed.error, error_description=failed.description
        )
    )


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the browser goes next, in words a person can check."""

    host: str
    path: str
    is_local: bool

    @classmethod
    def of(cls, uri: str) -> "Destination":
        parts = urlsplit(uri)
        if parts.scheme not in ("https", "http"):
            return cls(f"{parts.scheme}://{parts.netloc}", parts.path, is_local=True)
        return cls(parts.netloc, parts.path, is_local=parts.scheme == "http")


def _refused(request: HttpRequest, query: QueryDict, fatal: errors.FatalClientError) -> HttpResponse:
    """RFC 6749 section 4.1.2.1: with a client or an address we do not know, the person is told and stays here."""
    client = Client.objects.filter(client_id=query.get("client_id", "").replace("\x00", "")).first()
    if isinstance(fatal, errors.InvalidClientIdError | errors.MissingClientIdError) or client is None:
        template, context = "oauth/unknown_client.html", {}
    elif (sent := query.get("redirect_uri")) is not None and not client.redirect_uri_allowed(sent):
        template = "oauth/wrong_redirect.html"
        context = {
            "client": client,
            "sent": sent,
            "registered": client.redirect_uris.split(),
        }
    else:
        template, context = "oauth/damaged.html", {"client": client, "reason": fatal.description}
    return render(request, template, context, status=400)


def _to_client(url: str) -> HttpResponse:
    return toolkit.redirect(url, redirect_uri_rules.SCHEMES)


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
