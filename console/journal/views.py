from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from console import keyset
from console.accounts.request_user import user_of
from console.connections import queries as connection_queries
from console.connections.models import Connection
from console.errors import Refusal
from console.file_responses import Cell, csv_response
from console.journal import notes, performance, sync
from console.journal import queries as journal_queries
from console.journal.forms import JournalFilter, NoteForm
from console.journal.models import Execution, LedgerLine, RoundTrip

_SIZE = 50
_MOST_GROUPS = 100
_TRADES = (
    *("trade_id", "connection", "environment", "account_id", "symbol", "side", "opened_at", "closed_at"),
    *("holding_seconds", "quantity", "held", "entry_price", "exit_price", "currency", "realized_pnl", "fees"),
    *("net_pnl", "mfe", "mae", "measured_by", "ended_by", "fills"),
)
_EXECUTIONS = (
    *("execution_id", "order", "at", "account_id", "symbol", "side", "quantity", "price", "fee", "currency"),
    *("realized_pnl", "source", "model"),
)
_LEDGER = ("transaction_id", "at", "account_id", "type", "currency", "amount", "symbol", "quantity", "price", "order")


@require_safe
def list_(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    filters = JournalFilter(request.GET, owner=user)
    found = filters.apply(journal_queries.own_trips(user))
    connections = connection_queries.open_connections(user)
    ids = filters.chosen([each.pk for each in connections])
    try:
        rows, after = journal_queries.newest_first(found, ids, _SIZE, request.GET.get("after", "")[:40])
    except Refusal:
        rows, after = journal_queries.newest_first(found, ids, _SIZE)
    symbol = filters.whole_symbol
    remarks = journal_queries.notes_on({row.connection_id for row in rows}, [row.public_id for row in rows])
    context = {
        "rows": [(row, remarks.get(row.public_id, [])) for row in rows],
        "after": after,
        "is_first": "after" not in request.GET,
        "filters": filters,
        "totals": journal_queries.totals(found) if symbol is None else journal_queries.all_totals(ids, symbol),
        "connections": connections,
    }
    return render(request, "journal/list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def trip(request: HttpRequest, public_id: str) -> HttpResponse:
    user = user_of(request)
    row = get_object_or_404(journal_queries.own_trips(user), public_id=public_id)
    form = NoteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            notes.add(
                row.connection_id,
                row.public_id,
                form.cleaned_data["text"],
                form.cleaned_data["tags"].split(","),
                by=user.email,
            )
        except Refusal as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, "Note saved.")
            return redirect("journal:trade", row.public_id)
    fills = list(journal_queries.executions_of(row)[:201])
    orders = journal_queries.order_ids(row.connection_id, (fill.wire_id for fill in fills))
    remarks = journal_queries.notes_on([row.connection_id], [row.public_id, *orders.values()])
    context = {
        "trade": row,
        "form": form,
        "fills": [(fill, orders.get(fill.wire_id)) for fill in fills[:200]],
        "more": len(fills) > 200,
        "notes": sorted((note for each in remarks.values() for note in each), key=lambda note: note.pk),
    }
    return render(request, "journal/trade.html", context)


@require_POST
def rebuild(request: HttpRequest, pk: int) -> HttpResponse:
    connection = _own(request, pk)
    sync.rebuild(connection, by=user_of(request))
    messages.success(
        request, f"The journal of {connection.name} is being rebuilt. It will be complete in a minute or two."
    )
    return redirect("journal:list")


@require_safe
def trades_csv(request: HttpRequest) -> HttpResponseBase:
    user = user_of(request)
    found = JournalFilter(request.GET, owner=user).apply(journal_queries.own_trips(user))
    connections = connection_queries.open_connections(user).values_list("pk", flat=True)
    return csv_response(request, "trades", _TRADES, _trades(found, connections))


@require_safe
def show_performance(request: HttpRequest, pk: int) -> HttpResponse:
    connection = _own(request, pk)
    accounts = performance.accounts(connection)
    asked = request.GET.get("account", "")
    account_id = asked if asked in accounts else accounts[0] if accounts else ""
    period = request.GET.get("period", "")
    period = period if period in performance.PERIODS else "1m"
    now = timezone.now()
    context: dict[str, Any] = {
        "connection": connection,
        "accounts": accounts,
        "account_id": account_id,
        "period": period,
        "periods": [(key, words) for key, (words, _) in performance.PERIODS.items()],
    }
    if standing := performance.account_performance(connection, account_id, now):
        back = performance.PERIODS[period][1]
        symbols, months, whole = performance.profits(connection, account_id, _MOST_GROUPS)
        context |= {
            "standing": standing,
            "curve": performance.curve(connection, account_id, now - back if back else None, standing.currency),
            "days": performance.by_day(connection, account_id, standing.currency, now),
            "tables": [("By symbol", "Symbol", symbols), ("By month", "Month", months)],
            "whole": whole,
        }
    return render(request, "journal/performance.html", context)


@require_safe
def executions_csv(request: HttpRequest, pk: int) -> HttpResponseBase:
    found = Execution.objects.filter(connection=_own(request, pk), **_account(request))
    return csv_response(request, "executions", _EXECUTIONS, _executions(found))


@require_safe
def ledger_csv(request: HttpRequest, pk: int) -> HttpResponseBase:
    found = LedgerLine.objects.filter(connection=_own(request, pk), **_account(request))
    return csv_response(request, "ledger", _LEDGER, _ledger(found))


def _own(request: HttpRequest, pk: int) -> Connection:
    return get_object_or_404(connection_queries.open_connections(user_of(request)), pk=pk)


def _account(request: HttpRequest) -> dict[str, str]:
    asked = request.GET.get("account", "")[:64]
    return {"account_id": asked} if asked else {}


def _trades(found: QuerySet[RoundTrip], connections: Iterable[int]) -> Iterator[list[Cell]]:
    for row in journal_queries.every(found, connections):
        held_for = row.holding_time
        yield [
            *(row.public_id, row.connection.name, row.connection.environment, row.account_id, row.symbol, row.side),
            *(row.opened_at, row.closed_at, None if held_for is None else int(held_for.total_seconds())),
            *(row.quantity, row.held, row.entry_price, row.exit_price, row.currency, row.realized, row.fees, row.net),
            *(row.best, row.worst, row.measured_by, row.ended_by, row.fills),
        ]


def _executions(found: QuerySet[Execution]) -> Iterator[list[Cell]]:
    for row in keyset.walk(found, "at", "place", newest_first=True):
        yield [
            *(row.fill_id, row.wire_id, row.at, row.account_id, row.symbol, row.side, row.quantity, row.price),
            *(row.fee, row.currency, row.realized, row.source, row.model),
        ]


def _ledger(found: QuerySet[LedgerLine]) -> Iterator[list[Cell]]:
    for row in keyset.walk(found, "at", "place", newest_first=True):
        yield [
            *(row.entry_id, row.at, row.account_id, row.kind, row.currency, row.amount, row.symbol, row.quantity),
            *(row.price, row.wire_id),
        ]
