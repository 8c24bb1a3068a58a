"""Money is neither made nor lost: random orders and clock moves against a model that fits on a page."""

import copy
from collections import defaultdict
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brokers.errors import Rejected
from brokers.paper import accounts, ledger
from brokers.paper.adapter import PaperBroker
from brokers.paper.models import CashBalance, LedgerEntry, PaperAccount, PaperOrder
from brokers.types import BrokerStatus, OrderRequest

from .support import Clock, new_id, open_broker, order

pytestmark = pytest.mark.django_db
LOTS = {"AAPL": Decimal(1), "INTC": Decimal(40), "BTC/USD": Decimal("0.01234567")}

moves = st.tuples(st.just("clock"), st.sampled_from([1, 30, 60, 61, 600, 7200, 90_000]))
cancels = st.tuples(st.just("cancel"), st.integers(0, 5))
orders = st.tuples(
    st.just("order"),
    st.sampled_from(["BUY", "BUY", "SELL"]),
    st.sampled_from(sorted(LOTS)),
    st.integers(1, 12),
    st.sampled_from(["MKT", "LMT", "LMT", "STP", "STP_LIMIT"]),
    st.integers(-30, 30),
    st.integers(-30, 30),
    st.sampled_from(["DAY", "GTC", "IOC"]),
)
steps = st.lists(st.one_of(orders, orders, moves, cancels), min_size=3, max_size=14)


def make(broker: PaperBroker, step: tuple[Any, ...]) -> OrderRequest:
    """Prices are within 1.5 % of the market."""
    _, side, symbol, lots, kind, limit, stop, tif = step
    last = broker.quotes([symbol])[0].last

    def near(tenths: int) -> str:
        return str((last * (2000 + tenths) / 2000).quantize(Decimal("0.01")))

    return order(
        side,
        str(LOTS[symbol] * lots),
        symbol,
        limit=near(limit) if kind in ("LMT", "STP_LIMIT") else None,
        stop=near(stop) if kind in ("STP", "STP_LIMIT") else None,
        tif=tif,
    )


def check(broker: PaperBroker, account: PaperAccount, start: Decimal, sent: dict[str, OrderRequest]) -> None:
    """Cash and positions follow from the fills alone; reserves from the open orders alone; the ledger from both."""
    cash = start
    units: defaultdict[str, Decimal] = defaultdict(Decimal)
    held: defaultdict[str, Decimal] = defaultdict(Decimal)
    reserved_at_most = Decimal(0)
    state = broker.account_state(account.key)
    for client_order_id, request in sent.items():
        found = broker.order(account.key, client_order_id)
        assert found is not None
        sign = 1 if request.side == "BUY" else -1
        for fill in found.fills:
            assert found.status is BrokerStatus.FILLED
            gross = (fill.price * fill.quantity).quantize(Decimal("0.01"), "ROUND_HALF_UP")
            cash -= sign * gross + fill.fee
            units[fill.symbol] += sign * fill.quantity
            if request.limit_price is not None:
                assert sign * (request.limit_price - fill.price) >= 0
        if found.status.is_open and sign < 0:
            held[request.symbol] += request.units
        if found.status.is_open and sign > 0 and request.limit_price is not None:
            gross = (request.limit_price * request.units).quantize(Decimal("0.01"), "ROUND_HALF_UP")
            assert state.cash[0].reserved > gross
            reserved_at_most += gross
    assert state.cash[0].total == cash
    assert 0 <= state.cash[0].reserved <= cash
    assert state.cash[0].reserved >= reserved_at_most
    positions = {found.symbol: found for found in broker.positions(account.key)}
    assert {symbol: found.quantity for symbol, found in positions.items()} == {
        symbol: quantity for symbol, quantity in units.items() if quantity
    }
    for symbol, position in positions.items():
        assert position.reserved == held[symbol] <= position.quantity
    entries = LedgerEntry.objects.filter(account=account)
    assert sum(entry.amount for entry in entries) == cash
    for symbol in LOTS:
        moved = sum((entry.quantity or Decimal(0)) for entry in entries if entry.symbol == symbol)
        assert moved == units[symbol]
    for row in PaperOrder.objects.filter(account=account).exclude(status="working"):
        assert row.reserved_cash == row.reserved_quantity == 0
    assert CashBalance.objects.get(account=account).amount == cash
    assert ledger.rebuild(account) == ledger.account_balances(account)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(script=steps, cash=st.sampled_from(["900", "5000", "60000"]))
def test_cash_positions_reserves_and_ledger_agree_after_any_run_of_orders(
    script: list[tuple[Any, ...]], cash: str
) -> None:
    with transaction.atomic():
        clock = Clock()
        broker, account = open_broker(clock, cash)
        sent: dict[str, OrderRequest] = {}
        for symbol, lots in (("INTC", 5), ("BTC/USD", 2)):
            request = order("BUY", str(LOTS[symbol] * lots), symbol)
            with suppress(Rejected):
                broker.submit(account.key, request)
                sent[request.client_order_id] = request
        for step in script:
            if step[0] == "clock":
                clock.advance(seconds=step[1])
                accounts.match_resting(clock.now)
            elif step[0] == "cancel" and sent:
                with suppress(Rejected):
                    broker.cancel(account.key, list(sent)[step[1] % len(sent)])
            elif step[0] == "order":
                request = make(broker, step)
                with suppress(Rejected):
                    broker.submit(account.key, request)
                    sent[request.client_order_id] = request
            check(broker, account, Decimal(cash), sent)
        transaction.set_rollback(True)


def test_matching_every_minute_and_matching_once_leave_the_same_books() -> None:
    outcomes = []
    for step in (timedelta(minutes=1), timedelta(minutes=7), timedelta(days=2)):
        clock = Clock()
        broker, account = open_broker(clock, "60000")
        requests = [
            make(broker, ("order", side, symbol, 3, kind, limit, stop, tif))
            for symbol in LOTS
            for side, kind, limit, stop, tif in (
                ("BUY", "MKT", 0, 0, "GTC"),
                ("BUY", "LMT", -6, 0, "GTC"),
                ("SELL", "LMT", 5, 0, "DAY"),
                ("BUY", "STP", 0, 9, "GTC"),
                ("BUY", "STP_LIMIT", 3, 8, "GTC"),
            )
        ]
        sent = [broker.submit(account.key, request).client_order_id for request in requests]
        end = clock.now + timedelta(days=2)
        while clock.now < end:
            clock.now = min(end, clock.now + step)
            accounts.match_resting(clock.now)
        found = [broker.order(account.key, client_order_id) for client_order_id in sent]
        outcomes.append([(one.status, one.average_price, one.fees, one.updated_at) for one in found if one is not None])
    assert outcomes[0] == outcomes[1] == outcomes[2]
    statuses = {status for status, *_ in outcomes[0]}
    assert BrokerStatus.FILLED in statuses and len({price for _, price, *_ in outcomes[0]}) > 5


def test_amounts_keep_all_eighteen_decimals() -> None:
    exact = Decimal("12345678901234567890.123456789012345678")
    _, account = open_broker(Clock())
    CashBalance.objects.filter(account=account).update(amount=exact)
    assert CashBalance.objects.get(account=account).amount == exact
    row = PaperOrder.objects.create(
        account=account,
        client_order_id=new_id(),
        broker_order_id="P-TEST",
        symbol="BTC/USD",
        currency="USD",
        side="BUY",
        order_type="LMT",
        tif="GTC",
        quantity=Decimal("0.000000000000000001"),
        limit_price=exact,
        status="cancelled",
        filled_quantity=Decimal(0),
        fees=Decimal(0),
        reserved_cash=Decimal(0),
        reserved_quantity=Decimal(0),
        created=account.created,
        updated=account.created,
        matched_until=account.created,
    )
    row.refresh_from_db()
    assert (row.quantity, row.limit_price) == (Decimal("0.000000000000000001"), exact)


def test_matching_asks_the_database_about_instruments_and_never_about_accounts_without_open_orders(
    django_assert_num_queries: Any,
) -> None:
    for _ in range(3):
        broker, account = open_broker(Clock())
        rested = order("BUY", "1", limit="1")
        broker.submit(account.key, rested)
        broker.cancel(account.key, rested.client_order_id)
    # The marks and what is imported; then who is touched, who expires, and the mark.
    with django_assert_num_queries(5):
        assert accounts.match_resting(Clock().now + timedelta(days=1)) == 0


def test_orders_that_only_the_clock_ends_are_found_without_reading_all_that_rest() -> None:
    if connection.vendor == "postgresql":  # which reads a small table whole, and knows its size by this alone
        broker, account = open_broker(Clock())
        broker.submit(account.key, order("BUY", "1", limit="1"))
        one = PaperOrder.objects.get()
        rows = [copy.copy(one) for _ in range(2000)]
        for row in rows:
            row.pk, row.client_order_id, row.broker_order_id = None, new_id(), f"P-{new_id()[-20:]}"
        PaperOrder.objects.bulk_create(rows)
        with connection.cursor() as cursor:
            cursor.execute(f"ANALYZE {PaperOrder._meta.db_table}")
    plan = accounts.due_by_time(Clock().now).explain()
    assert all(name in plan for name in ("paper_expiring", "paper_arriving", "paper_cancelling")), plan
    assert "SCAN" not in plan
    assert "Seq Scan" not in plan
