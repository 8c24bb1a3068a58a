"""What no view should have to think of."""

import logging
import sys
from collections.abc import Callable
from urllib.parse import SplitResult, urlsplit

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import BadRequest, DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.encoding import escape_uri_path
from django.utils.http import escape_leading_slashes

from console import base_path, host_names, ids, ip_addresses, refusal_rendering, request_origin, tracing
from console.accounts import time_zones
from console.accounts.models import User
from console.audit import masking
from console.errors import DATABASE_AWAY, Code, Refusal, database_away, first_line
from console.help import error_links
from console.request_ids import HEADER
from console.untrusted_text import escape_hidden

log = logging.getLogger(__name__)

_FOR_PROGRAMS = (
    *("/api/", "/auth/", "/static/", "/.well-known/", "/signals/in/"),
    *("/oauth/token", "/oauth/revoke", "/oauth/register"),
)
_FORM = "application/x-www-form-urlencoded"


def normalize_address(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """``REMOTE_ADDR`` is an address or empty, whatever a server or a proxy in front made of it."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        request.META["REMOTE_ADDR"] = ip_addresses.parse_address(request.META.get("REMOTE_ADDR", ""))
        return get_response(request)

    return middleware


def remember_origin(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """The id, the address and the browser of the request that runs now, for the log and the audit log."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        origin = request_origin.Origin(request.META["REMOTE_ADDR"], request.META.get("HTTP_USER_AGENT", ""))
        # Behind ASGI it has one; a WSGI server gives it none.
        request_id, parent = tracing.current_request_id(), tracing.current_parent()
        if not request_id:
            request_id, parent = ids.new("req"), tracing.parse(request.META.get("HTTP_TRACEPARENT"))
        with request_origin.coming_from(origin), tracing.request(request_id, parent):
            response = get_response(request)
        if HEADER not in response:
            response[HEADER] = request_id
        return response

    return middleware


def refuse_foreign_host(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """400 for a host name that is not ours, told as what it is.

    It stands before whoever asks for the host, and after the files that its page needs.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        try:
            request.get_host()
        except DisallowedHost:
            host = request.META.get("HTTP_HOST", "")
            host_names.log_foreign_host(host, request.META.get("REMOTE_ADDR", ""))
            kind, body = refusal_rendering.render_refusal(
                request.path,
                400,
                Code.INVALID_REQUEST,
                host_names.foreign_host_message(host),
                template="wrong_host.html",
                host=host[:100],
                public_url=settings.PUBLIC_URL,
            )
            return HttpResponse(body, content_type=kind, status=400, headers={"Cache-Control": "no-store"})
        return get_response(request)

    return middleware


def refuse_nul(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """400 for a NUL character in an address or a form: PostgreSQL cannot store one, and no person typed it.

    The authorization server and the REST API answer in words of their own, which their clients understand.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if base_path.within(request.path).startswith(("/oauth/", "/api/")):
            if "\0" in request.path:
                code = Code.INVALID_REQUEST
                return JsonResponse(
                    {"error": "invalid_request", "code": code, "error_uri": error_links.error_page_url(code)},
                    status=400,
                )
            return get_response(request)
        sent = [request.path.encode(), request.META.get("QUERY_STRING", "").encode("latin-1", "replace")]
        if request.method == "POST" and request.content_type == _FORM:
            sent.append(request.body)
        if any(b"\0" in part or b"%00" in part for part in sent):
            raise BadRequest("A NUL character in the request.")
        return get_response(request)

    return middleware


def escape_hidden_characters(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Pages write out what cannot be seen in the words of others: nothing turns a line round or hides in one."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if isinstance(response, HttpResponse) and response.get("Content-Type", "").startswith("text/html"):
            page = response.content.decode(response.charset)
            if (shown := escape_hidden(page, lines=True)) != page:
                response.content = shown.encode(response.charset)
        return response

    return middleware


def redirect_to_own_name(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Lead a page that was asked for under another name of this computer to the instance's own (RFC 9110, 15.4.8).

    Its cookies and its passkeys belong to that name. Programs are answered under each.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.method not in ("GET", "HEAD") or _is_for_programs(request):
            return get_response(request)
        own, parts = urlsplit(settings.PUBLIC_URL).hostname, _host(request)
        if parts is None or parts.hostname == own or parts.hostname not in settings.LOCAL_NAMES:
            return get_response(request)
        port = "" if parts.port is None else f":{parts.port}"
        answer = HttpResponseRedirect(f"http://{own}{port}{request.get_full_path()}", status=307)
        answer["Cache-Control"] = "no-store"
        return answer

    return middleware


def keep_keys_out_of_addresses(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """A whole key in the query of a page leads on to the same address with its beginning alone.

    Addresses are kept by browsers, proxies and logs. What a page finds by a key it finds by its beginning too. The
    list beneath the search box, which is no address of a page, is left as it is: it says what to do about the key.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        query = request.META.get("QUERY_STRING", "")
        if (
            "tl" not in query
            or request.method not in ("GET", "HEAD")
            or _is_for_programs(request)
            or "part" in request.GET
        ):
            return get_response(request)
        shortened, is_changed = request.GET.copy(), False
        for name, values in request.GET.lists():
            kept = [masking.without_secrets(value) for value in values]
            if kept != values:
                shortened.setlist(name, kept)
                is_changed = True
        if not is_changed:
            return get_response(request)
        messages.warning(
            request,
            "That was a whole key. It was taken out of the address. If it was copied to where it does not belong, "
            "report it under API keys, A key has leaked.",
        )
        # Two slashes at its beginning would lead to another server.
        path = escape_leading_slashes(escape_uri_path(request.path))
        answer = HttpResponseRedirect(f"{path}?{shortened.urlencode()}")
        answer["Cache-Control"] = "no-store"
        return answer

    return middleware


def show_times_of_viewer(
    get_response: Callable[[HttpRequest], HttpResponseBase],
) -> Callable[[HttpRequest], HttpResponseBase]:
    """Pages are in the time zone of who looks at them; what programs read is in UTC always."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if _is_for_programs(request) or not isinstance(request.user, User):
            return get_response(request)
        with timezone.override(time_zones.zone_of(request.user, request.COOKIES.get(time_zones.COOKIE, ""))):
            return get_response(request)

    return middleware


def answer_failure(request: HttpRequest) -> HttpResponse:
    """What nobody refused: 503 while the database is away, else 500, with the number that the log has it under."""
    error, request_id = sys.exc_info()[1], tracing.current_request_id() or ids.new("req")
    log.error("Request %s for %s failed: %s", request_id, request.path[:200], error and first_line(error))
    if isinstance(error, Refusal) and error.code is Code.DATABASE_UNAVAILABLE:
        status, refusal = 503, error
    elif isinstance(error, DATABASE_AWAY):
        status, refusal = 503, database_away(did_nothing=request.method in ("GET", "HEAD"))
    else:
        told = f"Something went wrong in Tradelatch. The operator can find it in the log under {request_id}."
        status, refusal = 500, Refusal(Code.INTERNAL_ERROR, told)
    kind, body = refusal_rendering.render_refusal(
        request.path,
        status,
        refusal.code,
        str(refusal),
        template=f"{status}.html",
        request_id=request_id,
        said=str(refusal),
        base_path=settings.BASE_PATH,  # no page is looked up by its name: this one has to work when nothing else does
    )
    answer = HttpResponse(body, content_type=kind, status=status)
    answer["X-Request-ID"], answer["Cache-Control"] = request_id, "no-store"
    if refusal.retry_after is not None:
        answer["Retry-After"] = str(round(refusal.retry_after))
        answer._has_been_logged = True  # type: ignore[attr-defined]  # of Django: no stack of calls a request
    return answer


def _is_for_programs(request: HttpRequest) -> bool:
    return base_path.within(request.path).startswith(_FOR_PROGRAMS)


def _host(request: HttpRequest) -> SplitResult | None:
    try:
        return urlsplit(f"//{request.get_host()}")
    except DisallowedHost:
        return None  # told further in
