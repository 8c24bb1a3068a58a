"""The wrapper of every view that programs call: no session, no CSRF token, open to web pages of any origin."""

from collections.abc import Callable
from functools import wraps

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views.decorators.csrf import csrf_exempt

View = Callable[..., HttpResponseBase]


def public_endpoint(*methods: str) -> Callable[[View], View]:
    """CORS for hosts that run in a browser, on every answer: a refusal that a page cannot read helps nobody.

    Any origin may call, because no cookie is read and none is allowed along.
    """
    allowed = ", ".join([*methods, "OPTIONS"])

    def decorate(view: View) -> View:
        @wraps(view)
        def wrapped(request: HttpRequest, *args: object, **kwargs: object) -> HttpResponseBase:
            response: HttpResponseBase
            if request.method == "OPTIONS":
                response = HttpResponse(status=204)
                response["Access-Control-Allow-Methods"] = allowed
                response["Access-Control-Allow-Headers"] = (
                    "Authorization, Content-Type, MCP-Protocol-Version, Mcp-Method, Mcp-Name"
                )
                response["Access-Control-Max-Age"] = "86400"
            elif request.method in methods:
                response = view(request, *args, **kwargs)
            else:
                response = error("invalid_request", f"Use {' or '.join(methods)} here.", status=405)
                response["Allow"] = allowed
            response["Access-Control-Allow-Origin"] = "*"
            response["Access-Control-Expose-Headers"] = "WWW-Authenticate"
            return response

        return login_not_required(csrf_exempt(wrapped))

    return decorate


def error(code: str, description: str, *, status: int = 400) -> JsonResponse:
    """RFC 6749 section 5.2 and RFC 7591 section 3.2.2."""
    return JsonResponse(
        {"error": code, "error_description": description}, status=status, headers={"Cache-Control": "no-store"}
    )
