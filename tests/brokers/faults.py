"""A broker on loopback that breaks when it is told to. What it speaks is its subclass's business.

Driven in the same process or, once it runs by itself, over its address under ``/-/``: it must outlive the process
that trades, which the kill tests end at any moment.
"""

import json
import re
import selectors
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Protocol, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from tests.brokers.sockets import FakeSocket
from tests.patience import at_most, lasting


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong with one request, and whether the broker does what was asked before it does."""

    kind: str
    """hang, late, slow, drip, drizzle (from the body on), cut, half, reset, garbage, empty, null, other, redirect, or a
    status such as 503."""
    effect: bool
    seconds: float = 0.0
    method: str = "POST"
    path: str = ""
    """How the path begins."""


_WAY_OUT = re.compile("withdraw|transfer|allocate|subscribe|redeem|purchase", re.IGNORECASE)

SENDING = (
    *(Fault(kind=kind, effect=effect) for kind in ("hang", "cut", "half", "reset") for effect in (False, True)),
    *(Fault(kind=status, effect=effect) for status in ("500", "502", "503", "504", "429") for effect in (False, True)),
    *(Fault(kind=kind, effect=effect) for kind in ("garbage", "empty", "null", "other") for effect in (False, True)),
    *(Fault(kind=kind, effect=False) for kind in ("redirect", "408")),
    *(Fault(kind=kind, effect=True) for kind in ("late", "slow", "drip", "duplicate")),
)
"""Every way in which the answer to an order can go wrong."""


@dataclass(frozen=True, slots=True)
class Asked:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any
    raw: bytes = b""
    target: str = ""
    """Path and query as they came."""


Reply = tuple[int, Any]


@dataclass
class Switchboard:
    """Faults wait here until a request fits them; each breaks one request."""

    waiting: list[Fault] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def set(self, *faults: Fault) -> None:
        with self.lock:
            self.waiting = list(faults)

    def take(self, method: str, path: str) -> Fault | None:
        with self.lock:
            for place, fault in enumerate(self.waiting):
                if fault.method == method and path.startswith(fault.path):
                    return self.waiting.pop(place)
        return None


class Loopback(Protocol):
    """What the contract asks of a broker on this computer, whatever it speaks."""

    faults: Switchboard
    received: list[tuple[str, str]]
    writes: deque[bytes]

    @property
    def port(self) -> int: ...

    def stop(self) -> None:
        """Listen no more, and end what is open: a server that is gone has no connections."""
        ...


class FakeBroker:
    """Subclass: ``answer`` speaks the broker's protocol, ``control`` what a test may do to it."""

    patience = lasting(0.5)
    """Seconds a hang lasts: longer than the client's timeout under test."""
    STREAMS: ClassVar[tuple[str, ...]] = ()
    """Paths at which a WebSocket can be opened."""

    def __init__(self) -> None:
        self.sockets: list[FakeSocket] = []
        """Those that are open now."""
        self.streams_opened: list[FakeSocket] = []
        """All that ever were."""
        self.faults = Switchboard()
        self.lock = threading.RLock()
        self.received: list[tuple[str, str]] = []
        """Method and path of every request, those included that were broken before they had any effect."""
        self.writes: deque[bytes] = deque(maxlen=32)
        """The newest requests but reads, path and query and body, as they came."""

    def answer(self, asked: Asked) -> Reply:
        raise NotImplementedError

    def posted(self, asked: Asked) -> None:
        """Called for every request as it arrives, before any fault: where orders are counted."""

    def stream_opened(self, wire: FakeSocket) -> None:
        """A client opened a stream, and has not said anything yet."""

    def stream_told(self, wire: FakeSocket, told: Any) -> None:
        """A client said something on its stream: JSON as it reads, anything else as text."""
        raise NotImplementedError

    def duplicate(self) -> Reply:
        """How this broker says that it has seen the id before."""
        raise NotImplementedError

    def other(self) -> Any:
        """A well-formed answer about some other order."""
        raise NotImplementedError

    def not_understood(self, error: Exception) -> Reply:
        """The answer to a request that ``answer`` stumbled over: a broker hangs up on nobody."""
        raise error

    def control(self, what: str, told: Any) -> Any:
        """Raises KeyError for what it does not know."""
        if what == "faults":
            self.faults.set(*(Fault(**each) for each in told))
            return None
        raise KeyError(what)

    # -- running --------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.server = _Server(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        for wire in list(self.sockets):
            wire.drop()
        self._thread.join(timeout=at_most(5))
        out = [(method, path) for method, path in self.received if method != "GET" and _WAY_OUT.search(path)]
        assert out == [], "a call that moves money reached the broker"

    def hang_up(self) -> None:
        """Close every connection that clients keep open."""
        for connection in list(self.server.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.hang_up()

    @property
    def port(self) -> int:
        port: int = self.server.server_address[1]
        return port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class _Server(ThreadingHTTPServer):
    """Ends when it is told to. The one of the standard library notices at its next look at a clock, and most tests of
    adapters are shorter than the time until then."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.connections: list[socket.socket] = []
        self._end, self._told = socket.socketpair()
        self._ended = threading.Event()

    def serve_forever(self, poll_interval: float = 0.0) -> None:
        with selectors.DefaultSelector() as waiting:
            waiting.register(self, selectors.EVENT_READ)
            waiting.register(self._told, selectors.EVENT_READ)
            while all(key.fileobj is self for key, _ in waiting.select()):
                self._handle_request_noblock()  # type: ignore[attr-defined]  # the stubs leave it out
        self._ended.set()

    def shutdown(self) -> None:
        with suppress(OSError):  # for the second time
            self._end.send(b".")
        self._ended.wait()

    def server_close(self) -> None:
        super().server_close()
        self._end.close()
        self._told.close()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.append(request)
        super().process_request(request, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no news."""


def _handler(broker: FakeBroker) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True
        wbufsize = -1
        timeout = at_most(30)

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _do(self) -> None:
            asked = self._read()
            if asked.path in broker.STREAMS and self.headers.get("Upgrade", "").lower() == "websocket":
                self._stream(asked)
                return
            if asked.path.startswith("/-/"):
                self._json(200, broker.control(asked.path.removeprefix("/-/"), asked.body))
                return
            with broker.lock:
                broker.received.append((asked.method, asked.path))
                if asked.method != "GET":
                    broker.writes.append(asked.target.encode() + b"\n" + asked.raw)
                broker.posted(asked)
            fault = broker.faults.take(asked.method, asked.path)
            if fault is None:
                self._json(*self._answer(asked))
            else:
                self._break(asked, fault)

        do_GET = do_POST = do_PATCH = do_DELETE = do_PUT = _do

        def _read(self) -> Asked:
            size = int(self.headers.get("Content-Length") or 0)
            raw = self.rfile.read(size) if size else b""
            if len(raw) < size:
                raise ConnectionAbortedError("The sender died in the middle of its request.")
            split = urlsplit(self.path)
            return Asked(
                method=self.command,
                path=unquote(split.path),
                query=dict(parse_qsl(split.query, keep_blank_values=True)),
                headers=dict(self.headers.items()),
                body=_body(raw, self.headers.get("Content-Type") or ""),
                raw=raw,
                target=self.path,
            )

        def _stream(self, asked: Asked) -> None:
            self.close_connection = True
            if fault := broker.faults.take("STREAM", asked.path):
                self._break(asked, fault)
                return
            self.connection.settimeout(None)
            wire = FakeSocket(self.connection, asked.target, asked.headers)

            def hear(wire: FakeSocket, told: Any) -> None:
                with broker.lock:
                    broker.stream_told(wire, told)

            broker.sockets.append(wire)
            broker.streams_opened.append(wire)
            try:
                wire.serve(hear, broker.stream_opened)
            finally:
                broker.sockets.remove(wire)

        def _answer(self, asked: Asked) -> Reply:
            with broker.lock:
                try:
                    return broker.answer(asked)
                except (KeyError, IndexError, ValueError, TypeError, ArithmeticError) as error:
                    return broker.not_understood(error)

        def _break(self, asked: Asked, fault: Fault) -> None:
            wait = fault.seconds or broker.patience
            if fault.kind == "late":
                time.sleep(wait)
            status, body = self._answer(asked) if fault.effect else (200, broker.other())
            match fault.kind:
                case "hang":
                    time.sleep(wait)
                    self._end()
                case "late" | "cut":
                    self._end()
                case "reset":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    self._end()
                case "half":
                    whole = _wire(status, as_sent(body))
                    self._raw(whole[: len(whole) * 2 // 3])
                    self._end()
                case "slow":
                    time.sleep(fault.seconds or broker.patience / 5)
                    self._json(status, body)
                case "drip" | "drizzle":
                    until = time.monotonic() + wait
                    whole = _wire(status, as_sent(body))
                    at_once = whole.index(b"\r\n\r\n") + 4 if fault.kind == "drizzle" else 0
                    self._raw(whole[:at_once])
                    with suppress(OSError):
                        for byte in whole[at_once:]:
                            if time.monotonic() > until:
                                break
                            self._raw(bytes([byte]))
                            time.sleep(0.02)
                    self._end()
                case "garbage":
                    self._raw(_wire(200, b"<html>Welcome</html>"))
                case "empty":
                    self._raw(_wire(200, b""))
                case "null":
                    self._raw(_wire(200, b"null"))
                case "other":
                    self._json(200, broker.other())
                case "duplicate":
                    self._json(*broker.duplicate())
                case "redirect":
                    self._raw(_wire(307, b"", f"Location: {self.path}\r\n"))
                case _:
                    self._raw(_wire(int(fault.kind), b"{}"))

        def _json(self, status: int, body: Any) -> None:
            self._raw(_wire(status, as_sent(body), f"X-Request-ID: {self.command}-{len(broker.received)}\r\n"))

        def _raw(self, data: bytes) -> None:
            self.wfile.write(data)
            self.wfile.flush()

        def _end(self) -> None:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)
            self.connection.close()

    return Handler


def _body(raw: bytes, kind: str) -> Any:
    if not raw:
        return None
    if kind.startswith("application/x-www-form-urlencoded"):
        return dict(parse_qsl(raw.decode(), keep_blank_values=True))
    return json.loads(raw)


def as_sent(body: Any) -> bytes:
    """JSON with every digit of a Decimal."""
    if body is None:
        return b""
    text = json.dumps(body, default=lambda number: f"\0{number:f}\0")
    return re.sub(r'"\\u0000([0-9.-]*)\\u0000"', r"\1", text).encode()


def _wire(status: int, body: bytes, headers: str = "") -> bytes:
    size = "" if status == 204 else f"Content-Length: {len(body)}\r\n"
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: application/json\r\n{headers}{size}\r\n"
    return head.encode() + body


def as_control(*faults: Fault) -> list[dict[str, Any]]:
    """What ``/-/faults`` takes."""
    return [asdict(fault) for fault in faults]


def run_alone(make: Callable[[], FakeBroker]) -> None:
    """Serve until standard input ends; the first line printed is the address."""
    import sys

    with make() as broker:
        sys.stdout.write(broker.url + "\n")
        sys.stdout.flush()
        sys.stdin.read()
