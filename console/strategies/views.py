from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console.accounts.request_user import user_of
from console.audit import paging
from console.charts import figures
from console.connections import queries as connection_queries
from console.errors import Refusal
from console.strategies import services
from console.strategies.engine import rules as rule_book
from console.strategies.forms import BacktestForm
from console.strategies.models import Backtest

_SHOWN = 25


@require_safe
def list_(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    page = paging.page(services.of_owner(user.pk), request.GET.get("before", ""), size=_SHOWN)
    context = {
        "page": page,
        "rows": [(each, _figure(each, "return_percent")) for each in page.rows],
        "library": services.library().items() if page.is_first else (),
        "connections": connection_queries.open_connections(user),
    }
    return render(request, "strategies/list.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    name = request.GET.get("library", "")
    name = name if name in services.library() else next(iter(services.library()))
    form = BacktestForm(request.POST or None, owner=user, initial={"rules": services.rules_of_library(name)})
    if form.is_valid():
        try:
            made = services.create(form.cleaned_data["connection"], form.asked, app=None)
        except Refusal as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, str(refusal))
        else:
            messages.success(request, "The backtest is in line.")
            return redirect("strategies:detail", made.public_id)
    return render(request, "strategies/new.html", {"form": form, "library": services.library().items()})


@require_safe
def detail(request: HttpRequest, backtest_id: str) -> HttpResponse:
    backtest = _own(request, backtest_id)
    report = backtest.report
    context: dict[str, Any] = {"backtest": backtest, "report": report}
    if report is not None:
        points = [(datetime.fromisoformat(at), Decimal(equity)) for at, equity in report["curve"]]
        months = [(each["month"], Decimal(each["return_percent"])) for each in report["months"][-24:]]
        context |= {
            "curve": figures.line(points, label="Equity", unit=backtest.currency),
            "months": figures.bars(months, label="Return by month", unit="%", name="Month"),
            "parts": [("First 70 percent of the time", report["in_sample"]), ("The rest", report["out_of_sample"])],
            "trades": [
                {**each, "opened": _time(each["opened"]), "closed": _time(each["closed"])}
                | {name: Decimal(each[name]) for name in ("quantity", "entry_price", "exit_price", "fees", "profit")}
                for each in report["trades"][:_SHOWN]
            ],
            "walk": [{**each, "start": _time(each["start"])} for each in report["walk_forward"]],
            "won": _figure(backtest, "return_percent"),
            "equity": _figure(backtest, "ending_equity"),
            "fees": _figure(backtest, "fees"),
            "slippage": _figure(backtest, "slippage"),
        }
    return render(request, "strategies/detail.html", context)


@never_cache
@require_POST
def cancel(request: HttpRequest, backtest_id: str) -> HttpResponse:
    backtest = _own(request, backtest_id)
    try:
        services.cancel(backtest)
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, "Cancelled.")
    return redirect("strategies:detail", backtest.public_id)


@require_safe
def schema(request: HttpRequest) -> HttpResponse:
    return JsonResponse(rule_book.schema(), json_dumps_params={"indent": 2})


def _own(request: HttpRequest, backtest_id: str) -> Backtest:
    return get_object_or_404(services.of_owner(user_of(request).pk), public_id=backtest_id)


def _figure(backtest: Backtest, name: str) -> Decimal | None:
    return None if backtest.report is None else Decimal(backtest.report["figures"][name])


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
