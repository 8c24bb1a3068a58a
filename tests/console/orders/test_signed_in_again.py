"""Signed in again, a client is another app that goes on with its orders, and gets round no limit by it."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from brokers.types import OrderChanges
from console import limits
from console.accounts.models import User
from console.clients import registration
from console.clients.models import Client
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.orders import actions as order_actions
from console.orders import prepare as preparing
from console.orders.checks import daily_usage
from console.orders.models import Confirmation, Modification, Order
from console.orders.owner import review
from console.orders.states import AmendmentStatus, Status
from console.principal import Principal
from console.scopes import Scope, Source
from tests.console.orders.conftest import bitcoin

pytestmark = pytest.mark.django_db

SignIn = Callable[[], Principal]


@pytest.fixture
def client(owner: User) -> Client:
    made, _ = registration.register_static(
        owner, name="Widget", redirect_uris=["https://widget.example.com/cb"], scopes=frozenset({Scope.TRADE})
    )
    return made


@pytest.fixture
def sign_in(owner: User, paper: Connection, client: Client, trader: Principal) -> SignIn:
    def run() -> Principal:
        scopes = frozenset({Scope.TRADE})
        app = grants.grant(owner, paper, scopes, source=Source.OAUTH, name=client.name, client=client)
        grants.activate(app)
        return replace(trader, app_id=app.pk, app_label=app.name)

    return run


def limit(app: Principal, owner: User, **given: str) -> None:
    grants.set_limits(ConnectedApp.objects.get(pk=app.app_id), limits.parse(given), by=owner, may_widen=True)


def go(app: Principal, price: str) -> Order:
    return order_actions.confirm(app, preparing.prepare(app, bitcoin("1", limit=price)).confirmation.public_id)


def change(app: Principal, order: Order, price: str) -> Modification:
    return preparing.prepare_change(app, order.public_id, OrderChanges(limit_price=Decimal(price)))


def refused(act: Callable[[], object]) -> str:
    """Whose limit says no."""
    with pytest.raises(Refusal) as caught:
        act()
    assert caught.value.code is Code.LIMIT_EXCEEDED
    return str((caught.value.limit or {})["of"])


def test_a_days_use_stays_used(sign_in: SignIn, owner: User) -> None:
    first = sign_in()
    limit(first, owner, daily_notional="150")
    go(first, "100")
    again = sign_in()
    assert ConnectedApp.objects.get(pk=first.app_id).revoked_at is not None
    assert refused(lambda: preparing.prepare(again, bitcoin("1", limit="100"))) == "the app Widget"
    go(again, "50")
    assert refused(lambda: preparing.prepare(sign_in(), bitcoin("1", limit="1"))) == "the app Widget"


def test_so_do_the_orders_of_the_last_minute(sign_in: SignIn, owner: User) -> None:
    first = sign_in()
    grants.set_limits(
        ConnectedApp.objects.get(pk=first.app_id), limits.parse({"orders_per_minute": 1}), by=owner, may_widen=True
    )
    go(first, "100")
    assert refused(lambda: preparing.prepare(sign_in(), bitcoin("1", limit="100"))) == "the app Widget"


def test_another_client_and_another_connection_have_a_day_of_their_own(
    sign_in: SignIn, owner: User, paper: Connection, trader: Principal
) -> None:
    first = sign_in()
    order = go(first, "100")
    other = ConnectedApp.objects.get(pk=trader.app_id)
    assert daily_usage.app_usage(other, paper, order.moved_at).today == 0


def test_what_it_placed_before_is_its_own(sign_in: SignIn) -> None:
    order = go(sign_in(), "10")
    again = sign_in()
    done = change(again, order, "20")
    order_actions.confirm(again, done.confirmation.public_id)
    assert Modification.objects.get(pk=done.pk).state is AmendmentStatus.DONE
    assert order_actions.cancel(sign_in(), order.public_id).state is Status.CANCELLED


def test_what_it_made_of_its_orders_takes_of_the_same_day(sign_in: SignIn, owner: User) -> None:
    first = sign_in()
    one, two = go(first, "10"), go(first, "10")
    again = sign_in()
    limit(again, owner, daily_notional="150")
    waiting = change(again, two, "50")
    order_actions.confirm(again, change(again, one, "100").confirmation.public_id)
    assert refused(lambda: change(again, two, "60")) == "the app Widget"
    assert refused(lambda: preparing.prepare(again, bitcoin("1", limit="60"))) == "the app Widget"
    order_actions.confirm(again, waiting.confirmation.public_id)


@pytest.mark.parametrize("name", ["order_notional", "daily_notional", "position_value"])
def test_the_limits_of_the_app_that_placed_it_still_hold(sign_in: SignIn, owner: User, name: str) -> None:
    first = sign_in()
    order = go(first, "10")
    again = sign_in()
    waiting = change(again, order, "100")
    limit(first, owner, **{name: "99"})
    assert refused(lambda: change(again, order, "100")) == "the app Widget"
    fresh = Confirmation.objects.get(pk=waiting.confirmation.pk)
    assert any("the app Widget" in said for said in review.load(fresh).standing)
    assert refused(lambda: order_actions.confirm(again, waiting.confirmation.public_id)) == "the app Widget"
    done = change(again, order, "99")
    order_actions.confirm(again, done.confirmation.public_id)
    order.refresh_from_db()
    assert order.limit_price == 99
