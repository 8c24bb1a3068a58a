"""One rig per adapter and test."""

from collections.abc import Iterator

import pytest

from tests.brokers.contract.cases import CASES, CRYPTO, WIRED, Case, Rig


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture(params=WIRED, ids=lambda case: case.name)
def wired(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture
def rig(case: Case, db: None) -> Iterator[Rig]:
    with case.opened() as opened:
        yield opened


@pytest.fixture
def wired_rig(wired: Case, db: None) -> Iterator[Rig]:
    with wired.opened() as opened:
        yield opened


@pytest.fixture(params=CRYPTO, ids=lambda case: case.name)
def exact_rig(request: pytest.FixtureRequest, db: None) -> Iterator[Rig]:
    with request.param.opened() as opened:
        yield opened
