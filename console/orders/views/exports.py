"""Orders as files: what the filter of the list finds, written while it is sent, so that no file is held in memory."""

from collections.abc import Iterator
from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from console import keyset
from console.accounts.request_user import user_of
from console.audit import export_limit
from console.audit import log as audit_log
from console.errors import Refusal
from console.file_responses import Cell, csv_response, ndjson_response, safe_cell
from console.orders import queries as order_queries
from console.orders.forms import OrderFilter
from console.orders.models import Order
from console.orders.views.orders import own_orders

EXPORTED = "orders exported"
"""What the audit log calls it."""
_COLUMNS = (
    *("order_id", "created_at", "connection", "environment", "account_id", "app", "side", "symbol", "asset_class"),
    *("type", "time_in_force", "quantity", "notional", "limit_price", "stop_price", "trail_amount", "trail_percent"),
    *("currency", "status", "filled_quantity", "average_price", "fees", "code", "reason", "client_order_id"),
    *("broker_order_id", "released_at", "updated_at"),
)


@require_POST
def csv(request: HttpRequest) -> HttpResponseBase:
    found = _found(request, "CSV")
    if isinstance(found, HttpResponseBase):
        return found
    return csv_response(request, "orders", _COLUMNS, _rows(request, found))


@require_POST
def ndjson(request: HttpRequest) -> HttpResponseBase:
    """One JSON object a line; amounts and times as text, None where there is nothing."""
    found = _found(request, "NDJSON")
    if isinstance(found, HttpResponseBase):
        return found
    return ndjson_response(request, "orders", (_record(row) for row in _rows(request, found)))


def _found(request: HttpRequest, form: str) -> QuerySet[Order] | HttpResponse:
    """What the filter of the address finds, and the export on record; the answer where there were too many."""
    user = user_of(request)
    try:
        export_limit.check(user, "orders")
    except Refusal as refusal:
        messages.error(request, str(refusal))
        asked = request.GET.urlencode()
        return redirect(f"{reverse('orders:list')}{f'?{asked}' if asked else ''}")
    found = OrderFilter(request.GET, owner=user).apply(own_orders(user))
    audit_log.record_change(
        user,
        EXPORTED,
        "export",
        form,
        f"Orders as {form}",
        after={"exported": form},
        query=request.GET.urlencode()[:500],
    )
    return found.select_related("connection", "app")


def _rows(request: HttpRequest, found: QuerySet[Order]) -> Iterator[list[Cell]]:
    user = user_of(request)

    def near(orders: QuerySet[Order], count: int) -> QuerySet[Order]:
        return order_queries.near_newest(orders, user, count)

    for order in keyset.walk(found, newest_first=True, narrow=near):
        connection, app = order.connection, "" if order.app.is_console else order.app.name
        yield [
            *(order.public_id, order.created_at, connection.name, connection.environment, order.account_id, app),
            *(order.side, order.symbol, order.asset_class, order.order_type, order.tif, order.quantity),
            *(order.notional, order.limit_price, order.stop_price, order.trail_amount, order.trail_percent),
            *(order.currency, order.status, order.filled_quantity, order.average_price, order.fees, order.code),
            *(order.reason, order.client_order_id, order.broker_order_id, order.released_at, order.moved_at),
        ]


def _record(row: list[Cell]) -> dict[str, Any]:
    return {
        name: cell if cell is None or isinstance(cell, str) else safe_cell(cell)
        for name, cell in zip(_COLUMNS, row, strict=True)
    }
