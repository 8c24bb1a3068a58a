"""The pages of standing rules: what is typed is what is proved, and nobody else finds them."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client as Browser
from django.utils import timezone

from console.accounts.models import User
from console.connections import services as connections
from console.connections.models import Connection, Policy
from console.orders.models import StandingRule
from tests.conftest import PASSWORD
from tests.console.orders.rule_steps import form, last_day, make
from tests.console.pages import words_of
from tests.console.passkeys import Passkey
from tests.console.present import Person, at_the_browser, challenge


@pytest.fixture
def asks(paper: Connection, owner: User) -> Connection:
    connections.set_policy(paper, Policy.OWNER_APPROVAL, by=owner)
    return paper


@pytest.fixture
def person(owner: User) -> Person:
    return at_the_browser(owner)


def page(connection: Connection) -> str:
    return f"/orders/approvals/rules/new/{connection.pk}/"


def send(browser: Browser, connection: Connection, **changed: Any) -> str:
    return words_of(browser.post(page(connection), form(**changed), follow=True))


def test_the_rule_is_said_in_one_sentence_and_made_with_the_proof(
    asks: Connection, browser: Browser, person: Person
) -> None:
    shown = send(browser, asks, symbols="btc/usd, AAPL", starts="09:30", ends="16:00", time_zone="America/New_York")
    last = last_day()
    assert (
        "Buy BTC/USD or AAPL, limit orders of any app that you let trade, on every account of the connection: "
        "at most 1,000.00 USD an order, 2,500.00 USD and 10 orders a day; every day, "
        "09:30 to 16:00 (America/New_York); "
        f"until the end of {last.day} {last:%b %Y}."
    ) in shown
    assert not StandingRule.objects.exists()
    assert "The rule Small buys is in force." in send(person, asks, symbols="btc/usd")
    rule = StandingRule.objects.get()
    assert (rule.symbols, rule.made_with, rule.currency) == (["BTC/USD"], "the password", "USD")


@pytest.mark.parametrize("changed", ["order_value", "day_value", "symbols", "last_day", "sides", "name"])
def test_a_passkeys_proof_is_for_that_very_rule(asks: Connection, browser: Browser, owner: User, changed: str) -> None:
    passkey = Passkey(owner)
    signed = passkey.answer(challenge(browser, page(asks), form()))
    wider: dict[str, Any] = {
        "order_value": "2000",
        "day_value": "9000",
        "symbols": "BTC/USD, AAPL",
        "last_day": last_day(60).isoformat(),
        "sides": ["BUY", "SELL"],
        "name": "Other buys",
    }
    browser.post(page(asks), {**form(**{changed: wider[changed]}), "proof-credential": signed})
    assert not StandingRule.objects.exists()


def test_with_real_money_the_password_makes_none(asks: Connection, browser: Browser, owner: User) -> None:
    Connection.objects.filter(pk=asks.pk).update(environment="live")
    for _ in range(2):
        browser.post(page(asks), {**form(), "proof-password": PASSWORD})
        assert not StandingRule.objects.exists()
        Passkey(owner)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no symbol": ({"symbols": ""}, "This field is required."),
    "a symbol that is none": ({"symbols": "NOSUCHTHING"}, "NOSUCHTHING"),
    "too many symbols": ({"symbols": " ".join(f"A{n}" for n in range(21))}, "Name 1 to 20 symbols."),
    "an order above the day": ({"order_value": "2501"}, "no more than the value of a day"),
    "nothing": ({"order_value": "0"}, "It has to be above 0"),
    "not a number": ({"day_value": "NaN"}, "Enter a number."),
    "no end in sight": ({"last_day": last_day(92).isoformat()}, "at most 90 days"),
    "a day that is over": ({"last_day": (timezone.now() - timedelta(days=2)).date().isoformat()}, "at most 90 days"),
    "half of the hours": ({"starts": "09:00"}, "Give two different times"),
    "no hours at all": ({"starts": "09:00", "ends": "09:00"}, "Give two different times"),
    "a time zone that is none": ({"time_zone": "../UTC"}, "Write a time zone such as"),
    "no weekday": ({"weekdays": []}, "This field is required."),
    "a type that is none": ({"order_types": ["ANY"]}, "is not one of the available choices"),
    "an app that is none of theirs": ({"app": "987654"}, "is not one of the available choices"),
    "too many orders": ({"orders_a_day": "501"}, "less than or equal to 500"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_a_rule_is_refused_beside_its_field(asks: Connection, person: Person, what: str) -> None:
    changed, said = REFUSED[what]
    assert said in send(person, asks, **changed)
    assert not StandingRule.objects.exists()


def test_hidden_characters_are_in_no_name(asks: Connection, person: Person) -> None:
    send(person, asks, name="Buys\u202eevil")
    assert not StandingRule.objects.exists()


def test_where_the_assistant_confirms_there_is_nothing_for_a_rule_to_do(paper: Connection, person: Person) -> None:
    assert "there is nothing for a rule to release" in send(person, paper)
    assert not StandingRule.objects.exists()


def test_two_rules_in_force_have_two_names(asks: Connection, owner: User, person: Person) -> None:
    rule = make(asks, owner)
    assert "Another rule on this connection has this name." in send(person, asks)
    person.post(f"/orders/approvals/rules/{rule.public_id}/end/")
    assert "The rule Small buys is in force." in send(person, asks)


def test_one_click_ends_it(asks: Connection, owner: User, browser: Browser) -> None:
    rule = make(asks, owner)
    answer = browser.post(f"/orders/approvals/rules/{rule.public_id}/end/", follow=True)
    assert "The rule Small buys has ended." in words_of(answer)
    rule.refresh_from_db()
    assert rule.ended_at is not None
    assert "It was ended." in words_of(browser.get("/orders/approvals/rules/"))


def test_somebody_else_finds_no_rule_and_makes_none(asks: Connection, owner: User, other: User) -> None:
    rule, stranger = make(asks, owner), at_the_browser(other)
    own = f"/orders/approvals/rules/{rule.public_id}/"
    assert [stranger.get(own).status_code, stranger.post(f"{own}end/").status_code] == [404, 404]
    assert [stranger.get(page(asks)).status_code, stranger.post(page(asks), form()).status_code] == [404, 404]
    assert "Small buys" not in words_of(stranger.get("/orders/approvals/rules/"))
    rule.refresh_from_db()
    assert rule.ended_at is None
    assert StandingRule.objects.count() == 1


def test_no_token_leads_here(asks: Connection, trade_key: str) -> None:
    answer = Browser().post(page(asks), form(), headers={"Authorization": f"Bearer {trade_key}"})
    assert answer["Location"].startswith("/sign-in/")
    assert not StandingRule.objects.exists()


def test_the_connections_page_leads_to_its_rules(asks: Connection, owner: User, browser: Browser) -> None:
    assert "None. A rule releases orders you describe in advance" in words_of(browser.get(f"/connections/{asks.pk}/"))
    make(asks, owner)
    assert "Small buys In force" in words_of(browser.get(f"/connections/{asks.pk}/"))
