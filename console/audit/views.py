import json

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from console.accounts.request_user import user_of
from console.audit import paging
from console.audit import queries as call_queries
from console.audit.forms import ActivityFilter
from console.audit.models import Call
from console.errors import explanation_of


@require_safe
def activity(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    everyone = call_queries.sees_everyone(request, user)
    filters = ActivityFilter(request.GET, owner=user, everyone=everyone)
    calls = filters.apply(call_queries.visible_calls(user, everyone=everyone))
    page = paging.page(calls, request.GET.get("before", ""))
    return render(request, "audit/activity.html", {"page": page, "filters": filters, "everyone": everyone})


@require_safe
def call(request: HttpRequest, request_id: str) -> HttpResponse:
    user = user_of(request)
    found = get_object_or_404(call_queries.visible_calls(user, everyone=user.is_operator), request_id=request_id)
    return render(request, "audit/call.html", {"call": found, **_call_context(found)})


def _call_context(call: Call) -> dict[str, object]:
    return {
        "explanation": explanation_of(call.code) if call.code else None,
        "arguments": json.dumps(call.arguments, indent=2, ensure_ascii=False),
    }
