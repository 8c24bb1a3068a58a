"""The server's half of a WebSocket for the fakes, on the same port as their HTTP: a stream that breaks when told to."""

import contextlib
import json
import logging
import socket
import threading
from collections.abc import Callable, Mapping
from typing import Any

from websockets.exceptions import InvalidState
from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

# A test that watches what is logged watches us.
_silent = logging.Logger("tests.brokers.sockets")
_silent.addHandler(logging.NullHandler())


class FakeSocket:
    """One open stream at a fake. What is sent to it may be sent from any thread."""

    def __init__(self, wire: socket.socket, path: str, headers: Mapping[str, str]) -> None:
        self._wire = wire
        self._lock = threading.Lock()
        self._protocol = ServerProtocol(logger=_silent)
        self.headers = headers
        self.path = path
        self.heard: list[str] = []
        """What the client said, oldest first."""
        self.binary = False
        """Say everything as binary frames."""
        self.notes: dict[str, Any] = {}
        """What its fake remembers of it."""

    def say(self, told: Any) -> None:
        """Text or bytes as they are, anything else as JSON."""
        words = told if isinstance(told, bytes | str) else json.dumps(told, default=str)
        text = words.encode() if isinstance(words, str) else words
        with self._lock, contextlib.suppress(OSError, InvalidState):  # it is closing
            if self.binary:
                self._protocol.send_binary(text)
            else:
                self._protocol.send_text(text)
            self._flush()

    def drop(self) -> None:
        """Without a word of goodbye."""
        with contextlib.suppress(OSError):
            self._wire.shutdown(socket.SHUT_RDWR)

    def serve(self, hear: Callable[["FakeSocket", Any], None], opened: Callable[["FakeSocket"], None]) -> None:
        """Until the other side or ``drop`` ends it. JSON is given to ``hear`` read, anything else as text."""
        head = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
        with self._lock:
            self._protocol.receive_data(f"GET {self.path} HTTP/1.1\r\n{head}\r\n".encode())
            (request,) = self._protocol.events_received()
            assert isinstance(request, Request)
            self._protocol.send_response(self._protocol.accept(request))
            self._flush()
        opened(self)
        while data := self._received():
            with self._lock, contextlib.suppress(OSError):
                self._protocol.receive_data(data)
                events: list[Any] = self._protocol.events_received()
                self._flush()
            for frame in events:
                if frame.opcode in (Opcode.TEXT, Opcode.BINARY):
                    text = bytes(frame.data).decode()
                    self.heard.append(text)
                    hear(self, _read(text))
            if self._protocol.close_expected():
                return

    def _received(self) -> bytes:
        try:
            return self._wire.recv(65536)
        except OSError:
            return b""

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._wire.sendall(data)


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
