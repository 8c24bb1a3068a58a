"""Running backtests: one at a time in each worker, so that what orders need never waits behind them.

A worker says every second that it still runs one; when it has said nothing for a minute and a half it is believed gone,
and the backtest begins again, at most three times. A cancelled one is noticed when that is said.
"""

import logging
import time
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Q, QuerySet
from django.utils import timezone

from brokers.errors import BrokerError
from brokers.paper import costs
from console.connections import broker_access
from console.errors import Refusal
from console.strategies import bars, services
from console.strategies.engine import backtest as engine
from console.strategies.engine import rules as rule_book
from console.strategies.models import UNFINISHED, Backtest, BacktestStatus

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 3
SILENT = timedelta(seconds=90)
LONGEST_SECONDS = 600.0
_SAY_EVERY_SECONDS = 1.0
_GONE = "The connection, or the app that asked for it, can no longer read prices here."


class _Stopped(Exception):
    """The row is no longer this worker's to fill."""


class _TooLong(Exception):
    pass


def has_work() -> bool:
    """Whether one is not over: one short look, for the scheduler."""
    return Backtest.objects.filter(status__in=UNFINISHED).exists()


def run_next() -> bool:
    """Run the oldest that waits, from its beginning to its end. False when there was none."""
    row = _claim(timezone.now())
    if row is None:
        return False
    try:
        report = _run(row)
    except _Stopped:
        _end(row, BacktestStatus.FAILED, trouble=_GONE)  # of a cancelled one nothing changes
    except _TooLong:
        _end(row, BacktestStatus.FAILED, trouble="It took longer than ten minutes. Take fewer symbols or bars.")
    except (Refusal, BrokerError) as error:
        _end(row, BacktestStatus.FAILED, trouble=str(error)[:300])
    except Exception:
        log.exception("A backtest failed.")
        _end(row, BacktestStatus.FAILED, trouble="It failed for a reason of ours, which is in the log.")
    else:
        _end(row, BacktestStatus.DONE, progress=100, report=report)
    return True


def _claim(now: datetime) -> Backtest | None:
    silent = Q(status=BacktestStatus.RUNNING, heard_at__lt=now - SILENT)
    Backtest.objects.filter(silent, attempts__gte=MOST_ATTEMPTS).update(
        status=BacktestStatus.FAILED, ended_at=now, trouble=f"Its worker stopped {MOST_ATTEMPTS} times."
    )
    waiting = Q(status=BacktestStatus.WAITING) | silent
    for row in Backtest.objects.filter(waiting).order_by("pk")[:1]:
        mine = Backtest.objects.filter(waiting, pk=row.pk, attempts=row.attempts)
        if mine.update(
            status=BacktestStatus.RUNNING, attempts=F("attempts") + 1, started_at=now, heard_at=now, progress=0
        ):
            row.refresh_from_db()
            return row
    return None


def _run(row: Backtest) -> dict[str, Any]:
    _say(row, 0)
    rules = rule_book.parse(row.rules)
    broker = broker_access.broker_of(row.connection)
    found = services.instruments(broker, rules)
    setting = engine.Setting(
        rules=rules,
        instruments=services.traded(rules, found),
        preset=costs.PRESETS[row.preset],
        cash=row.cash,
        start=row.starts_at,
        end=row.ends_at,
    )
    began = said = time.monotonic()

    def told(at: datetime) -> None:
        nonlocal said
        now = time.monotonic()
        if now - began > LONGEST_SECONDS:
            raise _TooLong
        if now - said >= _SAY_EVERY_SECONDS:
            said = now
            _say(row, int((at - row.starts_at) / (row.ends_at - row.starts_at) * 100))

    names = {name: instrument.symbol for name, instrument in found.items()}
    found_bars = bars.steps(broker, names, rules.timeframe, row.starts_at, row.ends_at, told)
    return engine.run(setting, found_bars, told)


def _say(row: Backtest, progress: int) -> None:
    """Raises _Stopped where it was cancelled, taken over, or may no longer be."""
    may = Q(app=None) | Q(app__revoked_at=None, app__paused_at=None)
    still = _mine(row).filter(may, connection__closed_at=None, connection__paused_at=None)
    if not still.update(progress=max(0, min(progress, 99)), heard_at=timezone.now()):
        raise _Stopped


def _mine(row: Backtest) -> QuerySet[Backtest]:
    return Backtest.objects.filter(pk=row.pk, status=BacktestStatus.RUNNING, attempts=row.attempts)


def _end(row: Backtest, status: BacktestStatus, **fields: Any) -> None:
    _mine(row).update(status=status, ended_at=timezone.now(), **fields)
