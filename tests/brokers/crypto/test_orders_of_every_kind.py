"""An order made elsewhere is told as what it is, or without a kind: never as another kind of order."""

from decimal import Decimal
from typing import Any

import pytest

from brokers.types import BrokerOrder, OrderType, Side, TimeInForce
from tests.brokers.contract.cases import BINANCE, COINBASE, KRAKEN, KRAKEN_FUTURES, OKX, CryptoCase
from tests.brokers.crypto.recorded import Row, answers, resting, rewritten, steady, told_as

_GTC, _IOC, _FOK = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK


def _told(case: CryptoCase, **fields: Any) -> BrokerOrder:
    with steady(case) as rig:
        return told_as(rig, lambda row: {**row, **fields})


def _of_kraken(**fields: Any) -> BrokerOrder:
    """``descr`` and what stands beside it."""
    inner = {name: fields.pop(name) for name in ("ordertype", "price", "price2") if name in fields}
    with steady(KRAKEN) as rig:
        return told_as(rig, lambda row: {**row, **fields, "descr": {**row["descr"], "price2": "0", **inner}})


def _of_coinbase(name: str, **terms: Any) -> BrokerOrder:
    fields: Row = {"order_configuration": {name: terms}}
    if "side" in terms:
        fields["side"] = terms.pop("side")
    return _told(COINBASE, **fields)


def _terms(order: BrokerOrder) -> tuple[OrderType | None, TimeInForce | None, Decimal | None, Decimal | None]:
    return order.order_type, order.tif, order.limit_price, order.stop_price


@pytest.mark.parametrize(
    ("exits", "kind"),
    [
        ([{"slTriggerPx": "1500", "slOrdPx": "-1"}], "limit"),
        ([{"tpTriggerPx": "2900", "tpOrdPx": "2900"}, {"slTriggerPx": "1500", "slOrdPx": "1490"}], "post_only"),
    ],
)
def test_exits_that_hang_on_an_order_of_okx_are_no_part_of_its_kind(exits: list[Row], kind: str) -> None:
    told = _told(OKX, px="2300", ordType=kind, attachAlgoOrds=exits)
    assert _terms(told) == (OrderType.LIMIT, _GTC, Decimal(2300), None)


def test_exits_that_hang_on_an_order_of_okx_are_listed_as_what_they_are() -> None:
    exits = [{"tpTriggerPx": "2900", "tpOrdPx": "2900"}, {"slTriggerPx": "1500", "slOrdPx": "1490"}]
    with steady(OKX) as rig:
        resting(rig)
        rewritten(rig, lambda row: {**row, "attachAlgoOrds": exits})
        found = [each for each in rig.broker.orders(rig.account_id, open_only=True) if each.held]
    assert sorted(map(_terms, found)) == [
        (OrderType.LIMIT, _GTC, Decimal(2900), None),
        (OrderType.STOP_LIMIT, _GTC, Decimal(1490), Decimal(1500)),
    ]
    assert {each.side for each in found} == {Side.SELL}


@pytest.mark.parametrize(
    ("word", "price", "terms"),
    [
        ("optimal_limit_ioc", "", (OrderType.MARKET, _IOC, None, None)),
        ("market", "", (OrderType.MARKET, _IOC, None, None)),
        ("fok", "2300", (OrderType.LIMIT, _FOK, Decimal(2300), None)),
        ("ioc", "2300", (OrderType.LIMIT, _IOC, Decimal(2300), None)),
        ("mmp_and_post_only", "2300", (OrderType.LIMIT, _GTC, Decimal(2300), None)),
        ("limit", "", (None, _GTC, None, None)),
        ("limit", "-1", (None, _GTC, None, None)),
        ("elp", "2300", (None, None, Decimal(2300), None)),
    ],
)
def test_words_of_okx(word: str, price: str, terms: tuple[Any, ...]) -> None:
    assert _terms(_told(OKX, ordType=word, px=price)) == terms


def test_a_market_order_of_okx_by_what_to_spend_has_no_quantity_in_coins() -> None:
    assert _told(OKX, ordType="market", px="", sz="500", tgtCcy="quote_ccy").quantity is None


@pytest.mark.parametrize(
    ("fields", "terms"),
    [
        ({"ordertype": "take-profit", "price": "120"}, (None, _GTC, None, Decimal(120))),
        ({"ordertype": "take-profit-limit", "price": "120", "price2": "119"}, (None, _GTC, Decimal(119), Decimal(120))),
        ({"ordertype": "stop-loss", "price": "90"}, (OrderType.STOP, _GTC, None, Decimal(90))),
        (
            {"ordertype": "stop-loss-limit", "price": "90", "price2": "89"},
            (OrderType.STOP_LIMIT, _GTC, Decimal(89), Decimal(90)),
        ),
        ({"ordertype": "stop-loss", "price": "+5.0%", "stopprice": "95"}, (OrderType.STOP, _GTC, None, Decimal(95))),
        ({"ordertype": "stop-loss", "price": "+5.0%"}, (None, _GTC, None, None)),
        ({"ordertype": "stop-loss", "price": "#150"}, (None, _GTC, None, None)),
        ({"ordertype": "settle-position", "price": "0"}, (None, _GTC, None, None)),
        ({"ordertype": "something-new", "price": "100"}, (None, _GTC, Decimal(100), None)),
        ({"ordertype": "limit", "price": "100", "expiretm": 1893456000}, (OrderType.LIMIT, None, Decimal(100), None)),
        ({"ordertype": "iceberg", "price": "100"}, (OrderType.LIMIT, _GTC, Decimal(100), None)),
    ],
)
def test_words_of_kraken(fields: Row, terms: tuple[Any, ...]) -> None:
    assert _terms(_of_kraken(**fields)) == terms


def test_a_trailing_stop_of_kraken_is_told_by_its_distance_and_where_it_stands_now() -> None:
    told = _of_kraken(ordertype="trailing-stop", price="+5.0000%", stopprice="28500.0")
    assert (told.order_type, told.trail_percent, told.trail_amount) == (OrderType.TRAIL, Decimal(5), None)
    assert (told.stop_price, told.limit_price) == (Decimal(28500), None)
    told = _of_kraken(ordertype="trailing-stop", price="+150.0", stopprice="28500.0")
    assert (told.order_type, told.trail_percent, told.trail_amount) == (OrderType.TRAIL, None, Decimal(150))
    assert _of_kraken(ordertype="trailing-stop", price="?").order_type is None
    assert _of_kraken(ordertype="trailing-stop-limit", price="+5%", price2="-1%").order_type is None


def test_a_volume_of_kraken_in_the_quote_currency_is_no_quantity_of_coins() -> None:
    assert _of_kraken(oflags="fciq,viqc", vol="300").quantity is None
    assert _of_kraken(oflags="fciq", vol="0.5").quantity == Decimal("0.5")


@pytest.mark.parametrize(
    ("fields", "terms", "percent"),
    [
        ({"type": "TAKE_PROFIT", "stopPrice": "120", "price": "0"}, (None, _GTC, None, Decimal(120)), None),
        (
            {"type": "TAKE_PROFIT_LIMIT", "stopPrice": "120", "price": "119"},
            (None, _GTC, Decimal(119), Decimal(120)),
            None,
        ),
        ({"type": "STOP_LOSS", "stopPrice": "90", "price": "0"}, (OrderType.STOP, _GTC, None, Decimal(90)), None),
        (
            {"type": "STOP_LOSS_LIMIT", "stopPrice": "90", "price": "89"},
            (OrderType.STOP_LIMIT, _GTC, Decimal(89), Decimal(90)),
            None,
        ),
        (
            {"type": "STOP_LOSS", "trailingDelta": 250, "price": "0"},
            (OrderType.TRAIL, _GTC, None, None),
            Decimal("2.5"),
        ),
        (
            {"type": "STOP_LOSS_LIMIT", "trailingDelta": 100, "price": "89", "stopPrice": "90"},
            (None, _GTC, Decimal(89), Decimal(90)),
            Decimal(1),
        ),
        ({"type": "TAKE_PROFIT", "trailingDelta": 100, "price": "0"}, (None, _GTC, None, None), Decimal(1)),
        ({"type": "LIMIT", "price": "0.00000000"}, (None, _GTC, None, None), None),
        ({"type": "LIMIT_MAKER", "price": "100"}, (OrderType.LIMIT, _GTC, Decimal(100), None), None),
        ({"type": "SOMETHING_NEW", "price": "100"}, (None, _GTC, Decimal(100), None), None),
    ],
)
def test_words_of_binance(fields: Row, terms: tuple[Any, ...], percent: Decimal | None) -> None:
    told = _told(BINANCE, **fields)
    assert (_terms(told), told.trail_percent) == (terms, percent)


@pytest.mark.parametrize(
    ("fields", "terms"),
    [
        ({"orderType": "take_profit", "stopPrice": Decimal(32000)}, (None, _GTC, Decimal(15000), Decimal(32000))),
        ({"orderType": "trailing_stop", "stopPrice": Decimal(28000)}, (None, _GTC, Decimal(15000), Decimal(28000))),
        ({"orderType": "lmt"}, (OrderType.LIMIT, _GTC, Decimal(15000), None)),
        ({"orderType": "lmt", "limitPrice": None}, (None, _GTC, None, None)),
        (
            {"orderType": "stop", "stopPrice": Decimal(31000), "limitPrice": None},
            (OrderType.STOP, _GTC, None, Decimal(31000)),
        ),
        ({"orderType": "something_new"}, (None, _GTC, Decimal(15000), None)),
    ],
)
def test_words_of_kraken_futures(fields: Row, terms: tuple[Any, ...]) -> None:
    assert _terms(_told(KRAKEN_FUTURES, **fields)) == terms


@pytest.mark.parametrize(
    ("name", "within", "terms"),
    [
        (
            "limit_limit_fok",
            {"base_size": "0.5", "limit_price": "100"},
            (OrderType.LIMIT, _FOK, Decimal(100), None),
        ),
        (
            "limit_limit_gtd",
            {"base_size": "0.5", "limit_price": "100", "end_time": "2030-01-01T00:00:00Z"},
            (OrderType.LIMIT, None, Decimal(100), None),
        ),
        ("sor_limit_ioc", {"base_size": "0.5", "limit_price": "100"}, (OrderType.LIMIT, _IOC, Decimal(100), None)),
        ("market_market_fok", {"base_size": "0.5"}, (OrderType.MARKET, _FOK, None, None)),
        (
            "trigger_bracket_gtd",
            {"base_size": "0.5", "limit_price": "120", "stop_trigger_price": "90", "end_time": "2030-01-01T00:00:00Z"},
            (None, None, Decimal(120), Decimal(90)),
        ),
        ("twap_limit_gtd", {"base_size": "0.5", "limit_price": "100"}, (None, None, Decimal(100), None)),
        ("scaled_limit_gtc", {"base_size": "0.5", "min_price": "90", "max_price": "100"}, (None, _GTC, None, None)),
        ("something_new_gtc", {"base_size": "0.5", "limit_price": "100"}, (None, _GTC, Decimal(100), None)),
        (
            "stop_limit_stop_limit_gtd",
            {"base_size": "0.5", "limit_price": "99", "stop_price": "98", "stop_direction": "STOP_DIRECTION_STOP_UP"},
            (OrderType.STOP_LIMIT, None, Decimal(99), Decimal(98)),
        ),
        (
            "stop_limit_stop_limit_gtc",
            {"base_size": "0.5", "limit_price": "99", "stop_price": "98", "stop_direction": "STOP_DIRECTION_STOP_DOWN"},
            (None, _GTC, Decimal(99), Decimal(98)),
        ),
    ],
)
def test_configurations_of_coinbase(name: str, within: Row, terms: tuple[Any, ...]) -> None:
    told = _of_coinbase(name, **within)
    assert (_terms(told), told.quantity, told.side) == (terms, Decimal("0.5"), Side.BUY)


def test_a_side_that_nobody_knows_is_left_open() -> None:
    assert _told(COINBASE, side="UNKNOWN_ORDER_SIDE").side is None


@pytest.mark.parametrize(
    ("side", "kind", "options", "terms"),
    [
        ("Buy", "ioc", {"triggerSide": "TRIGGER_ABOVE"}, (OrderType.STOP, _GTC, None, Decimal(31000))),
        ("Buy", "lmt", {"triggerSide": "TRIGGER_ABOVE"}, (OrderType.STOP_LIMIT, _GTC, Decimal(100), Decimal(31000))),
        ("Buy", "ioc", {"triggerSide": "TRIGGER_BELOW"}, (None, _GTC, None, Decimal(31000))),
        ("Sell", "lmt", {"triggerSide": "TRIGGER_ABOVE"}, (None, _GTC, Decimal(100), Decimal(31000))),
        ("Sell", "ioc", {"triggerSide": "TRIGGER_BELOW"}, (OrderType.STOP, _GTC, None, Decimal(31000))),
        (
            "Sell",
            "ioc",
            {"triggerSide": "TRIGGER_BELOW", "trailingStopOptions": {"maxDeviation": "2", "unit": "PERCENT"}},
            (OrderType.TRAIL, _GTC, None, Decimal(31000)),
        ),
        (
            "Sell",
            "lmt",
            {"triggerSide": "TRIGGER_BELOW", "trailingStopOptions": {"maxDeviation": "2", "unit": "PERCENT"}},
            (None, _GTC, Decimal(100), Decimal(31000)),
        ),
        (
            "Sell",
            "ioc",
            {"triggerSide": "TRIGGER_BELOW", "trailingStopOptions": {"maxDeviation": "2", "unit": "LEAGUES"}},
            (None, _GTC, None, Decimal(31000)),
        ),
    ],
)
def test_triggers_in_the_history_of_kraken_futures(side: str, kind: str, options: Row, terms: tuple[Any, ...]) -> None:
    ours = "11111111-2222-3333-4444-555555555555"
    order = {"uid": "t", "tradeable": "PF_XBTUSD", "direction": side, "quantity": "1", "filled": "0", "clientId": ours,
             "limitPrice": "100", "orderType": kind, "timestamp": 1_900_000_000_000, "reduceOnly": False,
             "triggerOptions": {"triggerPrice": "31000", "trailingStopOptions": None, **options}}  # fmt: skip
    event = {"OrderTriggerCancelled": {"order": order, "reason": "cancelled_by_user"}}
    with steady(KRAKEN_FUTURES) as rig:
        row = {"uid": "e", "timestamp": 1_900_000_000_000, "event": event}
        answers(rig, "/v2/triggers", (200, {"elements": [row], "len": 1}))
        found = rig.broker.order(rig.account_id, ours.replace("-", ""))
        assert found is not None
        assert (_terms(found), found.reason) == (terms, "cancelled_by_user")
