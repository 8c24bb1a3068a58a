import json
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from console import ids
from console.api import openapi
from console.errors import EXPLANATIONS


@dataclass(frozen=True, slots=True)
class Endpoint:
    method: str
    path: str
    name: str
    about: str
    callers: str


@login_not_required
@require_safe
def schema(request: HttpRequest) -> HttpResponse:
    """The description holds nothing of anybody's, so whoever writes a client may have it."""
    response = HttpResponse(json.dumps(openapi.document()), content_type="application/json")
    response["X-Request-ID"] = ids.new("req")
    response["Cache-Control"] = "public, max-age=300"
    return response


@require_safe
def developers(request: HttpRequest) -> HttpResponse:
    sections: dict[str, list[Endpoint]] = {}
    for path, methods in openapi.document()["paths"].items():
        for method, operation in methods.items():
            sections.setdefault(operation["tags"][0], []).append(_endpoint(method, path, operation))
    codes = [(code.value, told) for code, told in EXPLANATIONS.items()]
    return render(request, "api/developers.html", {"sections": list(sections.items()), "codes": codes})


def _endpoint(method: str, path: str, operation: dict[str, Any]) -> Endpoint:
    schemes = [next(iter(scheme)) for scheme in operation["security"]]
    callers = " or ".join(openapi.CALLERS[scheme] for scheme in schemes)
    return Endpoint(method.upper(), path, operation["operationId"], operation["summary"], callers)
