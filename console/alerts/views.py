from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.accounts.request_user import user_of
from console.alerts import intake, services
from console.alerts.forms import AlertForm
from console.alerts.models import Alert
from console.audit import paging
from console.connections import queries as connection_queries
from console.errors import Refusal

_SHOWN = 50


@require_safe
def list_(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    mine = services.of_owner(user.pk)
    page = paging.page(services.over(mine), request.GET.get("before", ""), size=_SHOWN)
    context = {
        "active": [services.Line(each) for each in services.active(mine)] if page.is_first else [],
        "over": [services.Line(each) for each in page.rows],
        "events": services.events_of_owner(user.pk)[:_SHOWN] if page.is_first else [],
        "page": page,
        "connections": connection_queries.open_connections(user),
    }
    return render(request, "alerts/list.html", context)


@require_safe
def detail(request: HttpRequest, alert_id: str) -> HttpResponse:
    alert = _own(request, alert_id)
    context = {"line": services.Line(alert), "alert": alert, "events": alert.events.all()[:_SHOWN]}
    return render(request, "alerts/detail.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    form = AlertForm(request.POST or None, owner=user)
    if form.is_valid():
        try:
            taken = intake.create(form.cleaned_data["connection"], form.given, app=None)
        except Refusal as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        else:
            messages.success(request, f"Created. {taken.remark}".strip())
            return redirect("alerts:detail", taken.alert.public_id)
    return render(request, "alerts/new.html", {"form": form})


@never_cache
@require_POST
def cancel(request: HttpRequest, alert_id: str) -> HttpResponse:
    alert = services.cancel(_own(request, alert_id), app=None)
    messages.success(request, f"Switched off: {services.in_words(alert)}.")
    return redirect("alerts:list")


def _own(request: HttpRequest, alert_id: str) -> Alert:
    return get_object_or_404(services.of_owner(user_of(request).pk), public_id=alert_id)
