"""The tools, prompts and resources that the conformance suite asks a server for, on our edge, gate and server.

Only what they answer is made up here, by ``examples/servers/everything-server`` of the Python SDK; who may call them,
how they are called and what goes over the wire is the code that serves everybody. Start with
``uvicorn tests.hosts.conformance_app:application``.
"""

import contextvars
import json
import time
from collections.abc import Callable
from typing import Any

import mcp_types as types
from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.shared.exceptions import MCPError

from console.toolsets import Toolset
from mcpserver.arguments.base import Text
from mcpserver.asgi import McpApp
from mcpserver.catalog import Tool
from mcpserver.context import ToolAnswer, ToolCall
from mcpserver.elicitation import RunTool, ToolRequest
from mcpserver.prompts import Prompt
from mcpserver.resources import Resource
from mcpserver.surface import Surface

IMAGE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
AUDIO = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
_ROUND: contextvars.ContextVar[ToolRequest] = contextvars.ContextVar("round")

Run = Callable[[ToolCall], dict[str, Any]]


def _tool(name: str, run: Run, *, args: tuple[str, ...] = (), asks: bool = False, reports: bool = False) -> Tool:
    return Tool(
        name=name,
        toolset=Toolset.CORE,
        about=f"Fixture {name} of the conformance suite.",
        run=run,
        returns=dict,
        args=tuple(Text(name=arg, required=True) for arg in args),
        asks=asks,
        reports=reports,
    )


# -- tools that answer with content blocks -----------------------------------------------------------------------


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _embedded(uri: str, mime: str, text: str) -> dict[str, Any]:
    return {"type": "resource", "resource": {"uri": uri, "mimeType": mime, "text": text}}


_PICTURE = {"type": "image", "data": IMAGE, "mimeType": "image/png"}


def _content(*blocks: dict[str, Any]) -> Run:
    return lambda call: {"content": list(blocks)}


def _broken(call: ToolCall) -> dict[str, Any]:
    raise RuntimeError("This tool intentionally returns an error for testing")


def _progress(call: ToolCall) -> dict[str, Any]:
    for done in (0, 50, 100):
        call.report(done, 100, f"Completed step {done} of 100")
        time.sleep(0.05)
    return {"content": [_text("done")]}


_LOGS = ("test_tool_with_logging", "test_logging_tool")


# -- tools that ask the user -------------------------------------------------------------------------------------

_NAME = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
_OK = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}


def _form(message: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"method": "elicitation/create", "params": {"mode": "form", "message": message, "requestedSchema": schema}}


def _sample(text: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": _text(text)}]
    return {"method": "sampling/createMessage", "params": {"messages": messages, "maxTokens": 100}}


_ROOTS = {"method": "roots/list"}


def _until(requests: dict[str, Any], said: str, state: str | None = None) -> Run:
    """Ask until every question has an answer; then say so."""

    def run(call: ToolCall) -> dict[str, Any]:
        asked = _ROUND.get()
        if set(requests) <= set(asked.responses or {}) and asked.state == state:
            return {"content": [_text(said)]}
        return {"inputRequests": requests, "requestState": state}

    return run


def _greet(call: ToolCall) -> dict[str, Any]:
    answer = (_ROUND.get().responses or {}).get("user_name")
    name = (answer.content or {}).get("name") if isinstance(answer, types.ElicitResult) else None
    if not isinstance(name, str):
        return {"inputRequests": {"user_name": _form("What is your name?", _NAME)}, "requestState": None}
    return {"content": [_text(f"Hello, {name}!")]}


def _rounds(call: ToolCall) -> dict[str, Any]:
    asked = _ROUND.get()
    done = json.loads(asked.state)["round"] if asked.state else 0
    responses = asked.responses or {}
    if done == 2 and "step2" in responses:
        return {"content": [_text("Both steps answered.")]}
    if done == 1 and "step1" in responses:
        return {"inputRequests": {"step2": _form("Step 2: your name?", _NAME)}, "requestState": '{"round": 2}'}
    return {"inputRequests": {"step1": _form("Step 1: your name?", _NAME)}, "requestState": '{"round": 1}'}


def _streaming(call: ToolCall) -> dict[str, Any]:
    call.report(1, 2, "About to ask")
    return _greet(call)


def _tampered(call: ToolCall) -> dict[str, Any]:
    if _ROUND.get().state is None:
        return {"inputRequests": {"confirm": _form("Please confirm", _OK)}, "requestState": "round-1"}
    return {"content": [_text("state-ok")]}


def _capable(call: ToolCall) -> dict[str, Any]:
    declared = _ROUND.get().capabilities
    requests = {}
    if declared is not None and declared.sampling is not None:
        requests["sample"] = _sample("Say hello")
    if declared is not None and declared.elicitation is not None:
        requests["ask"] = _form("What is your name?", _NAME)
    return {"inputRequests": requests, "requestState": "capability-gated"}


def _missing(call: ToolCall) -> dict[str, Any]:
    declared = _ROUND.get().capabilities
    if declared is None or declared.sampling is None:
        return {"needs": {"sampling": {}}}
    return {"content": [_text("Client declared sampling capability; proceeding.")]}


def _ask(asked: ToolRequest, call: RunTool) -> ToolAnswer | types.CallToolResult | types.InputRequiredResult:
    """Our way of calling a tool that asks, with a question where the fixture has one."""
    token = _ROUND.set(asked)
    try:
        answer = call(asked.tool, asked.arguments)
    finally:
        _ROUND.reset(token)
    content = answer.content
    if "needs" in content:
        raise MCPError(
            types.MISSING_REQUIRED_CLIENT_CAPABILITY,
            "This tool requires the client 'sampling' capability",
            data={"requiredCapabilities": content["needs"]},
        )
    if "inputRequests" in content:
        return types.InputRequiredResult.model_validate(
            {key: content[key] for key in ("inputRequests", "requestState") if content[key]}
        )
    if "content" in content:
        return types.CallToolResult.model_validate({"content": content["content"]})
    return answer


# -- a list that changes -----------------------------------------------------------------------------------------

_CHANGED: list[Tool] = []


def _change(call: ToolCall) -> dict[str, Any]:
    if _CHANGED:
        _CHANGED.clear()
    else:
        _CHANGED.append(_tool("test_dynamic_tool", _content(_text("dynamic"))))
    return {"content": [_text("tool list changed")]}


_BOTH = {
    "user_name": _form("What is your name?", _NAME),
    "greeting": _sample("Generate a greeting"),
    "client_roots": _ROOTS,
}
_ASKING = "test_input_required_result_"
TOOLS: tuple[Tool, ...] = (
    _tool("test_simple_text", lambda call: {"text": "This is a simple text response for testing."}),
    _tool("test_image_content", _content(_PICTURE), asks=True),
    _tool("test_audio_content", _content({"type": "audio", "data": AUDIO, "mimeType": "audio/wav"}), asks=True),
    _tool(
        "test_embedded_resource",
        _content(_embedded("test://embedded-resource", "text/plain", "This is an embedded resource content.")),
        asks=True,
    ),
    _tool(
        "test_multiple_content_types",
        _content(
            _text("Multiple content types test:"),
            _PICTURE,
            _embedded("test://mixed-content-resource", "application/json", '{"test": "data", "value": 123}'),
        ),
        asks=True,
    ),
    _tool("test_error_handling", _broken),
    _tool("test_tool_with_progress", _progress, asks=True, reports=True),
    _tool("test_tool_with_logging", lambda call: {"text": "Logged."}, reports=True),
    _tool("test_logging_tool", lambda call: {"text": "Logged."}, reports=True),
    _tool("test_streaming_elicitation", _streaming, asks=True, reports=True),
    _tool("test_sampling", lambda call: {"text": "No request to the client."}, args=("prompt",)),
    _tool("test_elicitation", lambda call: {"text": "No request to the client."}, args=("message",)),
    _tool("test_elicitation_sep1034_defaults", lambda call: {"text": "No request to the client."}),
    _tool("test_elicitation_sep1330_enums", lambda call: {"text": "No request to the client."}),
    _tool("test_missing_capability", _missing, asks=True),
    _tool("test_trigger_tool_change", _change, asks=True),
    _tool(f"{_ASKING}elicitation", _greet, asks=True),
    _tool(f"{_ASKING}sampling", _until({"capital_question": _sample("Capital of France?")}, "Asked."), asks=True),
    _tool(f"{_ASKING}list_roots", _until({"client_roots": _ROOTS}, "Roots told."), asks=True),
    _tool(f"{_ASKING}request_state", _until({"confirm": _form("Please confirm", _OK)}, "state-ok", "nonce"), asks=True),
    _tool(f"{_ASKING}multiple_inputs", _until(_BOTH, "All inputs received.", "multiple-inputs"), asks=True),
    _tool(f"{_ASKING}multi_round", _rounds, asks=True),
    _tool(f"{_ASKING}tampered_state", _tampered, asks=True),
    _tool(f"{_ASKING}capabilities", _capable, asks=True),
)
_BY_NAME = {tool.name: tool for tool in TOOLS}


# -- prompts and resources ---------------------------------------------------------------------------------------


def _says(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": block} for block in blocks]}


def _prompt(name: str, run: Run, *args: str) -> Prompt:
    arguments = tuple(Text(name=arg, required=True) for arg in args)
    return Prompt(name=name, title=name, about=f"Fixture {name}.", run=run, args=arguments)


def _with_resource(call: ToolCall) -> dict[str, Any]:
    return _says(
        _embedded(call.args["resourceUri"], "text/plain", "Embedded resource content for testing."),
        _text("Please process the embedded resource above."),
    )


def _templated(call: ToolCall) -> dict[str, Any]:
    return {"id": call.args["id"], "templateTest": True, "data": f"Data for ID: {call.args['id']}"}


PROMPTS: tuple[Prompt, ...] = (
    _prompt("test_simple_prompt", lambda call: _says(_text("This is a simple prompt for testing."))),
    _prompt(
        "test_prompt_with_arguments",
        lambda call: _says(_text(f"Arguments: arg1='{call.args['arg1']}', arg2='{call.args['arg2']}'")),
        "arg1",
        "arg2",
    ),
    _prompt("test_prompt_with_embedded_resource", _with_resource, "resourceUri"),
    _prompt("test_prompt_with_image", lambda call: _says(_PICTURE, _text("Please analyze the image above."))),
    _prompt("test_input_required_result_prompt", lambda call: _says(_text("Use the context you were given."))),
)


def _resource(uri: str, mime: str, run: Run) -> Resource:
    return Resource(name=uri, title=uri, about="Fixture.", uri=uri, run=run, mime=mime)


RESOURCES: tuple[Resource, ...] = (
    _resource("test://static-text", "text/plain", lambda call: {"text": "The content of the static text resource."}),
    _resource("test://static-binary", "image/png", lambda call: {"blob": IMAGE}),
    _resource("test://watched-resource", "text/plain", lambda call: {"text": "Watched resource content"}),
    _resource("test://template/{id}/data", "application/json", _templated),
)


# -- what no tool of ours does ------------------------------------------------------------------------------------

Context = ServerRequestContext[Any, Any]


async def _beside(ctx: Context, call_next: CallNext) -> HandlerResult:
    """Log messages around a call, and a prompt that asks: ours do neither, but the wire must carry both."""
    params = ctx.params or {}
    if ctx.method == "tools/call" and params.get("name") in _LOGS:
        for text in ("Tool execution started", "Tool processing data", "Tool execution completed"):
            await ctx.session.send_log_message(level="info", data=text, related_request_id=ctx.request_id)
    result = await call_next(ctx)
    asks = ctx.method == "prompts/get" and params.get("name") == "test_input_required_result_prompt"
    if asks and "user_context" not in (params.get("inputResponses") or {}):
        schema = {"type": "object", "properties": {"context": {"type": "string"}}, "required": ["context"]}
        question = _form("What context should the prompt use?", schema)
        return {"resultType": "input_required", "inputRequests": {"user_context": question}}
    return result


async def _accept(context: Context, params: Any) -> types.EmptyResult:
    return types.EmptyResult()


application = McpApp(
    Surface(
        find=lambda name: _BY_NAME.get(name) or next((each for each in _CHANGED if each.name == name), None),
        visible=lambda principal: (*TOOLS, *_CHANGED),
        prompts=PROMPTS,
        resources=RESOURCES,
        ask=_ask,
    )
)
application.server.middleware.append(_beside)
# Of the handshake era, where a server that keeps no sessions has nothing to remember: it offers none of these.
application.server.add_request_handler("logging/setLevel", types.SetLevelRequestParams, _accept)
application.server.add_request_handler("resources/subscribe", types.SubscribeRequestParams, _accept)
application.server.add_request_handler("resources/unsubscribe", types.UnsubscribeRequestParams, _accept)
