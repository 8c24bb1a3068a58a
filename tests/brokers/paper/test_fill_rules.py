"""The rules of brokers.paper.fill_rules, one line each."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from brokers.paper import costs, fill_rules
from brokers.types import AssetClass, Bar, OrderType, Quote, Side

START = datetime(2026, 1, 5, tzinfo=UTC)


def terms(text: str) -> fill_rules.RestingOrder:
    """Such as "BUY LMT 100", "SELL STP 90", "BUY STP_LIMIT 105 107" (stop, then limit)."""
    side, kind, *prices = text.split()
    order_type = OrderType(kind)
    stop = prices[0] if order_type.needs_stop else None
    limit = prices[-1] if order_type.needs_limit else None
    return fill_rules.RestingOrder(
        side=Side(side),
        order_type=order_type,
        quantity=Decimal(1),
        limit_price=None if limit is None else Decimal(limit),
        stop_price=None if stop is None else Decimal(stop),
    )


def bar(text: str) -> Bar:
    opened, high, low, close = (Decimal(word) for word in text.split())
    return Bar(start=START, open=opened, high=high, low=low, close=close, volume=Decimal(1))


def quote(bid: str, ask: str, last: str) -> Quote:
    return Quote(
        symbol="X",
        currency="USD",
        last=Decimal(last),
        bid=Decimal(bid),
        ask=Decimal(ask),
        open=None,
        high=None,
        low=None,
        change_percent=None,
        as_of=START,
        source="test",
    )


@pytest.mark.parametrize(
    ("resting", "prices", "fill"),
    [
        # limit: touched, missed by a cent, gapped through in its favour
        ("BUY LMT 100", "101 102 100 101", "100"),
        ("BUY LMT 100", "101 102 100.01 101", None),
        ("BUY LMT 100", "98 99 97 98", "98"),
        ("SELL LMT 100", "99 100 98 99", "100"),
        ("SELL LMT 100", "99 99.99 98 99", None),
        ("SELL LMT 100", "103 104 99 100", "103"),
        # stop: touched, missed, gapped against it: the open, never the stop
        ("BUY STP 105", "104 105 103 104", "105"),
        ("BUY STP 105", "104 104.99 103 104", None),
        ("BUY STP 105", "109 110 100 101", "109"),
        ("SELL STP 95", "96 97 95 96", "95"),
        ("SELL STP 95", "96 97 95.01 96", None),
        ("SELL STP 95", "90 96 89 95", "90"),
        # stop-limit: triggers at the open, then a limit order for the whole bar
        ("BUY STP_LIMIT 105 107", "106 108 104 105", "106"),
        ("BUY STP_LIMIT 105 107", "109 110 107 108", "107"),
        ("BUY STP_LIMIT 105 107", "109 110 107.01 108", None),
        ("SELL STP_LIMIT 95 93", "94 96 92 95", "94"),
        ("SELL STP_LIMIT 95 93", "91 93 90 92", "93"),
        ("SELL STP_LIMIT 95 93", "91 92.99 90 92", None),
        # stop-limit: triggers inside the bar
        ("BUY STP_LIMIT 105 107", "104 110 103 109", "105"),
        ("SELL STP_LIMIT 95 93", "96 97 90 91", "95"),
        # ... with the limit on the near side of the stop: only the close is known to come after the trigger
        ("BUY STP_LIMIT 105 103", "104 106 101 104", None),
        ("BUY STP_LIMIT 105 103", "104 106 101 102", "103"),
        ("SELL STP_LIMIT 95 97", "96 99 94 96", None),
        ("SELL STP_LIMIT 95 97", "96 99 94 98", "97"),
        ("BUY STP_LIMIT 105 107", "104 104.99 103 104", None),
    ],
)
def test_a_resting_order_fills_in_a_bar_at_the_price_the_rules_name(
    resting: str, prices: str, fill: str | None
) -> None:
    assert fill_rules.in_bar(terms(resting), bar(prices)).price == (None if fill is None else Decimal(fill))


@pytest.mark.parametrize(
    ("arriving", "fill"),
    [
        ("BUY MKT", "100.02"),
        ("SELL MKT", "100.00"),
        ("BUY LMT 100.02", "100.02"),
        ("BUY LMT 150", "100.02"),
        ("BUY LMT 100.01", None),
        ("SELL LMT 100", "100.00"),
        ("SELL LMT 50", "100.00"),
        ("SELL LMT 100.01", None),
        ("BUY STP 100.01", "100.02"),
        ("BUY STP 100.02", None),
        ("SELL STP 100.01", "100.00"),
        ("SELL STP 100", None),
        ("BUY STP_LIMIT 100 100.02", "100.02"),
        ("BUY STP_LIMIT 100 100.01", None),
        ("BUY STP_LIMIT 101 102", None),
    ],
)
def test_an_arriving_order_takes_the_quote_or_rests(arriving: str, fill: str | None) -> None:
    match = fill_rules.on_arrival(terms(arriving), quote("100.00", "100.02", "100.01"))
    assert match.price == (None if fill is None else Decimal(fill))


def test_a_stop_limit_that_triggered_without_a_fill_is_a_limit_order_from_then_on() -> None:
    waiting = terms("BUY STP_LIMIT 105 103")
    assert fill_rules.in_bar(waiting, bar("104 106 103.5 104")) == fill_rules.FillResult(None, triggered=True)
    triggered = fill_rules.RestingOrder(
        side=Side.BUY,
        order_type=OrderType.STOP_LIMIT,
        quantity=Decimal(1),
        limit_price=Decimal(103),
        stop_price=Decimal(105),
        triggered=True,
    )
    assert fill_rules.in_bar(triggered, bar("104 104 102 104")).price == Decimal(103)
    assert fill_rules.in_bar(waiting, bar("104 104 102 104")).price is None


@pytest.mark.parametrize(
    ("asset_class", "price", "quantity", "fee"),
    [
        (AssetClass.CRYPTO, "6800", "1", "17.00"),
        (AssetClass.CRYPTO, "2", "1", "0.01"),  # 0.005 rounds up
        (AssetClass.CRYPTO, "1.99", "1", "0.00"),  # 0.004975 rounds down
        (AssetClass.STOCK, "231.50", "10", "1.00"),  # 0.05, less than the minimum
        (AssetClass.ETF, "589", "200", "1.00"),
        (AssetClass.ETF, "589", "201", "1.01"),  # 1.005 rounds up
        (AssetClass.STOCK, "231.50", "1000", "5.00"),
    ],
)
def test_fees_are_a_quarter_percent_for_crypto_and_half_a_cent_a_share_for_the_rest(
    asset_class: AssetClass, price: str, quantity: str, fee: str
) -> None:
    assert costs.fee(costs.STANDARD, asset_class, Decimal(price), Decimal(quantity)) == Decimal(fee)


def test_gross_amounts_round_half_up_to_the_cent() -> None:
    assert costs.notional_of(Decimal("0.01"), Decimal("0.5")) == Decimal("0.01")
    assert costs.notional_of(Decimal("6812.30"), Decimal("0.00001")) == Decimal("0.07")


@pytest.mark.parametrize(
    ("resting", "cash"),
    [
        ("BUY LMT 90", "91.00"),
        ("BUY STP 110", "113.20"),  # 110 x 1.02 + 1.00
        ("BUY STP 90", "103.03"),  # the ask is worse than the stop: 100.02 x 1.02 up to the cent, + 1.00
        ("BUY STP_LIMIT 110 112", "113.00"),
    ],
)
def test_a_resting_buy_reserves_its_worst_price_and_the_fee_on_it(resting: str, cash: str) -> None:
    order = terms(resting)
    worst = costs.worst_price(order, quote("100.00", "100.02", "100.01"))
    assert -costs.cash_effect(costs.STANDARD, order.side, AssetClass.STOCK, worst, Decimal(1)) == Decimal(cash)
