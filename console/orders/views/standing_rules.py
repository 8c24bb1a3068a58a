"""Pages of the owner's standing rules: made with a proof for every value, ended with one click."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.accounts import presence
from console.accounts.presence import PresenceAct
from console.accounts.request_user import user_of
from console.connected_apps import queries as app_queries
from console.connections import queries as connection_queries
from console.connections.models import Policy
from console.errors import Refusal
from console.orders.forms import RuleForm
from console.orders.models import StandingRule
from console.orders.owner import standing_rules
from console.orders.views import approvals

_OVER = 20
_RELEASED = 50
# Suggested beside the field; any other name of the tz database is taken, too.
TIME_ZONES = (
    *("UTC", "America/New_York", "America/Chicago", "America/Los_Angeles", "America/Toronto", "America/Sao_Paulo"),
    *("Europe/London", "Europe/Zurich", "Europe/Berlin", "Europe/Paris", "Asia/Dubai", "Asia/Kolkata"),
    *("Asia/Singapore", "Asia/Hong_Kong", "Asia/Tokyo", "Australia/Sydney"),
)


def _own(request: HttpRequest, public_id: str) -> StandingRule:
    return get_object_or_404(standing_rules.visible(user_of(request)), public_id=public_id)


@never_cache
@require_safe
def list_(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    mine = standing_rules.visible(user)
    views = [standing_rules.shown(rule) for rule in mine.filter(ended_at=None)]
    over = [view for view in views if view.is_over]
    over += [standing_rules.shown(rule) for rule in mine.exclude(ended_at=None)[:_OVER]]
    context = {
        "rules": [view for view in views if not view.is_over],
        "over": over[:_OVER],
        "connections": connection_queries.open_connections(user).filter(policy=Policy.OWNER_APPROVAL),
    }
    return render(request, "orders/rules.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest, pk: int) -> HttpResponse:
    user = user_of(request)
    connection = get_object_or_404(connection_queries.open_connections(user), pk=pk)
    apps = app_queries.active_apps(user).filter(connection=connection).order_by("name")
    form = RuleForm(request.POST if request.method == "POST" else None, connection=connection, apps=apps)
    if request.method == "POST" and form.is_valid():
        try:
            wanted = standing_rules.checked(connection, form.terms)
            proved = presence.require_proof(
                request,
                PresenceAct.MAKE_RULE,
                about=f"The rule {wanted.name} on {connection.name} releases orders without your approval of each one: "
                f"{standing_rules.text_of(wanted, connection.currency)} Limits, halts and all other checks stay.",
                back=reverse("orders:rules"),
                live=connection.is_live,
                environment=connection.environment,
            )
            if isinstance(proved, HttpResponse):
                return proved
            evidence = approvals.evidence_of(request, proved)
            rule = standing_rules.create(connection, wanted, by=user, evidence=evidence)
        except Refusal as refusal:
            form.refuse(refusal)
        else:
            messages.success(request, f"The rule {rule.name} is in force. You can end it here at any time.")
            return redirect("orders:rule", rule.public_id)
    context = {
        "connection": connection,
        "form": form,
        "time_zones": TIME_ZONES,
        "approves": connection.policy == Policy.OWNER_APPROVAL,
    }
    return render(request, "orders/rule_form.html", context)


@never_cache
@require_safe
def detail(request: HttpRequest, public_id: str) -> HttpResponse:
    rule = _own(request, public_id)
    context = {
        "view": standing_rules.shown(rule),
        "rule": rule,
        "releases": standing_rules.released(rule, _RELEASED),
        "last_day": standing_rules.last_day(rule),
    }
    return render(request, "orders/rule.html", context)


@require_POST
def end(request: HttpRequest, public_id: str) -> HttpResponse:
    """No proof: it only ever stops something."""
    rule = _own(request, public_id)
    if standing_rules.end(rule, by=user_of(request), ip=request.META.get("REMOTE_ADDR", "")):
        messages.success(request, f"The rule {rule.name} has ended. It releases nothing any more.")
    return redirect("orders:rule", public_id)
