"""The one look at the rows of whoever asks sees every halt that holds them back, and nobody else's."""

from collections.abc import Callable
from decimal import Decimal

import pytest

from console.accounts.models import User
from console.clients import registration
from console.clients.models import Client
from console.connected_apps import grants
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.errors import Code, Refusal
from console.halts import services as halts
from console.halts.models import Halt
from console.onboarding import connection_lifecycle
from console.orders.checks import check_rows
from console.scopes import Scope, Source

pytestmark = pytest.mark.django_db
TRADE = frozenset({Scope.TRADE})


def app_of(connection: Connection, client: Client | None = None) -> ConnectedApp:
    source = Source.API_KEY if client is None else Source.OAUTH
    return grants.grant(connection.owner, connection, TRADE, source=source, name="Widget", client=client)


def client_of(owner: User) -> Client:
    uris = ["https://widget.example.com/cb"]
    return registration.register_static(owner, name="Widget", redirect_uris=uris, scopes=TRADE)[0]


@pytest.fixture
def client(owner: User) -> Client:
    return client_of(owner)


@pytest.fixture
def app(paper: Connection, client: Client) -> ConnectedApp:
    return app_of(paper, client)


@pytest.fixture
def theirs(other: User) -> ConnectedApp:
    connection, _ = connection_lifecycle.open_paper(other, name="Theirs", starting_cash=Decimal(1000))
    return app_of(connection)


HALTS: dict[str, Callable[[ConnectedApp, User], object]] = {
    "everybody": lambda app, operator: halts.halt_instance(by=operator),
    "their owner": lambda app, operator: halts.halt_user(app.owner, by=app.owner),
    "the connection": lambda app, operator: halts.halt_connection(app.connection, by=app.owner),
    "one account": lambda app, operator: halts.halt_connection(app.connection, by=app.owner, account_id="A1"),
    "the app": lambda app, operator: halts.halt_app(app, by=app.owner),
    "the app before it signed in again": lambda app, operator: halts.halt_app(
        app_of(app.connection, app.client), by=app.owner
    ),
}


@pytest.mark.parametrize("name", HALTS)
def test_a_halt_is_seen_until_it_is_lifted(name: str, app: ConnectedApp, theirs: ConnectedApp, operator: User) -> None:
    assert not check_rows.app_rows(app.pk).is_halted
    halt = HALTS[name](app, operator)
    asking = check_rows.app_rows(app.pk)
    assert asking.is_halted
    with pytest.raises(Refusal) as refused:
        asking.check_halts(halts.GatedAction.PREPARE, "A1")
    assert refused.value.code is Code.HALTED
    if name == "one account":
        asking.check_halts(halts.GatedAction.PREPARE, "A2")
    asking.check_halts(halts.GatedAction.CANCEL, "A1")
    assert check_rows.app_rows(theirs.pk).is_halted == (name == "everybody")
    assert isinstance(halt, Halt)
    halts.lift(halt, by=operator if name == "everybody" else app.owner, proof=halts.Proof.PASSKEY)
    assert not check_rows.app_rows(app.pk).is_halted


def test_a_halt_of_another_app_there_is_not_its_own(app: ConnectedApp, paper: Connection) -> None:
    for beside in (app_of(paper), app_of(paper)):  # apps without a client are not one app
        halts.halt_app(beside, by=beside.owner)
    assert not check_rows.app_rows(app.pk).is_halted
    assert not check_rows.app_rows(app_of(paper).pk).is_halted


def test_a_halt_of_its_client_elsewhere_is_not_its_own(app: ConnectedApp, owner: User, client: Client) -> None:
    second, _ = connection_lifecycle.open_paper(owner, name="Second", starting_cash=Decimal(1000))
    halts.halt_app(app_of(second, client), by=owner)
    assert not check_rows.app_rows(app.pk).is_halted
