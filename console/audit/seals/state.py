"""What the pages say of the record: the pill of the timeline and of System health."""

from dataclasses import dataclass
from datetime import datetime

from django.utils import timezone

from console.audit.models import Seal, Verification


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordState:
    tone: str
    """good, bad or neutral."""
    words: str
    detail: str = ""
    checked_at: datetime | None = None
    through: datetime | None = None


def of_record() -> RecordState:
    """What was found when it was last checked. A check of the newest seals alone takes no finding back."""
    checked = Verification.objects.order_by("-pk").first()
    if checked is None:
        return _not_checked(None)
    whole = Verification.objects.filter(whole_chain=True).order_by("-pk").first()
    broken = next((each for each in (checked, whole) if each is not None and not each.is_whole), None)
    if broken is not None:
        problem = broken.problem
        at = f"row {problem['row']}" if problem["row"] is not None else f"seal {problem['seal']}"
        return RecordState(tone="bad", words=f"Broken at {at}", detail=problem["words"], checked_at=broken.at)
    until = checked.through
    if until is None:
        return _not_checked(checked.at)
    today = until.date() == timezone.now().date()
    return RecordState(
        tone="good",
        words=f"Record whole up to {until:%H:%M}" if today else f"Record whole up to {until:%d %b %H:%M}",
        checked_at=checked.at,
        through=until,
    )


def _not_checked(at: datetime | None) -> RecordState:
    """``at``: of a check that came before the first seal."""
    words = "Sealed, not checked yet" if Seal.objects.exists() else "Nothing sealed yet"
    return RecordState(tone="neutral", words=words, checked_at=at)
