"""One rig per adapter and test."""

from collections.abc import Iterator

import pytest

from tests.brokers.contract.cases import CASES, KEYED, WIRED, Case, Rig
from tests.patience import unhurried


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture(params=WIRED, ids=lambda case: case.name)
def wired(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture(params=KEYED, ids=lambda case: case.name)
def keyed(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def rig(case: Case, db: None) -> Iterator[Rig]:
    with unhurried(), case.opened() as opened:
        yield opened


@pytest.fixture
def wired_rig(wired: Case, db: None) -> Iterator[Rig]:
    with unhurried(), wired.opened() as opened:
        yield opened


@pytest.fixture
def keyed_rig(keyed: Case, db: None) -> Iterator[Rig]:
    with unhurried(), keyed.opened() as opened:
        yield opened


@pytest.fixture
def exact_rig(wired: Case, wired_rig: Rig) -> Rig:
    wired.make_exact(wired_rig)
    return wired_rig
