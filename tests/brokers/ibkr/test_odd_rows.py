"""A row with something in it that the adapter does not know takes no other row with it, and is named."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from brokers.errors import BrokerUnavailable
from brokers.ibkr.adapter import IbkrBroker
from brokers.types import AssetClass, BrokerOrder, BrokerStatus, Environment, OrderType, Side
from tests.brokers.ibkr.conftest import settings_for
from tests.brokers.ibkr.fake import BASE, PAPER, FakeIbkr
from tests.brokers.paper.support import order
from tests.brokers.recorded import answer_with

SYMBOL = "AAPL@265598"
TwoOrders = Callable[..., tuple[BrokerOrder, int, list[str]]]


@pytest.fixture
def listed(ibkr: IbkrBroker, fake: FakeIbkr) -> TwoOrders:
    """The odd order as it is listed among two, its number, and what was not known."""

    def make(**odd: Any) -> tuple[BrokerOrder, int, list[str]]:
        first, second = (order("BUY", "2", SYMBOL, limit="100") for _ in range(2))
        for each in (first, second):
            ibkr.submit(PAPER, each)
        number, told = max(fake.live.items())
        told |= odd
        found = ibkr.orders(PAPER)
        assert [each.client_order_id for each in found] == [second.client_order_id, first.client_order_id]
        looked_up = ibkr.order(PAPER, second.client_order_id)
        assert looked_up is not None
        assert looked_up.status is found[0].status
        return found[0], number, [str(each) for each in ibkr.unknown_words]

    return make


@pytest.mark.parametrize(
    "theirs", ["WarnState", "warn_state", "WARNSTATE", "PRE_SUBMITTED", "inactive", "Pending Cancel"]
)
def test_every_status_that_is_documented_is_known_however_it_is_written(listed: TwoOrders, theirs: str) -> None:
    found, _, unknown = listed(status=theirs)
    assert (found.status, unknown) == (BrokerStatus.WORKING, [])


def test_a_status_that_is_not_known_is_open_says_so_and_is_named(listed: TwoOrders) -> None:
    found, number, unknown = listed(status="Levitating")
    assert found.status is BrokerStatus.WORKING
    assert "Levitating" in found.reason
    assert unknown == [f"order {number}: status Levitating"]


@pytest.mark.parametrize(
    ("odd", "field", "word"),
    [
        ({"origOrderType": "MIDPX"}, "order_type", "orderType MIDPX"),
        ({"timeInForce": "GTD"}, "tif", "timeInForce GTD"),
        ({"side": "X"}, "side", "side X"),
        ({"price": "MKT"}, "limit_price", "price MKT"),
        ({"price": "1.7976931348623157E308"}, "limit_price", ""),
    ],
)
def test_what_is_not_known_of_an_order_is_left_out_of_it_and_named(
    listed: TwoOrders, odd: dict[str, str], field: str, word: str
) -> None:
    found, number, unknown = listed(**odd)
    assert getattr(found, field) is None
    assert found.quantity == 2
    assert unknown == ([f"order {number}: {word}"] if word else [])


@pytest.mark.parametrize("theirs", ["SSHORT", "S", "SLD", "Sell"])
def test_every_word_for_a_sale_is_one(listed: TwoOrders, theirs: str) -> None:
    found, _, unknown = listed(side=theirs)
    assert (found.side, unknown) == (Side.SELL, [])


@pytest.mark.parametrize(
    ("odd", "limit", "stop", "kind"),
    [
        ({"origOrderType": "STOP", "price": "90"}, None, "90", OrderType.STOP),
        ({"origOrderType": "Stop Limit", "price": "91", "auxPrice": "90"}, "91", "90", OrderType.STOP_LIMIT),
        ({"origOrderType": "STOP_LIMIT", "price": "91", "stop_price": "90"}, "91", "90", OrderType.STOP_LIMIT),
        ({"origOrderType": "LIT", "price": "91", "auxPrice": "90"}, "91", "90", None),
    ],
)
def test_a_trigger_is_told_as_what_it_is(
    listed: TwoOrders, odd: dict[str, str], limit: str | None, stop: str | None, kind: OrderType | None
) -> None:
    found, _, _ = listed(**odd)
    prices = [None if each is None else Decimal(each) for each in (limit, stop)]
    assert (found.order_type, [found.limit_price, found.stop_price]) == (kind, prices)


@pytest.mark.parametrize(
    ("odd", "at"),
    [
        (
            {"lastExecutionTime_r": 1702317649000, "lastExecutionTime": "x"},
            datetime(2023, 12, 11, 18, 0, 49, tzinfo=UTC),
        ),
        ({"lastExecutionTime_r": "1702317649000"}, datetime(2023, 12, 11, 18, 0, 49, tzinfo=UTC)),
        (
            {"lastExecutionTime_r": None, "lastExecutionTime": "231211180049"},
            datetime(2023, 12, 11, 18, 0, 49, tzinfo=UTC),
        ),
    ],
)
def test_the_time_of_an_order_is_read_in_each_form(listed: TwoOrders, odd: dict[str, Any], at: datetime) -> None:
    found, _, _ = listed(**odd)
    assert found.updated_at == at


def test_the_reason_is_in_the_broker_s_words(listed: TwoOrders) -> None:
    found, _, _ = listed(status="Cancelled", order_cancellation_by_system_reason="Exchange closed early")
    assert (found.status, found.reason) == (BrokerStatus.CANCELLED, "Exchange closed early")


def test_an_order_that_cannot_be_read_at_all_is_left_out_by_name(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    good = order("BUY", "2", SYMBOL, limit="100")
    ibkr.submit(PAPER, good)
    fake.live[7] = fake.live[max(fake.live)] | {"orderId": 7, "order_ref": "theirs", "filledQuantity": "lots"}
    assert [each.client_order_id for each in ibkr.orders(PAPER)] == [good.client_order_id]
    assert [str(each) for each in ibkr.unknown_words] == ["order 7: A number was expected., left out"]


def test_an_order_of_ours_that_cannot_be_read_is_never_taken_for_absent(ibkr: IbkrBroker, fake: FakeIbkr) -> None:
    asked = order("BUY", "2", SYMBOL, limit="100")
    ibkr.submit(PAPER, asked)
    fake.live[max(fake.live)]["filledQuantity"] = "lots"
    with pytest.raises(BrokerUnavailable):
        ibkr.order(PAPER, asked.client_order_id)


def test_an_inactive_order_that_cannot_be_asked_about_takes_no_list_with_it(
    ibkr: IbkrBroker, fake: FakeIbkr, monkeypatch: pytest.MonkeyPatch
) -> None:
    ibkr.submit(PAPER, order("BUY", "2", SYMBOL, limit="100"))
    fake.live[max(fake.live)]["status"] = "Inactive"
    answer_with(monkeypatch, fake, "GET", f"{BASE}/iserver/account/order/status", {"error": "not found"}, status=404)
    assert [each.status for each in ibkr.orders(PAPER)] == [BrokerStatus.WORKING]


def positions_with(patch: pytest.MonkeyPatch, broker: IbkrBroker, fake: FakeIbkr, **odd: Any) -> Any:
    broker.accounts()
    good = fake._positions()[0]
    path = f"{BASE}/portfolio/{PAPER}/positions/"
    answer_with(
        patch, fake, "GET", f"{path}0", [good | {"conid": 9, "ticker": "ODD", "contractDesc": "ODD"} | odd, good]
    )
    return broker.positions(PAPER), [str(each) for each in broker.unknown_words]


@pytest.mark.parametrize(("theirs", "kind"), [("FOP", AssetClass.OPTION), ("CRYPTO", AssetClass.CRYPTO)])
def test_what_is_not_traded_here_is_still_held(
    ibkr: IbkrBroker, fake: FakeIbkr, monkeypatch: pytest.MonkeyPatch, theirs: str, kind: AssetClass
) -> None:
    held, unknown = positions_with(monkeypatch, ibkr, fake, assetClass=theirs)
    assert ([each.asset_class for each in held], unknown) == ([kind, AssetClass.STOCK], [])


@pytest.mark.parametrize("theirs", ["BOND", "FUND", "WAR", None])
def test_a_holding_of_a_class_that_is_not_known_is_named_with_its_worth(
    ibkr: IbkrBroker, fake: FakeIbkr, monkeypatch: pytest.MonkeyPatch, theirs: str | None
) -> None:
    held, unknown = positions_with(monkeypatch, ibkr, fake, assetClass=theirs)
    assert [each.symbol for each in held] == [SYMBOL]
    assert unknown == [f"position ODD: assetClass {theirs}, worth 19025.0 USD, left out"]


@pytest.mark.parametrize(
    ("odd", "last", "source"),
    [
        ({"mktPrice": None}, "190.25", "Interactive Brokers"),
        ({"mktPrice": None, "mktValue": None}, "150.125", "at cost"),
        ({"avgPrice": None, "unrealizedPnl": None}, "190.25", "Interactive Brokers"),
    ],
)
def test_a_position_without_a_price_is_shown_at_what_is_known_of_it(
    ibkr: IbkrBroker, fake: FakeIbkr, monkeypatch: pytest.MonkeyPatch, odd: dict[str, Any], last: str, source: str
) -> None:
    (found, _), unknown = positions_with(monkeypatch, ibkr, fake, **odd)
    assert (found.last, found.market_value, unknown) == (Decimal(last), Decimal(last) * 100, [])
    assert source in found.source


@pytest.mark.parametrize(
    ("number", "environment"),
    [
        *((f"{each}123456", Environment.PAPER) for each in ("DU", "DF", "DI", "DUM", "DUH", "DUP", "du")),
        *((f"{each}123456", Environment.LIVE) for each in ("U", "F", "I", "UM")),
        ("DF123456A", Environment.PAPER),
    ],
)
def test_paper_and_live_are_told_by_the_letters_of_the_account(number: str, environment: Environment) -> None:
    with FakeIbkr(account=number) as fake:
        info = IbkrBroker.open(settings_for(fake)).connect()
    assert (info.accounts[0].account_id, info.environment) == (number, environment)


def test_an_account_that_is_not_known_is_left_out_by_name(
    ibkr: IbkrBroker, fake: FakeIbkr, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_with(monkeypatch, fake, "GET", f"{BASE}/iserver/accounts", {"accounts": [PAPER, "X9"]})
    fake.asked_accounts = True
    assert [each.account_id for each in ibkr.accounts()] == [PAPER]
    assert [str(each) for each in ibkr.unknown_words] == ["account X9: account number X9, left out"]
