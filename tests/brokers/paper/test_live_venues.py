"""Paper at the public prices of Coinbase, Binance and OKX, each in its own words on loopback."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from brokers.errors import BrokerUnavailable, InvalidSymbol, StaleQuote
from brokers.paper import accounts, ledger, live_market, public_price_feed
from brokers.paper.adapter import PaperBroker
from brokers.paper.models import LiveBar, LivePair, PaperAccount, PaperFill
from brokers.types import BarSize, BrokerOrder, BrokerStatus
from tests.brokers.faults import Fault
from tests.patience import lasting

from .public import PublicBinance, PublicCoinbase, PublicOkx, Scripted
from .support import NOON, Clock, order

pytestmark = pytest.mark.django_db
MINUTE = NOON.replace(second=0)
FAKES: dict[str, Any] = {"coinbase": PublicCoinbase, "binance": PublicBinance, "okx": PublicOkx}


@dataclass
class Venue:
    name: str
    title: str
    fake: Scripted
    clock: Clock
    account: PaperAccount
    broker: PaperBroker

    @property
    def symbol(self) -> str:
        return f"BTC/{self.account.currency}"

    def pass_minutes(self, minutes: int) -> None:
        self.clock.advance(minutes=minutes)
        live_market.update_followed_bars(self.clock.now)
        accounts.match_resting(self.clock.now)

    def send(self, side: str, quantity: str, **terms: str) -> BrokerOrder:
        return self.broker.submit(self.account.key, order(side, quantity, self.symbol, **terms))

    def now(self, sent: BrokerOrder) -> BrokerOrder:
        found = self.broker.order(self.account.key, sent.client_order_id)
        assert found is not None
        return found


@pytest.fixture(params=sorted(FAKES))
def venue(request: Any, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Venue]:
    name, clock = request.param, Clock()
    monkeypatch.setattr(public_price_feed, "_SETTINGS", {"timeout": lasting(0.4), "per_second": 1000})
    with FAKES[name](clock) as fake:
        settings.PAPER_PRICE_HOSTS = {name: fake.url}
        account = accounts.open_account("Live", Decimal(100_000), fake.quote_currency, venue=name, now=clock.now)
        broker = PaperBroker.open({"account": account.key}, clock=clock)
        yield Venue(name, public_price_feed.title(name), fake, clock, account, broker)


def test_a_quote_and_a_book_are_what_the_venue_says_to_the_digit(venue: Venue) -> None:
    (quote,) = venue.broker.quotes(["btc"])
    assert (quote.symbol, quote.currency) == (venue.symbol, venue.account.currency)
    assert (quote.bid, quote.ask, quote.last) == (Decimal("60000.00"), Decimal("60010.00"), Decimal("60005.00"))
    assert quote.source == f"live public prices of {venue.title}"
    book = venue.broker.order_book(venue.symbol, 5)
    assert not book.simulated
    assert (book.bids[0].price, book.asks[0].price) == (Decimal("60000.00"), Decimal("60010.00"))
    assert book.bids[0].size > 0


def test_only_coins_for_the_accounts_currencies_are_listed_with_the_venues_steps(venue: Venue) -> None:
    found = venue.broker.instruments(limit=100)
    assert [each.symbol for each in found] == [venue.symbol, f"ETH/{venue.account.currency}"]
    assert (found[0].tick, found[0].lot) == (Decimal("0.01"), Decimal("0.00001"))
    with pytest.raises(InvalidSymbol, match=f"among the coins that {venue.title} trades"):
        venue.broker.quotes(["BTC/USDT"])


def test_market_orders_fill_at_the_venues_ask_and_bid(venue: Venue) -> None:
    bought, sold = venue.send("BUY", "0.5"), venue.send("SELL", "0.2")
    assert (bought.status, bought.average_price) == (BrokerStatus.FILLED, Decimal("60010.00"))
    assert (sold.status, sold.average_price) == (BrokerStatus.FILLED, Decimal("60000.00"))
    assert ledger.rebuild(venue.account) == ledger.account_balances(venue.account)


def test_a_resting_order_meets_the_bars_that_the_venue_tells_and_a_minute_without_trades_is_none(venue: Venue) -> None:
    venue.fake.script(MINUTE + timedelta(minutes=1), "60005 60020.5 59990 60000 3.25")
    venue.fake.script(MINUTE + timedelta(minutes=4), "59700 59800 59600 59750 2")
    resting = venue.send("BUY", "0.1", limit="59900.00")
    venue.pass_minutes(4)
    assert venue.now(resting).status is BrokerStatus.WORKING
    venue.pass_minutes(1)
    filled = venue.now(resting)
    assert (filled.average_price, filled.updated_at) == (Decimal(59700), MINUTE + timedelta(minutes=5))
    stored = [
        (bar.start, bar.open, bar.high, bar.low, bar.close, bar.volume) for bar in LiveBar.objects.order_by("start")
    ]
    first, second = (
        (MINUTE + timedelta(minutes=at), *(Decimal(each) for each in bar.split()))
        for at, bar in ((1, "60005 60020.5 59990 60000 3.25"), (4, "59700 59800 59600 59750 2"))
    )
    assert stored == [first, second]


def test_the_bar_under_way_is_not_taken_for_a_whole_one(venue: Venue) -> None:
    resting = venue.send("BUY", "0.1", limit="59000.00")
    venue.fake.script(MINUTE + timedelta(minutes=3), "60005 60005 58000 58000 1")
    venue.pass_minutes(3)
    assert not LiveBar.objects.exists()
    assert LivePair.objects.get().known_until == MINUTE + timedelta(minutes=3)
    assert venue.now(resting).status is BrokerStatus.WORKING
    venue.pass_minutes(1)
    assert venue.now(resting).average_price == Decimal(59000)


def test_after_a_long_silence_no_minute_is_missed(venue: Venue) -> None:
    resting = venue.send("BUY", "0.1", limit="59000.00")
    at = [2, 299, 300, 301, 500, 601, 699]
    for minute in at:
        venue.fake.script(MINUTE + timedelta(minutes=minute), f"60000 60000 {59010 - minute // 50} 60000 1")
    venue.pass_minutes(720)
    stored = LiveBar.objects.order_by("start").values_list("start", flat=True)
    assert [(start - MINUTE) // timedelta(minutes=1) for start in stored] == at
    assert venue.now(resting).updated_at == MINUTE + timedelta(minutes=501)


def test_history_is_read_from_the_venue_and_complete(venue: Venue) -> None:
    bars = "60005 60020 59990 60001 3", "60001 60002 60000 60002 0.5"
    venue.fake.script(MINUTE - timedelta(minutes=2), *bars)
    found = venue.broker.bars(venue.symbol, BarSize.MINUTE, limit=2)
    assert [bar.start for bar in found] == [MINUTE - timedelta(minutes=2), MINUTE - timedelta(minutes=1)]
    assert (found[1].close, found[0].high) == (Decimal(60002), Decimal(60020))


def test_the_venues_clock_is_read(venue: Venue) -> None:
    venue.fake.skew_ms = -40_000
    assert venue.broker.ping().clock_skew == pytest.approx(-40, abs=2)


@pytest.mark.parametrize("kind", ["hang", "cut", "reset", "503", "429", "garbage", "empty", "null", "redirect"])
def test_what_cannot_be_read_is_said_so_and_no_price_is_invented(venue: Venue, kind: str) -> None:
    venue.broker.quotes([venue.symbol])
    resting = venue.send("BUY", "0.1", limit="59000.00")
    venue.clock.advance(seconds=3)
    venue.fake.faults.set(*[Fault(kind=kind, effect=True, method="GET", seconds=lasting(0.8))] * 12)
    with pytest.raises(BrokerUnavailable, match=f"Live prices from {venue.title} are not available"):
        venue.send("BUY", "0.1")
    assert not PaperFill.objects.exists()
    venue.fake.faults.set()
    venue.fake.script(MINUTE + timedelta(minutes=1), "60005 60005 58000 60000 1")
    venue.pass_minutes(2)
    assert venue.now(resting).average_price == Decimal(59000)


def test_a_quote_that_the_venue_dates_back_fills_nothing(venue: Venue, monkeypatch: pytest.MonkeyPatch) -> None:
    told = int((venue.clock.now - timedelta(seconds=91)).timestamp() * 1000)
    monkeypatch.setattr(venue.fake, "now", lambda: told)
    with pytest.raises(StaleQuote, match="too old to trade on"):
        venue.send("BUY", "0.1")
    assert venue.send("BUY", "0.1", limit="61000.00").status is BrokerStatus.WORKING


def test_no_key_goes_out(venue: Venue) -> None:
    venue.send("BUY", "0.1")
    venue.pass_minutes(2)
    secret = ("authorization", "x-mbx-apikey", "ok-access-key", "ok-access-sign", "cb-access-key")
    assert {asked.method for asked in venue.fake.asked} == {"GET"}
    for asked in venue.fake.asked:
        assert not {name.lower() for name in asked.headers} & set(secret), asked.path
        assert "signature" not in asked.query and asked.body is None
