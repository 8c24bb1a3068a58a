"""What SQLite knows of its tables, to choose an index by: nothing until told to look. PostgreSQL looks by itself."""

from django.db import connection, transaction

_ROWS_LOOKED_AT = 1_000
"""Of each index: with 1,000,000 calls it takes 0.04 s, for which other writers wait."""


def refresh() -> None:
    """Look again. Every connection plans by what is found from its next statement on.

    A connection reads the statistics together with the schema, and a second ANALYZE leaves the schema's version as it
    is: others would keep what they read when they were opened. A table that was dropped and made again is a new schema.
    """
    if connection.vendor != "sqlite":
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"PRAGMA analysis_limit = {_ROWS_LOOKED_AT}")
        cursor.execute("DROP TABLE IF EXISTS sqlite_stat1")
        cursor.execute("ANALYZE")
