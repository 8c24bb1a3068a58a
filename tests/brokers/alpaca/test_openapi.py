"""The fake answers as Alpaca's OpenAPI document says, in every call that the adapter makes."""

from datetime import date
from decimal import Decimal

from brokers.alpaca.adapter import AlpacaBroker
from brokers.types import AssetClass, BarSize, OrderChanges, OrderClass
from tests.brokers.alpaca.fake import ACCOUNT, EXPIRATIONS, FakeAlpaca
from tests.brokers.alpaca.steps import with_exits
from tests.brokers.paper.support import new_id, order


def test_every_answer_fits_the_document(alpaca: AlpacaBroker, fake: FakeAlpaca) -> None:
    resting, new = order("BUY", "2", limit="90"), new_id()
    for asked in (resting, order("BUY", "2"), order("BUY", "0.5", "BTC/USD"), order("BUY", "1", stop="220")):
        alpaca.submit(ACCOUNT, asked)
    alpaca.submit(ACCOUNT, with_exits(OrderClass.BRACKET, (("LMT", "200", None), ("STP", None, "80"))))
    alpaca.replace(ACCOUNT, resting.client_order_id, OrderChanges(limit_price=Decimal(91)), new)
    alpaca.cancel(ACCOUNT, new)
    alpaca.connect()
    alpaca.ping()
    alpaca.account_state(ACCOUNT)
    alpaca.positions(ACCOUNT)
    alpaca.orders(ACCOUNT)
    alpaca.order(ACCOUNT, resting.client_order_id)
    alpaca.fills(ACCOUNT, limit=10)
    alpaca.transactions(ACCOUNT, start=None, end=None, limit=10)
    alpaca.transfers(ACCOUNT, limit=10)
    alpaca.find_instruments("AAPL", asset_class=AssetClass.STOCK)
    alpaca.option_expirations("AAPL")
    alpaca.option_chain("AAPL", EXPIRATIONS[0], strikes=5)
    for symbol in ("AAPL", "BTC/USD", "AAPL260618C00250000"):
        alpaca.instrument(symbol)
        alpaca.bars(symbol, BarSize.MINUTE, limit=3)
        alpaca.prints(symbol, 3)
    alpaca.quotes(["AAPL", "BTC/USD"])
    alpaca.order_book("BTC/USD", 5)
    alpaca.market_hours(day=date(2026, 11, 27))
    alpaca.exchange_rate("USD", "JPY")
    assert fake.violations == []
    assert "\n".join(sorted(set(fake.unlike))) == ""
