"""Of pages that ask large tables: SQLite finds what they show by an index that leaves little to read.

Its planner goes by the statistics of its tables and not by their rows: those of an instance with 1,000,000 calls and
300,000 orders of two people make a plan here, as ``python -m tests.bench.console --on sqlite`` had them.
"""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest
from django.db import connection
from django.test import Client as Browser
from django.utils import timezone

from console import keyset
from console.accounts.models import User
from console.audit.models import Call, CallOutcome
from console.config import table_statistics
from console.connected_apps.models import ConnectedApp
from console.keys import minting
from console.keys.models import ApiKey
from console.onboarding import connection_lifecycle
from console.orders.checks import repeated_orders
from console.orders.states import Status
from console.recent_errors.models import ErrorGroup, GroupHour
from console.scopes import Scope
from tests import embedded
from tests.console.orders.steps import make

LARGE = {
    "audit_call": {
        "audit_call_app": "2909488 1001 1",
        "audit_call_app_at": "3140181 1001 1",
        "audit_call_at_e75aecbe": "1076920 1",
        "audit_call_credential": "3352986 1001 1",
        "audit_call_errors": "36100 1001 1001 1001 1",
        "audit_call_not_ok": "44844 1001 1",
        "audit_call_order": "49504 1 1",
        "audit_call_user": "3525120 1001 1",
        "audit_call_user_at": "3325728 1001 1",
        "sqlite_autoindex_audit_call_1": "400416 1",
    },
    "audit_change": {
        "audit_change_at_76d3cd30": "321005 1",
        "audit_change_owner": "618336 1001 1",
        "audit_change_owner_at": "1096704 1001 1",
        "audit_change_target": "346020 1001 1 1",
        "audit_change_user": "618336 1001 1",
    },
    "connections_connection": {"connections_connection_owner_id_5913232e": "2 1"},
    "orders_confirmation": {
        "orders_confirmation_app_id_0ebb1c41": "206960 1001",
        "orders_confirmation_expires_at_b40c7b43": "305970 1",
        "orders_confirmation_rule_id_6b398f32": "215936 1001",
        "sqlite_autoindex_orders_confirmation_1": "303620 1",
    },
    "orders_order": {
        "orders_at_broker": "275632 1",
        "orders_by_state": "291970 1001 1001",
        "orders_by_symbol": "542880 1001 1001 1",
        "orders_newest": "698400 1001 1",
        "orders_order_app_id_09cbc63e": "206960 1001",
        "orders_order_confirmation_id_92997ebd": "251685 1",
        "orders_order_connection_id_a6b6d100": "288204 1001",
        "orders_order_parent_id_2d691aa5": "215936 1001",
        "orders_order_status_445594e5": "247200 1001",
        "orders_released": "322524 1001 1",
        "orders_to_cancel": "266952 1001 1001",
        "sqlite_autoindex_orders_order_1": "303620 1",
        "sqlite_autoindex_orders_order_2": "306240 1",
        "sqlite_autoindex_orders_order_3": "275935 1001 1",
    },
}
"""Table → index → rows, and rows that are equal in its first column, its first two and so on."""


HOURS = 'FROM "recent_errors_'


@pytest.fixture
def app(tmp_path: Path, django_db_blocker: Any) -> Iterator[ConnectedApp]:
    """Of the one person of a large instance, with a key and 60 orders."""
    with django_db_blocker.unblock(), embedded.database(tmp_path):
        owner = User.objects.create_user("olivia@example.com", "correct horse battery", is_operator=True)
        paper, _ = connection_lifecycle.open_paper(owner, name="Practice", starting_cash=Decimal(100_000))
        key, _ = minting.mint(owner, paper, frozenset({Scope.READ, Scope.TRADE}), name="Claude")
        for _ in range(60):
            make(key.app, Status.FILLED)
        long_ago = timezone.now() - timedelta(days=2)
        Call.objects.create(request_id="req_1", at=long_ago, outcome=CallOutcome.OK, duration_us=0)
        table_statistics.refresh()
        with connection.cursor() as cursor:
            for table, indexes in LARGE.items():
                cursor.execute("DELETE FROM sqlite_stat1 WHERE tbl = %s", [table])
                rows = [(table, index, stat) for index, stat in indexes.items()]
                cursor.executemany("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (%s, %s, %s)", rows)
        connection.close()  # statistics are read when a connection is opened
        yield key.app


def statements(app: ConnectedApp, page: str) -> list[tuple[str, Any]]:
    """What the page asks the database, with its values."""
    sent: list[tuple[str, Any]] = []

    def keep(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        sent.append((sql, params))
        return execute(sql, params, many, context)

    browser = Browser(headers={"host": "localhost"})
    browser.force_login(app.owner)
    method, _, address = page.rpartition(" ")
    key = ApiKey.objects.get(app=app).public_id
    address = address.format(app=app.pk, connection=app.connection_id, key=key, owner=app.owner_id)
    with connection.execute_wrapper(keep):
        response = browser.post(address) if method else browser.get(address)
        assert response.status_code == 200, response
        if response.streaming:
            assert len(b"".join(cast(Any, response).streaming_content)) > 1_000
    return [(sql, params) for sql, params in sent if sql.startswith("SELECT")]


def plans(app: ConnectedApp, page: str) -> list[str]:
    """Of each, its steps, a line each."""
    found = []
    with connection.cursor() as cursor:
        for sql, params in statements(app, page):
            cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
            found.append("\n".join(row[3] for row in cursor.fetchall()))
    return found


def steps(app: ConnectedApp, page: str) -> list[str]:
    return [step for plan in plans(app, page) for step in plan.splitlines()]


@pytest.mark.parametrize("page", ["/", "/connections/{connection}/"])
def test_open_orders_are_found_by_their_status(app: ConnectedApp, page: str) -> None:
    found = steps(app, page)
    by_status = [each for each in found if each.endswith("INDEX orders_by_state (connection_id=? AND status=?)")]
    assert len(by_status) >= 7


@pytest.mark.parametrize("page", ["/apps/{app}/", "/connections/{connection}/"])
def test_what_a_day_used_is_read_by_when_it_was_released(app: ConnectedApp, page: str) -> None:
    found = [plan for plan in plans(app, page) if "orders_released" in plan]
    assert len(found) >= 2
    assert all("orders_released (connection_id=? AND released_at>?)" in plan for plan in found)
    assert not any("B-TREE" in plan for plan in found)
    assert "SCAN orders_order" not in steps(app, page)


@pytest.mark.parametrize("page", ["/orders/", "/api/v1/orders?limit=50", "POST /orders/export.csv"])
def test_a_page_of_orders_sorts_no_more_of_a_connection_than_it_shows(
    app: ConnectedApp, page: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keyset, "ROWS", 20)
    found = [step for step in steps(app, page) if "SEARCH orders_order" in step]
    above_an_id = [step for step in found if "id>?" in step]
    assert len(above_an_id) == (3 if "export" in page else 1)  # the last piece of a file is all that is left
    assert page.startswith("POST") or not any(step.endswith("(connection_id=?)") for step in found)


@pytest.mark.parametrize("page", ["/people/", "/orders/approvals/"])
def test_open_questions_are_looked_for_among_questions(app: ConnectedApp, page: str) -> None:
    asked = [plan for plan in plans(app, page) if "orders_question" in plan]
    assert asked
    assert not any("orders_order USING COVERING INDEX" in plan or "SEARCH U1" in plan for plan in asked)


def test_approvals_are_looked_for_among_those_that_have_not_ended(app: ConnectedApp) -> None:
    found = [step for step in steps(app, "/people/") if "orders_confirmation" in step]
    assert found
    assert not any("rule_id" in step or step.startswith("SCAN") for step in found)


def test_the_last_hour_of_a_key_is_counted_above_an_id(app: ConnectedApp) -> None:
    found = [step for step in steps(app, "/keys/{key}/revoke/") if "audit_call_credential" in step]
    assert found == ["SEARCH audit_call USING INDEX audit_call_credential (credential_id=? AND id>?)"]


def test_calls_of_an_order_are_found_by_the_order(app: ConnectedApp) -> None:
    found = [step for step in steps(app, "/api/v1/activity?order_id=ord_1") if "audit_call" in step]
    assert found == ["SEARCH audit_call USING INDEX audit_call_order (order_id=?)"]


def test_orders_in_a_symbol_are_found_by_it(app: ConnectedApp) -> None:
    found = [
        step for step in steps(app, "/search/?part=1&q=quote") if "orders_order" in step and "connection_id" in step
    ]
    assert len([each for each in found if "orders_by_symbol (connection_id=? AND symbol=?)" in each]) == 2
    assert not any("orders_newest (connection_id=?)" in each for each in found)


def test_changes_of_one_person_are_looked_for_in_a_window_of_time(app: ConnectedApp) -> None:
    found = [step for step in steps(app, "/timeline/?everyone=1&person={owner}") if "audit_change" in step]
    assert found
    assert not any("audit_change_user" in step for step in found)


def test_repeats_of_an_order_are_looked_for_among_those_just_released(app: ConnectedApp) -> None:
    just = app.created_at
    plan = ConnectedApp.objects.filter(pk=app.pk).values(told=repeated_orders.confirmed_since(just)).explain()
    assert "orders_released (connection_id=? AND released_at>?)" in plan


def test_what_was_not_done_is_counted_by_its_index_alone(app: ConnectedApp) -> None:
    found = [
        sql for sql, _ in statements(app, "/timeline/?kind=refusal") if "OFFSET 5000" in sql and "audit_call" in sql
    ]
    assert len(found) == 1
    assert """NOT ("audit_call"."outcome" = ('ok'))""" in found[0]  # as the index has it, and no parameter


def test_days_are_told_by_a_function_of_sqlite_s_own(app: ConnectedApp) -> None:
    now = timezone.now()
    group = ErrorGroup.objects.create(user_id=app.owner_id, fingerprint="v1:1", first_seen=now, last_seen=now)
    GroupHour.objects.create(
        group=group, hour=now.replace(minute=0, second=0, microsecond=0), app_id=app.pk, calls=1, last_seen=now
    )
    found = [sql for page in ("/apps/", "/api/v1/errors?span=30d") for sql, _ in statements(app, page) if HOURS in sql]
    assert any("strftime" in sql for sql in found)
    assert not any("django_datetime_trunc" in sql for sql in found)
