"""SIGTERM ends every process within ten seconds, streams open or not, in every documented way of running."""

import contextlib
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import prepared, serving
from tests.load.fleet import ENDS_WITHIN, KINDS, Process
from tests.mcpserver.wire import Wire
from tests.patience import at_most
from tests.serving import REPOSITORY, Server, free_port, until

pytestmark = pytest.mark.long
ORDERS = "tradelatch://orders"


def test_each_unit_of_deploy_ends_and_its_streams_with_it(server: Server, tmp_path: Path) -> None:
    key = server.quickstart["paper_key_trade"]
    each_of = [
        Process(kind, kind, port := free_port(), tmp_path / f"{kind}.log", serving.environment(server.home, port))
        for kind in KINDS
    ]
    with contextlib.ExitStack() as ending:
        for each in each_of:
            each.launch()
            ending.callback(each.kill)
        for each in each_of:
            each.wait()
        streams = [ending.enter_context(Wire(f"{each.url}/mcp", key).listen(ORDERS)) for each in each_of[:2]]
        for stream in streams:
            stream.acknowledged()
        took = {each.name: each.end() for each in each_of}
        assert max(took.values()) <= at_most(ENDS_WITHIN), took
        until(lambda: all(stream.ended for stream in streams), seconds=5, what="both streams ended")
        assert all("result" in stream.messages[-1] for stream in streams), "an end that says so, not a cut"
    for each in each_of:
        assert "Traceback" not in each.log.read_text(), each.log.read_text()


def test_a_whole_instance_ends_with_a_stream_open(tmp_path: Path) -> None:
    with (
        serving.serve(tmp_path / "home", supervised=True) as started,
        Wire(started.mcp_url, started.quickstart["paper_key_trade"]).listen(ORDERS) as stream,
    ):
        stream.acknowledged()
        began = time.monotonic()
        assert started.stop(signal.SIGTERM) == 0
        assert time.monotonic() - began <= at_most(ENDS_WITHIN)
        until(lambda: stream.ended, seconds=5, what="the stream ended")
        assert "result" in stream.messages[-1]


def test_a_worker_ends_though_a_task_of_it_does_not(tmp_path: Path) -> None:
    home = tmp_path / "home"
    shutil.copytree(prepared.instance()[0], home)
    command = [sys.executable, "-m", "tests.end_to_end.worker_with_a_slow_task"]
    with subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=serving.environment(home, free_port()),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as worker:
        try:
            assert worker.stdout is not None
            assert any(line == "began\n" for line in worker.stdout)
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(at_most(ENDS_WITHIN)) == 0
        finally:
            worker.kill()


def test_every_command_of_the_documentation_says_how_long_an_end_may_take() -> None:
    command = re.compile(r".*\buvicorn\b.*--.*:application.*")
    files = [*(REPOSITORY / "docs").rglob("*.md"), *(REPOSITORY / "deploy").rglob("*"), REPOSITORY / "README.md"]
    commands = [
        line for file in files if file.is_file() and file.suffix != ".pyc" for line in command.findall(file.read_text())
    ]
    assert len(commands) >= 4
    assert [each for each in commands if "timeout-graceful-shutdown" not in each] == []
