"""The scheduler: any number may run, one sends, and what would find nothing to do is not sent."""

import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from celery import beat
from django.conf import settings
from django.db import Error, close_old_connections, connection
from django.utils import timezone
from django.utils.module_loading import import_string

from console.operations.lease import Holder
from console.operations.models import ScheduledJob

log = logging.getLogger(__name__)

LEASE = "schedule"
_WAITS_SECONDS = 5.0
"""For the lease of another one, and for a database that is away."""
_REMEMBERED_FROM = timedelta(seconds=60)
_JUMP_SECONDS = 5.0


class Scheduler(beat.Scheduler):
    """``SCHEDULE_GATES`` in the settings names, by entry, a function: only when it says True is the entry sent. It says
    False where only a change of the database makes it True, and a time where the clock does."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._lease = Holder(LEASE)
        gates: Mapping[str, str] = settings.SCHEDULE_GATES
        self._gates: dict[str, Callable[[], bool | datetime]] = {
            name: import_string(path) for name, path in gates.items()
        }
        self._nothing_at: dict[str, tuple[int | None, datetime | None]] = {}
        """By entry: the version of the database at which its gate said no, and until when that holds."""
        self._is_restored = False
        self._ahead = _wall_ahead()
        self._said = False
        super().__init__(*args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """One step of Celery's scheduler, if it is ours to send; seconds until the next."""
        try:
            if not self._lease.hold():
                return _WAITS_SECONDS
            if not self._is_restored:
                self._restore()
            self._notice_jump()
            pause = super().tick(*args, **kwargs)
            self._said = False
        except Error as error:
            # The entry that was being sent is not in the heap any more.
            self._heap = None
            if not self._said:
                self._said = True
                log.warning("The schedule waits for the database: %s", str(error).strip().splitlines()[0])
            return _WAITS_SECONDS
        finally:
            if not settings.EMBEDDED_DATABASE:  # a file is opened once, a server's connection goes back to its pool
                close_old_connections()
        return pause

    def apply_entry(self, entry: Any, producer: Any = None) -> None:
        """Raises django.db.Error."""
        if self._finds_nothing(entry.name):
            return
        super().apply_entry(entry, producer=producer)
        if _is_remembered(entry):
            ScheduledJob.objects.update_or_create(name=entry.name, defaults={"sent_at": timezone.now()})

    def _finds_nothing(self, name: str) -> bool:
        """A gate that said no turns True by a change of the database, or at the time it gave instead of a plain no:
        before either it need not be asked."""
        if name not in self._gates:
            return False
        version = _data_version()
        at, until = self._nothing_at.get(name, (None, None))
        if version is not None and at == version and (until is None or timezone.now() < until):
            return True
        finds = self._gates[name]()
        self._nothing_at[name] = (None, None) if finds is True else (version, finds or None)
        return finds is not True

    def schedules_equal(self, old_schedules: Any, new_schedules: Any) -> bool:
        """Ours comes from the settings and never changes; Celery would compare all of it at each step."""
        return True

    def adjust(self, n: float, drift: float = 0.0) -> float:
        """Without Celery's ten milliseconds too early, which are a second step for each that is due."""
        return n + drift

    def close(self) -> None:
        with contextlib.suppress(Error):
            self._lease.release()
        super().close()

    def _restore(self) -> None:
        """What another scheduler, or the one before a restart, sent last."""
        now = timezone.now()
        # From later than now: from before the clock was set back.
        sent = dict(ScheduledJob.objects.filter(sent_at__lte=now).values_list("name", "sent_at"))
        for name, entry in self.schedule.items():
            if _is_remembered(entry):
                # Never asked for: now, and not after a whole interval, which no short run would see the end of.
                entry.last_run_at = sent.get(name, now - _every(entry))
        self._heap = None
        self._is_restored = True

    def _notice_jump(self) -> None:
        """After the clock was set back, an entry would wait until it is again as late as it was."""
        ahead = _wall_ahead()
        if ahead < self._ahead - _JUMP_SECONDS:
            log.warning("The clock was set back by %.0f s; the schedule starts again.", self._ahead - ahead)
            for entry in self.schedule.values():
                entry.last_run_at = timezone.now()
            self._nothing_at.clear()  # what was over by the clock may not be over now
            self._heap = None
        self._ahead = ahead


def _is_remembered(entry: Any) -> bool:
    return _every(entry) >= _REMEMBERED_FROM


def _every(entry: Any) -> timedelta:
    every: timedelta = entry.schedule.run_every  # ours are all intervals
    return every


def _data_version() -> int | None:
    """Changes when another connection commits (``PRAGMA data_version``); None where the database is not SQLite."""
    if connection.vendor != "sqlite":
        return None
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA data_version")
        return int(cursor.fetchone()[0])


def _wall_ahead() -> float:
    return time.time() - time.monotonic()
