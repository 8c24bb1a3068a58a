"""``manage.py run``: what it prints, that it works, and that nothing is left when it ends."""

import os
import re
import shutil
import signal
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import prepared, serving
from tests.mcpserver.wire import Wire
from tests.patience import at_most
from tests.serving import Server, until

pytestmark = pytest.mark.long

PAST = "2020-01-01 00:00:00"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Started on an empty home."""
    with serving.fresh(tmp_path_factory.mktemp("run") / "home", supervised=True) as server:
        yield server


def _processes(server: Server, name: str) -> set[int]:
    return {pid for pid in serving.processes_of(server.home) if Path(f"/proc/{pid}/comm").read_text() == f"tl-{name}\n"}


def _key(server: Server) -> str:
    match = re.search(r"trades: (\S+)", server.log)
    assert match is not None, server.log
    return match[1]


def test_the_first_start_says_how_to_get_in(running: Server) -> None:
    lines = [line.strip() for line in running.log.splitlines()]
    assert f"Console      {running.url}/" in lines
    assert "Sign in as   owner@tradelatch.local" in lines
    assert re.search(r"Password     [2-9a-z]{4}(-[2-9a-z]{4}){3}$", running.log, re.MULTILINE)
    assert f"MCP address  {running.mcp_url}" in lines
    # The OAuth way: no secret in what a person pastes into a terminal.
    assert f"claude mcp add --transport http tradelatch {running.mcp_url}" in lines


def test_only_the_user_of_the_machine_can_read_the_secrets_and_the_queue(running: Server) -> None:
    def mode(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    secrets = list((running.home / "secrets").iterdir())
    assert secrets
    assert {mode(secret) for secret in secrets} == {0o600}
    folders = [running.home, running.home / "secrets", running.home / "queue"]
    folders += [path for path in (running.home / "queue").iterdir() if path.is_dir()]
    assert {mode(folder) for folder in folders} == {0o700}


def test_the_worker_sweeps(running: Server) -> None:
    wire = Wire(running.mcp_url, _key(running))
    prepared = wire.result("place_order", {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1"})
    order = prepared["order"]["order_id"]
    running.query(
        "UPDATE orders_confirmation SET expires_at = ? WHERE public_id = ?", PAST, prepared["confirmation_id"]
    )

    def status() -> str:
        found: str = running.query("SELECT status FROM orders_order WHERE public_id = ?", order)[0][0]
        return found

    until(lambda: status() == "lapsed", seconds=20, what="the sweep ended an order nobody confirmed")


@pytest.mark.parametrize("name", ["worker", "web"])
def test_a_process_that_dies_is_started_again_and_the_server_goes_on(running: Server, name: str) -> None:
    [process] = until(lambda: _processes(running, name), seconds=15, what=f"the {name} runs")
    os.kill(process, signal.SIGKILL)

    until(lambda: _processes(running, name) - {process}, seconds=15, what=f"another {name} runs")
    until(lambda: serving.answers(running.port), seconds=serving.READY_SECONDS, what="the server answers")

    assert (
        running.log.count(f"The {name} process ended unexpectedly (killed by signal 9); starting it again in 1 s.") == 1
    )
    assert Wire(running.mcp_url, _key(running)).result("get_cash", {})


def test_a_second_start_on_the_same_home_is_refused(running: Server) -> None:
    ran = serving.manage(running.home, serving.free_port(), "run")
    assert ran.returncode == 1
    assert ran.stderr.strip() == (
        f"CommandError: Tradelatch is already running with {running.home}: stop it, or set TRADELATCH_HOME to another "
        "folder."
    )


def test_ctrl_c_leaves_no_process_and_the_next_start_keeps_everything(running: Server) -> None:
    key = _key(running)
    assert running.stop(signal.SIGINT) == 0
    assert serving.processes_of(running.home) == set()
    assert running.log.rstrip().splitlines().count("Stopping.") == 1
    assert "Traceback" not in running.log

    before = len(running.log)
    started = time.monotonic()
    running.start()
    assert time.monotonic() - started < at_most(15)

    printed = running.log[before:]
    assert "Password     the one you were shown; `make rotate` creates a new one" in printed
    assert "tl_paper_" not in printed
    orders = Wire(running.mcp_url, key).result("get_orders", {"status": "all"})["orders"]
    assert [order["symbol"] for order in orders] == ["BTC/USD"]


def test_when_it_is_killed_its_processes_go_with_it(running: Server) -> None:
    assert running.process is not None
    until(lambda: _processes(running, "worker"), seconds=15, what="all processes run")
    running.process.kill()
    running.process.wait(at_most(5))
    until(lambda: not serving.processes_of(running.home), seconds=5, what="every process ended")


def test_a_busy_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        port = taken.getsockname()[1]
        ran = serving.manage(tmp_path / "home", port, "run")
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert re.fullmatch(rf"CommandError: Port {port} on 127\.0\.0\.1 is in use: .*PORT=\d+\.", ran.stderr.strip())


def test_an_address_that_is_not_ours_is_one_sentence(tmp_path: Path) -> None:
    ran = serving.manage(tmp_path / "home", serving.free_port(), "run", TRADELATCH_HOST="192.0.2.1")
    assert ran.returncode == 1
    assert re.fullmatch(r"CommandError: Cannot listen on 192\.0\.2\.1 .*TRADELATCH_HOST or PORT.*", ran.stderr.strip())


def test_a_home_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    # Below a file: permissions would not stop a test that runs as root.
    (tmp_path / "file").write_text("in the way")
    ran = serving.manage(tmp_path / "file" / "home", serving.free_port(), "run")
    assert ran.returncode == 1
    assert re.fullmatch(r"tradelatch: TRADELATCH_HOME \S+ cannot be written: .+\.", ran.stderr.strip())


def test_a_database_without_its_secret_is_one_sentence(tmp_path: Path) -> None:
    home, port = tmp_path / "home", serving.free_port()
    ready, _ = prepared.instance()
    shutil.copytree(ready, home, ignore=shutil.ignore_patterns("secrets"))

    ran = serving.manage(home, port, "run")

    assert ran.returncode == 1
    assert re.fullmatch(
        r"tradelatch: The database exists, but its secret is missing: .*TRADELATCH_SECRET_KEY\.", ran.stderr.strip()
    )
    assert not (home / "secrets").exists()
