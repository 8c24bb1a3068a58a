"""A model on loopback that plays a script instead of thinking, and keeps every request it was given."""

import contextlib
import itertools
import json
import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.hosts.scripted.conversation import Answer, Call, OfferedTool, Say, Step, Turn
from tests.hosts.scripted.dialects import LISTING, AnthropicMessages, ChatCompletions, Dialect, Gemini, OpenAIResponses
from tests.serving import free_port, until

DONE = "The script is played."
# Tools by which hosts load or call tools that they do not give in full; what they return counts as no step.
SEARCHES = ("ToolSearch", "tool_search", LISTING)
_CHARACTERS_PER_TOKEN = 3


class ScriptedModel:
    """Plays step n when the conversation holds the results of n steps."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps
        self.turns: list[Turn] = []
        """Requests that offer tools, in the order they came; the side requests of a host are not among them."""
        self.missed: set[str] = set()
        """Words of steps by which a host's own search did not find their tool."""
        self.failures: list[str] = []
        """Requests that it could not make sense of."""
        self._begun: set[int] = set()
        self._port = free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def read(self) -> list[str]:
        """What the model read of each step."""
        return _read(self.turns[-1]) if self.turns else []

    def offered(self, tool: str) -> OfferedTool | None:
        """One of our tools as it stood in a request in full, at last."""
        found = (each for turn in reversed(self.turns) for each in turn.offered if is_named(each.name, tool))
        return next(found, None)

    def answer(self, turn: Turn) -> Answer:
        if not turn.offered:
            return Say("Trading")
        self.turns.append(turn)
        read = _read(turn)
        if len(read) >= len(self.steps):
            return Say(DONE)
        step = self.steps[len(read)]
        answer = _next(turn, step)
        if isinstance(answer, _Search):
            if answer.again:
                self.missed.add(step.words)
            return answer.call
        if len(read) not in self._begun:
            self._begun.add(len(read))
            if step.before is not None:
                step.before()
        return answer

    @contextlib.contextmanager
    def serving(self) -> Iterator["ScriptedModel"]:
        config = uvicorn.Config(self._app(), host="127.0.0.1", port=self._port, log_level="warning", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        until(lambda: server.started, seconds=10, what="the scripted model answers")
        try:
            yield self
        finally:
            server.should_exit = server.force_exit = True
            thread.join(10)

    def _app(self) -> Starlette:
        async def messages(request: Request) -> Response:
            return await self._speak(AnthropicMessages(), request)

        async def responses(request: Request) -> Response:
            return await self._speak(OpenAIResponses(), request)

        async def chat(request: Request) -> Response:
            return await self._speak(ChatCompletions(), request)

        async def count(request: Request) -> Response:
            return JSONResponse({"input_tokens": len(await request.body()) // _CHARACTERS_PER_TOKEN})

        async def gemini(request: Request) -> Response:
            model, _, method = request.path_params["call"].partition(":")
            if method == "countTokens":
                return JSONResponse({"totalTokens": len(await request.body()) // _CHARACTERS_PER_TOKEN})
            return await self._speak(Gemini(), request, model=model, streams=method == "streamGenerateContent")

        async def models(_: Request) -> Response:
            return JSONResponse({"object": "list", "data": []})

        return Starlette(
            routes=[
                Route("/v1/messages", messages, methods=["POST"]),
                Route("/v1/messages/count_tokens", count, methods=["POST"]),
                Route("/v1/responses", responses, methods=["POST"]),
                Route("/v1/chat/completions", chat, methods=["POST"]),
                Route("/v1/models", models),
                Route("/v1beta/models/{call}", gemini, methods=["POST"]),
            ]
        )

    async def _speak(self, dialect: Dialect, request: Request, *, model: str = "", streams: bool = False) -> Response:
        body = json.loads(await request.body())
        try:
            turn = dialect.read(body, model or body["model"])
            answer = await run_in_threadpool(self.answer, turn)
        except Exception as error:  # whatever it is, the test shows it; the host gets an answer
            self.failures.append(f"{type(error).__name__}: {error}")
            return JSONResponse({"error": {"type": "invalid_request_error", "message": str(error)}}, 400)
        if streams or body.get("stream"):
            return StreamingResponse(dialect.stream(answer, turn), media_type="text/event-stream")
        return JSONResponse(dialect.whole(answer, turn))


def _read(turn: Turn) -> list[str]:
    return [result.text for result in turn.results if result.tool not in SEARCHES]


def is_named(name: str, tool: str) -> bool:
    """Whether this is our tool under a host's own prefix, such as ``mcp__tradelatch__get_quote``."""
    return re.search(rf"(?:^|[^A-Za-z0-9]|_){re.escape(tool)}$", name) is not None


@dataclass(frozen=True, slots=True)
class _Search:
    """A call that only looks for tools. ``again``: the words of the step have found nothing."""

    call: Call
    again: bool = False


def _next(turn: Turn, step: Step) -> Call | _Search:
    """How this host has its model call one of our tools: at once, after a search, or from a script."""
    by_name = {offered.name: offered for offered in turn.offered}
    found = next((name for name in by_name if is_named(name, step.tool)), None)
    if found is not None:
        namespace, _, name = found.rpartition("/")
        return Call(name, _given(turn, step), namespace=namespace)
    if "exec" in by_name and turn.dialect == "responses":
        if not turn.results:
            return _Search(Call("exec", {}, script=_LIST, kind="custom"))
        return Call("exec", {}, script=_script(step.tool, _given(turn, step)), kind="custom")
    named = re.findall(rf"mcp__\w+?__{step.tool}(?!\w)", json.dumps(turn.body))
    full = named[0] if named else step.tool
    tries = [step.words, f"select:{full}"] if named else [step.words, step.tool.replace("_", " "), step.tool]
    searches = list(itertools.takewhile(lambda result: result.tool in SEARCHES, reversed(turn.results)))
    search = next((name for name in ("ToolSearch", "tool_search") if name in by_name), None)
    # One host shows what its search found in the result of the search alone.
    is_shown = any(re.search(rf"__{step.tool}\b", result.text) for result in searches)
    if search and not is_shown and len(searches) < len(tries):
        kind = "search" if turn.dialect == "responses" else "function"
        return _Search(Call(search, {"query": tries[len(searches)]}, kind=kind), again=bool(searches))
    if "tool_call" in by_name:
        return Call("tool_call", {"name": full, "arguments": _given(turn, step)})
    return Call(full, _given(turn, step))


def _given(turn: Turn, step: Step) -> dict[str, Any]:
    return dict(step.given(_read(turn)))


_LIST = f"text(JSON.stringify({LISTING}(each => each.name)));"


def _script(tool: str, arguments: dict[str, Any]) -> str:
    """Code mode: find the tool as a model would, call it, and write down the whole result."""
    return (
        f"const tool = ALL_TOOLS.find(each => each.name.endsWith('__{tool}'));\n"
        f"text(JSON.stringify(await tools[tool.name]({json.dumps(arguments)})));\n"
    )
