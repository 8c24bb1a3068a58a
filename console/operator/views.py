from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.accounts import presence
from console.accounts.models import User
from console.accounts.presence import PresenceAct
from console.accounts.request_user import operators_only, user_of
from console.audit import paging
from console.audit.seals import state
from console.clients import registration
from console.clients.models import Client
from console.connected_apps import grants
from console.connections import order_streams
from console.connections.health import state as connection_state
from console.halts import services as halts
from console.operator import access, broker_checks, sweeps
from console.operator import reach as reaching
from console.operator import system as instance

_STATES = {
    "ok": "Works",
    "error": "Error",
    "sign_in_again": "Sign in again at the broker",
    "paused": "Paused",
    "not_checked": "Not checked yet",
}


def _words(request: HttpRequest) -> str:
    return request.GET.get("q", "").strip()[:100]


@never_cache
@operators_only
@require_safe
def system(request: HttpRequest) -> HttpResponse:
    now = timezone.now()
    waiting, failed = instance.letters()
    context = {
        "record": state.of_record(),
        "figures": instance.record(),
        "queue": instance.queue(),
        "sweeps": sweeps.sweeps(now),
        "speeds": broker_checks.speeds(now),
        "database": instance.database(),
        "versions": instance.versions(),
        "keys": instance.keys(),
        "backup": instance.last_backup(),
        "letters_waiting": waiting,
        "letters_failed": failed,
        "streams": order_streams.counts(),
    }
    return render(request, "operator/system.html", context)


@never_cache
@operators_only
@require_http_methods(["GET", "HEAD", "POST"])
def reach(request: HttpRequest) -> HttpResponse:
    findings = reaching.examine() if request.method == "POST" else []
    return render(request, "operator/reach.html", {"findings": findings, "command": reaching.command()})


@never_cache
@login_not_required
@require_safe
def drip(request: HttpRequest) -> HttpResponseBase:
    """A short stream for the check of ``reach``, which comes from outside and so without a session."""
    if not reaching.is_pass(request.GET.get("pass", "")):
        raise Http404
    return StreamingHttpResponse(reaching.drip(), content_type="text/event-stream")


@never_cache
@operators_only
@require_safe
def clients(request: HttpRequest) -> HttpResponse:
    words = _words(request)
    context = {
        "page": paging.page(access.clients(words), request.GET.get("before", "")),
        "words": words,
        "unused": access.unused_clients().count(),
    }
    return render(request, "operator/clients.html", context)


@operators_only
@require_POST
def block_client(request: HttpRequest, pk: int) -> HttpResponse:
    client = get_object_or_404(Client, pk=pk, deleted_at=None)
    if grants.refuse_client(client, by=user_of(request)):
        messages.success(
            request, f"{client.name} is blocked. Nobody can sign in through it, and its grants have ended."
        )
    return redirect("operator:clients")


@never_cache
@operators_only
@require_POST
def unblock_client(request: HttpRequest, pk: int) -> HttpResponse:
    client = get_object_or_404(Client, pk=pk, deleted_at=None)
    about = f"People here can connect the app that calls itself {client.name} again. Grants that ended stay ended."
    back = reverse("operator:clients")
    proved = presence.require_proof(request, PresenceAct.ACCEPT_CLIENT, about=about, back=back)
    if isinstance(proved, HttpResponse):
        return proved
    if registration.allow_again(client, by=user_of(request)):
        messages.success(request, f"{client.name} is no longer blocked.")
    return redirect("operator:clients")


@operators_only
@require_POST
def prune_clients(request: HttpRequest) -> HttpResponse:
    gone = access.prune_unused(by=user_of(request))
    messages.success(request, f"{gone} unused client{'' if gone == 1 else 's'} deleted.")
    return redirect("operator:clients")


@never_cache
@operators_only
@require_safe
def all_grants(request: HttpRequest) -> HttpResponse:
    words = _words(request)
    found = access.active_grants(words)
    context = {"page": paging.page(found, request.GET.get("before", "")), "words": words, "count": found.count()}
    return render(request, "operator/grants.html", context)


@operators_only
@require_POST
def revoke_grant(request: HttpRequest, pk: int) -> HttpResponse:
    app = get_object_or_404(access.active_grants(), pk=pk)
    if access.revoke(app, by=user_of(request)):
        messages.success(request, f"{app.name} of {app.owner.email} can no longer reach {app.connection.name}.")
    return redirect("operator:grants")


@never_cache
@operators_only
@require_http_methods(["GET", "HEAD", "POST"])
def revoke_all(request: HttpRequest, of: str = "", pk: int = 0) -> HttpResponse:
    """Of a person, of a client, or everything. It asks first; it takes no proof, for it lets nobody do more."""
    person = get_object_or_404(User, pk=pk) if of == "person" else None
    client = get_object_or_404(Client, pk=pk, deleted_at=None) if of == "client" else None
    whose = person.email if person else f"everyone through {client.name}" if client else "everyone"
    if request.method == "POST":
        gone = access.revoke_all(by=user_of(request), person=person, client=client)
        messages.success(request, f"{gone} grant{'' if gone == 1 else 's'} of {whose} revoked.")
        return redirect("operator:grants")
    found = access.active_grants()
    found = found.filter(owner=person) if person else found.filter(client=client) if client else found
    context = {"whose": whose, "count": found.count(), "keeps_keys": client is not None}
    return render(request, "operator/revoke.html", context)


@never_cache
@operators_only
@require_safe
def connections(request: HttpRequest) -> HttpResponse:
    words = _words(request)
    page = paging.page(access.connections(words), request.GET.get("before", ""))
    context = {
        "page": page,
        "rows": [(each, _STATES[connection_state(each)], connection_state(each)) for each in page.rows],
        "words": words,
    }
    return render(request, "operator/connections.html", context)


@never_cache
@operators_only
@require_safe
def all_halts(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    page = paging.page(access.halts(), request.GET.get("before", ""))
    context = {"page": page, "rows": [(each, halts.may_lift(each, user)) for each in page.rows]}
    return render(request, "operator/halts.html", context)
