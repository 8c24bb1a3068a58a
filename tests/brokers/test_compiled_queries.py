"""Queries compiled once give what their query sets give, whatever their values and their own constants are."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.transaction import TransactionManagementError
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from brokers import shared_reads
from brokers.compiled_queries import Insertion, Instances, Lookup, Statement
from console.connected_apps.models import ConnectedApp
from console.connections.models import Connection
from console.orders.models import Confirmation


@pytest.mark.django_db
def test_a_constant_of_the_query_is_never_taken_for_a_value(paper: Connection) -> None:
    named = Statement(
        lambda name, broker: Connection.objects.filter(
            Q(name=name) | Q(name="paper"), broker__in=["paper", broker]
        ).values_list("pk")
    )
    # The constant comes first among equals: taken for the value, it would be searched for as "nothing" the next time.
    Connection.objects.filter(pk=paper.pk).update(name="paper")
    assert named.rows("paper", "paper") == [(paper.pk,)]
    assert named.rows("nothing", "none") == [(paper.pk,)]


@pytest.mark.django_db
def test_a_value_may_stand_in_several_places(paper: Connection) -> None:
    twice = Statement(lambda pk: Connection.objects.filter(Q(pk=pk) & Q(owner__connections__pk=pk)).values_list("pk"))
    assert twice.rows(paper.pk) == [(paper.pk,)]
    assert twice.rows(paper.pk + 1) == []


@pytest.mark.django_db
def test_a_query_that_does_not_take_a_value_is_refused() -> None:
    with pytest.raises(ValueError, match="does not take all of its values"):
        Statement(lambda pk, other: Connection.objects.filter(pk=pk).values_list("pk")).rows(1, 2)


@pytest.mark.django_db
def test_what_is_made_of_a_row_is_made_anew_when_the_row_is_another(paper: Connection) -> None:
    made: list[tuple[Any, ...]] = []

    def make(row: tuple[Any, ...]) -> tuple[Any, ...]:
        made.append(row)
        return row

    named = Lookup(
        lambda *names: Connection.objects.filter(name__in=names).values_list("name", "settings", "paused_at"), make
    )
    now = timezone.now()
    assert named.find(paper.name) == named.find(paper.name) == (paper.settings, None)
    Connection.objects.filter(pk=paper.pk).update(paused_at=now)
    assert named.find(paper.name) == (paper.settings, now)
    Connection.objects.filter(pk=paper.pk).update(paused_at=None)
    assert named.find(paper.name) == (paper.settings, None)
    assert named.find("nothing") is None
    assert len(made) == 2


@pytest.mark.django_db
def test_a_row_that_is_looked_up_has_every_value_as_the_orm_gives_it(paper: Connection) -> None:
    names = [field.attname for field in Connection._meta.concrete_fields]

    def of(*texts: str) -> Any:
        return Connection.objects.filter(name__in=texts).values_list("name", *names)

    found = Lookup(of, lambda row: row)
    for name, settings, paused_at in (
        ('Ωé "quoted" \\ \n\x7f', {"account": "1", "é": [None, True, 1.5, "\u2028"]}, timezone.now()),
        ("round", {}, datetime(2026, 11, 30, 14, 30, tzinfo=UTC)),
        ("none", {"null": None}, None),
    ):
        Connection.objects.filter(pk=paper.pk).update(
            name=name, settings=settings, paused_at=paused_at, trading_enabled=paused_at is None
        )
        (expected,) = of(name)
        assert found.find(name) == expected[1:]
        assert repr(found.find(name)) == repr(expected[1:]), "of the same kinds"


@pytest.mark.django_db
def test_what_several_names_find_is_one_statement_also_where_some_find_nothing(paper: Connection) -> None:
    named = Lookup(lambda *names: Connection.objects.filter(name__in=names).values_list("name", "pk"), lambda row: row)
    named.find("nothing")
    try:
        with CaptureQueriesContext(connection) as asked:
            shared_reads.share_reads()
            named.find_together(["a", paper.name, "b", "a", "c"])
            first = len(asked)
            assert named.find(paper.name) == (paper.pk,)
            assert [named.find(name) for name in "abc"] == [None] * 3
        assert len(asked) == first <= 2
    finally:
        shared_reads.stop_sharing()


@pytest.mark.django_db
def test_whole_rows_come_with_what_is_related_and_with_annotations(trade_key: str) -> None:
    def query(pk: Any) -> Any:
        alone = ~Exists(ConnectedApp.objects.filter(connection=OuterRef("connection")).exclude(pk=OuterRef("pk")))
        rows = ConnectedApp.objects.select_related("connection__owner", "client").annotate(alone=alone)
        return rows.filter(pk=pk)

    wanted = query(ConnectedApp.objects.values_list("pk", flat=True)[0])[0]
    apps = Instances[ConnectedApp](query)
    with CaptureQueriesContext(connection) as asked:
        for _ in range(2):
            found = apps.rows(wanted.pk)
            assert [each.__dict__.keys() for each in found] == [wanted.__dict__.keys()]
            for name in (field.attname for field in ConnectedApp._meta.concrete_fields):
                assert getattr(found[0], name) == getattr(wanted, name)
            assert found[0].connection.settings == wanted.connection.settings
            assert found[0].connection.owner.email == wanted.connection.owner.email
            assert found[0].client is None
            assert found[0].__dict__["alone"] is wanted.__dict__["alone"]
    assert len(asked) == 2
    assert apps.first(-1) is None


@pytest.mark.django_db
def test_a_row_is_inserted_as_the_orm_inserts_it(paper: Connection, trade_key: str) -> None:
    app = ConnectedApp.objects.filter(connection=paper)[0]
    told = {
        "public_id": "cnf_1",
        "app": app,
        "terms": {"price": "1.5", "of": ["\u20ac", None, '"'], "legs": {}},
        "terms_digest": "f" * 64,
        "created_at": timezone.now(),
        "expires_at": timezone.now(),
    }
    theirs = Confirmation.objects.create(**told)
    made = Insertion(Confirmation).create(**(told | {"public_id": "cnf_2"}))
    assert made.pk == theirs.pk + 1
    assert not made._state.adding
    assert made.app is app
    mine, theirs = Confirmation.objects.get(pk=made.pk), Confirmation.objects.get(pk=theirs.pk)
    assert made == mine
    for name in {field.attname for field in Confirmation._meta.concrete_fields} - {"id", "public_id"}:
        assert getattr(mine, name) == getattr(theirs, name), name


@pytest.mark.django_db
def test_a_row_that_breaks_a_rule_of_its_table_is_refused_and_its_transaction_is_lost(trade_key: str) -> None:
    told = {"public_id": "cnf_1", "app": ConnectedApp.objects.all()[0], "terms": {}, "created_at": timezone.now()}
    told["expires_at"] = timezone.now()
    insertion = Insertion(Confirmation)
    insertion.create(**told)
    with transaction.atomic():
        with pytest.raises(IntegrityError):
            insertion.create(**told)
        with pytest.raises(TransactionManagementError):
            Confirmation.objects.count()
    assert Confirmation.objects.count() == 1
