from collections.abc import Iterator
from typing import Any

import pytest

from brokers import http
from brokers.alpaca import adapter
from brokers.alpaca.adapter import AlpacaBroker
from tests.brokers.alpaca.fake import ACCOUNT, KEY_ID, SECRET, FakeAlpaca
from tests.patience import lasting


def settings_for(url: str, **more: Any) -> dict[str, Any]:
    return {
        "environment": "paper",
        "key_id": KEY_ID,
        "secret": SECRET,
        "account": ACCOUNT,
        "trading_url": url,
        "data_url": url,
        "timeouts": {"connect": lasting(0.5), "read": lasting(0.2), "total": lasting(0.4)},
        **more,
    }


@pytest.fixture
def fake() -> Iterator[FakeAlpaca]:
    with FakeAlpaca() as started:
        yield started
        http.close_shared()


@pytest.fixture
def alpaca(fake: FakeAlpaca) -> Iterator[AlpacaBroker]:
    yield AlpacaBroker.open(settings_for(fake.url))
    adapter._assets.clear()
    adapter._lists.clear()
