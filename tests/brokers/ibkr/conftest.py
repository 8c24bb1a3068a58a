from collections.abc import Iterator
from typing import Any

import pytest

from brokers import http
from brokers.ibkr import adapter, session
from brokers.ibkr.adapter import IbkrBroker
from tests.brokers.ibkr.fake import BASE, FakeIbkr, Keys, make_keys
from tests.patience import lasting


def settings_for(fake: FakeIbkr, **more: Any) -> dict[str, Any]:
    timeouts = {"connect": lasting(2), "read": lasting(0.4), "total": lasting(0.45)}
    return {"base_url": fake.url + BASE, "timeouts": timeouts, **(fake.keys.settings if fake.keys else {}), **more}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Without the pauses IBKR asks for between two looks."""
    monkeypatch.setattr(session, "LIST_EVERY", 0.0)
    monkeypatch.setattr(adapter, "_PRICE_PAUSE", 0.0)
    yield
    session.close_shared()
    http.close_shared()


@pytest.fixture(scope="session")
def keys() -> Keys:
    return make_keys()


@pytest.fixture(scope="session")
def other_keys() -> Keys:
    return make_keys()


@pytest.fixture
def fake() -> Iterator[FakeIbkr]:
    with FakeIbkr() as started:
        yield started
    assert started.violations == []


@pytest.fixture
def ibkr(fake: FakeIbkr) -> IbkrBroker:
    return IbkrBroker.open(settings_for(fake))
