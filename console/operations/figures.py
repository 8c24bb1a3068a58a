"""What ``/metrics`` tells, in the text format of Prometheus. No label names a person or account."""

from collections.abc import Iterator

from django.db import Error, close_old_connections, connection
from prometheus_client import CONTENT_TYPE_LATEST
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector, CollectorRegistry

from console.audit import call_counts
from console.connections import order_streams
from console.operations import heartbeat
from console.operator import system
from console.orders import states
from console.orders.models import Order


def text(started_at: float) -> tuple[str, bytes]:
    """The media type, and every figure. ``started_at``: seconds since 1970, of this process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(started_at))
    return CONTENT_TYPE_LATEST, generate_latest(registry)


class _Figures(Collector):
    def __init__(self, started_at: float) -> None:
        self._started_at = started_at

    def collect(self) -> Iterator[Metric]:
        yield GaugeMetricFamily(
            "tradelatch_start_time_seconds", "When this process started, since 1970", self._started_at
        )
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
