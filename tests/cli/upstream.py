"""An instance that answers just what a test says, and remembers what it was asked."""

import json
import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.patience import at_most, lasting


@dataclass(slots=True)
class Asked:
    headers: dict[str, str]
    message: dict[str, Any]
    _handler: BaseHTTPRequestHandler
    hung_up: threading.Event = field(default_factory=threading.Event)
    """The client closed the connection while it was streamed to."""

    def answer(self, status: int, body: object, **headers: str) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._handler.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | headers).items():
            self._handler.send_header(name.replace("_", "-"), value)
        self._handler.send_header("Content-Length", str(len(raw)))
        self._handler.end_headers()
        self._handler.wfile.write(raw)

    def result(self, **content: object) -> None:
        self.answer(200, {"jsonrpc": "2.0", "id": self.message["id"], "result": content})

    def stream(self, *messages: dict[str, Any]) -> None:
        """Begin an event stream, or go on with it."""
        if not self._handler.close_connection:
            self._handler.close_connection = True
            self._handler.send_response(200)
            self._handler.send_header("Content-Type", "text/event-stream")
            self._handler.end_headers()
        for message in messages:
            self._handler.wfile.write(f"event: message\ndata: {json.dumps(message)}\n\n".encode())
        self._handler.wfile.flush()

    def stream_until_hung_up(self, seconds: float = 20.0) -> None:
        """Send comments, as a server does to keep a stream open, until nobody takes them."""
        for _ in range(int(seconds / 0.05)):
            try:
                self._handler.wfile.write(b": still here\n\n")
                self._handler.wfile.flush()
            except OSError:
                self.hung_up.set()
                return
            threading.Event().wait(lasting(0.05))

    def drop(self) -> None:
        """Close the connection without an answer."""
        self._handler.close_connection = True


@dataclass(slots=True)
class Upstream:
    url: str
    asked: "queue.Queue[Asked]"

    def next(self) -> Asked:
        return self.asked.get(timeout=at_most(20))


@contextmanager
def upstream(act: Callable[[Asked], None]) -> Iterator[Upstream]:
    asked: queue.Queue[Asked] = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # or a body waits until its headers are acknowledged

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            this = Asked({name.lower(): value for name, value in self.headers.items()}, json.loads(body), self)
            asked.put(this)
            act(this)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield Upstream(f"http://127.0.0.1:{server.server_address[1]}", asked)
    finally:
        server.shutdown()
        server.server_close()
        thread.join(at_most(5))
