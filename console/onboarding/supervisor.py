"""The processes of one instance, started and stopped together.

They are forks of the one that has loaded the code: what is loaded is in memory once, and a start loads it once.
"""

import atexit
import contextlib
import ctypes
import gc
import http.client
import math
import os
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

_GRACE_SECONDS = 8.0
_BACKOFF_SECONDS = (1.0, 2.0, 5.0, 15.0, 60.0)
_STEADY_SECONDS = 60.0
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_AT_ONCE = 65_536


@dataclass(slots=True, kw_only=True)
class Child:
    name: str
    run: Callable[[], object]
    """What the new process does; when it returns or raises SystemExit, the process ends."""
    vital: bool = False
    """Nothing is of use without it: it starts first, and when it cannot start, nothing does."""
    pid: int | None = None
    started: float = 0.0
    failures: int = 0
    due: float = 0.0


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

    Only while it comes up, before ``run``, does the end of a vital child end everything. It starts no thread of its
    own: a fork with threads beside it may hold their locks for ever.
    """

    def __init__(
        self, children: Sequence[Child], *, folder: Path, say: Callable[[str], None], is_named: bool = False
    ) -> None:
        """``is_named``: each line of a child says itself which it is from."""
        self._is_named = is_named
        self._children = list(children)
        self._folder = folder
        self._say = say
        self._signals = 0
        self._is_up = False
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._wake_before = -1
        self._outputs: dict[int, tuple[str, bytes]] = {}
        """Of each child's pipe: its name, and what it wrote of a line so far."""

    def __enter__(self) -> Self:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        # A child's end wakes the loop too; without a handler of our own the signal would be dropped.
        self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self._wake_before = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        # What is shared stays shared: a collection in a child would write to every object.
        gc.collect()
        gc.freeze()
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
        gc.unfreeze()
        for pipe in (*self._outputs, self._wake_read, self._wake_write):
            os.close(pipe)
        self._outputs.clear()

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
            self._sleep(self._pause())
        return 0

    @property
    def asked_to_stop(self) -> bool:
        return self._signals > 0

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1

    def _pause(self) -> float | None:
        """Seconds until a child is due to start again. The end of one, and a signal, wake us: else there is no need."""
        due = [child.due for child in self._children if child.pid is None]
        return max(0.05, min(due) - time.monotonic()) if due else None

    def _sleep(self, seconds: float | None) -> None:
        """Until something happens, at most so long; meanwhile the children's lines are passed on."""
        found = select.select([self._wake_read, *self._outputs], [], [], seconds)[0]
        for pipe in found:
            if pipe == self._wake_read:
                os.read(pipe, 4096)
            else:
                self._relay(pipe)

    def _over(self) -> bool:
        """Look after every child once."""
        if self._signals:
            return True
        now = time.monotonic()
        for child in self._children:
            if child.pid is None:
                if now >= child.due:
                    self._try_start(child)
                continue
            code = _ended(child.pid)
            if code is None:
                continue
            child.pid = None
            self._read_rest(child.name)
            if child.vital and not self._is_up:
                self._say(f"The {child.name} process ended unexpectedly ({_ending(code)}); stopping everything.")
                return True
            if now - child.started > _STEADY_SECONDS:
                child.failures = 0
            self._put_off(child, f"ended unexpectedly ({_ending(code)})")
        return False

    def _try_start(self, child: Child) -> None:
        """The others go on without it where the system is short of memory or processes for a while."""
        try:
            self._start(child)
        except OSError as error:
            self._put_off(child, f"cannot be started ({error.strerror})")

    def _put_off(self, child: Child, why: str) -> None:
        child.failures += 1
        pause = _BACKOFF_SECONDS[min(child.failures, len(_BACKOFF_SECONDS)) - 1]
        child.due = time.monotonic() + pause
        self._say(f"The {child.name} process {why}; starting it again in {pause:.0f} s.")

    def _start(self, child: Child) -> None:
        """Raises OSError where the system has no room for another process."""
        child.started = time.monotonic()
        output, theirs = os.pipe2(os.O_CLOEXEC)
        parent = os.getpid()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()  # else the child would write it a second time
        try:
            child.pid = os.fork()
        except OSError:
            os.close(output)
            os.close(theirs)
            raise
        if child.pid == 0:
            self._be(child, theirs, parent)
        os.close(theirs)
        os.set_blocking(output, False)
        self._outputs[output] = (child.name, b"")

    def _be(self, child: Child, output: int, parent: int) -> None:
        """The life of a child, from the fork to its end."""
        code = 1
        try:
            # A group of its own: Ctrl-C in the terminal reaches the supervisor alone, which stops us in its way.
            os.setsid()
            _end_with_parent(parent, child.name)
            signal.set_wakeup_fd(-1)
            for number in self._before:
                signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
            nothing = os.open(os.devnull, os.O_RDONLY)
            for theirs, ours in ((nothing, 0), (output, 1), (output, 2)):
                os.dup2(theirs, ours)
            for pipe in (nothing, output, self._wake_read, self._wake_write, *self._outputs):
                os.close(pipe)
            os.chdir(self._folder)
            os.environ["PYTHONUNBUFFERED"] = "1"
            for stream in (sys.stdout, sys.stderr):
                stream.reconfigure(write_through=True)  # type: ignore[union-attr]  # they are TextIOWrapper
            child.run()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
            if isinstance(end.code, str):
                sys.stderr.write(f"{end.code}\n")
        except BaseException:
            traceback.print_exc()
        finally:
            # Not by the way out of the interpreter: the supervisor's own blocks stand above us on the stack.
            with contextlib.suppress(BaseException):
                atexit._run_exitfuncs()
            os._exit(code)

    def _relay(self, pipe: int) -> bool:
        """Pass on the whole lines that came; False when no more are there now."""
        name, begun = self._outputs[pipe]
        try:
            came = os.read(pipe, _AT_ONCE)
        except BlockingIOError:
            return False
        *lines, rest = (begun + came).split(b"\n") if came else [begun, b""]
        for line in lines:
            if text := line.decode("utf-8", "replace").rstrip():
                print(text if self._is_named else f"{name:>6} | {text}", file=sys.stderr, flush=True)  # noqa: T201  the children's own output
        if not came:
            os.close(pipe)
            del self._outputs[pipe]
            return False
        self._outputs[pipe] = (name, rest)
        return True

    def _read_rest(self, name: str) -> None:
        """What a child wrote before it ended stands before the line that says so."""
        for pipe in [pipe for pipe, (of, _) in self._outputs.items() if of == name]:
            while self._relay(pipe):
                pass

    def _stop_all(self) -> None:
        running = {child.pid for child in self._children if child.pid is not None}
        for pid in running:
            _signal_group(pid, signal.SIGTERM)
        deadline = time.monotonic() + _GRACE_SECONDS
        asked = self._signals
        while running := {pid for pid in running if _ended(pid) is None}:
            # A second Ctrl-C: no more patience.
            if time.monotonic() > deadline or self._signals > max(asked, 1):
                break
            self._sleep(0.1)
        for pid in running:
            _signal_group(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        for child in self._children:
            child.pid = None
            self._read_rest(child.name)


def _ended(pid: int) -> int | None:
    """The exit code of our child, a signal as a negative number; None while it lives."""
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else f"killed by signal {-code}"


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        # Between its fork and its first step it is in our group still.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def _end_with_parent(parent: int, name: str) -> None:
    """In the new child: be killed when the supervisor is, however that ends, and have a name in ``ps``. Linux only."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_NAME, f"tl-{name}".encode())
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the line above
            os._exit(1)
