from functools import partial

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.accounts.current import user_of
from console.audit import reads
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.views import limits_page
from console.halts import verbs as halts
from console.onboarding import home
from console.orders import exposure, standing
from console.orders.risk import Use


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
    context = {"apps": home.apps(user), "ended": ended.select_related("connection").order_by("-revoked_at")[:100]}
    return render(request, "connected_apps/list.html", context)


@require_safe
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    app = _own(request, pk)
    calls = reads.own(user_of(request)).filter(app_id=app.pk).order_by("-id")
    context = {
        "app": app,
        "calls": calls[:10],
        "later": calls.filter(at__gt=app.revoked_at).count() if app.revoked_at else 0,
        "keys": app.api_keys.all(),
        "last_hour": reads.last_hour([app.pk]).get(app.pk, 0),
        "lines": standing.lines(
            app.limited, _use(app), app.connection, equity=app.connection.equity, now=timezone.now()
        ),
        "limits": app.limited,
        "halted": halts.over(app.connection, app.pk).filter(account_id="").exists(),
    }
    return render(request, "connected_apps/detail.html", context)


def _use(app: ConnectedApp) -> Use:
    return exposure.use_of_app(app, app.connection, timezone.now())


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def limits(request: HttpRequest, pk: int) -> HttpResponse:
    app = _own(request, pk)
    back = reverse("apps:detail", args=[pk])
    form = limits_page(request, app.limited, app.connection.currency, partial(grants.set_limits, app), back)
    if isinstance(form, HttpResponse):
        return form
    spent = standing.spent(_use(app), app.connection, equity=app.connection.equity, now=timezone.now())
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
    last_hour = reads.last_hour([app.pk]).get(app.pk, 0)
    return render(request, "connected_apps/revoke.html", {"app": app, "last_hour": last_hour})


@require_POST
def pause(request: HttpRequest, pk: int) -> HttpResponse:
    app = _own(request, pk)
    if grants.pause(app, by=user_of(request)):
        messages.success(request, f"{app.name} is paused. Every call it makes is refused until you resume it.")
    return redirect("apps:detail", pk)


@require_POST
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    app = _own(request, pk)
    if grants.resume(app, by=user_of(request)):
        messages.success(request, f"{app.name} works again.")
    return redirect("apps:detail", pk)


@require_POST
def narrow(request: HttpRequest, pk: int) -> HttpResponse:
    app = _own(request, pk)
    if grants.narrow(app, by=user_of(request)):
        messages.success(request, f"{app.name} can now only read. It stays connected.")
    return redirect("apps:detail", pk)
