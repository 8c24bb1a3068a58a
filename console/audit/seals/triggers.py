"""The database itself refuses to change or delete what is on record.

The one way out is the retention: a row may go once a marker in the chain of seals says that its range is deleted.
Whoever may alter the schema can take the triggers away; the seals show what was done then.
"""

from django.db import connection

from console.audit import months

_TABLES = {"audit_call": "calls", "audit_change": "changes", "audit_seal": ""}


def install() -> None:
    """After each migration: what alters a table on SQLite makes it anew, without its triggers."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(_POSTGRESQL)
        for table, record in _TABLES.items():
            made = _postgresql(table, record) if connection.vendor == "postgresql" else _sqlite(table, record)
            for statement in made:
                cursor.execute(statement)
        for each in months.partitions():
            cursor.execute(months.no_truncate(each.name))


def remove() -> None:
    """For tests, which empty tables."""
    with connection.cursor() as cursor:
        for table in _TABLES:
            for act in ("update", "delete", "truncate"):
                on = f" ON {table}" if connection.vendor == "postgresql" else ""
                cursor.execute(f"DROP TRIGGER IF EXISTS {table}_no_{act}{on}")
        for each in months.partitions():
            cursor.execute(f"DROP TRIGGER IF EXISTS {months.TABLE}_no_truncate ON {each.name}")


def missing() -> list[str]:
    """The triggers that should be there and are not, by name."""
    if connection.vendor == "postgresql":
        return _missing_on_postgresql()
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        there = {name for (name,) in cursor.fetchall()}
    return [name for table in _TABLES for act in ("update", "delete") if (name := f"{table}_no_{act}") not in there]


def _missing_on_postgresql() -> list[str]:
    acts = ("update", "delete", "truncate")
    with connection.cursor() as cursor:
        # Not those of the tables that a restore moved aside into another schema.
        cursor.execute(
            "SELECT relname, tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
            "WHERE tgenabled <> 'D' AND NOT tgisinternal AND pg_table_is_visible(tgrelid)"
        )
        there = set(cursor.fetchall())
    tables = [name for table in _TABLES for act in acts if (table, name := f"{table}_no_{act}") not in there]
    parts = [
        f"{name} of {each.name}"
        for each in months.partitions()
        for act in acts
        if (each.name, name := f"{months.TABLE}_no_{act}") not in there
    ]
    return [*tables, *parts]


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
    IF TG_OP = 'DELETE' AND TG_NARGS > 1 THEN
        IF OLD.id <= COALESCE((
            SELECT MAX(last_id) FROM audit_seal WHERE record = TG_ARGV[1] AND kind = 'dropped'
        ), 0) THEN
            RETURN OLD;
        END IF;
    END IF;
    RAISE EXCEPTION 'The record cannot be changed: %', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation';
END $$
"""


def _postgresql(table: str, record: str) -> list[str]:
    """Told which table and record, since a partition has a name of its own."""
    told = f"'{table}', '{record}'" if record else f"'{table}'"
    refuse = f"EXECUTE FUNCTION audit_refuse({told})"
    return [
        f"CREATE OR REPLACE TRIGGER {table}_no_update BEFORE UPDATE ON {table} FOR EACH ROW {refuse}",
        f"CREATE OR REPLACE TRIGGER {table}_no_delete BEFORE DELETE ON {table} FOR EACH ROW {refuse}",
        f"CREATE OR REPLACE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} FOR EACH STATEMENT {refuse}",
    ]
