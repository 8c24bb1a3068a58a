from typing import Any

from django.contrib import messages
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.accounts import fresh, once
from console.accounts.current import user_of
from console.audit import reads
from console.connections import linking
from console.connections.forms import PaperConnectionForm
from console.connections.models import Connection
from console.errors import Refusal
from console.onboarding import home, open_connection
from console.orders.models import Order
from console.orders.states import OPEN


def _own(request: HttpRequest, pk: int) -> Connection:
    return get_object_or_404(home.connections(user_of(request)), pk=pk)


def _local(request: HttpRequest, address: str) -> str:
    """``address`` if it leads back into this console, else nothing: a link must not carry a person elsewhere."""
    fits = url_has_allowed_host_and_scheme(
        address, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return address if fits else ""


@require_safe
def list_(request: HttpRequest) -> HttpResponse:
    connections = home.connections(user_of(request)).annotate(
        apps=Count("connected_apps", filter=Q(connected_apps__in=home.apps(user_of(request))))
    )
    return render(request, "connections/list.html", {"connections": connections})


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    back_to = _local(request, request.POST.get("next") or request.GET.get("next", ""))
    form = PaperConnectionForm(request.POST or None)
    if request.method == "POST" and not once.unused(request):
        messages.info(request, "This form was sent before. A key is shown only once; you can make another.")
        return redirect("connections:list")
    if request.method == "POST" and form.is_valid():
        try:
            connection, raw = open_connection.open_paper(user_of(request), **form.cleaned_data)
        except Refusal as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        else:
            once.use(request)
            made = {"connection": connection, "raw": raw, "next": back_to}
            return render(request, "connections/made.html", made)
    token = request.POST.get("once") or once.issue(request)
    return render(request, "connections/add.html", {"form": form, "next": back_to, "once": token})


@require_safe
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    connection = _own(request, pk)
    apps = list(home.apps(user_of(request)).filter(connection=connection))
    context: dict[str, Any] = {
        "connection": connection,
        "apps": apps,
        "calls": sum(reads.last_hour(app.pk for app in apps).values()),
        "orders": Order.objects.filter(connection=connection).select_related("app")[:5],
        "open_orders": Order.objects.filter(connection=connection, status__in=OPEN).count(),
    }
    return render(request, "connections/detail.html", context)


@require_POST
def pause(request: HttpRequest, pk: int) -> HttpResponse:
    connection = _own(request, pk)
    if linking.pause(connection, by=user_of(request)):
        messages.success(request, f"{connection.name} is paused. Orders there can still be cancelled.")
    return redirect("connections:detail", pk)


@require_POST
def resume(request: HttpRequest, pk: int) -> HttpResponse:
    connection = _own(request, pk)
    if linking.resume(connection, by=user_of(request)):
        messages.success(request, f"{connection.name} works again.")
    return redirect("connections:detail", pk)


@require_POST
def enable_trading(request: HttpRequest, pk: int) -> HttpResponse:
    connection = _own(request, pk)
    if not fresh.is_fresh(request):
        messages.info(request, "Now switch trading on.")
        return fresh.ask(reverse("connections:detail", args=[pk]))
    if linking.enable_trading(connection, by=user_of(request)):
        messages.success(request, f"Trading is on for {connection.name}.")
    return redirect("connections:detail", pk)


@require_POST
def disable_trading(request: HttpRequest, pk: int) -> HttpResponse:
    connection = _own(request, pk)
    if linking.disable_trading(connection, by=user_of(request)):
        messages.success(
            request, f"Trading is off for {connection.name}. New orders are refused from the next call on."
        )
    return redirect("connections:detail", pk)
