"""``manage.py dev``: the instance starts again when Python changes, and a template is read anew without that."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests import serving
from tests.patience import at_most
from tests.serving import REPOSITORY, until


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy that the test may change."""
    folder = tmp_path / "checkout"
    for name in ("brokers", "console", "mcpserver", "templates", "docs"):
        shutil.copytree(REPOSITORY / name, folder / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("manage.py", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, folder / name)
    return folder


@pytest.fixture
def running(checkout: Path, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Its address, and the file of what it writes."""
    home, port, log = tmp_path / "home", serving.free_port(), tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "dev"],
            cwd=checkout,
            env=serving.environment(home, port),
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield f"http://localhost:{port}", log
        process.send_signal(signal.SIGINT)
        process.wait(at_most(30))
        until(lambda: not serving.processes_of(home), seconds=20, what="every process ended")
    finally:
        for pid in serving.processes_of(home):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.timeout(120)
def test_what_is_changed_is_served(running: tuple[str, Path], checkout: Path) -> None:
    address, log = running

    def starts(count: int) -> bool:
        return log.read_text().count("Tradelatch is running.") == count

    until(lambda: starts(1), seconds=40, what="it runs")
    page = checkout / "templates/accounts/sign_in.html"
    page.write_text(page.read_text().replace("{% block content %}", "{% block content %}Changed words."))
    assert "Changed words." in httpx2.get(f"{address}/sign-in/", timeout=at_most(10)).text

    module = checkout / "console/ids.py"
    module.write_text(module.read_text() + "\n")
    until(lambda: starts(2), seconds=40, what="it runs again")
    assert httpx2.get(f"{address}/sign-in/", timeout=at_most(10)).status_code == 200
