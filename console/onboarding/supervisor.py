"""The processes of one instance, started and stopped together."""

import contextlib
import ctypes
import functools
import http.client
import math
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Self

_GRACE_SECONDS = 8.0
_BACKOFF_SECONDS = (1.0, 2.0, 5.0, 15.0, 60.0)
_STEADY_SECONDS = 60.0
_PR_SET_PDEATHSIG = 1


@dataclass(slots=True, kw_only=True)
class Child:
    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)
    vital: bool = False
    """Nothing is of use without it: it starts first, and when it cannot start, nothing does."""
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    failures: int = 0
    due: float = 0.0


def instance(*, host: str, port: int, home: Path) -> list[Child]:
    """What one instance consists of."""
    celery = [sys.executable, "-m", "celery", "-q", "-A", "console.celery"]
    return [
        Child(name="web", command=web_command(host, port), vital=True),
        Child(
            name="worker",
            # Threads, not forks: a forked child would inherit the database pool's connections.
            command=[
                *celery,
                *("worker", "--pool", "threads", "--concurrency", "2", "--loglevel", "WARNING"),
                *("--without-gossip", "--without-mingle", "--without-heartbeat", "--hostname", "worker@tradelatch"),
            ],
            # Our messages are JSON ids: what makes root dangerous for Celery is pickle.
            environment={"PYTHONWARNINGS": "ignore:You're running the worker with superuser"},
        ),
        Child(
            name="beat",
            command=[
                *celery,
                *("beat", "--loglevel", "WARNING", "--schedule", str(home / "beat-schedule"), "--pidfile", ""),
            ],
        ),
    ]


def web_command(host: str, port: int) -> list[str]:
    return [
        *(sys.executable, "-m", "uvicorn", "console.asgi:application", "--host", host, "--port", str(port)),
        *("--loop", "uvloop", "--http", "httptools", "--ws", "none", "--lifespan", "on"),
        # Who is in front is told by the settings alone: see console.trusted_proxies.
        *("--no-proxy-headers", "--no-server-header"),
        *("--log-level", "warning", "--no-access-log", "--timeout-graceful-shutdown", "5"),
    ]


def answers(host: str, port: int) -> bool:
    """Whether a web server answers there, whatever it says."""
    address = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104  compared, not bound
    connection = http.client.HTTPConnection(address, port, timeout=2)
    try:
        connection.request("HEAD", "/livez", headers={"Host": f"localhost:{port}"})
        connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


class Supervisor:
    """Runs children, each started again when it ends, until a signal asks to stop. One per process, in its main thread.

    Only while it comes up, before ``run``, does the end of a vital child end everything.
    """

    def __init__(self, children: Sequence[Child], *, folder: Path, say: Callable[[str], None]) -> None:
        self._children = list(children)
        self._folder = folder
        self._say = say
        self._signals = 0
        self._is_up = False
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._wake_before = -1

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        # A child's end wakes the loop too; without a handler of our own the signal would be dropped.
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self._wake_before = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for child in self._children:
            # The others wait for it, so that on two cores they do not slow the first page down.
            if child.vital:
                self._start(child)
            else:
                child.due = math.inf
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop_all()
        signal.set_wakeup_fd(self._wake_before)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._wake_read)
        os.close(self._wake_write)

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> bool:
        """False when the time is over, a vital child ended or a signal asked to stop. Call it before ``run``."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self._over():
            if ready():
                return True
            self._sleep(0.05)
        return False

    def run(self) -> int:
        """Start the others and watch until somebody asks to stop. The exit code: 0."""
        self._is_up = True
        for child in self._children:
            child.due = 0.0
        while not self._over():
            self._sleep(1.0)
        return 0

    @property
    def asked_to_stop(self) -> bool:
        return self._signals > 0

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1

    def _sleep(self, seconds: float) -> None:
        if select.select([self._wake_read], [], [], seconds)[0]:
            os.read(self._wake_read, 4096)

    def _over(self) -> bool:
        """Look after every child once."""
        if self._signals:
            return True
        now = time.monotonic()
        for child in self._children:
            if child.process is None:
                if now >= child.due:
                    self._start(child)
                continue
            code = child.process.poll()
            if code is None:
                continue
            child.process = None
            if child.vital and not self._is_up:
                self._say(f"The {child.name} process ended unexpectedly ({_ending(code)}); stopping everything.")
                return True
            child.failures = 1 if now - child.started > _STEADY_SECONDS else child.failures + 1
            pause = _BACKOFF_SECONDS[min(child.failures, len(_BACKOFF_SECONDS)) - 1]
            child.due = now + pause
            self._say(
                f"The {child.name} process ended unexpectedly ({_ending(code)}); starting it again in {pause:.0f} s."
            )
        return False

    def _start(self, child: Child) -> None:
        child.started = time.monotonic()
        child.process = subprocess.Popen(  # noqa: S603  our own commands, no shell
            list(child.command),
            cwd=self._folder,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **child.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            # A group of its own: Ctrl-C in the terminal reaches us alone, and we stop the children in our way.
            start_new_session=True,
            preexec_fn=functools.partial(_end_with_parent, os.getpid(), _libc()),
        )
        assert child.process.stdout is not None
        threading.Thread(target=_relay, args=(child.name, child.process.stdout), daemon=True).start()

    def _stop_all(self) -> None:
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            _signal_group(process, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_SECONDS
        asked = self._signals
        while any(process.poll() is None for process in running):
            # A second Ctrl-C: no more patience.
            if time.monotonic() > deadline or self._signals > max(asked, 1):
                break
            self._sleep(0.1)
        for process in running:
            _signal_group(process, signal.SIGKILL)
            process.wait()


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by signal {-code}"


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _libc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform == "linux" else None


def _end_with_parent(parent: int, libc: ctypes.CDLL | None) -> None:
    """In the new child: be killed when the supervisor is, however that ends. Linux only."""
    if libc is not None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)


def _relay(name: str, stream: IO[bytes]) -> None:
    with stream:
        for line in stream:
            if text := line.decode("utf-8", "replace").rstrip():
                print(f"{name:>6} | {text}", file=sys.stderr, flush=True)  # noqa: T201  the children's own output
