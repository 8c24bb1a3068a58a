"""When a platform token holds, and that everything that ends it ends it at the next look."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.utils import timezone
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey
from pytest_django import DjangoAssertNumQueries

from console.accounts.models import User
from console.authority import bearer
from console.authority.bearer import Unauthenticated
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.platforms import services, token_signing
from console.platforms.models import PlatformUser
from console.principal import Principal
from tests import clock
from tests.console.platforms.conftest import Product

Trader = tuple[PlatformUser, str]


@pytest.fixture
def raw(product: Product, trader: Trader) -> str:
    return str(product.mint(trader).json()["access_token"])


def why_not(raw: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        bearer.authenticate(raw)
    return str(caught.value)


def altered(raw: str, **changes: Any) -> str:
    """The same token with other claims, signed by our own key."""
    claims = {**(token_signing.read(raw) or {}), **changes}
    return token_signing.sign({name: value for name, value in claims.items() if value is not None})


def test_it_costs_one_query(raw: str, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    with django_assert_num_queries(1):
        bearer.authenticate(raw)


def test_after_an_hour_it_has_expired(raw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    time = clock.install(monkeypatch)
    time.advance(minutes=59)
    bearer.authenticate(raw)
    time.advance(minutes=1, seconds=1)
    assert "expired" in why_not(raw)


def test_a_token_that_expired_earlier_is_refused_and_the_refusal_knows_whose_it_was(raw: str) -> None:
    past = int((timezone.now() - timedelta(seconds=1)).timestamp())
    with pytest.raises(Unauthenticated, match="expired") as caught:
        bearer.authenticate(altered(raw, exp=past))
    assert isinstance(caught.value.principal, Principal)


def _everything(product: Product, user: PlatformUser, operator: User) -> dict[str, Callable[[], object]]:
    app = ConnectedApp.objects.get()
    return {
        "platform secret": lambda: services.rotate_platform_secret(product.platform, by=operator),
        "platform disabled": lambda: services.disable_platform(product.platform, by=operator),
        "user secret": lambda: services.rotate_user_secret(user),
        "user disabled": lambda: services.disable_user(user),
        "app revoked": lambda: grants.revoke(app, by=operator, reason="test"),
        "account closed": lambda: User.objects.filter(pk=user.user_id).update(is_active=False),
        "connection closed": lambda: Connection.objects.update(closed_at=timezone.now()),
    }


@pytest.mark.parametrize(
    "way",
    [
        "platform secret",
        "platform disabled",
        "user secret",
        "user disabled",
        "app revoked",
        "account closed",
        "connection closed",
    ],
)
def test_what_ends_it_ends_it_at_once(product: Product, trader: Trader, operator: User, raw: str, way: str) -> None:
    bearer.authenticate(raw)
    _everything(product, trader[0], operator)[way]()
    why_not(raw)


def test_a_paused_app_is_known_to_be_paused(trader: Trader, raw: str) -> None:
    grants.pause(ConnectedApp.objects.get(), by=trader[0].user)
    assert bearer.authenticate(raw).paused


def test_a_platform_that_is_enabled_again_mints_but_its_old_tokens_stay_ended(
    product: Product, trader: Trader, operator: User, raw: str
) -> None:
    services.disable_platform(product.platform, by=operator)
    assert product.mint(trader).status_code == 401
    services.enable_platform(product.platform, by=operator)
    why_not(raw)
    bearer.authenticate(product.mint(trader).json()["access_token"])


def test_a_changed_user_secret_ends_the_old_one(product: Product, trader: Trader) -> None:
    user, old = trader
    new = product.send("POST", f"/api/v1/platform/users/{user.public_id}/secret").json()["user_secret"]
    assert product.mint((user, old)).status_code == 401
    assert product.mint((user, new)).status_code == 200


def test_another_user_of_the_platform_keeps_its_tokens(product: Product, trader: Trader, raw: str) -> None:
    other, _ = services.provision_user(product.platform)
    services.disable_user(other)
    bearer.authenticate(raw)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://elsewhere.example"},
        {"aud": "https://elsewhere.example"},
        {"aud": [settings.MCP_URL]},
        {"sub": "tlu_somebody"},
        {"client_id": "tlc_somebody"},
        {"app": 10**9},
        {"app": "1"},
        {"app": True},
        {"exp": None},
        {"exp": "9999999999"},
        {"cv": "9.9"},
        {"cv": None},
        {"scope": None},
        {"jti": None},
    ],
)
def test_a_claim_that_is_not_ours_opens_nothing(raw: str, changes: dict[str, Any]) -> None:
    why_not(altered(raw, **changes))


def test_a_scope_it_was_not_granted_is_not_gained_by_claiming_it(raw: str) -> None:
    assert bearer.authenticate(altered(raw, scope="mcp:read mcp:trade manage")).scopes == {"mcp:read"}


def test_signatures_that_are_not_ours_open_nothing(raw: str) -> None:
    claims = dict(token_signing.read(raw) or {})
    header, body, signature = raw.split(".")
    public = token_signing.key_set()["keys"][0]
    forged = {
        "another key": jwt.encode(
            {"alg": "ES256", "typ": "at+jwt"}, claims, ECKey.generate_key("P-256"), algorithms=["ES256"]
        ),
        "a MAC with our public key": jwt.encode(
            {"alg": "HS256", "typ": "at+jwt"}, claims, OctKey.import_key(str(public) * 2), algorithms=["HS256"]
        ),
        "no signature": f"{header}.{body}.",
        "alg none": "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0." + body + ".",
        "a cut signature": f"{header}.{body}.{signature[:-4]}",
        "another body": f"{header}.{body[:-4]}AAAA.{signature}",
        "nothing": "..",
    }
    for name, token in forged.items():
        assert "This server did not issue" in why_not(token), name


def test_another_type_of_our_own_signature_opens_nothing(raw: str) -> None:
    claims = dict(token_signing.read(raw) or {})
    other = jwt.encode({"alg": "ES256", "typ": "JWT"}, claims, token_signing._keys()[0], algorithms=["ES256"])
    why_not(other)


def test_a_platform_stands_and_falls_with_the_operator_who_owns_it(
    raw: str, product: Product, trader: Trader, operator: User
) -> None:
    User.objects.filter(pk=operator.pk).update(is_active=False)
    why_not(raw)
    assert product.mint(trader).status_code == 401
