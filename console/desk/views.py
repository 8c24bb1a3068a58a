import hashlib
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.accounts.models import User
from console.accounts.request_user import user_of
from console.connected_apps import queries as app_queries
from console.connections import health
from console.connections import queries as connection_queries
from console.desk import needs, portfolio, reading, setup
from console.onboarding import guides
from console.onboarding import home as onboarding_home
from console.orders import queries as order_queries
from console.orders.owner import approvals
from console.orders.owner.pending_badge import PendingBadge
from console.recent_errors import queries as recent_errors

_GUIDES = ("claude-code", "claude", "cursor", "vscode", "python")
_POSITIONS = 12
_ORDERS = 12
_APPS = 6
_STEPS = {
    "broker": "The broker answers",
    "accounts": "It shows the accounts",
    "balances": "Balances can be read",
    "words": "Everything in its lists is understood",
}


@never_cache
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What the page asks again with ``seen`` is answered with nothing while nothing is new."""
    user, now = user_of(request), timezone.now()
    desk = portfolio.load(user, now)
    badge, faults = PendingBadge.of(user), recent_errors.open_faults(user)
    waiting = needs.of(user, now, desk, waiting=badge.count, faults=faults)
    orders = list(order_queries.for_rows(order_queries.unfinished(user))[: _ORDERS + 1])
    mark = _mark(desk.mark, [repr(need) for need in waiting.items], [f"{each.pk} {each.moved_at}" for each in orders])
    if request.GET.get("seen") == mark:
        return HttpResponse(status=204)
    apps = list(app_queries.active_apps(user))
    reached = {app.connection_id for app in apps if app.connection.closed_at is None}
    others = approvals.awaiting(user).exclude(approvals.OWNERS).count()
    context: dict[str, Any] = {
        "desk": desk,
        "needs": waiting,
        # As every page has them: read once.
        "waiting_approvals": badge,
        "open_errors": faults,
        "standing_halts": desk.standing,
        "mark": mark,
        "orders": orders[:_ORDERS],
        "more_orders": len(orders) > _ORDERS,
        "positions": desk.positions[:_POSITIONS],
        "more_positions": max(0, len(desk.positions) - _POSITIONS),
        "summary": onboarding_home.status_sentence(len(apps), len(reached), waiting.decisions, others),
        "apps": apps[:_APPS],
        "more_apps": max(0, len(apps) - _APPS),
        **_setup_context(user),
    }
    return render(request, "desk/home.html", context)


def _setup_context(user: User) -> dict[str, Any]:
    steps = setup.of(user)
    if steps.is_done:
        return {"setup": steps}
    place = guides.place_of()
    shown = [guide for slug in _GUIDES if (guide := guides.find(slug, place))]
    return {"setup": steps, "guides": [(guide, guide.ways[0], guides.warning(guide, place)) for guide in shown]}


@never_cache
@require_safe
def setup_steps(request: HttpRequest) -> HttpResponse:
    """The part of Home that notices the first call."""
    context = _setup_context(user_of(request))
    if request.GET.get("seen") == context["setup"].mark:
        return HttpResponse(status=204)
    return render(request, "desk/setup.html", context)


@never_cache
@require_safe
def show_portfolio(request: HttpRequest) -> HttpResponse:
    desk = portfolio.load(user_of(request), timezone.now())
    mark = _mark(desk.mark)
    if request.GET.get("seen") == mark:
        return HttpResponse(status=204)
    return render(request, "desk/portfolio.html", {"desk": desk, "mark": mark, "standing_halts": desk.standing})


@never_cache
@require_http_methods(["GET", "POST"])
def read(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask the broker of one connection. An open page does it behind the page; without JavaScript it is a button."""
    connection = get_object_or_404(connection_queries.open_connections(user_of(request)), pk=pk)
    asked = reading.refresh(connection)
    if request.method == "POST":
        return redirect("desk:portfolio")
    response = HttpResponse(status=204)
    if asked:
        response["HX-Trigger"] = "desk-read"
    return response


@never_cache
@require_POST
def test(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask the broker step by step and say how each went: the person who asked waits for it."""
    connection = get_object_or_404(connection_queries.open_connections(user_of(request)), pk=pk)
    found = health.diagnose(connection)
    context = {
        "connection": connection,
        "findings": [(_STEPS.get(each.check, each.check.capitalize()), each) for each in found],
        "works": all(each.ok for each in found),
    }
    return render(request, "desk/test.html", context)


def _mark(*parts: str | list[str]) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
