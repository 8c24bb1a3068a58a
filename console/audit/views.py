import json
from urllib.parse import urlencode

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from console.accounts.request_user import user_of
from console.audit import newest, policy_revisions
from console.audit import queries as call_queries
from console.audit.models import Call
from console.errors import explanation_of
from console.timeline import copies, entries


@require_safe
def activity(request: HttpRequest) -> HttpResponse:
    """The list of calls is part of the timeline now; old addresses keep their filters."""
    query = request.GET.copy()
    request_ids = query.pop("request", [""])
    query.pop("before", None)
    if request_ids[-1]:
        return redirect(f"{reverse('timeline:search')}?{urlencode({'q': request_ids[-1]})}")
    return redirect(f"{reverse('timeline:list')}{'?' if query else ''}{query.urlencode()}")


@require_safe
def call(request: HttpRequest, request_id: str) -> HttpResponse:
    user = user_of(request)
    found = newest.of_request(call_queries.visible_calls(user, everyone=user.is_operator), request_id)
    if found is None:
        raise Http404
    context = {
        "call": found,
        "json": copies.as_json(entries.of_call(found, 0)),
        "curl": copies.as_curl(found),
        "rules": policy_revisions.change_in_force(found),
        **_call_context(found),
    }
    return render(request, "components/call.html" if "part" in request.GET else "audit/call.html", context)


def _call_context(call: Call) -> dict[str, object]:
    return {
        "explanation": explanation_of(call.code) if call.code else None,
        "arguments": json.dumps(call.arguments, indent=2, ensure_ascii=False),
    }
