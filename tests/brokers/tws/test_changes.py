"""An order is changed at TWS under its own number; what refuses a change leaves it as it was and says so."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from brokers.errors import (
    BrokerError,
    InsufficientFunds,
    InvalidAccount,
    InvalidOrder,
    NotCancellable,
    NotSupported,
    OrderNotFound,
    Rejected,
    UnknownOutcome,
)
from brokers.tws.adapter import TwsBroker
from brokers.types import (
    BrokerOrder,
    BrokerStatus,
    OrderChanges,
    OrderClass,
    OrderRequest,
    OrderType,
    Side,
    TimeInForce,
)
from tests.brokers.faults import Fault
from tests.brokers.paper.support import new_id, order
from tests.brokers.tws.fake import ACCOUNT, FakeTws
from tests.brokers.tws.steps import SYMBOL, bracket, leg, opened_anew

CHEAPER = OrderChanges(limit_price=Decimal(99))


def _resting(tws: TwsBroker, **terms: Any) -> OrderRequest:
    asked = replace(order("BUY", "2", SYMBOL, limit="100"), **terms)
    tws.submit(ACCOUNT, asked)
    return asked


def _found(tws: TwsBroker, client_order_id: str) -> BrokerOrder:
    told = tws.order(ACCOUNT, client_order_id)
    assert told is not None
    return told


def _trail(**terms: str) -> dict[str, Any]:
    distance = {name: Decimal(value) for name, value in terms.items()}
    return {"side": Side.SELL, "order_type": OrderType.TRAIL, "limit_price": None, **distance}


@pytest.mark.parametrize("fresh", [False, True])
@pytest.mark.parametrize(
    ("terms", "changes"),
    [
        ({}, {"limit_price": "99.5", "quantity": "5"}),
        ({"order_type": OrderType.STOP, "limit_price": None, "stop_price": Decimal(200)}, {"stop_price": "201"}),
        (
            {"order_type": OrderType.STOP_LIMIT, "limit_price": Decimal(202), "stop_price": Decimal(200)},
            {"stop_price": "201", "limit_price": "203"},
        ),
        (_trail(trail_amount="5"), {"trail_amount": "6.5"}),
        (_trail(trail_percent="2.5"), {"trail_percent": "3.25"}),
        (_trail(trail_percent="2.5"), {"quantity": "3"}),
    ],
)
def test_every_term_is_changed_in_place_and_reads_back_to_the_digit(
    tws: TwsBroker, fake: FakeTws, terms: dict[str, Any], changes: dict[str, str], fresh: bool
) -> None:
    asked = _resting(tws, **terms)
    before = _found(tws, asked.client_order_id)
    broker = opened_anew(fake) if fresh else tws
    wanted: dict[str, Any] = {name: Decimal(value) for name, value in changes.items()}
    after = broker.replace(ACCOUNT, asked.client_order_id, OrderChanges(**wanted), new_id())
    for told in (after, _found(broker, asked.client_order_id), _found(opened_anew(fake), asked.client_order_id)):
        assert (told.client_order_id, told.broker_order_id) == (asked.client_order_id, before.broker_order_id)
        assert told.status is BrokerStatus.WORKING
        for name in ("quantity", "limit_price", "stop_price", "trail_amount", "trail_percent"):
            assert getattr(told, name) == wanted.get(name, getattr(asked, name))
    assert len({said[1] for said in fake.sent}) == 1


@pytest.mark.parametrize("fresh", [False, True])
def test_each_order_of_a_bracket_is_changed_by_itself_and_keeps_its_place(
    tws: TwsBroker, fake: FakeTws, fresh: bool
) -> None:
    asked = bracket()
    tws.submit(ACCOUNT, asked)
    profit, stop = (each.client_order_id for each in asked.legs)
    broker = opened_anew(fake) if fresh else tws
    for name, changes in {
        asked.client_order_id: OrderChanges(limit_price=Decimal(101)),
        profit: OrderChanges(limit_price=Decimal(310)),
        stop: OrderChanges(stop_price=Decimal(85)),
    }.items():
        before = _found(broker, name)
        after = broker.replace(ACCOUNT, name, changes)
        assert (after.held, after.parent_client_order_id) == (before.held, before.parent_client_order_id)
        told = _found(broker, name)
        assert (told.limit_price or None, told.stop_price) == (changes.limit_price, changes.stop_price)
        assert (told.held, told.parent_client_order_id) == (before.held, before.parent_client_order_id)
    fake.fill(asked.client_order_id)
    broker.replace(ACCOUNT, stop, OrderChanges(stop_price=Decimal(86)))
    fake.fill(profit)
    listed = [each.client_order_id for each in broker.orders(ACCOUNT, open_only=True)]
    assert listed == []


def test_an_exit_alone_is_changed_and_still_waits(tws: TwsBroker) -> None:
    asked = bracket(leg(OrderType.TRAIL, trail_percent="2.5"), kind=OrderClass.OTO)
    tws.submit(ACCOUNT, asked)
    exit_id = asked.legs[0].client_order_id
    tws.replace(ACCOUNT, exit_id, OrderChanges(trail_percent=Decimal(4)))
    told = _found(tws, exit_id)
    assert (told.held, told.trail_percent, told.parent_client_order_id) == (True, Decimal(4), asked.client_order_id)


@pytest.mark.parametrize("which", [0, 1, 2])
def test_the_quantity_of_one_order_of_a_bracket_is_not_changed_alone(tws: TwsBroker, fake: FakeTws, which: int) -> None:
    asked = bracket()
    tws.submit(ACCOUNT, asked)
    name = (asked.client_order_id, *(each.client_order_id for each in asked.legs))[which]
    with pytest.raises(NotSupported, match="its exits"):
        tws.replace(ACCOUNT, name, OrderChanges(quantity=Decimal(1)))
    assert len(fake.sent) == 3


@pytest.mark.parametrize(
    ("terms", "changes", "kind"),
    [
        ({}, OrderChanges(tif=TimeInForce.DAY), NotSupported),
        ({}, OrderChanges(stop_price=Decimal(90)), InvalidOrder),
        ({}, OrderChanges(trail_amount=Decimal(1)), InvalidOrder),
        (_trail(trail_amount="5"), OrderChanges(trail_percent=Decimal(1)), InvalidOrder),
        (_trail(trail_percent="5"), OrderChanges(trail_amount=Decimal(1)), InvalidOrder),
        (_trail(trail_percent="5"), OrderChanges(stop_price=Decimal(180)), InvalidOrder),
        (_trail(trail_percent="5"), OrderChanges(limit_price=Decimal(180)), InvalidOrder),
        ({}, OrderChanges(limit_price=Decimal("99.001")), InvalidOrder),
        ({}, OrderChanges(quantity=Decimal("1.5")), InvalidOrder),
        ({}, OrderChanges(quantity=Decimal(0)), InvalidOrder),
    ],
)
def test_what_cannot_be_changed_is_refused_by_name_and_nothing_is_sent(
    tws: TwsBroker, fake: FakeTws, terms: dict[str, Any], changes: OrderChanges, kind: type[Rejected]
) -> None:
    asked = _resting(tws, **terms)
    with pytest.raises(kind):
        tws.replace(ACCOUNT, asked.client_order_id, changes)
    assert len(fake.sent) == 1


def test_an_order_of_another_client_id_is_refused_by_name(tws: TwsBroker, fake: FakeTws) -> None:
    asked = _resting(tws)
    fake.orders[asked.client_order_id]["client"] = 8
    with pytest.raises(NotSupported, match="Client id 8 placed this order"):
        opened_anew(fake).replace(ACCOUNT, asked.client_order_id, CHEAPER)
    assert len(fake.sent) == 1


def test_an_order_that_was_not_placed_from_here_is_left_as_it_is(tws: TwsBroker, fake: FakeTws) -> None:
    asked = _resting(tws, client_order_id="from a script")
    with pytest.raises(NotSupported, match="not placed from here"):
        tws.replace(ACCOUNT, asked.client_order_id, CHEAPER)
    assert len(fake.sent) == 1


def test_an_account_that_is_not_of_this_connection_changes_nothing(tws: TwsBroker, fake: FakeTws) -> None:
    asked = _resting(tws)
    with pytest.raises(InvalidAccount):
        tws.replace("DU7654321", asked.client_order_id, CHEAPER)
    fake.orders[asked.client_order_id]["account"] = "DU7654321"
    with pytest.raises(OrderNotFound):
        opened_anew(fake).replace(ACCOUNT, asked.client_order_id, CHEAPER)
    assert len(fake.sent) == 1


@pytest.mark.parametrize("fresh", [False, True])
def test_what_has_filled_is_not_changed(tws: TwsBroker, fake: FakeTws, fresh: bool) -> None:
    asked = _resting(tws)
    fake.fill(asked.client_order_id)
    with pytest.raises(NotCancellable):
        (opened_anew(fake) if fresh else tws).replace(ACCOUNT, asked.client_order_id, CHEAPER)
    assert len(fake.sent) == 1


def test_of_a_partly_filled_order_the_price_is_changed_and_the_quantity_is_not(tws: TwsBroker, fake: FakeTws) -> None:
    asked = _resting(tws)
    fake.orders[asked.client_order_id]["filled"] = Decimal(1)
    with pytest.raises(InvalidOrder) as refused:
        tws.replace(ACCOUNT, asked.client_order_id, OrderChanges(quantity=Decimal(5)))
    assert refused.value.field == "quantity"
    after = tws.replace(ACCOUNT, asked.client_order_id, CHEAPER)
    assert (after.status, after.filled_quantity) == (BrokerStatus.PARTIALLY_FILLED, Decimal(1))
    assert _found(tws, asked.client_order_id).limit_price == Decimal(99)


def test_an_order_that_waits_for_shares_to_borrow_is_changed(tws: TwsBroker, fake: FakeTws) -> None:
    """TWS calls it inactive, which ib_async takes for an end."""
    asked = _resting(tws, side=Side.SELL)
    fake.orders[asked.client_order_id] |= {"status": "Inactive", "listed": True, "why_held": "locate"}
    assert tws.replace(ACCOUNT, asked.client_order_id, CHEAPER).limit_price == Decimal(99)
    assert _found(tws, asked.client_order_id).limit_price == Decimal(99)


def test_an_order_that_fills_before_its_change_comes_is_told_as_filled(tws: TwsBroker, fake: FakeTws) -> None:
    asked = _resting(tws)
    fake.fills_before_change = True
    with pytest.raises(NotCancellable, match="already filled"):
        tws.replace(ACCOUNT, asked.client_order_id, CHEAPER)
    assert _found(tws, asked.client_order_id).status is BrokerStatus.FILLED


@pytest.mark.parametrize(
    ("code", "words", "kind"),
    [
        (103, "Duplicate order id", Rejected),
        (105, "Order being modified does not match original order.", Rejected),
        (110, "The price does not conform to the minimum price variation for this contract.", InvalidOrder),
        (134, "Modify order failed.", Rejected),
        (135, "Can't find order with id = 7", NotCancellable),
        (161, "Cancel attempted when order is not in a cancellable state.", NotCancellable),
        (201, "Order rejected - reason:The margin is too small.", InsufficientFunds),
        (321, "Error validating request.", Rejected),
        (329, "Order modify failed. Cannot change to the new order type.", Rejected),
        (2102, "Unable to modify this order as it is still being processed.", Rejected),
        (10147, "OrderId 7 that needs to be cancelled is not found.", NotCancellable),
        (10326, "OCA group revision is not allowed.", Rejected),
    ],
)
def test_a_refused_change_says_why_and_leaves_the_order_as_it_stands(
    tws: TwsBroker, fake: FakeTws, code: int, words: str, kind: type[BrokerError]
) -> None:
    asked = _resting(tws)
    fake.not_changed = (code, words)
    with pytest.raises(Rejected, match="stands as it was") as refused:
        tws.replace(ACCOUNT, asked.client_order_id, CHEAPER)
    assert isinstance(refused.value, kind)
    assert words.rstrip(".") in str(refused.value)
    for fresh in (False, True):
        told = _found(opened_anew(fake) if fresh else tws, asked.client_order_id)
        assert (told.status, told.limit_price) == (BrokerStatus.WORKING, Decimal(100))
    fake.not_changed = None
    assert opened_anew(fake).replace(ACCOUNT, asked.client_order_id, CHEAPER).limit_price == Decimal(99)


@pytest.mark.parametrize("notice", [(399, "It will not be placed before 09:30."), (10349, "TIF was set by a preset.")])
def test_a_notice_before_a_change_is_no_refusal(tws: TwsBroker, fake: FakeTws, notice: tuple[int, str]) -> None:
    asked = _resting(tws)
    fake.notices = [notice]
    assert tws.replace(ACCOUNT, asked.client_order_id, CHEAPER).limit_price == Decimal(99)
    told = _found(tws, asked.client_order_id)
    assert (told.status, told.limit_price) == (BrokerStatus.WORKING, Decimal(99))


def test_a_refused_change_that_is_shown_all_the_same_is_uncertain(tws: TwsBroker, fake: FakeTws) -> None:
    asked = _resting(tws)
    fake.not_changed, fake.shows_refused = (201, "Order rejected - reason:Too late."), True
    with pytest.raises(UnknownOutcome):
        tws.replace(ACCOUNT, asked.client_order_id, CHEAPER)


def test_a_change_that_is_not_confirmed_is_uncertain_and_says_what_tws_said(tws: TwsBroker, fake: FakeTws) -> None:
    asked = _resting(tws)
    fake.notices, fake.takes = [(399, "It waits for the market to open.")], False
    with pytest.raises(UnknownOutcome, match="It waits for the market to open"):
        tws.replace(ACCOUNT, asked.client_order_id, CHEAPER)


@pytest.mark.parametrize("made", [False, True])
@pytest.mark.parametrize("changes", [{"trail_percent": "4"}, {"quantity": "3"}])
def test_a_change_without_an_answer_is_found_made_or_not_made_by_the_next_look(
    tws: TwsBroker, fake: FakeTws, made: bool, changes: dict[str, str]
) -> None:
    """ib_async does not by itself take over how far an order trails."""
    asked = _resting(tws, **_trail(trail_percent="2.5"))
    wanted: dict[str, Any] = {name: Decimal(value) for name, value in changes.items()}
    fake.faults.set(Fault(kind="hang", effect=made, method="SEND", path="change"))
    with pytest.raises(UnknownOutcome, match="may have been made"):
        tws.replace(ACCOUNT, asked.client_order_id, OrderChanges(**wanted))
    for fresh in (False, True):
        told = _found(opened_anew(fake) if fresh else tws, asked.client_order_id)
        for name in ("trail_percent", "quantity"):
            expected = wanted.get(name) if made else None
            assert getattr(told, name) == (expected or getattr(asked, name))
    assert len(fake.sent) == 2
