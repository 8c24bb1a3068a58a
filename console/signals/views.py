import json
import logging
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_http_methods, require_safe

from console import tracing
from console.accounts import presence, single_submit
from console.accounts.presence import PresenceAct
from console.accounts.request_user import user_of
from console.audit import paging
from console.connections import queries as connection_queries
from console.errors import DATABASE_AWAY, DATABASE_RETRY_SECONDS, Code, Refusal, first_line
from console.signals import addresses, history, intake
from console.signals.addresses import Made
from console.signals.forms import AddressForm
from console.signals.intake import NOTHING_HERE, Delivery, Reply
from console.signals.mapping import Template, TextForm

log = logging.getLogger(__name__)

_LATEST = 20
_TRADINGVIEW = {
    "symbol": "{{ticker}}",
    "side": "{{strategy.order.action}}",
    "quantity": "{{strategy.order.contracts}}",
    "price": "{{close}}",
    "time": "{{timenow}}",
    "id": "{{ticker}}-{{strategy.order.action}}-{{strategy.order.contracts}}-{{strategy.position_size}}-{{timenow}}",
}
"""What TradingView writes each value for: its placeholders. Its order id is the author's text, often with blanks."""


@require_safe
def list_(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    mine = addresses.owned_by(user)
    context = {
        "addresses": mine.filter(app__revoked_at=None),
        "ended": mine.exclude(app__revoked_at=None)[:100],
        "signals": history.of_owner(user)[:_LATEST],
        "has_connection": connection_queries.open_connections(user).exists(),
    }
    return render(request, "signals/list.html", context)


@require_safe
def detail(request: HttpRequest, public_id: str) -> HttpResponse:
    user = user_of(request)
    address = get_object_or_404(addresses.owned_by(user), public_id=public_id)
    page = paging.page(history.of_owner(user).filter(address=address), request.GET.get("before", ""))
    context = {
        "address": address,
        "template": address.loaded,
        "limits": address.app.limited,
        "page": page,
        "signals": page.rows,
    }
    return render(request, "signals/detail.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    form = AddressForm(request.POST or None, owner=user)
    if request.method == "POST" and not single_submit.is_unused(request):
        messages.info(request, "This form was already sent. An address is shown only once; you can make another.")
        return redirect("signals:list")
    if request.method == "POST" and form.is_valid():
        connection = form.cleaned_data["connection"]
        proved = presence.require_proof(
            request,
            PresenceAct.MAKE_SIGNAL_ADDRESS,
            about=f"Whoever has the address and secret of {form.cleaned_data['name']} can prepare orders on "
            f"{connection.name}. You approve each of them.",
            back=reverse("signals:list"),
            live=connection.is_live,
            environment=connection.environment,
        )
        if isinstance(proved, HttpResponse):
            return proved
        try:
            made = addresses.make(user, connection, form.wanted)
        except Refusal as refusal:
            form.add_error("instruments" if refusal.field == "symbols" else None, str(refusal))
        else:
            single_submit.use_token(request)
            return _made(request, made)
    context = {
        "form": form,
        "has_connection": connection_queries.open_connections(user).exists(),
        "once": request.POST.get("once") or single_submit.issue_token(request),
    }
    return render(request, "signals/new.html", context)


@sensitive_variables("made")
def _made(request: HttpRequest, made: Made) -> HttpResponse:
    context = {
        "address": made.address,
        "url": f"{settings.PUBLIC_URL}/signals/in/{made.part}",
        "secret": made.secret,
        "example": _example(made.address.loaded, made.secret),
    }
    return render(request, "signals/made.html", context)


def _example(template: Template, secret: str) -> str:
    """A text that fits the address, with TradingView's placeholders."""
    told = {template.secret: secret} if template.secret else {}
    told |= {getattr(template, name): value for name, value in _TRADINGVIEW.items() if getattr(template, name)}
    if template.form is TextForm.PAIRS:
        return "\n".join(f"{name}={value}" for name, value in told.items())
    nested: dict[str, Any] = {}
    for name, value in told.items():
        *parents, last = name.split(".")
        inside = nested
        for each in parents:
            inside = inside.setdefault(each, {})
        inside[last] = value
    return json.dumps(nested, indent=2)


@login_not_required
@csrf_exempt  # no cookie is read here
@sensitive_variables("part")
def receive(request: HttpRequest, part: str) -> HttpResponse:
    """Where senders post. What is not theirs to know looks like an address that does not exist."""
    reply = NOTHING_HERE if request.method != "POST" else _taken(request, part)
    answer = JsonResponse(reply.told, status=reply.status)
    answer["Cache-Control"] = "no-store"
    if reply.retry_after is not None:
        answer["Retry-After"] = str(reply.retry_after)
    answer._has_been_logged = True  # type: ignore[attr-defined]  # of Django: its line would hold the whole address
    return answer


@sensitive_variables("part")
def _taken(request: HttpRequest, part: str) -> Reply:
    """Whatever fails is answered here: nobody else writes the address into a log."""
    request_id = tracing.current_request_id()
    try:
        body = request.read(intake.MOST_BYTES + 1)
        return intake.receive(
            Delivery(
                part=part,
                body=body if len(body) <= intake.MOST_BYTES else None,
                content_type=request.content_type or "",
                headers={name.lower(): value for name, value in request.headers.items()},
                ip=str(request.META.get("REMOTE_ADDR", "")),
                user_agent=request.headers.get("User-Agent", ""),
                request_id=request_id,
            )
        )
    except DATABASE_AWAY as error:
        log.error("The database did not answer a signal in request %s: %s", request_id, first_line(error))
        return Reply(status=503, told={"error": Code.DATABASE_UNAVAILABLE.value}, retry_after=DATABASE_RETRY_SECONDS)
    except Exception as error:
        log.error("A signal failed in request %s (%s)", request_id, type(error).__name__)
        return Reply(status=500, told={"error": Code.INTERNAL_ERROR.value})
