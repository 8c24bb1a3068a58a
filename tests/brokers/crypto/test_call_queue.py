"""One call at a time per key: cancels first, no faster than the budget, nonces that only rise."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from brokers.crypto.call_queue import Gate, Nonces, Priority
from brokers.errors import BrokerUnavailable
from tests.patience import at_most, lasting


def test_a_cancel_goes_before_orders_and_reads_that_waited_longer() -> None:
    gate, order, ready = Gate(1000, 1000, patience=at_most(5)), [], []

    def wait(turn: Priority) -> None:
        ready.append(turn)
        with gate.turn(turn):
            order.append(turn)

    threads = [
        threading.Thread(target=wait, args=(turn,))
        for turn in (Priority.READ, Priority.READ, Priority.CREATE, Priority.CANCEL)
    ]
    with gate.turn(Priority.READ):
        for thread in threads:
            thread.start()
        until = time.monotonic() + at_most(5)
        while len(gate._waiting) < 4 and time.monotonic() < until:
            time.sleep(0.005)
    for thread in threads:
        thread.join(timeout=at_most(5))
    assert order == [Priority.CANCEL, Priority.CREATE, Priority.READ, Priority.READ]


def test_calls_keep_to_the_budget_after_a_burst() -> None:
    gate, began = Gate(50, 5, patience=at_most(5)), time.monotonic()
    for _ in range(15):
        with gate.turn(Priority.READ):
            pass
    assert 0.15 <= time.monotonic() - began < at_most(2)


def test_a_cancel_does_not_wait_for_the_budget() -> None:
    gate = Gate(0.1, 1, patience=lasting(0.05))
    for turn in (Priority.READ, Priority.READ, Priority.CANCEL):
        with gate.turn(turn):
            pass
    with pytest.raises(BrokerUnavailable), gate.turn(Priority.CREATE):
        pass


def test_only_one_thread_is_inside() -> None:
    gate, inside, most = Gate(10_000, 10_000, patience=at_most(5)), 0, 0
    lock = threading.Lock()

    def enter() -> None:
        nonlocal inside, most
        for _ in range(20):
            with gate.turn(Priority.READ):
                with lock:
                    inside += 1
                    most = max(most, inside)
                time.sleep(0.0005)
                with lock:
                    inside -= 1

    threads = [threading.Thread(target=enter) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=at_most(10))
    assert most == 1


def test_who_waits_too_long_is_told_that_nothing_was_sent_and_leaves_the_queue() -> None:
    gate = Gate(1000, 1000, patience=lasting(0.05))
    with (
        gate.turn(Priority.READ),
        pytest.raises(BrokerUnavailable, match="Nothing was sent"),
        gate.turn(Priority.CREATE),
    ):
        pass
    with gate.turn(Priority.CREATE):
        pass


_GIVE = """
import sys
from pathlib import Path
from brokers.crypto.call_queue import Nonces
nonces = Nonces(Path(sys.argv[1]), 20)
for _ in range(200):
    with nonces.held():
        sys.stdout.write(f"{nonces.next(1000)}\\n")
"""


def test_nonces_rise_across_processes_even_when_the_clock_stands_still(tmp_path: Path) -> None:
    file = tmp_path / "kraken.nonce"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _GIVE, str(file)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[3],
        )
        for _ in range(3)
    ]
    given = [int(line) for process in running for line in process.communicate(timeout=at_most(60))[0].split()]
    assert len(given) == 600
    assert len(set(given)) == 600
    assert sorted(given) == list(range(1000, 1600))


def test_a_key_that_another_holds_is_waited_for_no_longer_than_patience(tmp_path: Path) -> None:
    file = tmp_path / "kraken.nonce"
    with Nonces(file, 1).held(), pytest.raises(BrokerUnavailable, match="Nothing was sent"), Nonces(file, 0.05).held():
        pass
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_nonce_goes_with_the_clock_and_never_back(tmp_path: Path) -> None:
    nonces = Nonces(tmp_path / "n", 1)
    with nonces.held():
        assert [nonces.next(at) for at in (500, 500, 400, 900)] == [500, 501, 502, 900]
