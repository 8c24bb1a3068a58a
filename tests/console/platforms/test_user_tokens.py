"""POST /auth/tokens/user: a one-hour token for exactly what was asked."""

from decimal import Decimal
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from joserfc import jwt
from joserfc.jwk import KeySet

from console.authority import bearer
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.platforms import services
from console.platforms.models import PlatformUser
from console.platforms.services import PaperTerms
from console.scopes import Scope, Source
from tests.console.platforms.conftest import Product

Trader = tuple[PlatformUser, str]
READ, TRADE = {"scopes": ["read"]}, {"scopes": ["read", "trade"]}


@pytest.mark.parametrize(("body", "scope"), [(READ, "mcp:read"), (TRADE, "mcp:read mcp:trade")])
def test_the_answer_is_a_bearer_for_an_hour(product: Product, trader: Trader, body: Any, scope: str) -> None:
    answer = product.mint(trader, body)
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    told = answer.json()
    assert (told["token_type"], told["expires_in"], told["scope"]) == ("Bearer", 3600, scope)
    who = bearer.authenticate(told["access_token"], ip="203.0.113.9")
    assert who.source is Source.PLATFORM
    assert who.user_id == trader[0].user_id
    assert who.app_label == "Widget"
    assert who.may(Scope.TRADE) is ("trade" in scope)
    assert who.credential_id.startswith("tok_")


def test_anyone_can_check_it_with_the_published_key(product: Product, trader: Trader) -> None:
    published = Client().get("/.well-known/jwks.json")
    assert published["Access-Control-Allow-Origin"] == "*"
    raw = product.mint(trader).json()["access_token"]
    token = jwt.decode(raw, KeySet.import_key_set(published.json()), algorithms=["ES256"])
    assert token.header["typ"] == "at+jwt"
    assert token.header["kid"] == published.json()["keys"][0]["kid"]
    claims = token.claims
    assert claims["iss"] == settings.ISSUER
    assert claims["aud"] == [settings.MCP_URL, f"{settings.PUBLIC_URL}/api/v1"]
    assert (claims["sub"], claims["client_id"]) == (trader[0].public_id, product.platform.client_id)
    assert claims["exp"] - claims["iat"] == 3600
    assert claims["scope"] == "mcp:read"
    assert claims["jti"] and claims["cv"] and claims["app"]


@pytest.mark.parametrize(
    ("header", "value", "named"),
    [
        ("client_id", "", "client-id"),
        ("client_id", "tlc_unknown", "client-secret"),
        ("client_secret", "", "client-secret"),
        ("client_secret", "wrong", "client-secret"),
        ("user_id", "", "user-id"),
        ("user_id", "tlu_unknown", "user-secret"),
        ("user_secret", "", "user-secret"),
        ("user_secret", "wrong", "user-secret"),
    ],
)
def test_each_bad_header_is_a_401_that_names_it(
    product: Product, trader: Trader, header: str, value: str, named: str
) -> None:
    answer = product.mint(trader, **{header: value})
    assert answer.status_code == 401
    assert (answer.json()["code"], answer.json()["field"]) == ("unauthenticated", named)
    assert not ConnectedApp.objects.exists()


def test_a_user_of_another_platform_is_unknown(second_product: Product, trader: Trader) -> None:
    assert second_product.mint(trader).json()["field"] == "user-secret"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ("", None),
        ("{", None),
        ("[]", None),
        ({}, "scopes"),
        ({"scopes": []}, "scopes"),
        ({"scopes": "read"}, "scopes"),
        ({"scopes": ["write"]}, "scopes"),
        ({"scopes": ["manage"]}, "scopes"),
        ({"scopes": ["mcp:read"]}, "scopes"),
        ({"scopes": [["read"]]}, "scopes"),
        ({"scopes": ["read"], "scope": "x"}, "scope"),
        ({"scopes": ["read"], "connection_id": "x"}, "connection_id"),
        ({"scopes": ["read"], "connection_id": True}, "connection_id"),
        ({"scopes": ["read"], "connection_id": -1}, "connection_id"),
        ({"scopes": ["read"], "connection_id": 10**30}, "connection_id"),
    ],
)
def test_a_bad_body_is_a_400(product: Product, trader: Trader, body: Any, field: str | None) -> None:
    answer = product.mint(trader, body)
    assert answer.status_code == 400
    assert answer.json().get("field") == field


def test_a_user_with_several_connections_names_one(product: Product, trader: Trader) -> None:
    user, _ = trader
    second = services.add_paper(user, PaperTerms("Second", Decimal(500)))
    refused = product.mint(trader)
    assert (refused.status_code, refused.json()["code"]) == (409, "connection_required")
    assert [each["name"] for each in refused.json()["connections"]] == ["Practice", "Second"]
    for named in (second.pk, str(second.pk)):
        told = product.mint(trader, READ | {"connection_id": named}).json()
        assert told["connection_id"] == second.pk
        assert bearer.authenticate(told["access_token"]).connection_label == "Second"


def test_a_user_without_a_connection_is_told_so(product: Product) -> None:
    user = services.provision_user(product.platform)
    refused = product.mint(user)
    assert (refused.status_code, refused.json()["connections"]) == (409, [])


def test_somebody_elses_connection_is_not_among_the_choices(
    product: Product, trader: Trader, paper: Connection
) -> None:
    refused = product.mint(trader, READ | {"connection_id": paper.pk})
    assert refused.status_code == 409
    assert [each["name"] for each in refused.json()["connections"]] == ["Practice"]
    assert paper.pk not in [each["id"] for each in refused.json()["connections"]]


def test_tokens_of_one_scope_set_stand_for_one_app(product: Product, trader: Trader) -> None:
    seen = [bearer.authenticate(product.mint(trader, body).json()["access_token"]) for body in (READ, READ, TRADE)]
    assert seen[0].app_id == seen[1].app_id != seen[2].app_id
    assert len({who.credential_id for who in seen}) == 3
    assert ConnectedApp.objects.filter(source=Source.PLATFORM, activated_at__isnull=False).count() == 2


def test_what_was_narrowed_stays_narrow_in_the_next_token(product: Product, trader: Trader) -> None:
    raw = product.mint(trader, TRADE).json()["access_token"]
    grants.narrow(ConnectedApp.objects.get(), by=trader[0].user)
    assert bearer.authenticate(raw).scopes == {Scope.READ}
    again = product.mint(trader, TRADE).json()
    assert again["scope"] == "mcp:read"
    assert bearer.authenticate(again["access_token"]).scopes == {Scope.READ}


def test_what_was_taken_back_the_platform_cannot_give_itself_again(product: Product, trader: Trader) -> None:
    product.mint(trader, READ)
    grants.revoke(ConnectedApp.objects.get(), by=trader[0].user, reason="Revoked by its owner")
    for body in (READ, TRADE):
        refused = product.mint(trader, body)
        assert (refused.status_code, refused.json()["code"]) == (403, "app_revoked")


def test_a_user_who_never_signed_in_may_only_read_a_live_connection(product: Product, trader: Trader) -> None:
    Connection.objects.filter(owner=trader[0].user).update(environment="live")
    assert product.mint(trader, READ).status_code == 200
    assert product.mint(trader, TRADE).status_code == 403
