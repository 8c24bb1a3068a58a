"""Cash and margin accounts: what they can pay for, what they owe, and that the ledger alone explains them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from brokers.errors import InsufficientFunds, InsufficientPosition, InvalidAccount
from brokers.paper import accounts, ledger, model_settings
from brokers.paper.adapter import PaperBroker
from brokers.paper.bar_imports import ImportRefused
from brokers.paper.corporate_actions import import_actions
from brokers.paper.models import OPEN_STATUSES, CorporateAction, PaperAccount
from brokers.types import AssetClass, BrokerStatus

from .support import NOON, Clock, order, script
from .support import open_broker as paper

pytestmark = pytest.mark.django_db
FLAT = "100 100 100 100"


def margin(clock: Clock, cash: str = "10000", preset: str = "frictionless") -> tuple[PaperBroker, PaperAccount]:
    account = accounts.open_account("M", Decimal(cash), kind="margin", preset=preset, now=clock.now)
    return PaperBroker.open({"account": account.key}, clock=clock), account


def test_a_margin_account_buys_for_twice_its_equity_and_no_more() -> None:
    first = script(FLAT, FLAT, symbol="XYZ", asset_class=AssetClass.STOCK)
    clock = Clock(first + timedelta(minutes=1))
    broker, account = margin(clock)
    assert broker.account_state(account.key).buying_power == 20_000
    with pytest.raises(InsufficientFunds):
        broker.submit(account.key, order("BUY", "201", "XYZ"))
    broker.submit(account.key, order("BUY", "200", "XYZ"))
    state = broker.account_state(account.key)
    assert state.cash[0].total == -10_000
    assert (state.equity, state.buying_power) == (Decimal(10_000), Decimal(0))
    assert (state.initial_margin, state.maintenance_margin) == (Decimal(10_000), Decimal(5_000))


def test_a_short_sale_owes_units_and_its_proceeds_buy_nothing() -> None:
    first = script(FLAT, "80 80 80 80", symbol="XYZ", asset_class=AssetClass.STOCK)
    clock = Clock(first + timedelta(minutes=1))
    broker, account = margin(clock)
    broker.submit(account.key, order("SELL", "150", "XYZ"))
    state = broker.account_state(account.key)
    assert (state.cash[0].total, state.equity, state.buying_power) == (Decimal(25_000), Decimal(10_000), Decimal(5_000))
    clock.advance(minutes=1)
    (position,) = broker.positions(account.key)
    assert (position.quantity, position.market_value, position.unrealized_pnl) == (
        Decimal(-150),
        Decimal(-12_000),
        Decimal(3_000),
    )
    broker.submit(account.key, order("BUY", "200", "XYZ"))
    (position,) = broker.positions(account.key)
    assert (position.quantity, position.average_price) == (Decimal(50), Decimal(80))


def test_below_maintenance_margin_only_what_closes_is_taken() -> None:
    first = script(FLAT, "140 140 140 140", symbol="XYZ", asset_class=AssetClass.STOCK)
    clock = Clock(first + timedelta(minutes=1))
    broker, account = margin(clock)
    broker.submit(account.key, order("SELL", "200", "XYZ"))
    clock.advance(minutes=1)
    for side in ("SELL", "BUY"):
        symbol = "XYZ" if side == "SELL" else "AAPL"
        with pytest.raises(InsufficientFunds):
            broker.submit(account.key, order(side, "1", symbol))
    assert broker.submit(account.key, order("BUY", "200", "XYZ")).status is BrokerStatus.FILLED
    assert broker.account_state(account.key).equity == 2_000


def reserves(account: PaperAccount) -> list[tuple[Decimal, Decimal]]:
    """(units, money) that each open order holds, the oldest first."""
    rows = account.orders.filter(status__in=OPEN_STATUSES).order_by("pk")
    return [(row.reserved_quantity, row.reserved_cash) for row in rows]


def test_on_margin_orders_share_the_position_and_what_is_beyond_it_holds_its_initial_margin() -> None:
    first = script(*[FLAT] * 4, symbol="XYZ", asset_class=AssetClass.STOCK)
    clock = Clock(first + timedelta(minutes=1))
    broker, account = margin(clock, "20000")
    broker.submit(account.key, order("BUY", "100", "XYZ"))
    older = broker.submit(account.key, order("SELL", "80", "XYZ", limit="120"))
    broker.submit(account.key, order("SELL", "60", "XYZ", limit="110"))
    assert reserves(account) == [(Decimal(80), Decimal(0)), (Decimal(20), Decimal(40 * 110) / 2)]
    # The older one gone, the younger only closes.
    broker.cancel(account.key, older.client_order_id)
    assert reserves(account) == [(Decimal(60), Decimal(0))]
    # The position gone by another order, it opens.
    broker.submit(account.key, order("SELL", "100", "XYZ"))
    assert broker.positions(account.key) == []
    assert reserves(account) == [(Decimal(0), Decimal(60 * 110) / 2)]
    assert broker.account_state(account.key).buying_power == (Decimal(20_000) - 3_300) * 2


def test_what_rests_to_sell_never_keeps_a_short_position_from_being_bought_back() -> None:
    first = script(FLAT, FLAT, "140 140 140 140", "140 140 140 140", symbol="XYZ", asset_class=AssetClass.STOCK)
    clock = Clock(first + timedelta(minutes=1))
    broker, account = margin(clock, "20000")
    broker.submit(account.key, order("BUY", "136", "XYZ"))
    broker.submit(account.key, order("SELL", "136", "XYZ", limit="200"))
    broker.submit(account.key, order("SELL", "160", "XYZ"))
    (position,) = broker.positions(account.key)
    assert (position.quantity, position.reserved) == (Decimal(-24), Decimal(0))
    covers = replace(order("BUY", "24", "XYZ"), reduce_only=True)
    assert broker.submit(account.key, covers).status is BrokerStatus.FILLED
    assert broker.positions(account.key) == []


def test_margin_that_is_switched_on_counts_what_rests_and_goes_off_only_without_open_orders() -> None:
    first = script(FLAT, FLAT, symbol="XYZ", asset_class=AssetClass.STOCK)
    clock = Clock(first + timedelta(minutes=1))
    broker, account = paper(clock, "10000")
    model_settings.set_model(account.key, preset="frictionless", now=clock.now)
    resting = broker.submit(account.key, order("BUY", "10", "XYZ", limit="90"))
    assert reserves(account) == [(Decimal(0), Decimal(900))]
    model_settings.set_model(account.key, margin=True, now=clock.now)
    assert reserves(account) == [(Decimal(0), Decimal(450))]
    with pytest.raises(ValueError, match="cancel them before"):
        model_settings.set_model(account.key, margin=False, now=clock.now)
    PaperBroker.open({"account": account.key}, clock=clock).cancel(account.key, resting.client_order_id)
    assert model_settings.set_model(account.key, margin=False, now=clock.now).margin is False


def test_crypto_is_paid_in_full_and_not_sold_short() -> None:
    broker, account = margin(Clock(), "1000")
    with pytest.raises(InsufficientPosition):
        broker.submit(account.key, order("SELL", "0.1", "BTC/USD"))
    with pytest.raises(InsufficientFunds):
        broker.submit(account.key, order("BUY", "0.2", "BTC/USD"))


def test_borrowed_shares_and_borrowed_cash_cost_a_day_at_midnight_whenever_anybody_looks() -> None:
    first = script(FLAT, FLAT, symbol="XYZ", asset_class=AssetClass.STOCK)
    found = []
    for looks in ((3,), (1, 2, 3)):
        clock = Clock(first + timedelta(minutes=1))
        short, one = margin(clock, preset="standard")
        long, two = margin(clock, preset="standard")
        short.submit(one.key, order("SELL", "100", "XYZ"))
        long.submit(two.key, order("BUY", "150", "XYZ"))
        for days in looks:
            clock.now = first + timedelta(days=days)
            short.account_state(one.key)
        found.append(
            [
                [
                    (entry.kind, entry.at, entry.amount)
                    for entry in broker.transactions(key, start=None, end=None, limit=3)
                ]
                for broker, key in ((short, one.key), (long, two.key))
            ]
        )
    assert found[0] == found[1]
    fees, interest = found[0]
    # 10,000 x 3 % / 365, and 5,001 x 8 % / 365
    assert [(kind, amount) for kind, _, amount in fees] == [("borrow", Decimal("-0.82"))] * 3
    assert [(kind, amount) for kind, _, amount in interest] == [("interest", Decimal("-1.10"))] * 3
    assert all(at.hour == at.minute == 0 for _, at, _ in fees)


def test_proceeds_of_a_stock_settle_on_the_next_business_day_and_pay_for_nothing_before() -> None:
    clock = Clock()  # a Friday
    account = accounts.open_account("C", Decimal(2500), settlement_days=1, now=clock.now)
    broker = PaperBroker.open({"account": account.key}, clock=clock)
    broker.submit(account.key, order("BUY", "10"))
    broker.submit(account.key, order("SELL", "10"))
    (cash,) = broker.account_state(account.key).cash
    assert cash.total > 2400 and cash.unsettled > 2000 and cash.available < 500
    clock.now = datetime(2026, 11, 22, 23, 59, tzinfo=UTC)
    with pytest.raises(InsufficientFunds):
        broker.submit(account.key, order("BUY", "10", "AAPL"))
    clock.advance(minutes=1)
    assert broker.account_state(account.key).cash[0].unsettled == 0
    assert broker.submit(account.key, order("BUY", "5", "AAPL")).status is BrokerStatus.FILLED


def test_dividends_reach_those_who_hold_and_are_taken_from_those_who_are_short() -> None:
    clock = Clock()
    import_actions(["symbol,kind,ex_date,value", "AAPL,dividend,2026-11-23,0.26"], now=clock.now)
    long, one = margin(clock)
    short, two = margin(clock)
    long.submit(one.key, order("BUY", "10"))
    short.submit(two.key, order("SELL", "10"))
    clock.now = datetime(2026, 11, 24, tzinfo=UTC)
    (paid,) = long.transactions(one.key, start=datetime(2026, 11, 23, tzinfo=UTC), end=None, limit=9)
    assert (paid.kind, paid.amount, paid.symbol) == ("dividend", Decimal("2.60"), "AAPL")
    assert Decimal("-2.60") in [each.amount for each in short.transactions(two.key, start=None, end=None, limit=9)]


@pytest.mark.parametrize(("ratio", "after"), [("4", 40), ("0.3", 3)])
def test_a_split_changes_units_and_prices_and_neither_makes_nor_loses_money(ratio: str, after: int) -> None:
    clock = Clock(datetime(2026, 11, 22, 23, 59, 30, tzinfo=UTC))
    import_actions(["symbol,kind,ex_date,value", f"AAPL,split,2026-11-23,{ratio}"], now=clock.now)
    broker, account = paper(clock, "10000")
    broker.submit(account.key, order("BUY", "10"))
    resting = broker.submit(account.key, order("SELL", "10", limit="900"))
    before, price = broker.account_state(account.key).equity, broker.quotes(["AAPL"])[0].last
    clock.advance(minutes=1, seconds=31)
    (position,) = broker.positions(account.key)
    assert position.quantity == after
    assert abs(broker.quotes(["AAPL"])[0].last - price / Decimal(ratio)) < price / Decimal(ratio) / 50
    assert abs(broker.account_state(account.key).equity - before) < before / 100
    ended = broker.order(account.key, resting.client_order_id)
    assert ended is not None and (ended.status, ended.reason) == (BrokerStatus.CANCELLED, "The stock was split.")
    assert ledger.rebuild(account) == ledger.account_balances(account)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("AAPL,dividend,2026-11-20,1", "must be in the future"),
        ("AAPL,dividend,soon,1", "not a day"),
        ("AAPL,gift,2027-01-04,1", "must be"),
        ("AAPL,split,2027-01-04,0", "greater than 0"),
        ("AAPL,split,2027-01-04,x", "not a number"),
        ("BTC/USD,split,2027-01-04,2", "not a stock"),
        ("NOPE,split,2027-01-04,2", "no instrument"),
        ("AAPL,split,2027-01-04", "as many values"),
    ],
)
def test_an_action_that_makes_no_sense_is_refused_with_its_line(row: str, words: str) -> None:
    with pytest.raises(ImportRefused, match=f"Line 3: .*{words}"):
        import_actions(["symbol,kind,ex_date,value", "MSFT,split,2027-01-04,2", row], now=NOON)
    assert not CorporateAction.objects.exists()


def test_actions_come_from_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "actions.csv"
    file.write_text("symbol,kind,ex_date,value\nAAPL,split,2199-01-04,2\n")
    call_command("import_actions", str(file))
    assert "Imported 1 corporate actions" in capsys.readouterr().out
    with pytest.raises(CommandError, match="already on that day"):
        call_command("import_actions", str(file))
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("import_actions", str(tmp_path / "none.csv"))


def test_one_connection_reaches_its_accounts_and_no_other() -> None:
    clock = Clock()
    one, two, other = (accounts.open_account(name, Decimal(5000), now=clock.now) for name in ("One", "Two", "Other"))
    broker = PaperBroker.open({"accounts": [one.key, two.key]}, clock=clock)
    assert [each.name for each in broker.accounts()] == ["One", "Two"]
    sent = order("BUY", "1")
    broker.submit(two.key, sent)
    assert broker.order(one.key, sent.client_order_id) is None
    assert broker.positions(one.key) == []
    with pytest.raises(InvalidAccount):
        broker.positions(other.key)
    with pytest.raises(InvalidAccount):
        PaperBroker.open({"accounts": [one.key, "NOBODY22"]}).accounts()
    with pytest.raises(InvalidAccount):
        PaperBroker.open({"accounts": ["NOBODY22"]}).quotes(["AAPL"])


def test_a_reset_account_starts_again_and_its_history_stays() -> None:
    clock = Clock()
    broker, account = paper(clock, "10000")
    broker.submit(account.key, order("BUY", "10"))
    resting = broker.submit(account.key, order("BUY", "1", limit="1"))
    clock.advance(minutes=5)
    accounts.reset(account, clock.now)
    state = broker.account_state(account.key)
    assert (state.equity, state.cash[0].available) == (Decimal(10_000), Decimal(10_000))
    assert broker.positions(account.key) == []
    ended = broker.order(account.key, resting.client_order_id)
    assert ended is not None and ended.reason == "The account was reset."
    kinds = [entry.kind for entry in broker.transactions(account.key, start=None, end=None, limit=9)]
    assert kinds == ["reset", "reset", "fee", "trade", "deposit"]
    assert ledger.rebuild(account) == ledger.account_balances(account)


def test_a_clone_starts_with_somebodys_cash_and_positions() -> None:
    clock = Clock()
    account, left_out = accounts.clone(
        "Copy",
        Decimal(2500),
        [
            accounts.Lot(symbol="AAPL", quantity=Decimal(7), average_price=Decimal("180.5")),
            accounts.Lot(symbol="NOPE", quantity=Decimal(1), average_price=Decimal(1)),
            accounts.Lot(symbol="MSFT", quantity=Decimal(-3), average_price=Decimal(400)),
        ],
        now=clock.now,
    )
    assert left_out == ["NOPE", "MSFT"]
    broker = PaperBroker.open({"account": account.key}, clock=clock)
    (position,) = broker.positions(account.key)
    assert (position.symbol, position.quantity, position.average_price) == ("AAPL", Decimal(7), Decimal("180.5"))
    assert broker.account_state(account.key).cash[0].total == 2500
    assert ledger.rebuild(account) == ledger.account_balances(account)
    assert broker.submit(account.key, order("SELL", "7")).status is BrokerStatus.FILLED


@pytest.mark.parametrize(
    ("terms", "words"),
    [({"kind": "gold"}, "kind"), ({"preset": "none"}, "preset"), ({"settlement_days": 9}, "0 to 5")],
)
def test_an_account_that_makes_no_sense_is_not_opened(terms: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        accounts.open_account("X", Decimal(1), **terms)  # type: ignore[arg-type]
