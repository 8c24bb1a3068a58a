from decimal import Decimal
from typing import Any

import pytest
from django.test import Client as Browser

from brokers.errors import UnknownOutcome
from brokers.types import OrderRequest
from console.accounts.models import User
from console.connections.models import Connection
from console.keys import minting
from console.onboarding import connection_lifecycle
from console.orders.models import Order
from console.scopes import Scope
from tests.clock import Clock
from tests.console.api.conftest import account_of
from tests.console.api.rest import Rest, problem
from tests.watched_broker import Watch

BUY = {"symbol": "BTC/USD", "side": "BUY", "quantity": "0.1"}


def prepared(trader: Rest, **changes: Any) -> Any:
    return trader.post("/orders", {**BUY, **changes}, status=201)


def confirm(trader: Rest, made: Any, *, status: int = 200) -> Any:
    return trader.post("/orders/confirm", {"confirmation_id": made["confirmation"]["id"]}, status=status)


def test_an_order_is_shown_then_confirmed_then_filled(trader: Rest, watch: Watch) -> None:
    made = prepared(trader)
    assert made["order"]["status"] == "awaiting_confirmation"
    assert made["confirmation"]["summary"].startswith("Buy 0.1 BTC/USD, market")
    assert watch.submitted == []
    order = confirm(trader, made)
    assert (order["status"], order["filled_quantity"], order["environment"]) == ("filled", "0.1", "paper")
    assert len(watch.submitted) == 1
    seen = trader.get(f"/orders/{order['id']}")
    assert [fill["quantity"] for fill in seen["fills"]] == ["0.1"]
    assert [event["after"] for event in seen["history"]] == ["awaiting_confirmation", "intent", "sending", "filled"]


def test_a_confirmation_works_once(trader: Rest, watch: Watch) -> None:
    made = prepared(trader)
    order = confirm(trader, made)
    response = trader.send("POST", "/orders/confirm", {"confirmation_id": made["confirmation"]["id"]})
    told = problem(response)
    assert (response.status_code, told["code"], told["order_id"]) == (409, "confirmation_used", order["id"])
    assert len(watch.submitted) == 1


def test_a_confirmation_ends_after_two_minutes(trader: Rest, watch: Watch, clock: Clock) -> None:
    made = prepared(trader)
    clock.advance(seconds=121)
    told = trader.refused("POST", "/orders/confirm", {"confirmation_id": made["confirmation"]["id"]})
    assert told["code"] == "confirmation_expired"
    assert watch.submitted == []


def test_another_app_cannot_confirm_it(trader: Rest, owner: User, paper: Connection, watch: Watch) -> None:
    made = prepared(trader)
    _, raw = minting.mint(owner, paper, frozenset({Scope.TRADE}), name="another")
    told = Rest(Browser(), raw).refused("POST", "/orders/confirm", {"confirmation_id": made["confirmation"]["id"]})
    assert (told["status"], told["code"]) == (404, "confirmation_unknown")
    assert watch.submitted == []


def test_a_lost_answer_is_accepted_as_unknown_and_not_sent_again(trader: Rest, watch: Watch) -> None:
    def lose(request: OrderRequest) -> None:
        raise UnknownOutcome("The line went dead.")

    watch.after_submit = lose
    made = prepared(trader)
    assert confirm(trader, made, status=202)["status"] == "unknown"
    assert trader.refused("POST", "/orders/confirm", {"confirmation_id": made["confirmation"]["id"]})
    assert len(watch.submitted) == 1
    assert trader.get(f"/orders/{made['order']['id']}")["status"] == "filled"


def test_the_same_client_order_id_is_the_same_order(trader: Rest) -> None:
    made = prepared(trader, client_order_id="mine-1")
    again = trader.post("/orders", {**BUY, "client_order_id": "mine-1"}, status=200)
    assert (again["order"]["id"], again["confirmation"]["id"]) == (made["order"]["id"], made["confirmation"]["id"])
    confirm(trader, made)
    after = trader.post("/orders", {**BUY, "client_order_id": "mine-1"}, status=200)
    assert (after["order"]["status"], after["confirmation"]) == ("filled", None)
    told = trader.refused("POST", "/orders", {**BUY, "quantity": "0.2", "client_order_id": "mine-1"})
    assert (told["status"], told["code"]) == (409, "duplicate_order_id")


@pytest.mark.parametrize(
    ("changes", "status", "code", "field"),
    [
        ({"symbol": "NOPE"}, 422, "unknown_symbol", None),
        ({"quantity": "0"}, 400, "invalid_argument", "quantity"),
        ({"quantity": "-1"}, 400, "invalid_argument", "quantity"),
        ({"order_type": "LMT"}, 400, "missing_argument", "limit_price"),
        ({"limit_price": "1"}, 400, "invalid_argument", "limit_price"),
        ({"account_id": "elsewhere"}, 422, "unknown_account", "account_id"),
        ({"client_order_id": "a b"}, 400, "invalid_argument", "client_order_id"),
        ({"quantity": "100000"}, 422, "insufficient_funds", None),
    ],
)
def test_an_order_that_makes_no_sense_is_refused_by_the_desk(
    trader: Rest, changes: dict[str, str], status: int, code: str, field: str | None
) -> None:
    told = trader.refused("POST", "/orders", {**BUY, **changes})
    assert (told["status"], told["code"]) == (status, code)
    if field is not None:
        assert told["errors"][0]["field"] == field
    assert not Order.objects.exists()


def test_a_resting_order_is_taken_back_by_its_key_or_at_the_console(trader: Rest, session: Rest) -> None:
    for rest, by in ((trader, "broker"), (session, "broker")):
        resting = confirm(trader, prepared(trader, order_type="LMT", limit_price="1000"))
        assert resting["status"] == "working"
        assert rest.post(f"/orders/{resting['id']}/cancel")["status"] == "cancelled"
        told = rest.refused("POST", f"/orders/{resting['id']}/cancel")
        assert (told["status"], told["code"], told["order_id"]) == (409, "not_cancellable", resting["id"])
        assert trader.get(f"/orders/{resting['id']}")["history"][-1]["by"] == by


def test_a_person_who_cancels_before_the_confirmation_is_named(trader: Rest, session: Rest) -> None:
    made = prepared(trader)
    assert session.post(f"/orders/{made['order']['id']}/cancel")["status"] == "cancelled"
    assert trader.get(f"/orders/{made['order']['id']}")["history"][-1]["by"] == "olivia@example.com"
    told = trader.refused("POST", "/orders/confirm", {"confirmation_id": made["confirmation"]["id"]})
    assert told["code"] == "confirmation_used"


def test_the_list_is_filtered_and_paged(trader: Rest, session: Rest) -> None:
    first, second = prepared(trader), prepared(trader, quantity="0.2")
    confirm(trader, first)
    for rest in (trader, session):
        assert [order["id"] for order in rest.get("/orders")["items"]] == [second["order"]["id"], first["order"]["id"]]
        [filled] = rest.get("/orders?status=filled&symbol=BTC/USD")["items"]
        assert filled["id"] == first["order"]["id"]
        page = rest.get("/orders?limit=1")
        assert [order["id"] for order in rest.get(page["next"])["items"]] == [first["order"]["id"]]


def test_orders_of_somebody_else_are_not_there(trader: Rest, others_session: Rest) -> None:
    order = prepared(trader)["order"]
    assert others_session.get("/orders")["items"] == []
    assert others_session.refused("GET", f"/orders/{order['id']}")["code"] == "not_found"
    assert others_session.refused("POST", f"/orders/{order['id']}/cancel")["code"] == "not_found"
    assert trader.get(f"/orders/{order['id']}")["status"] == "awaiting_confirmation"


def test_the_largest_order_is_told_with_what_binds_it(trader: Rest, clock: Clock) -> None:
    found = trader.get("/orders/max?symbol=BTC/USD&side=BUY&order_type=LMT&limit_price=100")
    assert (found["bound_by"]["bound"], found["bound_by"]["is_checked"], found["is_exact"]) == ("funds", True, True)
    assert (found["refused"], found["not_reported"], found["by_value"]) == ([], "", False)
    terms = {"symbol": "BTC/USD", "side": "BUY", "order_type": "LMT", "limit_price": "100"}
    assert trader.post("/orders", terms | {"quantity": found["size"]}, status=201)["confirmation"]
    more = str(Decimal(found["size"]) + Decimal(found["step"]))
    assert trader.refused("POST", "/orders", terms | {"quantity": more})["code"] == "insufficient_funds"


def test_another_ones_account_is_not_sized(trader: Rest, other: User) -> None:
    theirs, _ = connection_lifecycle.open_paper(other, name="Theirs", starting_cash=Decimal(5))
    told = trader.refused("GET", f"/orders/max?symbol=BTC/USD&side=BUY&account_id={account_of(theirs)}")
    assert told["code"] == "unknown_account"


def test_a_met_trigger_has_to_be_meant_and_an_exit_has_to_be_able_to_wait(trader: Rest, watch: Watch) -> None:
    stop = BUY | {"order_type": "STP", "stop_price": "1", "tif": "GTC"}
    told = trader.refused("POST", "/orders", stop)
    assert (told["status"], told["code"], told["errors"][0]["field"]) == (422, "trigger_already_met", "stop_price")
    meant = prepared(trader, **stop, at_once=True)
    assert "already met: buys at once" in meant["confirmation"]["summary"]
    assert confirm(trader, meant)["status"] == "filled"
    wrong = BUY | {"order_class": "oto", "tif": "GTC", "stop_loss": "9000000", "at_once": True}
    told = trader.refused("POST", "/orders", wrong)
    assert (told["code"], told["errors"][0]["field"]) == ("exit_on_wrong_side", "stop_loss")
    waits = prepared(trader, order_type="LMT", limit_price="1", tif="GTC")["confirmation"]
    assert waits["price"] == "1" and float(waits["last"]) > 1000


def test_leverage_is_refused_by_name(trader: Rest) -> None:
    told = trader.refused("POST", "/orders", BUY | {"leverage": "5"})
    assert (told["code"], told["errors"][0]["field"]) == ("not_offered_by_broker", "leverage")
