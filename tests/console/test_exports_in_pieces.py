"""Whatever is downloaded is read a piece at a time: in the order of its page, each row once, a few rows in memory."""

import csv
import io
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import RequestFactory
from pytest_django import DjangoAssertNumQueries

from console import file_responses, keyset
from console.accounts.models import User
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.journal import views as journal
from console.journal.models import Execution, LedgerLine, RoundTrip
from console.onboarding import connection_lifecycle
from console.orders.models import Confirmation, Order
from console.orders.views import exports as orders

START = datetime(2024, 1, 1, tzinfo=UTC)
View = Callable[[HttpRequest, Connection], Any]
Fill = Callable[[Connection, ConnectedApp, range], None]


def executions(connection: Connection, app: ConnectedApp, numbers: range) -> None:
    Execution.objects.bulk_create(
        Execution(
            connection=connection,
            account_id="A",
            fill_id=f"F-{number}",
            at=START + timedelta(minutes=number // 3),
            place=number,
            symbol="AAPL",
            currency="USD",
            side="BUY",
            quantity=Decimal(1),
            price=Decimal(100),
            fee=Decimal(0),
            source="x" * 100,
        )
        for number in numbers
    )


def ledger(connection: Connection, app: ConnectedApp, numbers: range) -> None:
    LedgerLine.objects.bulk_create(
        LedgerLine(
            connection=connection,
            account_id="A",
            entry_id=f"L-{number}",
            at=START + timedelta(minutes=number // 3),
            place=number,
            currency="USD",
            kind="fee",
            amount=Decimal(1),
            symbol="x" * 40,
        )
        for number in numbers
    )


def trades(connection: Connection, app: ConnectedApp, numbers: range) -> None:
    # Every other one on a second connection of the same person.
    second = Connection.objects.filter(owner=connection.owner).exclude(pk=connection.pk).get()
    RoundTrip.objects.bulk_create(
        RoundTrip(
            public_id=f"T-{number}",
            connection=second if number % 2 else connection,
            account_id="A",
            symbol="AAPL",
            currency="USD",
            side="long",
            opened_at=START + timedelta(minutes=number // 3),
            fresh_start=True,
            quantity=Decimal(1),
            held=Decimal(1),
            entry_price=Decimal(1),
            realized=Decimal(0),
            fees=Decimal(0),
            fills=1,
        )
        for number in numbers
    )


def some_orders(connection: Connection, app: ConnectedApp, numbers: range) -> None:
    shown = Confirmation.objects.first() or Confirmation.objects.create(
        public_id="cnf_1", app=app, terms={}, terms_digest="0" * 64, created_at=START, expires_at=START
    )
    Order.objects.bulk_create(
        Order(
            public_id=f"O-{number}",
            connection=connection,
            app=app,
            confirmation=shown,
            account_id="A",
            client_order_id=f"C-{number}",
            wire_id=f"W-{number}",
            symbol="AAPL",
            asset_class="stock",
            currency="USD",
            side="BUY",
            order_type="MKT",
            tif="DAY",
            quantity=Decimal(1),
            status="filled",
            reason="x" * 100,
            shown_price=Decimal(1),
            created_at=START,
            moved_at=START,
        )
        for number in numbers
    )


def _of_connection(view: Callable[[HttpRequest, int], Any]) -> View:
    return lambda request, connection: view(request, connection.pk)


def _of_person(view: Callable[[HttpRequest], Any]) -> View:
    return lambda request, connection: view(request)


EXPORTS: dict[str, tuple[View, Fill]] = {
    "executions": (_of_connection(journal.executions_csv), executions),
    "ledger": (_of_connection(journal.ledger_csv), ledger),
    "trades": (_of_person(journal.trades_csv), trades),
    "orders": (_of_person(orders.csv), some_orders),
}


@pytest.fixture
def second(owner: User, paper: Connection, monkeypatch: pytest.MonkeyPatch) -> Connection:
    monkeypatch.setattr(keyset, "ROWS", 50)
    monkeypatch.setattr(file_responses, "_ROWS", 50)
    connection, _ = connection_lifecycle.open_paper(owner, name="Second", starting_cash=Decimal(5))
    return connection


def parts(name: str, connection: Connection) -> Iterator[bytes]:
    request = RequestFactory().post("/") if name == "orders" else RequestFactory().get("/")
    request.user = connection.owner
    # The test client would join the pieces, to look in them.
    return iter(EXPORTS[name][0](request, connection))


@pytest.mark.parametrize("name", EXPORTS)
def test_every_row_is_sent_once_and_the_newest_first(
    name: str, paper: Connection, app: ConnectedApp, second: Connection
) -> None:
    fill = EXPORTS[name][1]
    LedgerLine.objects.all().delete()
    fill(paper, app, range(170))
    table = list(csv.reader(io.StringIO(b"".join(parts(name, paper)).decode())))[1:]
    sent = [int(row[0].partition("-")[2]) for row in table]
    assert sorted(sent) == list(range(170))
    # Three of a moment; those of two connections have no order among themselves.
    assert [number // 3 for number in sent] == sorted((number // 3 for number in sent), reverse=True)
    if name != "trades":
        assert sent == sorted(sent, reverse=True)


@pytest.mark.parametrize("name", EXPORTS)
def test_a_few_rows_are_in_memory_however_many_there_are(
    name: str, paper: Connection, app: ConnectedApp, second: Connection
) -> None:
    fill = EXPORTS[name][1]

    def peak() -> tuple[int, int]:
        tracemalloc.start()
        length = sum(len(part) for part in parts(name, paper))
        used = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return length, used

    fill(paper, app, range(200))
    peak()  # what the first export loads stays
    short = peak()
    fill(paper, app, range(200, 1_200))
    long = peak()
    assert long[0] > 5 * short[0]
    assert long[1] < 1.5 * short[1]


@pytest.mark.parametrize("name", EXPORTS)
def test_the_first_rows_are_sent_before_the_last_are_read(
    name: str,
    paper: Connection,
    app: ConnectedApp,
    second: Connection,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    EXPORTS[name][1](paper, app, range(400))
    sending = parts(name, paper)
    with django_assert_max_num_queries(8):
        next(sending)
        assert next(sending).count(b"\n") == 50
