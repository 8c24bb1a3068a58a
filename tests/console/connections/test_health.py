"""What a page shows of a connection is the last thing its broker said, with the change since the day began."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils import timezone

from brokers.errors import BrokerUnavailable
from console.connections import broker_access, health
from console.connections.models import Connection

pytestmark = pytest.mark.django_db


def checked(connection: Connection) -> Connection:
    health.check(connection)
    connection.refresh_from_db()
    return connection


def test_a_day_that_has_just_begun_shows_no_change(paper: Connection) -> None:
    assert (checked(paper).equity, paper.day_change_percent) == (Decimal(100_000), Decimal(0))


def test_the_change_counts_from_the_equity_the_day_began_with(paper: Connection) -> None:
    Connection.objects.filter(pk=paper.pk).update(day=timezone.now().date(), day_equity=Decimal(80_000))
    paper.refresh_from_db()
    assert checked(paper).day_change_percent == Decimal(25)
    assert checked(paper).day_change_percent == Decimal(25)


def test_a_new_day_begins_with_the_last_equity_of_the_day_before(paper: Connection) -> None:
    yesterday = timezone.now().date() - timedelta(days=1)
    Connection.objects.filter(pk=paper.pk).update(day=yesterday, day_equity=Decimal(1), equity=Decimal(125_000))
    paper.refresh_from_db()
    assert checked(paper).day_change_percent == Decimal(-20)


def test_a_broker_that_cannot_be_reached_leaves_the_last_equity_and_says_so(
    paper: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def accounts(self) -> list[object]:
            raise BrokerUnavailable("Connection refused.")

    monkeypatch.setattr(broker_access, "broker_of", lambda connection: Broken())
    assert (checked(paper).equity, paper.last_error) == (Decimal(100_000), "Connection refused.")
