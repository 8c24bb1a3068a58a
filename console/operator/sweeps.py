"""When each periodic task last ran. What runs every few seconds is written down twice a minute."""

import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.module_loading import import_string

from console.operator.models import SweepRun

WORDS = {
    "console.orders.tasks.sweep": "Follow orders",
    "console.plans.tasks.sweep": "Carry plans on",
    "console.outbox.tasks.send_due": "Send e-mails",
    "console.outbox.tasks.forget": "Delete old e-mails",
    "console.orders.tasks.tell_owners": "Notify owners of approvals",
    "console.orders.tasks.tell_of_orders": "Send news of orders",
    "console.signals.tasks.prepare_due": "Prepare orders of signals",
    "console.signals.tasks.forget": "Delete old signals",
    "console.notifications.tasks.send_due": "Send notifications",
    "console.notifications.tasks.forget": "Delete old notifications",
    "console.notifications.tasks.link_chats": "Link Telegram chats",
    "console.keys.tasks.tell_of_ends": "Send news of keys that end",
    "console.orders.tasks.drop_old_events": "Delete old steps of orders",
    "console.alerts.tasks.look": "Look at what alerts watch",
    "console.alerts.tasks.forget": "Delete old alerts",
    "console.orders.tasks.look_outside": "Look for orders made elsewhere",
    "brokers.paper.tasks.match_resting": "Match paper orders",
    "brokers.paper.tasks.follow_live_prices": "Follow prices for paper orders",
    "console.oauth.tasks.forget": "Delete expired sessions and tokens",
    "console.connections.tasks.thin_equity": "Merge old equity readings",
    "console.journal.tasks.keep": "Update journals",
    "console.onboarding.tasks.end_playgrounds": "End playgrounds",
    "console.connections.tasks.check_all": "Check connections",
    "console.recent_errors.tasks.sweep": "Count calls and errors",
    "console.recent_errors.tasks.forget": "Delete old counts of calls and errors",
    "console.operations.tasks.seen": "Note that the worker is running",
    "console.operations.tasks.listen_to_orders": "Listen for order updates",
    "console.operations.tasks.forget": "Forget workers that ended",
    "console.audit.tasks.seal_record": "Seal the record",
    "console.audit.tasks.drop_old_rows": "Delete old rows of the record",
    "console.audit.tasks.check_record": "Check the newest seals",
    "console.audit.tasks.check_whole_record": "Check the whole record",
    "console.audit.tasks.count_failed_sign_ins": "Count failed sign-ins",
}
_EVERY = 30.0
_written: dict[str, float] = {}
_ALLOWED = timedelta(seconds=60)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    words: str
    every: timedelta
    at: datetime | None
    seconds: float | None
    failed_at: datetime | None
    error: str
    is_late: bool
    is_resting: bool
    """The schedule leaves it out now, for it would find nothing to do."""


def record(task: str, seconds: float, error: str = "") -> None:
    now = time.monotonic()
    if not error and now - _written.get(task, -_EVERY) < _EVERY:
        return
    _written[task] = now
    at = timezone.now()
    told: dict[str, Any] = {"at": at, "seconds": seconds}
    if error:
        told |= {"failed_at": at, "error": error[:200]}
    SweepRun.objects.update_or_create(task=task, defaults=told)


def sweeps(now: datetime) -> list[Sweep]:
    """Of the schedule, the late ones first."""
    ran = {run.task: run for run in SweepRun.objects.all()}
    found = []
    schedule: Iterable[tuple[str, dict[str, Any]]] = settings.CELERY_BEAT_SCHEDULE.items()
    for name, entry in schedule:
        gate = settings.SCHEDULE_GATES.get(name)
        rests = gate is not None and import_string(gate)() is not True
        every, task = timedelta(seconds=float(entry["schedule"])), str(entry["task"])
        run = ran.get(task)
        found.append(
            Sweep(
                words=WORDS.get(task, task),
                every=every,
                at=run.at if run else None,
                seconds=run.seconds if run else None,
                failed_at=run.failed_at if run else None,
                error=run.error if run else "",
                is_late=not rests and run is not None and now - run.at > 2 * every + _ALLOWED,
                is_resting=rests,
            )
        )
    return sorted(found, key=lambda sweep: (not sweep.is_late, sweep.at is None, sweep.words))
