from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from brokers.types import Environment
from console import limits as bounds
from console.accounts import presence, second_factors, single_submit
from console.accounts.presence import PresenceAct
from console.accounts.request_user import user_of
from console.audit import log as audit_log
from console.audit import queries as call_queries
from console.connected_apps import queries as app_queries
from console.connections import gateways, health, link_specs, linking, order_streams
from console.connections import queries as connection_queries
from console.connections import services as connections
from console.connections.forms import CredentialsForm, LimitsForm, LinkForm, PaperConnectionForm
from console.connections.link_specs import KINDS, LinkSpec
from console.connections.models import LONGEST_CONFIRMATION_DELAY, Connection, Policy
from console.desk import portfolio
from console.elapsed import span_text
from console.errors import Code, Refusal
from console.halts import services as halts
from console.limits import Limits
from console.onboarding import connection_lifecycle
from console.orders import queries as order_queries
from console.orders.checks import daily_usage, limit_usage
from console.orders.models import Order
from console.orders.owner import standing_rules
from console.orders.states import ENDED, OPEN
from console.practice import services as practice

_WORKING = 20


def _own(request: HttpRequest, pk: int) -> Connection:
    return get_object_or_404(connection_queries.open_connections(user_of(request)), pk=pk)


def _local(request: HttpRequest, address: str) -> str:
    """``address`` if it leads back into this console, else nothing: a link must not carry a person elsewhere."""
    fits = url_has_allowed_host_and_scheme(
        address, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return address if fits else ""


@require_safe
def list_(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    apps = Counter(app_queries.active_apps(user).order_by().values_list("connection_id", flat=True))
    rows = [(line, apps[line.connection.pk]) for line in portfolio.load(user, timezone.now()).lines]
    return render(request, "connections/list.html", {"rows": rows})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    back_to = _local(request, request.POST.get("next") or request.GET.get("next", ""))
    form = PaperConnectionForm(request.POST or None)
    if request.method == "POST" and not single_submit.is_unused(request):
        messages.info(request, "This form was already sent. A key is shown only once; you can make another.")
        return redirect("connections:list")
    if request.method == "POST" and form.is_valid():
        try:
            connection, raw = connection_lifecycle.open_paper(user_of(request), **form.cleaned_data)
        except Refusal as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        else:
            single_submit.use_token(request)
            made = {"connection": connection, "raw": raw, "next": back_to}
            return render(request, "connections/made.html", made)
    token = request.POST.get("once") or single_submit.issue_token(request)
    context = {"form": form, "next": back_to, "once": token, "kinds": KINDS.values()}
    return render(request, "connections/add.html", context)


def _guide(request: HttpRequest, kind: LinkSpec) -> dict[str, Any]:
    return {
        "kind": kind,
        "addresses": settings.OUTGOING_ADDRESSES,
        "reachable": gateways.allowed_places(user_of(request)),
    }


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def link(request: HttpRequest, slug: str) -> HttpResponse:
    """Credentials and the proof are typed into one form, so that nothing of them waits anywhere."""
    if (kind := KINDS.get(slug)) is None:
        raise Http404
    back_to = _local(request, request.POST.get("next") or request.GET.get("next", ""))
    if request.method == "POST" and not single_submit.is_unused(request):
        messages.info(request, "This form was already sent. A key is shown only once; you can make another.")
        return redirect("connections:list")
    form = LinkForm(kind, request.POST if request.method == "POST" else None)
    token = request.POST.get("once") or single_submit.issue_token(request)

    def page(proof: presence.ProofFields) -> HttpResponse:
        context = {"form": form, "next": back_to, "once": token, "proof": proof, **_guide(request, kind)}
        context["takes_passkey"] = Environment.LIVE in kind.environments
        context["no_passkeys"] = second_factors.passkeys_unavailable()
        return render(request, "connections/link.html", context)

    live = Environment.PAPER not in kind.environments
    if request.method == "POST" and form.is_valid() and (wanted := form.limits) is not None:
        live = form.cleaned_data["environment"] != Environment.PAPER
        proved = presence.require_proof(request, PresenceAct.LINK, about="", back="", live=live, page=page)
        if isinstance(proved, HttpResponse):
            return proved
        try:
            connection, raw = connection_lifecycle.link(
                user_of(request),
                kind,
                name=form.cleaned_data["name"],
                environment=Environment(form.cleaned_data["environment"]),
                limits=wanted,
                trading_enabled=form.cleaned_data["trading_enabled"],
                with_key=form.cleaned_data["with_key"],
                **form.given(),
            )
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            single_submit.use_token(request)
            return render(request, "connections/made.html", {"connection": connection, "raw": raw, "next": back_to})
    return page(presence.proof_fields(request, PresenceAct.LINK, live=live))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def replace_key(request: HttpRequest, pk: int) -> HttpResponse:
    connection = _own(request, pk)
    if (kind := link_specs.find(connection.broker, connection.settings)) is None:
        raise Http404
    form = CredentialsForm(kind, request.POST if request.method == "POST" else None, current=connection.settings)

    def page(proof: presence.ProofFields) -> HttpResponse:
        context = {"connection": connection, "form": form, "proof": proof, **_guide(request, kind)}
        return render(request, "connections/key.html", context)

    if request.method == "POST" and form.is_valid():
        proved = presence.require_proof(
            request, PresenceAct.REPLACE_BROKER_KEY, about="", back="", live=connection.is_live, page=page
        )
        if isinstance(proved, HttpResponse):
            return proved
        try:
            linking.replace_key(connection, **form.given(), by=user_of(request))
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            old = "" if kind.is_gateway else " Delete the old one there."
            messages.success(request, f"{connection.name} now uses the new {kind.thing}.{old}")
            return redirect("connections:detail", pk)
    return page(presence.proof_fields(request, PresenceAct.REPLACE_BROKER_KEY, live=connection.is_live))


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unlink(request: HttpRequest, pk: int) -> HttpResponse:
    connection = _own(request, pk)
    kind = link_specs.find(connection.broker, connection.settings)
    gateway = kind is not None and kind.is_gateway
    if request.method == "POST":
        try:
            connection_lifecycle.unlink(connection, by=user_of(request))
        except Refusal as refusal:
            messages.error(request, str(refusal))
            return redirect("connections:detail", pk)
        there = "end its session at the gateway" if gateway else "delete its key at the broker"
        messages.success(request, f"{connection.name} is unlinked. Next, {there}.")
        return redirect("connections:list")
    context = {
        "connection": connection,
        "kind": kind,
        "apps": app_queries.active_apps(user_of(request)).filter(connection=connection).count(),
        "open_orders": Order.objects.filter(connection=connection, status__in=OPEN).count(),
    }
    return render(request, "connections/unlink.html", context)


@require_POST
def check(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask the broker now, its key included: the one page that waits for a broker, because its person asked for it."""
    connection = _own(request, pk)
    health.check(connection, key_too=True)
    connection.refresh_from_db()
    if connection.last_error:
        messages.error(request, f"{connection.name} was checked again and still does not work. The reason is above.")
    else:
        messages.success(request, f"{connection.name} is working: it answers, and its balances can be read.")
    return redirect("connections:detail", pk)


@require_safe
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    connection = _own(request, pk)
    user, now = user_of(request), timezone.now()
    connection.owner = user
    apps = list(app_queries.active_apps(user).filter(connection=connection))
    desk = portfolio.load(user, now, only=connection)
    working = order_queries.unfinished(user, connection)
    use = daily_usage.connection_usage(connection, now)
    context: dict[str, Any] = {
        "connection": connection,
        "apps": apps,
        "calls": sum(call_queries.last_hour(app.pk for app in apps).values()),
        "desk": desk,
        "line": desk.lines[0],
        "spark": desk.totals[0].spark if len(desk.totals) == 1 else None,
        "working": list(order_queries.for_rows(working)[:_WORKING]),
        "standing_halts": desk.standing,
        "orders": Order.objects.filter(connection=connection, status__in=ENDED).select_related("app")[:5],
        "lines": limit_usage.limit_lines(connection.limited, use, connection, equity=connection.equity, now=now),
        "limits": connection.limited,
        "kind": link_specs.find(connection.broker, connection.settings),
        "approves": connection.policy == Policy.OWNER_APPROVAL,
        "longest_delay": LONGEST_CONFIRMATION_DELAY,
        "rules": standing_rules.on(connection),
        "approval_time": span_text(connection.approval_seconds),
        "waits": [(seconds, span_text(seconds)) for seconds in sorted(_offered_waits(connection))],
        "practises": practice.can_practise(connection),
        "halted": halts.halts_on(connection).filter(account_id="").exists(),
        "open_orders": working.count(),
        "stream": order_streams.state_of(connection),
    }
    return render(request, "connections/detail.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def account_numbers(request: HttpRequest, pk: int) -> HttpResponse:
    """Everywhere else they are shown by their end. That they were shown in full is on record."""
    user, connection = user_of(request), _own(request, pk)
    numbers: list[str] = []
    if request.method == "POST":
        known = connection.equity_snapshots.order_by().values_list("account_id", flat=True).distinct()
        numbers = sorted({*known, connection.default_account} - {""})
        audit_log.record_change(
            user, "account numbers shown", "connection", pk, connection.name, after={"shown": len(numbers)}
        )
    return render(request, "connections/account_numbers.html", {"connection": connection, "numbers": numbers})


@require_POST
def pause(request: HttpRequest, pk: int) -> HttpResponse:
    connection = _own(request, pk)
    if connections.pause(connection, by=user_of(request)):
        messages.success(request, f"{connection.name} is paused. Open orders can still be cancelled.")
    return redirect("connections:detail", pk)


def _require_proof(
    request: HttpRequest, act: PresenceAct, connection: Connection, about: str
) -> presence.PresenceProof | HttpResponse:
    return presence.require_proof(
        request,
        act,
        about=about,
        back=reverse("connections:detail", args=[connection.pk]),
        live=connection.is_live,
        environment=connection.environment,
    )


@never_cache
@require_POST
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    connection = _own(request, pk)
    about = f"Apps can use {connection.name} again, each within its permissions."
    proved = _require_proof(request, PresenceAct.RESUME_CONNECTION, connection, about)
    if isinstance(proved, HttpResponse):
        return proved
    if connections.resume(connection, by=user_of(request)):
        messages.success(request, f"{connection.name} works again.")
    return redirect("connections:detail", pk)


@never_cache
@require_POST
def enable_trading(request: HttpRequest, pk: int) -> HttpResponse:
    connection = _own(request, pk)
    about = f"Apps with permission to trade can now place orders on {connection.name}."
    proved = _require_proof(request, PresenceAct.TRADING_ON, connection, about)
    if isinstance(proved, HttpResponse):
        return proved
    try:
        if connections.enable_trading(connection, by=user_of(request)):
            messages.success(request, f"Trading is on for {connection.name}.")
    except Refusal as refusal:
        messages.error(request, str(refusal))
    return redirect("connections:detail", pk)


@require_POST
def disable_trading(request: HttpRequest, pk: int) -> HttpResponse:
    connection = _own(request, pk)
    if connections.disable_trading(connection, by=user_of(request)):
        messages.success(request, f"Trading is off for {connection.name}. New orders are refused from now on.")
    return redirect("connections:detail", pk)


def _differences(before: Limits, after: Limits) -> str:
    """In words, one limit after the other."""
    old, new = before.as_text(), after.as_text()

    def shown(value: object) -> str:
        return ", ".join(value) if isinstance(value, list) else "no limit" if value is None else str(value)

    changed = [name for name in bounds.TITLES if old.get(name) != new.get(name)]
    said = [f"{bounds.TITLES[name]}: {shown(old.get(name))} before, {shown(new.get(name))} after." for name in changed]
    return " ".join(said)


def limits_page(
    request: HttpRequest,
    current: Limits,
    connection: Connection,
    verb: Callable[..., bool],
    back: str,
    *,
    of: str,
) -> LimitsForm | HttpResponse:
    """Show the form for limits, or save what was sent: at once when it only tightens, else with a proof for it."""
    form = LimitsForm(request.POST if request.method == "POST" else None, currency=connection.currency, current=current)
    if request.method != "POST" or (wanted := form.limits) is None:
        return form
    try:
        changed = verb(wanted, by=user_of(request))
    except Refusal as refusal:
        if refusal.code is not Code.RE_AUTHENTICATION_REQUIRED:
            form.add_error(refusal.field or None, str(refusal))
            return form
        proved = presence.require_proof(
            request,
            PresenceAct.WIDEN_LIMITS,
            about=f"The limits of {of} change. {_differences(current, wanted)}",
            back=back,
            live=connection.is_live,
            environment=connection.environment,
        )
        if isinstance(proved, HttpResponse):
            return proved
        changed = verb(wanted, by=user_of(request), may_widen=True)
    messages.success(request, "The limits apply from the next order." if changed else "Nothing was changed.")
    return redirect(back)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def limits(request: HttpRequest, pk: int) -> HttpResponse:
    connection = _own(request, pk)
    back = reverse("connections:detail", args=[pk])
    verb = partial(connections.set_limits, connection)
    form = limits_page(request, connection.limited, connection, verb, back, of=connection.name)
    if isinstance(form, HttpResponse):
        return form
    now = timezone.now()
    use = daily_usage.connection_usage(connection, now)
    spent = limit_usage.used_now(use, connection, equity=connection.equity, now=now)
    context = {"connection": connection, "form": form, "numbers": form.beside(spent), "back": back}
    return render(request, "connections/limits.html", context)


@never_cache
@require_POST
def policy(request: HttpRequest, pk: int) -> HttpResponse:
    connection = _own(request, pk)
    wanted = request.POST.get("policy", "")
    if wanted not in Policy.values:
        return redirect("connections:detail", pk)
    try:
        changed = connections.set_policy(connection, Policy(wanted), by=user_of(request))
    except Refusal as refusal:
        if refusal.code is not Code.RE_AUTHENTICATION_REQUIRED:
            raise
        about = (
            f"Assistants can send orders on {connection.name} once you agree in the chat. You no longer release "
            "each one."
        )
        proved = _require_proof(request, PresenceAct.LOOSEN_POLICY, connection, about)
        if isinstance(proved, HttpResponse):
            return proved
        changed = connections.set_policy(connection, Policy(wanted), by=user_of(request), may_loosen=True)
    if changed and wanted == Policy.OWNER_APPROVAL:
        messages.success(request, f"From now on, each order on {connection.name} waits for your approval.")
    elif changed:
        messages.success(request, f"Assistants confirm orders on {connection.name} again, after you agree in the chat.")
    return redirect("connections:detail", pk)


@never_cache
@require_POST
def confirmation_delay(request: HttpRequest, pk: int) -> HttpResponse:
    """How long after it was shown an app may confirm an order by itself, at the earliest."""
    connection, by = _own(request, pk), user_of(request)
    seconds = _whole(request.POST.get("seconds", ""))
    try:
        changed = connections.set_confirmation_delay(connection, seconds, by=by)
    except Refusal as refusal:
        if refusal.code is not Code.RE_AUTHENTICATION_REQUIRED:
            messages.error(request, str(refusal))
            return redirect("connections:detail", pk)
        before = connection.least_confirmation_seconds
        about = f"On {connection.name} an app may confirm an order {seconds} s after it was shown, not {before} s."
        proved = _require_proof(request, PresenceAct.SHORTEN_DELAY, connection, about)
        if isinstance(proved, HttpResponse):
            return proved
        changed = connections.set_confirmation_delay(connection, seconds, by=by, may_shorten=True)
    if changed:
        messages.success(request, f"The least time on {connection.name} is now {seconds} s.")
    return redirect("connections:detail", pk)


_MINUTE, _HOUR = 60, 3600
_APPROVAL_WAITS = (
    *(count * _MINUTE for count in (5, 10, 15, 30)),
    *(count * _HOUR for count in (1, 2, 4, 8, 12, 24)),
)
"""Seconds, as the page offers them beside what holds unless another is set."""


def _offered_waits(connection: Connection) -> set[int]:
    return {settings.CONFIRMATION_SECONDS, *_APPROVAL_WAITS, connection.approval_seconds}


@never_cache
@require_POST
def approval_wait(request: HttpRequest, pk: int) -> HttpResponse:
    """How long what only the owner releases waits for that."""
    connection, by = _own(request, pk), user_of(request)
    seconds = _whole(request.POST.get("seconds", ""))
    try:
        changed = connections.set_approval_wait(connection, seconds, by=by)
    except Refusal as refusal:
        if refusal.code is not Code.RE_AUTHENTICATION_REQUIRED:
            messages.error(request, str(refusal))
            return redirect("connections:detail", pk)
        before, after = span_text(connection.approval_seconds), span_text(seconds)
        about = (
            f"On {connection.name} an order can be approved up to {after} after it was prepared, not {before}. Price, "
            "limits and all other checks are made again when you approve."
        )
        proved = _require_proof(request, PresenceAct.LENGTHEN_WAIT, connection, about)
        if isinstance(proved, HttpResponse):
            return proved
        changed = connections.set_approval_wait(connection, seconds, by=by, may_lengthen=True)
    if changed:
        said = f"From the next one on, an order on {connection.name} waits up to {span_text(seconds)} for you."
        messages.success(request, said)
    return redirect("connections:detail", pk)


def _whole(sent: str) -> int:
    """A count as a form sends it; -1 for anything else."""
    sent = sent.strip()
    return int(sent) if sent.isascii() and sent.isdecimal() and len(sent) < 6 else -1
