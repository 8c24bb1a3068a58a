"""Pages of closing and cancelling everything."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from console.accounts.request_user import user_of
from console.connections import queries as connection_queries
from console.desk import portfolio, reading
from console.errors import Code, Refusal
from console.orders.execution import external_orders
from console.orders.owner import close_all

# -- closing everything --------------------------------------------------------------------------------------


@never_cache
@require_safe
def closing_page(request: HttpRequest, pk: int) -> HttpResponse:
    """The accounts of the connection, and what is open in each."""
    connection = get_object_or_404(connection_queries.open_connections(user_of(request)), pk=pk)
    found = close_all.open_orders(connection)
    reading.refresh(connection)
    [line] = portfolio.load(connection.owner, timezone.now(), only=connection).lines
    held = {account.account_id: account.positions for account in line.accounts}
    accounts = [*held, *sorted(set(found) - set(held))]
    context = {
        "connection": connection,
        "elsewhere": external_orders.seen_by(connection.owner).filter(connection=connection).count(),
        "line": line,
        "trouble": line.trouble,
        "accounts": [(each, found.get(each, []), held.get(each, [])) for each in accounts],
    }
    return render(request, "orders/closing.html", context)


@require_POST
def close_everything(request: HttpRequest, pk: int) -> HttpResponse:
    """Prepare it and lead to the page where the owner sees all of it and releases it, or not."""
    user = user_of(request)
    connection = get_object_or_404(connection_queries.open_connections(user), pk=pk)
    account_id = request.POST.get("account_id", "")
    try:
        if not account_id:
            accounts = close_all.accounts(connection)
            if len(accounts) != 1:
                return redirect("orders:closing", pk)
            account_id = accounts[0]
        prepared, left_out = close_all.flatten_as_owner(connection, by=user, account_id=account_id)
    except Refusal as refusal:
        if refusal.code is Code.NO_POSITION:
            messages.info(request, f"Account {account_id} has no position to close.")
        else:
            messages.error(request, str(refusal))
        return redirect("orders:closing", pk)
    for each in left_out:
        messages.warning(request, f"{each.symbol} cannot be closed now and stays open: {each.refusal}")
    return redirect("orders:approval", prepared.confirmation.public_id)


@require_POST
def cancel_everything(request: HttpRequest, pk: int) -> HttpResponse:
    user = user_of(request)
    connection = get_object_or_404(connection_queries.open_connections(user), pk=pk)
    done = close_all.cancel_as_owner(connection, by=user, account_id=request.POST.get("account_id", ""))
    kept = [each for each in done if each.refusal is not None]
    for each in kept:
        messages.error(request, str(each.refusal))
    messages.success(request, f"Cancelled: {len(done) - len(kept)} of {len(done)} open orders.")
    return redirect("orders:closing", pk)
