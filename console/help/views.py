"""Help: the documentation and a page for each error code. Nothing here is anybody's, so no sign-in is needed."""

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from console.accounts.second_factor_required import before_second_factor
from console.api.problems import STATUS
from console.errors import EXPLANATIONS, Blame, Code, Retry, retry_of
from console.help import documentation
from console.help.causes import CAUSES

_LONGEST_QUERY = 100
_RETRY = {
    Retry.SAFE: "Yes, unchanged, after the number of seconds in the answer or after a minute. Nothing was done.",
    Retry.AFTER_CHANGE: "Not unchanged. Nothing was done. Fix what the message names first.",
    Retry.CHECK_STATUS: "Check first: something may have been done. Look at Orders or call get_order_status.",
}
_BLAME = {
    Blame.CALLER: "The assistant or program that made the call, or the owner of the connection",
    Blame.GATEWAY: "The operator of this instance",
    Blame.BROKER: "The broker, or the owner at the broker",
    Blame.NETWORK: "Usually nobody has to. If this persists, the operator of this instance checks its network",
    Blame.NOBODY: "Nothing is broken. The owner of the connection decides whether it is allowed",
}
_REGISTRATION = {
    "open": "Apps can register themselves",
    "review": "An operator accepts each app first",
    "off": "Only clients registered by hand",
}


@require_safe
@login_not_required
@before_second_factor
def page(request: HttpRequest, slug: str = "") -> HttpResponse:
    found = documentation.page(slug)
    if found is None:
        raise Http404
    query = request.GET.get("q", "").strip()[:_LONGEST_QUERY]
    context = {"page": found, "contents": documentation.contents(), "query": query, "current": slug}
    if query:
        context["hits"] = documentation.search(query)
    elif not slug:
        context["facts"] = _facts()
    return render(request, "help/page.html", context)


@require_safe
@login_not_required
@before_second_factor
def error(request: HttpRequest, code: str) -> HttpResponse:
    if code not in EXPLANATIONS:
        raise Http404
    known = Code(code)
    context = {
        "code": known.value,
        "explanation": EXPLANATIONS[known],
        "cause": CAUSES.get(known, ""),
        "retry": _RETRY[retry_of(known)],
        "retry_word": retry_of(known).value,
        "who": _BLAME[EXPLANATIONS[known].blame],
        "status": STATUS.get(known, 422),
        "contents": documentation.contents(),
        "current": "reference/errors",
    }
    return render(request, "help/error.html", context)


@require_safe
@login_not_required
@before_second_factor
def picture(request: HttpRequest, path: str) -> HttpResponse:
    found = documentation.pictures().get(path)
    if found is None:
        raise Http404
    return HttpResponse(found.read_bytes(), content_type="image/svg+xml")


def _facts() -> list[tuple[str, str]]:
    """What holds on this instance."""
    return [
        ("Console", f"{settings.PUBLIC_URL}/"),
        ("MCP address", settings.MCP_URL),
        (
            "Calls of one user",
            f"{settings.CALLS_PER_MINUTE} a minute, of which {settings.TRADE_CALLS_PER_MINUTE} trading",
        ),
        ("A prepared order expires", f"after {settings.CONFIRMATION_SECONDS} seconds"),
        ("Who releases orders by default", "Paper: the assistant, after you agree. Live: you, in the console"),
        ("New apps", _REGISTRATION[settings.SELF_REGISTRATION]),
        ("Second factor", "Required" if settings.REQUIRE_SECOND_FACTOR else "Recommended, not required"),
        ("Version", settings.VERSION),
    ]
