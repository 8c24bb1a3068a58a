"""Management commands as a person runs them: in a process and a home of their own."""

import os
import subprocess
import sys
from pathlib import Path

from tests.patience import at_most

REPOSITORY = Path(__file__).resolve().parent.parent


def environment(home: Path, port: int, **variables: str) -> dict[str, str]:
    """The environment of an instance: nothing of the person's own settings gets in."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TRADELATCH_")}
    clean.pop("DJANGO_SETTINGS_MODULE", None)
    named = {"TRADELATCH_PUBLIC_URL": f"http://localhost:{port}"}  # whatever names this computer knows
    return clean | {"TRADELATCH_HOME": str(home), "PORT": str(port)} | named | variables


def manage(home: Path, port: int, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=REPOSITORY,
        env=environment(home, port, **variables),
        capture_output=True,
        text=True,
        timeout=at_most(60),
        check=False,
    )
