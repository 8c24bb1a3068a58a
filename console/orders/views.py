from decimal import Decimal

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from console.accounts import fresh
from console.accounts.current import user_of
from console.accounts.models import User
from console.audit import errors, paging
from console.errors import Refusal
from console.onboarding import home
from console.orders import byhand
from console.orders.forms import OrderFilter
from console.orders.models import Order

# The terms a person judges an order by, beside the sentence.
_SHOWN = (("price", "Price at the time"), ("value", "Value"), ("fee", "Fee, estimated"))


def _own(user: User) -> QuerySet[Order]:
    return Order.objects.filter(connection__owner=user).select_related("connection", "app", "confirmation", "parent")


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
    legs = order.legs.order_by("pk")
    context = {
        "order": order,
        "legs": legs,
        "plan": order.confirmation.orders.filter(parent=None).exclude(pk=order.pk).order_by("pk"),
        "changes": order.modifications.select_related("confirmation").order_by("pk"),
        "seen": byhand.WORDS.items() if byhand.waits_for_a_person(order) else None,
        "events": order.events.all(),
        "terms": terms,
        "shown": [(words, Decimal(terms[name])) for name, words in _SHOWN if terms.get(name)],
        "explanation": errors.explain(order.code) if order.code else None,
    }
    return render(request, "orders/detail.html", context)


@require_POST
def settle(request: HttpRequest, public_id: str) -> HttpResponse:
    """The owner says what they saw at the broker, after a fresh proof of who they are."""
    user = user_of(request)
    order = get_object_or_404(_own(user), public_id=public_id)
    page = reverse("orders:detail", args=[public_id])
    if not fresh.is_fresh(request):
        messages.info(request, "Now say again what you saw at the broker.")
        return fresh.ask(page)
    seen = request.POST.get("seen", "")
    if seen not in set(byhand.Seen):
        messages.error(request, "Choose what you saw at the broker.")
        return redirect(page)
    try:
        byhand.settle(order, byhand.Seen(seen), by=user)
    except Refusal as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(request, "Noted. If the broker reports something else later, that counts.")
    return redirect(page)
