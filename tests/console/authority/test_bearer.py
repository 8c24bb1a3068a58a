"""Who a bearer is; and that what was taken back stops at the very next look."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from console.accounts.models import User
from console.authority import bearer
from console.authority.bearer import Unauthenticated
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.keys import minting
from console.keys.models import ApiKey
from console.oauth.models import REGISTRATION_SCOPE, AccessToken
from console.principal import Principal
from console.scopes import Scope, Source

pytestmark = pytest.mark.django_db


def why_not(raw: str) -> str:
    with pytest.raises(Unauthenticated) as caught:
        bearer.authenticate(raw)
    return str(caught.value)


def test_a_key_is_its_app_on_its_connection_with_its_scopes(trade_key: str, owner: User, paper: Connection) -> None:
    who = bearer.authenticate(trade_key, ip="203.0.113.9")
    assert (who.user_id, who.connection_id, who.source) == (owner.pk, paper.pk, Source.API_KEY)
    assert who.scopes == {Scope.READ, Scope.TRADE}
    assert who.ip == "203.0.113.9"
    assert trade_key.split("_")[-1] not in repr(who)


def test_a_key_costs_one_query(trade_key: str, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    bearer.authenticate(trade_key)  # on PostgreSQL a row that was never seen is read twice
    with django_assert_num_queries(1):
        bearer.authenticate(trade_key)


def test_a_read_key_may_not_trade(read_key: str) -> None:
    assert not bearer.authenticate(read_key).may(Scope.TRADE)


def test_only_a_hash_of_the_key_is_stored(trade_key: str) -> None:
    secret = trade_key.split("_")[-1]
    for key in ApiKey.objects.all():
        assert secret[:20] not in f"{key.digest} {key.hint} {key.public_id}"


@pytest.mark.parametrize("position", [0, 4, 12, 25, -1])
def test_a_mistyped_key_is_refused_before_any_query(
    trade_key: str, position: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    place = len("tl_paper_") + position if position >= 0 else len(trade_key) - 1
    wrong = trade_key[:place] + ("A" if trade_key[place] != "A" else "B") + trade_key[place + 1 :]
    with django_assert_num_queries(0):
        why_not(wrong)


def test_another_secret_under_a_known_public_id_is_refused(trade_key: str) -> None:
    prefix = trade_key[: trade_key.rindex("_") + 1]
    body = prefix + "0" * 30
    assert "This server did not issue" in why_not(body + minting._checksum(body))


@pytest.mark.parametrize("raw", ["", "x", "a.b.c", "tl_", "tl_paper_", "é" * 40, "x" * 10_000])
def test_anything_else_is_refused(raw: str) -> None:
    why_not(raw)


def test_a_revoked_key_stops_at_the_next_look_and_the_refusal_knows_whose_it_was(trade_key: str, owner: User) -> None:
    bearer.authenticate(trade_key)
    key = ApiKey.objects.get(public_id=minting.public_id_of(trade_key))
    minting.revoke(key, by=owner)
    with pytest.raises(Unauthenticated) as caught:
        bearer.authenticate(trade_key)
    assert isinstance(caught.value.principal, Principal)
    assert caught.value.principal.app_id == key.app_id


def test_a_revoked_app_takes_its_key_with_it(trade_key: str, owner: User) -> None:
    app = ConnectedApp.objects.get(api_keys__public_id=minting.public_id_of(trade_key))
    grants.revoke(app, by=owner, reason="Its client was deleted")
    assert why_not(trade_key) == "This app's access has ended. Its client was deleted."


def test_a_disabled_user_takes_every_key_along(trade_key: str, owner: User) -> None:
    User.objects.filter(pk=owner.pk).update(is_active=False)
    assert why_not(trade_key) == "The account that owns this credential is disabled."


def test_a_closed_connection_takes_its_keys_along(trade_key: str, paper: Connection) -> None:
    Connection.objects.filter(pk=paper.pk).update(closed_at=timezone.now())
    assert why_not(trade_key) == f"This credential is for the connection {paper.name}, which was unlinked."


def test_an_expired_key_is_refused(owner: User, paper: Connection) -> None:
    past = timezone.now() - timedelta(seconds=1)
    _, raw = minting.mint(owner, paper, frozenset({Scope.READ}), name="short", expires_at=past)
    assert "expired" in why_not(raw)


def test_a_second_secret_of_an_app_outlives_the_first(trade_key: str, owner: User) -> None:
    key = ApiKey.objects.get(public_id=minting.public_id_of(trade_key))
    _, second = minting.add_secret(key.app, by=owner)
    minting.revoke(key, by=owner)
    assert bearer.authenticate(second).app_id == key.app_id
    why_not(trade_key)


def oauth_token(app: ConnectedApp | None, scope: str, **fields: object) -> str:
    raw = "raw-access-token"
    AccessToken.objects.create(
        app=app,
        user=app.owner if app else None,
        token=raw,
        scope=scope,
        **({"expires": timezone.now() + timedelta(hours=1)} | fields),
    )
    return raw


def oauth_app(owner: User, paper: Connection) -> ConnectedApp:
    return grants.grant(owner, paper, frozenset({Scope.TRADE}), source=Source.OAUTH, name="Host")


def test_an_access_token_is_its_app(owner: User, paper: Connection) -> None:
    app = oauth_app(owner, paper)
    who = bearer.authenticate(oauth_token(app, "mcp:read mcp:trade"))
    assert (who.app_id, who.source, who.scopes) == (app.pk, Source.OAUTH, frozenset({Scope.READ, Scope.TRADE}))


def test_an_expired_access_token_is_refused(owner: User, paper: Connection) -> None:
    raw = oauth_token(oauth_app(owner, paper), "mcp:read", expires=timezone.now())
    assert "expired" in why_not(raw)


def test_a_token_issued_before_its_app_was_narrowed_is_narrowed_with_it(owner: User, paper: Connection) -> None:
    app = oauth_app(owner, paper)
    raw = oauth_token(app, "mcp:read mcp:trade")
    grants.narrow(app, by=owner)
    assert bearer.authenticate(raw).scopes == {Scope.READ}


def test_a_registration_access_token_opens_nothing() -> None:
    raw = oauth_token(None, REGISTRATION_SCOPE, expires=timezone.now() + timedelta(days=9999))
    assert "This server did not issue" in why_not(raw)


def test_another_users_connection_cannot_be_granted(other: User, paper: Connection) -> None:
    with pytest.raises(ValueError, match="its owner"):
        minting.mint(other, paper, frozenset({Scope.READ}), name="theft")
    assert Decimal(0) == ApiKey.objects.filter(app__owner=other).count()
