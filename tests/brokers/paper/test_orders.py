"""Orders through the adapter, as the desk would send them."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from brokers.errors import (
    DuplicateClientId,
    InsufficientFunds,
    InsufficientPosition,
    InvalidAccount,
    InvalidOrder,
    InvalidSymbol,
    NotCancellable,
    OrderNotFound,
)
from brokers.paper import accounts
from brokers.paper.adapter import PaperBroker
from brokers.paper.models import PaperOrder
from brokers.registry import open_broker
from brokers.types import BrokerStatus, OrderRequest, Side

from .support import NOON, Clock, new_id, order, script
from .support import open_broker as paper

pytestmark = pytest.mark.django_db


def cash_of(broker: PaperBroker, key: str) -> tuple[Decimal, Decimal]:
    (cash,) = broker.account_state(key).cash
    return cash.total, cash.reserved


def test_a_market_buy_fills_at_the_ask_and_pays_price_and_fee() -> None:
    broker, account = paper(Clock())
    (quote,) = broker.quotes(["AAPL"])
    done = broker.submit(account.key, order("BUY", "10"))
    (fill,) = done.fills
    assert done.status is BrokerStatus.FILLED
    assert (fill.price, fill.fee, fill.quantity) == (quote.ask, Decimal(1), Decimal(10))
    assert fill.filled_at == NOON
    assert "not real" in fill.source
    assert cash_of(broker, account.key) == (Decimal(100_000) - quote.ask * 10 - 1, Decimal(0))
    (position,) = broker.positions(account.key)
    assert (position.symbol, position.quantity, position.average_price) == ("AAPL", Decimal(10), quote.ask)
    state = broker.account_state(account.key)
    assert state.equity == state.cash[0].total + position.market_value
    assert position.unrealized_pnl == (quote.last - quote.ask) * 10


def test_a_round_trip_leaves_no_position_and_costs_spread_and_fees() -> None:
    broker, account = paper(Clock())
    (quote,) = broker.quotes(["AAPL"])
    broker.submit(account.key, order("BUY", "10"))
    broker.submit(account.key, order("SELL", "10"))
    assert broker.positions(account.key) == []
    assert broker.account_state(account.key).equity == Decimal(100_000) - (quote.ask - quote.bid) * 10 - 2


def test_a_marketable_limit_fills_at_once_at_the_quote_and_pays_the_fee() -> None:
    broker, account = paper(Clock())
    (quote,) = broker.quotes(["BTC/USD"])
    done = broker.submit(account.key, order("BUY", "0.5", "btcusd", limit="9000"))
    assert done.average_price == quote.ask
    assert done.fees == (quote.ask / 2 * Decimal("0.0025")).quantize(Decimal("0.01"))
    assert done.fills[0].symbol == "BTC/USD"


def test_a_resting_buy_holds_its_cash_until_it_is_cancelled() -> None:
    broker, account = paper(Clock(), "1000")
    resting = broker.submit(account.key, order("BUY", "4", limit="100"))
    assert resting.status is BrokerStatus.WORKING
    assert cash_of(broker, account.key) == (Decimal(1000), Decimal(401))
    assert broker.account_state(account.key).buying_power == Decimal(599)
    with pytest.raises(InsufficientFunds) as refused:
        broker.submit(account.key, order("BUY", "6", limit="100"))
    assert str(refused.value) == "This order needs 601.00 USD but only 599.00 USD is available."
    cancelled = broker.cancel(account.key, resting.client_order_id)
    assert cancelled.status is BrokerStatus.CANCELLED
    assert cash_of(broker, account.key) == (Decimal(1000), Decimal(0))


def test_a_resting_sell_holds_its_units_and_nothing_held_twice_can_be_sold() -> None:
    broker, account = paper(Clock())
    broker.submit(account.key, order("BUY", "10"))
    resting = broker.submit(account.key, order("SELL", "7", limit="900"))
    assert broker.positions(account.key)[0].reserved == 7
    with pytest.raises(InsufficientPosition) as refused:
        broker.submit(account.key, order("SELL", "4"))
    assert "only 3 can be sold: 10 held, 7 reserved" in str(refused.value)
    broker.cancel(account.key, resting.client_order_id)
    assert PaperOrder.objects.get(client_order_id=resting.client_order_id).reserved_quantity == 0
    assert broker.submit(account.key, order("SELL", "10")).status is BrokerStatus.FILLED


def test_selling_what_is_not_held_is_refused() -> None:
    broker, account = paper(Clock())
    with pytest.raises(InsufficientPosition, match="nothing can be sold"):
        broker.submit(account.key, order("SELL", "1"))


def test_an_order_that_was_refused_leaves_no_trace() -> None:
    broker, account = paper(Clock(), "100")
    request = order("BUY", "10")
    with pytest.raises(InsufficientFunds):
        broker.submit(account.key, request)
    assert broker.order(account.key, request.client_order_id) is None
    assert not PaperOrder.objects.exists()


def test_a_client_order_id_works_once_per_account_even_when_money_has_run_out() -> None:
    broker, account = paper(Clock(), "250")
    request = order("BUY", "1")
    first = broker.submit(account.key, request)
    for again in (broker.submit, broker.preview):
        with pytest.raises(DuplicateClientId):
            again(account.key, request)
    assert broker.order(account.key, request.client_order_id) == first
    assert PaperOrder.objects.count() == 1
    other, elsewhere = paper(Clock())
    assert other.submit(elsewhere.key, request).status is BrokerStatus.FILLED


def test_an_ioc_limit_that_is_not_there_is_cancelled_with_the_reason() -> None:
    broker, account = paper(Clock())
    done = broker.submit(account.key, order("BUY", "1", limit="1", tif="IOC"))
    assert done.status is BrokerStatus.CANCELLED
    assert "IOC" in done.reason
    assert cash_of(broker, account.key) == (Decimal(100_000), Decimal(0))
    assert broker.submit(account.key, order("BUY", "1", limit="900", tif="IOC")).status is BrokerStatus.FILLED


@pytest.mark.parametrize(
    ("request_", "field", "words"),
    [
        (
            order("BUY", "0.123456789", "BTC/USD"),
            "quantity",
            "BTC/USD trades in steps of 0.00000001; 0.123456789 has more decimals than that.",
        ),
        (order("BUY", "1.5"), "quantity", "AAPL trades in whole units; 1.5 is not a whole number."),
        (order("BUY", "1E-8", "BTC/USD"), "quantity", "The smallest order in BTC/USD is 0.00001"),
        (order("BUY", "0"), "quantity", "greater than 0"),
        (order("BUY", "-1"), "quantity", "greater than 0"),
        (order("BUY", "NaN"), "quantity", "greater than 0"),
        (order("BUY", "Infinity"), "quantity", "greater than 0"),
        (order("BUY", "1E+40"), "quantity", "at most 1,000,000,000,000"),
        (order("BUY", "1", limit="100.001"), "limit_price", "AAPL is priced in steps of 0.01; 100.001 has more"),
        (order("BUY", "1", stop="100.001"), "stop_price", "more decimals"),
        (order("BUY", "1", stop="100", tif="IOC"), "tif", "Use DAY or GTC"),
        (replace(order("BUY", "1"), limit_price=Decimal(5)), "limit_price", "A MKT order has no limit price."),
        (replace(order("BUY", "1", limit="5"), limit_price=None), "limit_price", "needs a limit price"),
        (replace(order("BUY", "1", stop="5"), stop_price=None), "stop_price", "needs a stop price"),
        (order("BUY", "0.00001", "BTC/USD", limit="1"), "quantity", "less than one cent"),
        (order("BUY", "1", client_order_id="x" * 65), "client_order_id", "64"),
    ],
)
def test_a_malformed_order_is_refused_in_words_and_never_rounded(
    request_: OrderRequest, field: str, words: str
) -> None:
    broker, account = paper(Clock())
    for access in (broker.preview, broker.submit):
        with pytest.raises(InvalidOrder) as refused:
            access(account.key, request_)
        assert refused.value.field == field
        assert words in str(refused.value)


def test_a_preview_is_what_the_order_then_does() -> None:
    broker, account = paper(Clock())
    for request in (order("BUY", "3"), order("BUY", "0.25", "BTC"), order("SELL", "2")):
        before = cash_of(broker, account.key)[0]
        shown = broker.preview(account.key, request)
        done = broker.submit(account.key, request)
        assert shown.buying_power == before
        assert (shown.price, shown.fee) == (done.average_price, done.fees)
        assert cash_of(broker, account.key)[0] - before == shown.cash_effect
    assert PaperOrder.objects.count() == 3


def test_a_preview_of_a_resting_order_rests_on_its_own_price() -> None:
    broker, account = paper(Clock())
    assert broker.preview(account.key, order("BUY", "2", limit="100")).cash_effect == Decimal("-201.00")
    assert broker.preview(account.key, order("BUY", "2", stop="400")).price == Decimal(400)


@pytest.mark.parametrize(
    "call",
    [
        lambda broker: broker.account_state("NOBODY22"),
        lambda broker: broker.positions("NOBODY22"),
        lambda broker: broker.transactions("NOBODY22", start=None, end=None, limit=5),
        lambda broker: broker.preview("NOBODY22", order("BUY", "1")),
        lambda broker: broker.submit("NOBODY22", order("BUY", "1")),
        lambda broker: broker.order("NOBODY22", "a" * 32),
        lambda broker: broker.cancel("NOBODY22", "a" * 32),
    ],
)
def test_another_account_is_never_reached(call: Callable[[PaperBroker], object]) -> None:
    broker, _ = paper(Clock())
    accounts.open_account("Other", Decimal(5))
    with pytest.raises(InvalidAccount):
        call(broker)


def test_the_registry_opens_the_account_of_the_connection() -> None:
    _, account = paper(Clock())
    broker = open_broker("paper", {"account": account.key})
    assert [found.account_id for found in broker.accounts()] == [account.key]
    for settings in ({}, {"account": "NOBODY22"}):
        with pytest.raises(InvalidAccount):
            open_broker("paper", settings).accounts()


def test_what_has_ended_cannot_be_cancelled_and_what_never_was_is_not_found() -> None:
    broker, account = paper(Clock())
    done = broker.submit(account.key, order("BUY", "1"))
    with pytest.raises(NotCancellable, match="already filled"):
        broker.cancel(account.key, done.client_order_id)
    with pytest.raises(OrderNotFound):
        broker.cancel(account.key, new_id())


def test_an_order_that_the_bars_have_filled_cannot_be_cancelled_any_more() -> None:
    first = script("100 100 100 100", "100 100 100 100", "100 100 90 95")
    clock = Clock(first + timedelta(minutes=1))
    broker, account = paper(clock)
    resting = broker.submit(account.key, order("BUY", "1", "TEST/USD", limit="92"))
    clock.now = first + timedelta(minutes=3, seconds=1)
    with pytest.raises(NotCancellable):
        broker.cancel(account.key, resting.client_order_id)
    (fill,) = (broker.order(account.key, resting.client_order_id) or resting).fills
    assert (fill.price, fill.filled_at) == (Decimal(92), first + timedelta(minutes=3))


def test_a_bar_that_was_under_way_when_the_order_came_cannot_fill_it() -> None:
    first = script("100 100 100 100", "100 100 90 100", "100 100 95 100", "100 100 91 100")
    clock = Clock(first + timedelta(minutes=1, seconds=30))
    broker, account = paper(clock)
    resting = broker.submit(account.key, order("BUY", "1", "TEST/USD", limit="92"))
    clock.now = first + timedelta(minutes=3)
    assert accounts.match_resting(clock.now) == 0
    clock.now = first + timedelta(minutes=4)
    assert accounts.match_resting(clock.now) == 1
    found = broker.order(account.key, resting.client_order_id)
    assert found is not None and found.updated_at == first + timedelta(minutes=4)


def test_a_stop_that_gaps_past_the_cash_is_cancelled_and_cash_stays_above_zero() -> None:
    first = script("100 100 100 100", "200 200 200 200", "200 200 200 200")
    clock = Clock(first + timedelta(minutes=1))
    broker, account = paper(clock, "150")
    resting = broker.submit(account.key, order("BUY", "1", "TEST/USD", stop="110"))
    assert cash_of(broker, account.key) == (Decimal(150), Decimal("112.48"))  # 110 x 1.02 + 0.25 %
    clock.advance(minutes=1)
    found = broker.order(account.key, resting.client_order_id)
    assert found is not None and found.status is BrokerStatus.CANCELLED
    assert "was not enough" in found.reason
    assert cash_of(broker, account.key) == (Decimal(150), Decimal(0))


def test_a_gapped_stop_fills_at_the_open_when_the_cash_is_there() -> None:
    first = script("100 100 100 100", "200 200 200 200", "200 200 200 200")
    clock = Clock(first + timedelta(minutes=1))
    broker, account = paper(clock, "500")
    resting = broker.submit(account.key, order("BUY", "1", "TEST/USD", stop="110"))
    clock.advance(minutes=1)
    found = broker.order(account.key, resting.client_order_id)
    assert found is not None and found.average_price == Decimal(200)
    assert cash_of(broker, account.key) == (Decimal("299.50"), Decimal(0))


def test_a_sale_pays_for_the_purchase_that_follows_it_whenever_anybody_looks() -> None:
    """The stop sell fills a minute before the gapped stop buy, which needs its proceeds."""
    first = script("100 100 100 100", "100 100 90 90", "200 200 200 200", "100 100 100 100")
    for looks in ((3,), (2, 3)):
        clock = Clock(first + timedelta(minutes=1))
        broker, account = paper(clock, "350")
        broker.submit(account.key, order("BUY", "1", "TEST/USD"))
        buy = broker.submit(account.key, order("BUY", "1.5", "TEST/USD", stop="110"))
        broker.submit(account.key, order("SELL", "1", "TEST/USD", stop="95"))
        for minutes in looks:
            accounts.match_resting(first + timedelta(minutes=minutes))
        clock.now = first + timedelta(minutes=3)
        found = broker.order(account.key, buy.client_order_id)
        assert found is not None and found.status is BrokerStatus.FILLED
        assert cash_of(broker, account.key)[0] == Decimal("350") - Decimal("100.25") + Decimal("94.76") - Decimal(
            "300.75"
        )


@pytest.mark.parametrize("looks", [(2, 3, 4), (4,)])
def test_a_stop_limit_stays_triggered_until_the_price_comes_back_to_its_limit(looks: tuple[int, ...]) -> None:
    """The stop is touched in the second bar only, the limit reached in the fourth only."""
    first = script("100 100 100 100", "100 106 100 104", "104 104 103 104", "104 104 101 104")
    clock = Clock(first + timedelta(minutes=1))
    broker, account = paper(clock)
    resting = broker.submit(account.key, order("BUY", "1", "TEST/USD", stop="105", limit="102"))
    for minutes in looks:
        clock.now = first + timedelta(minutes=minutes)
        accounts.match_resting(clock.now)
    found = broker.order(account.key, resting.client_order_id)
    assert found is not None
    assert (found.average_price, found.updated_at) == (Decimal(102), first + timedelta(minutes=4))


def test_average_price_counts_buys_only_and_no_fees() -> None:
    first = script("100 100 100 100", "130 130 130 130", "200 200 200 200")
    clock = Clock(first + timedelta(minutes=1))
    broker, account = paper(clock)
    broker.submit(account.key, order("BUY", "2", "TEST/USD"))
    clock.advance(minutes=1)
    broker.submit(account.key, order("BUY", "1", "TEST/USD"))
    clock.advance(minutes=1)
    broker.submit(account.key, order("SELL", "1", "TEST/USD"))
    (position,) = broker.positions(account.key)
    assert (position.quantity, position.average_price) == (Decimal(2), Decimal(110))
    assert position.unrealized_pnl == Decimal("180.00")


def test_transactions_are_newest_first_and_cut_by_time() -> None:
    clock = Clock()
    broker, account = paper(clock)
    bought = clock.advance(hours=1)
    broker.submit(account.key, order("BUY", "1"))

    def kinds(start: datetime | None, end: datetime | None, limit: int = 10) -> list[str]:
        return [entry.kind for entry in broker.transactions(account.key, start=start, end=end, limit=limit)]

    assert kinds(None, None) == ["fee", "trade", "deposit"]
    assert kinds(None, None, 1) == ["fee"]
    assert kinds(bought, None) == ["fee", "trade"]
    assert kinds(None, bought) == ["deposit"]


def test_an_unknown_symbol_is_refused_by_every_access() -> None:
    broker, account = paper(Clock())
    for call in (
        lambda: broker.instrument("NOPE"),
        lambda: broker.quotes(["AAPL", "NOPE"]),
        lambda: broker.submit(account.key, order("BUY", "1", "NOPE")),
    ):
        with pytest.raises(InvalidSymbol):
            call()


def test_one_account_in_trouble_does_not_stop_the_matching_of_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    first = script("100 100 100 100", "100 100 90 95")
    clock = Clock(first + timedelta(minutes=1))
    broken, bad = paper(clock)
    healthy, good = paper(clock)
    for broker, account in ((broken, bad), (healthy, good)):
        broker.submit(account.key, order("BUY", "1", "TEST/USD", limit="92"))
    PaperOrder.objects.filter(account=bad).update(symbol="GONE")
    assert accounts.match_resting(first + timedelta(minutes=2)) == 1
    assert bad.key in caplog.text


def test_opening_an_account_checks_its_amount() -> None:
    for amount in ("0", "-1", "0.001", "NaN", "1E+13"):
        with pytest.raises(ValueError, match="starting cash"):
            accounts.open_account("Practice", Decimal(amount))
    for name, currency, hours in (("", "USD", "always"), ("P", "usd", "always"), ("P", "USD", "never")):
        with pytest.raises(ValueError, match=r"account|currency|hours"):
            accounts.open_account(name, Decimal(1), currency, hours)


def test_orders_are_listed_newest_first_with_their_terms() -> None:
    clock = Clock()
    broker, account = paper(clock)
    first = broker.submit(account.key, order("BUY", "2", limit="100"))
    clock.advance(minutes=1)
    second = broker.submit(account.key, order("BUY", "1"))
    assert [one.client_order_id for one in broker.orders(account.key)] == [
        second.client_order_id,
        first.client_order_id,
    ]
    (resting,) = broker.orders(account.key, open_only=True)
    assert (resting.symbol, resting.side, resting.quantity, resting.limit_price) == (
        "AAPL",
        Side.BUY,
        Decimal(2),
        Decimal(100),
    )
    assert broker.orders(account.key, since=clock.now) == [second]
    assert len(broker.orders(account.key, limit=1)) == 1
