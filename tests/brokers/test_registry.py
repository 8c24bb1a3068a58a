"""Which brokers there are, and what becomes of one whose library is missing."""

import sys

import pytest

from brokers import registry
from brokers.errors import BrokerUnavailable


def test_every_broker_has_a_name_and_capabilities_known_without_a_connection() -> None:
    assert all(registry.capabilities(name) is not None for name in registry.NAMES)


def test_a_broker_whose_library_is_not_installed_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("brokers.tws.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "ib_async", None)
    with pytest.raises(BrokerUnavailable, match="missing ib_async"):
        registry.open_broker("tws", {"host": "localhost", "port": 4002, "client_id": 7})
