"""``make demo``: orders in every status, something waiting, a month of journal and errors of each kind."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from console.errors import EXPLANATIONS, Blame, Code
from console.orders.states import Status
from tests import serving
from tests.patience import at_most
from tests.serving import REPOSITORY, Server, until


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home, port = tmp_path_factory.mktemp("demo") / "home", serving.free_port()
    server = Server(home, port, {})
    with server._log_file.open("wb") as log:
        server.process = subprocess.Popen(
            [sys.executable, "-m", "tests.demo"],
            cwd=REPOSITORY,
            env=serving.environment(home, port),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    process = server.process

    def welcomed() -> bool:
        assert process.poll() is None, server.log
        return "Password" in server.log

    try:
        until(welcomed, seconds=100, what=f"the demo runs; it wrote:\n{server.log[-2000:]}")
        yield server
    finally:
        server.kill()


def _statuses(demo: Server) -> set[str]:
    return {row[0] for row in demo.query("SELECT DISTINCT status FROM orders_order")}


@pytest.mark.timeout(150)
def test_it_ends_with_how_to_get_in_and_that_is_true(demo: Server) -> None:
    last = re.search(r"Console +(\S+)\nSign in as +(\S+)\nPassword +(\S+)\n", demo.log)
    assert last is not None, demo.log
    assert last.groups()[:2] == (f"{demo.url}/", "owner@tradelatch.local")
    with httpx2.Client(base_url=demo.url, timeout=at_most(10)) as browser:
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', browser.get("/sign-in/").text)
        assert token is not None
        fields = {"csrfmiddlewaretoken": token[1], "username": "owner@tradelatch.local", "password": last[3]}
        answer = browser.post("/sign-in/", data=fields, headers={"Origin": demo.url})
        assert answer.status_code == 302, answer.text
        assert "Practice" in browser.get("/").text


@pytest.mark.timeout(150)
def test_there_is_an_order_in_every_status(demo: Server) -> None:
    seen = set[str]()

    def all_seen() -> bool:
        seen.update(_statuses(demo))  # on a slow computer the first have moved on when the last gets there
        return seen == set(Status)

    until(all_seen, seconds=30, what="an order in every status")


@pytest.mark.timeout(150)
def test_an_approval_and_a_brokers_question_wait(demo: Server) -> None:
    def waits() -> bool:
        statuses = "SELECT status FROM orders_order WHERE status IN ('awaiting_confirmation', 'awaiting_answer')"
        return {row[0] for row in demo.query(statuses)} == {"awaiting_confirmation", "awaiting_answer"}

    until(waits, seconds=30, what="both wait")


@pytest.mark.timeout(150)
def test_the_journal_goes_back_a_month_and_has_notes(demo: Server) -> None:
    [(trades, days)] = demo.query(
        "SELECT count(*), julianday(max(opened_at)) - julianday(min(opened_at)) FROM journal_roundtrip"
    )
    assert trades >= 20
    assert days > 25
    assert demo.query("SELECT count(*) FROM journal_note") > [(0,)]


@pytest.mark.timeout(150)
def test_there_are_errors_of_the_caller_and_of_the_broker(demo: Server) -> None:
    codes = {Code(row[0]) for row in demo.query("SELECT DISTINCT code FROM audit_call WHERE code != ''")}
    assert len(codes) >= 25
    assert {EXPLANATIONS[code].blame for code in codes} >= {Blame.CALLER}
    ended = {row[0] for row in demo.query("SELECT DISTINCT code FROM orders_order WHERE code != ''")}
    assert {EXPLANATIONS[Code(code)].blame for code in ended} >= {Blame.BROKER}


@pytest.mark.timeout(150)
def test_ctrl_c_leaves_no_process(demo: Server) -> None:
    assert demo.stop(signal.SIGTERM) == 0
    assert serving.processes_of(demo.home) == set()


def test_a_home_that_is_no_demos_is_left_alone(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "tradelatch.sqlite3").write_text("precious")
    ran = subprocess.run(
        [sys.executable, "-m", "tests.demo"],
        cwd=REPOSITORY,
        env=serving.environment(home, serving.free_port()),
        capture_output=True,
        text=True,
        timeout=at_most(60),
        check=False,
    )
    assert ran.returncode == 1
    assert "is not a demo's home" in ran.stderr
    assert (home / "tradelatch.sqlite3").read_text() == "precious"
