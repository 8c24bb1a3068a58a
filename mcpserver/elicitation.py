"""Asking the user through their client before an order goes (MCP 2026-07-28, client/elicitation, basic/patterns/mrtr).

A tool that ``asks`` is called as ever. When it prepared an order, and the client can ask, its answer is held back and
the user is asked; the client calls again with what they said and with our sealed state. A yes redeems the very same
confirmation through the pipeline, so every check holds again and the desk lets it be used once.

Whatever is prepared by such a call is kept as its user's to release (``Redeemer``), from the row's first moment on: no
tool, key or REST endpoint lists its id or redeems it, whoever asks for it again.

form   the summary and "Send this order?", where the assistant may confirm
url    the order's page in the console: its owner decides there, and a yes in the client only means that it was opened
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Protocol

import mcp_types as types
from django.conf import settings
from django.utils.crypto import salted_hmac
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity

from console.principal import Principal, Redeemer
from mcpserver.context import ToolAnswer

_KEY = "order"
"""The name of our one question among the client's responses."""


class Mode(StrEnum):
    FORM = "form"
    URL = "url"


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What the question was about. Sealed on the wire: the client can neither read nor change it."""

    mode: Mode
    order_id: str
    confirmation_id: str
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolRequest:
    """One round of a call: what the client sent, and how it can ask its user."""

    principal: Principal
    tool: str
    arguments: Mapping[str, Any]
    capabilities: types.ClientCapabilities | None
    state: str | None = None
    """As we gave it: the boundary has unsealed it."""
    responses: types.InputResponses | None = None

    @property
    def can(self) -> frozenset[Mode]:
        """An empty declaration means forms, as before there were two modes."""
        declared = self.capabilities.elicitation if self.capabilities else None
        if declared is None:
            return frozenset()
        found = {Mode.URL} if declared.url is not None else set()
        if declared.form is not None or declared.url is None:
            found.add(Mode.FORM)
        return frozenset(found)

    @property
    def redeemer(self) -> Redeemer:
        """Whose yes releases what this call prepares."""
        if Mode.FORM in self.can:
            return Redeemer.USER
        return Redeemer.OWNER if Mode.URL in self.can else Redeemer.APP


class RunTool(Protocol):
    """``pipeline.call`` for this principal and request. ``redeemer``: whose yes the call stands for."""

    def __call__(self, name: str, given: Mapping[str, Any], *, redeemer: Redeemer = Redeemer.APP) -> ToolAnswer: ...


Ask = Callable[[ToolRequest, RunTool], ToolAnswer | types.CallToolResult | types.InputRequiredResult]


def boundary(principal_of: Callable[[Any], Principal]) -> RequestStateBoundary:
    """Seals our state for one app, one call and one instance, for as long as a confirmation lives.

    The key comes from the instance's secret, so any process takes what another gave.
    """
    security = RequestStateSecurity(
        keys=[salted_hmac("mcpserver.elicitation", "request-state", algorithm="sha256").digest()],
        ttl=settings.CONFIRMATION_SECONDS,
        bind_principal=lambda context: f"app-{principal_of(context).app_id}",
    )
    return RequestStateBoundary(security, default_audience=f"{settings.PUBLIC_URL}/mcp")


def ask(asked: ToolRequest, call: RunTool) -> ToolAnswer | types.CallToolResult | types.InputRequiredResult:
    """Call a tool that may ask, or go on where the user was asked. Runs in a worker thread."""
    if asked.state is not None:
        return _resume(_State(**json.loads(asked.state)), asked, call)
    answer = call(asked.tool, asked.arguments, redeemer=asked.redeemer)
    if answer.is_error or not asked.can or "confirmation_id" not in answer.content:
        return answer
    # Where only the owner may release it, a form's yes would be no yes.
    mode = Mode.URL if "approve_at" in answer.content else Mode.FORM
    if mode not in asked.can:
        content = {name: value for name, value in answer.content.items() if name != "confirmation_id"}
        return ToolAnswer(content=content)
    return _question(
        _State(
            mode=mode,
            order_id=answer.content["order"]["order_id"],
            confirmation_id=answer.content["confirmation_id"],
            summary=answer.content["summary"],
        )
    )


def _resume(state: _State, asked: ToolRequest, call: RunTool) -> ToolAnswer | types.InputRequiredResult:
    """What the user's answer leads to. Only a plain yes sends the order."""
    response = (asked.responses or {}).get(_KEY)
    if isinstance(response, types.ElicitResult):
        if response.action != "accept":
            return _discard(state, call, "The user declined. Nothing was sent.")
        if state.mode == Mode.URL:
            return _pending_state(state, call)
        send = (response.content or {}).get("send")
        if send is True:
            return call("confirm_trade", {"confirmation_id": state.confirmation_id}, redeemer=Redeemer.USER)
        if send is False:
            return _discard(state, call, "The user declined. Nothing was sent.")
    if state.mode not in asked.can:
        return _discard(state, call, "The user could not be reached. Nothing was sent.")
    return _question(state)


def _question(state: _State) -> types.InputRequiredResult:
    params: types.ElicitRequestParams
    if state.mode == Mode.FORM:
        params = types.ElicitRequestFormParams(
            message=state.summary,
            requested_schema={
                "type": "object",
                "properties": {"send": {"type": "boolean", "title": "Send this?"}},
                "required": ["send"],
            },
        )
    else:
        params = types.ElicitRequestURLParams(
            message=f"{state.summary} Open Tradelatch to review it and decide there.",
            url=f"{settings.PUBLIC_URL}/orders/{state.order_id}/",
        )
    return types.InputRequiredResult(
        input_requests={_KEY: types.ElicitRequest(params=params)}, request_state=json.dumps(asdict(state))
    )


def _discard(state: _State, call: RunTool, note: str) -> ToolAnswer:
    """It ends now, not when its two minutes are over."""
    answer = call("discard_confirmation", {"confirmation_id": state.confirmation_id}, redeemer=Redeemer.USER)
    if answer.is_error:
        return answer
    return ToolAnswer(content={**answer.content, "note": note})


def _pending_state(state: _State, call: RunTool) -> ToolAnswer:
    answer = call("get_order_status", {"order_id": state.order_id})
    if answer.is_error:
        return answer
    content = {"status": answer.content["order"]["status"], **answer.content}
    if content["status"] == "awaiting_confirmation":
        content["next"] = "Nothing was sent. Only the owner can release it, on that page. Then call get_order_status."
    return ToolAnswer(content=content)
