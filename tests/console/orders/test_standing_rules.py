"""A standing rule releases what its owner described with a passkey, and nothing beside it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import mcp_types as types
import pytest
from django.test import Client as Browser
from django.utils import timezone

from brokers.types import OrderType, Side
from console import limits
from console.accounts.models import User
from console.audit.models import Change
from console.authority import bearer, call_quota
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections import services as connections
from console.connections.models import Connection, Policy
from console.errors import Code, Refusal
from console.halts import services as halts
from console.halts.services import Proof
from console.keys import child_keys, management_keys
from console.orders.models import Confirmation, Order, RuleRelease, StandingRule
from console.orders.owner import approvals, notifications, standing_rules
from console.orders.owner.approvals import Evidence
from console.orders.states import Status
from console.orders.transitions import confirmations
from console.principal import Principal, Redeemer
from console.scopes import Scope
from mcpserver import elicitation, pipeline
from mcpserver.context import ToolAnswer
from tests.clock import Clock
from tests.console.orders.rule_steps import confirm, make, place, terms, tool
from tests.console.pages import words_of
from tests.console.present import at_the_browser
from tests.watched_broker import Watch

RULE = {"order_notional": "90000", "daily_notional": "90000"}


@pytest.fixture(autouse=True)
def as_many_calls_as_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_quota, "check", lambda *about, **own: None)


@pytest.fixture
def asks(paper: Connection, owner: User) -> Connection:
    connections.set_policy(paper, Policy.OWNER_APPROVAL, by=owner)
    return paper


@pytest.fixture
def rule(asks: Connection, owner: User) -> StandingRule:
    return make(asks, owner)


@pytest.fixture
def trading_app(trader: Principal) -> ConnectedApp:
    return ConnectedApp.objects.get(pk=trader.app_id)


def row(placed: Any) -> Order:
    return Order.objects.get(public_id=placed["order"]["order_id"])


def waits(placed: Any) -> bool:
    """For its owner, as every order there does that no rule covers."""
    return placed["status"] == "needs_approval" and "confirmation_id" not in placed


# -- what it releases ----------------------------------------------------------------------------------------


def test_an_order_that_a_rule_describes_is_released_when_its_app_confirms_it(
    trader: Principal, rule: StandingRule, watch: Watch
) -> None:
    placed = place(trader)
    assert (placed["status"], placed["rule"]) == ("needs_confirmation", "Small buys")
    assert "approve_at" not in placed
    assert watch.submitted == []
    told = confirm(trader, placed)
    assert (told["status"], told["rule"]) == ("working", "Small buys")
    assert len(watch.submitted) == 1
    release = RuleRelease.objects.get()
    assert (release.rule, release.order, release.value) == (rule, row(placed), Decimal(1000))


def test_the_order_and_the_rule_say_so_wherever_they_are_shown(
    trader: Principal, rule: StandingRule, browser: Browser
) -> None:
    placed = place(trader)
    page = words_of(browser.get(f"/orders/{row(placed).public_id}/", follow=True))
    assert "Your rule Small buys releases this once the app confirms it." in page
    assert "Your rule Small buys releases it once the app confirms it" in words_of(browser.get("/orders/approvals/"))
    confirm(trader, placed)
    page = words_of(browser.get(f"/orders/{row(placed).public_id}/"))
    assert "Released by Your rule Small buys" in page
    assert "standing rule Small buys, without an approval of its own." in page
    history = tool(trader, "get_order_status", order_id=row(placed).public_id)["history"]
    assert any("standing rule Small buys" in step["what"] for step in history)
    page = words_of(browser.get(f"/orders/approvals/rules/{rule.public_id}/"))
    assert "Buy 1 BTC/USD, limit 1,000.00 USD" in page
    assert "1,000.00 of 2,500.00 USD" in page
    assert "1 of 10" in page


@pytest.mark.parametrize(("quantity", "passes"), [("1", True), ("2", False)])
def test_a_preview_knows_whether_a_rule_would_release_it(
    trader: Principal, rule: StandingRule, quantity: str, passes: bool
) -> None:
    order = {"symbol": "BTC/USD", "side": "BUY", "order_type": "LMT", "quantity": quantity, "limit_price": "1000"}
    told = tool(trader, "preview_order", **order)
    assert told["would_pass"] is passes
    assert [each["check"] for each in told["checks"] if not each["ok"]] == (
        [] if passes else ["release by the assistant"]
    )


def test_where_the_assistant_confirms_anyway_no_rule_is_asked(
    asks: Connection, owner: User, trader: Principal, rule: StandingRule
) -> None:
    connections.set_policy(asks, Policy.TWO_STEP, by=owner, may_loosen=True)
    placed = place(trader)
    assert "rule" not in placed
    confirm(trader, placed)
    assert not RuleRelease.objects.exists()


NOT_DESCRIBED: dict[str, dict[str, Any]] = {
    "another symbol": {"symbols": ("AAPL",)},
    "another side": {"sides": (Side.SELL,)},
    "another order type": {"order_types": (OrderType.MARKET, OrderType.STOP_LIMIT)},
    "less than the order can come to": {"order_value": Decimal("999.99")},
    "less in a day": {"order_value": Decimal(900), "day_value": Decimal(900)},
    "another app": {"app": "another"},
}


@pytest.mark.parametrize("what", NOT_DESCRIBED)
def test_what_it_does_not_describe_waits_for_the_owner(
    asks: Connection, owner: User, trader: Principal, app: ConnectedApp, watch: Watch, what: str
) -> None:
    changed = {"app": app} if what == "another app" else NOT_DESCRIBED[what]
    make(asks, owner, **changed)
    assert waits(place(trader))
    assert watch.submitted == []


@pytest.mark.parametrize(
    ("order_type", "prices", "becomes"),
    [
        ("STP", {"stop_price": "1000"}, OrderType.MARKET),
        ("STP_LIMIT", {"stop_price": "1000", "limit_price": "1100"}, OrderType.LIMIT),
    ],
)
def test_a_stop_that_is_met_already_is_the_order_that_it_becomes(
    asks: Connection,
    owner: User,
    trader: Principal,
    watch: Watch,
    order_type: str,
    prices: dict[str, str],
    becomes: OrderType,
) -> None:
    kind, room = OrderType(order_type), {"order_value": Decimal(90000), "day_value": Decimal(90000)}
    order: dict[str, Any] = {
        "order_type": order_type,
        "limit": None,
        "quantity": "0.1",
        "at_once": True,
        **prices,
    }
    stops = make(asks, owner, order_types=(kind,), **room)
    assert waits(place(trader, **order))
    assert watch.submitted == []
    standing_rules.end(stops, by=owner)
    make(asks, owner, name="Both", order_types=(kind, becomes), **room)
    placed = place(trader, **order)
    assert placed["rule"] == "Both"
    assert "error" not in confirm(trader, placed)
    assert len(watch.submitted) == 1


def test_what_a_management_key_made_goes_by_a_rule_that_names_it_and_by_no_other(
    asks: Connection, owner: User, watch: Watch
) -> None:
    make(asks, owner)
    maker, _ = management_keys.mint(owner, name="deploys", expires_at=None, makes_trade_keys=True)
    key, raw = child_keys.mint(maker.public_id, asks, frozenset({Scope.TRADE}), name="made by a key", expires_at=None)
    bot = bearer.authenticate(raw)
    assert waits(place(bot))
    make(asks, owner, name="For the bot", app=key.app)
    placed = place(bot)
    assert placed["rule"] == "For the bot"
    assert confirm(bot, placed)["status"] == "working"


def test_an_exit_that_gives_back_no_more_than_the_order_goes_with_it(
    trader: Principal, rule: StandingRule, watch: Watch
) -> None:
    placed = place(trader, order_class="bracket", take_profit="2000", stop_loss="500")
    assert placed["rule"] == "Small buys"
    assert confirm(trader, placed)["status"] == "working"


def test_changes_cancels_and_closing_everything_stay_the_owners(
    asks: Connection, owner: User, trader: Principal, watch: Watch
) -> None:
    """What a model could do with an order that a rule released, or to the stop that protects it."""
    make(asks, owner, sides=(Side.BUY, Side.SELL), order_types=tuple(OrderType), order_value=Decimal(100_000),
         day_value=Decimal(100_000))  # fmt: skip
    bought = tool(trader, "place_order", symbol="BTC/USD", side="BUY", quantity="0.1")
    assert confirm(trader, bought)["status"] == "filled"
    stop = place(trader, "0.1", side="SELL", order_type="STP", stop_price="100", limit=None)
    assert confirm(trader, stop)["status"] == "working"
    order_id = stop["order"]["order_id"]
    change = tool(trader, "modify_order", order_id=order_id, stop_price="90")
    assert change["status"] == "needs_approval"
    cancel = tool(trader, "cancel_order", order_id=order_id)
    assert cancel["error"]["code"] == Code.APPROVAL_REQUIRED
    flat = tool(trader, "flatten_account")
    assert flat["status"] == "needs_approval"
    assert not Confirmation.objects.filter(redeemed_at=None, rule__isnull=False).exists()


# -- never more than it says ---------------------------------------------------------------------------------


def test_the_value_of_a_day_counts_whatever_becomes_of_an_order(
    trader: Principal, rule: StandingRule, browser: Browser, watch: Watch
) -> None:
    for _ in range(2):
        placed = place(trader)
        assert confirm(trader, placed)["status"] == "working"
        assert tool(trader, "cancel_order", order_id=row(placed).public_id)["status"] == "cancelled"
    third = place(trader)
    assert waits(third)
    page = words_of(browser.get(f"/orders/{row(third).public_id}/", follow=True))
    assert "Your rule Small buys has 500.00 USD left today." in page
    assert "rule" in place(trader, limit="500")


def test_prepared_at_once_they_still_share_one_day(trader: Principal, rule: StandingRule, watch: Watch) -> None:
    waiting = [place(trader) for _ in range(4)]
    assert all("rule" in each for each in waiting)
    told = [confirm(trader, each) for each in waiting]
    assert [each.get("status") for each in told] == ["working", "working", None, None]
    assert "has 500.00 USD left today, so only the owner can release this" in told[2]["error"]["message"]
    assert told[2]["error"]["code"] == Code.APPROVAL_REQUIRED
    assert len(watch.submitted) == 2
    assert [row(each).state for each in waiting[2:]] == [Status.AWAITING, Status.AWAITING]
    assert Confirmation.objects.filter(rule=rule, redeemed_at=None).count() == 0


def test_the_number_of_a_day_holds_and_tomorrow_it_begins_again(
    asks: Connection, owner: User, trader: Principal, clock: Clock
) -> None:
    clock.now = datetime(2027, 3, 3, 12, tzinfo=UTC)
    browser = at_the_browser(owner)
    make(asks, owner, orders_a_day=1)
    assert confirm(trader, place(trader))["status"] == "working"
    second = place(trader)
    assert waits(second)
    page = words_of(browser.get(f"/orders/{row(second).public_id}/", follow=True))
    assert "Your rule Small buys is used up for today." in page
    clock.advance(hours=12)
    assert "rule" in place(trader)


def test_a_batch_goes_whole_or_waits_whole(trader: Principal, rule: StandingRule, watch: Watch) -> None:
    def batch(count: int, **more: Any) -> Any:
        one = {"symbol": "BTC/USD", "side": "BUY", "order_type": "LMT", "quantity": "1", "limit_price": "1000"}
        return tool(trader, "place_batch_orders", orders=[one] * count, **more)

    assert waits(batch(3))
    both = [batch(2, all_or_none=False) for _ in range(2)]
    assert confirm(trader, both[0])["status"] == "working"
    assert len(watch.submitted) == 2
    assert confirm(trader, both[1])["error"]["code"] == Code.APPROVAL_REQUIRED
    assert len(watch.submitted) == 2
    assert {order.status for order in Confirmation.objects.latest("pk").orders.all()} == {Status.AWAITING}


def test_limits_halts_and_all_other_checks_hold_for_it(
    asks: Connection, owner: User, trader: Principal, rule: StandingRule, watch: Watch
) -> None:
    first, second, third = (place(trader) for _ in range(3))
    connections.set_limits(asks, limits.parse({"order_notional": "999"}), by=owner)
    assert confirm(trader, first)["error"]["code"] == Code.LIMIT_EXCEEDED
    connections.set_limits(asks, limits.parse({}), by=owner, may_widen=True)
    halt = halts.halt_connection(asks, by=owner)
    assert confirm(trader, second)["error"]["code"] == Code.HALTED
    assert "It is paused while trading is halted." in words_of(at_the_browser(owner).get("/orders/approvals/rules/"))
    halts.lift(halt, by=owner, proof=Proof.PASSWORD)
    connections.disable_trading(asks, by=owner)
    assert confirm(trader, third)["error"]["code"] == Code.TRADING_DISABLED
    assert watch.submitted == []
    assert not RuleRelease.objects.exists()


def test_on_live_the_app_waits_as_long_as_it_takes_to_read(
    asks: Connection, owner: User, trader: Principal, clock: Clock, watch: Watch
) -> None:
    Connection.objects.filter(pk=asks.pk).update(environment="live", limits=RULE)
    asks.refresh_from_db()
    make(asks, owner)
    placed = place(trader)
    assert confirm(trader, placed)["error"]["code"] == Code.CONFIRMED_TOO_SOON
    clock.advance(seconds=4)
    assert confirm(trader, placed)["status"] == "working"


# -- when it ends --------------------------------------------------------------------------------------------


def _ends(asks: Connection, owner: User, app: ConnectedApp, clock: Clock) -> dict[str, Callable[[], object]]:
    rule = StandingRule.objects.get()
    return {
        "ended by its owner": lambda: standing_rules.end(rule, by=owner),
        "its last day is over": lambda: clock.advance(days=31),
        "the policy changed and changed back": lambda: (
            connections.set_policy(asks, Policy.TWO_STEP, by=owner, may_loosen=True),
            clock.advance(seconds=1),
            connections.set_policy(asks, Policy.OWNER_APPROVAL, by=owner),
        ),
        "the account counts in another currency": lambda: Connection.objects.update(currency="EUR"),
        "the access of its app was revoked": lambda: ConnectedApp.objects.filter(pk=app.pk).update(
            revoked_at=timezone.now()
        ),
    }


@pytest.mark.parametrize(
    "what",
    ["ended by its owner", "its last day is over", "the policy changed and changed back",
     "the account counts in another currency"],
)  # fmt: skip
def test_what_ended_releases_nothing_not_even_what_it_covered_before(
    asks: Connection,
    owner: User,
    trader: Principal,
    trading_app: ConnectedApp,
    clock: Clock,
    watch: Watch,
    what: str,
) -> None:
    connections.set_approval_wait(asks, 86400, by=owner, may_lengthen=True)
    make(asks, owner)
    covered = place(trader)
    clock.advance(seconds=1)
    _ends(asks, owner, trading_app, clock)[what]()
    told = confirm(trader, covered)
    assert told["error"]["code"] in (Code.APPROVAL_REQUIRED, Code.CONFIRMATION_EXPIRED)
    asks.refresh_from_db()
    assert waits(place(trader))
    assert watch.submitted == []


def test_a_rule_for_one_app_ends_with_its_access(
    asks: Connection, owner: User, trading_app: ConnectedApp, trader: Principal
) -> None:
    rule = make(asks, owner, app=trading_app)
    assert "rule" in place(trader)
    grants.revoke(trading_app, by=owner, reason="test")
    rule.refresh_from_db()
    view = standing_rules.shown(rule)
    assert view.is_over
    assert view.state == f"It ended with the access of {trading_app.name}."


def test_what_it_covered_is_the_owners_once_it_ends_and_they_are_told(
    trader: Principal, rule: StandingRule, owner: User
) -> None:
    place(trader)
    assert notifications.notify() == 0
    standing_rules.end(rule, by=owner)
    assert notifications.notify() == 1


# 9:30 to 16:00 in New York, around the change to summer time on 14 March 2027.
@pytest.mark.parametrize(
    ("at", "releases"),
    [
        (datetime(2027, 3, 12, 14, 29, tzinfo=UTC), False),  # a Friday, 9:29
        (datetime(2027, 3, 12, 14, 30, tzinfo=UTC), True),
        (datetime(2027, 3, 12, 20, 59, tzinfo=UTC), True),
        (datetime(2027, 3, 12, 21, 0, tzinfo=UTC), False),
        (datetime(2027, 3, 13, 15, 0, tzinfo=UTC), False),  # a Saturday
        (datetime(2027, 3, 15, 13, 29, tzinfo=UTC), False),  # a Monday, 9:29 in summer time
        (datetime(2027, 3, 15, 13, 30, tzinfo=UTC), True),
        (datetime(2027, 3, 15, 20, 0, tzinfo=UTC), False),
    ],
)
def test_its_hours_are_those_of_its_time_zone_in_summer_and_in_winter(
    asks: Connection, owner: User, trader: Principal, clock: Clock, at: datetime, releases: bool
) -> None:
    clock.now = datetime(2027, 3, 10, tzinfo=UTC)
    make(asks, owner, weekdays=(0, 1, 2, 3, 4), starts=time(9, 30), ends=time(16), time_zone="America/New_York")
    clock.now = at
    assert ("rule" in place(trader)) is releases


@pytest.mark.parametrize(
    ("at", "releases"),
    [
        (datetime(2027, 3, 12, 21, 59, tzinfo=UTC), False),
        (datetime(2027, 3, 12, 22, 0, tzinfo=UTC), True),  # a Friday night
        (datetime(2027, 3, 13, 3, 59, tzinfo=UTC), True),  # which goes on into Saturday
        (datetime(2027, 3, 13, 4, 0, tzinfo=UTC), False),
        (datetime(2027, 3, 13, 22, 0, tzinfo=UTC), False),
    ],
)
def test_hours_over_midnight_belong_to_the_day_on_which_they_begin(
    asks: Connection, owner: User, trader: Principal, clock: Clock, at: datetime, releases: bool
) -> None:
    clock.now = datetime(2027, 3, 10, tzinfo=UTC)
    make(asks, owner, weekdays=(4,), starts=time(22), ends=time(4))
    clock.now = at
    assert ("rule" in place(trader)) is releases


def test_outside_its_hours_what_it_covered_waits_for_the_owner(
    asks: Connection, owner: User, trader: Principal, clock: Clock
) -> None:
    clock.now = datetime(2027, 3, 12, 15, 59, tzinfo=UTC)
    browser = at_the_browser(owner)
    make(asks, owner, starts=time(9), ends=time(16))
    placed = place(trader)
    clock.advance(seconds=61)
    assert "releases orders from 09:00 to 16:00 (UTC)" in confirm(trader, placed)["error"]["message"]
    assert "Only you can release it." in words_of(browser.get("/orders/approvals/"))


# -- who makes one -------------------------------------------------------------------------------------------


def test_only_the_owner_makes_and_ends_one(asks: Connection, other: User, rule: StandingRule) -> None:
    with pytest.raises(Refusal) as caught:
        make(asks, other, name="Mine")
    assert caught.value.code is Code.NOT_PERMITTED
    with pytest.raises(Refusal) as caught:
        standing_rules.end(rule, by=other)
    assert caught.value.code is Code.NOT_PERMITTED
    assert StandingRule.objects.get().ended_at is None


def test_with_real_money_a_password_makes_none(asks: Connection, owner: User) -> None:
    Connection.objects.filter(pk=asks.pk).update(environment="live", limits=RULE)
    asks.refresh_from_db()
    evidence = Evidence(proof=Proof.PASSWORD, label="the password")
    with pytest.raises(Refusal) as caught:
        standing_rules.create(asks, terms(), by=owner, evidence=evidence)
    assert caught.value.code is Code.RE_AUTHENTICATION_REQUIRED
    assert not StandingRule.objects.exists()


def test_making_and_ending_one_is_on_record(rule: StandingRule, owner: User) -> None:
    standing_rules.end(rule, by=owner)
    made, ended = Change.objects.filter(target="standing rule").order_by("pk")
    assert (made.action, made.user_id, made.connection_id) == ("standing rule created", owner.pk, rule.connection_id)
    assert made.detail["how"] == "passkey Laptop"
    assert "Buy BTC/USD, limit orders of any app that you let trade" in made.after["rule"]
    assert (ended.action, ended.target_id) == ("standing rule ended", rule.public_id)
    assert ended.before == made.after


def test_no_tool_and_no_address_of_the_api_makes_or_widens_one() -> None:
    from console.api import openapi
    from mcpserver import catalog

    assert not [each.name for each in catalog.TOOLS if "rule" in each.name]
    assert not [path for path in openapi.document()["paths"] if "rule" in path]


def test_somebody_elses_rule_covers_nothing_here(
    other: User, others_trader: Principal, asks: Connection, trader: Principal
) -> None:
    make(Connection.objects.get(owner=other), other)
    assert waits(place(trader))
    assert place(others_trader)["rule"] == "Small buys"
    assert timedelta(0) < row(place(others_trader)).confirmation.expires_at - timezone.now()


# -- at the other endpoints ----------------------------------------------------------------------------------


def rest(key: str, path: str, body: dict[str, Any] | None = None) -> Any:
    headers = {"Authorization": f"Bearer {key}"}
    if body is None:
        return Browser().get(f"/api/v1{path}", headers=headers).json()
    return Browser().post(f"/api/v1{path}", body, content_type="application/json", headers=headers).json()


def test_over_rest_it_is_named_before_and_after(
    asks: Connection, rule: StandingRule, trader: Principal, trade_key: str, watch: Watch
) -> None:
    order = {"symbol": "BTC/USD", "side": "BUY", "order_type": "LMT", "quantity": "1", "limit_price": "1000"}
    placed = rest(trade_key, "/orders", order)
    assert (placed["rule"], placed["approve_at"], placed["order"]["rule"]) == ("Small buys", None, None)
    told = rest(trade_key, "/orders/confirm", {"confirmation_id": placed["confirmation"]["id"]})
    assert (told["status"], told["rule"]) == ("working", "Small buys")
    assert rest(trade_key, f"/orders/{told['id']}")["rule"] == "Small buys"
    dear = rest(trade_key, "/orders", {**order, "quantity": "2"})
    assert dear["rule"] is None
    assert dear["approve_at"].endswith(f"/orders/{dear['order']['id']}/")
    refused = rest(trade_key, "/orders/confirm", {"confirmation_id": dear["confirmation"]["id"]})
    assert refused["code"] == Code.APPROVAL_REQUIRED


def test_a_client_that_asks_its_user_is_not_made_to_ask_what_the_owner_answered(
    trader: Principal, rule: StandingRule, watch: Watch
) -> None:
    def call(name: str, given: Any, *, redeemer: Redeemer = Redeemer.APP, tool: Any = None) -> ToolAnswer:
        who = replace(trader, redeemer=redeemer)
        return pipeline.attempt(who, name, dict(given), request_id="req_test").answer()

    order = {"symbol": "BTC/USD", "side": "BUY", "order_type": "LMT", "quantity": "1", "limit_price": "1000"}
    asks_user = types.ClientCapabilities(
        elicitation=types.ElicitationCapability(form=types.FormElicitationCapability())
    )
    request = elicitation.ToolRequest(principal=trader, tool="place_order", arguments=order, capabilities=asks_user)
    told = elicitation.ask(request, call)
    assert isinstance(told, ToolAnswer)
    assert told.content["rule"] == "Small buys"
    assert confirm(trader, told.content)["rule"] == "Small buys"


def test_its_app_finds_it_among_what_it_may_confirm_and_can_discard_it(trader: Principal, rule: StandingRule) -> None:
    placed = place(trader)
    [waiting] = tool(trader, "get_pending_confirmations")["pending"]
    assert waiting["confirmation_id"] == placed["confirmation_id"]
    told = tool(trader, "discard_confirmation", confirmation_id=placed["confirmation_id"])
    assert told["status"] == "cancelled"
    assert tool(trader, "get_pending_confirmations")["pending"] == []


def test_the_owner_can_decide_first_and_that_takes_nothing_of_the_rule(
    trader: Principal, rule: StandingRule, owner: User, watch: Watch
) -> None:
    placed = place(trader)
    confirmation = row(placed).confirmation
    evidence = Evidence(proof=Proof.PASSWORD, label="the password")
    approvals.approve(confirmation, by=owner, evidence=evidence, seen=confirmation.terms_digest)
    assert len(watch.submitted) == 1
    assert not RuleRelease.objects.exists()
    assert confirm(trader, placed)["error"]["code"] == Code.CONFIRMATION_USED


# -- in words ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", ["AAPL270115C00150000", "GOOGL 18SEP26 312.5 C", "BTC-27DEC26-50000-P"])
def test_a_rule_that_sells_options_warns_of_what_its_amounts_do_not_bound(symbol: str) -> None:
    both = (Side.BUY, Side.SELL)
    text = standing_rules.text_of(terms(symbols=("SPY", symbol), sides=both), "USD")
    assert f"Selling {symbol} can open a short option, which can lose more than these amounts." in text
    assert "on every account of the connection" in text
    for harmless in (terms(symbols=("SPY", symbol)), terms(symbols=("SPY", "BTC/USD", "BRK.B"), sides=both)):
        assert "Selling" not in standing_rules.text_of(harmless, "USD")


def test_what_is_held_for_its_owner_is_released_by_no_rule_any_more(
    trader: Principal, rule: StandingRule, watch: Watch
) -> None:
    placed = place(trader)
    confirmation = row(placed).confirmation
    assert confirmation.rule == rule
    confirmations.hold_for_owner(confirmation)
    assert Confirmation.objects.get().rule is None
    confirm(trader, placed)
    assert watch.submitted == []
