"""The servers under test and the load on them: one uvicorn worker each, wrk from another core."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests import serving

MODERN, LEGACY = "2026-07-28", "2025-11-25"
VERY_MANY = "1000000000"
LIMITS = {"TRADELATCH_CALLS_PER_MINUTE": VERY_MANY, "TRADELATCH_LISTS_PER_MINUTE": VERY_MANY}
"""Raised, not switched off: each call is counted."""

_TICK = os.sysconf("SC_CLK_TCK")
_CPUS = sorted(os.sched_getaffinity(0))
_SERVER_CPU = {_CPUS[0]}
LOAD_CPU = set(_CPUS[1:]) or {_CPUS[0]}


@dataclass(frozen=True, slots=True)
class Server:
    name: str
    url: str
    pid: int
    key: str = ""
    keys: Sequence[str] = ()
    """Those of many callers."""

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.pid)


def cpu_seconds(pid: int) -> float:
    """Of the process, its threads and its children so far."""
    total = 0
    for each in _family(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        total += sum(int(field) for field in fields[11:15])
    return total / _TICK


def _family(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from _family(int(child))


@contextlib.contextmanager
def started(
    name: str,
    app: str,
    home: Path,
    key: str = "",
    tree: Path = serving.REPOSITORY,
    keys: Sequence[str] = (),
    /,
    **variables: str,
) -> Iterator[Server]:
    """``tree``: where the revision to run is checked out."""
    port = serving.free_port()
    command = [
        *(sys.executable, "-m", "uvicorn", app, "--host", "127.0.0.1", "--port", str(port), "--lifespan", "on"),
        *("--loop", "uvloop", "--http", "httptools", "--log-level", "warning", "--no-server-header"),
    ]
    with (home.parent / f"{home.name}.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=tree,
            env=serving.environment(home, port, **variables),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=lambda: os.sched_setaffinity(0, _SERVER_CPU),
        )
    try:
        url = f"http://127.0.0.1:{port}/mcp"

        def answers() -> bool:
            assert process.poll() is None, f"{name} ended:\n{Path(log.name).read_text()[-3000:]}"
            try:
                urllib.request.urlopen(url, timeout=5)
            except urllib.error.HTTPError:
                return True
            except OSError:
                return False
            return True

        serving.until(answers, seconds=60, what=f"{name} answers")
        yield Server(name, url, process.pid, key, keys)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def revision(named: str) -> Iterator[Path]:
    """A worktree of that revision of this repository, taken away again."""
    git = ("git", "-C", str(serving.REPOSITORY), "worktree")
    with tempfile.TemporaryDirectory(prefix="tl-bench-") as folder:
        tree = Path(folder) / "tree"
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), named], check=True)
        try:
            yield tree
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def prepared(home: Path, tree: Path = serving.REPOSITORY, /, **variables: str) -> dict[str, str]:
    """A home with an owner, a paper connection and keys; the answer of quickstart."""
    answer: dict[str, str] = _told(["manage.py", "quickstart", "--json"], home, tree, variables)
    return answer


def many_keys(home: Path, tree: Path = serving.REPOSITORY, /, **variables: str) -> list[str]:
    """64 keys of 8 people more, in a prepared home."""
    script = str(Path(__file__).with_name("many_keys.py"))
    names = {"PYTHONPATH": str(tree), "DJANGO_SETTINGS_MODULE": "console.settings"}
    keys: list[str] = _told(["-P", script], home, tree, variables | names)
    return keys


def _told(arguments: list[str], home: Path, tree: Path, variables: dict[str, str]) -> Any:
    """What a script of that tree writes as JSON."""
    ran = subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env=serving.environment(home, 8000, **variables),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if ran.returncode:
        raise SystemExit(ran.stderr)
    return json.loads(ran.stdout)


@dataclass(frozen=True, slots=True)
class Load:
    """One request, and a text that only a good answer to it holds."""

    name: str
    era: str
    method: str
    params: dict[str, Any]
    expected: str
    keys: int = 1
    """Of how many callers, one after the other."""

    def headers(self, key: str) -> dict[str, str]:
        made = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": self.era,
        }
        if self.era == MODERN:
            made["Mcp-Method"] = self.method
            if "name" in self.params:
                made["Mcp-Name"] = self.params["name"]
        if key:
            made["Authorization"] = f"Bearer {key}"
        return made

    def body(self) -> str:
        params = self.params
        if self.era == MODERN:
            params = params | {
                "_meta": {
                    "io.modelcontextprotocol/protocolVersion": MODERN,
                    "io.modelcontextprotocol/clientCapabilities": {},
                    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
                }
            }
        return json.dumps({"jsonrpc": "2.0", "id": 1, "method": self.method, "params": params})


QUOTE = {"name": "get_quote", "arguments": {"symbols": ["AAPL"]}}
LOADS = {
    (what, era): Load(what, era, method, params, expected)
    for era in (MODERN, LEGACY)
    for what, method, params, expected in (
        ("get_quote", "tools/call", QUOTE, '"isError":false'),
        ("tools/list", "tools/list", {}, '"tools":['),
    )
}
MANY = {era: replace(LOADS["get_quote", era], keys=64) for era in (MODERN, LEGACY)}
ECHO = Load("echo", MODERN, "tools/call", QUOTE, '"method"')


@dataclass(frozen=True, slots=True)
class Measured:
    requests: int
    per_second: float
    cpu: float
    """Microseconds of the server's processor time for one request."""
    median: float
    """Microseconds until the answer."""


def measure(server: Server, load: Load, concurrency: int, seconds: float) -> Measured:
    """Raises SystemExit when an answer is wrong or missing."""
    with tempfile.TemporaryDirectory(prefix="tl-bench-") as folder:
        lines = [f"{name}: {value}\n" for name, value in load.headers(server.key).items()]
        Path(folder, "headers").write_text("".join(lines))
        keys = server.keys if load.keys > 1 else []
        Path(folder, "keys").write_text("".join(f"{key}\n" for key in keys))
        Path(folder, "body").write_text(load.body())
        Path(folder, "expected").write_text(load.expected)
        before = server.cpu_seconds()
        ran = subprocess.run(
            [
                *("wrk", "-t", "1", "-c", str(concurrency), "-d", f"{max(1, round(seconds))}s", "--timeout", "10s"),
                *("-s", str(Path(__file__).with_name("wrk.lua")), server.url),
            ],
            env=os.environ | {"BENCH_FILES": folder},
            capture_output=True,
            text=True,
            check=False,
            timeout=seconds + 60,
            preexec_fn=lambda: os.sched_setaffinity(0, LOAD_CPU),
        )
        used = server.cpu_seconds() - before
    result = next((line.split()[1:] for line in ran.stdout.splitlines() if line.startswith("RESULT ")), None)
    if ran.returncode or result is None:
        raise SystemExit(f"wrk failed on {server.name}:\n{ran.stdout}{ran.stderr}")
    good, bad, errors, duration, median = (int(part) for part in result)
    if bad or errors or not good:
        raise SystemExit(
            f"{server.name}, {load.name}: {bad} wrong answers, {errors} errors, {good} good.\n{ran.stdout}"
        )
    return Measured(good, good / duration * 1e6, used / good * 1e6, median)
