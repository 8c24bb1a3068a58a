"""No order goes over a limit of its connection or its app: not when it is prepared, not when it is released."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from brokers.errors import BrokerUnavailable
from brokers.paper.adapter import PaperBroker
from brokers.types import AssetClass, Instrument, OrderChanges, Position, Side, TimeInForce
from console import limits
from console.accounts.models import User
from console.authority import bearer
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections import services as connections
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.keys import minting
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.checks import daily_usage
from console.orders.models import Action, Order
from console.orders.states import Status
from console.orders.terms import Terms
from console.principal import Principal
from console.scopes import Scope
from tests.clock import Clock
from tests.console.orders.conftest import bitcoin
from tests.watched_broker import Watch

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["connection", "app"])
def limit(request: pytest.FixtureRequest, trader: Principal, paper: Connection, owner: User) -> Callable[..., None]:
    """Set limits on the connection, or on the app."""

    def set_(**given: Any) -> None:
        if request.param == "connection":
            connections.set_limits(Connection.objects.get(pk=paper.pk), limits.parse(given), by=owner, may_widen=True)
        else:
            app = ConnectedApp.objects.get(pk=trader.app_id)
            grants.set_limits(app, limits.parse(given), by=owner, may_widen=True)

    return set_


def resting(price: str = "100", quantity: str = "1", side: Side = Side.BUY) -> Terms:
    """Far below the market: it rests, and comes to exactly price times quantity."""
    return bitcoin(quantity, side, limit=price)


def refused(act: Callable[[], object]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        act()
    return caught.value


def go(trader: Principal, terms: Terms) -> Order:
    return order_actions.confirm(trader, preparing.prepare(trader, terms).confirmation.public_id)


# Limits, the order that goes over them, and how it is told.
OVER: list[tuple[dict[str, Any], Terms, Code]] = [
    ({"order_notional": "99.99"}, resting(), Code.LIMIT_EXCEEDED),
    ({"daily_notional": "99.99"}, resting(), Code.LIMIT_EXCEEDED),
    ({"position_value": "99.99"}, resting(), Code.LIMIT_EXCEEDED),
    ({"equity_share": "0.09"}, resting(), Code.LIMIT_EXCEEDED),
    ({"symbols": ["AAPL"]}, resting(), Code.OUTSIDE_LIMITS),
    ({"denied_symbols": ["btc/usd"]}, resting(), Code.OUTSIDE_LIMITS),
    ({"asset_classes": ["stock", "etf"]}, resting(), Code.OUTSIDE_LIMITS),
    ({"order_types": ["MKT"]}, resting(), Code.OUTSIDE_LIMITS),
    ({"price_collar": "1"}, resting("9999999", "0.0001"), Code.PRICE_OUTSIDE_COLLAR),
]
IDS = [next(iter(case[0])) for case in OVER]


@pytest.mark.parametrize(("given", "terms", "code"), OVER, ids=IDS)
def test_it_is_refused_when_it_is_prepared(
    trader: Principal, limit: Callable[..., None], watch: Watch, given: dict[str, Any], terms: Terms, code: Code
) -> None:
    limit(**given)
    assert refused(lambda: preparing.prepare(trader, terms)).code is code
    assert Order.objects.count() == 0


@pytest.mark.parametrize(("given", "terms", "code"), OVER, ids=IDS)
def test_and_when_it_is_released_under_limits_set_since(
    trader: Principal, limit: Callable[..., None], watch: Watch, given: dict[str, Any], terms: Terms, code: Code
) -> None:
    prepared = preparing.prepare(trader, terms)
    limit(**given)
    assert refused(lambda: order_actions.confirm(trader, prepared.confirmation.public_id)).code is code
    assert watch.submitted == []
    prepared.order.refresh_from_db()
    assert prepared.order.state in (Status.DENIED, Status.AWAITING)


@pytest.mark.parametrize(
    "given",
    [
        {"order_notional": "100"},
        {"daily_notional": "100"},
        {"position_value": "100"},
        {"equity_share": "0.1"},
        {"symbols": ["BTC/USD"]},
        {"asset_classes": ["crypto"]},
        {"order_types": ["LMT"]},
        {"orders_per_minute": 1},
        {"daily_loss": "1"},
        {"trading_hours_only": True},
        {"price_collar": "0.1"},
    ],
    ids=lambda given: next(iter(given)),
)
def test_exactly_up_to_the_limit_it_goes(trader: Principal, limit: Callable[..., None], given: dict[str, Any]) -> None:
    limit(**given)
    assert go(trader, resting()).state is Status.WORKING


def test_a_refusal_says_which_limit_what_is_used_what_is_left_and_when_again(
    trader: Principal, paper: Connection, owner: User, clock: Clock
) -> None:
    connections.set_limits(paper, limits.parse({"daily_notional": "250"}), by=owner)
    go(trader, resting())
    refusal = refused(lambda: preparing.prepare(trader, resting(quantity="2")))
    assert refusal.limit == {
        "name": "daily_notional",
        "of": "the connection Practice",
        "value": "250",
        "unit": "USD",
        "used": "100",
        "headroom": "150",
    }
    tomorrow = clock.now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() + 86400
    assert refusal.retry_after == pytest.approx(tomorrow - clock.now.timestamp(), abs=2)
    assert "Used: 100 USD, left: 150 USD. This order needs 200 USD. Nothing was sent." in str(refusal)


def test_the_day_begins_anew_at_midnight_utc(trader: Principal, paper: Connection, owner: User, clock: Clock) -> None:
    clock.now = clock.now.replace(hour=23, minute=59, second=0)
    connections.set_limits(paper, limits.parse({"daily_notional": "150"}), by=owner)
    go(trader, resting())
    assert refused(lambda: preparing.prepare(trader, resting())).code is Code.LIMIT_EXCEEDED
    clock.advance(seconds=61)
    assert go(trader, resting()).state is Status.WORKING


def test_an_order_of_an_earlier_day_counts_today_once_it_is_made_larger(
    trader: Principal, paper: Connection, owner: User, clock: Clock
) -> None:
    connections.set_limits(paper, limits.parse({"daily_notional": "250"}), by=owner)
    order = go(trader, replace(resting(), tif=TimeInForce.GTC))
    clock.advance(days=1)
    for asked in (OrderChanges(limit_price=Decimal(90)), OrderChanges(quantity=Decimal(2), limit_price=Decimal(100))):
        assert preparing.prepare(trader, resting(quantity="2")).order.state is Status.AWAITING
        order_actions.confirm(trader, preparing.prepare_change(trader, order.public_id, asked).confirmation.public_id)
    assert refused(lambda: preparing.prepare(trader, resting())).code is Code.LIMIT_EXCEEDED


def test_orders_a_minute_say_when_there_is_room_and_the_same_confirmation_then_works(
    trader: Principal, limit: Callable[..., None], clock: Clock
) -> None:
    waiting = preparing.prepare(trader, resting())
    limit(orders_per_minute=1)
    go(trader, resting())
    clock.advance(seconds=20)
    refusal = refused(lambda: order_actions.confirm(trader, waiting.confirmation.public_id))
    assert (refusal.code, refusal.retry_after) == (Code.LIMIT_EXCEEDED, 41)
    clock.advance(seconds=41)
    assert order_actions.confirm(trader, waiting.confirmation.public_id).state is Status.WORKING


def test_each_app_has_a_day_of_its_own_within_that_of_the_connection(
    trader: Principal, paper: Connection, owner: User
) -> None:
    _, raw = minting.mint(owner, paper, frozenset({Scope.TRADE}), name="second app")
    second = bearer.authenticate(raw)
    grants.set_limits(ConnectedApp.objects.get(pk=trader.app_id), limits.parse({"daily_notional": "100"}), by=owner)
    connections.set_limits(paper, limits.parse({"daily_notional": "250"}), by=owner)
    go(second, resting())
    go(trader, resting())
    assert (refused(lambda: go(trader, resting(quantity="0.1"))).limit or {})["of"] == f"the app {trader.app_label}"
    assert (refused(lambda: go(second, resting())).limit or {})["of"] == "the connection Practice"
    go(second, resting(quantity="0.5"))


@pytest.mark.parametrize("status", [Status.INTENT, Status.SENDING, Status.UNKNOWN, Status.NOT_FOUND])
def test_an_order_nobody_knows_the_end_of_counts_as_live(
    trader: Principal, paper: Connection, owner: User, status: Status
) -> None:
    order = go(trader, resting())
    Order.objects.filter(pk=order.pk).update(status=status)
    connections.set_limits(paper, limits.parse({"daily_notional": "150", "position_value": "150"}), by=owner)
    assert refused(lambda: preparing.prepare(trader, resting())).code is Code.LIMIT_EXCEEDED


def test_a_cancelled_order_gives_its_room_back(trader: Principal, limit: Callable[..., None]) -> None:
    limit(daily_notional="100", position_value="100")
    order = go(trader, resting())
    order_actions.cancel(trader, order.public_id)
    assert go(trader, resting()).state is Status.WORKING


def test_what_was_filled_counts_at_its_price(trader: Principal, paper: Connection) -> None:
    order = go(trader, bitcoin("0.01"))
    assert order.average_price is not None
    assert daily_usage.connection_usage(paper, order.moved_at).today == order.average_price * Decimal("0.01")


def test_a_sell_counts_at_what_it_may_bring_not_at_its_low_limit(trader: Principal, limit: Callable[..., None]) -> None:
    go(trader, bitcoin("0.1"))
    limit(order_notional="50")
    assert refused(lambda: preparing.prepare(trader, resting("100", "0.1", Side.SELL))).code is Code.LIMIT_EXCEEDED


def test_getting_out_is_never_a_matter_of_position_share_or_loss(
    trader: Principal, limit: Callable[..., None], paper: Connection
) -> None:
    go(trader, bitcoin("0.5"))
    Connection.objects.filter(pk=paper.pk).update(equity=Decimal(1_000_000), day=None)
    limit(position_value="1", equity_share="0.01", daily_loss="1")
    assert refused(lambda: preparing.prepare(trader, bitcoin("0.1"))).code is Code.LIMIT_EXCEEDED
    assert go(trader, bitcoin("0.5", Side.SELL)).state is Status.FILLED


def test_from_the_daily_loss_on_nothing_is_added(
    trader: Principal, limit: Callable[..., None], paper: Connection
) -> None:
    Connection.objects.filter(pk=paper.pk).update(equity=Decimal(100_500), day=None)
    limit(daily_loss="500")
    refusal = refused(lambda: preparing.prepare(trader, resting()))
    assert (refusal.limit or {})["name"] == "daily_loss"
    assert (refusal.limit or {})["used"] == "500"


@pytest.mark.parametrize(
    ("given", "broken"),
    [
        ({"equity_share": "90"}, "account_state"),
        ({"daily_loss": "50000"}, "account_state"),
        ({"position_value": "50000"}, "positions"),
        ({"equity_share": "90"}, "positions"),
    ],
)
def test_what_a_limit_needs_and_cannot_be_had_stops_the_order(
    trader: Principal,
    limit: Callable[..., None],
    watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, Any],
    broken: str,
) -> None:
    prepared = preparing.prepare(trader, resting())
    limit(**given)

    def fail(*args: object) -> None:
        raise BrokerUnavailable("The broker is away.")

    monkeypatch.setattr(PaperBroker, broken, fail)
    assert refused(lambda: preparing.prepare(trader, resting())).code is Code.LIMIT_UNPROVABLE
    assert refused(lambda: order_actions.confirm(trader, prepared.confirmation.public_id)).code is Code.LIMIT_UNPROVABLE
    assert watch.submitted == []


@pytest.mark.parametrize("name", ["order_notional", "daily_notional", "position_value", "equity_share"])
def test_without_an_exchange_rate_no_amount_is_guessed(
    trader: Principal, limit: Callable[..., None], paper: Connection, name: str
) -> None:
    limit(**{name: "90"})
    Connection.objects.filter(pk=paper.pk).update(currency="EUR")
    assert refused(lambda: preparing.prepare(trader, resting("1", "1"))).code is Code.LIMIT_UNPROVABLE


def test_limits_nobody_can_read_let_nothing_through(trader: Principal, paper: Connection) -> None:
    Connection.objects.filter(pk=paper.pk).update(limits={"order_notionals": "1000"})
    refused(lambda: preparing.prepare(trader, resting()))
    assert Order.objects.count() == 0


# -- live ----------------------------------------------------------------------------------------------------

REQUIRED = {"order_notional": "100000", "daily_notional": "100000"}


def test_a_live_connection_without_its_two_limits_releases_nothing(
    trader: Principal, paper: Connection, watch: Watch
) -> None:
    Connection.objects.filter(pk=paper.pk).update(environment="live", limits=REQUIRED, confirmation_delay=0)
    prepared = preparing.prepare(trader, resting())
    for held in ({}, {"order_notional": "1000"}, {"daily_notional": "1000"}):
        Connection.objects.filter(pk=paper.pk).update(limits=held)
        assert refused(lambda: preparing.prepare(trader, resting())).code is Code.LIMITS_REQUIRED
    assert refused(lambda: order_actions.confirm(trader, prepared.confirmation.public_id)).code is Code.LIMITS_REQUIRED
    assert watch.submitted == []


@pytest.mark.parametrize("missing", REQUIRED)
def test_nobody_can_take_them_from_a_live_connection(paper: Connection, owner: User, missing: str) -> None:
    Connection.objects.filter(pk=paper.pk).update(environment="live", limits=REQUIRED)
    left = {name: value for name, value in REQUIRED.items() if name != missing}
    refusal = refused(lambda: connections.set_limits(paper, limits.parse(left), by=owner, may_widen=True))
    assert (refusal.code, refusal.field) == (Code.LIMITS_REQUIRED, missing)


def test_a_market_order_on_live_is_collared_without_being_asked(
    trader: Principal, paper: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    Connection.objects.filter(pk=paper.pk).update(environment="live", limits=REQUIRED)
    preparing.prepare(trader, bitcoin("0.01"))
    seen = PaperBroker.preview

    def wide(self: PaperBroker, *args: Any) -> Any:
        preview = seen(self, *args)
        return replace(preview, quote=replace(preview.quote, ask=preview.quote.last * Decimal("1.03")))

    monkeypatch.setattr(PaperBroker, "preview", wide)
    assert refused(lambda: preparing.prepare(trader, bitcoin("0.01"))).code is Code.PRICE_OUTSIDE_COLLAR
    Connection.objects.filter(pk=paper.pk).update(environment="paper")
    preparing.prepare(trader, bitcoin("0.01"))


@pytest.mark.parametrize("stopped_by", ["a limit", "a crash"])
def test_of_a_plan_that_goes_whole_nothing_is_ever_sent_once_one_order_was_refused(
    trader: Principal, paper: Connection, owner: User, watch: Watch, stopped_by: str
) -> None:
    prepared = preparing.prepare_plan(
        trader,
        [preparing.PlanItem(terms=resting()), preparing.PlanItem(terms=resting("200"))],
        action=Action.BATCH,
        all_or_none=True,
    )
    orders = prepared.confirmation.orders.order_by("pk")
    if stopped_by == "a limit":
        connections.set_limits(paper, limits.parse({"order_notional": "150"}), by=owner)
        assert (
            refused(lambda: order_actions.confirm(trader, prepared.confirmation.public_id)).code is Code.LIMIT_EXCEEDED
        )
        assert [order.state for order in orders] == [Status.DENIED, Status.DENIED]
        connections.set_limits(paper, limits.parse({}), by=owner, may_widen=True)
    else:  # between the refusal of the one and that of the other
        Order.objects.filter(pk=orders[1].pk).update(status=Status.DENIED)
    assert (
        refused(lambda: order_actions.confirm(trader, prepared.confirmation.public_id)).code is Code.CONFIRMATION_USED
    )
    assert watch.submitted == []


@pytest.mark.parametrize(("ticker", "code"), [("DIS", Code.OUTSIDE_LIMITS), ("", Code.LIMIT_UNPROVABLE)])
def test_an_option_whose_broker_does_not_describe_it_passes_no_list_of_forbidden_names(
    trader: Principal,
    limit: Callable[..., None],
    watch: Watch,
    monkeypatch: pytest.MonkeyPatch,
    ticker: str,
    code: Code,
) -> None:
    known = PaperBroker.instrument

    def undescribed(broker: PaperBroker, symbol: str) -> Instrument:
        return replace(known(broker, symbol), asset_class=AssetClass.OPTION, ticker=ticker)

    limit(denied_symbols=["DIS"])
    monkeypatch.setattr(PaperBroker, "instrument", undescribed)
    assert refused(lambda: preparing.prepare(trader, resting())).code is code
    assert watch.submitted == []


def test_a_coin_is_one_position_by_whichever_of_its_pairs_it_is_told_or_bought(
    limit: Callable[..., None], trader: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exchanges tell a coin by one of its pairs: another is no second room, and selling by it is an exit."""
    go(trader, bitcoin("0.1"))
    told, held = PaperBroker.positions, Decimal("0.1")

    def by_another_pair(self: PaperBroker, account_id: str) -> list[Position]:
        return [replace(each, symbol="BTC/EUR") for each in told(self, account_id)]

    monkeypatch.setattr(PaperBroker, "positions", by_another_pair)
    limit(position_value=str(held * 100 + 1))
    assert refused(lambda: preparing.prepare(trader, resting(quantity="0.02"))).code is Code.LIMIT_EXCEEDED
    preparing.prepare(trader, bitcoin("0.1", Side.SELL))


def test_what_rests_in_another_pair_of_the_coin_counts(limit: Callable[..., None], trader: Principal) -> None:
    order = go(trader, resting())
    Order.objects.filter(pk=order.pk).update(symbol="BTC/EUR")
    limit(position_value="150")
    assert refused(lambda: preparing.prepare(trader, resting())).code is Code.LIMIT_EXCEEDED
