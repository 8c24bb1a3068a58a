"""A newer grant of the same client to the same connection: what its owner took from the older stays taken."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from brokers.types import AssetClass
from console.accounts.models import User
from console.clients import registration
from console.clients.models import Client
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.halts import services as halts
from console.halts.services import GatedAction, Proof
from console.limits import Limits
from console.scopes import Scope, Source

Again = Callable[[], ConnectedApp]


@pytest.fixture
def sign_in(owner: User, paper: Connection) -> Again:
    client, _ = registration.register_static(
        owner, name="Widget", redirect_uris=["https://widget.example.com/cb"], scopes=frozenset({Scope.READ})
    )
    return lambda: sign_in_of(owner, paper, client)


def sign_in_of(owner: User, connection: Connection, client: Client) -> ConnectedApp:
    app = grants.grant(owner, connection, frozenset({Scope.READ}), source=Source.OAUTH, name=client.name, client=client)
    grants.activate(app)
    return app


def stored(app: ConnectedApp) -> ConnectedApp:
    return ConnectedApp.objects.select_related("connection").get(pk=app.pk)


def test_its_limits_hold_for_the_new_one(owner: User, sign_in: Again) -> None:
    first, limits = sign_in(), Limits(order_notional=Decimal(100), symbols=frozenset({"AAPL"}))
    grants.set_limits(first, limits, by=owner)
    second = sign_in()
    assert stored(first).revoked_at is not None
    assert stored(second).limited == second.limited == limits


def test_of_two_older_ones_the_tightest_holds(owner: User, sign_in: Again) -> None:
    first = sign_in()
    grants.set_limits(first, Limits(order_notional=Decimal(100), orders_per_minute=9), by=owner)
    second = sign_in()
    ConnectedApp.objects.filter(pk=first.pk).update(revoked_at=None)
    grants.set_limits(second, Limits(order_notional=Decimal(500), orders_per_minute=2), by=owner, may_widen=True)
    assert stored(sign_in()).limited == Limits(order_notional=Decimal(100), orders_per_minute=2)


def test_where_two_older_ones_allow_nothing_in_common_it_is_paused(owner: User, sign_in: Again) -> None:
    first = sign_in()
    grants.set_limits(first, Limits(asset_classes=frozenset({AssetClass.STOCK})), by=owner)
    second = sign_in()
    ConnectedApp.objects.filter(pk=first.pk).update(revoked_at=None)
    crypto = Limits(asset_classes=frozenset({AssetClass.CRYPTO}))
    grants.set_limits(second, crypto, by=owner, may_widen=True)
    third = stored(sign_in())
    assert third.paused_at is not None
    assert third.limited == crypto


def test_a_paused_one_stays_paused(owner: User, sign_in: Again) -> None:
    first = sign_in()
    grants.pause(first, by=owner)
    second = sign_in()
    assert stored(second).paused_at == second.paused_at == stored(first).paused_at is not None


def test_a_halted_one_stays_halted_until_a_person_lifts_it(owner: User, sign_in: Again) -> None:
    halt = halts.halt_app(sign_in(), by=owner)
    second = stored(sign_in())
    with pytest.raises(Refusal) as caught:
        halts.check(GatedAction.RELEASE, second.connection, second.pk, "")
    assert caught.value.code is Code.HALTED
    halts.lift(halt, by=owner, proof=Proof.PASSWORD)
    halts.check(GatedAction.RELEASE, second.connection, second.pk, "")


def test_a_halt_of_one_client_holds_back_no_other_and_nobody_else(
    owner: User, other: User, paper: Connection, sign_in: Again, app: ConnectedApp
) -> None:
    first = sign_in()
    assert first.client is not None
    halts.halt_app(first, by=owner)
    halts.check(GatedAction.RELEASE, paper, app.pk, "")
    halts.halt_app(app, by=owner)
    same = sign_in_of(owner, elsewhere(owner, paper), first.client)
    halts.check(GatedAction.RELEASE, same.connection, same.pk, "")
    theirs = sign_in_of(other, elsewhere(other, paper), first.client)
    halts.check(GatedAction.RELEASE, theirs.connection, theirs.pk, "")
    keyed = grants.grant(owner, paper, frozenset({Scope.READ}), source=Source.API_KEY, name="No client")
    halts.check(GatedAction.RELEASE, paper, keyed.pk, "")


def elsewhere(user: User, like: Connection) -> Connection:
    return Connection.objects.create(
        owner=user, name="Elsewhere", broker=like.broker, environment=like.environment, settings=like.settings
    )


def test_an_app_that_signs_itself_out_loses_neither_its_limits_nor_its_pause(owner: User, sign_in: Again) -> None:
    first, limits = sign_in(), Limits(order_notional=Decimal(100))
    grants.set_limits(first, limits, by=owner)
    grants.pause(first, by=owner)
    grants.revoke(first, by=None, reason="Signed out by the app")
    second = stored(sign_in())
    assert (second.limited, second.paused_at is not None) == (limits, True)


def test_what_was_carried_over_once_does_not_come_back(owner: User, sign_in: Again) -> None:
    first = sign_in()
    grants.set_limits(first, Limits(order_notional=Decimal(100)), by=owner)
    grants.revoke(first, by=None, reason="Signed out by the app")
    second = sign_in()
    grants.set_limits(stored(second), Limits(), by=owner, may_widen=True)
    assert stored(sign_in()).limited == Limits()


def test_what_the_owner_ended_in_person_leaves_nothing_behind(owner: User, sign_in: Again) -> None:
    first = sign_in()
    grants.set_limits(first, Limits(order_notional=Decimal(100)), by=owner)
    grants.revoke(first, by=owner, reason="Revoked by its owner")
    assert stored(sign_in()).limited == Limits()
