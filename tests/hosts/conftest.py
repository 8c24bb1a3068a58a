"""Where ``make clients`` has put the hosts, and a home of their own for each test."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

_BIN = Path(__file__).parents[2] / ".test-tools" / "hosts" / "node_modules" / ".bin"


@dataclass(frozen=True, slots=True)
class Host:
    """The command lines of the hosts, with Node 22 first on the path and nobody's own settings."""

    home: Path

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRADELATCH_", "CLAUDE"))}
        return kept | {
            "PATH": f"{_BIN}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "BROWSER": "/bin/false",
        }

    def command(self, name: str) -> str:
        path = _BIN / name
        assert path.exists(), f"{name} is not installed: run make clients"
        return str(path)

    def run(self, name: str, *arguments: str) -> str:
        ran = subprocess.run(
            [self.command(name), *arguments],
            cwd=self.home,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)
