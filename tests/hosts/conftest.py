"""Where make has put the hosts, a home of their own for each test, and a terminal to drive them in."""

import contextlib
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from tests.person import Person
from tests.serving import Server, until

_TOOLS = Path(__file__).parents[2] / ".test-tools"
_NODE = _TOOLS / "hosts" / "node_modules" / ".bin"
_SCRIPTED = _TOOLS / "scripted" / "node_modules" / ".bin"
_FASTMCP = _TOOLS / "fastmcp" / "bin"
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_()][0-9A-Za-z]?)")
_AUTHORIZE = re.compile(r"http://localhost:\d+/oauth/authorize\?[\x21-\x7e]+")


class Terminal:
    """A process in a pseudo-terminal so wide that no address is broken into lines. What it says, without colours."""

    def __init__(self, command: list[str], *, cwd: Path, env: dict[str, str]) -> None:
        self._mine, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 4000, 0, 0))
        self.process = subprocess.Popen(
            command, cwd=cwd, env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self._heard = bytearray()
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

    def _listen(self) -> None:
        # Linux answers EIO, not the end of the file, when the last process has closed the terminal.
        with contextlib.suppress(OSError):
            while heard := os.read(self._mine, 65536):
                self._heard += heard

    @property
    def said(self) -> str:
        return _ESCAPES.sub("", bytes(self._heard).decode(errors="replace"))

    def type(self, text: str) -> None:
        os.write(self._mine, text.encode())

    def authorize_address(self) -> str:
        """The address that the host asks the person to open."""

        def asked() -> str | None:
            assert self.process.poll() is None, f"it ended with {self.process.returncode}: {self.said}"
            found = _AUTHORIZE.search(self.said)
            # A whole line, or half an address could have been heard so far.
            return found[0] if found and len(self.said) > found.end() else None

        address = until(asked, seconds=40, what=f"the host asks to sign in to {self.process.args!r}")
        assert address is not None
        return address

    def ended(self) -> int:
        """Its exit code."""
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired as late:
            raise AssertionError(f"it did not end; it said {self.said}") from late
        self._listening.join(5)
        return code

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)
        self._listening.join(5)
        os.close(self._mine)


@dataclass(frozen=True, slots=True)
class Host:
    """The command lines of the hosts, with Node 22 first on the path and nobody's own settings."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        unwanted = ("TRADELATCH_", "CLAUDE", "CODEX")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
        return kept | {
            "PATH": f"{_NODE}:{_SCRIPTED}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "BROWSER": "/bin/false",
        }

    def command(self, name: str) -> str:
        places = (_FASTMCP,) if name == "fastmcp" else (_NODE, _SCRIPTED)
        found = next((folder / name for folder in places if (folder / name).exists()), None)
        assert found is not None, f"{name} is not installed: run make clients or make hosts"
        return str(found)

    def run(self, name: str, *arguments: str, seconds: float = 60, **variables: str) -> str:
        return self._run([self.command(name), *arguments], variables, seconds)

    def run_as_typed(self, words: list[str], **variables: str) -> str:
        """A command of a setup guide, on the programs that are installed here."""
        name, *arguments = self.installed(words)
        return self._run([self.command(name), *arguments], variables)

    def run_python(self, program: Path, **variables: str) -> str:
        """A program, on the SDK that the tests have."""
        return self._run([sys.executable, str(program)], variables)

    @staticmethod
    def installed(words: list[str]) -> list[str]:
        """``npx -y package …`` is the program of the package that make clients installed; the rest is as typed."""
        if words[:2] != ["npx", "-y"]:
            return words
        programs = {"@modelcontextprotocol/inspector": "mcp-inspector", "mcp-remote": "mcp-remote"}
        return [programs[words[2]], *words[3:]]

    def _run(self, command: list[str], variables: dict[str, str], seconds: float = 60) -> str:
        ran = subprocess.run(
            command,
            cwd=self.home,
            env=self.environment | variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    @contextlib.contextmanager
    def terminal(self, name: str, *arguments: str, **variables: str) -> Iterator[Terminal]:
        """The same at a terminal; killed when the block ends."""
        terminal = Terminal([self.command(name), *arguments], cwd=self.home, env=self.environment | variables)
        try:
            yield terminal
        finally:
            terminal.close()


def consent(server: Server, address: str, *, scope: str = "mcp:read") -> str:
    """Sign in at the authorize address of a host, allow it on the paper connection, and the address that leads to."""
    with Person(server.url, server.quickstart["username"], server.quickstart["password"]) as person:
        return person.consent(address, connection="Practice", scope=scope)


def return_to(callback: str) -> None:
    """Open the address on which the host waits; some print the one to sign in at before they listen there."""

    def answered() -> httpx2.Response | None:
        try:
            return httpx2.get(callback, timeout=20)
        except httpx2.ConnectError:
            return None

    answer = until(answered, seconds=20, what=f"the host listens at {callback}")
    assert answer is not None and answer.status_code == 200, answer


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)
