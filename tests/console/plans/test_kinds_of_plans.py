"""Each kind of plan: what it takes, what it shows, and which orders it makes."""

from dataclasses import replace
from datetime import timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Any

import pytest

from brokers.paper.models import PaperOrder
from brokers.types import Bar, Position, Side
from console.accounts.models import User
from console.connections import broker_access
from console.connections import services as connections
from console.connections.models import Connection, Policy
from console.errors import Code, Refusal
from console.halts.services import Proof
from console.orders.models import Order
from console.orders.owner.approvals import Evidence
from console.orders.states import Status
from console.orders.transitions import order_state
from console.plans import deciding, execution, preparing, transitions
from console.plans.models import PlanChild, PlanKind, TradingPlan
from console.plans.preparing import PlanWish
from console.plans.states import PlanStatus
from console.principal import Principal
from tests.clock import Clock
from tests.console.plans.steps import go_on, now_of, sent, started, statuses, trade, twap
from tests.watched_broker import Watch, WatchedBroker

pytestmark = pytest.mark.django_db


def market(trader: Principal) -> Decimal:
    with broker_access.broker_for(trader) as broker:
        return broker.quotes(["BTC/USD"])[0].bid


def step_of(trader: Principal) -> Decimal:
    return (market(trader) / 20).to_integral_value()


def grid(trader: Principal, **more: Any) -> PlanWish:
    """Five levels a twentieth of the price apart, three of which lie below the market."""
    middle, step = market(trader).to_integral_value(ROUND_DOWN) - 1, step_of(trader)
    given: dict[str, Any] = {
        "kind": PlanKind.GRID,
        "symbol": "BTC/USD",
        "quantity": Decimal("0.01"),
        "lower": middle - 2 * step,
        "upper": middle + 2 * step,
        "levels": 5,
        "minutes": 1440,
    }
    return PlanWish(**given | more)


def fill(plan: TradingPlan, number: int) -> None:
    """As the market does."""
    order = PlanChild.objects.get(plan=plan, number=number).order
    assert order is not None
    PaperOrder.objects.filter(client_order_id=order.wire_id).update(
        status="filled", filled_quantity=order.quantity, average_price=order.limit_price
    )
    order_state.move(
        order, Status.FILLED, "Filled.", "broker", "", filled_quantity=order.quantity, average_price=order.limit_price
    )


def orders(plan: TradingPlan) -> list[tuple[str, Decimal | None]]:
    found = PlanChild.objects.filter(plan=plan).order_by("number")
    return [(each.side, each.limit_price) for each in found]


def test_a_grid_begins_by_buying_below_the_market(clock: Clock, trader: Principal) -> None:
    wish = grid(trader)
    assert wish.lower is not None
    plan = started(trader, wish)
    execution.sweep()
    below = [wish.lower + number * step_of(trader) for number in range(3)]
    assert [(each.side, each.limit_price) for each in sent(plan)] == [("BUY", price) for price in reversed(below)]
    assert all(each.status == Status.WORKING for each in Order.objects.filter(plan_child__plan=plan))


def test_what_a_grid_bought_is_offered_one_level_above_and_bought_again_below(clock: Clock, trader: Principal) -> None:
    trade(trader, "0.05")
    plan = started(trader, grid(trader))
    execution.sweep()
    (_, bought), *rest = orders(plan)
    assert bought is not None
    fill(plan, 1)
    execution.sweep()
    assert orders(plan)[len(rest) + 1 :] == [("SELL", bought + step_of(trader))]
    assert sent(plan)[-1].side == "SELL"
    fill(plan, len(rest) + 2)
    execution.sweep()
    assert orders(plan)[len(rest) + 2 :] == [("BUY", bought)]


@pytest.mark.parametrize(("held", "offered"), [("0.05", "0.01"), ("0.00995", "0.00995"), ("-0.02", None), (None, None)])
def test_a_grid_offers_what_it_bought_as_far_as_it_is_there_and_turns_no_position(
    clock: Clock,
    trader: Principal,
    watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
    held: str | None,
    offered: str | None,
) -> None:
    """A fee may have been taken from it in coins; its owner may have sold it."""
    trade(trader, "0.05")
    plan = started(trader, grid(trader))
    execution.sweep()
    fill(plan, 1)
    read = WatchedBroker.positions

    def told(self: WatchedBroker, account_id: str) -> list[Position]:
        there = read(self, account_id)
        return [] if held is None else [replace(each, quantity=Decimal(held)) for each in there]

    with monkeypatch.context() as patched:
        patched.setattr(WatchedBroker, "positions", told)
        execution.sweep()
        selling = [each.quantity for each in sent(plan) if each.side == "SELL"]
        assert selling == ([] if offered is None else [Decimal(offered)])
        if offered is None:
            assert statuses(plan)[-1] == "waiting"
    if offered is None:  # its broker told of the fill before it told of the position
        go_on(clock, seconds=30)
        assert [each.quantity for each in sent(plan) if each.side == "SELL"] == [Decimal("0.01")]


def test_what_a_grid_cannot_offer_for_minutes_is_skipped(
    clock: Clock, trader: Principal, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    trade(trader, "0.05")
    plan = started(trader, grid(trader))
    execution.sweep()
    fill(plan, 1)
    monkeypatch.setattr(WatchedBroker, "positions", lambda self, account_id: [])
    for _ in range(12):
        go_on(clock, seconds=30)
    assert statuses(plan)[-1] == "skipped"
    assert [each.side for each in sent(plan) if each.side == "SELL"] == []


def test_a_grid_never_makes_more_orders_than_were_confirmed(clock: Clock, trader: Principal) -> None:
    trade(trader, "0.05")
    first = len(preparing.prepare_plan(trader, grid(trader)).confirmation.terms["children"])
    plan = started(trader, grid(trader, most_orders=first))
    execution.sweep()
    fill(plan, 1)
    execution.sweep()
    assert len(sent(plan)) == now_of(plan).released_orders == first
    assert now_of(plan).state is PlanStatus.STOPPED


def test_nothing_follows_where_the_plan_ended_while_that_was_worked_out(clock: Clock, trader: Principal) -> None:
    plan = started(trader, grid(trader))
    execution.sweep()
    before = orders(plan)
    child = PlanChild.objects.get(plan=plan, number=1)
    deciding.cancel(now_of(plan), by="Claude")
    follower = {"side": Side.SELL, "order_type": "LMT", "quantity": Decimal(1), "limit_price": Decimal(1), "level": 1}
    assert transitions.follow_up(child, "Ended.", {}, follower)
    assert orders(plan) == before
    assert PlanChild.objects.get(pk=child.pk).status == "done"


def test_the_end_of_a_grid_takes_its_open_orders_back(clock: Clock, trader: Principal) -> None:
    plan = started(trader, grid(trader))
    execution.sweep()
    go_on(clock, minutes=1441)
    assert now_of(plan).state is PlanStatus.DONE
    assert not Order.objects.filter(plan_child__plan=plan, cancel_requested_at=None).exists()


def test_a_grid_that_is_resumed_places_again_what_its_pause_took_back(clock: Clock, trader: Principal) -> None:
    plan = started(trader, grid(trader))
    execution.sweep()
    before = orders(plan)
    deciding.pause(now_of(plan), by="Claude")
    execution.sweep()
    for order in Order.objects.filter(plan_child__plan=plan):
        PaperOrder.objects.filter(client_order_id=order.wire_id).update(status="cancelled")
        order_state.move(order, Status.CANCELLED, "Cancelled.", "broker", "")
    execution.sweep()
    assert orders(plan) == before * 2
    assert len(sent(plan)) == len(before)


def test_an_app_that_ends_its_plan_leaves_what_guards_a_position_to_its_owner(
    clock: Clock, owner: User, paper: Connection, trader: Principal
) -> None:
    trade(trader, "0.05")
    connections.set_policy(paper, Policy.OWNER_APPROVAL, by=owner)
    for user, stays in ((None, True), (owner, False)):
        plan = preparing.prepare_plan(trader, grid(trader))
        password = Evidence(proof=Proof.PASSWORD, label="the password")
        deciding.approve(plan, by=owner, evidence=password, seen=plan.confirmation.terms_digest)
        execution.sweep()
        fill(plan, 1)
        execution.sweep()
        deciding.cancel(now_of(plan), by="Claude", user=user)
        execution.sweep()
        left = Order.objects.filter(plan_child__plan=plan, status=Status.WORKING, cancel_requested_at=None)
        assert list(left.values_list("side", flat=True)) == (["SELL"] if stays else [])


@pytest.mark.parametrize("resumed", [False, True])
def test_what_an_app_left_to_the_owner_ends_with_the_owners_cancel(
    clock: Clock, owner: User, paper: Connection, trader: Principal, resumed: bool
) -> None:
    trade(trader, "0.05")
    connections.set_policy(paper, Policy.OWNER_APPROVAL, by=owner)
    plan = preparing.prepare_plan(trader, grid(trader))
    password = Evidence(proof=Proof.PASSWORD, label="the password")
    deciding.approve(plan, by=owner, evidence=password, seen=plan.confirmation.terms_digest)
    execution.sweep()
    fill(plan, 1)
    execution.sweep()
    assert deciding.pause(now_of(plan), by="Claude")
    execution.sweep()
    left = Order.objects.filter(plan_child__plan=plan, status=Status.WORKING, cancel_requested_at=None)
    assert [each.side for each in left] == ["SELL"]
    if resumed:
        assert deciding.resume(now_of(plan), by=owner, evidence=password)
    assert deciding.cancel(now_of(plan), by=owner.email, user=owner)
    execution.sweep()
    assert not left.all().exists()


def test_a_recurring_order_goes_on_its_days(clock: Clock, trader: Principal) -> None:
    wish = PlanWish(kind=PlanKind.DCA, symbol="BTC/USD", notional=Decimal(100), every="day", orders=3)
    plan = started(trader, wish)
    first = PlanChild.objects.get(plan=plan, number=1).due_at
    assert first is not None
    go_on(clock, seconds=(first - clock.now).total_seconds() + 1)
    assert len(sent(plan)) == 1
    for _ in range(2):
        go_on(clock, days=1)
    execution.sweep()
    assert len(sent(plan)) == 3
    assert now_of(plan).state is PlanStatus.DONE


@pytest.mark.parametrize(
    ("more", "field", "code"),
    [
        ({"side": None}, "side", Code.MISSING_ARGUMENT),
        ({"quantity": None}, "quantity", Code.MISSING_ARGUMENT),
        ({"levels": 5}, "levels", Code.INVALID_ARGUMENT),
        ({"orders": 1}, "orders", Code.INVALID_ARGUMENT),
        ({"orders": 400, "minutes": 5}, "orders", Code.INVALID_ARGUMENT),
        ({"quantity": Decimal("0.000000001")}, "quantity", Code.INVALID_ARGUMENT),
        ({"most_value": Decimal(0)}, "most_value", Code.INVALID_ARGUMENT),
        ({"silent_minutes": 1}, "silent_minutes", Code.INVALID_ARGUMENT),
        ({"symbol": "NOSUCH"}, "", Code.UNKNOWN_SYMBOL),
    ],
)
def test_what_makes_no_plan_is_refused_and_names_the_argument(
    clock: Clock, trader: Principal, more: dict[str, Any], field: str, code: Code
) -> None:
    with pytest.raises(Refusal) as refused:
        preparing.prepare_plan(trader, replace(twap(), **more))
    assert (refused.value.field, refused.value.code) == (field, code)
    assert TradingPlan.objects.count() == 0


def test_an_exit_needs_a_position(clock: Clock, trader: Principal) -> None:
    with pytest.raises(Refusal) as refused:
        preparing.prepare_plan(trader, PlanWish(kind=PlanKind.TIME_EXIT, symbol="BTC/USD", minutes=5))
    assert refused.value.code is Code.NO_POSITION


def test_a_vwap_takes_most_when_most_is_traded(
    clock: Clock, trader: Principal, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = clock.now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=2)
    busy = start + timedelta(minutes=30)

    def bars(self: object, symbol: str, size: object, **given: Any) -> list[Bar]:
        found = []
        for day in range(1, 6):
            for minutes in (0, 15, 30, 45):
                at = start + timedelta(minutes=minutes) - timedelta(days=day)
                volume = Decimal(30 if at + timedelta(days=day) == busy else 10)
                price = Decimal(100)
                found.append(Bar(start=at, open=price, high=price, low=price, close=price, volume=volume))
        return sorted(found, key=lambda bar: bar.start)

    monkeypatch.setattr(WatchedBroker, "bars", bars)
    wish = twap(kind=PlanKind.VWAP, quantity=Decimal("0.6"), orders=4, minutes=45, start=start)
    plan = preparing.prepare_plan(trader, wish)
    sizes = [each.quantity for each in PlanChild.objects.filter(plan=plan)]
    assert sizes == [Decimal("0.1"), Decimal("0.1"), Decimal("0.3"), Decimal("0.1")]
    assert "by the volume of the last 7 days" in plan.confirmation.terms["summary"]
    monkeypatch.setattr(WatchedBroker, "bars", lambda self, symbol, size, **given: [])
    with pytest.raises(Refusal) as refused:
        preparing.prepare_plan(trader, wish)
    assert (refused.value.code, refused.value.field) == (Code.NOT_OFFERED_BY_BROKER, "kind")


def test_the_parts_of_a_twap_add_up_to_the_last_lot(clock: Clock, trader: Principal) -> None:
    plan = preparing.prepare_plan(trader, twap(quantity=Decimal("0.10000001"), orders=7, side=Side.BUY))
    sizes = [each.quantity for each in PlanChild.objects.filter(plan=plan)]
    assert sum(size for size in sizes if size is not None) == Decimal("0.10000001")
