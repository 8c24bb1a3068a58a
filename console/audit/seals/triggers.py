"""The database itself refuses to change or delete what is on record.

The one way out is the retention: a row may go once a marker in the chain of seals says that its range is deleted.
Whoever may alter the schema can take the triggers away; the seals show what was done then.
"""

from django.db import connection

_TABLES = {"audit_call": "calls", "audit_change": "changes", "audit_seal": ""}


def install() -> None:
    """After each migration: what alters a table on SQLite makes it anew, without its triggers."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_POSTGRESQL)
        for table, record in _TABLES.items():
            for statement in _postgresql(table) if connection.vendor == "postgresql" else _sqlite(table, record):
                cursor.execute(statement)


def remove() -> None:
    """For tests, which empty tables."""
    on = " ON {table}" if connection.vendor == "postgresql" else ""
    with connection.cursor() as cursor:
        for table in _TABLES:
            for act in ("update", "delete", "truncate"):
                cursor.execute(f"DROP TRIGGER IF EXISTS {table}_no_{act}{on.format(table=table)}")


def missing() -> list[str]:
    """The triggers that should be there and are not, by name."""
    acts = ["update", "delete", *(["truncate"] if connection.vendor == "postgresql" else [])]
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # Not those of the tables that a restore moved aside into another schema.
            cursor.execute(
                "SELECT tgname FROM pg_trigger WHERE tgenabled <> 'D' AND NOT tgisinternal "
                "AND pg_table_is_visible(tgrelid)"
            )
        else:
            cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        there = {name for (name,) in cursor.fetchall()}
    return [name for table in _TABLES for act in acts if (name := f"{table}_no_{act}") not in there]


def _sqlite(table: str, record: str) -> list[str]:
    refuse = f"BEGIN SELECT RAISE(ABORT, 'The record cannot be changed: {table}'); END"
    dropped = f"(SELECT MAX(last_id) FROM audit_seal WHERE record = '{record}' AND kind = 'dropped')"  # noqa: S608  our own
    unless = f" WHEN OLD.id > COALESCE({dropped}, 0)" if record else ""
    return [
        f"CREATE TRIGGER IF NOT EXISTS {table}_no_update BEFORE UPDATE ON {table} {refuse}",
        f"CREATE TRIGGER IF NOT EXISTS {table}_no_delete BEFORE DELETE ON {table}{unless} {refuse}",
    ]


_POSTGRESQL = """
CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' AND TG_TABLE_NAME <> 'audit_seal' THEN
        IF OLD.id <= COALESCE((
            SELECT MAX(last_id) FROM audit_seal
            WHERE record = CASE TG_TABLE_NAME WHEN 'audit_call' THEN 'calls' ELSE 'changes' END AND kind = 'dropped'
        ), 0) THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'The record cannot be changed: %', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END $$
"""


def _postgresql(table: str) -> list[str]:
    return [
        f"CREATE OR REPLACE TRIGGER {table}_no_update BEFORE UPDATE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
        f"CREATE OR REPLACE TRIGGER {table}_no_delete BEFORE DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION audit_refuse()",
        f"CREATE OR REPLACE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse()",
    ]
