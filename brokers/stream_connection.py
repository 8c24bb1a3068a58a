"""The connection beneath a broker's stream of order updates: kept, watched, and made anew when it breaks.

The library is ``websockets``. Loaded when the first stream begins, by nobody else.
"""

import asyncio
import logging
import math
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from brokers import http
from brokers.errors import AuthFailed, BrokerError, NeedsLogin, OtherCertificate
from brokers.order_streams import OrderStream, StreamAddress, StreamEvent, StreamEventKind

OPENED_WITHIN = 10.0
"""Seconds, for the connection and again for the broker's yes to the subscription."""
_PINGED_EVERY = 20.0
PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Seconds between two attempts, at least half of each."""
_PAUSE_AFTER_REFUSAL = 60.0
_STEADY_SECONDS = 60.0
_MOST_BYTES = 1024 * 1024

log = logging.getLogger(__name__)

# Its debug lines hold whole frames, and a frame may be the sign-in.
_silent = logging.Logger("brokers.stream_connection.silent")
_silent.addHandler(logging.NullHandler())


class _StreamBroken(Exception):
    """``str`` of it is safe to show."""


async def follow(open_stream: Callable[[], OrderStream]) -> AsyncGenerator[StreamEvent, None]:
    """What the stream says, for ever: after a break it is opened anew, each time a little later.

    ``open_stream`` may call the broker and block; it is called in a thread. Raises nothing of its own.
    """
    failures = 0
    while True:
        began, refused = time.monotonic(), False
        reason = "The connection was cut."
        try:
            stream = await asyncio.to_thread(open_stream)
            async with _connected(stream.address) as connection:
                async for event in _listened(stream, connection):
                    yield event
        except NeedsLogin as error:
            refused, reason = True, str(error)
        except AuthFailed:
            refused, reason = True, "The broker refused the sign-in."
        except (BrokerError, _StreamBroken) as error:
            reason = str(error)
        except (OSError, TimeoutError, WebSocketException, ValueError):
            pass  # never their own words: they may hold the address or what was sent
        except Exception as error:  # a fault of ours must not end it for ever
            log.error("A stream of order updates broke: %s", type(error).__name__)
        yield StreamEvent(kind=StreamEventKind.DOWN, reason=reason)
        if time.monotonic() - began > _STEADY_SECONDS:
            failures = 0
        pause = max(PAUSES[min(failures, len(PAUSES) - 1)], _PAUSE_AFTER_REFUSAL if refused else 0.0)
        failures += 1
        # Not all at once when a broker comes back.
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  no secret


async def _listened(stream: OrderStream, connection: ClientConnection) -> AsyncGenerator[StreamEvent, None]:
    """Raises what ``follow`` makes a break of."""
    for words in stream.greeting:
        await connection.send(words)
    clock = asyncio.get_running_loop().time
    heard_at, greeted_by, is_up = clock(), clock() + OPENED_WITHIN, False
    beat_at = clock() + stream.beat_every if stream.beat else math.inf
    silent_after = math.inf if stream.silent_after is None else stream.silent_after
    while True:
        if beat_at <= clock():
            await connection.send(stream.beat)
            beat_at = clock() + stream.beat_every
        until = min(heard_at + silent_after, beat_at, math.inf if is_up else greeted_by)
        try:
            frame = await asyncio.wait_for(connection.recv(), None if until == math.inf else max(until - clock(), 0))
        except TimeoutError:
            if not is_up and clock() >= greeted_by:
                raise _StreamBroken("The broker did not answer the subscription.") from None
            if clock() >= heard_at + silent_after:
                raise _StreamBroken("The broker went silent.") from None
            continue
        heard_at = clock()
        try:
            heard = stream.heard(frame if isinstance(frame, str) else frame.decode())
        except (ValueError, TypeError, KeyError, AttributeError):
            raise _StreamBroken("The broker sent something that could not be read.") from None
        for words in heard.send:
            await connection.send(words)
        if heard.ready and not is_up:
            is_up = True
            yield StreamEvent(kind=StreamEventKind.UP)
        if heard.moved:
            yield StreamEvent(kind=StreamEventKind.MOVED, client_order_ids=heard.client_order_ids)
        if heard.broken:
            raise _StreamBroken(heard.broken)


class _Connect(connect):
    """No proxy, no redirect, and a pinned certificate is looked at before anything is said."""

    def __init__(self, address: StreamAddress, **more: Any) -> None:
        super().__init__(
            address.url,
            additional_headers=dict(address.headers),
            user_agent_header="Tradelatch",
            proxy=None,
            open_timeout=OPENED_WITHIN,
            close_timeout=1,
            ping_interval=_PINGED_EVERY,
            ping_timeout=_PINGED_EVERY,
            max_size=_MOST_BYTES,
            logger=_silent,
            **more,
        )
        self._fingerprint = address.fingerprint

    async def open_tcp_connection(self) -> ClientConnection:
        connection = await super().open_tcp_connection()
        secured = connection.transport.get_extra_info("ssl_object")
        if self._fingerprint and (secured is None or http.digest(secured) != self._fingerprint):
            connection.transport.abort()
            raise OtherCertificate(
                "The gateway shows a different certificate from the one you confirmed. Nothing was sent."
            )
        return connection

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


@asynccontextmanager
async def _connected(address: StreamAddress) -> AsyncIterator[ClientConnection]:
    more: dict[str, Any] = {}
    parts = urlsplit(address.url)
    if parts.scheme == "wss":
        more["ssl"] = http.tls_context(pinned=bool(address.fingerprint))
    if address.reach is not None and parts.hostname:
        port = parts.port or (443 if parts.scheme == "wss" else 80)
        found = await asyncio.to_thread(address.reach.addresses, parts.hostname, port)
        more["sock"] = await asyncio.to_thread(http.first_socket, found, port, OPENED_WITHIN)
        more["sock"].setblocking(False)
    async with _Connect(address, **more) as connection:
        yield connection
