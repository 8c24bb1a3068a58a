"""A host that starts ``tradelatch mcp`` and writes to it exactly what a test says."""

import json
import queue
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any

from tests.cli.command import COMMAND, REPOSITORY, environment
from tests.patience import at_most

KEY = "tl_paper_thiskeyisnotone"
MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass(slots=True)
class Host:
    process: subprocess.Popen[bytes]
    answers: "queue.Queue[dict[str, Any]]"
    log: list[str]

    def write(self, raw: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(raw)
        self.process.stdin.flush()

    def say(self, method: str, params: dict[str, Any] | None = None, *, id: object = None) -> None:
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method}
        message |= {} if id is None else {"id": id}
        self.write(json.dumps(message | ({} if params is None else {"params": params})).encode() + b"\n")

    def modern(self, method: str, id: object, **params: object) -> None:
        self.say(method, {**params, "_meta": MODERN}, id=id)

    def heard(self) -> dict[str, Any]:
        """The next message on its standard output."""
        return self.answers.get(timeout=at_most(20))

    def close(self) -> int:
        """Close its standard input, as a host does that is done; the exit code."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(at_most(20))

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(at_most(20))


@contextmanager
def host(url: str, *arguments: str, **variables: str) -> Iterator[Host]:
    """Every line the bridge prints is a message of the protocol, and no line has the key."""
    variables = {"TRADELATCH_API_KEY": KEY} | variables
    process = subprocess.Popen(
        [*COMMAND, "mcp", "--url", url, *arguments],
        cwd=REPOSITORY,
        env=environment(**variables),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    answers: queue.Queue[dict[str, Any]] = queue.Queue()
    printed: list[str] = []
    log: list[str] = []
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None

    def read(stream: IO[bytes]) -> None:
        for line in stream:
            printed.append(line.decode())
            answers.put(json.loads(line))

    def note(stream: IO[bytes]) -> None:
        log.extend(line.decode() for line in stream)

    readers = [
        threading.Thread(target=read, args=(process.stdout,), daemon=True),
        threading.Thread(target=note, args=(process.stderr,), daemon=True),
    ]
    for reader in readers:
        reader.start()
    try:
        yield Host(process, answers, log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(at_most(10))
        for reader in readers:
            reader.join(at_most(10))
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()
    everything = "".join(printed + log)
    assert variables["TRADELATCH_API_KEY"] not in everything
    assert "Traceback" not in everything, everything
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in printed)
