from collections.abc import Iterator

import pytest

from brokers.tws import api_connection
from brokers.tws.adapter import TwsBroker
from tests.brokers.tws.fake import FakeTws


@pytest.fixture
def fake() -> Iterator[FakeTws]:
    with FakeTws() as started:
        yield started
        api_connection.close_shared()


def opened(fake: FakeTws) -> TwsBroker:
    return TwsBroker.open({"host": "127.0.0.1", "port": fake.port, "client_id": 7, "timeout": 0.5})


@pytest.fixture
def tws(fake: FakeTws) -> TwsBroker:
    return opened(fake)
