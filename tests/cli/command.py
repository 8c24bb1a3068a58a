"""The command as a person or a host starts it: a process of its own, with an environment of its own."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import serving
from tests.patience import at_most

COMMAND = [sys.executable, "-m", "mcpserver.stdio"]
REPOSITORY = serving.REPOSITORY


def environment(**variables: str) -> dict[str, str]:
    given = serving.environment(Path("/nonexistent"), 8000)
    del given["TRADELATCH_PUBLIC_URL"]  # so that the command finds the address by itself
    return given | variables


@dataclass(frozen=True, slots=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Standard output, every line of it parsed."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def error(self) -> dict[str, Any]:
        """The refusal on the last line of standard error."""
        error: dict[str, Any] = json.loads(self.err.splitlines()[-1])["error"]
        return error


def run(*arguments: str, given: str = "", **variables: str) -> Ran:
    """Run it to its end, with ``given`` on standard input. Whatever happens, no key is printed."""
    ran = subprocess.run(
        [*COMMAND, *arguments],
        cwd=REPOSITORY,
        env=environment(**variables),
        input=given,
        capture_output=True,
        text=True,
        timeout=at_most(40),
        check=False,
    )
    key = variables.get("TRADELATCH_API_KEY")
    assert not key or (key not in ran.stdout and key not in ran.stderr)
    assert "Traceback" not in ran.stderr, ran.stderr
    return Ran(ran.returncode, ran.stdout, ran.stderr)
