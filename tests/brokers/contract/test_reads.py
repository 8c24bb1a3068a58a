"""The contract's first half: what every adapter answers before anything is traded."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from brokers import registry
from brokers.base import Broker
from brokers.errors import InvalidAccount, InvalidRequest, InvalidSymbol, NotSupported, Rejected
from brokers.types import USUAL, Ability, AssetClass, BarSize
from brokers.unsupported_calls import Lacking
from tests.brokers.contract.cases import CASES, TEMPLATE, Case, Rig


@pytest.fixture(params=(*CASES, TEMPLATE), ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    """The template passes this half, and sends no orders."""
    found: Case = request.param
    return found


def _floats(value: Any) -> list[Any]:
    if isinstance(value, float):
        return [value]
    if is_dataclass(value):
        return [each for field in fields(value) for each in _floats(getattr(value, field.name))]
    if isinstance(value, (list, tuple)):
        return [each for item in value for each in _floats(item)]
    return []


def test_connecting_tells_the_accounts_the_environment_and_what_the_key_may_do(rig: Rig) -> None:
    found = rig.broker.connect()
    assert found.accounts
    assert [each.account_id for each in found.accounts] == [each.account_id for each in rig.broker.accounts()]
    assert {each.environment for each in found.accounts} == {found.environment}
    assert found.can_withdraw is not True


def test_a_ping_takes_time_and_tells_whose_clock_is_ahead(rig: Rig) -> None:
    health = rig.broker.ping()
    assert health.latency >= 0
    assert health.clock_skew is None or isinstance(health.clock_skew, float)


def test_every_number_read_is_an_exact_decimal(rig: Rig) -> None:
    broker, account = rig.broker, rig.account_id
    read = [
        broker.account_state(account),
        broker.positions(account),
        broker.quotes([rig.symbol]),
        broker.instrument(rig.symbol),
        broker.find_instruments(rig.symbol),
        broker.preview(account, rig.order()),
    ]
    assert _floats(read) == []


def test_cash_adds_up_and_positions_are_worth_quantity_times_price(rig: Rig) -> None:
    state = rig.broker.account_state(rig.account_id)
    assert state.account_id == rig.account_id
    assert all(each.available + each.reserved == each.total for each in state.cash)
    for position in rig.broker.positions(rig.account_id):
        multiplier = rig.broker.instrument(position.symbol).multiplier
        assert position.market_value == position.quantity * position.last * multiplier


def test_an_instrument_has_its_steps_and_is_found_by_its_symbol(rig: Rig) -> None:
    found = rig.broker.instrument(rig.symbol)
    assert found.symbol == rig.symbol
    assert found.tick > 0
    assert found.lot > 0
    assert found.minimum >= found.lot
    assert found.asset_class in rig.broker.capabilities.asset_classes
    assert rig.symbol in [each.symbol for each in rig.broker.find_instruments(rig.symbol)]


def test_an_unknown_instrument_is_refused_by_name(rig: Rig) -> None:
    for ask in (rig.broker.instrument, lambda symbol: rig.broker.quotes([symbol])):
        with pytest.raises(InvalidSymbol, match="NO-SUCH-THING"):
            ask("NO-SUCH-THING")


def test_an_account_of_somebody_else_is_refused(rig: Rig) -> None:
    broker = rig.broker
    asks: list[Callable[[str], Any]] = [
        broker.account_state,
        broker.positions,
        broker.orders,
        lambda account: broker.order(account, "0" * 32),
        lambda account: broker.submit(account, rig.order()),
        lambda account: broker.cancel(account, "0" * 32, symbol=rig.symbol),
    ]
    for ask in asks:
        with pytest.raises(InvalidAccount):
            ask("somebody-else")


def test_a_quote_has_bid_and_ask_around_the_last_price_and_a_time(rig: Rig) -> None:
    quote = rig.broker.quotes([rig.symbol])[0]
    assert quote.bid <= quote.last <= quote.ask
    assert quote.as_of.tzinfo is not None
    assert abs(quote.as_of - datetime.now(UTC)) < timedelta(minutes=5)


def _ability(broker: Broker, rig: Rig) -> dict[Ability, Callable[[], Any]]:
    account = rig.account_id
    return {
        Ability.BARS: lambda: broker.bars(rig.symbol, BarSize.MINUTE, limit=3),
        Ability.TRANSACTIONS: lambda: broker.transactions(account, start=None, end=None, limit=5),
        Ability.FILLS: lambda: broker.fills(account, symbol=rig.symbol, limit=5),
        Ability.FEES: lambda: broker.fees(account),
        Ability.ORDER_BOOK: lambda: broker.order_book(rig.symbol, 5),
        Ability.PRINTS: lambda: broker.prints(rig.symbol, 5),
        Ability.SCREENING: lambda: broker.instruments(limit=5),
        Ability.MARKET_HOURS: lambda: broker.market_hours(),
        Ability.ORDERS: lambda: broker.orders(account, open_only=True, limit=5),
        Ability.EXCHANGE_RATES: lambda: broker.exchange_rate("USD", "USD"),
        Ability.OPTION_CHAINS: lambda: _chain(broker, rig.symbol),
        Ability.FUTURES: lambda: broker.futures_contracts(rig.root),
        Ability.FUNDING_RATES: lambda: broker.funding_rate(rig.perpetual, 3),
        Ability.TRANSFERS: lambda: broker.transfers(account, limit=5),
        Ability.DEPOSIT_ADDRESSES: lambda: broker.deposit_addresses(account, "BTC"),
        Ability.EARN: lambda: broker.earn(account),
    }


def _chain(broker: Broker, symbol: str) -> Any:
    days = broker.option_expirations(symbol)
    return [days, broker.option_chain(symbol, days[0].day, strikes=2)]


def test_every_ability_is_asked_for_here(rig: Rig) -> None:
    assert set(_ability(rig.broker, rig)) == set(Ability)


def test_what_the_capabilities_name_answers_and_what_they_leave_out_is_refused_or_still_true(rig: Rig) -> None:
    for ability, ask in _ability(rig.broker, rig).items():
        if ability in rig.broker.capabilities.abilities:
            found = ask()
            assert _floats(found) == []
            assert found or ability in USUAL | {Ability.TRANSFERS}, ability
        else:
            try:
                ask()
            except Rejected as refused:
                assert isinstance(refused, (NotSupported, InvalidRequest))


@pytest.mark.parametrize(
    "case", [each for each in CASES if issubclass(each.adapter, Lacking)], ids=lambda case: case.name
)
def test_nothing_is_refused_as_lacking_that_the_capabilities_name(case: Case) -> None:
    can = registry.capabilities(case.name)
    assert can is not None
    assert set(case.adapter.LACKS) & can.abilities == set()


def test_bars_come_oldest_first_and_whole(rig: Rig) -> None:
    if Ability.BARS not in rig.can.abilities:
        with pytest.raises(NotSupported):
            rig.broker.bars(rig.symbol, BarSize.MINUTE, limit=3)
        return
    bars = rig.broker.bars(rig.symbol, BarSize.MINUTE, limit=3)
    starts = [bar.start for bar in bars]
    assert starts == sorted(starts)
    assert len(bars) <= 3
    assert all(bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high for bar in bars)
    assert all(bar.start + timedelta(minutes=1) <= datetime.now(UTC) + timedelta(minutes=1) for bar in bars)


def test_an_order_book_has_its_best_prices_first(rig: Rig) -> None:
    if Ability.ORDER_BOOK not in rig.broker.capabilities.abilities:
        with pytest.raises(NotSupported):
            rig.broker.order_book(rig.symbol, 3)
        return
    book = rig.broker.order_book(rig.symbol, 3)
    bids, asks = [each.price for each in book.bids], [each.price for each in book.asks]
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] <= asks[0]


def test_no_order_is_no_answer_or_cannot_be_told(rig: Rig) -> None:
    assert rig.look("0" * 32) is None


def test_a_preview_tells_price_fee_and_what_it_takes(rig: Rig) -> None:
    order = rig.order()
    preview = rig.broker.preview(rig.account_id, order)
    assert preview.price == order.limit_price
    assert preview.notional == order.units * preview.price * rig.broker.instrument(rig.symbol).multiplier
    assert preview.fee >= 0
    margined = rig.broker.instrument(rig.symbol).asset_class in (AssetClass.FUTURE, AssetClass.PERPETUAL)
    assert preview.cash_effect == -((Decimal(0) if margined else preview.notional) + preview.fee)
    assert isinstance(preview.buying_power, Decimal)
