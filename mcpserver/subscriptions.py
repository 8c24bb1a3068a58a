"""subscriptions/listen: a client is told which resource changed, and reads it again (MCP 2026-07-28).

The database is the truth: one watcher per process looks for new order events while somebody listens, so it does not
matter which process moved the order. Another reads quotes again. Nothing is told that the app may not read, and a
stream ends within seconds of the app's access. A waiting stream holds no thread and no connection to the database.
"""

import logging
import time
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import anyio
import anyio.to_thread
import mcp_types as types
from anyio.abc import TaskGroup, TaskStatus
from django.db import close_old_connections
from mcp.server.context import ServerRequestContext
from mcp.server.subscriptions import ResourceUpdated, ServerEvent, ToolsListChanged
from mcp.shared.subscriptions import SUBSCRIPTION_ID_META_KEY, event_to_notification
from starlette.requests import Request

from console.authority import admission, bearer
from console.connections import broker_access
from console.errors import Code, Refusal
from console.orders import event_queries as order_events
from console.orders import queries as order_queries
from console.principal import Principal
from console.toolsets import Toolset
from mcpserver import resources
from mcpserver.context import ToolCall
from mcpserver.resources import Watch
from mcpserver.surface import Surface

log = logging.getLogger(__name__)

MOST_PER_APP = 5
MOST_PER_USER = 20
"""Streams open at once in one process."""
MOST_RESOURCES = 50
MOST_QUOTES = 20
"""In one stream."""
LOOK_SECONDS = 1.0
QUOTE_SECONDS = 2.0
PATIENCE_SECONDS = 30.0
"""With a client that stopped reading."""
_OVERLAP_SECONDS = 10.0
"""An event committed late has a lower id than its neighbours: ids this young are looked for again."""

Price = tuple[Decimal | None, Decimal | None, Decimal | None]


@dataclass(slots=True, kw_only=True)
class Watched:
    """What one stream asked for and may read; the addresses as its client spelled them."""

    orders: dict[str, set[str]] = field(default_factory=dict)
    every_order: set[str] = field(default_factory=set)
    quotes: dict[str, set[str]] = field(default_factory=dict)
    toolsets: set[Toolset] = field(default_factory=set)
    """What has to stay switched on for it."""

    @property
    def uris(self) -> set[str]:
        return self.every_order.union(*self.orders.values(), *self.quotes.values())


@dataclass(slots=True, kw_only=True, eq=False)
class Stream:
    principal: Principal
    raw: str
    """Its bearer, asked again while the stream lives: a token that ends, ends the stream."""
    watched: Watched = field(default_factory=Watched)
    tools: bool = False
    """Whether it wants to hear that its list of tools changed."""
    visible: tuple[str, ...] = ()
    waiting: dict[ServerEvent, None] = field(default_factory=dict)
    """Told next. An event says only that something changed, so each is kept once."""
    ended: Refusal | None = None
    wake: anyio.Event = field(default_factory=anyio.Event)

    def tell(self, event: ServerEvent) -> None:
        self.waiting[event] = None
        self.wake.set()

    def end(self, why: Refusal) -> None:
        self.ended = why
        self.wake.set()


class Listeners:
    """The open streams of one process and what watches for them. Enter ``run()`` before the first."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface
        self._streams: set[Stream] = set()
        self._running: set[str] = set()
        self._starting = anyio.Lock()
        self._closing = False
        self._tasks: TaskGroup
        self._threads: anyio.CapacityLimiter

    @property
    def open(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    @property
    def watching(self) -> bool:
        """Whether anything is watched: only while a stream is open, and for one look more."""
        return bool(self._running)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        # Its own threads, so that a slow broker takes none from the calls.
        self._threads = anyio.CapacityLimiter(4)
        async with anyio.create_task_group() as self._tasks:
            yield
            self._tasks.cancel_scope.cancel()

    def add(self, principal: Principal, raw: str) -> Stream:
        """Take a place. Raises Refusal when the app or its user has too many; ``remove`` gives it back."""
        of_app = sum(each.principal.app_id == principal.app_id for each in self._streams)
        of_user = sum(each.principal.user_id == principal.user_id for each in self._streams)
        if of_app >= MOST_PER_APP or of_user >= MOST_PER_USER:
            raise Refusal(
                Code.RATE_LIMITED,
                f"At most {MOST_PER_APP} streams can be open for one app and {MOST_PER_USER} for one user. Close one, "
                "or listen to several resources in one stream.",
            )
        stream = Stream(principal=principal, raw=raw)
        self._streams.add(stream)
        return stream

    def remove(self, stream: Stream) -> None:
        self._streams.discard(stream)

    def close(self) -> None:
        """End every stream as one that has nothing more to tell: this process is about to end. In its loop's thread."""
        self._closing = True
        for stream in self._streams:
            stream.wake.set()

    def opening(self, stream: Stream, wanted: types.SubscriptionFilter) -> Callable[[ToolCall], dict[str, Any]]:
        """What the pipeline runs to open a stream: finds out which of the addresses this app may hear of."""

        def run(call: ToolCall) -> dict[str, Any]:
            uris = wanted.resource_subscriptions or []
            if len(uris) > MOST_RESOURCES:
                raise Refusal(Code.INVALID_ARGUMENT, f"One stream can listen to at most {MOST_RESOURCES} resources.")
            # Made apart: the watchers read what the stream has while this runs in another thread.
            watched = Watched()
            for uri in uris:
                self._admit(call.principal, watched, uri)
                if len(watched.quotes) > MOST_QUOTES:
                    raise Refusal(Code.INVALID_ARGUMENT, f"One stream can listen to at most {MOST_QUOTES} quotes.")
            stream.watched = watched
            stream.tools = bool(wanted.tools_list_changed)
            stream.visible = self._visible(call.principal)
            return {}

        return run

    def _admit(self, principal: Principal, watched: Watched, uri: str) -> None:
        """Note one address; what is not there, or is somebody else's, is left out of what is acknowledged."""
        try:
            resource, variables = resources.find(self._surface.resources, uri)
            admission.check_switched_on(principal, resource.name, resource.toolset)
            watched.toolsets.add(resource.toolset)
            if resource.watch is Watch.ORDERS:
                watched.every_order.add(uri)
            elif resource.watch is Watch.ORDER:
                order = order_queries.find_order(principal, variables["order_id"])
                watched.orders.setdefault(order.public_id, set()).add(uri)
            elif resource.watch is Watch.QUOTE:
                with broker_access.broker_for(principal) as broker:
                    symbol = broker.instrument(variables["symbol"]).symbol
                watched.quotes.setdefault(symbol, set()).add(uri)
        except Refusal as refusal:
            if refusal.code is Code.BROKER_UNAVAILABLE:
                raise

    def _visible(self, principal: Principal) -> tuple[str, ...]:
        return tuple(tool.name for tool in self._surface.visible(principal))

    async def follow(
        self,
        context: ServerRequestContext[Any, Request],
        stream: Stream,
        wanted: types.SubscriptionFilter,
    ) -> types.SubscriptionsListenResult:
        """Acknowledge, then tell until the client goes. Raises the Refusal that ended the app's access."""
        await self._watch("orders", self._watch_orders)
        if stream.watched.quotes:
            await self._watch("quotes", self._watch_quotes)
        meta: dict[str, Any] = {SUBSCRIPTION_ID_META_KEY: context.request_id}
        # In the client's own order and spelling.
        heard = [uri for uri in wanted.resource_subscriptions or [] if uri in stream.watched.uris]
        honored = types.SubscriptionFilter(
            tools_list_changed=stream.tools or None, resource_subscriptions=heard or None
        )

        async def send(notification: types.ServerNotification) -> None:
            with anyio.fail_after(PATIENCE_SECONDS):
                await context.session.send_notification(notification, related_request_id=context.request_id)

        try:
            await send(
                types.SubscriptionsAcknowledgedNotification(
                    params=types.SubscriptionsAcknowledgedNotificationParams(notifications=honored, _meta=meta)
                )
            )
            while stream.ended is None and not self._closing:
                await stream.wake.wait()
                stream.wake = anyio.Event()
                waiting, stream.waiting = stream.waiting, {}
                for event in waiting:
                    await send(event_to_notification(event, meta))
        except TimeoutError:
            log.warning("A stream of %s ends: its client has stopped reading", stream.principal.app_label)
            return types.SubscriptionsListenResult(_meta=meta)
        if stream.ended is not None:
            raise stream.ended
        return types.SubscriptionsListenResult(_meta=meta)

    # -- the watchers, each running only while somebody listens ------------------------------------------------

    async def _watch(self, name: str, watcher: Callable[..., Any]) -> None:
        # Under a lock: nothing is acknowledged before its watcher knows from where on events are news.
        async with self._starting:
            if name not in self._running:
                self._running.add(name)
                await self._tasks.start(watcher)

    async def _watch_orders(self, *, task_status: TaskStatus[None]) -> None:
        try:
            floor = await self._in_thread(order_events.newest_event_id)
            told: dict[int, float] = {}
            task_status.started()
            while self._streams:
                await anyio.sleep(LOOK_SECONDS)
                floor = await self._look(floor, told)
        finally:
            self._running.discard("orders")

    async def _look(self, floor: int, told: dict[int, float]) -> int:
        streams = list(self._streams)
        try:
            await self._in_thread(self._check_access, streams)
            news = await self._in_thread(
                order_events.events_after, floor, {each.principal.connection_id for each in streams}
            )
        except Exception:
            log.exception("The news for open streams cannot be read; they are looked for again")
            return floor
        now = time.monotonic()
        for item in news:
            if item.event_id in told:
                continue
            told[item.event_id] = now
            for stream in streams:
                if stream.principal.connection_id == item.connection_id:
                    for uri in stream.watched.every_order | stream.watched.orders.get(item.order_id, set()):
                        stream.tell(ResourceUpdated(uri=uri))
        for event_id in [each for each, at in told.items() if at < now - _OVERLAP_SECONDS]:
            del told[event_id]
            floor = max(floor, event_id)
        return floor

    def _check_access(self, streams: Collection[Stream]) -> None:
        """Ask for every stream again who it is, as for any request. Runs in a worker thread."""
        for stream in streams:
            try:
                who = bearer.authenticate(stream.raw, ip=stream.principal.ip, user_agent=stream.principal.user_agent)
                for toolset in {Toolset.CORE, *stream.watched.toolsets}:
                    admission.check_again(
                        who, admission.PlainEndpoint(name="What this stream listens to", toolset=toolset)
                    )
            except Refusal as refusal:
                anyio.from_thread.run_sync(stream.end, refusal)
                continue
            visible = self._visible(who)
            if visible != stream.visible:
                stream.visible = visible
                if stream.tools:
                    anyio.from_thread.run_sync(stream.tell, ToolsListChanged())

    async def _watch_quotes(self, *, task_status: TaskStatus[None]) -> None:
        last: dict[tuple[int, str], Price] = {}
        task_status.started()
        try:
            while listening := [each for each in self._streams if each.watched.quotes]:
                connections = {each.principal.connection_id: each.principal for each in listening}
                async with anyio.create_task_group() as tasks:
                    for principal in connections.values():
                        tasks.start_soon(self._look_at_quotes, principal, listening, last)
                watched = {
                    (each.principal.connection_id, symbol) for each in listening for symbol in each.watched.quotes
                }
                for gone in last.keys() - watched:
                    del last[gone]
                await anyio.sleep(QUOTE_SECONDS)
        finally:
            self._running.discard("quotes")

    async def _look_at_quotes(
        self, principal: Principal, listening: list[Stream], last: dict[tuple[int, str], Price]
    ) -> None:
        mine = [each for each in listening if each.principal.connection_id == principal.connection_id]
        symbols = sorted({symbol for stream in mine for symbol in stream.watched.quotes})
        # Whatever fails here must end no other stream: the watchers live in the task group of the whole endpoint.
        try:
            prices = await self._in_thread(_prices, principal, symbols)
        except Refusal as refusal:
            log.warning("The quotes of %s cannot be read for open streams: %s", principal.connection_label, refusal)
            return
        except Exception:
            log.exception("The quotes of %s cannot be read for open streams", principal.connection_label)
            return
        for symbol, price in prices.items():
            before = last.get((principal.connection_id, symbol))
            last[principal.connection_id, symbol] = price
            if before is None or before == price:
                continue
            for stream in mine:
                for uri in stream.watched.quotes.get(symbol, set()):
                    stream.tell(ResourceUpdated(uri=uri))

    async def _in_thread(self, run: Callable[..., Any], *args: Any) -> Any:
        def fresh() -> Any:
            close_old_connections()
            try:
                return run(*args)
            finally:
                close_old_connections()

        return await anyio.to_thread.run_sync(fresh, limiter=self._threads)


def _prices(principal: Principal, symbols: list[str]) -> dict[str, Price]:
    with broker_access.broker_for(principal) as broker:
        quotes = broker.quotes(symbols)
    return {symbol: (each.last, each.bid, each.ask) for symbol, each in zip(symbols, quotes, strict=True)}
