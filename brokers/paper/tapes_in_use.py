"""Which tapes have open orders: by an index from one to the next, so that it costs the same however many rest."""

from django.db import connection

from brokers.paper.models import OPEN_STATUSES, PaperAccount, PaperOrder

_ORDERS, _ACCOUNTS = PaperOrder._meta.db_table, PaperAccount._meta.db_table
_STATUSES = " UNION ALL ".join(["SELECT %s AS status"] * len(OPEN_STATUSES))


def _walk(which: str) -> str:
    """A DISTINCT would read every order."""
    its = f"SELECT MIN(tape) FROM {_ORDERS} WHERE account_id = %s.account AND status = %s.status"  # noqa: S608 - ours
    first = its.replace("%s", "place")
    further = its.replace("%s", "found") + " AND tape > found.tape"
    return (
        f"WITH RECURSIVE place (account, status) AS"  # noqa: S608 - names of our own tables
        f" (SELECT id, status FROM {_ACCOUNTS}, ({_STATUSES}) kinds WHERE {which}),"
        f" found (account, status, tape) AS (SELECT account, status, ({first}) FROM place"
        f" UNION ALL SELECT account, status, ({further}) FROM found WHERE tape IS NOT NULL)"
        " SELECT DISTINCT tape FROM found WHERE tape IS NOT NULL"
    )


_OF_ACCOUNT, _AT_LIVE_PRICES = _walk("id = %s"), _walk("venue <> ''")


def of_account(pk: int) -> set[str]:
    return _read(_OF_ACCOUNT, pk)


def at_live_prices() -> set[str]:
    """Of all accounts that trade at those of a venue."""
    return _read(_AT_LIVE_PRICES)


def _read(statement: str, *values: int) -> set[str]:
    with connection.cursor() as cursor:
        cursor.execute(statement, [*OPEN_STATUSES, *values])
        return {tape for (tape,) in cursor.fetchall()}
