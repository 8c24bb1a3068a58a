"""A sweep that waits for a slow broker leaves the other threads of its worker to other work."""

from threading import Event, Thread

import pytest

from console.orders import tasks
from console.orders.execution import reconcile
from tests.patience import at_most


def test_a_sweep_does_not_begin_while_another_runs_in_the_same_process(monkeypatch: pytest.MonkeyPatch) -> None:
    began, answers, runs = Event(), Event(), list[int]()

    def waits_for_its_broker() -> None:
        runs.append(1)
        began.set()
        answers.wait(at_most(10))

    monkeypatch.setattr(reconcile, "sweep", waits_for_its_broker)
    first = Thread(target=tasks.sweep)
    first.start()
    assert began.wait(at_most(10))
    tasks.sweep()
    assert len(runs) == 1
    answers.set()
    first.join(at_most(10))
    tasks.sweep()
    assert len(runs) == 2
