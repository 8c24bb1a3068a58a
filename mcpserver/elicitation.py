"""Asking the user through their client before an order goes (MCP 2026-07-28, client/elicitation, basic/patterns/mrtr).

A tool that ``asks`` is called as ever. When it prepared an order, and the client can ask, its answer is held back and
the user is asked; the client calls again with what they said and with our sealed state. A yes redeems the very same
confirmation through the pipeline, so every check holds again and the desk lets it be used once.

Whatever is prepared by such a call is kept as its user's to release (``Redeemer``), from the row's first moment on: no
tool, key or REST endpoint lists its id or redeems it, whoever asks for it again.

Programs that nobody watches answer by themselves, at once, whatever the question is. An answer that comes sooner than
a person can read (``FASTEST_ANSWER_MS``) is therefore nobody's, a yes as little as a no: on paper the assistant may
confirm as where nobody can be asked, on live the order waits for its owner. Who closes the question later has said
neither yes nor no, so it waits for its owner, too.

form   the summary and "Send this order?", where the assistant may confirm
url    the order's page in the console: its owner decides there, and a yes in the client only means that it was opened
"""

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Protocol

import mcp_types as types
from django.conf import settings
from django.db import close_old_connections
from django.utils import timezone
from django.utils.crypto import salted_hmac
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity

from console.authority.call_quota import CallKind
from console.connections.models import LONGEST_APPROVAL_WAIT
from console.orders import user_questions
from console.orders.models import Confirmation
from console.principal import Principal, Redeemer
from console.toolsets import Toolset
from mcpserver.arguments.base import Text, Whole
from mcpserver.catalog import Tool, ToolAccess
from mcpserver.context import ToolAnswer, ToolCall
from mcpserver.tools import orders

_KEY = "order"
"""The name of our one question among the client's responses."""
_LONGEST_MS = 3_600_000


class Mode(StrEnum):
    FORM = "form"
    URL = "url"


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What the question was about. Sealed on the wire: the client can neither read nor change it."""

    mode: Mode
    about: str
    """The id of the order or of the plan."""
    confirmation_id: str
    summary: str
    question: str
    """Its id, by ``user_questions.put``."""
    asked_at: float
    """In seconds since 1970, by the clock of this server."""

    @property
    def age_ms(self) -> int:
        """Milliseconds since it was asked."""
        return round((timezone.now().timestamp() - self.asked_at) * 1000)


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
        """An empty declaration means forms, as before there were two modes. The owner may want nobody asked there."""
        declared = self.capabilities.elicitation if self.capabilities else None
        if declared is None or not self.principal.ask_in_assistant:
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
    """``pipeline.call`` for this principal and request. ``redeemer``: whose yes the call stands for.

    ``tool``: what is run instead of the tool of that name, where no tool of the catalog does it.
    """

    def __call__(
        self, name: str, given: Mapping[str, Any], *, redeemer: Redeemer = Redeemer.APP, tool: Tool | None = None
    ) -> ToolAnswer: ...


Ask = Callable[[ToolRequest, RunTool], ToolAnswer | types.CallToolResult | types.InputRequiredResult]


def boundary(principal_of: Callable[[Any], Principal]) -> RequestStateBoundary:
    """Seals our state for one app, one call and one instance, for as long as any confirmation can live.

    The key comes from the instance's secret, so any process takes what another gave.
    """
    security = RequestStateSecurity(
        # The first seals, all of them open.
        keys=[
            salted_hmac("mcpserver.elicitation", "request-state", secret=secret, algorithm="sha256").digest()
            for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
        ],
        ttl=max(settings.CONFIRMATION_SECONDS, LONGEST_APPROVAL_WAIT),
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
    if "rule" in answer.content:  # its owner has answered already
        return answer
    # Where only the owner may release it, a form's yes would be no yes.
    mode = Mode.URL if "approve_at" in answer.content else Mode.FORM
    if mode not in asked.can:
        content = {name: value for name, value in answer.content.items() if name != "confirmation_id"}
        return ToolAnswer(content=content)
    return _put(
        asked.principal,
        mode,
        about=_about(answer.content),
        confirmation_id=answer.content["confirmation_id"],
        summary=answer.content["summary"],
    )


def _resume(state: _State, asked: ToolRequest, call: RunTool) -> ToolAnswer | types.InputRequiredResult:
    """What the answer leads to. Only a person's plain yes sends the order."""
    response = (asked.responses or {}).get(_KEY)
    if isinstance(response, types.ElicitResult):
        age = state.age_ms
        if age < settings.FASTEST_ANSWER_MS:
            note = "Your program answered the question by itself; nobody was asked."
            after = functools.partial(user_questions.answered_by_program, question=state.question)
            return _unanswered(state, response, age, call, after, note)
        if response.action == "cancel":
            note = "The user closed the question without answering."
            return _unanswered(state, response, age, call, user_questions.closed, note)
        if response.action == "decline":
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
    return _put(
        asked.principal,
        state.mode,
        about=state.about,
        confirmation_id=state.confirmation_id,
        summary=state.summary,
        instead_of=state.question,
    )


def _put(
    principal: Principal, mode: Mode, *, about: str, confirmation_id: str, summary: str, instead_of: str = ""
) -> types.InputRequiredResult:
    try:
        question = user_questions.put(principal, confirmation_id, instead_of=instead_of)
    finally:
        close_old_connections()
    params: types.ElicitRequestParams
    if mode == Mode.FORM:
        params = types.ElicitRequestFormParams(
            message=summary,
            requested_schema={
                "type": "object",
                "properties": {"send": {"type": "boolean", "title": "Send this?"}},
                "required": ["send"],
            },
        )
    else:
        params = types.ElicitRequestURLParams(
            message=f"{summary} Open Tradelatch to review it and decide there.",
            url=f"{settings.PUBLIC_URL}/{'plans' if _is_plan(about) else 'orders'}/{about}/",
        )
    state = _State(
        mode=mode,
        about=about,
        confirmation_id=confirmation_id,
        summary=summary,
        question=question,
        asked_at=timezone.now().timestamp(),
    )
    return types.InputRequiredResult(
        input_requests={_KEY: types.ElicitRequest(params=params)}, request_state=json.dumps(asdict(state))
    )


def _unanswered(
    state: _State,
    response: types.ElicitResult,
    age: int,
    call: RunTool,
    after: Callable[[Principal, str], Confirmation],
    note: str,
) -> ToolAnswer:
    """Who may say yes from now on. It is no tool, yet passes all that a tool call passes, and is on record."""

    def run(this: ToolCall) -> dict[str, Any]:
        return orders.after_question(this, after(this.principal, state.confirmation_id), note)

    tool = Tool(
        name="elicitation/answer",
        toolset=Toolset.TRADE,
        about="",
        run=run,
        returns=orders.Placed,
        args=(Text(name="action", required=True), Whole(name="after_ms", required=True, least=0, most=_LONGEST_MS)),
        access=ToolAccess.WRITE,
        throttle=CallKind.READ,
    )
    given = {"action": response.action, "after_ms": min(max(age, 0), _LONGEST_MS)}
    return call(tool.name, given, tool=tool)


def _discard(state: _State, call: RunTool, note: str) -> ToolAnswer:
    """It ends now, not when its time is over."""
    answer = call("discard_confirmation", {"confirmation_id": state.confirmation_id}, redeemer=Redeemer.USER)
    if answer.is_error:
        return answer
    return ToolAnswer(content={**answer.content, "note": note})


def _about(content: Mapping[str, Any]) -> str:
    """The id of what was prepared."""
    found: str = content["plan"]["plan_id"] if "plan" in content else content["order"]["order_id"]
    return found


def _is_plan(about: str) -> bool:
    return about.startswith("pln_")


def _pending_state(state: _State, call: RunTool) -> ToolAnswer:
    if _is_plan(state.about):
        answer = call("get_plans", {"plan_id": state.about})
        if answer.is_error:
            return answer
        content = {"status": answer.content["plan"]["status"], **answer.content}
        if content["status"] == "awaiting_confirmation":
            content["next"] = "Nothing was sent. Only the owner can start it, on that page. Then call get_plans."
        return ToolAnswer(content=content)
    answer = call("get_order_status", {"order_id": state.about})
    if answer.is_error:
        return answer
    content = {"status": answer.content["order"]["status"], **answer.content}
    if content["status"] == "awaiting_confirmation":
        content["next"] = "Nothing was sent. Only the owner can release it, on that page. Then call get_order_status."
    return ToolAnswer(content=content)
