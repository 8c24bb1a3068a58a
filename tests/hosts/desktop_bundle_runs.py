"""The program of the bundle for Claude Desktop passes messages on in both eras. Run by ``make clients``."""

import io
import json
import queue
import subprocess
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.host import MODERN
from tests.hosts.conftest import Host
from tests.person import Person
from tests.serving import Server


class Program:
    """Started as the manifest says, with what the person typed."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.answers: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.answers.put(json.loads(line))

    def ask(self, method: str, params: dict[str, Any], request_id: int = 1) -> dict[str, Any]:
        assert self.process.stdin is not None
        message = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        return self.answers.get(timeout=30)

    def close(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(20)


@contextmanager
def started(server: Server, host: Host, folder: Path, key: str) -> Iterator[Program]:
    with Person(server.url, server.quickstart["username"], server.quickstart["password"]) as person:
        made = person.get("/connect/tradelatch.mcpb").content
    zipfile.ZipFile(io.BytesIO(made)).extractall(folder)
    run = json.loads((folder / "manifest.json").read_text())["server"]["mcp_config"]
    words = [word.replace("${__dirname}", str(folder)) for word in (run["command"], *run["args"])]
    typed = {name: value.replace("${user_config.api_key}", key) for name, value in run["env"].items()}
    process = subprocess.Popen(
        words,
        env=host.environment | typed,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield Program(process)
        finally:
            process.kill()


def test_an_older_host_greets_lists_and_calls(server: Server, host: Host, tmp_path: Path) -> None:
    with started(server, host, tmp_path / "bundle", server.quickstart["paper_key_trade"]) as program:
        hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        assert program.ask("initialize", hello)["result"]["serverInfo"]["name"] == "tradelatch"
        tools = program.ask("tools/list", {}, 2)["result"]["tools"]
        assert "place_order" in [tool["name"] for tool in tools]
        order = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.01"}
        placed = program.ask("tools/call", {"name": "place_order", "arguments": order}, 3)["result"]
        assert placed["structuredContent"]["status"] == "needs_confirmation"
        assert program.close() == 0


def test_a_modern_host_calls_without_a_greeting(server: Server, host: Host, tmp_path: Path) -> None:
    with started(server, host, tmp_path / "bundle", server.quickstart["paper_key_trade"]) as program:
        params = {"name": "get_accounts", "arguments": {}, "_meta": MODERN}
        result = program.ask("tools/call", params)["result"]
        assert result["structuredContent"]["context"]["environment"] == "paper"
        uri = {"uri": "tradelatch://quotes/BTC/USD", "_meta": MODERN}
        assert program.ask("resources/read", uri, 2)["result"]["contents"]


def test_a_key_that_is_not_accepted_is_told_in_the_answer(server: Server, host: Host, tmp_path: Path) -> None:
    with started(server, host, tmp_path / "bundle", "tl_paper_thiskeyisnotone") as program:
        error = program.ask("tools/list", {})["error"]
        assert "API key" in error["message"]


@pytest.mark.parametrize("left", ["", "${user_config.api_key}"], ids=["nothing", "the placeholder"])
def test_without_a_key_it_says_what_to_do(server: Server, host: Host, tmp_path: Path, left: str) -> None:
    with started(server, host, tmp_path / "bundle", left) as program:
        assert program.process.stderr is not None
        assert "There is no API key." in program.process.stderr.readline()
        assert program.process.wait(20) == 1
