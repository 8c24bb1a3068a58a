"""Under which rules a call was judged: the number of the newest change of its app or its connection before it.

Every change of who may do what is a row of the record, written in the transaction that makes the change, so its number
says which rules were in force. Nothing has to be kept with each call.
"""

from bisect import bisect_right
from datetime import datetime

from console.audit.models import Call, Change, ChangeCategory


class PolicyRevisions:
    """Reads the changes of an app or a connection once, however many of their calls are asked about."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[list[datetime], list[int]]] = {}

    def of(self, call: Call) -> int | None:
        """The id of the change; None where the call had no app, or none is on record that early."""
        sides = [("app", call.app_id), ("connection", call.connection_id)]
        found = [self._last(target, pk, call.at) for target, pk in sides if pk is not None]
        return max((each for each in found if each is not None), default=None)

    def _last(self, target: str, pk: int, until: datetime) -> int | None:
        if (target, pk) not in self._known:
            changes = Change.objects.filter(target=target, target_id=str(pk), category=ChangeCategory.CHANGE)
            rows = sorted((at, number) for number, at in changes.values_list("pk", "at"))
            self._known[target, pk] = ([at for at, _ in rows], [number for _, number in rows])
        times, numbers = self._known[target, pk]
        place = bisect_right(times, until)
        return numbers[place - 1] if place else None


def change_in_force(call: Call) -> Change | None:
    number = PolicyRevisions().of(call)
    return None if number is None else Change.objects.filter(pk=number).first()
