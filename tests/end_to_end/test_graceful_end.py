"""SIGTERM ends every process within ten seconds, streams open or not, in every documented way of running."""

import contextlib
import re
import signal
import time
from pathlib import Path

import pytest

from tests import serving
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
    for each in each_of:
        assert "Traceback" not in each.log.read_text(), each.log.read_text()


def test_a_whole_instance_ends_with_a_stream_open(tmp_path: Path) -> None:
    with serving.serve(tmp_path / "home", supervised=True) as started:
        with Wire(started.mcp_url, started.quickstart["paper_key_trade"]).listen(ORDERS) as stream:
            stream.acknowledged()
            began = time.monotonic()
            assert started.stop(signal.SIGTERM) == 0
            assert time.monotonic() - began <= at_most(ENDS_WITHIN)
            until(lambda: stream.ended, seconds=5, what="the stream ended")


def test_every_command_of_the_documentation_says_how_long_an_end_may_take() -> None:
    files = [*(REPOSITORY / "docs").rglob("*.md"), *(REPOSITORY / "deploy").rglob("*"), REPOSITORY / "README.md"]
    text = {file: file.read_text() for file in files if file.is_file()}
    commands = [
        (file.name, line)
        for file, told in text.items()
        for line in re.findall(r".*\buvicorn\b.*--.*:application.*", told)
    ]
    assert len(commands) >= 4
    assert [each for each in commands if "timeout-graceful-shutdown" not in each[1]] == []
