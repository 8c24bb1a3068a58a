from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from console.accounts.models import User
from console.authority import call_quota
from console.connections.models import Connection
from console.signals import intake, preparing
from console.signals.addresses import Made
from console.signals.mapping import Template
from tests.console.signals import steps


class Clock:
    """The time for what signals do; it stands until a test moves it."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture(autouse=True)
def no_call_made_yet() -> None:
    """Every test's Olivia has the same id, and calls are counted for the minute in which all of these may run."""
    call_quota.reset()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (intake, preparing):
        monkeypatch.setattr(module, "timezone", SimpleNamespace(now=clock))
    return clock


@pytest.fixture
def made(owner: User, paper: Connection) -> Made:
    """Takes JSON with a secret in it, and neither asks for an id nor for a time."""
    template = Template(secret="secret", quantity="quantity", instruments=steps.INSTRUMENTS)
    return steps.address(owner, paper, template=template)


@pytest.fixture
def strict(owner: User, paper: Connection) -> Made:
    """Also asks for an id and a time."""
    return steps.address(owner, paper)
