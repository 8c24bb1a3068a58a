"""Paper at a real venue's public prices: what is read, what is stored, and what waits when nothing comes."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction

from brokers.errors import BrokerUnavailable, InvalidOrder, InvalidSymbol, StaleQuote
from brokers.paper import accounts, ledger, live_market, public_price_feed
from brokers.paper.adapter import PaperBroker
from brokers.paper.models import LiveBar, LivePair, PaperAccount, PaperFill
from brokers.types import BarSize, BrokerStatus
from tests.brokers.faults import SENDING, Fault
from tests.patience import lasting

from .kraken import PublicKraken
from .support import NOON, Clock, order

pytestmark = pytest.mark.django_db
MINUTE = NOON.replace(second=0)
UNREACHABLE = "Live prices from Kraken are not available"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kraken(clock: Clock, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[PublicKraken]:
    monkeypatch.setattr(public_price_feed, "_SETTINGS", {"timeout": lasting(0.4), "per_second": 1000})
    with PublicKraken(clock) as running:
        settings.PAPER_PRICE_HOSTS = {"kraken": running.url}
        yield running


def open_live(clock: Clock, cash: str = "100000", **more: Any) -> tuple[PaperBroker, PaperAccount]:
    account = accounts.open_account("Live", Decimal(cash), venue="kraken", now=clock.now, **more)
    return PaperBroker.open({"account": account.key}, clock=clock), account


def pass_minutes(clock: Clock, minutes: int) -> None:
    """As the background tasks do it, once after the given time."""
    clock.advance(minutes=minutes)
    live_market.update_followed_bars(clock.now)
    accounts.match_resting(clock.now)


def test_a_quote_is_what_the_venue_says_to_the_digit(clock: Clock, kraken: PublicKraken) -> None:
    broker, _ = open_live(clock)
    (quote,) = broker.quotes(["btcusd"])
    assert (quote.symbol, quote.currency) == ("BTC/USD", "USD")
    assert (quote.bid, quote.ask, quote.last) == (Decimal("60000.0"), Decimal("60010.0"), Decimal("60005.0"))
    assert quote.volume == Decimal("4412.73601799")
    assert quote.source == "live public prices of Kraken"
    assert (quote.as_of, quote.recorded_at) == (clock.now, None)


def test_the_venue_is_asked_again_for_a_quote_only_after_two_seconds(clock: Clock, kraken: PublicKraken) -> None:
    broker, _ = open_live(clock)
    for _ in range(5):
        broker.quotes(["BTC/USD"])
    assert kraken.asked_for("Ticker") == 1
    clock.advance(seconds=2)
    kraken.quote = ("61000.0", "61010.0", "61005.0")
    assert broker.quotes(["BTC/USD"])[0].last == Decimal("61005.0")


def test_only_what_trades_for_an_accounts_currencies_is_listed_with_the_venues_steps(
    clock: Clock, kraken: PublicKraken
) -> None:
    broker, _ = open_live(clock)
    found = broker.instruments(limit=100)
    assert [each.symbol for each in found] == ["BTC/USD", "ETH/USD", "EUR/USD", "BTC/EUR"]
    assert (found[0].tick, found[0].lot, found[0].minimum) == (Decimal("0.1"), Decimal("0.00000001"), Decimal("0.0001"))
    with pytest.raises(InvalidSymbol, match="among the coins that Kraken trades"):
        broker.quotes(["AAPL"])
    assert [each.name for each in broker.market_hours()] == ["Crypto at Kraken"]
    assert broker.exchange_rate("EUR", "USD").rate == Decimal("60005.0")


def test_a_market_order_fills_at_the_venues_ask_and_bid(clock: Clock, kraken: PublicKraken) -> None:
    broker, account = open_live(clock)
    bought = broker.submit(account.key, order("BUY", "0.5", "BTC/USD"))
    assert (bought.status, bought.average_price) == (BrokerStatus.FILLED, Decimal("60010.0"))
    sold = broker.submit(account.key, order("SELL", "0.2", "BTC/USD"))
    assert (sold.status, sold.average_price) == (BrokerStatus.FILLED, Decimal("60000.0"))
    assert sold.fills[0].source == "live public prices of Kraken"
    assert ledger.rebuild(account) == ledger.account_balances(account)


def test_a_resting_order_meets_the_stored_bars_by_the_written_rules(clock: Clock, kraken: PublicKraken) -> None:
    broker, account = open_live(clock)
    kraken.script(MINUTE + timedelta(minutes=1), "60005 60020 59990 60000 3", "59700 59800 59600 59750 2")
    placed = broker.submit(account.key, order("BUY", "0.1", "BTC/USD", limit="59900.0"))
    assert placed.status is BrokerStatus.WORKING
    pass_minutes(clock, 2)
    still = broker.order(account.key, placed.client_order_id)
    assert still is not None and still.status is BrokerStatus.WORKING
    pass_minutes(clock, 1)
    filled = broker.order(account.key, placed.client_order_id)
    assert filled is not None and filled.average_price == Decimal(59700)
    assert filled.updated_at == MINUTE + timedelta(minutes=3)


def test_fills_do_not_depend_on_when_anybody_looked(clock: Clock, kraken: PublicKraken) -> None:
    kraken.script(
        MINUTE + timedelta(minutes=1),
        *(
            f"{60000 - 40 * place} {60040 - 40 * place} {59950 - 40 * place} {59960 - 40 * place} 1"
            for place in range(12)
        ),
    )
    outcomes = []
    for steps in ([1] * 15, [4, 4, 7], [15]):
        clock.now = NOON
        with transaction.atomic():
            broker, account = open_live(clock)
            sent = [
                broker.submit(account.key, request).client_order_id
                for request in (
                    order("BUY", "0.1", "BTC/USD", limit="59800.0"),
                    order("BUY", "0.1", "BTC/USD", limit="59600.0"),
                    order("BUY", "0.1", "BTC/USD", stop="60030.0"),
                )
            ]
            for step in steps:
                pass_minutes(clock, step)
            found = [broker.order(account.key, each) for each in sent]
            outcomes.append([(one.status, one.average_price, one.updated_at, one.fees) for one in found if one])
            transaction.set_rollback(True)
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert [status for status, *_ in outcomes[0]] == [BrokerStatus.FILLED] * 3


def test_a_stored_bar_stays_as_it_was_first_told(clock: Clock, kraken: PublicKraken) -> None:
    broker, account = open_live(clock)
    kraken.script(MINUTE - timedelta(minutes=1), "60005 60020 59990 60001 3")
    broker.submit(account.key, order("BUY", "0.1", "BTC/USD", limit="50000.0"))
    kraken.script(MINUTE - timedelta(minutes=1), "1 2 1 2 3")
    pass_minutes(clock, 3)
    assert LiveBar.objects.get(start=MINUTE - timedelta(minutes=1)).close == Decimal(60001)


def test_the_bar_under_way_and_minutes_without_trades_are_not_stored(clock: Clock, kraken: PublicKraken) -> None:
    kraken.script(MINUTE - timedelta(minutes=2), "60005 60020 59990 60001 3", "60001 60001 60001 60001 0")
    kraken.script(MINUTE, "60001 60500 60001 60400 1")
    broker, account = open_live(clock)
    broker.submit(account.key, order("BUY", "0.1", "BTC/USD", limit="50000.0"))
    assert [each.start for each in LiveBar.objects.all()] == [MINUTE - timedelta(minutes=2)]
    assert LivePair.objects.get().known_until == MINUTE


def test_the_venues_clock_says_when_a_bar_is_complete(clock: Clock, kraken: PublicKraken) -> None:
    kraken.skew = -40
    kraken.script(MINUTE - timedelta(minutes=1), "60005 60020 59990 60001 3")
    broker, account = open_live(clock)
    broker.submit(account.key, order("BUY", "0.1", "BTC/USD", limit="50000.0"))
    assert LivePair.objects.get().known_until == MINUTE - timedelta(minutes=1)
    assert not LiveBar.objects.exists()
    assert broker.ping().clock_skew == pytest.approx(-40, abs=2)


def test_after_a_long_silence_the_missing_bars_are_fetched_page_by_page(clock: Clock, kraken: PublicKraken) -> None:
    broker, account = open_live(clock)
    placed = broker.submit(account.key, order("BUY", "0.1", "BTC/USD", limit="59000.0"))
    kraken.script(MINUTE + timedelta(minutes=500), "59000 59000 58900 58950 1")
    pass_minutes(clock, 700)
    filled = broker.order(account.key, placed.client_order_id)
    assert filled is not None and filled.updated_at == MINUTE + timedelta(minutes=501)


@pytest.mark.parametrize("fault", sorted({fault.kind for fault in SENDING} - {"slow", "late"}))
def test_what_cannot_be_read_is_said_so_and_no_price_is_invented(
    clock: Clock, kraken: PublicKraken, fault: str
) -> None:
    broker, account = open_live(clock)
    broker.quotes(["BTC/USD"])
    clock.advance(seconds=3)
    kraken.faults.set(
        *(Fault(kind=fault, effect=True, method="GET", path="/0/public/Ticker", seconds=lasting(0.8)) for _ in "12")
    )
    if fault == "other":
        kraken.other = lambda: {"error": [], "result": {"XXBTZUSD": {"a": ["1"], "b": ["nan"]}}}  # type: ignore[method-assign]
    with pytest.raises(BrokerUnavailable, match=UNREACHABLE):
        broker.quotes(["BTC/USD"])
    clock.advance(seconds=6)
    with pytest.raises(BrokerUnavailable, match=UNREACHABLE):
        broker.submit(account.key, order("BUY", "0.1", "BTC/USD"))
    assert not PaperFill.objects.exists() and not account.orders.exists()
    clock.advance(seconds=6)
    assert broker.submit(account.key, order("BUY", "0.1", "BTC/USD")).status is BrokerStatus.FILLED


@pytest.mark.parametrize("row", ["60000 59000 58000 60000 1", "0 0 0 0 1", "60000 60000 60000 60000 -1"])
def test_a_bar_that_cannot_be_is_refused_with_its_page(clock: Clock, kraken: PublicKraken, row: str) -> None:
    broker, account = open_live(clock)
    kraken.script(MINUTE - timedelta(minutes=3), row)
    with pytest.raises(BrokerUnavailable, match=UNREACHABLE):
        broker.submit(account.key, order("BUY", "0.1", "BTC/USD"))
    assert not LiveBar.objects.exists()


def test_offline_from_the_start_nothing_is_told_or_taken(clock: Clock, settings: Any) -> None:
    settings.PAPER_PRICE_HOSTS = {"kraken": "http://127.0.0.1:9"}
    broker, account = open_live(clock)
    request = order("BUY", "0.1", "BTC/USD")
    asks: list[Any] = [
        lambda: broker.quotes(["BTC/USD"]),
        lambda: broker.bars("BTC/USD", BarSize.MINUTE),
        lambda: broker.order_book("BTC/USD", 5),
        lambda: broker.prints("BTC/USD", 5),
        lambda: broker.instrument("BTC/USD"),
        lambda: broker.account_state(account.key),
        lambda: broker.preview(account.key, request),
        lambda: broker.submit(account.key, request),
        broker.ping,
    ]
    for ask in asks:
        with pytest.raises(BrokerUnavailable, match=UNREACHABLE):
            ask()
    assert broker.accounts()[0].account_id == account.key


def test_when_the_venue_goes_away_orders_wait_and_can_be_taken_back_and_worth_is_not_told(
    clock: Clock, kraken: PublicKraken, settings: Any
) -> None:
    broker, account = open_live(clock)
    broker.submit(account.key, order("BUY", "0.1", "BTC/USD"))
    day, gtc = (
        broker.submit(account.key, order("BUY", "0.1", "BTC/USD", limit="59000.0", tif=tif)) for tif in ("DAY", "GTC")
    )
    kraken.script(MINUTE + timedelta(minutes=30), "59000 59000 58900 58950 1")
    settings.PAPER_PRICE_HOSTS = {"kraken": "http://127.0.0.1:9"}
    pass_minutes(clock, 600)
    for sent in (day, gtc):
        found = broker.order(account.key, sent.client_order_id)
        assert found is not None and found.status is BrokerStatus.WORKING
    with pytest.raises(BrokerUnavailable, match=UNREACHABLE):
        broker.account_state(account.key)
    with pytest.raises(BrokerUnavailable, match=UNREACHABLE):
        broker.positions(account.key)
    assert broker.cancel(account.key, gtc.client_order_id).status is BrokerStatus.CANCELLED
    settings.PAPER_PRICE_HOSTS = {"kraken": kraken.url}
    pass_minutes(clock, 1)
    found = broker.order(account.key, day.client_order_id)
    assert found is not None and (found.status, found.average_price) == (BrokerStatus.FILLED, Decimal(59000))
    assert broker.positions(account.key)[0].quantity == Decimal("0.2")


def test_a_day_order_ends_once_the_bars_of_its_day_are_known(clock: Clock, kraken: PublicKraken) -> None:
    broker, account = open_live(clock)
    day = broker.submit(account.key, order("BUY", "0.1", "BTC/USD", limit="59000.0", tif="DAY"))
    pass_minutes(clock, 600)
    found = broker.order(account.key, day.client_order_id)
    assert found is not None and found.status is BrokerStatus.EXPIRED


def test_a_stale_quote_fills_nothing(clock: Clock, kraken: PublicKraken, monkeypatch: pytest.MonkeyPatch) -> None:
    broker, account = open_live(clock)
    broker.quotes(["BTC/USD"])
    told = datetime.fromisoformat("2026-11-20T15:31:00+00:00")

    def frozen(*args: Any) -> None:
        LivePair.objects.filter(symbol="BTC/USD").update(quoted_at=told)

    # Kraken's ticker has no time; at venues whose ticker has one, this is what an old one looks like.
    monkeypatch.setattr(live_market, "update_quote", frozen)
    with pytest.raises(StaleQuote, match="15:31:00 UTC, too old to trade on"):
        broker.submit(account.key, order("BUY", "0.1", "BTC/USD"))
    with pytest.raises(StaleQuote):
        broker.submit(account.key, order("BUY", "0.1", "BTC/USD", limit="70000.0", tif="IOC"))
    with pytest.raises(StaleQuote):
        broker.preview(account.key, order("SELL", "0.1", "BTC/USD"))
    resting = broker.submit(account.key, order("BUY", "0.1", "BTC/USD", limit="60050.0"))
    assert resting.status is BrokerStatus.WORKING
    kraken.script(MINUTE + timedelta(minutes=1), "60005 60020 59990 60000 3")
    pass_minutes(clock, 2)
    found = broker.order(account.key, resting.client_order_id)
    assert found is not None and found.average_price == Decimal(60005)


def test_depth_and_history_are_read_from_the_venue(clock: Clock, kraken: PublicKraken) -> None:
    kraken.script(MINUTE - timedelta(minutes=2), "60005 60020 59990 60001 3", "60001 60002 60000 60002 0.5")
    broker, _ = open_live(clock)
    book = broker.order_book("BTC/USD", 5)
    assert not book.simulated
    assert (book.bids[0].price, book.asks[0].size) == (Decimal("60000.0"), Decimal("1.250"))
    two = broker.bars("BTC/USD", BarSize.MINUTE, limit=2)
    assert [bar.start for bar in two] == [MINUTE - timedelta(minutes=2), MINUTE - timedelta(minutes=1)]
    assert two[1].close == Decimal(60002)
    assert broker.prints("BTC/USD", 1).prints[0].size == Decimal("0.5")


def test_no_key_goes_out_and_no_redirect_is_followed(clock: Clock, kraken: PublicKraken) -> None:
    broker, account = open_live(clock)
    broker.submit(account.key, order("BUY", "0.1", "BTC/USD"))
    assert {method for method, _ in kraken.received} == {"GET"}
    assert all(path.startswith("/0/public/") for _, path in kraken.received)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"venue": "nowhere"}, "live prices of"),
        ({"venue": "kraken", "kind": "margin"}, "need a cash account"),
        ({"venue": "binance", "currency": "USD"}, "trade for EUR"),
    ],
)
def test_an_account_that_could_not_trade_live_is_not_opened(asked: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        accounts.open_account("Live", Decimal(1000), **asked)


def test_an_order_in_another_currency_than_the_accounts_is_refused(clock: Clock, kraken: PublicKraken) -> None:
    broker, account = open_live(clock)
    with pytest.raises(InvalidOrder, match="trades in EUR"):
        broker.submit(account.key, order("BUY", "0.1", "BTC/EUR"))
