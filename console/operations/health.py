"""Whether this process lives and whether the instance works, for load balancers, orchestrators and people.

Answered before Django and ``/mcp``, so that what those need may be away. Brokers are never asked: one that is away
is no reason to take an instance out of service.
"""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import anyio.to_thread
from django.conf import settings
from django.db import Error, close_old_connections, connection
from django.db.migrations.executor import MigrationExecutor
from kombu.exceptions import KombuError
from starlette.types import Receive, Scope, Send

from console.celery import app as celery
from console.operations import heartbeat
from console.operations.lease import is_over
from console.operations.models import Lease
from console.operations.scheduler import LEASE

log = logging.getLogger(__name__)

LIVE, READY = "/livez", "/readyz"
PATHS = (LIVE, READY)
_QUEUE_SECONDS = 2


@dataclass(frozen=True, slots=True)
class HealthCheck:
    name: str
    ok: bool
    detail: str
    is_vital: bool = False
    """Without it no call can be answered: this process is to get none."""


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """``/livez``: 200 while the process takes requests. ``/readyz``: 200 or 503, with every check as JSON.

    503 stands for "send no calls here": the database is away or not brought up to date. An instance whose worker or
    queue is away says ``degraded`` with 200, because cancels and halts work without them and must reach it.
    """
    if scope["method"] not in ("GET", "HEAD"):
        await _send(scope, send, 405, {"status": "method not allowed"})
    elif scope["path"] == LIVE:
        await _send(scope, send, 200, {"status": "alive"})
    else:
        checks = await anyio.to_thread.run_sync(found)
        status = _status(checks)
        told = {each.name: {"ok": each.ok, "detail": each.detail} for each in checks}
        await _send(scope, send, 503 if status == "not ready" else 200, {"status": status, "checks": told})


def found() -> list[HealthCheck]:
    """Every check, those of the database first. Raises nothing."""
    try:
        checks = list(_of_the_database())
        if all(each.ok for each in checks):
            checks += [_worker(), _schedule()]
    finally:
        close_old_connections()
    return [*checks, _queue()]


def _status(checks: list[HealthCheck]) -> str:
    if any(each.is_vital and not each.ok for each in checks):
        return "not ready"
    return "ready" if all(each.ok for each in checks) else "degraded"


def _of_the_database() -> Iterator[HealthCheck]:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        yield HealthCheck("database", ok=True, detail="answers", is_vital=True)
        pending = _pending()
    except Error as error:
        yield HealthCheck("database", ok=False, detail=type(error).__name__, is_vital=True)
        return
    detail = "up to date" if not pending else f"{pending} to apply: run manage.py migrate"
    yield HealthCheck("migrations", ok=not pending, detail=detail, is_vital=True)


def _pending() -> int:
    """Migrations that the database lacks. Raises django.db.Error."""
    if _UP_TO_DATE:
        return 0
    executor = MigrationExecutor(connection)
    pending = len(executor.migration_plan(executor.loader.graph.leaf_nodes()))
    if not pending:
        _UP_TO_DATE.append(True)
    return pending


_UP_TO_DATE: list[bool] = []
"""Filled once it was found so: this process's code needs no more, whatever newer ones add."""


def _worker() -> HealthCheck:
    since = heartbeat.seconds_since()
    if since is None:
        return HealthCheck("worker", ok=False, detail="none was ever seen at work")
    late = since > heartbeat.LATE_AFTER.total_seconds()
    return HealthCheck("worker", ok=not late, detail=f"last seen at work {since:.0f} s ago")


def _schedule() -> HealthCheck:
    held = Lease.objects.exclude(is_over()).filter(name=LEASE).exists()
    return HealthCheck("schedule", ok=held, detail="kept" if held else "no process keeps it")


def _queue() -> HealthCheck:
    try:
        with celery.connection_for_write(connect_timeout=_QUEUE_SECONDS) as queue:
            queue.ensure_connection(max_retries=1, interval_start=0, timeout=_QUEUE_SECONDS)
    except _queue_errors() as error:
        return HealthCheck("queue", ok=False, detail=type(error).__name__)
    return HealthCheck("queue", ok=True, detail="a folder of this machine" if settings.EMBEDDED_QUEUE else "answers")


@cache
def _queue_errors() -> tuple[type[BaseException], ...]:
    with celery.connection_for_write() as queue:
        return (OSError, KombuError, *queue.connection_errors, *queue.channel_errors)


async def _send(scope: Scope, send: Send, status: int, told: object) -> None:
    body = json.dumps(told).encode() + b"\n"
    headers = [
        (b"content-type", b"application/json"),
        (b"cache-control", b"no-store"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
