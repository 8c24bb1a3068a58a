"""``/metrics`` in the text format of Prometheus, for who has the operator's token. No label names a person or account.

Calls and their durations are those of the process that answers: scrape each. What is read from the database and the
queue is the same from every process.
"""

import hmac
import logging
import time
from collections.abc import Iterator

import anyio.to_thread
from django.conf import settings
from django.db import Error, close_old_connections, connection
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry
from starlette.types import Receive, Scope, Send

from console.audit import call_counts
from console.connections import order_streams
from console.operations import heartbeat
from console.operator import system
from console.orders import states
from console.orders.models import Order

log = logging.getLogger(__name__)

PATH = "/metrics"
_STARTED_AT = time.time()


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """404 where no token is set, 401 without it, else every figure."""
    if not settings.METRICS_TOKEN:
        await _send(scope, send, 404, b"")
    elif not _may_read(scope):
        await _send(scope, send, 401, b"")
    elif scope["method"] not in ("GET", "HEAD"):
        await _send(scope, send, 405, b"")
    else:
        await _send(scope, send, 200, await anyio.to_thread.run_sync(text))


def text() -> bytes:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures())
    return generate_latest(registry)


class _Figures(Collector):
    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily("tradelatch_start_time_seconds", "When this process started, since 1970", _STARTED_AT)
        yield from _calls()
        try:
            shared = list(_of_the_database())
            up = 1.0
        except Error:
            shared, up = [], 0.0
        finally:
            close_old_connections()
        yield GaugeMetricFamily("tradelatch_database_up", "1 if the database answers", up)
        yield from shared
        yield from _pool()
        queue = system.queue()
        if queue.waiting is not None:
            yield GaugeMetricFamily("tradelatch_queue_length", "Tasks that wait for a worker", queue.waiting)


def _calls() -> Iterator[Metric]:
    calls = CounterMetricFamily("tradelatch_calls", "Calls answered, by outcome", labels=["tool", "outcome"])
    took = HistogramMetricFamily("tradelatch_call_seconds", "How long calls took", labels=["tool"])
    by_tool: dict[str, list[int]] = {}
    for (tool, outcome), groups in list(call_counts.counts.items()):
        calls.add_metric([tool, outcome], sum(groups[:-1]))
        known = by_tool.setdefault(tool, [0] * len(groups))
        by_tool[tool] = [mine + more for mine, more in zip(known, groups, strict=True)]
    bounds = [*(str(each / 1_000_000) for each in call_counts.BOUNDS_US), "+Inf"]
    for tool, groups in by_tool.items():
        below, buckets = 0, []
        for bound, number in zip(bounds, groups[:-1], strict=True):
            below += number
            buckets.append((bound, float(below)))
        took.add_metric([tool], buckets, groups[-1] / 1_000_000)
    yield calls
    yield took


def _of_the_database() -> Iterator[Metric]:
    """Raises django.db.Error."""
    open_orders = Order.objects.filter(status__in=states.OPEN).count()
    yield GaugeMetricFamily("tradelatch_open_orders", "Orders that can still fill", open_orders)
    streams = GaugeMetricFamily(
        "tradelatch_order_streams", "Brokers' streams of order updates that are wanted, by state", labels=["state"]
    )
    told = order_streams.counts()
    for state, number in (("up", told.up), ("down", told.down)):
        streams.add_metric([state], number)
    yield streams
    waiting, failed = system.letters()
    yield GaugeMetricFamily("tradelatch_emails_waiting", "E-mails that are not sent yet", waiting)
    yield GaugeMetricFamily("tradelatch_emails_failed_24h", "E-mails given up in the last 24 hours", failed)
    if (since := heartbeat.seconds_since()) is not None:
        yield GaugeMetricFamily("tradelatch_worker_seen_seconds", "Since a worker was last seen at work", since)
    if (saved := system.last_backup()) is not None:
        yield GaugeMetricFamily(
            "tradelatch_backup_time_seconds", "When a backup was made, since 1970", saved.timestamp()
        )


def _pool() -> Iterator[Metric]:
    pool = getattr(connection, "pool", None)
    if pool is None:
        return
    told = pool.get_stats()
    for name, words in (
        ("pool_size", "Connections of this process to the database"),
        ("pool_available", "Of these, how many are free"),
        ("requests_waiting", "Threads of this process that wait for a connection"),
    ):
        yield GaugeMetricFamily(f"tradelatch_database_{name}", words, told.get(name, 0))


def _may_read(scope: Scope) -> bool:
    """As ``Authorization: Bearer`` (RFC 6750 section 2.1)."""
    given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    kind, _, token = given.partition(b" ")
    return kind.lower() == b"bearer" and hmac.compare_digest(token.strip(), settings.METRICS_TOKEN.encode())


async def _send(scope: Scope, send: Send, status: int, body: bytes) -> None:
    headers = [
        (b"content-type", CONTENT_TYPE_LATEST.encode()),
        (b"cache-control", b"no-store"),
        (b"content-length", str(len(body)).encode()),
    ]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
