"""What we change about ccxt, and what an error of it proves."""

import logging

import pytest

from brokers.crypto import ccxt_loading
from brokers.errors import UnknownOutcome
from tests.brokers.contract.cases import OKX


@pytest.mark.parametrize("venue", ["okx", "binance", "kraken", "coinbase"])
def test_numbers_in_json_keep_every_digit(venue: str) -> None:
    exchange = ccxt_loading.exchange(venue, {})
    read = exchange.parse_json('{"a": 1.234567890123456789, "b": 1E-18, "c": 12345678901234567890123, "d": "0.10"}')
    assert read == {"a": "1.234567890123456789", "b": "1E-18", "c": 12345678901234567890123, "d": "0.10"}
    assert exchange.parse_json('{"a": NaN}') is None


def test_an_instance_follows_no_redirect_reads_no_environment_and_logs_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    exchange = ccxt_loading.exchange("okx", {"apiKey": "key"})
    assert (exchange.session.max_redirects, exchange.session.trust_env) == (0, False)
    assert exchange.enableRateLimit is False
    caplog.set_level(logging.DEBUG)
    exchange.logger.debug("a line with a key")
    assert caplog.text == ""


def test_a_failed_handshake_proves_nothing_it_can_come_late() -> None:
    with OKX.opened() as rig:
        account, order = rig.account_id, rig.order()
        rig.broker.quotes([rig.symbol])
        line = rig.broker._client._line  # type: ignore[attr-defined]
        line.exchange.urls["api"] = {"rest": rig.wire.url.replace("http://", "https://")}
        with pytest.raises(UnknownOutcome):
            rig.broker.submit(account, order)
        assert rig.wire.sent[order.client_order_id] == 0
