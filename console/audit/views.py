import json
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from console.accounts.request_user import user_of
from console.audit import failed_calls
from console.audit import queries as call_queries
from console.audit.models import Call
from console.outbox import mailer
from console.timeline import copies, entries

_LETTERS_SHOWN = 20


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
    found = get_object_or_404(call_queries.visible_calls(user, everyone=user.is_operator), request_id=request_id)
    context = {
        "call": found,
        "json": copies.as_json(entries.of_call(found, 0)),
        "curl": copies.as_curl(found),
        **_call_context(found),
    }
    return render(request, "components/call.html" if "part" in request.GET else "audit/call.html", context)


@require_safe
def recent_errors(request: HttpRequest) -> HttpResponse:
    user = user_of(request)
    everyone = call_queries.sees_everyone(request, user)
    calls = call_queries.visible_calls(user, everyone=everyone)
    now = timezone.now()
    chosen = request.GET.get("span", "")
    span, span_words = failed_calls.SPANS.get(chosen, failed_calls.SPANS["12h"])
    found = failed_calls.groups(calls, span=span, now=now)
    selected = next((group for group in found if group.key == request.GET.get("group")), None)
    context = {
        "groups": found,
        "failed": sum(group.calls for group in found),
        "total": calls.filter(at__gte=now - span).count(),
        "span": chosen if chosen in failed_calls.SPANS else "12h",
        "spans": [(key, words) for key, (_, words) in failed_calls.SPANS.items()],
        "span_words": span_words,
        "everyone": everyone,
        "capped": len(found) == failed_calls.SHOWN,
        "undelivered": list(mailer.failed(user, now - span, everyone=everyone)[:_LETTERS_SHOWN]),
    }
    if shown := selected or (found[0] if found else None):
        newest, *earlier = failed_calls.of_group(calls, shown)[:6]
        context |= {"selected": shown, "call": newest, "earlier": earlier, **_call_context(newest)}
    return render(request, "audit/errors.html", context)


def _call_context(call: Call) -> dict[str, object]:
    return {
        "explanation": failed_calls.explain(call.code) if call.code else None,
        "arguments": json.dumps(call.arguments, indent=2, ensure_ascii=False),
    }
