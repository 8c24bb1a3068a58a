"""Orders with exits at venues that give an exit no id of ours, from the tool to the venue and back."""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from brokers import leg_ids
from console.accounts.models import User
from console.authority import call_quota
from console.connections.models import Connection, Policy
from console.limits import Limits
from console.orders.execution import external_orders, reconcile
from console.orders.models import Order
from mcpserver import pipeline
from tests.brokers.exchange import CryptoFake
from tests.console.connections.fakes import COINBASE, KRAKEN, KRAKEN_FUTURES, Linkable
from tests.mcpserver.linked_brokers import call, link

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "close_old_connections", lambda: None)
    monkeypatch.setattr(call_quota, "check", lambda *about, **more: None)


@dataclass(frozen=True, slots=True)
class Desk:
    """A key that trades at one venue."""

    key: str
    fake: CryptoFake
    symbol: str

    def prepare(self, **terms: Any) -> dict[str, Any]:
        return call(self.key, "place_order", symbol=self.symbol, quantity="0.1", **terms)

    def place(self, **terms: Any) -> str:
        """Confirmed as shown; the order's id."""
        shown = self.prepare(**terms)
        assert "confirmation_id" in shown, shown
        done = call(self.key, "confirm_trade", confirmation_id=shown["confirmation_id"])
        assert "error" not in done, done
        return str(done["order"]["order_id"])

    def statuses(self) -> dict[str, str]:
        """Kind of each order → its status, after the venue was asked."""
        reconcile.sweep()
        return {each.order_type: each.status for each in Order.objects.order_by("pk")}


@pytest.fixture
def desk(request: pytest.FixtureRequest, owner: User) -> Iterator[Desk]:
    linkable: Linkable = request.param
    with linkable.running() as fake:
        limits = Limits(order_notional=Decimal(100_000), daily_notional=Decimal(100_000))
        key = link(owner, linkable, fake, limits=limits)
        # The assistant's own yes, at once.
        Connection.objects.update(policy=Policy.TWO_STEP, confirmation_delay=0)
        yield Desk(key, fake, linkable.symbol)


AFTER = {"side": "BUY", "order_type": "LMT", "limit_price": "29000"}
BOTH = {"take_profit": "32000", "stop_loss": "28000"}


@pytest.mark.parametrize("desk", [COINBASE], indirect=True, ids=["coinbase"])
def test_a_bracket_at_coinbase_is_three_orders_here_of_which_one_exit_ends_the_other(desk: Desk) -> None:
    placed = desk.place(**AFTER, **BOTH, order_class="bracket")
    order = Order.objects.get(public_id=placed)
    assert [each.wire_id for each in order.legs.order_by("pk")] == [leg_ids.of_exit(order.wire_id, n) for n in (0, 1)]
    assert set(desk.statuses().values()) == {"working"}
    desk.fake.move(desk.symbol, "29000")
    desk.fake.move(desk.symbol, "27900")
    desk.statuses()
    statuses = {each.order_type: each.status for each in order.legs.all()}
    assert (Order.objects.get(pk=order.pk).status, statuses) == ("filled", {"LMT": "cancelled", "STP": "filled"})
    external_orders.store(order.connection)
    assert list(external_orders.seen_by(order.connection.owner)) == []


@pytest.mark.parametrize("desk", [COINBASE], indirect=True, ids=["coinbase"])
def test_a_pair_at_coinbase_ends_with_one_cancel(desk: Desk) -> None:
    placed = desk.place(**BOTH, side="SELL", order_class="oco")
    assert desk.statuses() == {"LMT": "working", "STP": "working"}
    assert "error" not in call(desk.key, "cancel_order", order_id=placed)
    assert desk.statuses() == {"LMT": "cancelled", "STP": "cancelled"}


@pytest.mark.parametrize("desk", [COINBASE], indirect=True, ids=["coinbase"])
def test_the_target_of_a_position_cannot_be_cancelled_without_its_stop(desk: Desk) -> None:
    placed = desk.place(**AFTER, **BOTH, order_class="bracket")
    desk.fake.move(desk.symbol, "29000")
    desk.statuses()
    target = Order.objects.get(parent__public_id=placed, order_type="LMT")
    refused = call(desk.key, "cancel_order", order_id=target.public_id)
    assert refused["error"]["code"] == "not_offered_by_broker"
    assert "cancel the stop" in refused["error"]["message"]
    assert {each.status for each in Order.objects.filter(parent__public_id=placed)} == {"working"}


@pytest.mark.parametrize("desk", [KRAKEN], indirect=True, ids=["kraken"])
def test_an_exit_at_kraken_waits_is_placed_and_fills(desk: Desk) -> None:
    placed = desk.place(**AFTER, stop_loss="28000", order_class="oto")
    assert desk.statuses() == {"LMT": "working", "STP": "working"}
    stop = Order.objects.get(parent__public_id=placed)
    refused = call(desk.key, "cancel_order", order_id=stop.public_id)
    assert refused["error"]["code"] == "not_offered_by_broker"
    desk.fake.move(desk.symbol, "29000")
    assert desk.statuses() == {"LMT": "filled", "STP": "working"}
    desk.fake.move(desk.symbol, "27900")
    assert desk.statuses() == {"LMT": "filled", "STP": "filled"}
    external_orders.store(stop.connection)
    assert list(external_orders.seen_by(stop.connection.owner)) == []


@pytest.mark.parametrize("desk", [KRAKEN, KRAKEN_FUTURES], indirect=True, ids=["kraken", "krakenfutures"])
def test_a_trailing_stop_is_placed_and_fills_once_the_price_comes_back(desk: Desk) -> None:
    desk.place(side="SELL", order_type="TRAIL", trail_percent="5")
    assert desk.statuses() == {"TRAIL": "working"}
    desk.fake.move(desk.symbol, "32000")
    desk.fake.move(desk.symbol, "30000")
    assert desk.statuses() == {"TRAIL": "filled"}


@pytest.mark.parametrize(
    ("desk", "terms", "lacks"),
    [
        (KRAKEN, {**AFTER, **BOTH, "order_class": "bracket"}, "bracket orders"),
        (KRAKEN, {**BOTH, "side": "SELL", "order_class": "oco"}, "oco orders"),
        (KRAKEN_FUTURES, {**AFTER, **BOTH, "order_class": "bracket"}, "bracket orders"),
        (COINBASE, {**AFTER, "stop_loss": "28000", "order_class": "oto"}, "oto orders"),
        (COINBASE, {"side": "SELL", "order_type": "TRAIL", "trail_percent": "5"}, "TRAIL orders"),
    ],
    indirect=["desk"],
    ids=["kraken-bracket", "kraken-oco", "futures-bracket", "coinbase-oto", "coinbase-trail"],
)
def test_what_a_venue_lacks_is_refused_by_name(desk: Desk, terms: dict[str, str], lacks: str) -> None:
    refused = desk.prepare(**terms)
    assert (refused["error"]["code"], lacks in refused["error"]["message"]) == ("not_offered_by_broker", True)
    assert desk.fake.bodies == []


@pytest.mark.parametrize("desk", [KRAKEN, KRAKEN_FUTURES], indirect=True, ids=["kraken", "krakenfutures"])
def test_a_take_profit_by_itself_is_a_limit_order_and_the_refusal_of_any_other_form_says_so(desk: Desk) -> None:
    reduces = {"reduce_only": True} if desk.symbol.endswith(":USD") else {}
    if reduces:
        desk.place(side="BUY", order_type="MKT")
    refused = desk.prepare(side="SELL", order_type="MKT", take_profit="32000")
    assert (refused["error"]["code"], refused["error"]["field"]) == ("invalid_argument", "take_profit")
    assert "a LMT order at that price" in refused["error"]["message"]
    placed = desk.place(side="SELL", order_type="LMT", limit_price="32000", **reduces)
    ours = Order.objects.get(public_id=placed)
    assert desk.fake.sent[ours.wire_id] == 1
    changed = call(desk.key, "modify_order", order_id=placed, limit_price="33000")
    if reduces:
        assert changed["error"]["code"] == "not_offered_by_broker"
    else:
        assert "error" not in call(desk.key, "confirm_trade", confirmation_id=changed["confirmation_id"])
    desk.fake.move(desk.symbol, "31900")
    desk.statuses()
    ours.refresh_from_db()
    assert (ours.status, ours.limit_price) == ("working", 32000 if reduces else 33000)
    assert "error" not in call(desk.key, "cancel_order", order_id=placed)
    ours.refresh_from_db()
    assert ours.status == "cancelled"


@pytest.mark.parametrize("desk", [KRAKEN], indirect=True, ids=["kraken"])
def test_a_take_profit_at_kraken_is_the_exit_of_an_order_too(desk: Desk) -> None:
    desk.place(**AFTER, take_profit="32000", order_class="oto")
    desk.fake.move(desk.symbol, "29000")
    desk.statuses()
    assert sorted(each.status for each in Order.objects.all()) == ["filled", "working"]
    desk.fake.move(desk.symbol, "32100")
    desk.statuses()
    assert {each.status for each in Order.objects.all()} == {"filled"}


@pytest.mark.parametrize("desk", [COINBASE], indirect=True, ids=["coinbase"])
def test_a_change_that_the_venue_never_makes_is_refused_before_it_is_shown(desk: Desk) -> None:
    bracket = desk.place(**AFTER, **BOTH, order_class="bracket")
    for changes in ({"limit_price": "28500"}, {"quantity": "0.2"}):
        refused = call(desk.key, "modify_order", order_id=bracket, **changes)
        assert (refused["error"]["code"], refused["error"]["field"]) == ("not_offered_by_broker", "order_id")
    alone = desk.place(**AFTER)
    refused = call(desk.key, "modify_order", order_id=alone, tif="IOC")
    assert (refused["error"]["code"], refused["error"]["field"]) == ("not_offered_by_broker", "tif")
    assert len(desk.fake.bodies) == 2
