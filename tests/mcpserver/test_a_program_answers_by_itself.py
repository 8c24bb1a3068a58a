"""An answer that comes before a person can read the question is nobody's: it sends nothing, and says so."""

from collections.abc import Callable
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client as Browser

from console.accounts.models import User
from console.audit.models import Call
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections import services as connections
from console.connections.models import Connection, Policy
from console.halts.services import Proof
from console.keys import minting
from console.orders.models import Order
from console.orders.owner import approvals
from console.orders.owner.approvals import Evidence
from console.scopes import Scope
from tests import clock as clocks
from tests.mcpserver.asked_steps import (
    BOTH,
    BUY,
    CANCEL,
    DECLINE,
    FORM,
    IDS,
    NO,
    NOBODY,
    RESTS,
    SAID,
    URL,
    YES,
    Host,
    host,
    newest,
    person,
    program,
)
from tests.mcpserver.ways import sdk, short

__all__ = ["host", "person", "program", "sdk", "short"]


@pytest.fixture
def live(paper: Connection) -> Connection:
    Connection.objects.filter(pk=paper.pk).update(
        environment="live", limits={"order_notional": "90000", "daily_notional": "90000"}
    )
    paper.refresh_from_db()
    return paper


def no_tool_confirms(host: Host, code: str) -> None:
    confirmation = newest()
    answer = host.call("confirm_trade", {"confirmation_id": confirmation.public_id})
    assert answer["error"]["code"] == code
    assert host.call("get_pending_confirmations", {})["pending"] == []
    confirmation.refresh_from_db()
    assert confirmation.redeemed_at is None


# -- a program ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", SAID, ids=IDS)
def test_on_paper_the_assistant_may_then_confirm_as_where_nobody_can_be_asked(host: Host, said: Any) -> None:
    state = host.asked("place_order", BUY)
    answer = host.answer("place_order", BUY, state, said)
    assert (answer["status"], answer["note"]) == ("needs_confirmation", NOBODY)
    plain = host.call("place_order", BUY)
    assert set(plain) - set(answer) <= {"estimate", "execution"}
    assert plain["next"] == answer["next"]
    assert Order.objects.get(public_id=answer["order"]["order_id"]).status == "awaiting_confirmation"
    assert host.call("confirm_trade", {"confirmation_id": answer["confirmation_id"]})["status"] == "filled"


@pytest.mark.parametrize("said", SAID, ids=IDS)
def test_with_real_money_the_order_waits_for_its_owner_and_the_answer_says_where_and_how_long(
    host: Host, live: Connection, owner: User, other: User, said: Any
) -> None:
    state = host.asked("place_order", BUY)
    answer = host.answer("place_order", BUY, state, said)
    assert (answer["status"], answer["note"]) == ("needs_approval", NOBODY)
    assert answer["approve_at"].endswith(f"/orders/{answer['order']['order_id']}/")
    assert answer["expires_at"]
    assert "cnf_" not in str(answer)
    no_tool_confirms(host, "approval_required")
    assert list(approvals.for_owner(owner)) == [newest()]
    assert not approvals.for_owner(other).exists()


def test_where_the_owner_releases_orders_a_form_is_not_used_and_the_page_asks_nobody_either(
    host: Host, paper: Connection, owner: User
) -> None:
    connections.set_policy(paper, Policy.OWNER_APPROVAL, by=owner)
    state = host.asked("place_order", BUY, BOTH)
    answer = host.answer("place_order", BUY, state, CANCEL, BOTH)
    assert (answer["status"], answer["note"]) == ("needs_approval", NOBODY)
    no_tool_confirms(host, "approval_required")


@pytest.mark.parametrize("said", SAID, ids=IDS)
def test_a_client_that_only_opens_pages_and_answers_at_once_leaves_it_to_its_owner(host: Host, said: Any) -> None:
    state = host.asked("place_order", BUY, URL)
    answer = host.answer("place_order", BUY, state, said, URL)
    assert (answer["status"], answer["note"]) == ("needs_approval", NOBODY)
    no_tool_confirms(host, "approval_required")


@pytest.mark.parametrize("tool", ["place_batch_orders", "close_position", "reverse_position", "flatten_account"])
@pytest.mark.parametrize("money", ["paper", "live"])
def test_it_is_so_for_whatever_asks(host: Host, tool: str, money: str, request: Any) -> None:
    held = host.call("confirm_trade", {"confirmation_id": host.call("place_order", BUY)["confirmation_id"]})
    assert held["status"] == "filled"
    if money == "live":
        request.getfixturevalue("live")
    given: dict[str, dict[str, Any]] = {
        "place_batch_orders": {"orders": [BUY, RESTS]},
        "close_position": {"symbol": "BTC/USD"},
        "reverse_position": {"symbol": "BTC/USD"},
        "flatten_account": {},
    }
    arguments = given[tool]
    if tool == "reverse_position" and "error" in host.call(tool, arguments):
        return  # coins are not sold short on paper
    answer = host.answer(tool, arguments, host.asked(tool, arguments), CANCEL)
    assert answer["note"] == NOBODY
    if money == "live":
        assert answer["status"] == "needs_approval"
        no_tool_confirms(host, "approval_required")
    else:
        assert "error" not in host.call("confirm_trade", {"confirmation_id": answer["confirmation_id"]})


@pytest.mark.parametrize("money", ["paper", "live"])
def test_it_is_so_for_a_change(host: Host, money: str, request: Any) -> None:
    order = host.call("confirm_trade", {"confirmation_id": host.call("place_order", RESTS)["confirmation_id"]})["order"]
    if money == "live":
        request.getfixturevalue("live")
    arguments: dict[str, Any] = {"order_id": order["order_id"], "limit_price": "101"}
    answer = host.answer("modify_order", arguments, host.asked("modify_order", arguments), DECLINE)
    assert answer["note"] == NOBODY
    assert answer["modification"]["status"] == "awaiting_confirmation"
    if money == "live":
        assert answer["status"] == "needs_approval"
        no_tool_confirms(host, "approval_required")
    else:
        changed = host.call("confirm_trade", {"confirmation_id": answer["confirmation_id"]})
        assert changed["order"]["limit_price"] == "101"


def test_a_second_is_what_divides_a_program_from_a_person(
    host: Host, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.FASTEST_ANSWER_MS = 1000
    clock = clocks.install(monkeypatch)
    state = host.asked("place_order", BUY)
    clock.advance(milliseconds=999)
    assert host.answer("place_order", BUY, state, YES)["status"] == "needs_confirmation"
    state = host.asked("place_order", BUY)
    clock.advance(milliseconds=1000)
    assert host.answer("place_order", BUY, state, YES)["status"] == "filled"


def test_it_is_on_record_what_answered_and_after_how_long(host: Host) -> None:
    answer = host.answer("place_order", BUY, host.asked("place_order", BUY), DECLINE)
    row = Call.objects.get(tool="elicitation/answer")
    assert (row.outcome, row.order_id) == ("ok", answer["order"]["order_id"])
    assert row.arguments["action"] == "decline"
    assert 0 <= row.arguments["after_ms"] < 60_000


# -- hole A: the mark of an open question is lifted nowhere else ------------------------------------------------


def test_a_program_that_is_asked_about_it_too_does_not_lift_the_mark_of_another_open_question(
    host: Host, person: Callable[[], None]
) -> None:
    named = BUY | {"client_order_id": "asked-twice"}
    at_the_person = host.asked("place_order", named)
    answer = host.answer("place_order", named, host.asked("place_order", named), CANCEL)
    assert answer["status"] == "needs_answer"
    assert "cnf_" not in str(answer)
    no_tool_confirms(host, "user_is_asked")
    assert host.answer("place_order", named, at_the_person, CANCEL)["status"] == "needs_answer"
    no_tool_confirms(host, "user_is_asked")
    person()
    assert host.answer("place_order", named, at_the_person, YES)["status"] == "filled"


def test_an_old_answer_lifts_nothing_once_it_was_asked_anew(host: Host) -> None:
    named = BUY | {"client_order_id": "lifted-then-asked"}
    first = host.asked("place_order", named)
    assert host.answer("place_order", named, first, CANCEL)["status"] == "needs_confirmation"
    host.asked("place_order", named)
    assert host.answer("place_order", named, first, CANCEL)["status"] == "needs_answer"
    no_tool_confirms(host, "user_is_asked")


def test_an_old_question_lifts_nothing_once_another_took_its_place(host: Host) -> None:
    first = host.asked("place_order", BUY)
    again = host.send("place_order", BUY, FORM, requestState=first)
    assert again["resultType"] == "input_required"
    assert host.answer("place_order", BUY, first, CANCEL)["status"] == "needs_answer"
    no_tool_confirms(host, "user_is_asked")
    assert host.answer("place_order", BUY, again["requestState"], CANCEL)["status"] == "needs_confirmation"


def test_a_confirmation_that_the_app_held_before_is_its_again(host: Host) -> None:
    named = BUY | {"client_order_id": "held-before"}
    held = host.call("place_order", named)["confirmation_id"]
    answer = host.answer("place_order", named, host.asked("place_order", named), CANCEL)
    assert answer["confirmation_id"] == held
    assert host.call("confirm_trade", {"confirmation_id": held})["status"] == "filled"


def test_an_order_that_waits_for_its_owner_is_not_lifted_by_a_policy_that_became_looser(
    host: Host, paper: Connection, owner: User
) -> None:
    state = host.asked("place_order", BUY)
    connections.set_policy(paper, Policy.OWNER_APPROVAL, by=owner)
    assert host.answer("place_order", BUY, state, CANCEL)["status"] == "needs_approval"
    connections.set_policy(paper, Policy.TWO_STEP, by=owner, may_loosen=True)
    assert host.answer("place_order", BUY, state, CANCEL)["status"] == "needs_approval"
    no_tool_confirms(host, "approval_required")


def test_nothing_is_lifted_of_what_is_over(host: Host) -> None:
    state = host.asked("place_order", BUY)
    host.call("cancel_order", {"order_id": Order.objects.latest("pk").public_id})
    answer = host.answer("place_order", BUY, state, CANCEL)
    assert answer["status"] == "cancelled"
    assert answer["note"] == "Your program answered the question by itself; nobody was asked."
    assert "cnf_" not in str(answer)


def test_a_paused_app_learns_nothing_by_its_answer(host: Host, owner: User) -> None:
    state = host.asked("place_order", BUY)
    grants.pause(ConnectedApp.objects.latest("pk"), by=owner)
    assert host.answer("place_order", BUY, state, CANCEL)["error"]["code"] == "app_paused"
    assert newest().redeemer == "user"


# -- a person who closes the window -----------------------------------------------------------------------------


@pytest.mark.parametrize("money", ["paper", "live"])
def test_a_question_that_is_closed_later_leaves_the_order_to_its_owner(
    host: Host, paper: Connection, owner: User, person: Callable[[], None], money: str, request: Any
) -> None:
    if money == "live":
        request.getfixturevalue("live")
    person()
    state = host.asked("place_order", BUY)
    answer = host.answer("place_order", BUY, state, CANCEL)
    assert answer["status"] == "needs_approval"
    assert answer["note"] == "The user closed the question without answering. Nothing was sent."
    no_tool_confirms(host, "approval_required")
    assert host.answer("place_order", BUY, state, YES)["error"]["code"] == "approval_required"
    if money == "paper":
        evidence = Evidence(proof=Proof.PASSWORD, label="the password")
        [order] = approvals.approve(newest(), by=owner, evidence=evidence, seen=newest().terms_digest)
        assert order.status == "filled"


@pytest.mark.parametrize("said", [DECLINE, NO], ids=["declined", "no"])
def test_a_later_no_is_a_no(host: Host, person: Callable[[], None], said: Any) -> None:
    person()
    answer = host.answer("place_order", BUY, host.asked("place_order", BUY), said)
    assert (answer["status"], answer["note"]) == ("cancelled", "The user declined. Nothing was sent.")


def test_closing_everything_still_means_the_apps_own_orders_when_its_owner_releases_it(
    host: Host, paper: Connection, owner: User, person: Callable[[], None]
) -> None:
    host.call("confirm_trade", {"confirmation_id": host.call("place_order", BUY)["confirmation_id"]})
    _, key = minting.mint(owner, paper, frozenset({Scope.TRADE}), name="another")
    another = Host(host.way, key)
    aapl = {"symbol": "AAPL", "side": "BUY", "quantity": "1", "order_type": "LMT", "limit_price": "1", "tif": "GTC"}
    stays = another.call("confirm_trade", {"confirmation_id": another.call("place_order", aapl)["confirmation_id"]})
    person()
    answer = host.answer("flatten_account", {}, host.asked("flatten_account", {}), CANCEL)
    assert answer["status"] == "needs_approval"
    evidence = Evidence(proof=Proof.PASSWORD, label="the password")
    approvals.approve(newest(), by=owner, evidence=evidence, seen=newest().terms_digest)
    order = Order.objects.get(public_id=stays["order"]["order_id"])
    assert order.status == "working"


# -- whether to ask at all --------------------------------------------------------------------------------------


@pytest.mark.parametrize("capabilities", [FORM, URL, BOTH], ids=["form", "url", "both"])
def test_an_app_that_is_not_to_ask_gets_the_two_steps(
    host: Host, owner: User, person: Callable[[], None], capabilities: dict[str, Any]
) -> None:
    person()
    app = ConnectedApp.objects.latest("pk")
    assert host.call("get_capabilities", {})["trading"]["ask_in_assistant"] is True
    grants.set_asking(app, False, by=owner, may_loosen=True)
    assert host.call("get_capabilities", {})["trading"]["ask_in_assistant"] is False
    answer = host.send("place_order", BUY, capabilities)["structuredContent"]
    assert answer["status"] == "needs_confirmation"
    assert host.call("confirm_trade", {"confirmation_id": answer["confirmation_id"]})["status"] == "filled"


def test_only_the_owner_decides_whether_an_app_asks(paper: Connection, trade_key: str, other: User) -> None:
    app = ConnectedApp.objects.latest("pk")
    stranger = Browser()
    stranger.force_login(other)
    assert stranger.post(f"/apps/{app.pk}/asking/", {"ask": "no"}).status_code == 404
    app.refresh_from_db()
    assert app.ask_in_assistant is True
