from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from rest_framework.exceptions import MethodNotAllowed
from rest_framework.request import Request
from rest_framework.response import Response

from console import toolsets
from console.api.base import ApiView, Operation
from console.authority.drf import Need
from console.errors import EXPLANATIONS
from console.scopes import Scope
from console.toolsets import ToolInfo, Toolset


@cache
def _openapi() -> Any:
    """Loaded when somebody asks for the description: its library takes megabytes that nothing else needs."""
    return import_module("console.api.openapi")


@dataclass(frozen=True, slots=True)
class Endpoint:
    method: str
    path: str
    name: str
    about: str
    callers: str


class Schema(ApiView):
    """The description holds nothing of anybody's, so whoever writes a client may have it."""

    schema = None  # DRF's way to leave a view out
    acts = {"GET": Operation(name="describe", needs=Need.READ, toolset=Toolset.CORE, about="This description.")}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.format_kwarg = None
        if self.act is None and request.method != "OPTIONS":
            raise MethodNotAllowed(request.method or "")

    def get(self, request: Request) -> Response:
        return Response(_openapi().document(), headers={"Cache-Control": "public, max-age=300"})


@require_safe
def developers(request: HttpRequest) -> HttpResponse:
    sections: dict[str, list[Endpoint]] = {}
    for path, methods in _openapi().document()["paths"].items():
        for method, operation in methods.items():
            sections.setdefault(operation["tags"][0], []).append(_endpoint(method, path, operation))
    codes = [(code.value, told) for code, told in EXPLANATIONS.items()]
    return render(request, "api/developers.html", {"sections": list(sections.items()), "codes": codes})


def _endpoint(method: str, path: str, operation: dict[str, Any]) -> Endpoint:
    schemes = [next(iter(scheme)) for scheme in operation["security"]]
    callers = " or ".join(_openapi().CALLERS[scheme] for scheme in schemes)
    return Endpoint(method.upper(), path, operation["operationId"], operation["summary"], callers)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSection:
    toolset: Toolset
    title: str
    words: str
    tools: list[ToolInfo]
    size: int
    is_off: bool
    """For each app until its owner switches it on."""


@require_safe
def tools(request: HttpRequest) -> HttpResponse:
    """The documentation of every tool at /mcp, made from the catalog that serves them."""
    sections = []
    for toolset in Toolset:
        inside = [tool for tool in toolsets.provided() if tool.toolset is toolset]
        if inside:
            title, words = toolsets.LABELS[toolset]
            sections.append(
                ToolSection(
                    toolset=toolset,
                    title=title,
                    words=words,
                    tools=inside,
                    size=toolsets.size(inside),
                    is_off=toolset in toolsets.OFF_BY_DEFAULT,
                )
            )
    every = toolsets.provided()
    context = {"sections": sections, "tools": len(every), "bytes": toolsets.size(every), "trade": Scope.TRADE}
    return render(request, "api/tools.html", context)


@require_safe
def tool(request: HttpRequest, name: str) -> HttpResponse:
    """One of them: its arguments and its result."""
    for each in toolsets.provided():
        if each.name == name:
            return render(request, "api/tool.html", {"tool": each, "trade": Scope.TRADE})
    raise Http404
