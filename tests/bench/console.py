"""``make bench-console``: does any page of the console cost more when its tables are full?

    python -m tests.bench.console [--on sqlite] [--calls 10000000] [--orders 1000000] [--rounds 9] [--only timeline]
        [--data FOLDER]

On PostgreSQL, or with ``--on sqlite`` on SQLite, whose rows a PostgreSQL makes beside it: 1,000,000 calls unless told.

Two databases: one with 10,000 calls, orders and changes, one with as many as is said. Both have a call each half
minute, the last one now, so that what a page shows of the last hours is the same in both; half of everything belongs
to the person who looks, half to another. Each page is asked of both in turn; every address without arguments is tried,
and those below with them. Compared is the CPU time of the web process and of the database's process together, the
least of the rounds. The last line is the worst ratio; more than 1.5 ends with 1. The last column is what the page
costs the web process with few rows, in times of what the page of people costs it. Of an export the first kilobytes are
read, since all of it is as long as the table. With ``--data`` both databases stay in that folder and serve again.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, cast

import psycopg

from tests import postgres

SMALL = 10_000
BOUND = 1.5
PLAIN = "/people/"
"""A short page: what others cost beside it says the same on a slow computer as on a fast one."""
SHORTEST = 0.003
"""Seconds: what takes less is measured, but a ratio of such times says nothing."""

TIMELINE = (
    *("from=24h", "from=7d&to=24h", "kind=call", "kind=refusal", "kind=order", "kind=broker", "kind=change"),
    *("kind=email", "kind=sign_in", "kind=job", "outcome=ok", "outcome=refused", "outcome=failed", "app={app}"),
    *("connection={connection}", "credential={key}", "tool=get_quote", "tool=get_seldom", "tool=none_such"),
    *("symbol=AAPL", "symbol=RARE", "code=market_closed", "code=halted", "order={order}", "not_tool=get_quote"),
    *("not_kind=call&not_outcome=refused", "app={app}&outcome=refused", "app={app}&tool=get_seldom&from=24h"),
    *("not_app={app}&symbol=AAPL", "everyone=1", "everyone=1&person={other}", "everyone=1&tool=get_seldom"),
)
SEARCHES = (
    "AAPL",
    "RARE",
    "{request}",
    "{order}",
    "{client_order}",
    "{broker_order}",
    "{key}",
    "quote",
    "nothing-such",
)
PAGES = (
    *(f"/timeline/?{query}" for query in TIMELINE),
    *(f"/timeline/counts/?{query}" for query in ("", "tool=get_quote", "tool=none_such", "everyone=1")),
    "/timeline/?before={middle}",
    "/timeline/?tool=get_seldom&before={middle}",
    "/timeline/new/?after={recent}",
    "/timeline/new/?tool=none_such&after={recent}",
    *(f"/search/?part=1&q={typed}" for typed in SEARCHES),
    "/timeline/orders/{order}/",
    "/activity/{request}/",
    "/orders/{order}/",
    "/orders/?status=filled",
    "/orders/?status=working",
    "/orders/?connection={connection}",
    "/errors/?everyone=1",
    "/errors/?span=24h",
    "/apps/{app}/",
    "/keys/{key}/activity/",
    "/connections/{connection}/",
    "/connections/{connection}/performance/",
    "/apps/{app}/revoke/",
    "/keys/{key}/revoke/",
    "/errors/?span=30d",
    "/errors/?span=7d&everyone=1",
    "/api/v1/activity",
    "/api/v1/activity?everyone=1",
    "/api/v1/activity?tool=get_quote",
    "/api/v1/activity?tool=get_seldom",
    "/api/v1/activity?outcome=failed",
    "/api/v1/activity?code=broker_unavailable",
    "/api/v1/activity?app_id={second_app}&tool=get_seldom",
    "/api/v1/activity?connection_id={connection}",
    "/api/v1/activity?order_id={order}",
    "/api/v1/activity/{request}",
    "/api/v1/errors?span=7d",
    "/api/v1/errors?span=30d&everyone=1",
    "/api/v1/orders",
    "/api/v1/orders/{order}",
    "/api/v1/connected-apps/{app}",
    "POST /orders/export.csv",
    "POST /orders/export.ndjson",
    "/errors/export.csv",
    "POST /timeline/export/csv/",
    "POST /timeline/export/ndjson/?tool=get_quote",
)
TOOLS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("get_activity_log", {}),
    ("get_activity_log", {"status": "failed"}),
    ("get_activity_log", {"status": "refused", "limit": 200}),
    ("get_activity_log", {"start": timedelta(hours=12)}),
    ("get_activity_log", {"end": timedelta(hours=12)}),
    ("get_activity_log", {"status": "failed", "end": timedelta(hours=12)}),
    ("get_activity_log", {"end": timedelta(days=2)}),
)
"""Tools that read the log; a time is how long ago it is."""
FIRST_BYTES = 2048

# -- one database --------------------------------------------------------------------------------------------


def _fill(names: dict[str, Any], calls: int, orders: int) -> None:
    """Rows in one statement a table; the person's own and the other's in turn."""
    from django.db import connection

    from console.audit import months

    if connection.vendor == "sqlite":
        _fill_sqlite(names, calls, orders)
        return
    begins = datetime.now(UTC) - calls * _APART
    months.make_for(begins + timedelta(days=20 * place) for place in range(calls // 57_600 + 2))
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        cursor.execute("SET maintenance_work_mem = '512MB'")
        for table, columns in _ROWS.items():
            cursor.execute(_INDEXES, [table])
            indexes = cursor.fetchall()
            for name, _ in indexes:
                cursor.execute(f"DROP INDEX {name}")
            columns = _defaults(table) | columns
            count = _count(table, calls, orders)
            cursor.execute(f"INSERT INTO {table} ({', '.join(columns)}) {_rows(columns)}", names | {"count": count})
            for _, definition in indexes:
                cursor.execute(definition.replace(" ON ONLY ", " ON "))  # with those of the months
        for table in ("audit_call", "audit_change", "orders_order", "orders_confirmation", "orders_orderevent"):
            newest = f"(SELECT max(id) FROM {table})"  # noqa: S608  our own names
            cursor.execute(f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), {newest})")
        cursor.execute("VACUUM ANALYZE")


def _fill_sqlite(names: dict[str, Any], calls: int, orders: int) -> None:
    """The same rows, made by a PostgreSQL of their own."""
    from django.db import connection, transaction

    def kept(value: Any) -> Any:
        """As the model's fields write it there."""
        match value:
            case datetime():
                return value.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")
            case Decimal():
                return str(value)
            case dict() | list():
                return json.dumps(value)
            case _:
                return value

    with postgres.running() as url, psycopg.connect(url) as source, transaction.atomic():
        source.execute("SET TIME ZONE 'UTC'")
        for table, columns in _ROWS.items():
            columns = _defaults(table) | columns
            into = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608
            with source.cursor("rows") as rows:
                rows.itersize = 10_000
                rows.execute(_rows(columns), names | {"count": _count(table, calls, orders)})
                while some := rows.fetchmany(rows.itersize):
                    connection.connection.executemany(into, [[kept(value) for value in row] for row in some])


def _count(table: str, calls: int, orders: int) -> int:
    return calls if table == "audit_call" else orders * (3 if table == "orders_orderevent" else 1)


def _rows(columns: dict[str, str]) -> str:
    return (
        f"SELECT {', '.join(columns.values())} FROM generate_series(1, %(count)s) AS n(i), "  # noqa: S608  our own names
        "(SELECT now() AS now, %(base)s::bigint AS base) AS fixed"
    )


def _defaults(table: str) -> dict[str, str]:
    """What the columns have that ``_ROWS`` does not name."""
    from django.apps import apps

    [model] = [each for each in apps.get_models() if each._meta.db_table == table]
    made = {}
    for each in model._meta.local_concrete_fields:
        value, column = each.get_default(), str(each.column)
        if isinstance(value, dict | list):
            made[column] = f"'{json.dumps(value)}'::jsonb"
        elif value is not None:
            made[column] = f"'{value}'"
    return made


_INDEXES = """
SELECT indexname, indexdef FROM pg_indexes
WHERE tablename = %s AND indexname NOT IN (SELECT conname FROM pg_constraint)
"""
"""Made after the rows, in a tenth of the time."""
_APART = timedelta(seconds=30)
_AT = "now - (%(count)s - i) * interval '30 seconds'"
_ORDER_AT = "now - (%(count)s - i) * interval '5 minutes'"
_MINE = "CASE WHEN i %% 2 = 0 THEN {} ELSE {} END"


def _whose(mine: str, others: str) -> str:
    return _MINE.format(f"%({mine})s", f"%({others})s")


_ROWS: dict[str, dict[str, str]] = {
    "audit_call": {
        "request_id": "'req_' || lpad(i::text, 26, '0')",
        "at": _AT,
        "user_id": _whose("owner", "other"),
        "user_label": _whose("owner_email", "other_email"),
        "source": "'apikey'",
        "credential_id": _whose("key", "other_key"),
        "scopes": "'mcp:read mcp:trade'",
        "app_id": "CASE WHEN i %% 2 = 1 THEN %(other_app)s WHEN i %% 20 = 0 THEN %(second_app)s ELSE %(app)s END",
        "app_label": "'Claude'",
        "connection_id": _whose("connection", "other_connection"),
        "connection_label": "'Practice'",
        "environment": "'paper'",
        "tool": "CASE WHEN i %% 5000 = 2 THEN 'get_seldom' WHEN i %% 20 = 4 THEN 'place_order' ELSE 'get_quote' END",
        "arguments": "('{\"symbol\": \"' || (ARRAY['AAPL','MSFT','SPY','BTC/USD'])[1 + i %% 4] || '\"}')::jsonb",
        "outcome": "CASE WHEN i %% 50 = 0 THEN 'refused' WHEN i %% 500 = 8 THEN 'failed' ELSE 'ok' END",
        "code": "CASE WHEN i %% 50 = 0 THEN 'market_closed' WHEN i %% 500 = 8 THEN 'broker_unavailable' ELSE '' END",
        "message": "''",
        "order_id": "CASE WHEN i %% 20 = 4 THEN 'ord_' || lpad((i / 20)::text, 26, '0') ELSE '' END",
        "duration_us": "1000 + i %% 9000",
        "ip": "'203.0.113.9'",
        "user_agent": "'claude-code/2.1'",
    },
    "audit_change": {
        "at": _ORDER_AT,
        "user_id": _whose("owner", "other"),
        "user_label": _whose("owner_email", "other_email"),
        "owner_id": _whose("owner", "other"),
        "action": "(ARRAY['minted','revoked','paused','resumed'])[1 + (i / 2) %% 4]",
        "target": "(ARRAY['key','app','connection'])[1 + (i / 2) %% 3]",
        "target_id": "i::text",
        "target_label": "'nightly-report'",
        "detail": "'{}'::jsonb",
        "ip": "'203.0.113.9'",
    },
    "orders_confirmation": {
        "id": "base + i",
        "action": "'place'",
        "all_or_none": "true",
        "public_id": "'cnf_' || lpad(i::text, 26, '0')",
        "app_id": _whose("app", "other_app"),
        "redeemer": "'app'",
        "question": "''",
        "terms": '\'{"summary": "Buy 10 AAPL", "price": "181.5"}\'::jsonb',
        "terms_digest": "repeat('0', 64)",
        "created_at": _ORDER_AT,
        "expires_at": f"{_ORDER_AT} + interval '2 minutes'",
        "redeemed_at": f"{_ORDER_AT} + interval '4 seconds'",
    },
    "orders_order": {
        "id": "base + i",
        "public_id": "'ord_' || lpad(i::text, 26, '0')",
        "connection_id": _whose("connection", "other_connection"),
        "app_id": _whose("app", "other_app"),
        "confirmation_id": "base + i",
        "account_id": "'PAPER-1'",
        "client_order_id": "'mine-' || i",
        "wire_id": "md5(i::text)",
        "symbol": "CASE WHEN i %% 5000 = 2 THEN 'RARE' ELSE (ARRAY['AAPL','MSFT','SPY'])[1 + (i / 2) %% 3] END",
        "asset_class": "'stock'",
        "currency": "'USD'",
        "side": "'BUY'",
        "order_type": "'LMT'",
        "tif": "'DAY'",
        "quantity": "10",
        "limit_price": "181.5",
        "outside_rth": "false",
        "reduce_only": "false",
        "post_only": "false",
        "order_class": "'simple'",
        "at_once": "false",
        "shown_price": "181.5",
        "status": "CASE WHEN i %% 20 = 0 THEN 'cancelled' WHEN i %% 50 = 2 THEN 'denied' ELSE 'filled' END",
        "filled_quantity": "10",
        "average_price": "181.4",
        "fees": "0.3",
        "broker_order_id": "'B-' || i",
        "code": "''",
        "reason": "''",
        "created_at": _ORDER_AT,
        "moved_at": f"{_ORDER_AT} + interval '9 seconds'",
        "released_at": f"{_ORDER_AT} + interval '4 seconds'",
        "sent_at": f"{_ORDER_AT} + interval '5 seconds'",
    },
    "orders_orderevent": {
        "order_id": "base + (i + 2) / 3",
        "at": "now - (%(count)s - i) * interval '100 seconds'",
        "before": "(ARRAY['','awaiting_confirmation','sending'])[1 + i %% 3]",
        "after": "(ARRAY['awaiting_confirmation','sending','filled'])[1 + i %% 3]",
        "what": "'Filled: 10 of 10 at 181.40 USD.'",
        "data": "'{}'::jsonb",
        "by": "CASE WHEN i %% 3 = 0 THEN 'broker' ELSE 'Claude' END",
        "request_id": "CASE WHEN i %% 3 = 1 THEN 'req_' || lpad((20 * ((i + 2) / 3))::text, 26, '0') ELSE '' END",
        "owner_id": "CASE WHEN ((i + 2) / 3) %% 2 = 0 THEN %(owner)s ELSE %(other)s END",
    },
}


def _people(since: datetime) -> dict[str, Any]:
    """The person who looks, who is an operator too, and another one: connections, apps and keys of both, the apps there
    since then."""
    from console.accounts.models import User
    from console.connected_apps.models import ConnectedApp
    from console.keys import minting
    from console.onboarding import connection_lifecycle
    from console.scopes import Scope

    made: dict[str, Any] = {"base": 1000}
    for prefix, email in (("", "olivia@example.com"), ("other_", "oscar@example.com")):
        user = User.objects.create_user(email, "correct horse battery", is_operator=not prefix)
        connection, _ = connection_lifecycle.open_paper(user, name="Practice", starting_cash=Decimal(100_000))
        key, key_secret = minting.mint(user, connection, frozenset({Scope.READ, Scope.TRADE}), name="Claude")
        second, _ = minting.mint(user, connection, frozenset({Scope.READ}), name="nightly-report")
        made |= {
            f"{prefix}email": email,
            f"{prefix}connection": connection.pk,
            f"{prefix}app": key.app_id,
            f"{prefix}second_app": second.app_id,
            f"{prefix}key": key.public_id,
            f"{prefix}secret": key_secret,
            prefix.rstrip("_") or "owner": user.pk,
        }
    ConnectedApp.objects.update(created_at=since, activated_at=since)
    return made | {"owner_email": made["email"]}


def _addresses(names: dict[str, Any], calls: int, orders: int) -> dict[str, str]:
    """Each page's name → its address here."""
    from django.urls import URLPattern, URLResolver, get_resolver

    now = datetime.fromisoformat(names["filled_at"])

    def mark(ago: timedelta) -> str:
        return f"{int((now - ago).timestamp() * 1e6)}-4-0"

    order, call = orders - orders % 2, calls - calls % 2
    known = names | {
        "order": f"ord_{order:026d}",
        "request": f"req_{call:026d}",
        "client_order": f"mine-{order}",
        "broker_order": f"B-{order}",
        "middle": mark(timedelta(hours=30)),
        "recent": mark(timedelta(minutes=20)),
    }

    def walk(resolver: URLResolver, before: str) -> Iterator[str]:
        for each in resolver.url_patterns:
            path = before + str(each.pattern)
            if isinstance(each, URLResolver):
                yield from walk(each, path)
            elif isinstance(each, URLPattern) and not set("<^(") & set(path):
                yield f"/{path}"

    plain = {path: path for path in walk(get_resolver(), "")}
    return plain | {page: page.format(**known) for page in PAGES}


def _tools(names: dict[str, Any]) -> dict[str, Callable[[], object]]:
    """Each tool's name with what it is given → a call of it, by the app of the person who looks."""
    from console.authority import bearer
    from mcpserver.context import ToolCall
    from mcpserver.tools import journal

    now, principal = datetime.fromisoformat(names["filled_at"]), bearer.authenticate(names["secret"])
    run = {"get_activity_log": journal.get_activity_log}

    def made(tool: str, given: dict[str, Any]) -> Callable[[], object]:
        args = {name: now - value if isinstance(value, timedelta) else value for name, value in given.items()}
        return lambda: run[tool](ToolCall(principal=principal, request_id="req_1", args=args))

    return {
        f"{tool} {' '.join(f'{name}={value}' for name, value in given.items())}".strip(): made(tool, given)
        for tool, given in TOOLS
    }


def serve(calls: int, orders: int) -> None:
    """Fill the database of the environment, then time each page that is asked for, a line each."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    django.setup()
    from django.conf import settings
    from django.core.cache import cache
    from django.core.management import call_command
    from django.core.signals import request_finished
    from django.db import close_old_connections, connection
    from django.test import Client

    from console import toolsets
    from console.accounts.models import User
    from console.recent_errors import rollup
    from mcpserver import console_catalog

    def ask(page: str) -> int:
        if page in tools:
            tools[page]()
            return 200
        method, _, address = addresses[page].rpartition(" ")
        response = browser.post(address) if method else browser.get(address)
        if response.streaming:
            read, parts = 0, cast(Iterator[bytes], response.streaming_content)  # type: ignore[attr-defined]
            for part in parts:
                if (read := read + len(part)) >= FIRST_BYTES:
                    break
            # What it reads from is closed, but not the connection: it is one process of the database that is timed.
            request_finished.disconnect(close_old_connections)
            response.close()
        return response.status_code

    is_embedded = connection.vendor == "sqlite"
    if not is_embedded:  # a page has one process of the database, whose time is taken
        with connection.cursor() as cursor:
            cursor.execute("ALTER ROLE CURRENT_USER SET max_parallel_workers_per_gather = 0")
        connection.close()
    call_command("migrate", verbosity=0)
    call_command("createcachetable", verbosity=0)
    toolsets.provide(console_catalog.tools)
    began = time.perf_counter()
    known = settings.HOME / "filled.json"
    if known.exists():
        names = json.loads(known.read_text())
    else:
        names = _people(datetime.now(UTC) - calls * _APART) | {"filled_at": datetime.now(UTC).isoformat()}
        _fill(names, calls, orders)
        known.write_text(json.dumps(names))
    while rollup.catch_up():  # as the sweep has done long before
        pass
    addresses, tools = _addresses(names, calls, orders), _tools(names)
    browser = Client(headers={"host": "localhost"})
    browser.force_login(User.objects.get(pk=names["owner"]))
    _answer({"pages": [*addresses, *tools], "seconds": time.perf_counter() - began})
    for line in sys.stdin:
        page = line.rstrip("\n")
        if page.startswith("POST "):
            cache.clear()  # so many files an hour, one would have to wait
        connection.ensure_connection()
        backend = 0 if is_embedded else connection.connection.info.backend_pid
        wall, web, base = time.perf_counter(), time.process_time(), _cpu_of(backend)
        status = ask(page)
        took = {
            "wall": time.perf_counter() - wall,
            "web": time.process_time() - web,
            "base": _cpu_of(backend) - base,
        }
        _answer({"status": status, **took})
    connection.close()


def _cpu_of(pid: int) -> float:
    """Seconds that a process was on a CPU, to the nanosecond; none of a database that has no process."""
    if not pid:
        return 0.0
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def _answer(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


# -- both ----------------------------------------------------------------------------------------------------


class Filled:
    """One database and the process that asks it for pages."""

    def __init__(self, folder: Path, url: str, calls: int, orders: int) -> None:
        home = folder / "home"
        home.mkdir(exist_ok=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.console", "--serve", "--calls", str(calls), "--orders", str(orders)],
            env=os.environ | {"TRADELATCH_HOME": str(home)} | ({"TRADELATCH_DATABASE_URL": url} if url else {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        told = self._read()
        self.pages: list[str] = told["pages"]
        self.seconds: float = told["seconds"]

    def _read(self) -> dict[str, Any]:
        out: IO[str] | None = self._process.stdout
        assert out is not None
        line = out.readline()
        if not line:
            raise SystemExit("The process that asks for pages has ended; its last lines are above.")
        told: dict[str, Any] = json.loads(line)
        return told

    def time(self, page: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(page + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def compare(
    calls: int, orders: int, rounds: int, only: Sequence[str], data: Path | None = None, *, on_sqlite: bool = False
) -> float:
    """Print a line a page; returns the worst ratio. ``data``: the folder of both databases, which stay there."""
    with contextlib.ExitStack() as stack:
        folder = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tl-console-")))
        filled = []
        for name, *counts in (("small", SMALL, SMALL), ("large", calls, orders)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            url = "" if on_sqlite else stack.enter_context(postgres.database(folder / name / "pg"))
            each = Filled(folder / name, url, *counts)
            stack.callback(each.close)
            filled.append(each)
            _write(f"{counts[0]:,} calls, {counts[1]:,} orders and changes: filled in {each.seconds:.0f} s")
        small, large = filled
        plain = min(small.time(PLAIN)["web"] for _ in range(rounds + 3))
        _write(f"{'CPU, ms':56}{'few':>10}{'many':>10}{'database':>10}{'wall':>10}{'ratio':>7}{'people':>8}")
        worst = 0.0
        for page in small.pages:
            if only and not any(part in page for part in only):
                continue
            if (status := small.time(page)["status"]) != 200:
                if page in PAGES:
                    raise SystemExit(f"{page} answers with {status}.")
                continue
            if large.time(page)["status"] != 200:
                raise SystemExit(f"{page} works with few rows and not with many.")
            times = [(small.time(page), large.time(page)) for _ in range(rounds)]
            few, many = (min(pair[place]["web"] + pair[place]["base"] for pair in times) for place in (0, 1))
            ratio = max(many, SHORTEST) / max(few, SHORTEST)
            worst = max(worst, ratio)
            base, wall = (min(pair[1][what] for pair in times) for what in ("base", "wall"))
            figures = "".join(f"{seconds * 1e3:10.1f}" for seconds in (few, many, base, wall))
            beside = min(pair[0]["web"] for pair in times) / plain
            _write(f"{page:56}{figures}{ratio:7.2f}{beside:8.2f}{' <' * (ratio > BOUND)}")
        _write(f"Worst ratio: {worst:.2f}")
    return worst


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.console", description=__doc__)
    parser.add_argument("--on", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--calls", type=int, help="10,000,000 unless told, 1,000,000 on SQLite")
    parser.add_argument("--orders", type=int, default=1_000_000, help="and as many changes")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", nargs="*", default=[], help="pages with one of these in their address")
    parser.add_argument("--data", type=Path, help="a folder for both databases, with a short path; they stay there")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    on_sqlite = options.on == "sqlite"
    calls = options.calls or (1_000_000 if on_sqlite else 10_000_000)
    if options.serve:
        serve(calls, options.orders)
        return
    worst = compare(calls, options.orders, options.rounds, options.only, options.data, on_sqlite=on_sqlite)
    if worst > BOUND:
        raise SystemExit(f"A page costs more than {BOUND} times as much.")


if __name__ == "__main__":
    main()
