"""Whether an adapter knows a word that a vendor's client lists: it raises nothing and counts nothing as unknown."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import ib_async

from brokers import http
from brokers.alpaca import parse as alpaca_parse
from brokers.base import Broker
from brokers.errors import NeedsAnswer
from brokers.http import Garbled
from brokers.ibkr import adapter as ibkr_adapter
from brokers.ibkr import parse as ibkr_parse
from brokers.tws.adapter import TwsBroker
from brokers.unknown_words import UnknownWords
from tests.brokers.alpaca.fake import FakeAlpaca, asset

Knows = Callable[[str, str], bool]
"""Kind of word and word."""
_FIELDS = {
    "order_status": "status",
    "order_type": "type",
    "order_class": "order_class",
    "side": "side",
    "tif": "time_in_force",
    "asset_class": "asset_class",
}
_NOW = datetime(2026, 11, 30, tzinfo=UTC)
_IBKR_ORDER = {
    "orderId": 1, "conid": 265598, "ticker": "AAPL", "side": "BUY", "origOrderType": "LIMIT", "timeInForce": "GTC",
    "totalSize": 2, "filledQuantity": 0, "remainingQuantity": 2, "price": "90",
}  # fmt: skip


def of_alpaca(fake: FakeAlpaca) -> Knows:
    row = fake.other()

    def knows(kind: str, word: str) -> bool:
        unknown = UnknownWords()
        try:
            if kind == "activity":
                _activity(row, word)
            elif kind == "exchange":
                alpaca_parse.instrument(asset("AAPL", exchange=word), _NOW)
            else:
                alpaca_parse.order({**row, _FIELDS[kind]: word}, unknown=unknown)
        except Garbled:
            return False
        return not unknown()

    return knows


def _activity(order: Mapping[str, Any], word: str) -> None:
    executed = {"side": "buy", "qty": "1", "price": "1", "symbol": "AAPL", "transaction_time": order["created_at"]}
    alpaca_parse.transaction({"activity_type": word, "id": "1", "date": "2026-11-20", "net_amount": "1", **executed})


def of_ibkr(kind: str, word: str) -> bool:
    if kind == "question":
        asked = json.dumps([{"id": "07a13a5a-4a48-44a5-bb25-5ab37b79186c", "message": [word]}]).encode()
        try:
            ibkr_adapter._placed(http.HttpAnswer(status=200, body=asked), "0" * 32, None)
        except NeedsAnswer as error:
            return error.questions == (word,)
        return False
    unknown = UnknownWords()
    ibkr_parse.order({**_IBKR_ORDER, "status": word}, (), unknown=unknown)
    return not unknown()


def of_tws(broker: Broker) -> Knows:
    assert isinstance(broker, TwsBroker)

    def knows(kind: str, word: str) -> bool:
        contract = ib_async.Stock("AAPL", "SMART", "USD", conId=265598)
        order = ib_async.Order(orderId=1, action="BUY", orderType="LMT", tif="GTC", totalQuantity=2)
        status = ib_async.OrderStatus(status=word)
        before = len(broker.unknown_words)
        broker._broker_order(ib_async.Trade(contract, order, status, [], []), [])
        return len(broker.unknown_words) == before

    return knows
