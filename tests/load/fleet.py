"""The processes of deploy/ on this machine, several of each, and what they stand on."""

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests import serving
from tests.patience import at_most
from tests.serving import REPOSITORY, free_port, until

KINDS = ("web", "mcp", "worker", "scheduler")
ANSWERING = ("web", "mcp")
ENDS_WITHIN = 10.0
"""Seconds from SIGTERM to the end of any process, streams open or not."""


def command_of(kind: str, name: str, port: int) -> list[str]:
    """What the unit of systemd starts, from this environment, on another port and under a name of its own."""
    unit = REPOSITORY / "deploy" / "systemd" / f"tradelatch-{kind}.service"
    (line,) = (each for each in unit.read_text().splitlines() if each.startswith("ExecStart="))
    program, *words = shlex.split(line.removeprefix("ExecStart="))
    if "--port" in words:
        words[words.index("--port") + 1] = str(port)
    if kind == "worker":
        words += ["--hostname", f"{name}@load"]  # Celery's own name for it is that of the machine
    return [str(Path(sys.executable).with_name(Path(program).name)), *words]


@dataclass(slots=True)
class Process:
    kind: str
    name: str
    port: int
    log: Path
    environment: Mapping[str, str]
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    """When it was last ready, by ``time.time()``."""
    ready_after: list[float] = field(default_factory=list)
    """Seconds from each start until it was ready."""
    _log_before: int = 0

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def launch(self) -> None:
        """Start it; ``wait`` waits until it is ready."""
        self._log_before = self.log.stat().st_size if self.log.exists() else 0
        self.started_at = time.time()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command_of(self.kind, self.name, self.port),
                cwd=REPOSITORY,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self) -> None:
        process = self.process
        assert process is not None

        def ready() -> bool:
            assert process.poll() is None, (
                f"{self.name} ended with {process.returncode}:\n{self.log.read_text()[-4000:]}"
            )
            # Celery writes its banner when its code is loaded.
            return serving.answers(self.port) if self.kind in ANSWERING else self.log.stat().st_size > self._log_before

        until(ready, seconds=serving.READY_SECONDS, what=f"{self.name} is ready")
        now = time.time()
        self.ready_after.append(now - self.started_at)
        self.started_at = now

    def kill(self) -> None:
        """SIGKILL: no goodbye."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(at_most(10))

    def end(self) -> float:
        """SIGTERM; seconds until it ended."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(at_most(ENDS_WITHIN))
        return time.monotonic() - began


class Fleet:
    def __init__(self, home: Path, each: int, variables: Mapping[str, str]) -> None:
        public = free_port()
        self.every: list[Process] = []
        for kind in KINDS:
            for number in range(1, each + 1):
                port = public if not self.every else free_port()
                named = {"TRADELATCH_PUBLIC_URL": f"http://localhost:{public}"}
                environment = serving.environment(home, port, **{**variables, **named})
                log = home.parent / f"{kind}{number}.log"
                self.every.append(Process(kind, f"{kind}{number}", port, log, environment))

    def of(self, *kinds: str) -> list[Process]:
        return [each for each in self.every if each.kind in kinds]

    @property
    def ports(self) -> list[int]:
        """Of those that answer requests, as a balancer in front would know them."""
        return [each.port for each in self.of(*ANSWERING)]

    @contextlib.contextmanager
    def running(self) -> Iterator["Fleet"]:
        try:
            for each in self.every:
                each.launch()
            for each in self.every:
                each.wait()
            yield self
        finally:
            for each in self.every:
                each.kill()
