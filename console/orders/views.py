from decimal import Decimal

from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from console.accounts.current import user_of
from console.accounts.models import User
from console.audit import errors, paging
from console.onboarding import home
from console.orders.forms import OrderFilter
from console.orders.models import Order

# The terms a person judges an order by, beside the sentence.
_SHOWN = (("price", "Price at the time"), ("value", "Value"), ("fee", "Fee, estimated"))


def _own(user: User) -> QuerySet[Order]:
    return Order.objects.filter(connection__owner=user).select_related("connection", "app", "confirmation")


@require_safe
def list_(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    filters = OrderFilter(request.GET, owner=user)
    page = paging.page(filters.apply(_own(user)), request.GET.get("before", ""))
    return render(
        request, "orders/list.html", {"page": page, "filters": filters, "waiting": home.waiting(user).count()}
    )


@require_safe
def detail(request: HttpRequest, public_id: str) -> HttpResponse:
    order = get_object_or_404(_own(user_of(request)), public_id=public_id)
    terms = order.confirmation.terms
    context = {
        "order": order,
        "events": order.events.all(),
        "terms": terms,
        "shown": [(words, Decimal(terms[name])) for name, words in _SHOWN if terms.get(name)],
        "explanation": errors.explain(order.code) if order.code else None,
    }
    return render(request, "orders/detail.html", context)
