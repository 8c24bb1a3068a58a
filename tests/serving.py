"""Real servers for tests: processes of their own, in homes of their own, never left behind."""

import contextlib
import functools
import http.client
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tests import prepared
from tests.commands import REPOSITORY as REPOSITORY
from tests.commands import environment as environment
from tests.commands import manage as manage
from tests.patience import at_most
from tests.secrets import watch
from tests.secrets.known import keep

T = TypeVar("T")
READY_SECONDS = 40.0
"""From the start of an instance to its first answer, as ``until`` takes it."""
# Tests make more calls in a minute than people do; those about throttles set their own.
GENEROUS = {f"TRADELATCH_{each}_PER_MINUTE": "100000" for each in ("CALLS", "TRADE_CALLS", "LISTS")}
# For tests that answer a question at once, as a person would after a while: the one place that says so.
ANSWERED_BY_A_PERSON = {"TRADELATCH_FASTEST_ANSWER_MS": "0"}
_WEB = [
    *("--host", "127.0.0.1", "--lifespan", "on"),
    *("--loop", "uvloop", "--http", "console.http_protocol:BoundedHttpProtocol"),
    *("--log-level", "warning", "--no-server-header", "--no-proxy-headers"),
    *("--timeout-graceful-shutdown", "3"),
]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def until(probe: Callable[[], T], *, seconds: float, what: str) -> T:
    """The first true answer of ``probe``, or AssertionError with ``what``; ``seconds`` as ``at_most`` takes them."""
    deadline = time.monotonic() + at_most(seconds)
    while not (answer := probe()):
        assert time.monotonic() < deadline, f"not within {at_most(seconds):.0f} s: {what}"
        time.sleep(0.05)
    return answer


def processes_of(home: Path) -> set[int]:
    """Ids of the living processes that were started for this home."""
    needle = f"TRADELATCH_HOME={home}".encode()
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if needle in (folder / "environ").read_bytes().split(b"\0"):
                found.add(int(folder.name))
    return found


@functools.cache
def _prepared() -> tuple[Path, dict[str, str]]:
    """A home on which quickstart ran once; every server gets a copy, and none pays for the migrations."""
    home, answer = prepared.instance()
    for name, value in answer.items():
        if "key" in name or "password" in name:
            keep(name, value)
    for file in (home / "secrets").iterdir():
        keep(f"key of the instance, {file.name}", file.read_text())
    return home, answer


@dataclass(slots=True)
class Server:
    home: Path
    port: int
    quickstart: dict[str, str]
    supervised: bool = False
    """Started by ``manage.py run``, with worker and scheduler, instead of the web server alone."""
    variables: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    app: str = "console.asgi:application"

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        return f"http://localhost:{self.port}"

    @property
    def mcp_url(self) -> str:
        return f"{self.url}/mcp"

    @property
    def log(self) -> str:
        """Everything the processes have written."""
        return self._log_file.read_text(errors="replace") if self._log_file.exists() else ""

    @property
    def _log_file(self) -> Path:
        return self.home.with_name(f"{self.home.name}.log")

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run one statement on its database, committed, and return the rows."""
        with contextlib.closing(sqlite3.connect(self.home / "tradelatch.sqlite3", timeout=at_most(20))) as connection:
            rows = connection.execute(sql, parameters).fetchall()
            connection.commit()
        return rows

    def switch_on(self, key: str, toolsets: Iterable[str]) -> None:
        """What its owner does on the page of the app that has ``key``."""
        public_id = key.split("_")[2]
        [(app_id,)] = self.query("SELECT app_id FROM keys_apikey WHERE public_id = ?", public_id)
        self.query("UPDATE connected_apps_connectedapp SET toolsets = ? WHERE id = ?", json.dumps([*toolsets]), app_id)

    def start(self) -> None:
        """Start and wait until it answers."""
        command = (
            ["manage.py", "run"] if self.supervised else ["-m", "uvicorn", self.app, *_WEB, "--port", str(self.port)]
        )
        before = len(self.log)
        with self._log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command],
                cwd=REPOSITORY,
                env=environment(self.home, self.port, **self.variables),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        process = self.process

        def ready() -> bool:
            assert process.poll() is None, f"the server ended with {process.returncode}:\n{self.log[-4000:]}"
            if self.supervised:
                return "claude mcp add" in self.log[before:]
            return answers(self.port)

        until(ready, seconds=READY_SECONDS, what=f"the server answers; it wrote:\n{self.log[-2000:]}")

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Ask the process to stop; its exit code. Whatever is left after 15 seconds is killed."""
        assert self.process is not None
        self.process.send_signal(number)
        try:
            return self.process.wait(at_most(15))
        finally:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, as a crash or a power cut would: no goodbye, and the children go too."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(at_most(10))
        self.process = None
        until(lambda: not processes_of(self.home), seconds=10, what="every process of the server ended")

    def restart(self) -> None:
        """Kill it and start it again on the same home and port."""
        self.kill()
        self.start()


@contextlib.contextmanager
def serve(
    home: Path, *, supervised: bool = False, app: str = "console.asgi:application", **variables: str
) -> Iterator[Server]:
    """A started server with the owner and keys of quickstart, ended however the block ends."""
    ready, answer = _prepared()
    shutil.copytree(ready, home)
    with contextlib.closing(sqlite3.connect(home / "tradelatch.sqlite3")) as database, database:
        database.execute("UPDATE operations_workerseen SET at = datetime('now')")
    with fresh(home, supervised=supervised, app=app, **variables) as server:
        server.quickstart = answer | {"console_url": f"{server.url}/", "mcp_url": server.mcp_url}
        yield server


@contextlib.contextmanager
def fresh(home: Path, *, supervised: bool, app: str = "console.asgi:application", **variables: str) -> Iterator[Server]:
    """The same on a home that may not exist yet."""
    server = Server(home, free_port(), {}, supervised, GENEROUS | variables, app=app)
    first_start = supervised and not (home / "tradelatch.sqlite3").exists()
    try:
        watch.OUR_PORTS.add(server.port)
        server.start()
        yield server
    finally:
        server.kill()
        _kill_left_behind(home)
    watch.check_server(home, server.log, first_start=first_start)


def _kill_left_behind(home: Path) -> None:
    for pid in processes_of(home):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def answers(port: int) -> bool:
    """Whether a web server answers there, whatever it says."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=at_most(5))
    try:
        connection.request("HEAD", "/livez")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True
