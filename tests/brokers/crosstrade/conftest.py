from collections.abc import Iterator
from typing import Any

import pytest

from brokers import http
from brokers.crosstrade.adapter import CrossTradeBroker
from tests.brokers.crosstrade.fake import ACCOUNT, TOKEN, FakeCrossTrade
from tests.patience import lasting


def settings_for(fake: FakeCrossTrade, **more: Any) -> dict[str, Any]:
    timeouts = {"connect": lasting(2), "read": lasting(0.4), "total": lasting(0.45)}
    asked = {"base_url": fake.url, "token": TOKEN, "account": ACCOUNT, "simulation": True, "timeouts": timeouts}
    return asked | more


@pytest.fixture
def fake() -> Iterator[FakeCrossTrade]:
    with FakeCrossTrade() as started:
        yield started
        http.close_shared()
    assert started.violations == []


@pytest.fixture
def crosstrade(fake: FakeCrossTrade) -> CrossTradeBroker:
    return CrossTradeBroker.open(settings_for(fake))
