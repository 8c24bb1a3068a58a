"""``make bench-profit``: does profit, the journal or a list of fills cost more when an account has traded for years?

    python -m tests.bench.profit [--fills 1000000] [--rounds 7] [--database sqlite] [--only get_pnl]

On each kind of database two: one with 10,000 fills, one with as many as is said, a fill each 15 minutes up to now, in
the books of the paper broker and copied to the journal with their round trips, ledger, sums and equity. Each tool, REST
list and page is asked of both in turn. Compared is the CPU time of the process that answers and of the database's
process together, the least of the rounds. Exports take a time that grows with their rows: their memory is compared, and
the time for a row. The last line is the worst ratio; more than 1.5 ends with 1.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

from tests import postgres

SMALL = 10_000
BOUND = 1.5
SHORTEST = 0.003
"""Seconds: what takes less is measured, but a ratio of such times says nothing."""
EVERY = timedelta(minutes=15)

TOOLS: dict[str, tuple[str, dict[str, Any]]] = {
    "get_pnl": ("get_pnl", {}),
    "get_pnl by symbol": ("get_pnl", {"group_by": "symbol"}),
    "get_pnl by day": ("get_pnl", {"group_by": "day"}),
    "get_pnl by month": ("get_pnl", {"group_by": "month"}),
    "get_pnl of a span": ("get_pnl", {"start": "{begin}", "end": "{middle}", "group_by": "symbol"}),
    "get_portfolio_history": ("get_portfolio_history", {}),
    "get_portfolio_history all": ("get_portfolio_history", {"period": "all"}),
    "get_watermarks": ("get_watermarks", {}),
    "get_account_summary": ("get_account_summary", {}),
    "get_journal_trades": ("get_journal_trades", {}),
    "get_journal_trades of AAPL": ("get_journal_trades", {"symbol": "AAPL"}),
    "get_executions": ("get_executions", {}),
    "get_executions since": ("get_executions", {"start": "{middle}"}),
    "get_transactions": ("get_transactions", {}),
}
PAGES = (
    *("/journal/", "/journal/?symbol=aapl", "/journal/?symbol=nvda", "/journal/?result=won", "/journal/?result=open"),
    "/connections/{connection}/performance/",
    "/connections/{connection}/performance/?period=all",
    *(f"/api/v1/connections/{{connection}}/profit?by={by}" for by in ("symbol", "month")),
    "/api/v1/connections/{connection}/profit?by=day&start={begin}",
    "/api/v1/connections/{connection}/profit?by=symbol&start={begin}&end={middle}",
    "/api/v1/connections/{connection}/performance",
    "/api/v1/connections/{connection}/equity",
    "/api/v1/connections/{connection}/equity?period=all&bar=1d",
    *("/api/v1/journal/trades", "/api/v1/journal/trades?result=lost", "/api/v1/journal/trades?symbol=AAPL"),
)
EXPORTS = (
    "/journal/trades.csv",
    "/connections/{connection}/performance/executions.csv",
    "/connections/{connection}/performance/ledger.csv",
)

# -- one database --------------------------------------------------------------------------------------------


def _fill(connection_id: int, account_id: str, count: int) -> None:
    """Books and journal: a trip is two purchases and a sale, of one symbol after the other, some at a loss."""
    from brokers.paper.models import LedgerEntry, PaperAccount, PaperFill, PaperOrder
    from console.connections.models import EquitySnapshot
    from console.journal import profit_rollups
    from console.journal.models import Execution, LedgerLine, Progress, RoundTrip

    account = PaperAccount.objects.get(key=account_id)
    now = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=20)
    PaperAccount.objects.update(created=now - EVERY * (count + 2))
    LedgerEntry.objects.update(at=now - EVERY * (count + 1))
    mine = {"connection_id": connection_id, "account_id": account_id, "symbol": "AAPL", "currency": "USD"}
    zero, fee = Decimal(0), Decimal("0.35")
    at = _ago(now, f"({count} - i)")
    of_all = {"symbol": _SYMBOL, "side": _SIDE, "quantity": _QUANTITY, "price": _PRICE, "at": at, "place": "i"}
    order = PaperOrder(
        account=account,
        order_type="MKT",
        tif="DAY",
        status="filled",
        currency="USD",
        fees=fee,
        reserved_cash=zero,
        reserved_quantity=zero,
        quantity=fee,
        filled_quantity=fee,
        created=now,
        updated=now,
        matched_until=now,
    )
    numbered = {"id": "1000 + i", "client_order_id": "'C-' || i", "broker_order_id": "'B-' || i", **of_all}
    filled = {"filled_quantity": _QUANTITY, "average_price": _PRICE, "created": at, "updated": at, "matched_until": at}
    _insert(order, count, numbered | filled)
    fill = PaperFill(account=account, order_id=1, price=zero, quantity=zero, fee=fee, source="bench", at=now)
    _insert(fill, count, {"order_id": "1000 + i", "fill_id": "'F-' || i", "bar": "i", **of_all})
    entry = LedgerEntry(account=account, at=now, kind="trade", currency="USD", amount=zero)
    moved = {"quantity": _SIGNED, "amount": f"-({_SIGNED}) * ({_PRICE})"}
    _insert(entry, count, {"id": "1000 + i", **of_all, **moved})
    common = {**mine, "at": now, "place": 0, "matched": True, "quantity": zero, "price": zero}
    execution = Execution(**common, fill_id="", side="BUY", fee=fee)
    _insert(execution, count, {**of_all, "fill_id": "'F-' || i", "realized": _REALIZED})
    line = LedgerLine(**common, kind="trade", amount=zero)
    _insert(line, count, {**of_all, **moved, "entry_id": "'' || (1000 + i)"})
    trip = RoundTrip(
        **{**mine, "side": "long", "opened_at": now, "closed_at": now, "fresh_start": True, "quantity": Decimal(2)},
        held=zero,
        entry_price=Decimal(100),
        exit_price=zero,
        realized=zero,
        fees=3 * fee,
        fills=3,
        won=True,
        best=Decimal(6),
        worst=Decimal(-2),
        measured_by="1m",
    )
    opened = {"opened_at": _ago(now, f"({count} - i + 2)"), "closed_at": at, "public_id": "'trd_' || (1000000000 + i)"}
    earned = {"symbol": _SYMBOL, "exit_price": _PRICE, "realized": _REALIZED, "won": "i %% 4 <> 0"}
    _insert(trip, count, opened | earned, "WHERE i %% 3 = 2")
    for what in ("fills", "ledger"):
        whole = {"whole_at": datetime.now(UTC), "walk": 1}
        Progress.objects.update_or_create(connection_id=connection_id, account_id=account_id, what=what, defaults=whole)
    EquitySnapshot.objects.all().delete()
    kept = {"connection_id": connection_id, "account_id": account_id}
    EquitySnapshot.objects.bulk_create(_snapshots(EquitySnapshot, kept, now, EVERY * count), batch_size=1000)
    profit_rollups.rebuild(connection_id, account_id)


_SYMBOL = "CASE i / 3 %% 3 WHEN 0 THEN 'AAPL' WHEN 1 THEN 'MSFT' ELSE 'BTC/USD' END"
_SIDE = "CASE WHEN i %% 3 = 2 THEN 'SELL' ELSE 'BUY' END"
_QUANTITY = "CASE WHEN i %% 3 = 2 THEN 2 ELSE 1 END"
_SIGNED = "CASE WHEN i %% 3 = 2 THEN -2 ELSE 1 END"
_PRICE = "CASE WHEN i %% 3 < 2 THEN 100 WHEN i %% 4 = 0 THEN 99 ELSE 103 END"
_REALIZED = "CASE WHEN i %% 3 < 2 THEN 0 WHEN i %% 4 = 0 THEN -2 ELSE 6 END"


def _ago(now: datetime, steps: str) -> str:
    from django.db import connection

    seconds = EVERY // timedelta(seconds=1)
    if connection.vendor == "postgresql":
        return f"timestamptz '{now:%Y-%m-%d %H:%M:%S+00}' - {steps} * interval '{seconds} seconds'"
    return f"strftime('%%Y-%%m-%%d %%H:%%M:%%S', '{now:%Y-%m-%d %H:%M:%S}', -({steps} * {seconds}) || ' seconds')"


def _insert(sample: Any, count: int, differing: dict[str, str], where: str = "") -> None:
    """``count`` rows like ``sample`` in one statement; ``differing``: columns by an expression of ``i``, from 0 on."""
    from django.db import connection

    columns, values, constants = [], [], []
    for field in sample._meta.concrete_fields:
        if field.column in differing:
            values.append(differing[field.column])
        elif field.primary_key:
            continue
        else:
            values.append("%s")
            constants.append(field.get_db_prep_save(getattr(sample, field.attname), connection))
        columns.append(field.column)
    table = sample._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {count}) "  # noqa: S608
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {', '.join(values)} FROM n {where}",
            constants,
        )


def _snapshots(kind: Any, mine: dict[str, Any], now: datetime, span: timedelta) -> list[Any]:
    """As they are after thinning: days, then hours of 90 days, then five minutes of two."""
    from console.connections import equity

    found, at = [], now - span
    while at < now:
        age = now - at
        size = equity.DAY if age > equity.KEPT_HOURLY else equity.HOUR if age > equity.KEPT_FINE else equity.FINE
        slot = equity.floor(at, size)
        worth = Decimal(100_000 + slot.toordinal() * 37 % 5000)
        found.append(
            kind(
                **mine,
                currency="USD",
                slot=slot,
                grain=size // timedelta(seconds=1),
                opened_at=slot,
                opened=worth,
                at=slot + size / 2,
                equity=worth + 3,
                high=worth + 10,
                low=worth - 10,
                cash=worth,
            )
        )
        at = slot + size
    return found


def serve(count: int) -> None:
    """Fill the database of the environment, then time each thing that is asked for, a line each."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    django.setup()
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client

    from console import toolsets
    from console.accounts.models import User
    from console.authority import bearer, call_quota
    from console.keys import minting
    from console.onboarding import connection_lifecycle
    from console.scopes import Scope
    from mcpserver import console_catalog, pipeline

    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:  # a question has one process of the database, whose time is taken
            cursor.execute("ALTER ROLE CURRENT_USER SET max_parallel_workers_per_gather = 0")
        connection.close()
    call_command("migrate", verbosity=0)
    call_command("createcachetable", verbosity=0)
    toolsets.provide(console_catalog.tools)
    # One connection, whose time is taken; and as many calls as it takes.
    replaced = ((pipeline, "close_old_connections"), (call_quota, "check"), (call_quota, "check_person"))
    for module, name in replaced:
        setattr(module, name, lambda *about, **own: None)
    user = User.objects.create_user("olivia@example.com", "correct horse battery")
    linked, _ = connection_lifecycle.open_paper(user, name="Practice", starting_cash=Decimal(100_000))
    _, key = minting.mint(user, linked, frozenset({Scope.READ}), name="Claude")
    began = time.perf_counter()
    _fill(linked.pk, linked.default_account, count)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")
    browser = Client(headers={"host": "localhost"})
    browser.force_login(user)
    connection.ensure_connection()
    backend = connection.connection.info.backend_pid if connection.vendor == "postgresql" else None
    now = datetime.now(UTC).replace(microsecond=0)
    known = {
        "connection": linked.pk,
        "begin": f"{now - timedelta(days=70, hours=5):%Y-%m-%dT%H:%M:%SZ}",
        "middle": f"{now - timedelta(days=40, hours=3):%Y-%m-%dT%H:%M:%SZ}",
    }

    def ask(what: str) -> tuple[bool, int]:
        if what in TOOLS:
            tool, arguments = TOOLS[what]
            told = {name: value.format(**known) for name, value in arguments.items()}
            answer = pipeline.call(bearer.authenticate(key), tool, told, request_id=uuid.uuid4().hex)
            return not answer.is_error, 0
        response = browser.get(what.format(**known))
        if what not in EXPORTS:
            return response.status_code == 200, 0
        rows = 0
        for part in response:
            rows += part.count(b"\n")
        return response.status_code == 200, rows

    _answer({"seconds": time.perf_counter() - began})
    for line in sys.stdin:
        what = line.rstrip("\n")
        memory = 0
        if what.startswith("memory "):
            what = what.removeprefix("memory ")
            tracemalloc.start()
            good, rows = ask(what)
            memory = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            _answer({"good": good, "rows": rows, "memory": memory})
            continue
        cpu, base = time.process_time(), _cpu_of(backend)
        good, rows = ask(what)
        taken = time.process_time() - cpu + _cpu_of(backend) - base
        _answer({"good": good, "rows": rows, "cpu": taken})
    connection.close()


def _cpu_of(pid: int | None) -> float:
    """Seconds that a process was on a CPU."""
    return 0.0 if pid is None else int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def _answer(told: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


# -- both ----------------------------------------------------------------------------------------------------


class FilledAccount:
    """One database and the process that answers from it."""

    def __init__(self, home: Path, url: str, count: int) -> None:
        home.mkdir(parents=True)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.profit", "--serve", "--fills", str(count)],
            env=os.environ | {"TRADELATCH_HOME": str(home)} | ({"TRADELATCH_DATABASE_URL": url} if url else {}),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.seconds: float = self._read()["seconds"]

    def _read(self) -> dict[str, Any]:
        out: IO[str] | None = self._process.stdout
        assert out is not None
        line = out.readline()
        if not line:
            raise SystemExit("The process that answers has ended; its last lines are above.")
        told: dict[str, Any] = json.loads(line)
        return told

    def ask(self, what: str) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()
        told = self._read()
        if not told["good"]:
            raise SystemExit(f"{what} was refused.")
        return told

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


def compare(database: str, count: int, rounds: int, only: Sequence[str]) -> float:
    """Print a line for each question; returns the worst ratio."""
    with contextlib.ExitStack() as stack, tempfile.TemporaryDirectory(prefix="tl-profit-") as folder:
        filled = []
        for name, fills in (("small", SMALL), ("large", count)):
            url = stack.enter_context(postgres.running()) if database == "postgresql" else ""
            each = FilledAccount(Path(folder) / name, url, fills)
            stack.callback(each.close)
            filled.append(each)
            _write(f"{database}, {fills:,} fills: filled in {each.seconds:.0f} s")
        small, large = filled
        _write(f"{database + ': CPU, ms':68}{'few':>10}{'many':>10}{'ratio':>8}")
        worst = 0.0
        for what in (*TOOLS, *PAGES):
            if only and not any(part in what for part in only):
                continue
            small.ask(what), large.ask(what)
            times = [(small.ask(what)["cpu"], large.ask(what)["cpu"]) for _ in range(rounds)]
            few, many = (min(pair[place] for pair in times) for place in (0, 1))
            worst = max(worst, _told(what, few * 1e3, many * 1e3, SHORTEST * 1e3))
        for what in EXPORTS:
            if only and not any(part in what for part in only):
                continue
            small.ask(what)
            pair = small.ask(what), large.ask(what)
            few, many = (each["cpu"] / each["rows"] * 1e6 for each in pair)
            worst = max(worst, _told(f"{what}: us a row of {pair[1]['rows']:,}", few, many, 0))
            memory = [each.ask(f"memory {what}")["memory"] / 1e3 for each in filled]
            worst = max(worst, _told(f"{what}: memory, kB", memory[0], memory[1], 0))
    return worst


def _told(what: str, few: float, many: float, shortest: float) -> float:
    ratio = max(many, shortest) / max(few, shortest)
    _write(f"{what:68}{few:10.1f}{many:10.1f}{ratio:8.2f}{' <' * (ratio > BOUND)}")
    return ratio


def _write(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.profit", description=__doc__)
    parser.add_argument("--fills", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], nargs="*", default=["sqlite", "postgresql"])
    parser.add_argument("--only", nargs="*", default=[], help="what has one of these in its name")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.fills)
        return
    worst = max(compare(each, options.fills, options.rounds, options.only) for each in options.database)
    _write(f"Worst ratio: {worst:.2f}")
    if worst > BOUND:
        raise SystemExit(f"Something costs more than {BOUND} times as much.")


if __name__ == "__main__":
    main()
