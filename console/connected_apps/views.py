from dataclasses import dataclass
from functools import partial

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.accounts import presence
from console.accounts.presence import PresenceAct
from console.accounts.request_user import user_of
from console.audit import queries as call_queries
from console.charts import figures
from console.charts.figures import BarChart
from console.connected_apps import grants
from console.connected_apps import queries as app_queries
from console.connected_apps.forms import MOST_CALLS, RateForm
from console.connected_apps.models import ConnectedApp
from console.connections.views import limits_page
from console.errors import Code, Refusal
from console.halts import services as halts
from console.orders.checks import daily_usage, limit_usage
from console.orders.checks.limit_rules import LimitUsage
from console.orders.models import Order
from console.recent_errors import queries as call_counts
from console.recent_errors import rollup
from console.recent_errors.queries import CallCounts
from console.toolsets import ALWAYS, LABELS, Toolset, listed, provided, size, switched_on

_ORDERS_SHOWN = 5


def _own(request: HttpRequest, pk: int) -> ConnectedApp:
    return get_object_or_404(
        ConnectedApp.objects.select_related("connection", "client"),
        pk=pk,
        owner=user_of(request),
        activated_at__isnull=False,
    )


@require_safe
def list_(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    ended = ConnectedApp.objects.filter(owner=user, activated_at__isnull=False, revoked_at__isnull=False)
    rollup.catch_up()
    apps = list(app_queries.active_apps(user))
    counts = call_counts.calls_of_apps(app.pk for app in apps)
    context = {
        "apps": [(app, counts[app.pk]) for app in apps],
        "ended": ended.select_related("connection", "client").order_by("-revoked_at")[:100],
    }
    return render(request, "connected_apps/list.html", context)


@dataclass(frozen=True, slots=True, kw_only=True)
class Set:
    """One set of tools, as the owner sees it beside its switch."""

    name: str
    title: str
    words: str
    tools: int
    size: int
    is_on: bool
    is_always: bool


def _sets(app: ConnectedApp) -> list[Set]:
    """Those that hold a tool for this app; every one where this process does not know the tools."""
    granted, broker = app.granted, app.connection.broker
    all_on = list(Toolset)
    inside = {
        each: listed([tool for tool in provided() if tool.toolset is each], granted, all_on, broker) for each in Toolset
    }
    return [
        Set(
            name=each.value,
            title=LABELS[each][0],
            words=LABELS[each][1],
            tools=len(inside[each]),
            size=size(inside[each]),
            is_on=switched_on(app.toolsets, each),
            is_always=each is ALWAYS,
        )
        for each in Toolset
        if inside[each] or not provided()
    ]


def calls_chart(counts: CallCounts) -> BarChart | None:
    """None where there was no call in the month."""
    if not counts.month:
        return None
    keys = [("plain", "Done"), ("loss", "Refused or failed")]
    return figures.stacked(call_counts.by_day(counts), label="Calls by day, 30 days", name="Day", keys=keys)


@require_safe
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    app = _own(request, pk)
    rollup.catch_up()
    calls = call_queries.own_calls(user_of(request)).filter(app_id=app.pk).order_by("-id")
    counts = call_counts.calls_of_apps([app.pk])[app.pk]
    sets = [] if app.revoked_at or app.is_signal else _sets(app)
    context = {
        "app": app,
        "sets": sets,
        "listed_tools": sum(each.tools for each in sets if each.is_on),
        "listed_bytes": sum(each.size for each in sets if each.is_on),
        "calls": calls[:10],
        "later": calls.filter(at__gt=app.revoked_at).count() if app.revoked_at else 0,
        "keys": app.api_keys.all(),
        "counts": counts,
        "chart": calls_chart(counts),
        "tokens": app.access_tokens.filter(expires__gt=timezone.now()).count() if not app.revoked_at else 0,
        "stays": not app.revoked_at and app.refresh_tokens.filter(revoked=None).exists(),
        "orders": Order.objects.filter(app=app, parent=None).order_by("-pk")[:_ORDERS_SHOWN],
        "last_hour": call_queries.last_hour([app.pk]).get(app.pk, 0),
        "lines": limit_usage.limit_lines(
            app.limited, _use(app), app.connection, equity=app.connection.equity, now=timezone.now()
        ),
        "limits": app.limited,
        "rate": RateForm(initial={"calls_per_minute": app.calls_per_minute}),
        "halted": halts.halts_on(app.connection, app.pk).filter(account_id="").exists(),
    }
    return render(request, "connected_apps/detail.html", context)


def _use(app: ConnectedApp) -> LimitUsage:
    return daily_usage.app_usage(app, app.connection, timezone.now())


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def limits(request: HttpRequest, pk: int) -> HttpResponse:
    app = _own(request, pk)
    back = reverse("apps:detail", args=[pk])
    form = limits_page(request, app.limited, app.connection, partial(grants.set_limits, app), back, of=app.name)
    if isinstance(form, HttpResponse):
        return form
    spent = limit_usage.used_now(_use(app), app.connection, equity=app.connection.equity, now=timezone.now())
    context = {
        "app": app,
        "connection": app.connection,
        "form": form,
        "numbers": form.beside(spent),
        "back": back,
    }
    return render(request, "connections/limits.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    app = _own(request, pk)
    if request.method == "POST":
        if grants.revoke(app, by=user_of(request), reason="Revoked by its owner"):
            messages.success(request, f"{app.name} can no longer reach {app.connection.name}.")
        return redirect("apps:list")
    last_hour = call_queries.last_hour([app.pk]).get(app.pk, 0)
    return render(request, "connected_apps/revoke.html", {"app": app, "last_hour": last_hour})


@require_POST
def pause(request: HttpRequest, pk: int) -> HttpResponse:
    app = _own(request, pk)
    if grants.pause(app, by=user_of(request)):
        messages.success(request, f"{app.name} is paused. All its calls are refused until you resume it.")
    return redirect("apps:detail", pk)


def _require_proof(
    request: HttpRequest, act: PresenceAct, app: ConnectedApp, about: str
) -> presence.PresenceProof | HttpResponse:
    return presence.require_proof(
        request,
        act,
        about=about,
        back=reverse("apps:detail", args=[app.pk]),
        live=app.connection.is_live,
        environment=app.connection.environment,
    )


@never_cache
@require_POST
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    app = _own(request, pk)
    about = f"{app.name} can use {app.connection.name} again: {app.scope_label.lower()}."
    proved = _require_proof(request, PresenceAct.RESUME_APP, app, about)
    if isinstance(proved, HttpResponse):
        return proved
    if grants.resume(app, by=user_of(request)):
        messages.success(request, f"{app.name} works again.")
    return redirect("apps:detail", pk)


@require_POST
def narrow(request: HttpRequest, pk: int) -> HttpResponse:
    app = _own(request, pk)
    if grants.narrow(app, by=user_of(request)):
        messages.success(request, f"{app.name} can now only read. It stays connected.")
    return redirect("apps:detail", pk)


@never_cache
@require_POST
def toolsets(request: HttpRequest, pk: int) -> HttpResponse:
    """The ticked boxes are on, the other boxes off; a set that had no box stays as it is."""
    app = _own(request, pk)
    boxes = {each.name for each in _sets(app)}
    ticked = boxes & set(request.POST.getlist("on"))
    on = {Toolset(name) for name in ticked | (set(app.toolset_names) - boxes)}
    try:
        changed = grants.set_toolsets(app, on, by=user_of(request))
    except Refusal as refusal:
        if refusal.code is not Code.RE_AUTHENTICATION_REQUIRED:
            raise
        added = sorted(LABELS[each][0] for each in on if not switched_on(app.toolsets, each))
        proved = _require_proof(
            request, PresenceAct.TOOLSETS_ON, app, f"{app.name} also gets these tools: {', '.join(added)}."
        )
        if isinstance(proved, HttpResponse):
            return proved
        changed = grants.set_toolsets(app, on, by=user_of(request), may_widen=True)
    if changed:
        messages.success(request, f"{app.name} will see its new list of tools on its next call.")
    return redirect("apps:detail", pk)


@never_cache
@require_POST
def rate(request: HttpRequest, pk: int) -> HttpResponse:
    """How many calls a minute it may make; empty: no limit of its own."""
    app, by, form = _own(request, pk), user_of(request), RateForm(request.POST)
    if not form.is_valid():
        messages.error(request, f"Write a whole number from 1 to {MOST_CALLS:,} or nothing. Nothing was changed.")
        return redirect("apps:detail", pk)
    calls = form.cleaned_data["calls_per_minute"]
    try:
        changed = grants.set_rate(app, calls, by=by)
    except Refusal as refusal:
        if refusal.code is not Code.RE_AUTHENTICATION_REQUIRED:
            raise
        about = f"{app.name} may make {'as many calls as you' if calls is None else f'{calls:,} calls'} a minute."
        proved = _require_proof(request, PresenceAct.WIDEN_LIMITS, app, about)
        if isinstance(proved, HttpResponse):
            return proved
        changed = grants.set_rate(app, calls, by=by, may_widen=True)
    messages.success(request, "The limit applies from its next call." if changed else "Nothing was changed.")
    return redirect("apps:detail", pk)


@never_cache
@require_POST
def asking(request: HttpRequest, pk: int) -> HttpResponse:
    """Whether its user is asked in the assistant's program before an order goes."""
    app, by = _own(request, pk), user_of(request)
    asks = request.POST.get("ask") == "yes"
    try:
        changed = grants.set_asking(app, asks, by=by)
    except Refusal as refusal:
        if refusal.code is not Code.RE_AUTHENTICATION_REQUIRED:
            raise
        about = f"{app.name} no longer asks you in its own window. It confirms an order once you agreed in the chat."
        proved = _require_proof(request, PresenceAct.STOP_ASKING, app, about)
        if isinstance(proved, HttpResponse):
            return proved
        changed = grants.set_asking(app, asks, by=by, may_loosen=True)
    if changed and asks:
        messages.success(request, f"{app.name} asks you before an order goes, where its program can.")
    elif changed:
        messages.success(request, f"{app.name} no longer asks you in its own window.")
    return redirect("apps:detail", pk)
