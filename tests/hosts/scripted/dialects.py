"""The four interfaces that hosts speak to a model: how a request is read, and an answer written, whole or streamed."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tests.hosts.scripted.conversation import Answer, Call, OfferedTool, Say, ToolResult, Turn

LISTING = "ALL_TOOLS.map"
"""In a script of a code mode: it asks what tools there are."""

_ids = itertools.count(1)
_USAGE = 10
_CREATED = 1_700_000_000


class Dialect(Protocol):
    def read(self, body: Mapping[str, Any], model: str) -> Turn: ...

    def whole(self, answer: Answer, turn: Turn) -> dict[str, Any]: ...

    def stream(self, answer: Answer, turn: Turn) -> Iterator[str]: ...


def _new(prefix: str) -> str:
    return f"{prefix}_{next(_ids):06d}"


def _text(content: Any) -> str:
    """The text of a content that is text, or a list of blocks."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "\n".join(_text(each.get("text", each.get("content", ""))) for each in content if isinstance(each, dict))
    return json.dumps(content, ensure_ascii=False) if content else ""


def _event(data: Mapping[str, Any]) -> str:
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n"


def _data(data: Mapping[str, Any]) -> str:
    return f"data: {json.dumps(data)}\n\n"


@dataclass(frozen=True, slots=True)
class AnthropicMessages:
    """``POST /v1/messages``."""

    def read(self, body: Mapping[str, Any], model: str) -> Turn:
        called: dict[str, str] = {}
        results = []
        for message in body["messages"]:
            blocks = message["content"] if isinstance(message["content"], list) else []
            for block in blocks:
                if block.get("type") == "tool_use":
                    called[block["id"]] = block["name"]
                elif block.get("type") == "tool_result":
                    name = called.get(block["tool_use_id"], "")
                    results.append(ToolResult(tool=name, text=_text(block.get("content"))))
        return Turn(
            dialect="anthropic",
            model=model,
            offered=[
                OfferedTool(name=each["name"], description=each.get("description", ""), schema=each.get("input_schema"))
                for each in body.get("tools", ())
                # Deferred tools stand here with their schema once a search has named them; before that, one without.
                if each["name"] != "DeferredToolPlaceholder"
            ],
            results=results,
            body=body,
        )

    def _block(self, answer: Answer) -> dict[str, Any]:
        if isinstance(answer, Say):
            return {"type": "text", "text": answer.text}
        return {"type": "tool_use", "id": _new("toolu"), "name": answer.tool, "input": dict(answer.arguments)}

    def whole(self, answer: Answer, turn: Turn) -> dict[str, Any]:
        return {
            "id": _new("msg"),
            "type": "message",
            "role": "assistant",
            "model": turn.model,
            "content": [self._block(answer)],
            "stop_reason": "tool_use" if isinstance(answer, Call) else "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": _USAGE, "output_tokens": _USAGE},
        }

    def stream(self, answer: Answer, turn: Turn) -> Iterator[str]:
        message = self.whole(answer, turn)
        (block,) = message["content"]
        delta: dict[str, Any]
        if block["type"] == "text":
            delta = {"type": "text_delta", "text": block["text"]}
            empty = block | {"text": ""}
        else:
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
            empty = block | {"input": {}}
        yield _event({"type": "message_start", "message": message | {"content": [], "stop_reason": None}})
        yield _event({"type": "content_block_start", "index": 0, "content_block": empty})
        yield _event({"type": "content_block_delta", "index": 0, "delta": delta})
        yield _event({"type": "content_block_stop", "index": 0})
        ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
        yield _event({"type": "message_delta", "delta": ended, "usage": {"output_tokens": _USAGE}})
        yield _event({"type": "message_stop"})


@dataclass(frozen=True, slots=True)
class OpenAIResponses:
    """``POST /v1/responses``: functions, namespaces of functions, free-text tools and the tool search."""

    def read(self, body: Mapping[str, Any], model: str) -> Turn:
        called: dict[str, str] = {}
        results = []
        offered = list(self._offered(body.get("tools", ())))
        for item in body["input"] if isinstance(body["input"], list) else ():
            kind = item.get("type", "")
            if kind == "additional_tools":
                offered += self._offered(item["tools"])
            elif kind in ("function_call", "custom_tool_call"):
                called[item["call_id"]] = LISTING if LISTING in item.get("input", "") else item["name"]
            elif kind == "tool_search_call":
                called[item["call_id"]] = "tool_search"
            elif kind in ("function_call_output", "custom_tool_call_output"):
                results.append(ToolResult(tool=called.get(item["call_id"], ""), text=_text(item["output"])))
            elif kind == "tool_search_output":
                results.append(ToolResult(tool="tool_search", text=json.dumps(item.get("tools", ()))))
                offered += self._offered(item.get("tools", ()))
        return Turn(dialect="responses", model=model, offered=offered, results=results, body=body)

    def _offered(self, tools: Iterable[Mapping[str, Any]], namespace: str = "") -> Iterator[OfferedTool]:
        for tool in tools:
            if tool["type"] == "namespace":
                # The one namespace that a call does not name.
                yield from self._offered(tool["tools"], "" if tool["name"] == "functions" else tool["name"])
            else:
                yield OfferedTool(
                    name=f"{namespace}/{tool['name']}" if namespace else tool.get("name", tool["type"]),
                    description=tool.get("description", ""),
                    schema=tool.get("parameters"),
                )

    def _item(self, answer: Answer) -> dict[str, Any]:
        if isinstance(answer, Say):
            return {
                "type": "message",
                "id": _new("msg"),
                "role": "assistant",
                "status": "completed",
                "content": [{"type": "output_text", "text": answer.text, "annotations": []}],
            }
        if answer.kind == "search":
            return {
                "type": "tool_search_call",
                "id": _new("tsc"),
                "call_id": _new("call"),
                "status": "completed",
                "execution": "client",
                "arguments": dict(answer.arguments),
            }
        named = {"id": _new("fc"), "call_id": _new("call"), "name": answer.tool, "status": "completed"}
        if answer.kind == "custom":
            return {"type": "custom_tool_call", "input": answer.script} | named
        call: dict[str, Any] = {"type": "function_call", "arguments": json.dumps(dict(answer.arguments))} | named
        return call | ({"namespace": answer.namespace} if answer.namespace else {})

    def whole(self, answer: Answer, turn: Turn) -> dict[str, Any]:
        return {
            "id": _new("resp"),
            "object": "response",
            "created_at": _CREATED,
            "status": "completed",
            "model": turn.model,
            "output": [self._item(answer)],
            "parallel_tool_calls": False,
            "tool_choice": "auto",
            "tools": [],
            "usage": {
                "input_tokens": _USAGE,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": _USAGE,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 2 * _USAGE,
            },
        }

    def stream(self, answer: Answer, turn: Turn) -> Iterator[str]:
        response = self.whole(answer, turn)
        (item,) = response["output"]
        number = itertools.count()

        def event(kind: str, **fields: Any) -> str:
            return _event({"type": kind, "sequence_number": next(number)} | fields)

        begun = response | {"status": "in_progress", "output": [], "usage": None}
        yield event("response.created", response=begun)
        yield event("response.output_item.added", output_index=0, item=item)
        at = {"item_id": item["id"], "output_index": 0}
        if item["type"] == "message":
            (part,) = item["content"]
            inside = at | {"content_index": 0}
            yield event("response.content_part.added", **inside, part=part | {"text": ""})
            yield event("response.output_text.delta", **inside, delta=part["text"], logprobs=[])
            yield event("response.output_text.done", **inside, text=part["text"], logprobs=[])
            yield event("response.content_part.done", **inside, part=part)
        elif item["type"] == "function_call":
            yield event("response.function_call_arguments.delta", **at, delta=item["arguments"])
            yield event("response.function_call_arguments.done", **at, arguments=item["arguments"], name=item["name"])
        yield event("response.output_item.done", output_index=0, item=item)
        yield event("response.completed", response=response)


@dataclass(frozen=True, slots=True)
class ChatCompletions:
    """``POST /v1/chat/completions``."""

    def read(self, body: Mapping[str, Any], model: str) -> Turn:
        called: dict[str, str] = {}
        results = []
        for message in body["messages"]:
            for call in message.get("tool_calls") or ():
                called[call["id"]] = call["function"]["name"]
            if message["role"] == "tool":
                name = called.get(message["tool_call_id"], "")
                results.append(ToolResult(tool=name, text=_text(message["content"])))
        functions = [each["function"] for each in body.get("tools") or () if each["type"] == "function"]
        return Turn(
            dialect="chat",
            model=model,
            offered=[
                OfferedTool(name=each["name"], description=each.get("description", ""), schema=each.get("parameters"))
                for each in functions
            ],
            results=results,
            body=body,
        )

    def _message(self, answer: Answer) -> dict[str, Any]:
        if isinstance(answer, Say):
            return {"role": "assistant", "content": answer.text}
        function = {"name": answer.tool, "arguments": json.dumps(dict(answer.arguments))}
        call = {"id": _new("call"), "type": "function", "function": function}
        return {"role": "assistant", "content": None, "tool_calls": [call]}

    def _envelope(self, turn: Turn) -> dict[str, Any]:
        return {"id": _new("chatcmpl"), "created": _CREATED, "model": turn.model}

    def whole(self, answer: Answer, turn: Turn) -> dict[str, Any]:
        reason = "tool_calls" if isinstance(answer, Call) else "stop"
        choice = {"index": 0, "message": self._message(answer), "finish_reason": reason}
        usage = {"prompt_tokens": _USAGE, "completion_tokens": _USAGE, "total_tokens": 2 * _USAGE}
        return self._envelope(turn) | {"object": "chat.completion", "choices": [choice], "usage": usage}

    def stream(self, answer: Answer, turn: Turn) -> Iterator[str]:
        whole = self.whole(answer, turn)
        (choice,) = whole["choices"]
        delta = dict(choice["message"])
        if "tool_calls" in delta:
            delta["tool_calls"] = [{"index": 0} | call for call in delta["tool_calls"]]
        chunk = whole | {"object": "chat.completion.chunk"}
        usage = chunk.pop("usage")
        yield _data(chunk | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        yield _data(chunk | {"choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]})
        yield _data(chunk | {"choices": [], "usage": usage})
        yield "data: [DONE]\n\n"


@dataclass(frozen=True, slots=True)
class Gemini:
    """``POST /v1beta/models/MODEL:generateContent`` and ``:streamGenerateContent``."""

    def read(self, body: Mapping[str, Any], model: str) -> Turn:
        results = []
        for content in body.get("contents", ()):
            for part in content.get("parts", ()):
                if answered := part.get("functionResponse"):
                    text = json.dumps(answered["response"], ensure_ascii=False)
                    only = answered["response"].get("output", answered["response"].get("error"))
                    results.append(ToolResult(tool=answered["name"], text=only if isinstance(only, str) else text))
        return Turn(
            dialect="gemini",
            model=model,
            offered=[
                OfferedTool(
                    name=each["name"],
                    description=each.get("description", ""),
                    schema=each.get("parametersJsonSchema", each.get("parameters")),
                )
                for group in body.get("tools", ())
                for each in group.get("functionDeclarations", ())
            ],
            results=results,
            body=body,
        )

    def whole(self, answer: Answer, turn: Turn) -> dict[str, Any]:
        part: dict[str, Any] = {"text": answer.text} if isinstance(answer, Say) else {}
        if isinstance(answer, Call):
            part = {"functionCall": {"id": _new("call"), "name": answer.tool, "args": dict(answer.arguments)}}
        return {
            "candidates": [{"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {
                "promptTokenCount": _USAGE,
                "candidatesTokenCount": _USAGE,
                "totalTokenCount": 2 * _USAGE,
            },
            "modelVersion": turn.model,
        }

    def stream(self, answer: Answer, turn: Turn) -> Iterator[str]:
        yield _data(self.whole(answer, turn))
