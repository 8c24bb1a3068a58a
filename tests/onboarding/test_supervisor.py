"""The supervisor, on small programs: who is started when, and how it all ends."""

import os
import signal
import sys
import threading
from pathlib import Path

import pytest

from console.onboarding import supervisor
from console.onboarding.supervisor import Child, Supervisor
from tests.patience import at_most, lasting
from tests.serving import until


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "_GRACE_SECONDS", 1.0)
    monkeypatch.setattr(supervisor, "_BACKOFF_SECONDS", (0.05,))


def _python(name: str, code: str, *, vital: bool = False) -> Child:
    def run() -> None:
        os.execv(sys.executable, [sys.executable, "-c", code])  # noqa: S606  our own words, no shell

    return Child(name=name, run=run, vital=vital)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _pid(child: Child) -> int:
    assert child.pid is not None
    return child.pid


SLEEP = "import time; time.sleep(600)"


def test_a_vital_process_that_cannot_start_ends_everything(tmp_path: Path) -> None:
    said: list[str] = []
    web = _python("web", "raise SystemExit(3)", vital=True)
    worker = _python("worker", SLEEP)
    with Supervisor([web, worker], folder=tmp_path, say=said.append) as running:
        assert not running.wait_until(lambda: False, seconds=at_most(20))
        assert worker.pid is None
    assert said == ["The web process ended unexpectedly (exit code 3); stopping everything."]


@pytest.mark.parametrize("name", ["web", "worker", "beat"])
def test_a_process_that_ends_is_started_again_and_the_others_go_on(tmp_path: Path, name: str) -> None:
    said: list[str] = []
    marks = tmp_path / "starts"
    ends = f"import time; open({str(marks)!r}, 'a').write('x'); time.sleep(0.1)"
    children = [
        _python(each, ends if each == name else SLEEP, vital=each == "web") for each in ("web", "worker", "beat")
    ]

    def stop_after_three_starts() -> None:
        until(lambda: marks.exists() and len(marks.read_text()) >= 3, seconds=20, what="three starts")
        os.kill(os.getpid(), signal.SIGTERM)

    with Supervisor(children, folder=tmp_path, say=said.append) as running:
        threading.Thread(target=stop_after_three_starts).start()
        assert running.run() == 0
        assert running.asked_to_stop
    assert said[0].startswith(f"The {name} process ended unexpectedly (exit code 0); starting it again")


def test_a_process_that_ignores_the_request_is_killed(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    stubborn = _python(
        "web",
        f"import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); open({str(ready)!r}, 'w').close(); "
        "time.sleep(600)",
        vital=True,
    )
    with Supervisor([stubborn], folder=tmp_path, say=print) as running:
        assert running.wait_until(ready.exists, seconds=at_most(10))
        pid = _pid(stubborn)
    assert not _alive(pid)


def test_a_process_that_the_system_has_no_room_for_is_started_later_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    ready = tmp_path / "ready"
    web = _python("web", SLEEP, vital=True)
    worker = _python("worker", f"import time; open({str(ready)!r}, 'w').close(); time.sleep(600)")
    fork, refused = os.fork, [OSError(11, "Resource temporarily unavailable")]
    monkeypatch.setattr(os, "fork", lambda: fork() if web.pid is None or not refused else _raise(refused.pop()))

    def stop_once_it_runs() -> None:
        until(ready.exists, seconds=20, what="the start of the worker")
        os.kill(os.getpid(), signal.SIGTERM)

    with Supervisor([web, worker], folder=tmp_path, say=said.append) as running:
        first = web.pid
        threading.Thread(target=stop_once_it_runs).start()
        assert running.run() == 0
        assert web.pid == first
    assert said == [
        "The worker process cannot be started (Resource temporarily unavailable); starting it again in 0 s."
    ]


def _raise(error: OSError) -> int:
    raise error


def test_the_others_wait_for_the_vital_one(tmp_path: Path) -> None:
    web, worker = _python("web", SLEEP, vital=True), _python("worker", SLEEP)
    with Supervisor([web, worker], folder=tmp_path, say=print) as running:
        assert running.wait_until(lambda: True, seconds=at_most(5))
        assert worker.pid is None


def test_it_does_not_wait_for_what_never_comes(tmp_path: Path) -> None:
    with Supervisor([_python("web", SLEEP, vital=True)], folder=tmp_path, say=print) as running:
        assert not running.wait_until(lambda: False, seconds=lasting(0.2))
        assert not running.asked_to_stop


def test_the_signal_handlers_are_as_before_afterwards(tmp_path: Path) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)]
    with Supervisor([], folder=tmp_path, say=print):
        assert signal.getsignal(signal.SIGTERM) not in before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)] == before
