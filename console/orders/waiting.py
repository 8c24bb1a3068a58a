"""How much waits for a person's own approval: what every page says and asks again while it stays open."""

from dataclasses import dataclass
from typing import Self

from console.accounts.models import User
from console.orders import approvals


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    count: int
    newest: str
    """Public id of the newest; empty when nothing waits."""
    is_live: bool
    """Real money is among it."""

    @classmethod
    def of(cls, owner: User) -> Self:
        found = list(approvals.for_owner(owner))
        return cls(
            count=len(found),
            newest=max((each.public_id for each in found), default=""),
            is_live=any(each.app.connection.is_live for each in found),
        )

    @property
    def mark(self) -> str:
        """Differs whenever there is something new to say."""
        return f"{self.count}-{self.newest}"
