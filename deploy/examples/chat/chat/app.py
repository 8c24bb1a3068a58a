"""The web page and what it asks for. Each browser has a conversation of its own, held by a cookie."""

import contextlib
import json
import secrets
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chat.conversation import LONGEST_MESSAGE, Conversation, Event
from chat.messages import Model
from chat.models.anthropic import Anthropic
from chat.models.openai import OpenAI
from chat.models.scripted import Scripted
from chat.platform import Platform
from chat.settings import ANTHROPIC, OPENAI, Settings

COOKIE = "chat"
MOST_CONVERSATIONS = 500
"""In memory; the one that was quiet the longest is forgotten first."""
_STATIC = Path(__file__).parent / "static"
_MODEL_SECONDS = 120.0
_HEADERS = {
    b"content-security-policy": b"default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    b"img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    b"referrer-policy": b"no-referrer",
    b"x-content-type-options": b"nosniff",
}


class Conversations:
    """By the value of the cookie."""

    def __init__(self, make: Callable[[], Conversation]) -> None:
        self._make = make
        self._known: OrderedDict[str, Conversation] = OrderedDict()

    def of(self, request: Request) -> tuple[str, Conversation]:
        name = request.cookies.get(COOKIE, "")
        if name not in self._known:
            name = secrets.token_urlsafe(32)
            self._known[name] = self._make()
            if len(self._known) > MOST_CONVERSATIONS:
                self._known.popitem(last=False)
        self._known.move_to_end(name)
        return name, self._known[name]


def make_app(settings: Settings, now: Callable[[], float] = time.time) -> Starlette:
    """``now`` is the clock by which tokens are minted again, in seconds."""

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with httpx2.AsyncClient(timeout=_MODEL_SECONDS) as http:
            platform = Platform(http, settings, now)
            app.state.conversations = Conversations(
                lambda: Conversation(platform, _model(http, settings), settings.tradelatch_url)
            )
            yield

    return Starlette(
        routes=[
            Route("/", _page),
            Route("/messages", _say, methods=["POST"]),
            Route("/decisions", _decide, methods=["POST"]),
            Mount("/static", StaticFiles(directory=_STATIC)),
        ],
        middleware=[Middleware(_Headers)],
        lifespan=lifespan,
    )


def _model(http: httpx2.AsyncClient, settings: Settings) -> Model:
    match settings.model_style:
        case style if style == ANTHROPIC:
            return Anthropic(http, settings)
        case style if style == OPENAI:
            return OpenAI(http, settings)
        case _:
            return Scripted()


async def _page(request: Request) -> Response:
    return FileResponse(_STATIC / "index.html", headers={"cache-control": "no-cache"})


async def _say(request: Request) -> Response:
    body = await _body(request)
    text = body.get("text", "") if body else ""
    if not isinstance(text, str) or not 0 < len(text.strip()) <= LONGEST_MESSAGE:
        return JSONResponse({"text": f"Send a text of 1 to {LONGEST_MESSAGE} characters."}, 400)
    name, conversation = request.app.state.conversations.of(request)

    async def lines() -> AsyncIterator[str]:
        async for event in conversation.say(text.strip()):
            yield _line(event)

    answer = StreamingResponse(lines(), media_type="application/x-ndjson", headers={"cache-control": "no-store"})
    return _remembered(request, answer, name)


async def _decide(request: Request) -> Response:
    body = await _body(request)
    if not body or not isinstance(body.get("confirmation_id"), str) or not isinstance(body.get("approved"), bool):
        return JSONResponse({"text": "Send confirmation_id and approved."}, 400)
    name, conversation = request.app.state.conversations.of(request)
    event = await conversation.decide(body["confirmation_id"], approved=body["approved"])
    return _remembered(request, JSONResponse(event, headers={"cache-control": "no-store"}), name)


async def _body(request: Request) -> dict[str, Any] | None:
    """None for what is no JSON object, or does not come from our own page: a form of another site sends no JSON."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        return None
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        return None
    try:
        body = await request.json()
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def _remembered(request: Request, answer: Response, name: str) -> Response:
    if request.cookies.get(COOKIE) != name:
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, name, httponly=True, samesite="strict", secure=secure, max_age=86_400)
    return answer


def _line(event: Event) -> str:
    return f"{json.dumps(event, ensure_ascii=False)}\n"


class _Headers:
    """On every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_HEADERS.items()]
            await send(message)

        await self._app(scope, receive, sent if scope["type"] == "http" else send)
