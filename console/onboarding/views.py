from datetime import UTC, datetime
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET, require_POST, require_safe

from console.accounts import presence
from console.accounts.models import User
from console.accounts.presence import PresenceAct
from console.accounts.request_user import user_of
from console.connected_apps.models import ConnectedApp
from console.errors import Code, Refusal
from console.oauth import metadata
from console.onboarding import desktop_bundle as bundles
from console.onboarding import first_call, guides, hosts, mcp_registry_entry, playground
from console.onboarding.forms import PlaygroundForm
from console.onboarding.guide import Runs
from console.scopes import Scope

_SECTIONS = (
    (Runs.HERE, "On your computer", "They call from your computer."),
    (
        Runs.INTERNET,
        "On the web",
        "The vendor’s servers make the calls, so this instance needs a public https address.",  # noqa: RUF001
    ),
    (Runs.SCRIPT, "Scripts and tools", "For your own programs, and for debugging."),
)


@require_safe
def connect(request: HttpRequest) -> HttpResponse:
    """Every host there is a guide for."""
    place = guides.place_of()
    table = hosts.table(place)
    sections = [
        (title, about, [(guide, guides.warning(guide, place)) for guide in table if guide.runs is runs])
        for runs, title, about in _SECTIONS
    ]
    context = {
        "sections": sections,
        "place": place,
        "documents": _documents(),
        "is_listable": mcp_registry_entry.server_json(place, settings.VERSION) is not None,
    }
    return render(request, "onboarding/connect.html", context)


@require_safe
def guide(request: HttpRequest, slug: str) -> HttpResponse:
    place = guides.place_of(user_of(request), slug)
    found = guides.find(slug, place)
    if found is None:
        raise Http404
    context = {
        "guide": found,
        "place": place,
        "warning": guides.warning(found, place),
        "note": guides.note_on_reach(found, place),
        "documents": _documents(),
        "since": timezone.now().isoformat(),
        "heard": None,
    }
    return render(request, "onboarding/guide.html", context)


@never_cache
@login_not_required
@require_GET
def heard(request: HttpRequest) -> HttpResponse:
    """The part of a guide that notices the first call."""
    since = _moment(request.GET.get("since", ""))
    if not isinstance(request.user, User) or since is None:
        return HttpResponse(headers={"HX-Refresh": "true"})
    context = {"since": since.isoformat(), "heard": first_call.heard_since(request.user, since)}
    return render(request, "onboarding/heard.html", context)


def _moment(text: str) -> datetime | None:
    """In UTC; None where it is no time, names no zone, or is out of range there."""
    try:
        found = parse_datetime(text)
        return None if found is None or timezone.is_naive(found) else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


@require_safe
def desktop_bundle(request: HttpRequest) -> HttpResponse:
    """What Claude Desktop installs. It holds the address of this instance and no secret."""
    made = bundles.build(guides.place_of(), settings.VERSION)
    disposition = f'attachment; filename="{bundles.FILE_NAME}"'
    return HttpResponse(made, content_type="application/octet-stream", headers={"Content-Disposition": disposition})


@require_safe
def server_json(request: HttpRequest) -> HttpResponse:
    """The entry for the MCP registry, where this instance can be listed there."""
    entry = mcp_registry_entry.server_json(guides.place_of(), settings.VERSION)
    if entry is None:
        raise Http404
    return JsonResponse(entry, json_dumps_params={"indent": 2, "ensure_ascii": False})


def _documents() -> list[tuple[str, str]]:
    """What a host may ask for by name, with this instance's address of it."""
    server = metadata.authorization_server()
    return [
        ("MCP address", settings.MCP_URL),
        ("Authorization URL", server["authorization_endpoint"]),
        ("Token URL", server["token_endpoint"]),
        *([("Registration URL", server["registration_endpoint"])] if "registration_endpoint" in server else []),
        ("Scopes", " ".join(metadata.SCOPES)),
    ]


@never_cache
@require_safe
def play(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    asked = request.GET.get("app", "")
    chosen = {"app": asked} if asked.isdecimal() else {}
    return _playground(request, user, PlaygroundForm(owner=user, initial=chosen))


def _playground(
    request: HttpRequest, user: User, form: PlaygroundForm, opened: dict[str, Any] | None = None
) -> HttpResponse:
    has_app = playground.choices(user).exists()
    context = {"form": form, "has_app": has_app, "version": settings.VERSION, "opened": opened}
    return render(request, "onboarding/playground.html", context)


@sensitive_variables()
@never_cache
@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """The secret goes into the body of this one answer, to the page's script, and is kept nowhere.

    The script asks with ``answer=json``. What takes a proof it sends as a form, whose answer is a page.
    """
    user = user_of(request)
    form = PlaygroundForm(request.POST, owner=user)
    to_script = request.POST.get("answer") == "json"
    try:
        if not form.is_valid():
            gone = "That app no longer exists. Reload the page and choose another."
            raise Refusal(Code.NOT_FOUND, gone)
        if Scope.TRADE in form.granted:
            if to_script:
                raise Refusal(Code.RE_AUTHENTICATION_REQUIRED, "To trade, first confirm that it is you.")
            proved = _require_proof_to_trade(request, form.cleaned_data["app"])
            if isinstance(proved, HttpResponse):
                return proved
        playground.end_expired(timezone.now())
        opened = playground.start(user, form.cleaned_data["app"], form.granted)
    except Refusal as refusal:
        if to_script:
            status = 404 if refusal.code is Code.NOT_FOUND else 403
            return JsonResponse({"code": refusal.code, "message": str(refusal)}, status=status)
        messages.error(request, str(refusal))
        return redirect("playground")
    app = opened.key.app
    told = {
        "secret": opened.secret,
        "hint": opened.key.hint,
        "public_id": opened.key.public_id,
        "name": app.name,
        "url": reverse("apps:detail", args=[app.pk]),
        "connection": app.connection.name,
        "environment": app.connection.environment,
        "may": app.scope_label,
        "seconds": int(playground.LASTS.total_seconds()),
    }
    return JsonResponse(told, status=201) if to_script else _playground(request, user, form, told)


def _require_proof_to_trade(request: HttpRequest, app: ConnectedApp) -> presence.PresenceProof | HttpResponse:
    return presence.require_proof(
        request,
        PresenceAct.START_PLAYGROUND,
        about=f"For ten minutes, the playground can do on {app.connection.name} whatever {app.name} can.",
        back=reverse("playground"),
        live=app.connection.is_live,
        environment=app.connection.environment,
    )


@require_POST
def stop(request: HttpRequest) -> HttpResponse:
    playground.stop(user_of(request), request.POST.get("key", ""))
    return HttpResponse(status=204)
