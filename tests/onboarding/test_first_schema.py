"""An empty database gets its tables at once: the same, to the last index, as by every migration in turn."""

import contextlib
import re
import sqlite3
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from tests import postgres
from tests.commands import manage

pytestmark = pytest.mark.long


def _migrate_in_turn(home: Path, **variables: str) -> None:
    """One app after the other: whoever names one gets Django's own way."""
    # Sessions depend on nothing, so that the database is not empty when the rest is asked for at once.
    for words in (("sessions",), ()):
        ran = manage(home, 8000, "migrate", *words, "--verbosity", "0", **variables)
        assert ran.returncode == 0, ran.stderr


def _make_at_once(home: Path, **variables: str) -> None:
    ran = manage(home, 8000, "migrate", "--verbosity", "0", **variables)
    assert ran.returncode == 0, ran.stderr


def _sqlite(home: Path) -> dict[str, set[str]]:
    """By table: what stands in its brackets, in any order, and its indexes and triggers."""
    found: dict[str, set[str]] = {}
    with contextlib.closing(sqlite3.connect(home / "tradelatch.sqlite3")) as connection:
        for table, kind, sql in connection.execute("SELECT tbl_name, type, sql FROM sqlite_master WHERE sql NOT NULL"):
            if table.startswith("sqlite_stat"):
                continue  # SQLite's own, made by a later look at the tables
            text = " ".join(sql.split())
            if kind == "table":
                inside = text.partition("(")[2].rpartition(")")[0]
                parts = {part.strip() for part in re.split(r",(?![^(]*\))", inside)}
            else:
                parts = {text}
            found.setdefault(table, set()).update(parts)
        applied = connection.execute("SELECT app, name FROM django_migrations").fetchall()
    return found | {"applied": {f"{app}.{name}" for app, name in applied}}


_COLUMNS = """
SELECT table_name, column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '')
       || ' ' || coalesce(character_maximum_length::text, '') || ' ' || is_identity
FROM information_schema.columns WHERE table_schema = 'public'
"""
_INDEXES = "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public'"
_CONSTRAINTS = """
SELECT conrelid::regclass::text, conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace
"""
_TRIGGERS = "SELECT tgrelid::regclass::text, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal"


def _postgresql(url: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    with psycopg.connect(url) as connection:
        for sql in (_COLUMNS, _INDEXES, _CONSTRAINTS, _TRIGGERS):
            for table, text in connection.execute(sql).fetchall():
                found.setdefault(table, set()).add(text)
    return found


def _differences(one: dict[str, set[str]], other: dict[str, set[str]]) -> dict[str, set[str]]:
    return {
        table: one.get(table, set()) ^ other.get(table, set())
        for table in one | other
        if one.get(table) != other.get(table)
    }


_DJANGOS_OWN = {"auth_group_permissions": {"id integer NO   YES", "id bigint NO   YES"}}
"""Of a table that nobody here writes: Django's app says integer, and its migrations follow DEFAULT_AUTO_FIELD."""


def test_on_sqlite_both_ways_lead_to_the_same_tables(tmp_path: Path) -> None:
    _make_at_once(tmp_path / "at once")
    _migrate_in_turn(tmp_path / "in turn")
    assert _differences(_sqlite(tmp_path / "at once"), _sqlite(tmp_path / "in turn")) == {}


def test_on_postgresql_too(tmp_path: Path) -> None:
    with postgres.running(fsync=False) as first:
        with psycopg.connect(first, autocommit=True) as connection:
            connection.execute("CREATE DATABASE in_turn")
        second = urlsplit(first)._replace(path="/in_turn").geturl()
        _make_at_once(tmp_path / "at once", TRADELATCH_DATABASE_URL=first)
        _migrate_in_turn(tmp_path / "in turn", TRADELATCH_DATABASE_URL=second)
        assert _differences(_postgresql(first), _postgresql(second)) == _DJANGOS_OWN


def test_a_start_after_one_that_died_behind_the_tables_guards_the_record(tmp_path: Path) -> None:
    _make_at_once(tmp_path)
    whole = _sqlite(tmp_path)
    with contextlib.closing(sqlite3.connect(tmp_path / "tradelatch.sqlite3")) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
        for name in names:
            connection.execute(f"DROP TRIGGER {name}")
    assert names
    ran = manage(tmp_path, 8000, "quickstart", "--json")
    assert ran.returncode == 0, ran.stderr
    assert _differences(_sqlite(tmp_path), whole) == {}


def test_triggers_of_tables_that_were_moved_aside_do_not_stand_for_those_in_use(tmp_path: Path) -> None:
    with postgres.running(fsync=False) as url:
        _make_at_once(tmp_path, TRADELATCH_DATABASE_URL=url)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE SCHEMA replaced_before")
            connection.execute("CREATE TABLE replaced_before.audit_call (id int)")
            connection.execute(
                "CREATE TRIGGER audit_call_no_update BEFORE UPDATE ON replaced_before.audit_call "
                "FOR EACH ROW EXECUTE FUNCTION audit_refuse()"
            )
            connection.execute("DROP TRIGGER audit_call_no_update ON audit_call")
        ran = manage(tmp_path, 8000, "audit_verify", TRADELATCH_DATABASE_URL=url)
        assert "triggers are missing: audit_call_no_update" in ran.stdout, ran.stderr
