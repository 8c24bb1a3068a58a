"""Whether a worker does what the schedule asks for, as the database knows it."""

from datetime import timedelta

from django.db.models import Max
from django.utils import timezone

from console.operations.models import WorkerSeen

LATE_AFTER = timedelta(seconds=120)
_KEPT = timedelta(days=1)


def record(worker: str) -> None:
    WorkerSeen.objects.update_or_create(name=worker[:100], defaults={"at": timezone.now()})


def delete_old() -> None:
    """Workers that are gone for a day; but never the last word there is."""
    found = WorkerSeen.objects.filter(at__lt=timezone.now() - _KEPT)
    newest = WorkerSeen.objects.order_by("-at").values_list("pk", flat=True)[:1]
    found.exclude(pk__in=list(newest)).delete()


def seconds_since() -> float | None:
    """Since any worker was last seen at work; None when none ever was."""
    now = timezone.now()
    # What is further ahead was written before the clock was set back, and would look fresh until then.
    last = WorkerSeen.objects.filter(at__lte=now + LATE_AFTER).aggregate(last=Max("at"))["last"]
    return None if last is None else max(0.0, (now - last).total_seconds())


def is_late() -> bool:
    """Whether no worker is at work: no sweep runs, no letter goes, and nothing ends by itself."""
    since = seconds_since()
    return since is None or since > LATE_AFTER.total_seconds()
