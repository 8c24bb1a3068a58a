"""A platform makes, lists and disables its users over REST, and nobody else's."""

from decimal import Decimal
from typing import Any

import pytest
from django.test import Client

from console.accounts.models import User
from console.audit.models import Change
from console.connections.models import Connection
from console.platforms.models import PlatformUser
from tests.console.platforms.conftest import Product

USERS = "/api/v1/platform/users"
PAPER = {"name": "Practice", "starting_cash": "5000.50"}


def test_a_user_is_made_with_a_secret_shown_once(product: Product) -> None:
    answer = product.send("POST", USERS, {"reference": "customer-7"})
    assert answer.status_code == 201
    assert "no-store" in answer["Cache-Control"]
    made = answer.json()
    user = PlatformUser.objects.get(public_id=made["user_id"])
    assert made["user_secret"].startswith("tlu_secret_")
    assert made["user_secret"] not in f"{user.digest}"
    assert not user.user.has_usable_password()
    assert "user_secret" not in product.send("GET", f"{USERS}/{made['user_id']}").json()
    assert Change.objects.get(action="added", target="platform user").target_id == made["user_id"]


def test_a_paper_connection_comes_with_it_when_asked_for_and_no_key(product: Product) -> None:
    made = product.send("POST", USERS, {"connection": PAPER | {"trading_enabled": False}}).json()
    (shown,) = made["connections"]
    connection = Connection.objects.get(pk=shown["id"])
    assert connection.equity == Decimal("5000.50")
    assert (connection.environment, connection.trading_enabled) == ("paper", False)
    assert connection.owner.platform_user.public_id == made["user_id"]
    assert not connection.connected_apps.exists()


def test_an_empty_body_makes_a_user_without_one(product: Product) -> None:
    assert product.send("POST", USERS).json()["connections"] == []


def test_a_connection_can_be_added_later(product: Product) -> None:
    user_id = product.send("POST", USERS).json()["user_id"]
    url = f"{USERS}/{user_id}/connections"
    assert product.send("POST", url, PAPER).status_code == 201
    assert product.send("POST", url, PAPER).status_code == 400, "the name is taken"
    assert [each["name"] for each in product.send("GET", f"{USERS}/{user_id}").json()["connections"]] == ["Practice"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("{", None),
        ("[]", None),
        ('{"a": NaN}', None),
        ({"email": "a@b.c"}, "email"),
        ({"reference": 7}, "reference"),
        ({"reference": "x" * 101}, "reference"),
        ({"reference": "a\x00b"}, "reference"),
        ({"connection": []}, "connection"),
        ({"connection": {"starting_cash": "5"}}, "name"),
        ({"connection": {"name": "P"}}, "starting_cash"),
        *(
            ({"connection": {"name": "P", "starting_cash": cash}}, "starting_cash")
            for cash in ("0", "-1", "1e12", "1.001", "x", "NaN", True, None)
        ),
        ({"connection": PAPER | {"trading_enabled": "yes"}}, "trading_enabled"),
        ({"connection": PAPER | {"broker": "live"}}, "broker"),
    ],
)
def test_a_bad_body_is_refused_and_nothing_is_made(product: Product, body: Any, field: str | None) -> None:
    people = User.objects.count()
    answer = product.send("POST", USERS, body)
    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    assert answer.json().get("field") == field
    assert User.objects.count() == people


def test_a_reference_names_one_user(product: Product, second_product: Product) -> None:
    assert product.send("POST", USERS, {"reference": "customer-7"}).status_code == 201
    people = User.objects.count()
    assert product.send("POST", USERS, {"reference": "customer-7"}).json()["field"] == "reference"
    assert User.objects.count() == people
    assert second_product.send("POST", USERS, {"reference": "customer-7"}).status_code == 201


def test_only_json_is_taken(product: Product) -> None:
    answer = Client().post(USERS, "name=x", content_type="text/plain", headers=product.headers)
    assert answer.status_code == 415


def test_users_are_listed_newest_first_in_pages(product: Product) -> None:
    made = [product.send("POST", USERS).json()["user_id"] for _ in range(52)]
    first = product.send("GET", USERS).json()
    second = product.send("GET", f"{USERS}?before={first['next_before']}").json()
    assert [each["user_id"] for each in first["users"] + second["users"]] == made[::-1]
    assert second["next_before"] is None


def test_a_platform_sees_no_user_of_another(product: Product, second_product: Product) -> None:
    user_id = product.send("POST", USERS).json()["user_id"]
    assert second_product.send("GET", USERS).json()["users"] == []
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/secret"), ("POST", "/connections")):
        answer = second_product.send(method, f"{USERS}/{user_id}{path}", PAPER if path == "/connections" else None)
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_user"), path
    assert PlatformUser.objects.get().disabled_at is None


def test_an_id_that_is_none_is_unknown(product: Product) -> None:
    assert product.send("GET", f"{USERS}/caf%C3%A9'--").status_code == 404


def test_a_disabled_user_is_listed_as_such_and_gets_nothing_more(product: Product) -> None:
    user_id = product.send("POST", USERS).json()["user_id"]
    for _ in range(2):
        assert product.send("DELETE", f"{USERS}/{user_id}").status_code == 204
    assert product.send("GET", f"{USERS}/{user_id}").json()["disabled_at"]
    assert product.send("POST", f"{USERS}/{user_id}/secret").status_code == 404
    assert product.send("POST", f"{USERS}/{user_id}/connections", PAPER).status_code == 404


@pytest.mark.parametrize("path", [USERS, f"{USERS}/tlu_x", f"{USERS}/tlu_x/secret", "/auth/tokens/user"])
def test_another_method_is_answered_with_those_there_are(product: Product, path: str) -> None:
    answer = product.send("PUT", path)
    assert answer.status_code == 405
    assert answer["Allow"] and "PUT" not in answer["Allow"]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    ("header", "value", "named"),
    [
        ("client_id", "", "client-id"),
        ("client_secret", "", "client-secret"),
        ("client_id", "tlc_unknown", "client-secret"),
        ("client_secret", "tlc_secret_wrong", "client-secret"),
        ("client_secret", "caf\xe9", "client-secret"),
    ],
)
def test_each_bad_header_is_a_401_that_names_it(
    product: Product, method: str, header: str, value: str, named: str
) -> None:
    answer = product.send(method, USERS, **{header: value})
    assert answer.status_code == 401
    assert answer["WWW-Authenticate"]
    problem = answer.json()
    assert (problem["code"], problem["field"], problem["status"]) == ("unauthenticated", named, 401)


def test_an_unknown_platform_and_a_wrong_secret_get_the_same_answer(product: Product) -> None:
    unknown = product.send("GET", USERS, client_id="tlc_unknown")
    wrong = product.send("GET", USERS, client_secret="wrong")
    assert unknown.json() == wrong.json()


def test_a_session_of_an_operator_opens_no_platform(operator: User) -> None:
    browser = Client()
    browser.force_login(operator)
    assert browser.get(USERS).status_code == 401


@pytest.mark.parametrize("cash", ["1_000", "1e3", "\u0661\u0660\u0660", "+100", " 100", "100.001", "", True, None])
def test_starting_cash_is_a_plain_decimal(product: Product, cash: Any) -> None:
    answer = product.send("POST", USERS, {"connection": {**PAPER, "starting_cash": cash}})
    assert (answer.status_code, answer.json()["field"]) == (400, "starting_cash")
    assert not Connection.objects.exists()
