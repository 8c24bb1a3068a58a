"""What no view should have to think of."""

from collections.abc import Callable

from django.core.exceptions import BadRequest
from django.http import HttpRequest, JsonResponse
from django.http.response import HttpResponseBase

from console.errors import Code
from console.help import links

_FORM = "application/x-www-form-urlencoded"


def refuse_nul(get_response: Callable[[HttpRequest], HttpResponseBase]) -> Callable[[HttpRequest], HttpResponseBase]:
    """400 for a NUL character in an address or a form: PostgreSQL cannot store one, and no person typed it.

    The authorization server and the REST API answer in words of their own, which their clients understand.
    """

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.path.startswith(("/oauth/", "/api/")):
            if "\0" in request.path:
                code = Code.INVALID_REQUEST
                return JsonResponse({"error": "invalid_request", "code": code, "error_uri": links.to(code)}, status=400)
            return get_response(request)
        sent = [request.path.encode(), request.META.get("QUERY_STRING", "").encode("latin-1", "replace")]
        if request.method == "POST" and request.content_type == _FORM:
            sent.append(request.body)
        if any(b"\0" in part or b"%00" in part for part in sent):
            raise BadRequest("A NUL character in the request.")
        return get_response(request)

    return middleware
